//! Blocks of items: what learners train on, and what their deltas are measured on.

use crate::{pallet::*, ItemSet, Purpose};
use blyan_primitives::{
    block::{BlockKind, DType, Layout as TensorLayout},
    ids::ContentHash,
    learning::ItemSets,
    pol::{ItemBlock, ItemBlocks},
    traits::{BlockRegistry, BlockUses},
};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchResult, Get},
};
use polkadot_sdk::*;

impl<T: Config> Pallet<T> {
    pub(crate) fn do_add_set(block: ContentHash, purpose: Purpose) -> DispatchResult {
        ensure!(purpose != Purpose::Hidden, Error::<T>::NotEncrypted);
        Self::put_set(block, purpose)
    }

    pub(crate) fn put_set(block: ContentHash, purpose: Purpose) -> DispatchResult {
        ensure!(!Sets::<T>::contains_key(block), Error::<T>::SetExists);
        let record = T::Blocks::block(block).ok_or(Error::<T>::UnknownBlock)?;
        let [items, tokens, rest, _] = record.shape;
        let is_set = record.kind == BlockKind::Items
            && record.dtype == DType::U32
            && record.layout == TensorLayout::RowMajor
            && record.tensors == 1
            && items > 0
            && rest == 0;
        ensure!(is_set, Error::<T>::NotItems);
        ensure!(tokens == T::ItemTokens::get(), Error::<T>::WrongItemLength);
        T::Blocks::acquire(block).map_err(|_| Error::<T>::UnknownBlock)?;
        Drawable::<T>::try_mutate(purpose, |blocks: &mut ItemBlocks| blocks.try_push(ItemBlock { block, items }))
            .map_err(|_| Error::<T>::TooManySets)?;
        Sets::<T>::insert(block, ItemSet { purpose, items });
        Self::deposit_event(Event::SetAdded { block, purpose, items });
        Ok(())
    }

    pub(crate) fn do_remove_set(block: ContentHash) -> DispatchResult {
        let set = Sets::<T>::take(block).ok_or(Error::<T>::UnknownSet)?;
        HiddenSets::<T>::remove(block);
        // Evaluations that have begun keep what they are drawn from.
        Drawable::<T>::mutate(set.purpose, |blocks| blocks.retain(|other| other.block != block));
        T::Blocks::release(block);
        Self::deposit_event(Event::SetRemoved { block });
        Ok(())
    }
}

impl<T: Config> ItemSets for Pallet<T> {
    fn training_items(block: ContentHash) -> Option<u32> {
        Sets::<T>::get(block).filter(|set| set.purpose == Purpose::Training).map(|set| set.items)
    }
}
