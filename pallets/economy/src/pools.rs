//! The pools' accounts and budgets.

use crate::{pallet::*, Issuance, PoolStatus, Supply};
use blyan_primitives::{
    pact::Ppm,
    traits::{PactProvider, Payout, Pool},
};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchResult, Get},
    traits::{
        fungible::{Inspect, Mutate},
        tokens::{Fortitude, Preservation, Provenance},
    },
};
use polkadot_sdk::*;
use sp_runtime::traits::AccountIdConversion;

impl<T: Config> Pallet<T> {
    /// The account that holds what `pool` was given.
    pub fn pool_account(pool: Pool) -> T::AccountId {
        T::PalletId::get().into_sub_account_truncating((b"pool", pool))
    }

    /// What `account` can give away and still exist.
    pub(crate) fn spendable(account: &T::AccountId) -> Balance {
        T::Currency::reducible_balance(account, Preservation::Preserve, Fortitude::Polite)
    }

    /// Whether `account` can take `amount`.
    pub(crate) fn can_receive(account: &T::AccountId, amount: Balance, provenance: Provenance) -> bool {
        T::Currency::can_deposit(account, amount, provenance).into_result().is_ok()
    }

    pub(crate) fn supply() -> Supply {
        Supply { cap: T::MaxIssuance::get(), allocated: Allocated::<T>::get(), minted: Minted::<T>::get() }
    }

    /// What may be minted for `pool` in an era at the present rate. Shares are rounded down: together they are no more than the
    /// era's budget.
    pub(crate) fn budget(pool: Pool) -> Balance {
        let economy = T::Pact::pact().economy;
        let share: Ppm = match pool {
            Pool::Validation => economy.validation,
            Pool::Learning => economy.learning,
            Pool::Data => economy.data,
            Pool::Inference => economy.inference,
        };
        share.of(Self::supply().era_budget(economy.era_emission))
    }

    /// What was minted for `pool` in the present era.
    pub(crate) fn spent(pool: Pool) -> Balance {
        let spending = Spent::<T>::get(pool);
        if spending.era == T::CurrentEra::get() {
            spending.amount
        } else {
            0
        }
    }

    /// What can still be minted for `pool` in the present era.
    pub(crate) fn mintable(pool: Pool) -> Balance {
        // Where more was spent than the budget is by now, after a halving or a change of the Pact, nothing is left.
        Self::budget(pool).saturating_sub(Self::spent(pool)).min(Self::supply().left())
    }

    pub(crate) fn do_fund_pool(who: T::AccountId, pool: Pool, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::ZeroAmount);
        ensure!(amount <= Self::spendable(&who), Error::<T>::InsufficientFunds);
        let account = Self::pool_account(pool);
        ensure!(Self::can_receive(&account, amount, Provenance::Extant), Error::<T>::CannotReceive);
        T::Currency::transfer(&who, &account, amount, Preservation::Preserve)?;
        Self::deposit_event(Event::PoolFunded { pool, from: who, amount });
        Ok(())
    }

    pub(crate) fn pool_status(pool: Pool) -> PoolStatusOf<T> {
        let account = Self::pool_account(pool);
        PoolStatus {
            pool,
            balance: T::Currency::balance(&account),
            account,
            budget: Self::budget(pool),
            spent: Self::spent(pool),
            available: <Self as Payout<_, _>>::available(pool),
        }
    }

    pub(crate) fn issuance_now() -> Issuance {
        let (supply, issuance) = (Self::supply(), T::Currency::total_issuance());
        let Supply { cap, allocated, minted } = supply;
        Issuance {
            cap,
            allocated,
            minted,
            issuance,
            // There is never more than was minted.
            burnt: minted.saturating_sub(issuance),
            halvings: supply.halvings(),
            era: T::CurrentEra::get(),
            era_budget: supply.era_budget(T::Pact::pact().economy.era_emission),
        }
    }
}
