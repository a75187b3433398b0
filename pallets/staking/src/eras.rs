//! Sessions and eras: what happens when they begin and end.

use crate::{pallet::*, Sessions};
use alloc::vec::Vec;
use blyan_primitives::{pact::Staking, traits::PactProvider};
use core::marker::PhantomData;
use frame_support::pallet_prelude::Get;
use frame_system::pallet_prelude::BlockNumberFor;
use pallet_session::historical;
use polkadot_sdk::*;
use sp_staking::SessionIndex;

/// The present era, for pallets that count by eras.
pub struct CurrentEra<T>(PhantomData<T>);

impl<T: Config> Get<EraIndex> for CurrentEra<T> {
    fn get() -> EraIndex {
        ActiveEra::<T>::get()
    }
}

impl<T: Config> Pallet<T> {
    /// Sessions of an era. It is fixed with the first block, so that eras follow from sessions.
    pub(crate) fn sessions_per_era() -> u32 {
        T::Pact::network().sessions_per_era.max(1)
    }

    /// The era of session `index`.
    pub(crate) fn era_of(index: SessionIndex) -> EraIndex {
        index.checked_div(Self::sessions_per_era()).unwrap_or(0)
    }

    /// The era whose first session is session `index`.
    pub(crate) fn era_starting_with(index: SessionIndex) -> Option<EraIndex> {
        let era = Self::era_of(index);
        (era.saturating_mul(Self::sessions_per_era()) == index).then_some(era)
    }

    /// Sessions after which an equivocation can no longer be reported, so that a slash for it is applied before what it is
    /// about can be withdrawn.
    pub fn reportable_sessions() -> u32 {
        Self::reportable(&Self::rules())
    }

    fn reportable(rules: &Staking) -> u32 {
        rules.unbonding.saturating_sub(rules.dispute).saturating_mul(Self::sessions_per_era())
    }
}

impl<T: Config> pallet_session::SessionManager<T::AccountId> for Pallet<T> {
    fn new_session(index: SessionIndex) -> Option<Vec<T::AccountId>> {
        Self::plan_session(index)
    }

    /// The first two sessions have the same set: that of the genesis candidates with session keys. Without any, the session
    /// pallet takes all who have keys.
    fn new_session_genesis(index: SessionIndex) -> Option<Vec<T::AccountId>> {
        let era = Self::era_starting_with(index)?;
        let elected = Self::elect(era, &[], &Self::rules());
        // The genesis is not a block, and the second election may be next.
        while Self::copy_step() > 0 {}
        (!elected.is_empty()).then_some(elected)
    }

    fn start_session(index: SessionIndex) {
        let era = Self::era_of(index);
        if era != ActiveEra::<T>::get() {
            ActiveEra::<T>::put(era);
            Self::deposit_event(Event::EraStarted { era });
        }
    }

    fn end_session(index: SessionIndex) {
        let next = index.saturating_add(1);
        // The era is still the present one: what it has earned comes out of its own allowance.
        if Self::era_starting_with(next).is_some() {
            Self::end_era(Self::era_of(index));
        }
        T::Sessions::forget_before(next.saturating_sub(Self::reportable_sessions()));
    }
}

impl<T: Config> historical::SessionManager<T::AccountId, ()> for Pallet<T> {
    fn new_session(index: SessionIndex) -> Option<Vec<(T::AccountId, ())>> {
        identified(<Self as pallet_session::SessionManager<_>>::new_session(index))
    }

    fn new_session_genesis(index: SessionIndex) -> Option<Vec<(T::AccountId, ())>> {
        identified(<Self as pallet_session::SessionManager<_>>::new_session_genesis(index))
    }

    fn start_session(index: SessionIndex) {
        <Self as pallet_session::SessionManager<_>>::start_session(index);
    }

    fn end_session(index: SessionIndex) {
        <Self as pallet_session::SessionManager<_>>::end_session(index);
    }
}

fn identified<AccountId>(validators: Option<Vec<AccountId>>) -> Option<Vec<(AccountId, ())>> {
    validators.map(|set| set.into_iter().map(|who| (who, ())).collect())
}

impl<T: Config> pallet_authorship::EventHandler<T::AccountId, BlockNumberFor<T>> for Pallet<T> {
    fn note_author(author: T::AccountId) {
        let era = ActiveEra::<T>::get();
        // The first block of a session is noted for the set before it, in which its author's place may be another's.
        if Exposures::<T>::contains_key(era, &author) {
            Blocks::<T>::mutate(era, author, |blocks| *blocks = blocks.saturating_add(1));
            EraBlocks::<T>::mutate(|blocks| *blocks = blocks.saturating_add(1));
        }
    }
}
