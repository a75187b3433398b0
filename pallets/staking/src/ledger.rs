//! What all kinds of bonds have in common: parts on their way back, their return, and what a slash takes.

use crate::{chunks, pallet::*, BondKind};
use blyan_primitives::{pact::Staking, traits::PactProvider};
use frame_support::{
    defensive, ensure,
    pallet_prelude::{DispatchResult, Get},
    traits::{
        fungible::{BalancedHold, MutateHold},
        tokens::Precision,
        Imbalance,
    },
};
use polkadot_sdk::*;

impl From<BondKind> for HoldReason {
    fn from(kind: BondKind) -> Self {
        match kind {
            BondKind::Validator => Self::Validator,
            BondKind::Delegation => Self::Delegation,
            BondKind::Worker => Self::Worker,
        }
    }
}

impl<T: Config> Pallet<T> {
    pub(crate) fn rules() -> Staking {
        T::Pact::pact().staking
    }

    /// First era in which what is unbonded now can be withdrawn: `unbonding` eras after the end of the last era in which it
    /// can be exposed.
    pub(crate) fn due(rules: &Staking) -> EraIndex {
        PlannedEra::<T>::get().saturating_add(1).saturating_add(rules.unbonding)
    }

    /// Sends `amount` on its way back, which is counted as bonded no more. Fails when there is no room for another part.
    pub(crate) fn start_unbonding(
        kind: BondKind,
        who: &T::AccountId,
        amount: Balance,
        rules: &Staking,
    ) -> Result<EraIndex, Error<T>> {
        let (due, mut parts) = (Self::due(rules), Unbonding::<T>::get(kind, who));
        chunks::add(&mut parts, amount, due).map_err(|chunks::Full| Error::<T>::TooManyUnbonding)?;
        Unbonding::<T>::insert(kind, who, parts);
        Ok(due)
    }

    /// As [`Self::start_unbonding`], where it must not fail: without room, `amount` joins a part that is due no earlier.
    pub(crate) fn force_unbonding(kind: BondKind, who: &T::AccountId, amount: Balance, rules: &Staking) -> EraIndex {
        let due = Self::due(rules);
        Unbonding::<T>::mutate(kind, who, |parts| chunks::force(parts, amount, due));
        due
    }

    pub(crate) fn do_withdraw(who: T::AccountId, kind: BondKind) -> DispatchResult {
        // A slash is applied, at the latest, in the era in which what it is about is due: it goes first.
        ensure!(!Self::are_slashes_due(), Error::<T>::SlashesBeingApplied);
        let mut parts = Unbonding::<T>::get(kind, &who);
        let most = match kind {
            BondKind::Validator => {
                ensure!(!Suspects::<T>::contains_key(&who), Error::<T>::SlashPending);
                Balance::MAX
            },
            BondKind::Delegation => Balance::MAX,
            BondKind::Worker => {
                // Announced slashes of workers are about all that there was, however soon it is due.
                let bond = WorkerBonds::<T>::get(&who);
                bond.active.saturating_add(chunks::sum(&parts)).saturating_sub(bond.announced)
            },
        };
        let now = ActiveEra::<T>::get();
        ensure!(parts.first().is_some_and(|part| part.due <= now), Error::<T>::NothingDue);
        let amount = chunks::withdraw(&mut parts, now, most);
        ensure!(amount > 0, Error::<T>::SlashPending);
        T::Currency::release(&HoldReason::from(kind).into(), &who, amount, Precision::Exact)?;
        Self::store_chunks(kind, &who, parts);
        Self::deposit_event(Event::Withdrawn { kind, who, amount });
        Ok(())
    }

    /// Takes up to `amount` out of what is on its way back to `who`, and says how much that was. It is still held.
    pub(crate) fn take_unbonding(kind: BondKind, who: &T::AccountId, amount: Balance) -> Balance {
        let mut parts = Unbonding::<T>::get(kind, who);
        let taken = chunks::slash(&mut parts, amount);
        if taken > 0 {
            Self::store_chunks(kind, who, parts);
        }
        taken
    }

    fn store_chunks(kind: BondKind, who: &T::AccountId, parts: ChunksOf<T>) {
        if parts.is_empty() {
            Unbonding::<T>::remove(kind, who);
        } else {
            Unbonding::<T>::insert(kind, who, parts);
        }
    }

    /// Takes `amount`, which the ledger counts no more, from what is held of `who`, and adds it to `credit`.
    pub(crate) fn take_held(kind: BondKind, who: &T::AccountId, amount: Balance, credit: &mut CreditOf<T>) {
        let (slashed, missing) = T::Currency::slash(&HoldReason::from(kind).into(), who, amount);
        if missing > 0 {
            defensive!("what the ledger counts as bonded is held");
        }
        credit.subsume(slashed);
    }

    /// The most that the hook can take in a block.
    pub fn fullest_block() -> frame_support::weights::Weight {
        use crate::{WeightInfo, PAGE};
        T::WeightInfo::idle()
            .saturating_add(T::WeightInfo::note_author())
            .saturating_add(T::WeightInfo::copy(PAGE))
            .saturating_add(T::WeightInfo::slash(PAGE))
            .saturating_add(T::WeightInfo::pay(PAGE))
            .saturating_add(T::WeightInfo::release(PAGE))
            .saturating_add(T::WeightInfo::prune(PAGE))
    }

    /// The most that the hook and a change of era can take in a block.
    pub fn fullest_rotation() -> frame_support::weights::Weight {
        use crate::WeightInfo;
        Self::fullest_block()
            .saturating_add(T::WeightInfo::end_era())
            .saturating_add(T::WeightInfo::elect(T::MaxCandidates::get()))
    }
}
