//! Proof of the pallet's invariants.

use crate::pallet::*;
use alloc::collections::BTreeMap;
use blyan_primitives::{
    block::Form,
    ids::{ContentHash, SlotId},
};
use frame_support::{ensure, traits::fungible::InspectHold};
use polkadot_sdk::*;
use sp_runtime::{traits::Saturating, TryRuntimeError};

impl<T: Config> Pallet<T> {
    /// Proves the invariants of the [pallet](crate).
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_heads()?;
        Self::try_registrations()
    }

    fn try_heads() -> Result<(), TryRuntimeError> {
        let mut uses = BTreeMap::<ContentHash, u32>::new();
        let mut slots = 0u64;
        for (slot, head) in Heads::<T>::iter() {
            let record = Self::record(head.block).ok_or("a slot holds a block that is not registered")?;
            ensure!(record.is_served_expert(), "a slot holds what is not the serving form of an expert");
            ensure!(slot.index < Filled::<T>::get(slot.lineage, slot.layer), "a slot is filled and not counted");
            uses.entry(head.block).or_default().saturating_inc();
            slots.saturating_inc();
        }
        let mut counted = 0u64;
        for (lineage, layer, filled) in Filled::<T>::iter() {
            ensure!(filled > 0, "a layer without heads is stored");
            let last = SlotId { lineage, layer, index: filled.saturating_sub(1) };
            ensure!(Heads::<T>::contains_key(last), "a slot is counted and not filled");
            counted = counted.saturating_add(u64::from(filled));
        }
        ensure!(slots == counted, "a slot is counted and not filled");
        for (_, entry) in Blocks::<T>::iter().filter(|(_, entry)| entry.genesis) {
            let Some(hash) = entry.record.master else { continue };
            // A master that came later was not there to be counted.
            if Blocks::<T>::get(hash).is_some_and(|master| master.genesis) {
                uses.entry(hash).or_default().saturating_inc();
            }
        }
        for (hash, counted) in uses {
            let entry = Blocks::<T>::get(hash).ok_or("a block in use is not registered")?;
            ensure!(entry.uses >= counted, "a block has fewer uses counted than there are");
        }
        Ok(())
    }

    fn try_registrations() -> Result<(), TryRuntimeError> {
        let mut registrants = BTreeMap::<ContentHash, u32>::new();
        let mut derived = BTreeMap::<(ContentHash, T::AccountId), u32>::new();
        let mut deposits = BTreeMap::<T::AccountId, BalanceOf<T>>::new();
        for (block, who, registration) in Registrations::<T>::iter() {
            registrants.entry(block).or_default().saturating_inc();
            deposits.entry(who.clone()).or_default().saturating_accrue(registration.deposit);
            let Some(hash) = registration.master else { continue };
            let master = Blocks::<T>::get(hash).ok_or("the master of a registered block is not registered")?;
            ensure!(master.record.form == Form::Master, "a serving form is derived from another serving form");
            if !master.genesis {
                derived.entry((hash, who)).or_default().saturating_inc();
            }
        }
        for (block, who, registration) in Registrations::<T>::iter() {
            let counted = derived.remove(&(block, who)).unwrap_or_default();
            ensure!(registration.derived == counted, "serving forms that name a master are miscounted");
        }
        ensure!(derived.is_empty(), "an account names a master that it has not registered");
        for (block, entry) in Blocks::<T>::iter() {
            let counted = registrants.remove(&block).unwrap_or_default();
            ensure!(entry.registrants == counted, "the accounts that registered a block are miscounted");
            ensure!(entry.genesis || counted > 0, "a block is there that nobody has registered");
        }
        ensure!(registrants.is_empty(), "a registration is for no block");
        for who in frame_system::Account::<T>::iter_keys() {
            let deposit = deposits.remove(&who).unwrap_or_default();
            let held = T::Currency::balance_on_hold(&HoldReason::BlockDeposit.into(), &who);
            ensure!(held == deposit, "deposits for blocks are not what is held");
        }
        ensure!(deposits.is_empty(), "a deposit is from an account that does not exist");
        Ok(())
    }
}
