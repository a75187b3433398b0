//! Votes of what has ended are removed in bounded steps, until nothing is left.

use crate::{mock::*, weights::WeightInfo, Config, Error, Event, PollVotes, Polls, Votes};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use sp_runtime::traits::BadOrigin;

#[test]
fn votes_on_a_referendum_are_removed_when_it_has_ended() {
    run(|| {
        let (referendum, other) = (submit_to_pact(), submit_to_pact());
        for who in 1..=6 {
            assert_ok!(Dao::vote(signed(who), referendum, true));
        }
        assert_ok!(Dao::vote(signed(1), other, true));
        assert_noop!(Dao::clean_up(signed(20), referendum, 9), Error::<Test>::ReferendumOngoing);
        run_to(20);
        assert!(approved(referendum));
        assert_noop!(Dao::clean_up(RuntimeOrigin::root(), referendum, 9), BadOrigin);
        assert_noop!(Dao::clean_up(signed(20), referendum, 0), Error::<Test>::NothingToCleanUp);
        let post = Dao::clean_up(signed(20), referendum, 1).unwrap();
        assert_eq!(post.actual_weight, Some(<Test as Config>::WeightInfo::clean_up(1)));
        assert_ok!(Dao::clean_up(signed(20), referendum, 9));
        System::assert_last_event(Event::CleanedUp { referendum, votes: MAX_CLEAN_UP }.into());
        assert_ok!(Dao::clean_up(signed(20), referendum, 9));
        System::assert_last_event(Event::CleanedUp { referendum, votes: 1 }.into());
        assert_noop!(Dao::clean_up(signed(20), referendum, 9), Error::<Test>::NothingToCleanUp);
        assert_eq!(Votes::<Test>::iter().map(|(referendum, ..)| referendum).collect::<Vec<_>>(), [other]);
    });
}

#[test]
fn votes_on_a_cancelled_referendum_are_removed_too() {
    run(|| {
        let referendum = submit_to_pact();
        assert_ok!(Dao::vote(signed(1), referendum, true));
        assert_ok!(Referenda::kill(RuntimeOrigin::root(), referendum));
        assert_ok!(Dao::clean_up(signed(20), referendum, 1));
        assert_eq!(Votes::<Test>::iter().count(), 0);
    });
}

#[test]
fn a_poll_and_its_votes_are_removed_when_the_result_is_final() {
    run(|| {
        assert_noop!(Dao::clean_up_poll(signed(20), 0, 9), Error::<Test>::UnknownPoll);
        let id = open(2);
        vote(id, 1..=6, 1);
        assert_noop!(Dao::clean_up_poll(signed(20), id, 9), Error::<Test>::PollNotSettled);
        run_to(1 + PERIOD);
        assert_noop!(Dao::clean_up_poll(signed(20), id, 9), Error::<Test>::PollNotSettled);
        run_to(1 + 2 * PERIOD);
        assert_noop!(Dao::clean_up_poll(RuntimeOrigin::root(), id, 9), BadOrigin);
        assert_noop!(Dao::clean_up_poll(signed(20), id, 0), Error::<Test>::NothingToCleanUp);
        assert_ok!(Dao::clean_up_poll(signed(20), id, 9));
        System::assert_last_event(Event::PollCleanedUp { poll: id, votes: MAX_CLEAN_UP, done: false }.into());
        assert_ok!(Dao::do_try_state());
        let post = Dao::clean_up_poll(signed(20), id, 9).unwrap();
        assert_eq!(post.actual_weight, Some(<Test as Config>::WeightInfo::clean_up_poll(2)));
        System::assert_last_event(Event::PollCleanedUp { poll: id, votes: 2, done: true }.into());
        assert_eq!((Polls::<Test>::iter().count(), PollVotes::<Test>::iter().count()), (0, 0));
        assert_noop!(Dao::clean_up_poll(signed(20), id, 9), Error::<Test>::UnknownPoll);
    });
}

#[test]
fn a_poll_whose_votes_are_just_the_limit_is_removed_by_the_next_call() {
    run(|| {
        let id = open(2);
        vote(id, 1..=2, 1);
        run_to(1 + 2 * PERIOD);
        assert_ok!(Dao::clean_up_poll(signed(20), id, 2));
        assert!(Polls::<Test>::contains_key(id));
        assert_ok!(Dao::clean_up_poll(signed(20), id, 1));
        assert!(!Polls::<Test>::contains_key(id));
    });
}

#[test]
fn polls_of_an_appeal_are_removed_each_for_itself() {
    run(|| {
        let first = open(2);
        run_to(1 + PERIOD);
        assert_ok!(Dao::appeal(signed(20), first));
        assert_noop!(Dao::clean_up_poll(signed(20), first, 9), Error::<Test>::PollNotSettled);
        run_to(1 + PERIOD + APPEAL_PERIOD);
        assert_ok!(Dao::clean_up_poll(signed(20), first, 1));
        assert_ok!(Dao::do_try_state());
        assert_ok!(Dao::clean_up_poll(signed(20), first + 1, 1));
        assert_eq!(Polls::<Test>::iter().count(), 0);
    });
}
