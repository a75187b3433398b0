//! Primaries publish in turns, and how long they take is remembered.

use super::primaries::{all_stand, delays, elected, set_window, stand_down, three_elected, wait, WINDOW};
use crate::{mock::*, Error, Event, DELAY_UNITS, PRIMARIES};
use blyan_primitives::{
    learning::{DeltaOutcome, Rounds as KeepRounds},
    pol::Refusal,
};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;

/// Blocks of each primary's turn in the first window.
const TURN: u64 = WINDOW / PRIMARIES as u64;
/// What a delay of the whole window makes of the mean of an aggregator that was never late, and of that again.
const WORST: u32 = WINDOW as u32 * DELAY_UNITS / 8;
const WORST_TWICE: u32 = (7 * WORST + WINDOW as u32 * DELAY_UNITS) / 8;

#[test]
fn the_first_publishes_at_once_and_the_others_wait_for_their_part_of_the_window() {
    run(|| {
        let (id, primaries) = three_elected();
        let [first, second, third] = primaries;
        let begun = System::block_number();
        let turns = [begun, begun + TURN, begun + 2 * TURN];
        assert_eq!(primaries.map(|who| Experts::turn(id, who)), turns.map(Some));
        assert_eq!(Experts::turn(id, BOB), Some(begun + WINDOW));
        for who in [second, third] {
            assert_noop!(publish(who, id, 1), Error::<Test>::NotYourTurn);
        }
        run_to(begun + TURN - 1);
        assert_noop!(publish(second, id, 1), Error::<Test>::NotYourTurn);
        run_to(begun + 2 * TURN - 1);
        assert_noop!(publish(third, id, 1), Error::<Test>::NotYourTurn);
        // What was begun does not begin anew.
        assert_eq!(primaries.map(|who| Experts::turn(id, who)), turns.map(Some));
        assert_ok!(publish(first, id, 1));
    });
}

#[test]
fn the_second_publishes_after_the_firsts_part_of_the_window() {
    run(|| {
        let (id, [_, second, third]) = three_elected();
        wait(TURN);
        assert_noop!(publish(third, id, 1), Error::<Test>::NotYourTurn);
        assert_ok!(publish(second, id, 1));
        assert!(System::events().iter().any(|record| matches!(
            record.event,
            RuntimeEvent::Experts(Event::RoundCommitted { publisher, .. }) if publisher == second
        )));
    });
}

#[test]
fn the_third_publishes_after_both_parts() {
    run(|| {
        let (id, [_, _, third]) = three_elected();
        wait(2 * TURN);
        assert_ok!(publish(third, id, 1));
    });
}

#[test]
fn who_misses_its_heartbeats_is_passed_over_at_once() {
    run(|| {
        let (id, [first, second, third]) = three_elected();
        let begun = System::block_number();
        let turns = || [first, second, third].map(|who| Experts::turn(id, who).unwrap() - begun);
        set_online(first, false);
        // Its own turn stays what it is.
        assert_eq!(turns(), [0, 0, TURN]);
        set_online(second, false);
        assert_eq!(turns(), [0, 0, 0]);
        set_online(first, true);
        assert_eq!(turns(), [0, TURN, TURN]);
        assert_noop!(publish(third, id, 1), Error::<Test>::NotYourTurn);
        // Who has no worker any more misses them too.
        Workers::mutate(|workers| workers.remove(&first));
        assert_eq!(turns(), [0, 0, 0]);
        assert_ok!(publish(third, id, 1));
    });
}

#[test]
fn the_second_publishes_at_once_when_the_first_is_offline() {
    run(|| {
        let (id, [first, second, third]) = three_elected();
        assert_noop!(publish(second, id, 1), Error::<Test>::NotYourTurn);
        set_online(first, false);
        assert_ok!(publish(second, id, 1));
        assert_eq!(Experts::head(slot(0, 0)).unwrap().block, candidate(1).serving);
        // It was elected because it was online.
        assert_eq!(delays([first, second, third]), [Some(WORST), Some(0), Some(0)]);
    });
}

#[test]
fn who_is_back_online_has_its_turn_before_the_others_again() {
    run(|| {
        let (id, [first, second, _]) = three_elected();
        set_online(first, false);
        wait(1);
        set_online(first, true);
        assert_noop!(publish(second, id, 1), Error::<Test>::NotYourTurn);
        assert_ok!(publish(first, id, 1));
    });
}

#[test]
fn a_primary_that_is_offline_publishes_all_the_same() {
    run(|| {
        let (id, [first, ..]) = three_elected();
        set_online(first, false);
        assert_ok!(publish(first, id, 1));
    });
}

#[test]
fn who_is_no_primary_waits_for_the_second_window() {
    run(|| {
        let (id, primaries) = elected(2);
        let begun = System::block_number();
        // Not even when nobody is there.
        primaries.iter().for_each(|who| set_online(*who, false));
        assert_ok!(stand(33));
        for who in [BOB, 33] {
            assert_eq!(Experts::turn(id, who), Some(begun + WINDOW));
            assert_noop!(publish(who, id, 1), Error::<Test>::NotYourTurn);
        }
        run_to(begun + WINDOW - 1);
        assert_noop!(publish(BOB, id, 1), Error::<Test>::NotYourTurn);
        run_to(begun + WINDOW);
        assert_ok!(publish(BOB, id, 1));
    });
}

#[test]
fn primaries_still_publish_in_the_second_window() {
    run(|| {
        let (id, [_, second, _]) = three_elected();
        wait(2 * WINDOW - 1);
        assert_ok!(publish(second, id, 1));
    });
}

#[test]
fn a_primary_waits_for_no_more_than_the_first_window() {
    // The parts of a window that cannot be divided are a block each.
    for (window, turns) in [(0, [0, 1, 1]), (1, [0, 1, 1]), (2, [0, 1, 2]), (5, [0, 1, 2])] {
        run(|| {
            set_window(window);
            all_stand(&AGGREGATORS[..3]);
            let (id, begun) = (accepted(), System::block_number());
            let found: Vec<_> =
                Experts::primaries(id).into_iter().map(|who| Experts::turn(id, who).unwrap() - begun).collect();
            assert_eq!(found, turns, "of {window} blocks");
            assert_eq!(Experts::turn(id, BOB), Some(begun + window.max(1)));
        });
    }
}

#[test]
fn there_is_a_turn_while_something_waits_to_be_published() {
    run(|| {
        all_stand(&[31]);
        assert_eq!(Experts::turn(0, 31), None);
        let id = opened_with(1);
        assert_eq!(Experts::turn(id, 31), None);
        wait(SUBMISSION);
        assert_eq!(Experts::turn(id, 31), None);
        decide(id, verdict(vec![DeltaOutcome::Merged(1 << 16)], Ok(candidate(1))));
        assert_eq!(Experts::turn(id, 31), Some(System::block_number()));
        assert_ok!(publish(31, id, 1));
        assert_eq!(Experts::turn(id, 31), None);
    });
}

#[test]
fn a_window_is_what_it_was_when_the_round_was_opened() {
    run(|| {
        let (id, [_, second, _]) = three_elected();
        let turn = Experts::turn(id, second);
        set_window(1);
        assert_eq!(Experts::turn(id, second), turn);
        assert_noop!(publish(BOB, id, 1), Error::<Test>::NotYourTurn);
    });
}

// Delays.

#[test]
fn who_publishes_at_once_has_no_delay() {
    run(|| {
        let (id, primaries) = three_elected();
        assert_ok!(publish(primaries[0], id, 1));
        assert_eq!(delays(primaries), [Some(0); 3]);
    });
}

#[test]
fn who_publishes_later_has_what_it_took_since_its_turn_as_its_delay() {
    run(|| {
        let (id, primaries) = three_elected();
        wait(2);
        assert_ok!(publish(primaries[0], id, 1));
        // An eighth of two blocks. Who comes after it was not asked.
        assert_eq!(delays(primaries), [Some(4), Some(0), Some(0)]);
    });
    run(|| {
        let (id, primaries) = three_elected();
        wait(TURN + 1);
        assert_ok!(publish(primaries[1], id, 1));
        assert_eq!(delays(primaries), [Some(WORST), Some(2), Some(0)]);
    });
}

#[test]
fn who_was_passed_over_has_the_whole_window_as_its_delay() {
    run(|| {
        let (id, primaries) = three_elected();
        wait(TURN);
        assert_ok!(publish(primaries[1], id, 1));
        assert_eq!(delays(primaries), [Some(WORST), Some(0), Some(0)]);
    });
    run(|| {
        let (id, primaries) = three_elected();
        wait(2 * TURN);
        assert_ok!(publish(primaries[2], id, 1));
        assert_eq!(delays(primaries), [Some(WORST), Some(WORST), Some(0)]);
    });
    // One that is offline for as long as its turn lasts.
    run(|| {
        let (id, primaries) = three_elected();
        set_online(primaries[0], false);
        wait(TURN);
        assert_ok!(publish(primaries[1], id, 1));
        assert_eq!(delays(primaries), [Some(WORST), Some(0), Some(0)]);
    });
}

#[test]
fn who_comes_after_a_late_publisher_was_asked_when_its_turn_was_over() {
    run(|| {
        let (id, primaries) = three_elected();
        // The turn of the second has begun, and is not over.
        wait(2 * TURN - 1);
        assert_ok!(publish(primaries[0], id, 1));
        assert_eq!(delays(primaries), [Some(10), Some(0), Some(0)]);
    });
    run(|| {
        let (id, primaries) = three_elected();
        wait(2 * TURN);
        assert_ok!(publish(primaries[0], id, 1));
        assert_eq!(delays(primaries), [Some(12), Some(WORST), Some(0)]);
    });
}

#[test]
fn no_delay_is_longer_than_a_window() {
    run(|| {
        let (id, primaries) = three_elected();
        wait(2 * WINDOW - 1);
        assert_ok!(publish(primaries[0], id, 1));
        assert_eq!(delays(primaries), [Some(WORST); 3]);
    });
}

#[test]
fn who_leaves_publication_to_others_has_the_whole_window_as_its_delay() {
    run(|| {
        let (id, primaries) = three_elected();
        all_stand(&[34]);
        wait(WINDOW);
        // Who was not elected has had no turn.
        assert_ok!(publish(34, id, 1));
        assert_eq!(delays(primaries), [Some(WORST); 3]);
        assert_eq!(delays([34]), [Some(0)]);
    });
}

#[test]
fn what_lapses_is_a_delay_of_all_primaries() {
    run(|| {
        let (id, primaries) = three_elected();
        all_stand(&[34]);
        wait(2 * WINDOW);
        assert!(Experts::round(id).unwrap().is_over());
        assert_eq!(delays(primaries), [Some(WORST); 3]);
        assert_eq!(delays([34]), [Some(0)]);
    });
}

#[test]
fn delays_are_the_mean_of_several_rounds() {
    run(|| {
        let (_, primaries) = elected(1);
        wait(2 * WINDOW);
        assert_eq!(delays([primaries[0]]), [Some(WORST)]);
        accepted();
        wait(2 * WINDOW);
        assert_eq!(delays([primaries[0]]), [Some(WORST_TWICE)]);
        let id = accepted();
        assert_ok!(publish(primaries[0], id, 1));
        assert_eq!(delays([primaries[0]]), [Some(WORST_TWICE * 7 / 8)]);
    });
}

#[test]
fn who_does_not_stand_any_more_does_not_stand_again_for_a_delay() {
    run(|| {
        let (id, primaries) = three_elected();
        primaries.iter().for_each(|who| stand_down(*who, *who).unwrap());
        wait(2 * TURN);
        assert_ok!(publish(primaries[2], id, 1));
        assert_eq!(delays(primaries), [None; 3]);
    });
    run(|| {
        let (_, primaries) = three_elected();
        assert_ok!(stand_down(primaries[1], primaries[1]));
        wait(2 * WINDOW);
        assert_eq!(delays(primaries), [Some(WORST), None, Some(WORST)]);
    });
}

#[test]
fn what_comes_to_nothing_else_is_nobodys_delay() {
    run(|| {
        all_stand(&[31]);
        open(slot(0, 0));
        wait(SUBMISSION);
        decide(evaluating(1), verdict(vec![DeltaOutcome::Withheld], Err(Refusal::NothingMerged)));
        <Experts as KeepRounds<u64>>::failed(evaluating(1));
        NoCommittee::set(true);
        opened_with(1);
        wait(SUBMISSION);
        assert_eq!((Experts::ongoing_rounds().len(), delays([31])), (0, [Some(0)]));
    });
}
