//! Proof of the pallet's invariants.

use crate::{counting, pallet::*, Appeal, Balance, Phase};
use alloc::{collections::BTreeMap, vec, vec::Vec};
use blyan_primitives::traits::PollId;
use frame_support::{
    ensure,
    traits::{fungible::InspectHold, Polling},
};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Proves the invariants of the [pallet](crate).
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_referenda()?;
        let votes = Self::try_poll_votes()?;
        Self::try_polls(votes)?;
        Self::try_agenda()?;
        Self::try_deposits()
    }

    fn try_referenda() -> Result<(), TryRuntimeError> {
        let mut counts = BTreeMap::<u32, (u32, u32)>::new();
        for (referendum, _, aye) in Votes::<T>::iter() {
            let (ayes, nays) = counts.entry(referendum).or_default();
            let side = if aye { ayes } else { nays };
            *side = side.saturating_add(1);
        }
        for (referendum, counted) in counts {
            let Some((tally, _)) = T::Referenda::as_ongoing(referendum) else { continue };
            ensure!((tally.ayes, tally.nays) == counted, "a referendum's count is not that of its votes");
        }
        Ok(())
    }

    /// Votes of each poll, by outcome.
    fn try_poll_votes() -> Result<BTreeMap<PollId, Vec<u32>>, TryRuntimeError> {
        let mut counts = BTreeMap::<PollId, Vec<u32>>::new();
        for (id, _, outcome) in PollVotes::<T>::iter() {
            let poll = Polls::<T>::get(id).ok_or("a vote is in no poll")?;
            let counted = counts.entry(id).or_insert_with(|| vec![0; poll.counts.len()]);
            let votes = counted.get_mut(usize::from(outcome)).ok_or("a vote is for no outcome")?;
            *votes = votes.saturating_add(1);
        }
        Ok(counts)
    }

    fn try_polls(mut votes: BTreeMap<PollId, Vec<u32>>) -> Result<(), TryRuntimeError> {
        for (id, poll) in Polls::<T>::iter() {
            ensure!(id < NextPoll::<T>::get(), "a poll has a number that is still to be given");
            let counted = votes.remove(&id).unwrap_or_else(|| vec![0; poll.counts.len()]);
            let settled = matches!(poll.phase, Phase::Settled { .. });
            // The votes of what is settled may be gone in part.
            let adds_up =
                counted.iter().zip(&poll.counts).all(|(votes, count)| votes == count || settled && votes < count);
            ensure!(adds_up, "a poll's count is not that of its votes");
            ensure!(counting::leader(&poll.counts, poll.leader) == poll.leader, "a poll's leader does not lead");
            ensure!(
                poll.opened_at < poll.ends_at && poll.ends_at <= poll.latest_end(),
                "a poll ends at no time for it"
            );
            let open = matches!(poll.phase, Phase::Open);
            ensure!(open == OpenPolls::<T>::contains_key(id), "a poll is not listed as what it is");
            if let Phase::Appealed { result, by } = poll.phase {
                let appeal = Polls::<T>::get(by).and_then(|second| second.appeal).ok_or("an appeal has no poll")?;
                ensure!(appeal.of == id && appeal.former == result, "an appeal's poll is about another");
            }
            if let Some(Appeal { of, .. }) = poll.appeal.filter(|_| open) {
                let phase = Polls::<T>::get(of).ok_or("an appeal is against no poll")?.phase;
                let leads_back = matches!(phase, Phase::Appealed { by, .. } if by == id);
                ensure!(leads_back, "a poll does not know the appeal against it");
            }
        }
        ensure!(OpenPolls::<T>::iter_keys().all(Polls::<T>::contains_key), "a poll is listed that does not exist");
        Ok(())
    }

    fn try_agenda() -> Result<(), TryRuntimeError> {
        let now = frame_system::Pallet::<T>::block_number();
        let due = |phase: Phase<BlockNumberFor<T>>, ends_at| match phase {
            Phase::Open => Some(ends_at),
            Phase::Ended { until, .. } => Some(until),
            Phase::Appealed { .. } | Phase::Settled { .. } => None,
        };
        for (id, poll) in Polls::<T>::iter() {
            if let Some(block) = due(poll.phase, poll.ends_at) {
                ensure!(Agenda::<T>::contains_key(block, id), "a poll is not on the agenda");
            }
        }
        let behind = Behind::<T>::get();
        ensure!(behind.is_none_or(|block| block <= now), "work is left over from a block that is to come");
        for (block, id, ()) in Agenda::<T>::iter() {
            let poll = Polls::<T>::get(id).ok_or("the agenda names a poll that does not exist")?;
            ensure!(due(poll.phase, poll.ends_at) == Some(block), "the agenda names a poll for another time");
            ensure!(block > now || behind.is_some_and(|first| first <= block), "the agenda was passed over");
        }
        Ok(())
    }

    fn try_deposits() -> Result<(), TryRuntimeError> {
        let mut deposits = BTreeMap::<T::AccountId, Balance>::new();
        for poll in Polls::<T>::iter_values() {
            let open = matches!(poll.phase, Phase::Open);
            if let Some(Appeal { by, deposit, .. }) = poll.appeal {
                let sum = deposits.entry(by).or_default();
                *sum = sum.saturating_add(if open { deposit } else { 0 });
            }
        }
        for (who, sum) in deposits {
            let held = T::Currency::balance_on_hold(&HoldReason::Appeal.into(), &who);
            ensure!(held == sum, "deposits for appeals are not what is held");
        }
        Ok(())
    }
}
