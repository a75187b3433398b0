//! Which block each slot holds, and the only way in which that changes.

use crate::{pallet::*, Head};
use alloc::vec::Vec;
use blyan_primitives::{
    block::BlockKind,
    ids::{ContentHash, SlotId, SpecId},
    traits::{BlockUses, SlotHeads, SpecRegistry},
};
use frame_support::ensure;
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;

impl<T: Config> Pallet<T> {
    /// Fills the slots of the genesis model.
    ///
    /// Panics when a slot is filled twice, or with what is not a registered serving form of an expert: such a chain must
    /// not start. Whether the heads fit the genesis spec is checked with the spec.
    pub(crate) fn build_genesis_heads(heads: &[(SlotId, ContentHash)]) {
        for (slot, block) in heads {
            assert!(!Heads::<T>::contains_key(slot), "genesis slot {slot} is filled twice");
            let serves = Self::record(*block).is_some_and(|record| record.is_serving(BlockKind::Expert));
            assert!(serves, "genesis slot {slot} holds {block}, which is not the serving form of an expert");
            assert!(Self::acquire(*block).is_ok(), "genesis block {block} has too many uses");
            Heads::<T>::insert(slot, Head { block: *block, since: Default::default(), moves: 0 });
        }
    }

    pub(crate) fn layer(lineage: SpecId, layer: u16) -> Vec<Option<Head<BlockNumberFor<T>>>> {
        let experts = T::Specs::slot_dimensions(&SlotId { lineage, layer, index: 0 }).map_or(0, |d| d.experts);
        (0..experts).map(|index| Heads::<T>::get(SlotId { lineage, layer, index })).collect()
    }
}

impl<T: Config> SlotHeads for Pallet<T> {
    type Error = Error<T>;

    fn head(slot: &SlotId) -> Option<ContentHash> {
        Heads::<T>::get(slot).map(|head| head.block)
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
