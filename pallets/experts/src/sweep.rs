//! What is over goes by itself: with the weight that a block's transactions leave, a few rounds are looked at, in turn. Nobody
//! has a deposit in one that is over that would move somebody to remove it.

use crate::{pallet::*, Phase, WeightInfo};
use alloc::vec::Vec;
use blyan_primitives::learning::{Evaluations, RoundId};
use frame_support::pallet_prelude::{Get, Weight};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_runtime::traits::Saturating;

/// Rounds that are looked at in a block.
pub const SWEPT_ROUNDS: u32 = 4;

impl<T: Config> Pallet<T> {
    /// Goes on as far as `remaining` allows, and says what that took.
    pub(crate) fn sweep(now: BlockNumberFor<T>, remaining: Weight) -> Weight {
        if Self::heaviest_sweep().any_gt(remaining) {
            return Weight::zero();
        }
        T::WeightInfo::sweep_rounds(Self::sweep_rounds(now))
    }

    /// The most that [`Self::sweep`] takes.
    pub fn heaviest_sweep() -> Weight {
        T::WeightInfo::sweep_rounds(SWEPT_ROUNDS)
    }

    /// Removes those of the next rounds that have been over for long enough, with their deltas, and says how many.
    pub(crate) fn sweep_rounds(now: BlockNumberFor<T>) -> u32 {
        let rounds = match SweptRound::<T>::get() {
            None => Rounds::<T>::iter(),
            Some(last) => Rounds::<T>::iter_from(Rounds::<T>::hashed_key_for(last)),
        };
        let rounds: Vec<(RoundId, RoundOf<T>)> = rounds.take(SWEPT_ROUNDS as usize).collect();
        // There are no more: it begins again with the first.
        let is_last = rounds.len() < SWEPT_ROUNDS as usize;
        SweptRound::<T>::set(rounds.last().map(|(id, _)| *id).filter(|_| !is_last));
        let mut removed = 0u32;
        for (id, round) in rounds {
            let Phase::Over { at, .. } = round.phase else { continue };
            if at.saturating_add(T::RoundRetention::get()) > now {
                continue;
            }
            Rounds::<T>::remove(id);
            Deltas::<T>::remove(id);
            T::Evaluations::forget(id);
            removed = removed.saturating_add(1);
            Self::deposit_event(Event::RoundRemoved { round: id });
        }
        removed
    }
}
