//! The treasury.

use crate::{pallet::*, TreasuryStatus};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchResult, Get},
    traits::{
        fungible::{Inspect, Mutate},
        tokens::{Preservation, Provenance},
    },
};
use polkadot_sdk::*;
use sp_runtime::traits::AccountIdConversion;

impl<T: Config> Pallet<T> {
    /// The treasury's account.
    pub fn treasury_account() -> T::AccountId {
        T::PalletId::get().into_sub_account_truncating(b"treasury")
    }

    pub(crate) fn do_spend(to: T::AccountId, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::ZeroAmount);
        let treasury = Self::treasury_account();
        ensure!(amount <= Self::spendable(&treasury), Error::<T>::InsufficientTreasury);
        ensure!(Self::can_receive(&to, amount, Provenance::Extant), Error::<T>::CannotReceive);
        T::Currency::transfer(&treasury, &to, amount, Preservation::Preserve)?;
        Self::deposit_event(Event::TreasurySpent { to, amount });
        Ok(())
    }

    pub(crate) fn treasury_status() -> TreasuryStatusOf<T> {
        let account = Self::treasury_account();
        TreasuryStatus { balance: T::Currency::balance(&account), available: Self::spendable(&account), account }
    }
}
