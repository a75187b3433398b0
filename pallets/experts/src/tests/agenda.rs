//! Rounds go on in their blocks, and a bounded number of them in each.

use crate::{mock::*, weights::WeightInfo, Agenda, Behind, Config, Lateness, Outcome, Phase, CATCH_UP};
use blyan_primitives::{
    learning::{DeltaOutcome, RoundId},
    pol::Refusal,
};
use frame_support::{assert_ok, traits::Hooks, weights::Weight};
use polkadot_sdk::*;

type Weights = <Test as Config>::WeightInfo;

/// Begins block `now`, and says what the agenda took.
fn begin(now: u64) -> Weight {
    System::set_block_number(now);
    Experts::on_initialize(now)
}

fn is_open(id: RoundId) -> bool {
    matches!(Experts::round(id).unwrap().phase, Phase::Open { .. })
}

fn base() -> Weight {
    Weights::agenda().saturating_add(Weights::agenda_block())
}

#[test]
fn a_block_without_anything_due_costs_little_and_writes_nothing() {
    run(|| {
        open(slot(0, 0));
        assert_eq!(begin(2), base());
        assert_eq!((Behind::<Test>::get(), Agenda::<Test>::iter().count()), (None, 1));
    });
}

#[test]
fn what_is_due_beyond_the_bound_waits_for_the_next_block() {
    run(|| {
        let ids: Vec<RoundId> = [slot(0, 0), slot(0, 1), slot(0, 2), slot(1, 0)].into_iter().map(open).collect();
        let now = 1 + SUBMISSION;
        assert_eq!(begin(now), base().saturating_add(Weights::end_empty_round().saturating_mul(3)));
        assert_eq!(Behind::<Test>::get(), Some(now));
        // Whose time has come takes no deltas, though it is still to be worked on.
        let waiting = *ids.iter().find(|id| is_open(**id)).unwrap();
        assert_ok!(submit(LEARNERS[0], waiting, delta(1)));
        let (learner, head, reason) = (LEARNERS[0], Some(genesis()), Lateness::Closed);
        System::assert_last_event(crate::Event::DeltaRefused { round: waiting, learner, head, reason }.into());
        assert_ok!(Experts::do_try_state());
        begin(now + 1);
        assert!(ids.iter().all(|id| !is_open(*id)));
        // Both blocks are looked through.
        assert_eq!((Behind::<Test>::get(), Agenda::<Test>::iter().count()), (None, 0));
    });
}

#[test]
fn a_round_that_is_evaluated_costs_what_that_takes() {
    run(|| {
        opened_with(2);
        let begun = base().saturating_add(Weights::start_evaluation()).saturating_add(StartWeight::get());
        assert_eq!(begin(1 + SUBMISSION), begun);
        NoCommittee::set(true);
        let id = open(slot(0, 1));
        assert_ok!(submit(LEARNERS[0], id, delta(1)));
        assert_eq!(begin(1 + 2 * SUBMISSION), begun.saturating_add(Weights::fail_round(1)));
    });
}

#[test]
fn what_lapses_costs_what_that_takes() {
    run(|| {
        accepted();
        let until = System::block_number() + 2 * PUBLICATION;
        assert_eq!(begin(until), base().saturating_add(Weights::lapse_round()));
    });
}

#[test]
fn blocks_that_were_left_over_are_caught_up_with() {
    run(|| {
        for index in 0..3 {
            System::set_block_number(1 + 4 * u64::from(index));
            open(slot(0, index));
        }
        // None is worked on until later.
        let (first, late) = (1 + SUBMISSION, 40);
        Behind::<Test>::put(first);
        let blocks = (late - first + 1).div_ceil(CATCH_UP.into());
        System::set_block_number(late - 1);
        for block in 0..blocks {
            begin(late + block);
            assert_ok!(Experts::do_try_state());
        }
        assert!((0..3).all(|id| !is_open(id)));
        // What is empty is passed over, a bounded number of blocks at a time.
        while Behind::<Test>::get().is_some() {
            begin(System::block_number() + 1);
        }
        assert!(System::block_number() <= late + blocks + 1);
    });
}

#[test]
fn who_could_submit_late_has_as_long_to_publish() {
    run(|| {
        let id = opened_with(1);
        Behind::<Test>::put(1 + SUBMISSION);
        begin(30);
        decide(id, verdict(vec![DeltaOutcome::Merged(1 << 16)], Ok(candidate(1))));
        let phase = Experts::round(id).unwrap().phase;
        assert!(matches!(phase, Phase::Accepted { primary_until, .. } if primary_until == 30 + PUBLICATION));
        assert_ok!(publish(PRIMARY, id, 1));
    });
}

#[test]
fn nothing_takes_more_than_was_reserved() {
    run(|| {
        MostRounds::set(6);
        NoCommittee::set(true);
        let slots = (0..2).flat_map(|layer| (0..3).map(move |index| slot(layer, index)));
        for (seed, slot) in (1..).zip(slots) {
            let id = open(slot);
            if seed > 2 {
                assert_ok!(submit(LEARNERS[0], id, delta(seed)));
            }
        }
        for block in 2..=SUBMISSION + 5 {
            assert!(begin(block).all_lte(Experts::heaviest_agenda()));
        }
        let outcome = |id| match Experts::round(id).unwrap().phase {
            Phase::Over { outcome, .. } => Some(outcome),
            _ => None,
        };
        assert!((0..2).all(|id| outcome(id) == Some(Outcome::Empty)));
        assert!((2..6).all(|id| outcome(id) == Some(Outcome::Failed)));
    });
}

#[test]
fn a_round_that_was_decided_waits_for_nothing() {
    run(|| {
        let id = evaluating(1);
        assert_eq!(Agenda::<Test>::iter().count(), 0);
        decide(id, verdict(vec![DeltaOutcome::Withheld], Err(Refusal::NothingMerged)));
        assert_eq!(Agenda::<Test>::iter().count(), 0);
        let id = accepted();
        assert_eq!(Agenda::<Test>::iter().count(), 1);
        assert_ok!(publish(PRIMARY, id, 1));
        assert_eq!(Agenda::<Test>::iter().count(), 0);
    });
}
