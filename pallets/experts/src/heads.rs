//! Which block each slot holds, and the only ways in which that changes.
//!
//! The slots of a layer are filled in the order of their indices and emptied from the end. So one number a layer says which
//! of them are filled, and whether a spec's slots all are is known without a look at each.

use crate::{pallet::*, Head};
use alloc::vec::Vec;
use blyan_primitives::{
    ids::{ContentHash, SlotId, SpecId},
    traits::{BlockUses, SlotHeads, SpecRegistry},
};
use frame_support::{ensure, pallet_prelude::Get};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;

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
    pub(crate) fn layer(spec: SpecId, layer: u16) -> Vec<Option<Head<BlockNumberFor<T>>>> {
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
                if let Some(head) = Heads::<T>::take(SlotId { lineage, layer, index: filled }) {
                    Self::release(head.block);
                }
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
        Self::release(base);
        let moves = head.moves.saturating_add(1);
        Heads::<T>::insert(slot, Head { block: next, since: frame_system::Pallet::<T>::block_number(), moves });
        Self::deposit_event(Event::HeadMoved { slot: *slot, from: base, to: next, moves });
        Ok(())
    }
}
