//! Polls are opened, voted in, and end.

use crate::{mock::*, Error, Event, NextPoll, Phase, PollVotes, Rules};
use blyan_primitives::{
    pact::Ppm,
    traits::{PollResult, Polls as _},
};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use sp_runtime::traits::BadOrigin;

#[test]
fn a_poll_is_open_for_the_pact_s_period() {
    run(|| {
        let id = Dao::open(SUBJECT, 3).unwrap();
        let (poll, ends_at) = (id, 1 + PERIOD);
        System::assert_last_event(
            Event::PollOpened { poll, subject: SUBJECT, outcomes: 3, ends_at, appeal_of: None }.into(),
        );
        let poll = Dao::poll(id).unwrap();
        assert_eq!((poll.counts.to_vec(), poll.leader, poll.electorate), (vec![0; 3], None, 12));
        assert_eq!((poll.opened_at, poll.ends_at, poll.phase), (1, ends_at, Phase::Open));
        assert_eq!(poll.rules, Rules { period: PERIOD, confirm: CONFIRM, quorum: Ppm(250_000) });
        run_to(ends_at - 1);
        vote(id, [1, 2, 3], 2);
        run_to(ends_at);
        assert!(Dao::poll(id).unwrap().ends_at > ends_at, "the lead was taken in the last block");
    });
}

#[test]
fn the_outcome_with_most_votes_is_decided() {
    run(|| {
        let id = open(3);
        vote(id, [1, 2], 0);
        vote(id, [3, 4, 5], 2);
        System::assert_last_event(Event::PollVoted { poll: id, who: 5, machine: machine(5), outcome: 2 }.into());
        run_to(1 + PERIOD);
        let result = PollResult::Decided(2);
        System::assert_last_event(Event::PollEnded { poll: id, result }.into());
        let until = 1 + PERIOD + PERIOD;
        assert_eq!(Dao::poll(id).unwrap().phase, Phase::Ended { result, until });
        assert_eq!((Ended::get(), Settled::get()), (vec![(id, SUBJECT, result)], vec![]));
        run_to(until - 1);
        assert_eq!(Settled::get(), vec![]);
        run_to(until);
        System::assert_last_event(Event::PollSettled { poll: id, subject: SUBJECT, result }.into());
        assert_eq!(Dao::poll(id).unwrap().phase, Phase::Settled { result });
        assert_eq!((Ended::get().len(), Settled::get()), (1, vec![(id, SUBJECT, result)]));
    });
}

#[test]
fn too_few_votes_decide_nothing() {
    run(|| {
        let (few, none, enough) = (open(2), open(2), open(2));
        // A quarter of twelve is three.
        vote(few, [1, 2], 1);
        vote(enough, [1, 2], 1);
        vote(enough, [3], 0);
        run_to(1 + PERIOD);
        let result = |id| Ended::get().into_iter().find(|(ended, ..)| *ended == id).map(|(_, _, result)| result);
        assert_eq!(result(few), Some(PollResult::NoQuorum));
        assert_eq!(result(none), Some(PollResult::NoQuorum));
        assert_eq!(result(enough), Some(PollResult::Decided(1)));
    });
}

#[test]
fn a_vote_in_a_poll_can_be_changed_and_taken_back() {
    run(|| {
        let id = open(3);
        vote(id, [1, 1], 0);
        vote(id, [1], 2);
        assert_eq!(Dao::poll(id).unwrap().counts.to_vec(), [0, 0, 1]);
        assert_eq!(Dao::poll_vote_of(id, machine(1)), Some(2));
        assert_ok!(Dao::remove_poll_vote(signed(1), id));
        System::assert_last_event(Event::PollVoteRemoved { poll: id, who: 1, machine: machine(1) }.into());
        assert_eq!(Dao::poll(id).unwrap().counts.to_vec(), [0, 0, 0]);
        assert_eq!(Dao::poll_vote_of(id, machine(1)), None);
        assert_noop!(Dao::remove_poll_vote(signed(1), id), Error::<Test>::NotVoted);
    });
}

#[test]
fn a_machine_counts_once_in_a_poll_though_two_accounts_use_it_in_turn() {
    run(|| {
        let id = open(2);
        vote(id, [1], 0);
        bind(15, machine(1), None);
        assert_noop!(Dao::vote_poll(signed(1), id, 0), Error::<Test>::NotAMember);
        vote(id, [15], 1);
        assert_eq!(Dao::poll(id).unwrap().counts.to_vec(), [0, 1]);
        assert_ok!(Dao::remove_poll_vote(signed(15), id));
        assert_eq!(PollVotes::<Test>::iter().count(), 0);
    });
}

#[test]
fn a_machine_that_was_bound_after_the_opening_does_not_vote() {
    run(|| {
        let early = open(2);
        vote(early, [1], 0);
        run_to(2);
        bind(15, machine(1), Some(2));
        assert_noop!(Dao::vote_poll(signed(15), early, 1), Error::<Test>::BoundTooLate);
        assert_noop!(Dao::remove_poll_vote(signed(15), early), Error::<Test>::BoundTooLate);
        vote(open(2), [15], 1);
        assert_eq!(Dao::poll(early).unwrap().counts.to_vec(), [1, 0]);
    });
}

#[test]
fn a_poll_takes_votes_of_members_for_its_outcomes_until_its_end() {
    run(|| {
        assert_noop!(Dao::vote_poll(signed(1), 0, 0), Error::<Test>::UnknownPoll);
        assert_noop!(Dao::remove_poll_vote(signed(1), 0), Error::<Test>::UnknownPoll);
        let id = open(3);
        assert_noop!(Dao::vote_poll(signed(1), id, 3), Error::<Test>::UnknownOutcome);
        assert_noop!(Dao::vote_poll(signed(15), id, 0), Error::<Test>::NotAMember);
        assert_noop!(Dao::vote_poll(RuntimeOrigin::root(), id, 0), BadOrigin);
        vote(id, [1, 2, 3], 1);
        run_to(1 + PERIOD);
        assert_noop!(Dao::vote_poll(signed(1), id, 0), Error::<Test>::PollEnded);
        assert_noop!(Dao::remove_poll_vote(signed(1), id), Error::<Test>::PollEnded);
    });
}

#[test]
fn a_poll_has_two_to_eight_outcomes() {
    run(|| {
        for outcomes in [0, 1, 9, u8::MAX] {
            assert_noop!(Dao::open_poll(RuntimeOrigin::root(), SUBJECT, outcomes), Error::<Test>::InvalidOutcomes);
            assert!(matches!(Dao::open(SUBJECT, outcomes), Err(Error::InvalidOutcomes)));
        }
        vote(open(2), [1], 1);
        vote(open(8), [1], 7);
    });
}

#[test]
fn numbers_of_polls_are_not_given_twice() {
    run(|| {
        NextPoll::<Test>::put(u32::MAX);
        assert_noop!(Dao::open_poll(RuntimeOrigin::root(), SUBJECT, 2), Error::<Test>::NoMorePolls);
    });
}

#[test]
fn a_late_change_of_the_lead_moves_the_end() {
    run(|| {
        let id = open(2);
        vote(id, [1, 2, 3], 0);
        run_to(PERIOD);
        vote(id, [4, 5, 6], 1);
        assert_eq!(Dao::poll(id).unwrap().ends_at, 1 + PERIOD, "a tie changes nothing");
        vote(id, [7], 1);
        let ends_at = PERIOD + CONFIRM;
        System::assert_last_event(Event::PollProlonged { poll: id, ends_at }.into());
        run_to(ends_at - 1);
        assert_eq!(Dao::poll(id).unwrap().phase, Phase::Open);
        run_to(ends_at);
        assert_eq!(Ended::get(), vec![(id, SUBJECT, PollResult::Decided(1))]);
    });
}

#[test]
fn a_poll_cannot_be_prolonged_forever() {
    run(|| {
        let id = open(2);
        vote(id, [1, 2, 3], 0);
        let latest = 1 + 2 * PERIOD;
        for block in PERIOD..latest {
            run_to(block);
            vote(id, [1, 2, 3], ((block + 1) % 2) as u8);
        }
        assert_eq!(Dao::poll(id).unwrap().ends_at, latest);
        run_to(latest);
        assert_eq!(Ended::get().len(), 1);
    });
}

#[test]
fn a_change_of_the_pact_does_not_reach_into_open_polls() {
    run(|| {
        let old = open(2);
        Terms::mutate(|pact| {
            pact.governance.poll_period = 2;
            pact.governance.poll_quorum = Ppm(1_000);
        });
        let new = open(2);
        vote(old, [1], 1);
        vote(new, [1], 1);
        run_to(1 + PERIOD);
        assert_eq!(Ended::get(), vec![(new, SUBJECT, PollResult::Decided(1)), (old, SUBJECT, PollResult::NoQuorum)]);
    });
}

#[test]
fn a_vote_counts_though_its_machine_leaves() {
    run(|| {
        let id = open(2);
        vote(id, [1, 2, 3], 1);
        unbind(3);
        run_to(1 + PERIOD);
        assert_eq!(Ended::get(), vec![(id, SUBJECT, PollResult::Decided(1))]);
    });
}

#[test]
fn open_polls_come_in_pages() {
    run(|| {
        let ids: Vec<_> = (0..5).map(|_| open(2)).collect();
        let first = Dao::open_polls(None, 3);
        let rest = Dao::open_polls(first.last().map(|(id, _)| *id), 9);
        assert_eq!((first.len(), rest.len()), (3, 2));
        let mut listed: Vec<_> = first.into_iter().chain(rest).map(|(id, _)| id).collect();
        listed.sort();
        assert_eq!(listed, ids);
        run_to(3 + PERIOD);
        assert_eq!((Dao::open_polls(None, 9), Dao::poll(9)), (vec![], None));
    });
}
