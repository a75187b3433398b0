//! What benchmarks find: accounts, candidates, delegations and exposures.

use crate::{pallet::*, *};
use alloc::vec::Vec;
use blyan_primitives::pact::Ppm;
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::Get,
    traits::fungible::{Inspect, Mutate, MutateHold},
    BoundedVec,
};
use sp_runtime::Percent;

const SEED: u32 = 0;

pub(super) fn fund<T: Config>(who: &T::AccountId) {
    let rules = Pallet::<T>::rules();
    let bonds = rules.min_self_bond + rules.min_worker_bond + rules.min_delegation;
    T::Currency::set_balance(who, (bonds + T::Currency::minimum_balance()) * 100);
}

pub(super) fn funded<T: Config>(name: &'static str, index: u32) -> T::AccountId {
    let who = account(name, index, SEED);
    fund::<T>(&who);
    who
}

pub(super) fn caller<T: Config>() -> T::AccountId {
    let who = whitelisted_caller();
    fund::<T>(&who);
    who
}

/// A candidate with keys and twice the least bond.
pub(super) fn candidate<T: Config>(who: &T::AccountId) -> Result<(), BenchmarkError> {
    T::Sessions::give_keys(who);
    Pallet::<T>::do_validate(who.clone(), Ppm(0), Pallet::<T>::rules().min_self_bond * 2)?;
    Ok(())
}

pub(super) fn candidates<T: Config>(count: u32) -> Result<Vec<T::AccountId>, BenchmarkError> {
    let all: Vec<_> = (0..count).map(|index| funded::<T>("candidate", index)).collect();
    for who in &all {
        candidate::<T>(who)?;
    }
    Ok(all)
}

/// A delegation of twice the least, whatever the bounds.
pub(super) fn bond_delegation<T: Config>(validator: &T::AccountId, who: &T::AccountId) -> Result<(), BenchmarkError> {
    let amount = Pallet::<T>::rules().min_delegation * 2;
    T::Currency::hold(&HoldReason::Delegation.into(), who, amount)?;
    Pallet::<T>::add_delegated(validator, who, amount, Percent::from_percent(50));
    Ok(())
}

pub(super) fn delegators<T: Config>(validator: &T::AccountId, count: u32) -> Result<Vec<T::AccountId>, BenchmarkError> {
    let all: Vec<_> = (0..count).map(|index| funded::<T>("delegator", index)).collect();
    for who in &all {
        bond_delegation::<T>(validator, who)?;
    }
    Ok(all)
}

/// Has `validators` elected for the next era, with nothing copied.
pub(super) fn expose<T: Config>(validators: &[T::AccountId]) -> EraIndex {
    let era = PlannedEra::<T>::get() + 1;
    CopyingEra::<T>::kill();
    Pallet::<T>::expose(era, validators, &Pallet::<T>::rules());
    era
}

/// As [`expose`], with everything copied.
pub(super) fn expose_all<T: Config>(validators: &[T::AccountId]) -> EraIndex {
    let era = expose::<T>(validators);
    while Pallet::<T>::copy_step() > 0 {}
    era
}

/// Parts on their way back, all but one of the most there can be.
pub(super) fn fill_unbonding<T: Config>(kind: BondKind, who: &T::AccountId) -> Result<(), BenchmarkError> {
    let parts: Vec<_> = (1..T::MaxUnbonding::get()).map(|due| Chunk { amount: 1, due }).collect();
    let held = parts.len() as Balance;
    T::Currency::hold(&HoldReason::from(kind).into(), who, held)?;
    let parts = BoundedVec::try_from(parts).map_err(|_| "fewer parts than the most")?;
    Unbonding::<T>::insert(kind, who, parts);
    Ok(())
}

/// Fills the places of candidates; the poorest of them has a delegator.
pub(super) fn fill_candidates<T: Config>() -> Result<(), BenchmarkError> {
    let left = T::MaxCandidates::get() - Candidates::<T>::count();
    let all = candidates::<T>(left)?;
    let poorest = all.first().ok_or("there are candidates")?;
    delegators::<T>(poorest, 1)?;
    Candidates::<T>::iter_keys().filter(|who| who != poorest).for_each(|who| {
        Candidates::<T>::mutate(who, |candidate| {
            if let Some(candidate) = candidate {
                candidate.own *= 2;
            }
        });
    });
    Ok(())
}

/// A validator whose places for delegators are taken, in the midst of being copied; the smallest delegation has all its
/// parts on their way back but one.
pub(super) fn full_validator<T: Config>() -> Result<T::AccountId, BenchmarkError> {
    let validator = funded::<T>("full", 0);
    candidate::<T>(&validator)?;
    let all = delegators::<T>(&validator, T::MaxDelegators::get())?;
    for who in &all {
        fill_unbonding::<T>(BondKind::Delegation, who)?;
    }
    expose::<T>(core::slice::from_ref(&validator));
    Ok(validator)
}

/// An exposure with `count` delegators who are exposed with more than they have, and the era it is of.
pub(super) fn overexposed<T: Config>(
    validator: &T::AccountId,
    who: &[T::AccountId],
    era: EraIndex,
) -> Result<(), BenchmarkError> {
    let count = who.len() as u32;
    let amount = Balance::MAX / 1_000;
    let own = amount;
    let exposure = Exposure { own, total: Balance::MAX / 2, commission: Ppm(0), delegators: count, copied: count };
    Exposures::<T>::insert(era, validator, exposure);
    let share = |who: &T::AccountId| Share { who: who.clone(), amount, auto_compound: Percent::from_percent(50) };
    let page: Vec<_> = who.iter().map(share).collect();
    let page = BoundedVec::try_from(page).map_err(|_| "no more than a page")?;
    ExposurePages::<T>::insert((era, validator, 0), page);
    Ok(())
}
