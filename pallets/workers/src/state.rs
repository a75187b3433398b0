//! Proof of the pallet's invariants.

use crate::pallet::*;
use alloc::collections::BTreeMap;
use blyan_primitives::trust::Standing;
use frame_support::{ensure, traits::fungible::InspectHold};
use polkadot_sdk::*;
use sp_runtime::{traits::Saturating, TryRuntimeError};

impl<T: Config> Pallet<T> {
    /// Proves the invariants of the [pallet](crate).
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        for (who, record) in Workers::<T>::iter() {
            ensure!(record.info.check().is_ok(), "a worker's information is unsound");
            ensure!(record.tier == record.info.hardware.tier(), "a worker's tier is not that of its hardware");
            ensure!(Keys::<T>::get(record.info.key).as_ref() == Some(&who), "a worker's key leads elsewhere");
            let binding = Hardware::<T>::get(record.info.hardware_id).ok_or("a worker's machine is not bound")?;
            ensure!(binding.owner == who && binding.free_at.is_none(), "a worker's machine is bound elsewhere");
        }
        ensure!(Workers::<T>::iter().count() == Workers::<T>::count() as usize, "workers are miscounted");
        for (key, who) in Keys::<T>::iter() {
            let record = Workers::<T>::get(who).ok_or("a key leads to no worker")?;
            ensure!(record.info.key == key, "a key leads to a worker that has another");
        }
        for (who, period) in LastHeartbeat::<T>::iter() {
            ensure!(Workers::<T>::contains_key(who), "a heartbeat is from no worker");
            ensure!(period <= Self::current_period(), "a heartbeat is from a later period");
        }
        let mut deposits = BTreeMap::<T::AccountId, BalanceOf<T>>::new();
        for (hardware, binding) in Hardware::<T>::iter() {
            if binding.free_at.is_none() {
                let record = Workers::<T>::get(&binding.owner).ok_or("a machine is bound to no worker")?;
                ensure!(record.info.hardware_id == hardware, "a machine is bound to a worker that has another");
            }
            deposits.entry(binding.owner).or_default().saturating_accrue(binding.deposit);
        }
        for (owner, amount) in deposits {
            let held = T::Currency::balance_on_hold(&HoldReason::Registration.into(), &owner);
            ensure!(held == amount, "deposits for machines are not what is held");
        }
        for standing in Standings::<T>::iter_values() {
            ensure!(standing != Standing::default(), "a standing is kept that everybody begins with");
        }
        Ok(())
    }
}
