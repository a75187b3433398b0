//! Polls end in their blocks, and a bounded number of them in each.

use crate::{mock::*, weights::WeightInfo, Agenda, Behind, Config, Error, Phase, CATCH_UP};
use blyan_primitives::traits::PollId;
use frame_support::{assert_noop, assert_ok, traits::Hooks, weights::Weight};
use polkadot_sdk::*;

type Weights = <Test as Config>::WeightInfo;

fn ended() -> usize {
    Ended::get().len()
}

/// Begins block `now`, and says what the agenda took.
fn begin(now: u32) -> Weight {
    System::set_block_number(now);
    Dao::on_initialize(now)
}

#[test]
fn a_block_without_anything_due_costs_little_and_writes_nothing() {
    run(|| {
        open(2);
        assert_eq!(begin(2), Weights::agenda().saturating_add(Weights::agenda_block()));
        assert_eq!((Behind::<Test>::get(), Agenda::<Test>::iter().count()), (None, 1));
    });
}

#[test]
fn what_is_due_beyond_the_bound_waits_for_the_next_block() {
    run(|| {
        let ids: Vec<PollId> = (0..7).map(|_| open(2)).collect();
        run_to(PERIOD);
        vote(ids[6], [1], 1);
        let now = 1 + PERIOD;
        let each = Weights::end_poll().saturating_add(CallbackWeight::get());
        let expected = Weights::agenda().saturating_add(Weights::agenda_block()).saturating_add(each.saturating_mul(3));
        assert_eq!(begin(now), expected);
        assert_eq!((ended(), Behind::<Test>::get()), (3, Some(now)));
        // Whose end has come takes no votes, though it is still to be worked on.
        let waiting = *ids.iter().find(|id| Dao::poll(**id).unwrap().phase == Phase::Open).unwrap();
        assert_noop!(Dao::vote_poll(signed(2), waiting, 1), Error::<Test>::PollEnded);
        assert_noop!(Dao::appeal(signed(2), waiting), Error::<Test>::PollNotEnded);
        assert_ok!(Dao::do_try_state());
        begin(now + 1);
        // The lead in the seventh was taken late: it ends later.
        assert_eq!((ended(), Behind::<Test>::get()), (6, Some(now)));
        begin(now + 2);
        assert_eq!((ended(), Behind::<Test>::get()), (6, None));
        run_to(PERIOD + CONFIRM);
        assert_eq!((ended(), Behind::<Test>::get()), (7, None));
        run_to(2 * PERIOD + CONFIRM + 10);
        assert_eq!((Settled::get().len(), Agenda::<Test>::iter().count()), (7, 0));
    });
}

#[test]
fn blocks_that_were_left_over_are_caught_up_with() {
    run(|| {
        // Two polls end in each of ten blocks, and none is worked on until later.
        for block in 1..=10 {
            System::set_block_number(block);
            open(2);
            open(2);
        }
        let late = PERIOD + 11;
        Behind::<Test>::put(1 + PERIOD);
        System::set_block_number(late - 1);
        let mut blocks = 0;
        while ended() < 20 {
            blocks += 1;
            begin(late + blocks);
            assert_eq!(ended(), 20.min(3 * blocks as usize));
            assert_ok!(Dao::do_try_state());
        }
        // What is empty is passed over, a bounded number of blocks at a time.
        while Behind::<Test>::get().is_some() {
            blocks += 1;
            begin(late + blocks);
        }
        assert!(blocks <= 7 + late / CATCH_UP);
    });
}

#[test]
fn who_waits_long_for_the_end_can_appeal_for_as_long() {
    run(|| {
        let id = open(2);
        let late = 5 + PERIOD;
        Behind::<Test>::put(1 + PERIOD);
        begin(late);
        assert!(matches!(Dao::poll(id).unwrap().phase, Phase::Ended { until, .. } if until == late + PERIOD));
    });
}

#[test]
fn nothing_takes_more_than_was_reserved() {
    run(|| {
        for _ in 0..9 {
            open(2);
        }
        for block in 2..=2 * PERIOD + 20 {
            assert!(begin(block).all_lte(Dao::heaviest_agenda()));
        }
        assert_eq!(Settled::get().len(), 9);
    });
}
