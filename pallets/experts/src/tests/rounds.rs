//! Rounds are opened, and come to their ends.

use crate::{
    mock::*, Accepted, Deltas, Error, Evaluators, Event, Masters, NextRound, Ongoing, Outcome, Phase, Round, Terms,
    MAX_EVALUATORS, MAX_PAGE,
};
use blyan_primitives::{
    block::Form,
    ids::{SlotId, SpecId},
    learning::{DeltaInfo, DeltaOutcome, RoundId, RoundInfo, Rounds as KeepRounds},
    pact::{Bounds, Network, Ppm},
    pol::{Refusal, RewardShares},
};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use sp_runtime::DispatchResult;

type Keeper = Experts;

fn open_round(slot: SlotId, spec: SpecId) -> DispatchResult {
    Experts::open_round(signed(BOB), slot, spec).map(|_| ()).map_err(|error| error.error)
}

fn outcome(id: RoundId) -> Outcome {
    match Experts::round(id).unwrap().phase {
        Phase::Over { outcome, .. } => outcome,
        phase => panic!("the round is not over: {phase:?}"),
    }
}

fn happened(event: Event<Test>) -> bool {
    System::events().iter().any(|record| record.event == event.clone().into())
}

#[test]
fn a_round_is_about_the_head_its_master_and_the_terms_of_its_time() {
    run(|| {
        System::set_block_number(7);
        assert_ok!(open_round(slot(1, 2), LINEAGE));
        let terms = Terms {
            max_deltas: MAX_DELTAS,
            own_items: OWN_ITEMS,
            bond: BOND,
            useless_fee: Ppm(250_000),
            publication: PUBLICATION as u32,
            reward: REWARD,
            shares: RewardShares {
                learners: Ppm(600_000),
                aggregators: Ppm(50_000),
                primary: Ppm(50_000),
                evaluators: Ppm(200_000),
            },
        };
        let (base, master, until) = (genesis(), expert(Form::Master, 0).content_hash(), 7 + SUBMISSION);
        let phase = Phase::Open { until };
        let round = Round { slot: slot(1, 2), spec: LINEAGE, base, master, terms, opened_at: 7, phase };
        assert_eq!(Experts::round(0), Some(round));
        assert_eq!(Experts::round_of(slot(1, 2)), Some((0, round)));
        let opened = Event::RoundOpened { round: 0, slot: slot(1, 2), spec: LINEAGE, base, master, until };
        System::assert_last_event(opened.into());
        // What the Pact says later is for later rounds.
        Numbers::mutate(|pact| pact.rounds.delta_bond = 1);
        assert_eq!(Experts::round(0), Some(round));
        assert_eq!(Experts::round(open(slot(0, 0))).unwrap().terms.bond, 1);
    });
}

#[test]
fn only_a_slot_of_a_live_spec_that_holds_a_block_is_in_rounds() {
    run(|| {
        let (unknown, elsewhere) = (SpecId([9; 32]), SpecId([8; 32]));
        assert_noop!(open_round(slot(0, 0), unknown), Error::<Test>::SpecNotLive);
        let next = publish_successor();
        assert_noop!(open_round(slot(0, 0), next), Error::<Test>::SpecNotLive);
        set_life(LINEAGE, Life::Deprecated);
        assert_noop!(open_round(slot(0, 0), LINEAGE), Error::<Test>::SpecNotLive);
        // The model is evaluated in the spec that is named, which must have the slot.
        set_life(LINEAGE, Life::Active);
        set_life(next, Life::Active);
        set_spec(elsewhere, elsewhere, dimensions(), Life::Active);
        for (slot, spec) in [(slot(2, 0), LINEAGE), (slot(0, 3), LINEAGE), (slot(3, 0), next), (slot(0, 0), elsewhere)]
        {
            assert_noop!(open_round(slot, spec), Error::<Test>::UnknownSlot);
        }
        assert_noop!(open_round(slot(2, 0), next), Error::<Test>::EmptySlot);
        assert_ok!(open_round(slot(0, 0), next));
        assert_eq!(Experts::round(0).unwrap().spec, next);
    });
}

#[test]
fn a_head_whose_master_the_chain_does_not_know_is_in_no_round() {
    run(|| {
        let next = publish_successor();
        let master = registered(&expert(Form::Master, 1), None);
        // What an account says of its block is its word alone.
        let block = registered(&expert(Form::Serving, 1), Some(master));
        assert_ok!(Experts::fill_head(RuntimeOrigin::root(), next, 2, 0, block));
        set_life(next, Life::Active);
        assert_eq!((Experts::head_master(slot(2, 0)), Experts::head_master(slot(2, 1))), (None, None));
        assert_noop!(open_round(slot(2, 0), next), Error::<Test>::UnknownHeadMaster);
        assert_eq!(Experts::head_master(slot(0, 0)), Some(expert(Form::Master, 0).content_hash()));
    });
}

#[test]
fn a_slot_is_in_one_round_at_a_time() {
    run(|| {
        open(slot(0, 0));
        assert_noop!(open_round(slot(0, 0), LINEAGE), Error::<Test>::RoundInProgress);
        run_to(1 + SUBMISSION);
        assert_eq!((outcome(0), Experts::round_of(slot(0, 0))), (Outcome::Empty, None));
        assert_ok!(open_round(slot(0, 0), LINEAGE));
    });
}

#[test]
fn there_are_as_many_rounds_at_a_time_as_there_can_be() {
    run(|| {
        for index in 0..3 {
            open(slot(0, index));
        }
        run_to(2);
        open(slot(1, 0));
        let ids = || {
            let mut ids: Vec<_> = Experts::ongoing_rounds().into_iter().map(|(id, _)| id).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(), [0, 1, 2, 3]);
        assert_noop!(open_round(slot(1, 1), LINEAGE), Error::<Test>::TooManyRounds);
        run_to(1 + SUBMISSION);
        assert_eq!(ids(), [3]);
        assert_ok!(open_round(slot(1, 1), LINEAGE));
    });
}

#[test]
fn an_answer_holds_a_bounded_number_of_rounds() {
    run(|| {
        let many = MAX_PAGE as u16 + 1;
        let wide = blyan_primitives::spec::Dimensions { experts: many, ..dimensions() };
        set_spec(LINEAGE, LINEAGE, wide, Life::Active);
        MostRounds::set(MAX_PAGE + 1);
        for index in 0..many {
            if index >= 3 {
                assert_ok!(Experts::fill_head(RuntimeOrigin::root(), LINEAGE, 0, index, genesis()));
            }
            open(slot(0, index));
        }
        assert_eq!(Ongoing::<Test>::count(), MAX_PAGE + 1);
        assert_eq!(Experts::ongoing_rounds().len(), MAX_PAGE as usize);
    });
}

#[test]
fn numbers_of_rounds_do_not_overflow() {
    run(|| {
        NextRound::<Test>::put(RoundId::MAX);
        assert_noop!(open_round(slot(0, 0), LINEAGE), Error::<Test>::NoMoreRounds);
    });
}

#[test]
fn who_evaluates_a_round_is_told_of_it_while_it_is_evaluated() {
    run(|| {
        let id = opened_with(2);
        let (round, delta_of) = (<Keeper as KeepRounds<u64>>::round, <Keeper as KeepRounds<u64>>::delta);
        assert_eq!((round(id), delta_of(id, 0)), (None, None));
        run_to(1 + SUBMISSION);
        System::assert_last_event(Event::RoundClosed { round: id, deltas: 2 }.into());
        assert_eq!((Experts::round(id).unwrap().phase, Started::get()), (Phase::Evaluating, vec![id]));
        let master = expert(Form::Master, 0).content_hash();
        let info = RoundInfo { slot: slot(0, 0), spec: LINEAGE, base: genesis(), master, deltas: 2 };
        assert_eq!(round(id), Some(info));
        assert_eq!(delta_of(id, 1), Some(DeltaInfo { learner: LEARNERS[1], header: delta(2) }));
        assert_eq!((delta_of(id, 2), round(7)), (None, None));
        decide(id, verdict(vec![DeltaOutcome::Withheld; 2], Err(Refusal::NothingMerged)));
        assert_eq!((round(id), delta_of(id, 0)), (None, None));
    });
}

#[test]
fn a_round_goes_from_its_opening_to_a_head_that_has_moved() {
    run(|| {
        let id = evaluating(1);
        let now = System::block_number();
        decide(id, verdict(vec![DeltaOutcome::Merged(1 << 16)], Ok(candidate(1))));
        let accepted = Accepted { master: candidate(1).master, serving: candidate(1).serving, gain: 100_000 };
        let (primary_until, until) = (now + PUBLICATION, now + 2 * PUBLICATION);
        System::assert_last_event(Event::RoundAccepted { round: id, accepted, primary_until, until }.into());
        assert_eq!(Experts::round(id).unwrap().phase, Phase::Accepted { accepted, primary_until, until });
        assert_eq!(Evaluators::<Test>::get(id).into_inner(), EVALUATORS.map(|who| (who, 1)));
        // The head moves with the blocks, not before.
        assert_eq!(Experts::head(slot(0, 0)).unwrap().block, genesis());
        assert_ok!(publish(PRIMARY, id, 1));
        assert!(happened(Event::RoundCommitted { round: id, publisher: PRIMARY, accepted }));
        assert_eq!(outcome(id), Outcome::Committed(accepted));
        assert_eq!(Experts::head(slot(0, 0)).unwrap().block, candidate(1).serving);
        assert!(!Evaluators::<Test>::contains_key(id));
        // It waits for nothing any more, and the next one begins with what it has made.
        run_to(until + 1);
        assert_eq!(outcome(id), Outcome::Committed(accepted));
        let next = Experts::round(open(slot(0, 0))).unwrap();
        assert_eq!((next.base, next.master), (candidate(1).serving, candidate(1).master));
    });
}

#[test]
fn a_round_without_deltas_ends_empty() {
    run(|| {
        let id = open(slot(0, 0));
        run_to(SUBMISSION);
        assert!(matches!(Experts::round(id).unwrap().phase, Phase::Open { .. }));
        run_to(1 + SUBMISSION);
        System::assert_last_event(Event::RoundEmpty { round: id }.into());
        assert_eq!((outcome(id), Started::get()), (Outcome::Empty, vec![]));
    });
}

#[test]
fn a_rejected_round_leaves_the_head_as_it_is() {
    run(|| {
        let id = evaluating(1);
        decide(id, verdict(vec![DeltaOutcome::Merged(1 << 16)], Err(Refusal::Harmful)));
        System::assert_last_event(Event::RoundRejected { round: id, reason: Refusal::Harmful }.into());
        assert_eq!(outcome(id), Outcome::Rejected(Refusal::Harmful));
        assert_eq!(Experts::head(slot(0, 0)).unwrap().block, genesis());
        assert_eq!(LearningPool::get(), 1_000_000);
        assert_ok!(open_round(slot(0, 0), LINEAGE));
    });
}

#[test]
fn a_round_that_nobody_evaluates_fails_and_bonds_return_whole() {
    run(|| {
        NoCommittee::set(true);
        let id = opened_with(2);
        run_to(1 + SUBMISSION);
        System::assert_last_event(Event::RoundFailed { round: id, error: Some(UNAVAILABLE) }.into());
        let (index, learner) = (1, LEARNERS[1]);
        assert!(happened(Event::BondReturned { round: id, index, learner, amount: BOND }));
        assert_eq!(outcome(id), Outcome::Failed);
        assert_eq!((bond_of(LEARNERS[0]), Balances::free_balance(LEARNERS[0])), (0, FUNDS));
        // What the refused start has written is taken back.
        assert!(!frame_support::storage::unhashed::exists(b"begun"));
        assert_eq!(Records::get().len(), 0);
    });
}

#[test]
fn an_evaluation_that_comes_to_nothing_fails_the_round() {
    run(|| {
        let id = evaluating(2);
        <Keeper as KeepRounds<u64>>::failed(id);
        System::assert_last_event(Event::RoundFailed { round: id, error: None }.into());
        assert_eq!((outcome(id), bond_of(LEARNERS[1])), (Outcome::Failed, 0));
        assert_eq!((Balances::free_balance(LEARNERS[1]), Records::get().len()), (FUNDS, 0));
        // Nobody has judged them.
        assert!(Experts::deltas(id).iter().all(|delta| delta.outcome.is_none()));
    });
}

#[test]
fn what_nobody_publishes_lapses() {
    run(|| {
        let id = accepted();
        let until = System::block_number() + 2 * PUBLICATION;
        run_to(until - 1);
        assert!(matches!(Experts::round(id).unwrap().phase, Phase::Accepted { .. }));
        run_to(until);
        let accepted = Accepted { master: candidate(1).master, serving: candidate(1).serving, gain: 100_000 };
        System::assert_last_event(Event::RoundLapsed { round: id, accepted }.into());
        assert_eq!(outcome(id), Outcome::Lapsed(accepted));
        assert_eq!((Experts::head(slot(0, 0)).unwrap().block, Masters::<Test>::get(slot(0, 0))), (genesis(), None));
        // No reward without a moved head.
        assert_eq!((LearningPool::get(), Evaluators::<Test>::contains_key(id)), (1_000_000, false));
        assert_noop!(publish(PRIMARY, id, 1), Error::<Test>::NothingToPublish);
        assert_ok!(open_round(slot(0, 0), LINEAGE));
    });
}

/// What cannot be stops whoever has debug assertions on.
#[cfg(not(debug_assertions))]
#[test]
fn a_verdict_that_fits_no_round_changes_nothing_it_should_not() {
    run(|| {
        decide(7, verdict(vec![], Err(Refusal::NothingMerged)));
        <Keeper as KeepRounds<u64>>::failed(7);
        let id = opened_with(1);
        decide(id, verdict(vec![DeltaOutcome::Withheld], Err(Refusal::NothingMerged)));
        <Keeper as KeepRounds<u64>>::failed(id);
        assert!(matches!(Experts::round(id).unwrap().phase, Phase::Open { .. }));
        run_to(1 + SUBMISSION);
        // One on more deltas than there are is on none of them.
        decide(id, verdict(vec![DeltaOutcome::Withheld; 2], Err(Refusal::NothingMerged)));
        assert_eq!((outcome(id), bond_of(LEARNERS[0])), (Outcome::Failed, 0));
        assert_eq!(Balances::free_balance(LEARNERS[0]), FUNDS);
    });
}

#[test]
fn a_slot_whose_lineage_is_given_up_lets_its_round_lapse() {
    run(|| {
        let id = accepted();
        set_life(LINEAGE, Life::Deprecated);
        assert_noop!(publish(PRIMARY, id, 1), Error::<Test>::UnknownSlot);
        while Experts::head(slot(0, 0)).is_some() {
            assert_ok!(Experts::release_heads(signed(BOB), LINEAGE, 1));
        }
        Experts::do_try_state().unwrap();
        set_life(LINEAGE, Life::Active);
        assert_noop!(publish(PRIMARY, id, 1), Error::<Test>::StaleBase);
        run_to(System::block_number() + 2 * PUBLICATION);
        assert!(matches!(outcome(id), Outcome::Lapsed(_)));
    });
}

#[test]
fn the_largest_committee_is_paid() {
    for kind in [Network::PUBLIC.kind, Network::LOCAL.kind] {
        let entries = pact().entries(kind);
        let Bounds { max, .. } = entries.iter().find(|entry| entry.name == "learning.committee").unwrap().bounds;
        assert!(max <= MAX_EVALUATORS.into());
        let Bounds { max, .. } = entries.iter().find(|entry| entry.name == "rounds.max_deltas").unwrap().bounds;
        assert!(max <= blyan_primitives::pol::MAX_DELTAS.into());
    }
}

#[test]
fn a_decision_takes_no_more_than_is_said() {
    let heaviest = Experts::heaviest_decision();
    for (deltas, evaluators) in [(1, 1), (4, 3), (32, 201)] {
        assert!(Experts::weight_of_decision(deltas, evaluators).all_lte(heaviest));
    }
}

#[test]
fn deltas_can_be_read_with_what_was_found_of_them() {
    run(|| {
        let id = evaluating(2);
        let outcomes = [DeltaOutcome::Merged(1 << 16), DeltaOutcome::Refused(Refusal::NoGain)];
        decide(id, verdict(outcomes.to_vec(), Ok(candidate(1))));
        let found: Vec<_> = Experts::deltas(id).into_iter().map(|delta| (delta.learner, delta.outcome)).collect();
        assert_eq!(found, [(LEARNERS[0], Some(outcomes[0])), (LEARNERS[1], Some(outcomes[1]))]);
        assert_eq!((Experts::deltas(7).len(), Deltas::<Test>::contains_key(7)), (0, false));
        assert_eq!(Experts::round(7), None);
    });
}
