//! What does not add up is seen.

use crate::{
    mock::*, Agenda, Behind, Blocks, Candidacies, Candidacy, Deltas, Evaluators, Filled, FormerHeads, Head, Heads,
    HoldReason, Masters, NextRound, Ongoing, Outcome, Phase, Primaries, Registrations, Rounds,
};
use blyan_primitives::{block::Form, ids::ContentHash, learning::DeltaOutcome};
use frame_support::{assert_ok, traits::fungible::MutateHold};
use polkadot_sdk::*;

/// Corrupts a chain on which Alice registered an expert in both forms, and gives the reason for which it is refused.
fn seen(corrupt: impl FnOnce(ContentHash, ContentHash)) -> String {
    new_test_ext().execute_with(|| {
        let master = registered(&expert(Form::Master, 1), None);
        let serving = registered(&expert(Form::Serving, 1), Some(master));
        assert_ok!(Experts::do_try_state());
        corrupt(master, serving);
        let error: &str = Experts::do_try_state().unwrap_err().into();
        error.to_string()
    })
}

fn change(block: ContentHash, change: fn(&mut crate::BlockEntryOf<Test>)) {
    Blocks::<Test>::mutate(block, |entry| change(entry.as_mut().unwrap()));
}

fn change_registration(block: ContentHash, change: fn(&mut crate::RegistrationOf<Test>)) {
    Registrations::<Test>::mutate(block, ALICE, |own| change(own.as_mut().unwrap()));
}

#[test]
fn registrations_that_do_not_add_up_are_seen() {
    assert_eq!(seen(|master, _| Blocks::<Test>::remove(master)), "the master of a registered block is not registered");
    assert_eq!(
        seen(|master, _| change(master, |b| b.record.form = Form::Serving)),
        "a serving form is derived from another serving form"
    );
    let miscounted = "serving forms that name a master are miscounted";
    assert_eq!(seen(|master, _| change_registration(master, |r| r.derived = 0)), miscounted);
    assert_eq!(seen(|_, serving| change_registration(serving, |r| r.derived = 1)), miscounted);
    assert_eq!(
        seen(|master, _| Registrations::<Test>::remove(master, ALICE)),
        "an account names a master that it has not registered"
    );
    let miscounted = "the accounts that registered a block are miscounted";
    assert_eq!(seen(|_, serving| change(serving, |b| b.registrants = 2)), miscounted);
    assert_eq!(seen(|_, serving| Blocks::<Test>::remove(serving)), "a registration is for no block");
    assert_eq!(
        seen(|master, _| {
            let orphan = Blocks::<Test>::get(master).unwrap();
            Blocks::<Test>::insert(ContentHash([7; 32]), crate::BlockEntry { registrants: 0, ..orphan });
        }),
        "a block is there that nobody has registered"
    );
}

#[test]
fn deposits_that_do_not_add_up_are_seen() {
    let wrong = "deposits for blocks are not what is held";
    assert_eq!(seen(|_, serving| change_registration(serving, |r| r.deposit += 1)), wrong);
    // A hold that no registration explains.
    assert_eq!(seen(|_, _| Balances::hold(&HoldReason::BlockDeposit.into(), &BOB, 5).unwrap()), wrong);
    assert_eq!(
        seen(|_, serving| {
            let own = Registrations::<Test>::get(serving, ALICE).unwrap();
            Registrations::<Test>::insert(serving, 99, crate::Registration { master: None, derived: 0, ..own });
            change(serving, |b| b.registrants = 2);
        }),
        "a deposit is from an account that does not exist"
    );
}

#[test]
fn heads_that_do_not_add_up_are_seen() {
    let set = |block: ContentHash| Heads::<Test>::mutate(slot(0, 0), |head| head.as_mut().unwrap().block = block);
    assert_eq!(seen(|master, _| set(master)), "a slot holds what is not the serving form of an expert");
    assert_eq!(seen(|_, _| set(ContentHash([7; 32]))), "a slot holds a block that is not registered");
    assert_eq!(seen(|_, serving| set(serving)), "a block has fewer uses counted than there are");
    let not_filled = "a slot is counted and not filled";
    assert_eq!(seen(|_, _| Heads::<Test>::remove(slot(0, 2))), not_filled);
    assert_eq!(seen(|_, _| Heads::<Test>::remove(slot(0, 1))), not_filled);
    assert_eq!(seen(|_, _| Filled::<Test>::insert(LINEAGE, 0, 2)), "a slot is filled and not counted");
    assert_eq!(seen(|_, _| Filled::<Test>::insert(LINEAGE, 7, 0)), "a layer without heads is stored");
}

#[test]
fn uses_of_genesis_masters_that_do_not_add_up_are_seen() {
    let master = entry(&expert(Form::Master, 1), None);
    let serving = entry(&expert(Form::Serving, 1), Some(master.0));
    genesis_ext(vec![master.clone(), serving], vec![]).execute_with(|| {
        assert_ok!(Experts::do_try_state());
        change(master.0, |b| b.uses = 0);
        let error: &str = Experts::do_try_state().unwrap_err().into();
        assert_eq!(error, "a block has fewer uses counted than there are");
    });
}

#[test]
fn masters_of_heads_that_do_not_add_up_are_seen() {
    assert_eq!(seen(|master, _| Masters::<Test>::insert(slot(7, 0), master)), "the master of an empty slot is kept");
    let set = |block| Masters::<Test>::insert(slot(0, 0), block);
    assert_eq!(seen(|_, _| set(ContentHash([7; 32]))), "the master of a head is not registered");
    assert_eq!(seen(|_, serving| set(serving)), "a head is derived from what is no master");
    assert_eq!(seen(|master, _| set(master)), "a block has fewer uses counted than there are");
}

#[test]
fn former_heads_that_do_not_add_up_are_seen() {
    let put = |slot, heads: Vec<Head<u64>>| {
        FormerHeads::<Test>::insert(slot, frame_support::BoundedVec::truncate_from(heads))
    };
    let head = |seed, since, moves| Head { block: ContentHash([seed; 32]), since, moves };
    assert_eq!(seen(|_, _| put(slot(7, 0), vec![head(1, 0, 0)])), "it is remembered what an empty slot held");
    assert_eq!(seen(|_, _| put(slot(0, 0), vec![])), "nothing is remembered of a slot");
    let disordered = "what a slot held before is out of order";
    // The present head has not moved yet.
    assert_eq!(seen(|_, _| put(slot(0, 0), vec![head(1, 0, 0)])), disordered);
    let moved = |since| {
        Heads::<Test>::mutate(slot(0, 0), |present| {
            let present = present.as_mut().unwrap();
            (present.since, present.moves) = (since, 2);
        });
    };
    let with = |heads: Vec<Head<u64>>| {
        seen(|_, _| {
            moved(5);
            put(slot(0, 0), heads);
        })
    };
    assert_eq!(with(vec![head(1, 6, 1)]), disordered);
    assert_eq!(with(vec![Head { block: genesis(), since: 4, moves: 1 }]), disordered);
    assert_eq!(with(vec![head(1, 4, 0), head(2, 3, 1)]), disordered);
    assert_eq!(with(vec![head(1, 3, 0), head(1, 4, 1)]), disordered);
}

/// Corrupts a chain on which a round is open with two deltas, one is evaluated, one accepted and one over. Two aggregators
/// stand, who are the primaries of all of them.
fn seen_in_rounds(corrupt: impl FnOnce()) -> String {
    new_test_ext().execute_with(|| {
        AGGREGATORS[..2].iter().for_each(|who| stand(*who).unwrap());
        let slots = [slot(0, 1), slot(0, 2), slot(1, 0)];
        for (seed, slot) in (1..).zip(slots) {
            let id = open(slot);
            submit(LEARNERS[0], id, delta(seed)).unwrap();
        }
        run_to(1 + SUBMISSION);
        let ids = Started::get();
        let merged = || vec![DeltaOutcome::Merged(1 << 16)];
        decide(ids[1], verdict(merged(), Ok(candidate(1))));
        decide(ids[2], verdict(merged(), Err(blyan_primitives::pol::Refusal::Harmful)));
        opened_with(2);
        assert_ok!(Experts::do_try_state());
        corrupt();
        let error: &str = Experts::do_try_state().unwrap_err().into();
        error.to_string()
    })
}

/// The rounds of [`seen_in_rounds`], by how far they are.
fn round_that(is: fn(&Phase<u64>) -> bool) -> u32 {
    Rounds::<Test>::iter().find(|(_, round)| is(&round.phase)).unwrap().0
}

fn open_one() -> u32 {
    round_that(|phase| matches!(phase, Phase::Open { .. }))
}

fn evaluated() -> u32 {
    round_that(|phase| matches!(phase, Phase::Evaluating))
}

fn accepted_one() -> u32 {
    round_that(|phase| matches!(phase, Phase::Accepted { .. }))
}

fn over() -> u32 {
    round_that(|phase| matches!(phase, Phase::Over { .. }))
}

fn change_round(id: u32, change: fn(&mut crate::RoundOf<Test>)) {
    Rounds::<Test>::mutate(id, |round| change(round.as_mut().unwrap()));
}

fn change_deltas(id: u32, change: fn(&mut crate::DeltasOf<Test>)) {
    Deltas::<Test>::mutate(id, change);
}

#[test]
fn rounds_that_do_not_add_up_are_seen() {
    let number = "a round has a number that is still to be given";
    assert_eq!(seen_in_rounds(|| NextRound::<Test>::put(1)), number);
    let unlisted = "a round is not listed as what it is";
    assert_eq!(seen_in_rounds(|| Ongoing::<Test>::remove(slot(0, 0))), unlisted);
    assert_eq!(seen_in_rounds(|| Ongoing::<Test>::insert(slot(0, 0), over())), unlisted);
    let ended = |round: &mut crate::RoundOf<Test>| round.phase = Phase::Over { outcome: Outcome::Failed, at: 50 };
    assert_eq!(seen_in_rounds(|| change_round(evaluated(), ended)), unlisted);
    assert_eq!(seen_in_rounds(|| Ongoing::<Test>::insert(slot(7, 7), 99)), "a round is listed that does not exist");
    let counter = || {
        let key = frame_support::storage::storage_prefix(b"Experts", b"CounterForOngoing");
        frame_support::storage::unhashed::put(&key, &9u32);
    };
    assert_eq!(seen_in_rounds(counter), "rounds are miscounted");
    let unknown = "it is not known who has evaluated a round";
    assert_eq!(seen_in_rounds(|| Evaluators::<Test>::remove(accepted_one())), unknown);
    assert_eq!(
        seen_in_rounds(|| Evaluators::<Test>::insert(evaluated(), crate::EvaluatorsOf::<Test>::default())),
        unknown
    );
    assert_eq!(
        seen_in_rounds(|| Evaluators::<Test>::insert(99, crate::EvaluatorsOf::<Test>::default())),
        "somebody has evaluated no round"
    );
    let past = |round: &mut crate::RoundOf<Test>| round.opened_at = 1_000;
    for which in [open_one, accepted_one, over] {
        assert_eq!(seen_in_rounds(|| change_round(which(), past)), "a round waits for no time that is to come");
    }
}

#[test]
fn primaries_that_do_not_add_up_are_seen() {
    let put = |id, primaries: &[u64]| {
        Primaries::<Test>::insert(id, crate::PrimariesOf::<Test>::truncate_from(primaries.to_vec()))
    };
    let past = "a round that is over has primaries";
    assert_eq!(seen_in_rounds(|| put(over(), &AGGREGATORS[..1])), past);
    assert_eq!(seen_in_rounds(|| put(99, &AGGREGATORS[..1])), past);
    let twice = "an account is two primaries of a round";
    for which in [open_one, evaluated, accepted_one] {
        assert_eq!(seen_in_rounds(|| put(which(), &[])), "no primaries of a round are stored");
        assert_eq!(seen_in_rounds(|| put(which(), &[31, 32, 31])), twice);
    }
}

#[test]
fn candidacies_that_do_not_add_up_are_seen() {
    let count = |count: u32| {
        let key = frame_support::storage::storage_prefix(b"Experts", b"CounterForCandidacies");
        frame_support::storage::unhashed::put(&key, &count);
    };
    let miscounted = "those who stand for election are miscounted";
    assert_eq!(seen_in_rounds(|| count(1)), miscounted);
    assert_eq!(seen_in_rounds(|| count(3)), miscounted);
    let crowd =
        || (0..u64::from(MAX_STANDING)).for_each(|who| Candidacies::<Test>::insert(who, Candidacy { delay: 0 }));
    assert_eq!(seen_in_rounds(crowd), "more stand for election than can");
}

#[test]
fn deltas_that_do_not_add_up_are_seen() {
    assert_eq!(
        seen_in_rounds(|| Deltas::<Test>::insert(99, Deltas::<Test>::get(open_one()))),
        "a delta is in no round"
    );
    assert_eq!(
        seen_in_rounds(|| change_round(open_one(), |round| round.terms.max_deltas = 1)),
        "a round has more deltas than it takes"
    );
    assert_eq!(
        seen_in_rounds(|| change_deltas(open_one(), |deltas| deltas[0].header.base = ContentHash([1; 32]))),
        "a delta changes another block than its round's base"
    );
    assert_eq!(
        seen_in_rounds(|| change_deltas(open_one(), |deltas| deltas[1].learner = deltas[0].learner)),
        "a round has two deltas of one learner"
    );
    let untimely = "deltas are judged before their round is, or not with it";
    let judge = |deltas: &mut crate::DeltasOf<Test>| deltas[0].outcome = Some(DeltaOutcome::Withheld);
    assert_eq!(seen_in_rounds(|| change_deltas(open_one(), judge)), untimely);
    assert_eq!(seen_in_rounds(|| change_deltas(evaluated(), judge)), untimely);
    assert_eq!(seen_in_rounds(|| change_deltas(accepted_one(), |deltas| deltas[0].outcome = None)), untimely);
    let bare = "a round without deltas is evaluated";
    assert_eq!(seen_in_rounds(|| Deltas::<Test>::remove(evaluated())), bare);
    assert_eq!(seen_in_rounds(|| Deltas::<Test>::remove(accepted_one())), bare);
}

#[test]
fn an_agenda_that_does_not_add_up_is_seen() {
    let missing = "a round is not on the agenda";
    let forget = |id: u32| Agenda::<Test>::remove(Rounds::<Test>::get(id).unwrap().due().unwrap(), id);
    assert_eq!(seen_in_rounds(|| forget(open_one())), missing);
    assert_eq!(seen_in_rounds(|| forget(accepted_one())), missing);
    assert_eq!(seen_in_rounds(|| Behind::<Test>::put(99)), "work is left over from a block that is to come");
    assert_eq!(seen_in_rounds(|| Agenda::<Test>::insert(99, 77, ())), "the agenda names a round that does not exist");
    let otherwise = "the agenda names a round for another time";
    assert_eq!(seen_in_rounds(|| Agenda::<Test>::insert(99, open_one(), ())), otherwise);
    assert_eq!(seen_in_rounds(|| Agenda::<Test>::insert(99, evaluated(), ())), otherwise);
    let pass_over = || {
        Behind::<Test>::kill();
        System::set_block_number(1_000);
    };
    assert_eq!(seen_in_rounds(pass_over), "the agenda was passed over");
}

#[test]
fn bonds_that_do_not_add_up_are_seen() {
    let wrong = "bonds of deltas are not what is held";
    assert_eq!(seen_in_rounds(|| change_round(open_one(), |round| round.terms.bond += 1)), wrong);
    // A hold that no delta explains.
    assert_eq!(seen_in_rounds(|| Balances::hold(&HoldReason::DeltaBond.into(), &BOB, 5).unwrap()), wrong);
    assert_eq!(
        seen_in_rounds(|| change_deltas(open_one(), |deltas| {
            let mut other = deltas[0].clone();
            (other.learner, other.header.block, other.header.serving) =
                (99, ContentHash([98; 32]), ContentHash([99; 32]));
            deltas.try_push(other).unwrap();
        })),
        "a bond is from an account that does not exist"
    );
}
