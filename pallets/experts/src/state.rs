//! Proof of the pallet's invariants.

use crate::pallet::*;
use alloc::collections::BTreeMap;
use blyan_primitives::{
    block::{BlockKind, Form},
    ids::ContentHash,
};
use frame_support::{ensure, traits::fungible::InspectHold};
use polkadot_sdk::*;
use sp_runtime::{traits::Saturating, TryRuntimeError};

impl<T: Config> Pallet<T> {
    /// Proves the invariants of the [pallet](crate).
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let mut uses = BTreeMap::<ContentHash, u32>::new();
        for (_, head) in Heads::<T>::iter() {
            let record = Self::record(head.block).ok_or("a slot holds a block that is not registered")?;
            ensure!(record.is_serving(BlockKind::Expert), "a slot holds what is not the serving form of an expert");
            uses.entry(head.block).or_default().saturating_inc();
        }
        let mut deposits = BTreeMap::<T::AccountId, BalanceOf<T>>::new();
        for (_, entry) in Blocks::<T>::iter() {
            if let Some(deposit) = &entry.deposit {
                deposits.entry(deposit.owner.clone()).or_default().saturating_accrue(deposit.amount);
            }
            let Some(hash) = entry.record.master else { continue };
            match Blocks::<T>::get(hash) {
                Some(master) => {
                    ensure!(master.record.form == Form::Master, "a serving form is derived from another serving form");
                    // A genesis block counts as a use of genesis masters only: others came later.
                    if entry.deposit.is_some() || master.deposit.is_none() {
                        uses.entry(hash).or_default().saturating_inc();
                    }
                },
                None => ensure!(entry.deposit.is_none(), "the master of a registered block is not registered"),
            }
        }
        for (hash, counted) in uses {
            let entry = Blocks::<T>::get(hash).ok_or("a block in use is not registered")?;
            ensure!(entry.uses >= counted, "a block has fewer uses counted than there are");
        }
        for (owner, amount) in deposits {
            let held = T::Currency::balance_on_hold(&HoldReason::BlockDeposit.into(), &owner);
            ensure!(held == amount, "deposits for blocks are not what is held");
        }
        Ok(())
    }
}
