//! What workers put at stake.

use crate::{chunks, pallet::*, BondKind, Charge, WorkerBond};
use blyan_primitives::{
    pact::Ppm,
    traits::{Slash, SlashId, Stakes},
};
use frame_support::{ensure, pallet_prelude::DispatchResult, traits::fungible::MutateHold};
use polkadot_sdk::*;

impl<T: Config> Pallet<T> {
    pub(crate) fn do_bond_worker(who: T::AccountId, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::ZeroAmount);
        let mut bond = WorkerBonds::<T>::get(&who);
        bond.active = bond.active.saturating_add(amount);
        ensure!(bond.active >= Self::rules().min_worker_bond, Error::<T>::BelowMinWorkerBond);
        T::Currency::hold(&HoldReason::Worker.into(), &who, amount)?;
        WorkerBonds::<T>::insert(&who, bond);
        Self::deposit_event(Event::Bonded { kind: BondKind::Worker, who, amount });
        Ok(())
    }

    pub(crate) fn do_unbond_worker(who: T::AccountId, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::ZeroAmount);
        let (rules, kind) = (Self::rules(), BondKind::Worker);
        let mut bond = WorkerBonds::<T>::get(&who);
        bond.active = bond.active.checked_sub(amount).ok_or(Error::<T>::NotEnoughBonded)?;
        ensure!(bond.active == 0 || bond.active >= rules.min_worker_bond, Error::<T>::BelowMinWorkerBond);
        let due = Self::start_unbonding(kind, &who, amount, &rules)?;
        Self::store_worker_bond(&who, bond);
        Self::deposit_event(Event::Unbonded { kind, who, amount, due });
        Ok(())
    }

    pub(crate) fn store_worker_bond(who: &T::AccountId, bond: WorkerBond) {
        if bond == WorkerBond::default() {
            WorkerBonds::<T>::remove(who);
        } else {
            WorkerBonds::<T>::insert(who, bond);
        }
    }
}

impl<T: Config> Stakes<T::AccountId, Balance> for Pallet<T> {
    fn worker_stake(account: &T::AccountId) -> Balance {
        WorkerBonds::<T>::get(account).active
    }
}

impl<T: Config> Slash<T::AccountId> for Pallet<T> {
    fn slash_worker(account: &T::AccountId, share: Ppm) -> Option<SlashId> {
        let mut bond = WorkerBonds::<T>::get(account);
        let unbonding = chunks::sum(&Unbonding::<T>::get(BondKind::Worker, account));
        let amount = share.of(bond.active.saturating_add(unbonding));
        if amount == 0 {
            return None;
        }
        bond.announced = bond.announced.saturating_add(amount);
        WorkerBonds::<T>::insert(account, bond);
        Some(Self::announce(account.clone(), Charge::Worker { amount }))
    }
}
