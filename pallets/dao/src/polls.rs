//! Polls: opening them, voting, and appeals.

use crate::{pallet::*, Appeal, Phase, Poll, Rules};
use alloc::{vec, vec::Vec};
use blyan_primitives::traits::{Members, PactProvider, PollId, Polls as AskMembers, MAX_OUTCOMES};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchError, DispatchResult, Get},
    traits::fungible::MutateHold,
};
use polkadot_sdk::*;
use sp_runtime::traits::Saturating;

/// Fewest outcomes that a poll chooses from.
pub const MIN_OUTCOMES: u8 = 2;

impl<T: Config> Pallet<T> {
    pub(crate) fn do_open_poll(subject: [u8; 32], outcomes: u8) -> Result<PollId, Error<T>> {
        Self::new_poll(subject, outcomes, Rules::of_poll(&T::Pact::pact().governance), None)
    }

    fn new_poll(
        subject: [u8; 32],
        outcomes: u8,
        rules: Rules,
        appeal: Option<AppealOf<T>>,
    ) -> Result<PollId, Error<T>> {
        ensure!((MIN_OUTCOMES..=MAX_OUTCOMES).contains(&outcomes), Error::<T>::InvalidOutcomes);
        let counts = vec![0; usize::from(outcomes)].try_into().map_err(|_| Error::<T>::InvalidOutcomes)?;
        let id = NextPoll::<T>::get();
        NextPoll::<T>::put(id.checked_add(1).ok_or(Error::<T>::NoMorePolls)?);
        let opened_at = frame_system::Pallet::<T>::block_number();
        // At least one block: this block's agenda has been worked through.
        let ends_at = opened_at.saturating_add(rules.period.max(1).into());
        let appeal_of = appeal.as_ref().map(|appeal| appeal.of);
        let electorate = T::Members::count();
        let poll =
            Poll { subject, counts, leader: None, electorate, rules, opened_at, ends_at, phase: Phase::Open, appeal };
        Polls::<T>::insert(id, poll);
        OpenPolls::<T>::insert(id, ());
        Agenda::<T>::insert(ends_at, id, ());
        Self::deposit_event(Event::PollOpened { poll: id, subject, outcomes, ends_at, appeal_of });
        Ok(id)
    }

    pub(crate) fn do_vote_poll(who: T::AccountId, id: PollId, outcome: u8) -> DispatchResult {
        let mut poll = Self::open_poll_of(id)?;
        ensure!(usize::from(outcome) < poll.counts.len(), Error::<T>::UnknownOutcome);
        let machine = Self::voter(&who, poll.opened_at)?;
        let former = PollVotes::<T>::get(id, machine);
        PollVotes::<T>::insert(id, machine, outcome);
        Self::deposit_event(Event::PollVoted { poll: id, who, machine, outcome });
        Self::recount(id, &mut poll, former, Some(outcome));
        Polls::<T>::insert(id, poll);
        Ok(())
    }

    pub(crate) fn do_remove_poll_vote(who: T::AccountId, id: PollId) -> DispatchResult {
        let mut poll = Self::open_poll_of(id)?;
        let machine = Self::voter(&who, poll.opened_at)?;
        let former = PollVotes::<T>::take(id, machine).ok_or(Error::<T>::NotVoted)?;
        Self::deposit_event(Event::PollVoteRemoved { poll: id, who, machine });
        Self::recount(id, &mut poll, Some(former), None);
        Polls::<T>::insert(id, poll);
        Ok(())
    }

    /// A poll that takes votes.
    fn open_poll_of(id: PollId) -> Result<PollOf<T>, Error<T>> {
        let poll = Polls::<T>::get(id).ok_or(Error::<T>::UnknownPoll)?;
        ensure!(poll.is_open(frame_system::Pallet::<T>::block_number()), Error::<T>::PollEnded);
        Ok(poll)
    }

    /// Replaces a vote in the count, and moves the poll on the agenda when its end moves.
    fn recount(id: PollId, poll: &mut PollOf<T>, former: Option<u8>, vote: Option<u8>) {
        let end = poll.ends_at;
        poll.replace(former, vote, frame_system::Pallet::<T>::block_number());
        if poll.ends_at != end {
            Agenda::<T>::remove(end, id);
            Agenda::<T>::insert(poll.ends_at, id, ());
            Self::deposit_event(Event::PollProlonged { poll: id, ends_at: poll.ends_at });
        }
    }

    pub(crate) fn do_appeal(who: T::AccountId, id: PollId) -> DispatchResult {
        let mut poll = Polls::<T>::get(id).ok_or(Error::<T>::UnknownPoll)?;
        ensure!(poll.appeal.is_none(), Error::<T>::PollFinal);
        let (result, until) = match poll.phase {
            Phase::Open => return Err(Error::<T>::PollNotEnded.into()),
            Phase::Ended { result, until } => (result, until),
            Phase::Appealed { .. } => return Err(Error::<T>::AlreadyAppealed.into()),
            Phase::Settled { .. } => return Err(Error::<T>::PollFinal.into()),
        };
        let pact = T::Pact::pact().governance;
        let deposit = pact.appeal_deposit;
        T::Currency::hold(&HoldReason::Appeal.into(), &who, deposit)?;
        let outcomes = u8::try_from(poll.counts.len()).map_err(|_| Error::<T>::InvalidOutcomes)?;
        let appeal = Appeal { of: id, former: result, by: who.clone(), deposit };
        let by = Self::new_poll(poll.subject, outcomes, Rules::of_appeal(&pact), Some(appeal))?;
        Agenda::<T>::remove(until, id);
        poll.phase = Phase::Appealed { result, by };
        Polls::<T>::insert(id, poll);
        Self::deposit_event(Event::PollAppealed { poll: id, by, who, deposit });
        Ok(())
    }

    /// Removes votes of a poll that is over, and at last the poll, and says how many votes.
    pub(crate) fn do_clean_up_poll(id: PollId, max: u32) -> Result<u32, DispatchError> {
        let poll = Polls::<T>::get(id).ok_or(Error::<T>::UnknownPoll)?;
        ensure!(matches!(poll.phase, Phase::Settled { .. }), Error::<T>::PollNotSettled);
        let limit = max.min(T::MaxCleanUp::get());
        ensure!(limit > 0, Error::<T>::NothingToCleanUp);
        let votes = PollVotes::<T>::drain_prefix(id).take(limit as usize).fold(0u32, |n, _| n.saturating_add(1));
        // Fewer than were asked for: there are no more.
        let done = votes < limit;
        if done {
            Polls::<T>::remove(id);
        }
        Self::deposit_event(Event::PollCleanedUp { poll: id, votes, done });
        Ok(votes)
    }

    pub(crate) fn page(start: Option<PollId>, limit: u32) -> Vec<(PollId, PollOf<T>)> {
        let ids = match start {
            None => OpenPolls::<T>::iter_keys(),
            Some(id) => OpenPolls::<T>::iter_keys_from(OpenPolls::<T>::hashed_key_for(id)),
        };
        ids.take(limit.min(MAX_PAGE) as usize).filter_map(|id| Some((id, Polls::<T>::get(id)?))).collect()
    }
}

impl<T: Config> AskMembers for Pallet<T> {
    type Error = Error<T>;

    fn open(subject: [u8; 32], outcomes: u8) -> Result<PollId, Error<T>> {
        Self::do_open_poll(subject, outcomes)
    }
}
