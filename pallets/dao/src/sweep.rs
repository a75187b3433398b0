//! What is over goes by itself: with the weight that a block's transactions leave, a poll and a few votes are looked at, in
//! turn. Nobody has a deposit in them that would move somebody to call [`Pallet::clean_up`] or [`Pallet::clean_up_poll`].

use crate::{pallet::*, Phase, WeightInfo};
use alloc::{collections::BTreeMap, vec::Vec};
use frame_support::{
    defensive,
    pallet_prelude::{Get, Weight},
    traits::Polling,
};
use frame_system::pallet_prelude::BlockNumberFor;
use pallet_referenda::ReferendumIndex;
use polkadot_sdk::*;
use sp_runtime::traits::Saturating;

/// Votes on referenda that are looked at in a block.
pub const SWEPT_VOTES: u32 = 8;

impl<T: Config> Pallet<T> {
    /// Goes on with both rounds as far as `remaining` allows, and says what that took.
    pub(crate) fn sweep(now: BlockNumberFor<T>, remaining: Weight) -> Weight {
        let mut taken = Weight::zero();
        if T::WeightInfo::sweep_poll(T::MaxCleanUp::get()).all_lte(remaining) {
            taken = T::WeightInfo::sweep_poll(Self::sweep_poll(now));
        }
        if T::WeightInfo::sweep_votes(SWEPT_VOTES).all_lte(remaining.saturating_sub(taken)) {
            taken = taken.saturating_add(T::WeightInfo::sweep_votes(Self::sweep_votes()));
        }
        taken
    }

    /// The most that [`Self::sweep`] takes.
    pub fn heaviest_sweep() -> Weight {
        T::WeightInfo::sweep_poll(T::MaxCleanUp::get()).saturating_add(T::WeightInfo::sweep_votes(SWEPT_VOTES))
    }

    /// Cleans the next poll up, if it has been over for long enough, and says how many votes it had. One that has more is the
    /// next one once more.
    pub(crate) fn sweep_poll(now: BlockNumberFor<T>) -> u32 {
        let mut polls = match SweptPoll::<T>::get() {
            None => Polls::<T>::iter(),
            Some(last) => Polls::<T>::iter_from(Polls::<T>::hashed_key_for(last)),
        };
        let Some((id, poll)) = polls.next() else {
            SweptPoll::<T>::kill();
            return 0;
        };
        let is_over =
            matches!(poll.phase, Phase::Settled { .. }) && poll.ends_at.saturating_add(T::PollRetention::get()) <= now;
        if !is_over {
            SweptPoll::<T>::put(id);
            return 0;
        }
        let votes = match Self::do_clean_up_poll(id, T::MaxCleanUp::get()) {
            Ok(votes) => votes,
            Err(_) => {
                defensive!("a poll that is settled can be cleaned up");
                0
            },
        };
        if !Polls::<T>::contains_key(id) {
            SweptPoll::<T>::put(id);
        }
        votes
    }

    /// Removes those of the next votes whose referendum has ended, and says how many.
    pub(crate) fn sweep_votes() -> u32 {
        let keys = match SweptVote::<T>::get() {
            None => Votes::<T>::iter_keys(),
            Some((referendum, machine)) => Votes::<T>::iter_keys_from(Votes::<T>::hashed_key_for(referendum, machine)),
        };
        let votes: Vec<_> = keys.take(SWEPT_VOTES as usize).collect();
        // There are no more: the next round begins with the first.
        let is_last = votes.len() < SWEPT_VOTES as usize;
        SweptVote::<T>::set(votes.last().copied().filter(|_| !is_last));
        let mut removed = BTreeMap::<ReferendumIndex, u32>::new();
        for (referendum, machine) in votes {
            if T::Referenda::as_ongoing(referendum).is_none() {
                Votes::<T>::remove(referendum, machine);
                let count = removed.entry(referendum).or_default();
                *count = count.saturating_add(1);
            }
        }
        let sum = removed.values().fold(0u32, |sum, votes| sum.saturating_add(*votes));
        for (referendum, votes) in removed {
            Self::deposit_event(Event::CleanedUp { referendum, votes });
        }
        sum
    }
}
