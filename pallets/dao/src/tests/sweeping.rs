//! What is over goes by itself, a little in each block.

use crate::{mock::*, Event, PollVotes, Polls, SweptPoll, SweptVote, Votes, SWEPT_VOTES};
use frame_support::{assert_ok, traits::Hooks, weights::Weight};
use polkadot_sdk::*;

/// The ends of `blocks` blocks with weight left over.
fn idle(blocks: u32) {
    for _ in 0..blocks {
        Dao::on_idle(System::block_number(), Weight::MAX);
        assert_ok!(Dao::do_try_state());
    }
}

#[test]
fn a_poll_that_has_been_over_for_long_enough_goes_with_its_votes() {
    run(|| {
        let (id, later) = (open(2), {
            run_to(10);
            open(2)
        });
        vote(id, 1..=6, 1);
        vote(later, 1..=2, 0);
        // Ended, settled, and still there to be looked up.
        run_to(PERIOD + RETENTION);
        idle(9);
        assert_eq!((Polls::<Test>::iter().count(), PollVotes::<Test>::iter().count()), (2, 8));
        run_to(1 + PERIOD + RETENTION);
        idle(9);
        System::assert_last_event(Event::PollCleanedUp { poll: id, votes: 2, done: true }.into());
        assert_eq!(Polls::<Test>::iter_keys().collect::<Vec<_>>(), [later]);
        run_to(10 + PERIOD + RETENTION);
        idle(9);
        assert_eq!((Polls::<Test>::iter().count(), PollVotes::<Test>::iter().count()), (0, 0));
    });
}

#[test]
fn a_block_removes_a_bounded_number_of_votes_and_the_next_goes_on() {
    run(|| {
        let id = open(2);
        vote(id, 1..=6, 1);
        run_to(1 + PERIOD + RETENTION);
        idle(1);
        System::assert_last_event(Event::PollCleanedUp { poll: id, votes: MAX_CLEAN_UP, done: false }.into());
        assert_eq!(SweptPoll::<Test>::get(), None, "a poll with more votes is the next once more");
        idle(1);
        assert_eq!((Polls::<Test>::iter().count(), SweptPoll::<Test>::get()), (0, Some(id)));
        idle(1);
        assert_eq!(SweptPoll::<Test>::get(), None, "the next round begins");
    });
}

#[test]
fn a_poll_whose_appeal_is_open_stays() {
    run(|| {
        let first = open(2);
        run_to(1 + PERIOD);
        assert_ok!(Dao::appeal(signed(20), first));
        // As if the second poll took until long after the first one is kept.
        let mut second = Polls::<Test>::get(first + 1).unwrap();
        crate::Agenda::<Test>::remove(second.ends_at, first + 1);
        second.rules.period = 2 * RETENTION;
        second.ends_at = 2 * RETENTION;
        crate::Agenda::<Test>::insert(second.ends_at, first + 1, ());
        Polls::<Test>::insert(first + 1, second);
        run_to(2 * RETENTION - 1);
        idle(9);
        assert_eq!(Polls::<Test>::iter().count(), 2);
        run_to(2 * RETENTION);
        idle(9);
        assert_eq!(Polls::<Test>::iter_keys().collect::<Vec<_>>(), [first + 1], "the second stays for its own time");
    });
}

#[test]
fn votes_on_referenda_that_have_ended_go_and_others_stay() {
    run(|| {
        let ended = submit_to_pact();
        for who in 1..=12 {
            assert_ok!(Dao::vote(signed(who), ended, true));
        }
        run_to(20);
        assert!(approved(ended));
        let ongoing = submit_to_pact();
        for who in 1..=5 {
            assert_ok!(Dao::vote(signed(who), ongoing, false));
        }
        assert_eq!(Votes::<Test>::iter().count(), 17);
        idle(1);
        let left = Votes::<Test>::iter().count() as u32;
        assert!((17 - SWEPT_VOTES..17).contains(&left) && SweptVote::<Test>::get().is_some());
        idle(2);
        assert_eq!(SweptVote::<Test>::get(), None, "the next round begins");
        assert!(Votes::<Test>::iter_keys().all(|(referendum, _)| referendum == ongoing));
        assert_eq!(Votes::<Test>::iter().count(), 5);
        assert!(System::events().iter().any(|record| {
            matches!(&record.event, RuntimeEvent::Dao(Event::CleanedUp { referendum, .. }) if *referendum == ended)
        }));
    });
}

#[test]
fn what_fills_a_block_comes_first() {
    run(|| {
        open(2);
        run_to(1 + PERIOD + RETENTION);
        let now = System::block_number();
        assert_eq!(Dao::on_idle(now, Weight::zero()), Weight::zero());
        assert_eq!(Polls::<Test>::iter().count(), 1);
        let most = Dao::heaviest_sweep();
        let taken = Dao::on_idle(now, most);
        assert!(taken.any_gt(Weight::zero()) && taken.all_lte(most));
        assert_eq!(Polls::<Test>::iter().count(), 0);
    });
}
