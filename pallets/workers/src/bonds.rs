//! What workers put at stake, and how it comes back.

use crate::{pallet::*, Bond, Unbonding};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchResult, Get},
    traits::{fungible::MutateHold, tokens::Precision},
    BoundedVec,
};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_runtime::traits::{Saturating, Zero};

impl<T: Config> Pallet<T> {
    pub(crate) fn do_bond(who: T::AccountId, amount: BalanceOf<T>) -> DispatchResult {
        ensure!(!amount.is_zero(), Error::<T>::ZeroAmount);
        ensure!(Workers::<T>::contains_key(&who), Error::<T>::NotRegistered);
        let mut bond = Bonds::<T>::get(&who).unwrap_or(Bond { active: Zero::zero(), unbonding: BoundedVec::new() });
        bond.active = bond.active.saturating_add(amount);
        ensure!(bond.active >= T::MinBond::get(), Error::<T>::BelowMinBond);
        T::Currency::hold(&HoldReason::Bond.into(), &who, amount)?;
        Bonds::<T>::insert(&who, bond);
        Self::deposit_event(Event::Bonded { worker: who, amount });
        Ok(())
    }

    pub(crate) fn do_unbond(who: T::AccountId, amount: BalanceOf<T>) -> DispatchResult {
        ensure!(!amount.is_zero(), Error::<T>::ZeroAmount);
        let mut bond = Bonds::<T>::get(&who).ok_or(Error::<T>::NotEnoughBonded)?;
        ensure!(amount <= bond.active, Error::<T>::NotEnoughBonded);
        bond.active = bond.active.saturating_sub(amount);
        ensure!(bond.active.is_zero() || bond.active >= T::MinBond::get(), Error::<T>::BelowMinBond);
        let due = Self::due();
        match bond.unbonding.last_mut().filter(|last| last.due == due) {
            Some(last) => last.amount = last.amount.saturating_add(amount),
            None => {
                bond.unbonding.try_push(Unbonding { amount, due }).map_err(|_| Error::<T>::TooManyUnbonding)?;
            },
        }
        Bonds::<T>::insert(&who, bond);
        Self::deposit_event(Event::Unbonded { worker: who, amount, due });
        Ok(())
    }

    /// Sends all of a bond on its way back. When there is no room for another part, the last one takes it up and is due
    /// when this one is: a worker can always leave.
    pub(crate) fn unbond_all(who: &T::AccountId) {
        let Some(mut bond) = Bonds::<T>::get(who).filter(|bond| !bond.active.is_zero()) else { return };
        let (amount, due) = (bond.active, Self::due());
        bond.active = Zero::zero();
        if bond.unbonding.try_push(Unbonding { amount, due }).is_err() {
            if let Some(last) = bond.unbonding.last_mut() {
                *last = Unbonding { amount: last.amount.saturating_add(amount), due: last.due.max(due) };
            }
        }
        Bonds::<T>::insert(who, bond);
        Self::deposit_event(Event::Unbonded { worker: who.clone(), amount, due });
    }

    pub(crate) fn do_withdraw_unbonded(who: T::AccountId) -> DispatchResult {
        let mut bond = Bonds::<T>::get(&who).ok_or(Error::<T>::NothingDue)?;
        let now = frame_system::Pallet::<T>::block_number();
        let mut amount = BalanceOf::<T>::zero();
        bond.unbonding.retain(|part| {
            let due = part.due <= now;
            if due {
                amount = amount.saturating_add(part.amount);
            }
            !due
        });
        ensure!(!amount.is_zero(), Error::<T>::NothingDue);
        T::Currency::release(&HoldReason::Bond.into(), &who, amount, Precision::Exact)?;
        if bond.active.is_zero() && bond.unbonding.is_empty() {
            Bonds::<T>::remove(&who);
        } else {
            Bonds::<T>::insert(&who, bond);
        }
        Self::deposit_event(Event::Withdrawn { worker: who, amount });
        Ok(())
    }

    fn due() -> BlockNumberFor<T> {
        frame_system::Pallet::<T>::block_number().saturating_add(T::UnbondingPeriod::get())
    }
}
