//! Payment for accepted work: the only place where money is minted.

use crate::{pallet::*, Spending};
use blyan_primitives::traits::{Payout, Pool};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchError, Get},
    storage::with_storage_layer,
    traits::{
        fungible::Balanced,
        tokens::{Fortitude, Precision, Preservation, Provenance},
        Defensive, Imbalance,
    },
};
use polkadot_sdk::*;
use sp_runtime::{traits::Zero, ArithmeticError, TokenError};

impl<T: Config> Payout<T::AccountId, Balance> for Pallet<T> {
    fn available(pool: Pool) -> Balance {
        // Both are parts of what the cap bounds, whose double can be counted.
        Self::spendable(&Self::pool_account(pool)).saturating_add(Self::mintable(pool))
    }

    fn pay(pool: Pool, to: &T::AccountId, amount: Balance) -> Balance {
        // Whether it can be paid is known before anything moves. Should it fail nevertheless, nothing has happened, and the
        // node's log says so: a caller in a hook has no transaction that could fail.
        with_storage_layer(|| Self::try_pay(pool, to, amount)).defensive_unwrap_or(0)
    }
}

impl<T: Config> Pallet<T> {
    fn try_pay(pool: Pool, to: &T::AccountId, amount: Balance) -> Result<Balance, DispatchError> {
        let account = Self::pool_account(pool);
        let from_pool = amount.min(Self::spendable(&account));
        let minted = amount.checked_sub(from_pool).ok_or(ArithmeticError::Underflow)?.min(Self::mintable(pool));
        let paid = from_pool.checked_add(minted).ok_or(ArithmeticError::Overflow)?;
        if paid.is_zero() || !Self::can_receive(to, paid, Provenance::Minted) {
            return Ok(0);
        }

        let mut credit = CreditOf::<T>::zero();
        if !from_pool.is_zero() {
            let (exact, keep, polite) = (Precision::Exact, Preservation::Preserve, Fortitude::Polite);
            credit = T::Currency::withdraw(&account, from_pool, exact, keep, polite)?;
        }
        if !minted.is_zero() {
            credit = credit.merge(Self::mint(pool, minted)?);
        }
        // In one piece, because either part alone might not suffice to open the account.
        T::Currency::resolve(to, credit).map_err(|_| TokenError::CannotCreate)?;
        Self::deposit_event(Event::Paid { pool, to: to.clone(), from_pool, minted });
        Ok(paid)
    }

    /// New money, counted against the cap and the pool's budget.
    pub(crate) fn mint(pool: Pool, amount: Balance) -> Result<CreditOf<T>, DispatchError> {
        let minted = Minted::<T>::get().checked_add(amount).ok_or(ArithmeticError::Overflow)?;
        ensure!(minted <= T::MaxIssuance::get(), ArithmeticError::Overflow);
        let spent = Self::spent(pool).checked_add(amount).ok_or(ArithmeticError::Overflow)?;
        Minted::<T>::put(minted);
        Spent::<T>::insert(pool, Spending { era: T::CurrentEra::get(), amount: spent });
        Ok(T::Currency::issue(amount))
    }
}
