//! A verdict settles bonds: who loses how much, who gets it, and what it means for a learner's standing.

use crate::{mock::*, Event, HoldReason, Masters, Outcome, Phase};
use blyan_primitives::{
    learning::{DeltaOutcome, Verdict},
    pact::Ppm,
    pol::Refusal,
};
use frame_support::traits::fungible::{Inspect, MutateHold};
use polkadot_sdk::*;

const REJECTED: Result<blyan_primitives::pol::Candidate, Refusal> = Err(Refusal::NothingMerged);

fn money(who: u64) -> u128 {
    Balances::total_balance(&who)
}

/// What a learner with this outcome loses, and its record. All other money is where it should be.
fn judged(outcome: DeltaOutcome) -> (u128, Option<(u32, u32)>) {
    new_test_ext().execute_with(|| {
        let id = evaluating(1);
        let issuance = Balances::total_issuance();
        decide(id, verdict(vec![outcome], REJECTED));
        let lost = FUNDS - money(LEARNERS[0]);
        let (learner, returned) = (LEARNERS[0], BOND - lost);
        let event = Event::DeltaJudged { round: id, index: 0, learner, outcome, returned, lost };
        assert!(System::events().iter().any(|record| record.event == event.clone().into()));
        assert_eq!((bond_of(learner), Balances::free_balance(learner)), (0, FUNDS - lost));
        // In equal parts.
        assert_eq!(EVALUATORS.map(money), [FUNDS + lost / 3; 3]);
        assert_eq!(money(TREASURER), FUNDS + lost % 3);
        assert_eq!(Balances::total_issuance(), issuance);
        Experts::do_try_state().unwrap();
        (lost, Records::get().get(&LEARNERS[0]).copied())
    })
}

#[test]
fn a_merged_delta_has_its_bond_back_and_counts_as_a_success() {
    assert_eq!(judged(DeltaOutcome::Merged(1 << 16)), (0, Some((1, 0))));
}

#[test]
fn honest_work_that_does_not_help_costs_a_fee() {
    for refusal in [Refusal::NoGain, Refusal::Unsure, Refusal::NothingMerged] {
        assert_eq!(judged(DeltaOutcome::Refused(refusal)), (FEE, Some((0, 1))), "{refusal}");
    }
}

#[test]
fn a_delta_that_nobody_could_fetch_costs_a_fee_and_says_nothing_of_its_learner() {
    assert_eq!(judged(DeltaOutcome::Withheld), (FEE, None));
}

#[test]
fn what_is_not_honest_costs_the_bond() {
    for refusal in [Refusal::Malformed, Refusal::Copied, Refusal::Harmful, Refusal::Leaked] {
        assert_eq!(judged(DeltaOutcome::Refused(refusal)), (BOND, Some((0, 1))), "{refusal}");
    }
}

#[test]
fn what_is_lost_is_shared_by_votes_and_rounding_goes_to_nobody() {
    run(|| {
        Numbers::mutate(|pact| pact.rounds.useless_fee = Ppm(200_000));
        let id = evaluating(3);
        let outcomes = vec![
            DeltaOutcome::Refused(Refusal::Harmful),
            DeltaOutcome::Withheld,
            DeltaOutcome::Refused(Refusal::Unsure),
        ];
        let [one, two, three] = EVALUATORS;
        let evaluators = vec![(one, 1), (two, 4), (three, 3)];
        decide(id, Verdict { evaluators: evaluators.clone(), ..verdict(outcomes, REJECTED) });
        // 60 and 12 and 12 by eight.
        assert_eq!(EVALUATORS.map(money), [FUNDS + 10, FUNDS + 40, FUNDS + 30]);
        assert_eq!(money(TREASURER), FUNDS + 4);
        assert_eq!(LEARNERS.map(money), [FUNDS - 60, FUNDS - 12, FUNDS - 12, FUNDS, FUNDS]);
        for (evaluator, votes) in evaluators {
            let shared = Event::ForfeitShared { round: id, evaluator, amount: 10 * u128::from(votes) };
            assert!(System::events().iter().any(|record| record.event == shared.clone().into()));
        }
    });
}

#[test]
fn what_cannot_be_shared_is_left_over() {
    run(|| {
        let id = evaluating(1);
        // An account that does not exist, and that the part would not suffice to open.
        ExistentialDeposit::set(50);
        let evaluators = vec![(EVALUATORS[0], 1), (99, 1)];
        let lost = vec![DeltaOutcome::Refused(Refusal::Leaked)];
        decide(id, Verdict { evaluators, ..verdict(lost, REJECTED) });
        assert_eq!((money(EVALUATORS[0]), money(99), money(TREASURER)), (FUNDS + 30, 0, FUNDS + 30));
        let left = Event::ForfeitLeft { round: id, amount: 30 };
        assert!(System::events().iter().any(|record| record.event == left.clone().into()));
    });
}

#[test]
fn without_evaluators_everything_is_left_over() {
    run(|| {
        let id = evaluating(1);
        let lost = vec![DeltaOutcome::Refused(Refusal::Leaked)];
        decide(id, Verdict { evaluators: vec![], ..verdict(lost, REJECTED) });
        assert_eq!(money(TREASURER), FUNDS + BOND);
    });
}

#[test]
fn bonds_are_settled_with_the_verdict_not_with_the_publication() {
    run(|| {
        let id = evaluating(2);
        let outcomes = vec![DeltaOutcome::Merged(1 << 16), DeltaOutcome::Refused(Refusal::NoGain)];
        decide(id, verdict(outcomes, Ok(candidate(1))));
        assert!(matches!(Experts::round(id).unwrap().phase, Phase::Accepted { .. }));
        assert_eq!(LEARNERS.map(bond_of), [0; 5]);
        assert_eq!((money(LEARNERS[0]), money(LEARNERS[1])), (FUNDS, FUNDS - FEE));
        assert_eq!(Masters::<Test>::iter().count(), 0);
    });
}

#[test]
fn a_learners_other_bonds_stay_held() {
    run(|| {
        let id = opened_with(1);
        let other = open(slot(0, 1));
        submit(LEARNERS[0], other, delta(5)).unwrap();
        run_to(1 + SUBMISSION);
        decide(id, verdict(vec![DeltaOutcome::Refused(Refusal::Copied)], REJECTED));
        assert_eq!((bond_of(LEARNERS[0]), money(LEARNERS[0])), (BOND, FUNDS - BOND));
        decide(other, verdict(vec![DeltaOutcome::Merged(1 << 16)], Err(Refusal::Unsure)));
        assert_eq!((bond_of(LEARNERS[0]), money(LEARNERS[0])), (0, FUNDS - BOND));
    });
}

/// What cannot be stops whoever has debug assertions on.
#[cfg(not(debug_assertions))]
#[test]
fn a_bond_that_cannot_be_returned_whole_is_lost_as_far_as_it_is_there() {
    new_test_ext().execute_with(|| {
        let id = evaluating(1);
        Balances::release(
            &HoldReason::DeltaBond.into(),
            &LEARNERS[0],
            20,
            frame_support::traits::tokens::Precision::Exact,
        )
        .unwrap();
        decide(id, verdict(vec![DeltaOutcome::Merged(1 << 16)], REJECTED));
        assert_eq!((bond_of(LEARNERS[0]), money(LEARNERS[0])), (0, FUNDS - 40));
        assert_eq!(EVALUATORS.map(money).iter().sum::<u128>() + money(TREASURER), 4 * FUNDS + 40);
        assert!(matches!(Experts::round(id).unwrap().phase, Phase::Over { outcome: Outcome::Rejected(_), .. }));
    });
}
