//! What is over goes by itself, a little in each block.

use crate::{mock::*, Deltas, Event, Phase, Rounds, SweptRound, SWEPT_ROUNDS};
use blyan_primitives::learning::RoundId;
use frame_support::{assert_ok, traits::Hooks, weights::Weight};
use polkadot_sdk::*;

/// The ends of `blocks` blocks with weight left over.
fn idle(blocks: u32) {
    for _ in 0..blocks {
        Experts::on_idle(System::block_number(), Weight::MAX);
        assert_ok!(Experts::do_try_state());
    }
}

fn ids() -> Vec<RoundId> {
    let mut ids: Vec<_> = Rounds::<Test>::iter_keys().collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_round_that_has_been_over_for_long_enough_goes_with_its_deltas() {
    run(|| {
        NoCommittee::set(true);
        let id = opened_with(3);
        run_to(1 + SUBMISSION);
        let (ended, ongoing) = (System::block_number(), open(slot(0, 1)));
        run_to(ended + SUBMISSION - 1);
        assert_ok!(submit(LEARNERS[0], ongoing, delta(1)));
        NoCommittee::set(false);
        Started::mutate(|started| started.push(id));
        // Over, and still there to be looked up.
        run_to(ended + RETENTION - 1);
        idle(3);
        assert_eq!((ids(), Deltas::<Test>::iter_keys().count()), (vec![id, ongoing], 2));
        run_to(ended + RETENTION);
        idle(3);
        System::assert_last_event(Event::RoundRemoved { round: id }.into());
        assert_eq!(Started::get(), [ongoing]);
        // What is being evaluated stays for as long as it takes.
        run_to(ended + 3 * RETENTION);
        idle(3);
        assert_eq!((ids(), Deltas::<Test>::iter_keys().count()), (vec![ongoing], 1));
        assert_eq!(Experts::round(ongoing).unwrap().phase, Phase::Evaluating);
    });
}

#[test]
fn a_block_looks_at_a_bounded_number_of_rounds_and_the_next_goes_on() {
    run(|| {
        let count = 2 * SWEPT_ROUNDS + 1;
        for _ in 0..count {
            open(slot(0, 0));
            run_to(System::block_number() + SUBMISSION);
        }
        run_to(System::block_number() + RETENTION);
        for left in [SWEPT_ROUNDS + 1, 1, 0] {
            idle(1);
            assert_eq!((ids().len() as u32, SweptRound::<Test>::exists()), (left, left > 0));
        }
    });
}

#[test]
fn what_fills_a_block_comes_first() {
    run(|| {
        open(slot(0, 0));
        run_to(1 + SUBMISSION + RETENTION);
        let now = System::block_number();
        assert_eq!(Experts::on_idle(now, Weight::zero()), Weight::zero());
        assert_eq!(ids(), [0]);
        let most = Experts::heaviest_sweep();
        let taken = Experts::on_idle(now, most);
        assert!(taken.any_gt(Weight::zero()) && taken.all_lte(most));
        assert!(ids().is_empty());
    });
}
