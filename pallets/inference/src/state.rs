//! Proof of the pallet's invariants.

use crate::pallet::*;
use alloc::collections::BTreeMap;
use frame_support::{ensure, traits::fungible::InspectHold};
use polkadot_sdk::*;
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Proves the invariants of the [pallet](crate).
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_channels()?;
        Self::try_anchors()
    }

    fn try_channels() -> Result<(), TryRuntimeError> {
        let next = NextChannel::<T>::get();
        let mut payers = BTreeMap::<T::AccountId, Balance>::new();
        for (id, channel) in Channels::<T>::iter() {
            ensure!(id < next, "a channel has a number that was not given yet");
            ensure!(channel.redeemed <= channel.escrow, "a channel has paid out more than was put in");
            ensure!(ChannelsByPayer::<T>::contains_key(&channel.payer, id), "a channel is not listed with its payer");
            let rest = channel.escrow.saturating_sub(channel.redeemed).saturating_add(channel.deposit);
            let sum = payers.entry(channel.payer).or_default();
            *sum = sum.saturating_add(rest);
        }
        for (payer, id, ()) in ChannelsByPayer::<T>::iter() {
            let channel = Channels::<T>::get(id).ok_or("a payer's channel does not exist")?;
            ensure!(channel.payer == payer, "a channel is listed with another payer");
        }
        Self::try_holds(HoldReason::Channel, payers, "what is in a payer's channels is not what is held")
    }

    fn try_anchors() -> Result<(), TryRuntimeError> {
        let mut workers = BTreeMap::<T::AccountId, (u64, Balance)>::new();
        for (worker, sequence, anchor) in Anchors::<T>::iter() {
            let served = ServedBy::<T>::get(&worker);
            ensure!((served.oldest..served.next).contains(&sequence), "an anchor's sequence number is out of order");
            let (count, sum) = workers.entry(worker).or_default();
            *count = count.saturating_add(1);
            *sum = sum.saturating_add(anchor.deposit);
        }
        let mut deposits = BTreeMap::<T::AccountId, Balance>::new();
        for (worker, served) in ServedBy::<T>::iter() {
            let (count, sum) = workers.remove(&worker).unwrap_or_default();
            ensure!(served.next.checked_sub(served.oldest) == Some(count), "a worker's anchors have gaps");
            deposits.insert(worker, sum.saturating_add(served.deposit));
        }
        ensure!(workers.is_empty(), "an anchor is from a worker that has anchored nothing");
        Self::try_holds(HoldReason::AnchorDeposit, deposits, "deposits for anchors are not what is held")
    }

    /// What is held for `reason` from each account, of all there are, is what `sums` says, and nothing where it says nothing.
    fn try_holds(
        reason: HoldReason,
        mut sums: BTreeMap<T::AccountId, Balance>,
        problem: &'static str,
    ) -> Result<(), TryRuntimeError> {
        let reason = T::RuntimeHoldReason::from(reason);
        for who in frame_system::Account::<T>::iter_keys() {
            let sum = sums.remove(&who).unwrap_or_default();
            ensure!(T::Currency::balance_on_hold(&reason, &who) == sum, problem);
        }
        ensure!(sums.values().all(|sum| *sum == 0), problem);
        Ok(())
    }
}
