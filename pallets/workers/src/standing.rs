//! How far accounts are trusted: what they may submit, how they rise and fall, and quarantine.
//!
//! The rules are those of [`blyan_primitives::trust`], with the Pact's numbers as they are when something happens.

use crate::pallet::*;
use blyan_primitives::{
    pact::Trust as Rules,
    traits::{self, PactProvider},
    trust::{Change, Level, Refusal, Standing},
};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchResult, Get},
    traits::fungible::InspectHold,
};
use polkadot_sdk::*;
use sp_runtime::traits::{CheckedDiv, UniqueSaturatedInto, Zero};

/// What still counts of a standing at height `now` on `day`: not a quarantine that is over, nor submissions of other days.
pub(crate) fn settled(standing: Standing, now: u32, day: u32) -> Standing {
    let quarantined_until = standing.quarantined_until.filter(|until| *until > now);
    let (day, used) = if standing.day == day { (day, standing.used) } else { (0, 0) };
    Standing { quarantined_until, day, used, ..standing }
}

impl<T: Config> Pallet<T> {
    /// Height and day of the present block.
    fn present() -> (u32, u32) {
        let now = frame_system::Pallet::<T>::block_number();
        // A runtime in which a day has no blocks does not pass `integrity_test`.
        let day = now.checked_div(&T::BlocksPerDay::get()).unwrap_or_default();
        (now.unique_saturated_into(), day.unique_saturated_into())
    }

    /// What counts of an account's standing now.
    pub(crate) fn standing(who: &T::AccountId) -> Standing {
        let (now, day) = Self::present();
        settled(Standings::<T>::get(who), now, day)
    }

    /// Whether an account is not in quarantine.
    pub(crate) fn is_in_good_standing(who: &T::AccountId) -> bool {
        let (now, _) = Self::present();
        Standings::<T>::get(who).is_good(now)
    }

    /// Keeps a standing, unless it is the one that everybody begins with.
    fn store(who: &T::AccountId, standing: Standing) {
        if standing == Standing::default() {
            Standings::<T>::remove(who);
        } else {
            Standings::<T>::insert(who, standing);
        }
    }

    /// Lets go of what no longer counts of an account's standing.
    pub(crate) fn settle(who: &T::AccountId) {
        Self::store(who, Self::standing(who));
    }

    /// Changes a standing, and tells of the change.
    fn change(who: &T::AccountId, change: impl FnOnce(&mut Standing, u32, &Rules) -> Option<Change>) {
        let (now, _) = Self::present();
        let mut standing = Self::standing(who);
        let changed = change(&mut standing, now, &T::Pact::pact().trust);
        Self::store(who, standing);
        let account = who.clone();
        match changed {
            None => {},
            Some(Change::Promoted | Change::Demoted) => {
                Self::deposit_event(Event::StandingChanged { account, level: standing.level });
            },
            Some(Change::Quarantined { until }) => {
                Self::deposit_event(Event::Quarantined { account, until: until.into() });
            },
        }
    }

    /// Whether a machine is bound to an account: deposits for nothing else are held under this reason, and none is zero.
    fn has_machine(who: &T::AccountId) -> bool {
        !T::Currency::balance_on_hold(&HoldReason::Registration.into(), who).is_zero()
    }

    pub(crate) fn do_quarantine(account: T::AccountId) -> DispatchResult {
        let known = Self::has_machine(&account) || Standings::<T>::contains_key(&account);
        ensure!(known, Error::<T>::UnknownAccount);
        Self::change(&account, |standing, now, rules| Some(standing.quarantine(now, rules)));
        Ok(())
    }

    pub(crate) fn do_release(account: T::AccountId) -> DispatchResult {
        let (now, _) = Self::present();
        let mut standing = Self::standing(&account);
        ensure!(standing.release(now), Error::<T>::NotQuarantined);
        Self::store(&account, standing);
        Self::deposit_event(Event::Released { account });
        Ok(())
    }

    pub(crate) fn do_forget_standing(account: T::AccountId) -> DispatchResult {
        let spent = Standings::<T>::contains_key(&account) && Self::standing(&account) == Standing::default();
        ensure!(spent, Error::<T>::NothingToForget);
        Self::settle(&account);
        Ok(())
    }
}

impl<T: Config> traits::Standings<T::AccountId> for Pallet<T> {
    fn submit(account: &T::AccountId) -> Result<(), Refusal> {
        let (now, day) = Self::present();
        let mut standing = Self::standing(account);
        standing.submit(now, day, &T::Pact::pact().trust)?;
        Self::store(account, standing);
        Ok(())
    }

    fn succeed(account: &T::AccountId) {
        Self::change(account, |standing, _, rules| standing.succeed(rules));
    }

    fn fail(account: &T::AccountId) {
        Self::change(account, |standing, now, rules| standing.fail(now, rules));
    }

    fn level(account: &T::AccountId) -> Level {
        Standings::<T>::get(account).level
    }

    fn quota_left(account: &T::AccountId) -> u32 {
        let (now, day) = Self::present();
        let standing = Self::standing(account);
        if standing.is_good(now) {
            standing.left(day, &T::Pact::pact().trust)
        } else {
            0
        }
    }
}
