//! Which block each slot holds, and the only ways in which that changes.
//!
//! The slots of a layer are filled in the order of their indices and emptied from the end. So one number a layer says which
//! of them are filled, and whether a spec's slots all are is known without a look at each.
//!
//! What a slot held before is remembered for a while: an answer is checked against the weights of its time.

use crate::{pallet::*, Head};
use alloc::vec::Vec;
use blyan_primitives::{
    ids::{ContentHash, SlotId, SpecId},
    traits::{BlockUses, SlotHeads, SpecRegistry},
};
use frame_support::{ensure, pallet_prelude::Get, BoundedVec};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_runtime::traits::Saturating;

/// Most blocks that are remembered of what a slot held before. The oldest is forgotten for one more.
pub const MAX_FORMER_HEADS: u32 = 128;

impl<T: Config> Pallet<T> {
    /// Fills the slots of the genesis model.
    ///
    /// Panics when a slot is filled twice or before another of its layer, or with what inference cannot compute on as an
    /// expert: such a chain must not start. Whether the heads fit the genesis spec is checked with the spec.
    pub(crate) fn build_genesis_heads(heads: &[(SlotId, ContentHash)]) {
        for (slot, block) in heads {
            let filled = Self::filled(slot.lineage, slot.layer);
            assert!(slot.index >= filled, "genesis slot {slot} is filled twice");
            assert!(slot.index == filled, "genesis slot {slot} is filled before the one in front of it");
            let serves = Self::record(*block).is_some_and(|record| record.is_served_expert());
            assert!(serves, "genesis slot {slot} holds {block}, which is not the serving form of an expert");
            assert!(Self::acquire(*block).is_ok(), "genesis block {block} has too many uses");
            Self::put(slot, *block);
        }
    }

    /// The heads of a layer of a spec, in whatever state the spec is.
    pub(crate) fn layer(spec: SpecId, layer: u16) -> Vec<Option<HeadOf<T>>> {
        let known = T::Specs::known_spec(spec).filter(|(_, dimensions)| layer < dimensions.layers);
        let Some((lineage, dimensions)) = known else { return Vec::new() };
        (0..dimensions.experts).map(|index| Heads::<T>::get(SlotId { lineage, layer, index })).collect()
    }

    /// Empties slots of a lineage that serves nobody any more, at most `limit`, and says how many. Their blocks are no longer
    /// used by them, so that whoever registered those can have the deposits back.
    pub(crate) fn do_release_heads(lineage: SpecId, limit: u32) -> Result<u32, Error<T>> {
        ensure!(!T::Specs::is_open(lineage), Error::<T>::LineageOpen);
        let limit = limit.min(T::MaxReleased::get());
        let mut released = 0u32;
        while released < limit {
            let Some((layer, mut filled)) = Filled::<T>::iter_prefix(lineage).next() else { break };
            while released < limit && filled > 0 {
                filled = filled.saturating_sub(1);
                let slot = SlotId { lineage, layer, index: filled };
                if let Some(head) = Heads::<T>::take(slot) {
                    Self::let_go(&slot, head.block);
                }
                FormerHeads::<T>::remove(slot);
                released = released.saturating_add(1);
            }
            if filled == 0 {
                Filled::<T>::remove(lineage, layer);
            } else {
                Filled::<T>::insert(lineage, layer, filled);
            }
        }
        ensure!(released > 0, Error::<T>::NothingToRelease);
        Self::deposit_event(Event::HeadsReleased { lineage, released });
        Ok(released)
    }

    /// Fills the first empty slot of a layer with a block whose use is counted already.
    fn put(slot: &SlotId, block: ContentHash) {
        let since = frame_system::Pallet::<T>::block_number();
        Heads::<T>::insert(slot, Head { block, since, moves: 0 });
        Filled::<T>::insert(slot.lineage, slot.layer, slot.index.saturating_add(1));
    }

    /// A slot no longer uses the block that it held, nor the master of that.
    fn let_go(slot: &SlotId, block: ContentHash) {
        Self::release(block);
        if let Some(master) = Masters::<T>::take(slot) {
            Self::release(master);
        }
    }

    /// The master of the block that a slot holds: what a round has recorded, or what the chain itself vouches for.
    pub(crate) fn master_of(slot: &SlotId, block: ContentHash) -> Option<ContentHash> {
        Masters::<T>::get(slot).or_else(|| Self::record(block)?.master)
    }

    /// Remembers what a slot held until now, and forgets what it held so long ago that nobody can ask for it.
    fn remember(slot: &SlotId, head: HeadOf<T>, now: BlockNumberFor<T>) {
        let mut heads = FormerHeads::<T>::get(slot).into_inner();
        heads.push(head);
        // Each was held until the next one came; the last was until now.
        let is_forgotten = |next: &&HeadOf<T>| next.since.saturating_add(T::HeadHistory::get()) <= now;
        let forgotten = heads.iter().skip(1).take_while(is_forgotten).count();
        let too_many = heads.len().saturating_sub(MAX_FORMER_HEADS as usize);
        let kept = heads.into_iter().skip(forgotten.max(too_many)).collect::<Vec<_>>();
        FormerHeads::<T>::insert(slot, BoundedVec::truncate_from(kept));
    }

    /// What a slot held at the end of block `height`, as the state of that block says too, as far as that is remembered.
    pub(crate) fn block_at(slot: &SlotId, height: BlockNumberFor<T>) -> Option<ContentHash> {
        if height > frame_system::Pallet::<T>::block_number() {
            return None;
        }
        let head = Heads::<T>::get(slot)?;
        if head.since <= height {
            return Some(head.block);
        }
        FormerHeads::<T>::get(slot).iter().rev().find(|former| former.since <= height).map(|former| former.block)
    }
}

impl<T: Config> SlotHeads for Pallet<T> {
    type Error = Error<T>;

    fn head(slot: &SlotId) -> Option<ContentHash> {
        Heads::<T>::get(slot).map(|head| head.block)
    }

    fn filled(lineage: SpecId, layer: u16) -> u16 {
        Filled::<T>::get(lineage, layer)
    }

    fn fill_head(spec: SpecId, layer: u16, index: u16, block: ContentHash) -> Result<(), Error<T>> {
        let (lineage, dimensions) = T::Specs::open_spec(spec).ok_or(Error::<T>::SpecNotOpen)?;
        ensure!(layer < dimensions.layers && index < dimensions.experts, Error::<T>::UnknownSlot);
        let filled = Self::filled(lineage, layer);
        ensure!(index >= filled, Error::<T>::SlotTaken);
        ensure!(index == filled, Error::<T>::EarlierSlotEmpty);
        let record = Self::record(block).ok_or(Error::<T>::UnknownBlock)?;
        ensure!(record.serves_as_expert(dimensions.expert_shape()), Error::<T>::UnfitHead);
        Self::acquire(block)?;
        let slot = SlotId { lineage, layer, index };
        Self::put(&slot, block);
        Self::deposit_event(Event::HeadFilled { slot, block });
        Ok(())
    }

    fn move_head(slot: &SlotId, base: ContentHash, next: ContentHash) -> Result<(), Error<T>> {
        let dimensions = T::Specs::slot_dimensions(slot).ok_or(Error::<T>::UnknownSlot)?;
        let head = Heads::<T>::get(slot).filter(|head| head.block == base).ok_or(Error::<T>::StaleBase)?;
        ensure!(next != base, Error::<T>::HeadUnchanged);
        let record = Self::record(next).ok_or(Error::<T>::UnknownBlock)?;
        ensure!(record.serves_as_expert(dimensions.expert_shape()), Error::<T>::UnfitHead);
        Self::acquire(next)?;
        Self::let_go(slot, base);
        let (now, moves) = (frame_system::Pallet::<T>::block_number(), head.moves.saturating_add(1));
        Self::remember(slot, head, now);
        Heads::<T>::insert(slot, Head { block: next, since: now, moves });
        Self::deposit_event(Event::HeadMoved { slot: *slot, from: base, to: next, moves });
        Ok(())
    }
}
