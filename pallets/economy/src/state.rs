//! Proof of the pallet's invariants.

use crate::pallet::*;
use frame_support::{
    ensure,
    traits::{fungible::Inspect, Get},
};
use polkadot_sdk::*;
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Proves the invariants of the [pallet](crate).
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let (minted, allocated) = (Minted::<T>::get(), Allocated::<T>::get());
        ensure!(minted <= T::MaxIssuance::get(), "more was minted than ever can be");
        ensure!(T::Currency::total_issuance() <= minted, "there is more money than was minted");
        let emitted = minted.checked_sub(allocated).ok_or("more was allocated than was minted")?;
        let (era, mut spent) = (T::CurrentEra::get(), 0u128);
        for spending in Spent::<T>::iter_values() {
            ensure!(spending.era <= era, "a pool has minted in a later era");
            spent = spent.checked_add(spending.amount).ok_or("pools have minted more than can be counted")?;
        }
        ensure!(spent <= emitted, "pools have minted more than was minted");
        Ok(())
    }
}
