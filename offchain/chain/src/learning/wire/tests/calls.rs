use super::*;
use crate::{
    AccountId, Call, ChainError, GovernanceCall, LearningCall, Proposal, Purpose, Track,
    encode::call_bytes,
    runtime::tests::{built_in, later, rename_argument},
};
use blyan_primitives::{
    dispute::{BlockPart, Evidence, LeafRun, Move, Side, Subtiles},
    pol::Scores,
};
use codec::{Compact, Decode};

/// What follows the two bytes that name pallet and call.
fn arguments(call: LearningCall) -> Vec<u8> {
    let call = Call::from(call);
    call.check().unwrap();
    call_bytes(&built_in(), &call).unwrap().split_off(2)
}

fn evidence() -> Evidence {
    let run = Subtiles { first: 3, data: vec![8; 70], proof: vec![[9; 32]] };
    Evidence {
        leaves: vec![LeafRun { first: 1, words: vec![1, 2], proof: vec![[3; 32], [4; 32]] }],
        blocks: vec![BlockPart { header: block_header(), runs: vec![run] }],
    }
}

fn every_call() -> Vec<LearningCall> {
    let (evaluation, game, side, who) = (7, 1, Side::Second, AccountId::from([9; 32]));
    vec![
        LearningCall::OpenRound { slot: slot(), spec: SpecId([11; 32]) },
        LearningCall::SubmitDelta { round: 300, header: header(), aggregator: None },
        LearningCall::Publish { round: 300, master: block_header(), serving: block_header() },
        LearningCall::Enrol,
        LearningCall::LeaveEvaluators,
        LearningCall::Refresh { who },
        LearningCall::AddSet { block: block(1), purpose: Purpose::HeldOut },
        LearningCall::RemoveSet { block: block(1) },
        LearningCall::AddHiddenSet { block: block(1), encrypted: block(2), steward: who },
        LearningCall::RevealKey { block: block(1), key: [2; 32] },
        LearningCall::VoteAvailability { evaluation, available: 0b101, reads_hidden: true },
        LearningCall::Commit { evaluation, commitment: [3; 32] },
        LearningCall::Reveal { evaluation, salt: [4; 32], reveal: reveal() },
        LearningCall::PostScores { evaluation, reveal: [5; 32], scores: Scores(vec![1, u64::MAX]) },
        LearningCall::PostTrace { evaluation, root: [6; 32], losses: vec![1, 2, 3], proof: vec![[7; 32]; 2] },
        LearningCall::Play { evaluation, game, side, told: Move::Nodes(vec![[8; 32]; 3].try_into().unwrap()) },
        LearningCall::Settle { evaluation, game, side, evidence: evidence() },
        LearningCall::Stand,
        LearningCall::StandDown { who: AccountId::from([9; 32]) },
    ]
}

#[test]
fn every_call_is_one_of_the_runtimes() {
    for call in every_call() {
        let encoded = call_bytes(&built_in(), &call.clone().into());
        assert!(encoded.is_ok(), "{call:?}: {encoded:?}");
    }
}

#[test]
fn the_journal_reads_what_it_has_written() {
    for (index, call) in (0u8..).zip(every_call()) {
        let call = Call::from(call);
        let bytes = call.encode();
        assert_eq!(bytes[..2], [21, index], "variants keep their indices");
        assert_eq!(Call::decode(&mut &*bytes).unwrap(), call);
    }
}

#[test]
fn learners_calls_are_encoded_as_the_chain_reads_them() {
    let open = LearningCall::OpenRound { slot: slot(), spec: SpecId([11; 32]) };
    assert_eq!(arguments(open), (slot(), SpecId([11; 32])).encode());
    for aggregator in [None, Some(AccountId::from([9; 32]))] {
        let submit = LearningCall::SubmitDelta { round: 300, header: header(), aggregator };
        assert_eq!(arguments(submit), (Compact(300u32), header(), aggregator).encode());
    }
    let other = [block_header(), vec![]].concat();
    let publish = LearningCall::Publish { round: 1, master: block_header(), serving: other.clone() };
    assert_eq!(arguments(publish), (Compact(1u32), block_header(), other).encode());
}

#[test]
fn aggregators_calls_are_encoded_as_the_chain_reads_them() {
    assert!(arguments(LearningCall::Stand).is_empty());
    assert_eq!(arguments(LearningCall::StandDown { who: AccountId::from([9; 32]) }), [9; 32]);
}

#[test]
fn evaluators_calls_are_encoded_as_the_chain_reads_them() {
    let vote = LearningCall::VoteAvailability { evaluation: 7, available: 0b101, reads_hidden: true };
    assert_eq!(arguments(vote), (7u32, 5u32, true).encode());
    let commit = LearningCall::Commit { evaluation: 7, commitment: [3; 32] };
    assert_eq!(arguments(commit), (7u32, [3u8; 32]).encode());
    let revealed = LearningCall::Reveal { evaluation: 7, salt: [4; 32], reveal: reveal() };
    assert_eq!(arguments(revealed), (7u32, [4u8; 32], reveal()).encode());
    let refresh = LearningCall::Refresh { who: AccountId::from([9; 32]) };
    assert_eq!(arguments(refresh), [9; 32]);
    let key = LearningCall::RevealKey { block: block(1), key: [2; 32] };
    assert_eq!(arguments(key), (block(1), [2u8; 32]).encode());
}

#[test]
fn disputes_are_encoded_as_the_chain_reads_them() {
    let scores = vec![1, u64::MAX];
    let call = LearningCall::PostScores { evaluation: 7, reveal: [5; 32], scores: Scores(scores.clone()) };
    assert_eq!(arguments(call), (7u32, [5u8; 32], scores).encode());
    let (losses, proof) = (vec![1u32, 2, 3], vec![[7u8; 32]; 2]);
    let call = LearningCall::PostTrace { evaluation: 7, root: [6; 32], losses: losses.clone(), proof: proof.clone() };
    assert_eq!(arguments(call), (7u32, [6u8; 32], losses, proof).encode());
    for told in [Move::Nodes(vec![[8; 32]; 3].try_into().unwrap()), Move::Words(vec![9; 4].try_into().unwrap())] {
        let call = LearningCall::Play { evaluation: 7, game: 1, side: Side::Second, told: told.clone() };
        assert_eq!(arguments(call), (7u32, 1u32, Side::Second, told).encode());
    }
    let call = LearningCall::Settle { evaluation: 7, game: 1, side: Side::First, evidence: evidence() };
    assert_eq!(arguments(call), (7u32, 1u32, Side::First, evidence()).encode());
}

#[test]
fn governance_adds_sets_with_all_rights_and_by_proposal() {
    let purposes = [Purpose::Training, Purpose::HeldOut, Purpose::General];
    for (index, purpose) in (0u8..).zip(purposes) {
        assert_eq!(arguments(LearningCall::AddSet { block: block(1), purpose }), (block(1), index).encode());
    }
    let steward = AccountId::from([9; 32]);
    let add = Call::from(LearningCall::AddHiddenSet { block: block(1), encrypted: block(2), steward });
    let bytes = call_bytes(&built_in(), &add).unwrap();
    assert_eq!(bytes[2..], (block(1), block(2), steward).encode());
    let proposal = Proposal::of(&bytes);
    let submission = GovernanceCall::Submit { track: Track::Root, proposal: proposal.clone(), after: 10 };
    let submitted = call_bytes(&built_in(), &submission.into()).unwrap();
    assert!(submitted.windows(bytes.len()).any(|window| window == bytes), "{proposal:?} is in it");

    let no_set = Call::from(LearningCall::AddSet { block: block(1), purpose: Purpose::Hidden });
    assert!(no_set.sudo().check().is_err(), "what is inside is checked too");
    add.clone().sudo().check().unwrap();
    assert!(!add.is_authorised());
}

#[test]
fn a_call_that_a_later_runtime_has_in_another_shape_is_named() {
    // Nobody's work depends on it, so that the connection is made.
    let runtime = later(|metadata| rename_argument(metadata, "Pol", "add_set"));
    runtime.check("ws://node").unwrap();
    let add = LearningCall::AddSet { block: block(1), purpose: Purpose::Training };
    let error = call_bytes(&runtime, &add.into()).unwrap_err();
    assert!(
        matches!(&error, ChainError::IncompatibleRuntime { spec_version: 2, item } if item == "Pol.add_set"),
        "{error}"
    );
    let enrolled = call_bytes(&runtime, &LearningCall::Enrol.into());
    assert!(enrolled.is_ok(), "others can be made: {enrolled:?}");
}
