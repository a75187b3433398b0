//! Learners name who takes their deltas over, and that is paid by what they are worth.

use super::primaries::{all_stand, stand_down, wait};
use crate::{mock::*, Error, Event, Lateness, Work};
use blyan_primitives::{
    learning::{DeltaOutcome, RoundId, Verdict},
    pol::Refusal,
};
use frame_support::{assert_noop, assert_ok, traits::fungible::Inspect};
use polkadot_sdk::*;

fn money(who: u64) -> u128 {
    Balances::total_balance(&who)
}

/// What a round has paid to whom for what, in the order in which it was paid.
fn rewards(id: RoundId) -> Vec<(u64, Work, u128)> {
    let of = |event| match event {
        RuntimeEvent::Experts(Event::Rewarded { round, who, work, amount }) if round == id => Some((who, work, amount)),
        _ => None,
    };
    System::events().into_iter().filter_map(|record| of(record.event)).collect()
}

/// A round whose deltas these aggregators take over, with this found of each. It was accepted with the whole gain.
fn taken_over(of: &[(Option<u64>, DeltaOutcome)]) -> RoundId {
    let id = open(slot(0, 0));
    for ((seed, learner), (aggregator, _)) in (1..).zip(LEARNERS).zip(of) {
        assert_ok!(Experts::submit_delta(signed(learner), id, delta(seed), *aggregator));
    }
    wait(SUBMISSION);
    decide(id, verdict(of.iter().map(|(_, outcome)| *outcome).collect(), Ok(candidate(1))));
    id
}

const HALF: DeltaOutcome = DeltaOutcome::Merged(1 << 15);
const QUARTER: DeltaOutcome = DeltaOutcome::Merged(1 << 14);

#[test]
fn aggregators_are_paid_by_the_weight_of_what_they_take_over() {
    run(|| {
        all_stand(&[31, 32, 33]);
        let id = taken_over(&[
            (Some(32), HALF),
            (Some(33), QUARTER),
            (Some(32), QUARTER),
            (Some(31), DeltaOutcome::Refused(Refusal::NoGain)),
        ]);
        let first = Experts::primaries(id)[0];
        let before = [31, 32, 33].map(money);
        assert_ok!(publish(first, id, 1));
        let evaluators = EVALUATORS.map(|who| (who, Work::Evaluation, 66));
        let paid: Vec<_> = [
            (LEARNERS[0], Work::Delta, 300),
            (LEARNERS[1], Work::Delta, 150),
            (LEARNERS[2], Work::Delta, 150),
            (32, Work::Aggregation, 25),
            (33, Work::Aggregation, 12),
            (32, Work::Aggregation, 12),
            (first, Work::Publication, 50),
        ]
        .into_iter()
        .chain(evaluators)
        .collect();
        assert_eq!(rewards(id), paid);
        let share = |who| if who == first { 50 } else { 0 };
        let after = [before[0] + share(31), before[1] + 37 + share(32), before[2] + 12 + share(33)];
        assert_eq!([31, 32, 33].map(money), after);
        assert_eq!(LearningPool::get(), 1_000_000 - 600 - 49 - 50 - 198);
    });
}

#[test]
fn the_primary_is_paid_for_what_no_aggregator_takes_over() {
    run(|| {
        all_stand(&[31, 32]);
        let id = taken_over(&[(None, HALF), (Some(32), QUARTER), (None, QUARTER)]);
        set_online(32, false);
        assert_ok!(publish(31, id, 1));
        let paid = rewards(id);
        assert!(paid.contains(&(31, Work::Publication, 50 + 25 + 12)) && paid.contains(&(32, Work::Aggregation, 12)));
        assert_eq!((money(31), money(32)), (FUNDS + 87, FUNDS + 12));
        assert_eq!(LearningPool::get(), 1_000_000 - 600 - 12 - 87 - 198);
    });
}

#[test]
fn without_aggregators_the_primary_is_paid_their_share() {
    run(|| {
        let id = taken_over(&[(None, DeltaOutcome::Merged(1 << 16))]);
        assert_ok!(publish(BOB, id, 1));
        assert_eq!(money(BOB), FUNDS + 100);
        assert!(!rewards(id).iter().any(|(_, work, _)| *work == Work::Aggregation));
        assert_eq!(LearningPool::get(), 1_000_000 - 600 - 100 - 198);
    });
}

#[test]
fn who_takes_over_and_publishes_is_paid_for_both() {
    run(|| {
        all_stand(&[31]);
        let id = taken_over(&[(Some(31), DeltaOutcome::Merged(1 << 16))]);
        assert_ok!(publish(31, id, 1));
        let paid = rewards(id);
        assert!(paid.contains(&(31, Work::Aggregation, 50)) && paid.contains(&(31, Work::Publication, 50)));
        assert_eq!(money(31), FUNDS + 100);
    });
}

#[test]
fn who_has_taken_over_is_paid_though_it_does_not_stand_any_more() {
    run(|| {
        all_stand(&[31, 32]);
        let id = taken_over(&[(Some(32), DeltaOutcome::Merged(1 << 16))]);
        assert_ok!(stand_down(32, 32));
        set_online(32, false);
        assert_ok!(publish(31, id, 1));
        assert_eq!((money(31), money(32)), (FUNDS + 50, FUNDS + 50));
    });
}

#[test]
fn nothing_is_paid_for_taking_over_what_lapses() {
    run(|| {
        all_stand(&[31]);
        let id = taken_over(&[(Some(31), DeltaOutcome::Merged(1 << 16))]);
        wait(2 * PUBLICATION);
        assert_eq!((rewards(id), money(31), LearningPool::get()), (vec![], FUNDS, 1_000_000));
    });
}

#[test]
fn no_more_is_paid_than_the_round_pays_or_the_pool_has() {
    let merged = DeltaOutcome::Merged;
    for weights in [[1 << 16, 0, 0, 0], [1 << 14; 4], [21_845, 21_845, 21_846, 0], [65_533, 1, 1, 1]] {
        for pool in [0, 1, 7, 99, 100, 999, 1_000, 1_001, 50_000] {
            for named in 0..=4 {
                run(|| {
                    LearningPool::set(pool);
                    all_stand(&AGGREGATORS[..4]);
                    let all: Vec<_> = (0..4)
                        .map(|index| ((index < named).then_some(AGGREGATORS[index]), merged(weights[index])))
                        .collect();
                    let id = taken_over(&all);
                    let issued = Balances::total_issuance();
                    assert_ok!(publish(Experts::primaries(id)[0], id, 1));
                    let paid: u128 = rewards(id).iter().map(|(_, _, amount)| amount).sum();
                    // A tenth is that of data sets, and there are ten parts that are rounded.
                    let most = pool.min(REWARD);
                    assert!(paid <= most - most / 10, "{paid} of {most}");
                    assert!(paid + most.div_ceil(10) + 12 >= most, "{paid} of {most}");
                    assert_eq!(LearningPool::get(), pool - paid);
                    assert_eq!(Balances::total_issuance(), issued + paid);
                });
            }
        }
    }
}

#[test]
fn a_smaller_gain_pays_aggregators_less() {
    run(|| {
        all_stand(&[31, 32]);
        let id = open(slot(0, 0));
        assert_ok!(hand_over(LEARNERS[0], id, delta(1), 32));
        wait(SUBMISSION);
        let outcomes = vec![DeltaOutcome::Merged(1 << 16)];
        decide(id, Verdict { gain: 30_000, ..verdict(outcomes, Ok(candidate(1))) });
        set_online(32, false);
        assert_ok!(publish(31, id, 1));
        // Of 300.
        assert_eq!((money(31), money(32)), (FUNDS + 15, FUNDS + 15));
    });
}

#[test]
fn a_delta_says_who_takes_it_over() {
    run(|| {
        all_stand(&[31]);
        let id = open(slot(0, 0));
        assert_ok!(hand_over(LEARNERS[0], id, delta(1), 31));
        assert_ok!(submit(LEARNERS[1], id, delta(2)));
        // One that is offline is named all the same: it may have been there a moment ago.
        set_online(31, false);
        assert_ok!(hand_over(LEARNERS[2], id, delta(3), 31));
        let named: Vec<_> = Experts::deltas(id).into_iter().map(|delta| delta.aggregator).collect();
        assert_eq!(named, [Some(31), None, Some(31)]);
    });
}

#[test]
fn an_aggregator_that_does_not_stand_takes_nothing_over() {
    run(|| {
        all_stand(&[31]);
        let id = open(slot(0, 0));
        for who in [ALICE, LEARNERS[0], 32] {
            assert_noop!(hand_over(LEARNERS[0], id, delta(1), who), Error::<Test>::AggregatorDoesNotStand);
        }
        assert_eq!(bond_of(LEARNERS[0]), 0);
        // One that is not elected does, one that is and has stood down does not.
        assert_ok!(stand(32));
        assert_ok!(stand_down(31, 31));
        assert_noop!(hand_over(LEARNERS[0], id, delta(1), 31), Error::<Test>::AggregatorDoesNotStand);
        assert_ok!(hand_over(LEARNERS[0], id, delta(1), 32));
    });
}

#[test]
fn a_late_delta_is_told_to_be_late_whomever_it_names() {
    run(|| {
        let id = evaluating(1);
        assert_ok!(hand_over(LEARNERS[1], id, delta(2), BOB));
        let (learner, head, reason) = (LEARNERS[1], Some(genesis()), Lateness::Closed);
        System::assert_last_event(Event::DeltaRefused { round: id, learner, head, reason }.into());
    });
}
