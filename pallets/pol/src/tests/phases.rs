use super::support::*;
use crate::{mock::*, Active, Evaluation, Evaluations, Event, Phase, Purpose, Verdicts, MAX_ATTEMPTS};
use blyan_primitives::{
    learning::{DeltaHeader, DeltaOutcome, Evaluations as _, ItemRange, RoundId},
    pol::{Refusal, Reveal, Set},
};
use frame_support::{assert_noop, assert_ok, hypothetically};
use polkadot_sdk::*;

fn begin(round: RoundId) -> sp_runtime::DispatchResult {
    Ok(Pol::start(round)?)
}

/// A round in which all find the same, up to the verdict.
fn decide(deltas: usize, found: impl Fn() -> Reveal) {
    start(vec![delta(1); deltas]);
    all_available();
    let reveal = found();
    let all: Vec<_> = members().into_iter().map(|who| (who, reveal.clone())).collect();
    commit_and_reveal(&all);
    assert_eq!(run_to_next_phase(), Phase::Over);
}

#[test]
fn what_all_have_found_is_the_verdict() {
    ext().execute_with(|| {
        let found = || reveal(&scores_without(&evaluation().layout, &[1]));
        decide(2, found);
        let (id, verdict) = Decided::get().pop().unwrap();
        let verdict = verdict.unwrap();
        assert_eq!(id, ROUND);
        assert_eq!(verdict.deltas, [DeltaOutcome::Merged(1 << 16), DeltaOutcome::Refused(Refusal::NoGain)]);
        assert_eq!(verdict.candidate.unwrap().serving, world(|world| world.experts[3]));
        // Half a nat, of which there is no deviation to hide.
        assert_eq!(verdict.gain, 500_000);
        let mut evaluators = verdict.evaluators;
        evaluators.sort_unstable();
        assert_eq!(evaluators, [1, 2, 3, 4, 5].map(|who| (who, 1)));
        assert!(Verdicts::<Test>::get(ROUND).is_some());
        assert_eq!((slashed(), Active::<Test>::get()), (vec![], 0));
    });
}

#[test]
fn nothing_follows_from_deltas_that_help_nobody() {
    ext().execute_with(|| {
        decide(2, || reveal(&scores_without(&evaluation().layout, &[0, 1])));
        let verdict = Decided::get().pop().unwrap().1.unwrap();
        assert_eq!(verdict.deltas, [DeltaOutcome::Refused(Refusal::NoGain); 2]);
        assert_eq!((verdict.candidate, verdict.gain), (Err(Refusal::NothingMerged), 0));
    });
}

#[test]
fn a_committee_is_drawn_by_what_nobody_could_know() {
    ext().execute_with(|| {
        start(vec![delta(1)]);
        run_to(EPOCH - 1);
        assert_eq!(evaluation().phase, Phase::Waiting);
        assert_eq!(run_to_next_phase(), Phase::Availability);
        assert!(System::block_number() >= EPOCH);
        assert_eq!(members(), [1, 2, 3, 4, 5]);
        assert!(System::events()
            .iter()
            .any(|event| event.event == Event::CommitteeDrawn { evaluation: ROUND, members: 5 }.into()));
    });
}

#[test]
fn what_most_cannot_fetch_is_not_measured() {
    ext().execute_with(|| {
        start(vec![delta(1), delta(2), delta(1)]);
        run_to_next_phase();
        for (who, available) in [(1, 0b101), (2, 0b111), (3, 0b101), (4, 0b100), (5, 0b111)] {
            assert_ok!(Pol::vote_availability(RuntimeOrigin::signed(who), ROUND, 0, false));
            // The last word counts.
            assert_ok!(Pol::vote_availability(RuntimeOrigin::signed(who), ROUND, available, false));
        }
        assert_eq!(run_to_next_phase(), Phase::Commit);
        let measured: Vec<u32> = evaluation().deltas.iter().map(|(index, _)| *index).collect();
        assert_eq!(measured, [0, 2]);
        assert_eq!(evaluation().layout.deltas, 2);
        let found = reveal(&scores(&evaluation().layout));
        let all: Vec<_> = members().into_iter().map(|who| (who, found.clone())).collect();
        commit_and_reveal(&all);
        run_to_next_phase();
        let verdict = Decided::get().pop().unwrap().1.unwrap();
        assert_eq!(
            verdict.deltas,
            [DeltaOutcome::Merged(1 << 15), DeltaOutcome::Withheld, DeltaOutcome::Merged(1 << 15)]
        );
    });
}

#[test]
fn no_more_is_measured_of_a_deltas_own_data_than_it_has() {
    ext().execute_with(|| {
        let of = |count| {
            let delta = delta(1);
            DeltaHeader { data: ItemRange { count, ..delta.data }, ..delta }
        };
        // The Pact asks for more than it did when they were submitted.
        ThePact::mutate(|pact| pact.rounds.own_items = 5);
        start(vec![of(3), of(4), of(6)]);
        run_to_next_phase();
        let vote = |available| {
            for who in members() {
                Pol::vote_availability(RuntimeOrigin::signed(who), ROUND, available, false).unwrap();
            }
            assert_eq!(run_to_next_phase(), Phase::Commit);
        };
        vote(0b110);
        let Evaluation { layout, sources, seed, deltas, .. } = evaluation();
        assert_eq!((layout.own, layout.deltas), (4, 2));
        let own: Vec<ItemRange> = deltas.iter().map(|(_, range)| *range).collect();
        for number in 0..2 {
            assert_eq!(sources.items(&layout, &seed, &own, Set::Own(number)).len(), 4);
        }
        // Nobody evaluates. The next committee may have others.
        run_to_next_phase();
        assert_eq!(run_to_next_phase(), Phase::Waiting);
        assert_eq!(evaluation().layout.own, 5);
        run_to_next_phase();
        vote(0b100);
        assert_eq!(evaluation().layout.own, 5);
    });
}

#[test]
fn nothing_is_measured_when_everything_is_withheld() {
    ext().execute_with(|| {
        start(vec![delta(1)]);
        run_to_next_phase();
        for who in 1..=5 {
            assert_ok!(Pol::vote_availability(RuntimeOrigin::signed(who), ROUND, 0, false));
        }
        assert_eq!(run_to_next_phase(), Phase::Over);
        let verdict = Decided::get().pop().unwrap().1.unwrap();
        assert_eq!(verdict.deltas, [DeltaOutcome::Withheld]);
        assert_eq!(verdict.candidate, Err(Refusal::NothingMerged));
        Pol::do_try_state().unwrap();
    });
}

#[test]
fn committees_that_stay_away_are_replaced_and_slashed_until_there_have_been_enough() {
    ext().execute_with(|| {
        start(vec![delta(1)]);
        for attempt in 1..=MAX_ATTEMPTS {
            assert_eq!(run_to_next_phase(), Phase::Availability);
            assert_ok!(Pol::vote_availability(RuntimeOrigin::signed(1), ROUND, 1, false));
            let next = run_to_next_phase();
            assert_eq!(evaluation().attempt, attempt);
            assert_eq!(next, if attempt == MAX_ATTEMPTS { Phase::Over } else { Phase::Waiting });
        }
        assert_eq!(Decided::get(), [(ROUND, None)]);
        assert_eq!(slashed(), [2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]);
        let share = pact().rounds.absence_slash;
        assert!(Slashed::get().iter().all(|(_, slashed)| *slashed == share));
        System::assert_has_event(Event::EvaluationFailed { evaluation: ROUND }.into());
    });
}

#[test]
fn without_evaluators_there_is_no_committee() {
    ext_with(0).execute_with(|| {
        start(vec![delta(1)]);
        run_to_next_phase();
        assert_eq!(Decided::get(), [(ROUND, None)]);
    });
}

#[test]
fn too_few_who_reveal_decide_nothing() {
    ext().execute_with(|| {
        start(vec![delta(1)]);
        all_available();
        let found = reveal(&scores(&evaluation().layout));
        commit_and_reveal(&[(1, found.clone()), (2, found.clone()), (3, found)]);
        assert_eq!(run_to_next_phase(), Phase::Waiting);
        assert_eq!(slashed(), [4, 5]);
        // Other items are drawn than those that are known by now.
        let seed = evaluation().seed;
        run_to_next_phase();
        assert_ne!(evaluation().seed, seed);
    });
}

#[test]
fn what_cannot_be_evaluated_is_not_begun() {
    ext().execute_with(|| {
        assert_noop!(begin(ROUND), E::UnknownRound);
        Submitted::mutate(|submitted| {
            for round in 0..4 {
                submitted.insert(round, vec![delta(1)]);
            }
        });
        hypothetically!({
            crate::Drawable::<Test>::remove(Purpose::General);
            assert_noop!(begin(0), E::TooFewItems);
        });
        hypothetically!({
            ThePact::mutate(|pact| pact.rounds.trial_items = 513);
            assert_noop!(begin(0), E::TooManyScores);
        });
        ThePact::set(pact());
        assert_ok!(begin(0));
        assert_noop!(begin(0), E::AlreadyStarted);
        assert_ok!(begin(1));
        assert_noop!(begin(2), E::TooManyEvaluations);
        Pol::do_try_state().unwrap();
    });
}

#[test]
fn a_block_ends_no_more_than_it_can() {
    ext().execute_with(|| {
        start(vec![delta(1)]);
        crate::Behind::<Test>::put(1);
        run_to_next_phase();
        assert_eq!(Evaluations::<Test>::get(ROUND).unwrap().phase, Phase::Availability);
        assert_eq!(crate::Behind::<Test>::get(), None);
    });
}

#[test]
fn a_phase_ends_early_when_all_have_done_what_they_can() {
    ext().execute_with(|| {
        let ends_next = || evaluation().until == System::block_number() + 1;
        start(vec![delta(1), delta(2)]);
        assert_eq!(run_to_next_phase(), Phase::Availability);
        let vote =
            |who, available| Pol::vote_availability(RuntimeOrigin::signed(who), ROUND, available, false).unwrap();
        // Who lacks a delta may still come to have it, and who had all can have lost one.
        for (who, available) in [(1, 0b11), (2, 0b01), (3, 0b11), (4, 0b11), (5, 0b11), (3, 0b10), (2, 0b111)] {
            vote(who, available);
            assert!(!ends_next(), "{who} has {available:b}");
        }
        vote(3, 0b11);
        assert!(ends_next());
        assert_eq!(run_to_next_phase(), Phase::Commit);
        let found = reveal(&scores(&evaluation().layout));
        for who in members() {
            assert!(!ends_next());
            commit(who, &found);
            // Once more changes nothing.
            commit(who, &found);
        }
        assert!(ends_next());
        let block = System::block_number();
        assert_eq!(run_to_next_phase(), Phase::Reveal);
        assert_eq!(System::block_number(), block + 1);
        for who in members() {
            assert!(!ends_next());
            Pol::reveal(RuntimeOrigin::signed(who), ROUND, SALT, Box::new(found.clone())).unwrap();
        }
        assert!(ends_next());
        assert_eq!(run_to_next_phase(), Phase::Over);
        assert!(Decided::get().pop().unwrap().1.is_some());
    });
}

#[test]
fn a_phase_in_which_somebody_is_away_lasts() {
    ext().execute_with(|| {
        start(vec![delta(1)]);
        assert_eq!(run_to_next_phase(), Phase::Availability);
        let until = evaluation().until;
        for who in members().into_iter().skip(1) {
            Pol::vote_availability(RuntimeOrigin::signed(who), ROUND, 1, false).unwrap();
        }
        assert_eq!(run_to_next_phase(), Phase::Commit);
        assert_eq!(System::block_number(), until);
    });
}
