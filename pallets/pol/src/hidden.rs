//! Hidden sets: items that nobody can read before the deltas are in that are measured on them.
//!
//! A steward names a block of items by its header, whose root commits to every token, and the block with the same tokens
//! encrypted, which anybody can fetch beforehand. When a committee is drawn, the set that waits longest is given to its
//! evaluation, and the steward has the availability phase to reveal the key. Members decrypt, check what they get against the
//! root, and say with their vote whether they have it; candidates are then judged by its items. A set is used once. Afterwards
//! it is public, and learners can train on it.

use crate::{pallet::*, EvaluationId, HiddenSet, ItemSet, Phase, Purpose};
use blyan_primitives::{
    ids::ContentHash,
    pol::{ItemBlock, ItemBlocks},
    traits::BlockUses,
};
use frame_support::{ensure, pallet_prelude::DispatchResult};
use polkadot_sdk::*;

impl<T: Config> Pallet<T> {
    pub(crate) fn do_add_hidden_set(
        block: ContentHash,
        encrypted: ContentHash,
        steward: T::AccountId,
    ) -> DispatchResult {
        ensure!(block != encrypted, Error::<T>::NotEncrypted);
        Self::put_set(block, Purpose::Hidden)?;
        HiddenSets::<T>::insert(block, HiddenSet { encrypted, steward, given_to: None, key: None });
        Ok(())
    }

    pub(crate) fn do_reveal_key(who: T::AccountId, block: ContentHash, key: [u8; 32]) -> DispatchResult {
        let mut set = HiddenSets::<T>::get(block).ok_or(Error::<T>::UnknownSet)?;
        ensure!(set.steward == who, Error::<T>::NotSteward);
        let id = set.given_to.ok_or(Error::<T>::StillHidden)?;
        Self::in_phase(id, Phase::Availability)?;
        ensure!(set.key.is_none(), Error::<T>::AlreadyPosted);
        set.key = Some(key);
        HiddenSets::<T>::insert(block, set);
        Self::deposit_event(Event::KeyRevealed { evaluation: id, block, key });
        Ok(())
    }

    /// Gives the set that waits longest to an evaluation, if there is one with enough items.
    pub(crate) fn give_hidden(id: EvaluationId, least: u32) -> Option<ItemBlock> {
        let given = Drawable::<T>::mutate(Purpose::Hidden, |waiting: &mut ItemBlocks| {
            let place = waiting.iter().position(|set| set.items >= least)?;
            Some(waiting.remove(place))
        })?;
        HiddenSets::<T>::mutate(given.block, |set| {
            if let Some(set) = set {
                set.given_to = Some(id);
            }
        });
        Given::<T>::insert(id, given.block);
        Self::deposit_event(Event::HiddenSetGiven { evaluation: id, block: given.block });
        Some(given)
    }

    /// An evaluation has no more use for its hidden set. One whose key is known is public from now on, another is of no use to
    /// anybody.
    pub(crate) fn spend_hidden(id: EvaluationId) {
        let Some(block) = Given::<T>::take(id) else { return };
        // Governance may have removed it in the meantime. If it has added it again, that is another set.
        let given = HiddenSets::<T>::get(block).filter(|set| set.given_to == Some(id));
        let Some((HiddenSet { key, .. }, ItemSet { items, .. })) = given.zip(Sets::<T>::get(block)) else { return };
        HiddenSets::<T>::remove(block);
        let is_public = key.is_some()
            && Drawable::<T>::mutate(Purpose::Training, |sets| sets.try_push(ItemBlock { block, items }).is_ok());
        if is_public {
            Sets::<T>::insert(block, ItemSet { purpose: Purpose::Training, items });
            Self::deposit_event(Event::SetAdded { block, purpose: Purpose::Training, items });
        } else {
            Sets::<T>::remove(block);
            T::Blocks::release(block);
            Self::deposit_event(Event::SetRemoved { block });
        }
    }
}
