//! Proof of the pallet's invariants.

use crate::{chunks, pallet::*, BondKind, Charge, PAGE};
use alloc::collections::{BTreeMap, BTreeSet};
use blyan_primitives::pact::Ppm;
use frame_support::{ensure, pallet_prelude::Get, traits::fungible::InspectHold};
use polkadot_sdk::*;
use sp_runtime::{Perbill, TryRuntimeError};

type Sums<T> = BTreeMap<(BondKind, <T as frame_system::Config>::AccountId), Balance>;

fn add<K: Ord>(sums: &mut BTreeMap<K, Balance>, key: K, amount: Balance) {
    let sum = sums.entry(key).or_default();
    *sum = sum.saturating_add(amount);
}

impl<T: Config> Pallet<T> {
    /// Proves the invariants of the [pallet](crate).
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let mut sums = Sums::<T>::new();
        Self::try_candidates(&mut sums)?;
        Self::try_delegations(&mut sums)?;
        for (who, bond) in WorkerBonds::<T>::iter() {
            ensure!(bond != Default::default(), "an empty worker's bond is kept");
            add(&mut sums, (BondKind::Worker, who), bond.active);
        }
        for (kind, who, parts) in Unbonding::<T>::iter() {
            ensure!(!parts.is_empty(), "an empty list of parts on their way back is kept");
            ensure!(parts.iter().all(|part| part.amount > 0), "nothing is on its way back");
            let order = parts.iter().zip(parts.iter().skip(1)).all(|(one, next)| one.due < next.due);
            ensure!(order, "parts on their way back are out of order");
            add(&mut sums, (kind, who), chunks::sum(&parts));
        }
        let held = |kind, who: &_| T::Currency::balance_on_hold(&HoldReason::from(kind).into(), who);
        for who in frame_system::Account::<T>::iter_keys() {
            for kind in [BondKind::Validator, BondKind::Delegation, BondKind::Worker] {
                let sum = sums.remove(&(kind, who.clone())).unwrap_or(0);
                ensure!(held(kind, &who) == sum, "bonds are not what is held");
            }
        }
        ensure!(sums.values().all(|sum| *sum == 0), "a bond is of no account");
        Self::try_eras()?;
        Self::try_exposures()?;
        Self::try_slashes()
    }

    fn try_candidates(sums: &mut Sums<T>) -> Result<(), TryRuntimeError> {
        let leaving: BTreeSet<_> = Leaving::<T>::get().into_iter().collect();
        ensure!(leaving.len() == Leaving::<T>::get().len(), "a validator is leaving twice");
        let mut count = 0u32;
        for (who, candidate) in Candidates::<T>::iter() {
            ensure!(!leaving.contains(&who), "a candidate is leaving");
            ensure!(candidate.commission <= Ppm::ONE, "a commission is more than all");
            let (mut delegated, mut delegators) = (0 as Balance, 0u32);
            for (_, delegation) in Delegations::<T>::iter_prefix(&who) {
                delegated = delegated.saturating_add(delegation.amount);
                delegators = delegators.saturating_add(1);
            }
            ensure!(candidate.delegated == delegated, "a candidate's delegations do not add up");
            ensure!(candidate.delegators == delegators, "a candidate's delegators are miscounted");
            ensure!(delegators <= T::MaxDelegators::get(), "a candidate has too many delegators");
            add(sums, (BondKind::Validator, who), candidate.own);
            count = count.saturating_add(1);
        }
        ensure!(count == Candidates::<T>::count(), "candidates are miscounted");
        ensure!(count <= T::MaxCandidates::get(), "there are too many candidates");
        Ok(())
    }

    fn try_delegations(sums: &mut Sums<T>) -> Result<(), TryRuntimeError> {
        let leaving = Leaving::<T>::get();
        let mut count = 0usize;
        for (validator, who, delegation) in Delegations::<T>::iter() {
            ensure!(delegation.amount > 0, "nothing is delegated");
            let is_known = Candidates::<T>::contains_key(&validator) || leaving.contains(&validator);
            ensure!(is_known, "a delegation is to nobody");
            ensure!(Delegators::<T>::get(&who).contains(&validator), "a delegator does not list a delegation");
            add(sums, (BondKind::Delegation, who), delegation.amount);
            count = count.saturating_add(1);
        }
        let mut listed = 0usize;
        for (_, validators) in Delegators::<T>::iter() {
            ensure!(!validators.is_empty(), "an empty list of delegations is kept");
            listed = listed.saturating_add(validators.len());
        }
        ensure!(listed == count, "a delegator lists what it does not delegate");
        Ok(())
    }

    fn try_eras() -> Result<(), TryRuntimeError> {
        let (active, planned) = (ActiveEra::<T>::get(), PlannedEra::<T>::get());
        ensure!(active <= planned && planned <= active.saturating_add(1), "eras are not elected one ahead");
        ensure!(NextPaid::<T>::get() <= active, "an era is paid that is not over");
        ensure!(NextPruned::<T>::get() <= NextPaid::<T>::get(), "an era is pruned that is not paid");
        let mut blocks = 0u32;
        for (who, written) in Blocks::<T>::iter_prefix(active) {
            ensure!(Exposures::<T>::contains_key(active, who), "a block counts for nobody");
            blocks = blocks.saturating_add(written);
        }
        ensure!(blocks == EraBlocks::<T>::get(), "blocks are miscounted");
        let mut owed = 0 as Balance;
        for (era, payout) in Payouts::<T>::iter() {
            ensure!(era < active && era >= NextPaid::<T>::get(), "an era is owed that is paid or not over");
            ensure!(payout.left <= payout.reward, "an era is owed more than it earned");
            owed = owed.saturating_add(payout.left);
        }
        ensure!(owed == Owed::<T>::get(), "what is owed does not add up");
        ensure!(Self::in_pot() >= owed, "what is owed is not in the pot");
        if let Some(paying) = PayingNow::<T>::get() {
            ensure!(Payouts::<T>::contains_key(NextPaid::<T>::get()), "somebody is paid for an era that is not owed");
            ensure!(Exposures::<T>::contains_key(NextPaid::<T>::get(), paying.validator), "nobody is being paid");
        }
        Ok(())
    }

    fn try_exposures() -> Result<(), TryRuntimeError> {
        if let Some(copying) = CopyingEra::<T>::get() {
            ensure!(copying.era == PlannedEra::<T>::get(), "exposures are copied of an era that was not elected last");
        }
        for (era, who, exposure) in Exposures::<T>::iter() {
            ensure!(era <= PlannedEra::<T>::get(), "an exposure is of an era that is not elected");
            ensure!(exposure.copied <= exposure.delegators, "an exposure has more delegations than it had");
            let (mut sum, mut copied) = (exposure.own, 0u32);
            let mut whose = BTreeSet::new();
            for page in 0..exposure.pages() {
                let shares = ExposurePages::<T>::get((era, &who, page));
                let full = shares.len() == PAGE as usize || page.saturating_add(1) == exposure.pages();
                ensure!(full, "a page that is not the last has room");
                for share in shares {
                    sum = sum.saturating_add(share.amount);
                    copied = copied.saturating_add(1);
                    ensure!(whose.insert(share.who), "a delegation is copied twice");
                }
            }
            ensure!(copied == exposure.copied, "copied delegations are miscounted");
            let adds_up = if exposure.is_complete() { sum == exposure.total } else { sum <= exposure.total };
            ensure!(adds_up, "an exposure does not add up");
        }
        Ok(())
    }

    fn try_slashes() -> Result<(), TryRuntimeError> {
        let (mut suspects, mut eras, mut announced) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut count = 0usize;
        for (slash, pending) in PendingSlashes::<T>::iter() {
            ensure!(slash < NextSlash::<T>::get(), "a slash has a number that was not given");
            ensure!(SlashQueue::<T>::contains_key(pending.apply_at, slash), "a slash is not queued");
            ensure!(pending.apply_at >= NextSlashEra::<T>::get(), "a slash was passed over");
            count = count.saturating_add(1);
            match pending.charge {
                Charge::Validator { era, .. } => {
                    add(&mut suspects, pending.who, 1);
                    add(&mut eras, era, 1);
                },
                Charge::Worker { amount } => add(&mut announced, pending.who, amount),
            }
        }
        ensure!(SlashQueue::<T>::iter().count() == count, "a slash is queued that is not announced");
        let same =
            Suspects::<T>::iter().map(|(who, n)| (who, Balance::from(n))).collect::<BTreeMap<_, _>>() == suspects;
        ensure!(same, "slashes against validators are miscounted");
        let same = SlashesOf::<T>::iter().map(|(era, n)| (era, Balance::from(n))).collect::<BTreeMap<_, _>>() == eras;
        ensure!(same, "slashes about eras are miscounted");
        for (who, bond) in WorkerBonds::<T>::iter() {
            let expected = announced.remove(&who).unwrap_or(0);
            ensure!(bond.announced == expected, "slashes against a worker do not add up");
        }
        ensure!(announced.is_empty(), "a slash is against no worker");
        for (_, _, fraction) in Convictions::<T>::iter() {
            ensure!(fraction > Perbill::zero(), "a conviction is for nothing");
        }
        Ok(())
    }
}
