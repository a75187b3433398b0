use super::*;
use crate::{
    Accepted, AccountId, DispatchError, EvaluationPhase, Event, Lateness, LearningEvent, Purpose, Work,
    decode::{Happening, events},
    runtime::{
        Runtime,
        tests::{built_in, later, rename_event_field},
    },
};
use blyan_primitives::{dispute::Side, learning::DeltaOutcome, pol::Refusal};
use codec::{Compact, Decode};
use scale_info::{PortableRegistry, TypeDef, TypeDefPrimitive};

/// The only event of a block, with these fields.
fn decoded(runtime: &Runtime, pallet: &str, name: &str, fields: Vec<u8>) -> Event {
    let metadata = &runtime.facts().metadata;
    let pallet = metadata.pallet_by_name(pallet).unwrap();
    let variant = pallet.event_variants().unwrap().iter().find(|variant| variant.name == name).unwrap();
    // One record: of extrinsic 3, no topics.
    let record = [&[0][..], &3u32.encode(), &[pallet.event_index(), variant.index], &fields, &[0]].concat();
    let bytes = [Compact(1u32).encode(), record].concat();
    let mut found = events(runtime, bytes).unwrap();
    match found.pop() {
        Some((Some(3), Happening::Event(event))) if found.is_empty() => event,
        _ => panic!("{name} is one event of extrinsic 3"),
    }
}

fn learned(pallet: &str, name: &str, fields: impl Encode) -> LearningEvent {
    match decoded(&built_in(), pallet, name, fields.encode()) {
        Event::Learning(event) => {
            let told = Event::Learning(event.clone());
            let bytes = told.encode();
            assert_eq!(bytes[0], 52, "variants keep their indices");
            assert_eq!(Event::decode(&mut &*bytes).unwrap(), told, "the journal reads what it has written");
            event
        },
        other => panic!("{pallet}.{name} is {other:?}"),
    }
}

/// The shortest encoding of a value of a type: zeros, nothing, and the first of several kinds.
fn least(types: &PortableRegistry, id: u32, out: &mut Vec<u8>) {
    match &types.resolve(id).unwrap().type_def {
        TypeDef::Composite(composite) => composite.fields.iter().for_each(|field| least(types, field.ty.id, out)),
        TypeDef::Variant(variants) => {
            let first = variants.variants.iter().min_by_key(|variant| variant.index).unwrap();
            out.push(first.index);
            first.fields.iter().for_each(|field| least(types, field.ty.id, out));
        },
        TypeDef::Array(array) => (0..array.len).for_each(|_| least(types, array.type_param.id, out)),
        TypeDef::Tuple(tuple) => tuple.fields.iter().for_each(|field| least(types, field.id, out)),
        TypeDef::Sequence(_) | TypeDef::Compact(_) => out.push(0),
        TypeDef::Primitive(primitive) => {
            let bytes = match primitive {
                TypeDefPrimitive::Bool | TypeDefPrimitive::U8 | TypeDefPrimitive::I8 | TypeDefPrimitive::Str => 1,
                TypeDefPrimitive::U16 | TypeDefPrimitive::I16 => 2,
                TypeDefPrimitive::U32 | TypeDefPrimitive::I32 | TypeDefPrimitive::Char => 4,
                TypeDefPrimitive::U64 | TypeDefPrimitive::I64 => 8,
                TypeDefPrimitive::U128 | TypeDefPrimitive::I128 => 16,
                TypeDefPrimitive::U256 | TypeDefPrimitive::I256 => 32,
            };
            out.extend(std::iter::repeat_n(0, bytes));
        },
        TypeDef::BitSequence(_) => panic!("no event has bits"),
    }
}

#[test]
fn every_event_of_rounds_and_of_their_evaluation_is_known() {
    // Of blocks and slots there are others, and two of slots are of no use to anybody off chain.
    let others = ["BlockRegistered", "BlockUnregistered", "HeadMoved", "HeadFilled", "HeadsReleased"];
    let runtime = built_in();
    let metadata = &runtime.facts().metadata;
    let mut known = std::collections::BTreeSet::new();
    for pallet in ["Experts", "Pol"] {
        let variants = metadata.pallet_by_name(pallet).unwrap().event_variants().unwrap();
        for variant in variants.iter().filter(|variant| pallet == "Pol" || !others.contains(&variant.name.as_str())) {
            let mut fields = Vec::new();
            variant.fields.iter().for_each(|field| least(metadata.types(), field.ty.id, &mut fields));
            let event = decoded(&runtime, pallet, &variant.name, fields);
            assert!(matches!(event, Event::Learning(_)), "{pallet}.{} is {event:?}", variant.name);
            // Its first bytes name it.
            assert!(known.insert(event.encode()[..2].to_vec()), "{pallet}.{} is told as another", variant.name);
        }
    }
    assert_eq!(known.len(), 19 + 29);
}

#[test]
fn the_life_of_a_round_is_told() {
    let learner = AccountId::from([9; 32]);
    let opened = learned("Experts", "RoundOpened", (3u32, slot(), SpecId([11; 32]), block(1), block(2), 40u32));
    let (base, master) = (block(1), block(2));
    let expected =
        LearningEvent::RoundOpened { round: 3, slot: slot(), spec: SpecId([11; 32]), base, master, until: 40 };
    assert_eq!(opened, expected);

    let submitted = learned("Experts", "DeltaSubmitted", (3u32, 1u32, learner, block(4), 10u128.pow(19)));
    let expected = LearningEvent::DeltaSubmitted { round: 3, index: 1, learner, block: block(4), bond: 10u128.pow(19) };
    assert_eq!(submitted, expected);

    let refused = learned("Experts", "DeltaRefused", (3u32, learner, Some(block(5)), 1u8));
    let (head, reason) = (Some(block(5)), Lateness::StaleBase);
    assert_eq!(refused, LearningEvent::DeltaRefused { round: 3, learner, head, reason });

    let judged = learned("Experts", "DeltaJudged", (3u32, 1u32, learner, DeltaOutcome::Merged(7), 8u128, 9u128));
    let outcome = DeltaOutcome::Merged(7);
    assert_eq!(judged, LearningEvent::DeltaJudged { round: 3, index: 1, learner, outcome, returned: 8, lost: 9 });

    let accepted = Accepted { master: block(6), serving: block(7), gain: -5 };
    let fields = (block(6), block(7), -5i64);
    let event = learned("Experts", "RoundAccepted", (3u32, fields, 50u32, 60u32));
    assert_eq!(event, LearningEvent::RoundAccepted { round: 3, accepted, primary_until: 50, until: 60 });
    let event = learned("Experts", "RoundCommitted", (3u32, learner, fields));
    assert_eq!(event, LearningEvent::RoundCommitted { round: 3, publisher: learner, accepted });
    let event = learned("Experts", "RoundLapsed", (3u32, fields));
    assert_eq!(event, LearningEvent::RoundLapsed { round: 3, accepted });
    let event = learned("Experts", "RoundRejected", (3u32, Refusal::Leaked));
    assert_eq!(event, LearningEvent::RoundRejected { round: 3, reason: Refusal::Leaked });
    let event = learned("Experts", "Rewarded", (3u32, learner, 2u8, 5u128));
    assert_eq!(event, LearningEvent::Rewarded { round: 3, who: learner, work: Work::Evaluation, amount: 5 });
    let event = learned("Experts", "Rewarded", (3u32, learner, 3u8, 5u128));
    assert_eq!(event, LearningEvent::Rewarded { round: 3, who: learner, work: Work::Aggregation, amount: 5 });
}

#[test]
fn elections_are_told() {
    let [who, other] = [8, 9].map(|byte| AccountId::from([byte; 32]));
    assert_eq!(learned("Experts", "Stands", who), LearningEvent::Stands { who });
    assert_eq!(learned("Experts", "StandsDown", who), LearningEvent::StandsDown { who });
    let event = learned("Experts", "PrimariesElected", (3u32, vec![other, who]));
    assert_eq!(event, LearningEvent::PrimariesElected { round: 3, primaries: vec![other, who] });
}

#[test]
fn why_a_round_failed_is_told_by_name() {
    let failed = |error: Vec<u8>| learned("Experts", "RoundFailed", RoundFailed(3, error));
    assert_eq!(failed(vec![0]), LearningEvent::RoundFailed { round: 3, error: None });
    // `Some(DispatchError::Module)`, of Pol, its error 15.
    let runtime = built_in();
    let index = runtime.facts().metadata.pallet_by_name("Pol").unwrap().error_index();
    let LearningEvent::RoundFailed { error: Some(error), .. } = failed(vec![1, 3, index, 15, 0, 0, 0]) else {
        panic!("it has a reason")
    };
    assert!(error.is("Pol", "TooFewItems"), "{error}");
    // `Some(DispatchError::BadOrigin)`.
    let error = Some(DispatchError::Runtime("Bad origin.".to_owned()));
    assert_eq!(failed(vec![1, 2]), LearningEvent::RoundFailed { round: 3, error });
}

/// A round, and an error that is encoded already.
struct RoundFailed(u32, Vec<u8>);

impl Encode for RoundFailed {
    fn encode(&self) -> Vec<u8> {
        [&self.0.encode(), &*self.1].concat()
    }
}

#[test]
fn an_evaluation_is_told_with_its_disputes() {
    let who = AccountId::from([9; 32]);
    let event = learned("Pol", "SetAdded", (block(1), 3u8, 500u32));
    assert_eq!(event, LearningEvent::SetAdded { block: block(1), purpose: Purpose::Hidden, items: 500 });
    let event = learned("Pol", "PhaseBegan", (7u32, 5u8, 90u32, 44u32));
    assert_eq!(event, LearningEvent::PhaseBegan { evaluation: 7, phase: EvaluationPhase::Traces(90), until: 44 });
    let event = learned("Pol", "PhaseEndsEarly", (7u32, 2u8, 41u32));
    assert_eq!(event, LearningEvent::PhaseEndsEarly { evaluation: 7, phase: EvaluationPhase::Commit, until: 41 });
    let event = learned("Pol", "AvailabilityVoted", (7u32, who, 6u32, true));
    assert_eq!(event, LearningEvent::AvailabilityVoted { evaluation: 7, who, available: 6, reads_hidden: true });
    let event = learned("Pol", "Revealed", (7u32, who, [1u8; 32]));
    assert_eq!(event, LearningEvent::Revealed { evaluation: 7, who, reveal: [1; 32] });
    let event = learned("Pol", "Wrong", (7u32, who, Some(12u32)));
    assert_eq!(event, LearningEvent::Wrong { evaluation: 7, who, slash: Some(12) });
    let event = learned("Pol", "GameBegan", (7u32, 1u32, [[2u8; 32], [3; 32]]));
    assert_eq!(event, LearningEvent::GameBegan { evaluation: 7, game: 1, roots: [[2; 32], [3; 32]] });
    let event = learned("Pol", "Played", (7u32, 1u32, Side::Second, true));
    assert_eq!(event, LearningEvent::Played { evaluation: 7, game: 1, side: Side::Second, goes_on: true });
    let event = learned("Pol", "GameSettled", (7u32, 1u32, [false, true]));
    assert_eq!(event, LearningEvent::GameSettled { evaluation: 7, game: 1, right: [false, true] });
    let event = learned("Pol", "CellResolved", (7u32, 90u32, Some(1u64 << 40)));
    assert_eq!(event, LearningEvent::CellResolved { evaluation: 7, cell: 90, score: Some(1 << 40) });
    let event = learned("Pol", "Decided", (7u32, [1u8; 32], true, -3i64));
    assert_eq!(event, LearningEvent::Decided { evaluation: 7, reveal: [1; 32], accepted: true, gain: -3 });
    let event = learned("Pol", "KeyRevealed", (7u32, block(1), [4u8; 32]));
    assert_eq!(event, LearningEvent::KeyRevealed { evaluation: 7, block: block(1), key: [4; 32] });
}

#[test]
fn what_happens_to_blocks_and_slots_is_told_as_before() {
    let moved = decoded(&built_in(), "Experts", "HeadMoved", (slot(), block(1), block(2), 4u32).encode());
    assert_eq!(moved, Event::HeadMoved { slot: slot(), from: block(1), to: block(2), moves: 4 });
    let filled = decoded(&built_in(), "Experts", "HeadFilled", (slot(), block(1)).encode());
    assert_eq!(filled, Event::Other { pallet: "Experts".into(), name: "HeadFilled".into() });
}

#[test]
fn an_event_that_a_later_runtime_has_in_another_shape_stops_nobody() {
    let runtime = later(|metadata| rename_event_field(metadata, "Pol", "Decided"));
    let other = decoded(&runtime, "Pol", "Decided", (7u32, [1u8; 32], true, -3i64).encode());
    assert_eq!(other, Event::Other { pallet: "Pol".into(), name: "Decided".into() });
    let event = decoded(&runtime, "Pol", "Redrawn", (7u32, 1u8).encode());
    assert_eq!(event, Event::Learning(LearningEvent::Redrawn { evaluation: 7, attempt: 1 }));
}
