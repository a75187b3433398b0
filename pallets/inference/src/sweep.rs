//! What has come to its end goes by itself: with the weight that a block's transactions leave, a few channels and the oldest
//! anchors of a worker are looked at, in turn.
//!
//! Whoever wants a deposit back at once calls [`Pallet::close`] or [`Pallet::prune`]. This is for what nobody asks for any
//! more, because its owner has forgotten it or lost the key: the state does not keep it for ever.

use crate::{pallet::*, WeightInfo};
use alloc::vec::Vec;
use blyan_primitives::payment::ChannelId;
use frame_support::{
    defensive,
    pallet_prelude::{Get, Weight},
    storage::with_storage_layer,
};
use polkadot_sdk::*;

/// Channels that are looked at in a block.
pub const SWEPT_CHANNELS: u32 = 4;

impl<T: Config> Pallet<T> {
    /// Goes on with both rounds as far as `remaining` allows, and says what that took.
    pub(crate) fn sweep(remaining: Weight) -> Weight {
        let mut taken = Weight::zero();
        if T::WeightInfo::sweep_channels(SWEPT_CHANNELS).all_lte(remaining) {
            taken = T::WeightInfo::sweep_channels(Self::sweep_channels());
        }
        if T::WeightInfo::sweep_anchors(T::MaxPrune::get()).all_lte(remaining.saturating_sub(taken)) {
            taken = taken.saturating_add(T::WeightInfo::sweep_anchors(Self::sweep_anchors()));
        }
        taken
    }

    /// The most that [`Self::sweep`] takes.
    pub fn heaviest_sweep() -> Weight {
        T::WeightInfo::sweep_channels(SWEPT_CHANNELS).saturating_add(T::WeightInfo::sweep_anchors(T::MaxPrune::get()))
    }

    /// Closes those of the next channels that have ended, and says how many.
    pub(crate) fn sweep_channels() -> u32 {
        let keys = match SweptChannel::<T>::get() {
            None => Channels::<T>::iter_keys(),
            Some(last) => Channels::<T>::iter_keys_from(Channels::<T>::hashed_key_for(last)),
        };
        let ids: Vec<ChannelId> = keys.take(SWEPT_CHANNELS as usize).collect();
        // There are no more: the next round begins with the first.
        let is_last = ids.len() < SWEPT_CHANNELS as usize;
        SweptChannel::<T>::set(ids.last().copied().filter(|_| !is_last));
        let mut closed = 0u32;
        for id in ids {
            let Some(channel) = Channels::<T>::get(id).filter(Self::has_ended) else { continue };
            match with_storage_layer(|| Self::remove(id, channel)) {
                Ok(()) => closed = closed.saturating_add(1),
                Err(_) => {
                    defensive!("what is in a channel is held");
                },
            }
        }
        closed
    }

    /// Prunes the next worker's anchors, and says how many. A worker that has more is the next one once more.
    pub(crate) fn sweep_anchors() -> u32 {
        let mut workers = match SweptWorker::<T>::get() {
            None => ServedBy::<T>::iter_keys(),
            Some(last) => ServedBy::<T>::iter_keys_from(ServedBy::<T>::hashed_key_for(last)),
        };
        let Some(worker) = workers.next() else {
            SweptWorker::<T>::kill();
            return 0;
        };
        let most = T::MaxPrune::get();
        let pruned = match with_storage_layer(|| Self::do_prune(worker.clone(), most)) {
            Ok(pruned) => pruned,
            Err(error) if error == Error::<T>::NothingToPrune.into() => 0,
            Err(_) => {
                defensive!("the deposits of a worker's anchors are held");
                0
            },
        };
        if pruned < most {
            SweptWorker::<T>::put(worker);
        }
        pruned
    }
}
