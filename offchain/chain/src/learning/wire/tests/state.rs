use super::*;
use crate::{
    Accepted, AccountId, Delta, Evaluation, EvaluationPhase, GameEntry, HiddenSet, ItemSet, Measured, Purpose,
    RevealEntry, Round, RoundOutcome, RoundPhase, RoundTerms, Seat, TraceEntry, Verdict, codegen::blyan,
    learning::wire, runtime::tests::built_in,
};
use blyan_primitives::{
    dispute::{Game, Side, Stage},
    learning::DeltaOutcome,
    pact::{Learning, NetworkKind, Pact, Ppm, Rounds},
    pol::{Cell, ItemBlock, Layout, Refusal, RewardShares, Set, Sources, Target},
    trace::{LayerStep, Step, Word},
};
use codec::Decode;
use serde_json::{Value, json};
use subxt::storage::Address;

/// The value of an item of storage with this encoding.
fn stored<A: Address>(address: A, bytes: impl Encode) -> A::Value {
    built_in().decode_value("a test's value", &address, &bytes.encode()).unwrap()
}

fn shares() -> RewardShares {
    RewardShares { learners: Ppm(600_000), aggregators: Ppm(50_000), primary: Ppm(50_000), evaluators: Ppm(200_000) }
}

/// A round that is open, as the chain keeps it, up to its phase.
fn before_phase() -> impl Encode {
    let terms = (16u32, 8u32, 10u128.pow(21), Ppm(100_000), 10u32, 10u128.pow(23), shares());
    (slot(), SpecId([11; 32]), block(1), block(2), terms, 30u32)
}

fn round(phase: RoundPhase) -> Round {
    let terms = RoundTerms {
        max_deltas: 16,
        own_items: 8,
        bond: 10u128.pow(21),
        useless_fee: Ppm(100_000),
        publication: 10,
        reward: 10u128.pow(23),
        shares: shares(),
    };
    Round { slot: slot(), spec: SpecId([11; 32]), base: block(1), master: block(2), terms, opened_at: 30, phase }
}

#[test]
fn a_round_is_read_in_every_phase() {
    let accepted = Accepted { master: block(6), serving: block(7), gain: -5 };
    let what = (block(6), block(7), -5i64);
    let over = |outcome| RoundPhase::Over { outcome, at: 60 };
    let phases = [
        ((0u8, 40u32).encode(), RoundPhase::Open { until: 40 }),
        (1u8.encode(), RoundPhase::Evaluating),
        ((2u8, what, 50u32, 60u32).encode(), RoundPhase::Accepted { accepted, primary_until: 50, until: 60 }),
        ((3u8, 0u8, 60u32).encode(), over(RoundOutcome::Empty)),
        ((3u8, 1u8, 60u32).encode(), over(RoundOutcome::Failed)),
        ((3u8, 2u8, Refusal::NoGain, 60u32).encode(), over(RoundOutcome::Rejected(Refusal::NoGain))),
        ((3u8, 3u8, what, 60u32).encode(), over(RoundOutcome::Lapsed(accepted))),
        ((3u8, 4u8, what, 60u32).encode(), over(RoundOutcome::Committed(accepted))),
    ];
    for (bytes, phase) in phases {
        let bytes = [before_phase().encode(), bytes].concat();
        let found = wire::round(stored(blyan::storage().experts().rounds(), Raw(bytes)));
        assert_eq!(found, round(phase));
        assert_eq!(found.is_over(), matches!(phase, RoundPhase::Over { .. }));
    }
}

/// What is encoded already.
struct Raw(Vec<u8>);

impl Encode for Raw {
    fn encode(&self) -> Vec<u8> {
        self.0.clone()
    }
}

#[test]
fn deltas_are_read_with_what_was_found_of_them() {
    let learner = AccountId::from([9; 32]);
    let outcome = Some(DeltaOutcome::Refused(Refusal::Copied));
    for aggregator in [None, Some(AccountId::from([8; 32]))] {
        let deltas = stored(blyan::storage().experts().deltas(), vec![(learner, header(), aggregator, outcome)]);
        let deltas: Vec<Delta> = deltas.0.into_iter().map(wire::delta).collect();
        assert_eq!(deltas, [Delta { learner, header: header(), aggregator, outcome }]);
    }
}

fn sources() -> Sources {
    let blocks = |number| vec![ItemBlock { block: block(number), items: 50 }].try_into().unwrap();
    Sources { held_out: blocks(20), hidden: Some(ItemBlock { block: block(21), items: 40 }), general: blocks(22) }
}

fn layout() -> Layout {
    Layout { trial: 16, last: 17, general: 8, own: 8, deltas: 1, positions: 128 }
}

fn pact() -> (Learning, Rounds) {
    let pact = Pact::default_for(NetworkKind::Public);
    (pact.learning, pact.rounds)
}

fn evaluation() -> Evaluation {
    let (learning, rounds) = pact();
    Evaluation {
        slot: slot(),
        spec: SpecId([11; 32]),
        base: block(1),
        at: 30,
        learning,
        rounds,
        phase: EvaluationPhase::Games(90),
        until: 70,
        attempt: 1,
        seed: [12; 32],
        sources: sources(),
        layout: layout(),
        submitted: 3,
        deltas: vec![Measured { index: 2, data: data() }],
        games: 4,
    }
}

#[test]
fn an_evaluation_is_read_with_all_that_it_is_made_of() {
    let (learning, rounds) = pact();
    let head = (slot(), SpecId([11; 32]), block(1), 30u32, learning, rounds, (6u8, 90u32), 70u32, 1u8);
    let rest = ([12u8; 32], sources(), layout(), 3u32, vec![(2u32, data())], 4u32);
    let found = wire::evaluation(stored(blyan::storage().pol().evaluations(), (head, rest)));
    assert_eq!(found, evaluation());

    let items = found.items(Set::Own(0));
    assert_eq!(items, sources().items(&layout(), &[12; 32], &[data()], Set::Own(0)));
    assert!(items.len() == 8 && items.iter().all(|item| item.block == block(5)));
    let last = found.items(Set::Final);
    assert!(last.len() == 17 && last.iter().all(|item| item.block == block(21)));
}

#[test]
fn every_phase_of_an_evaluation_is_told_apart() {
    use EvaluationPhase::{Availability, Commit, Games, Over, Reveal, Scores, Traces, Waiting};
    let phases = [Waiting, Availability, Commit, Reveal, Scores, Traces(5), Games(6), Over];
    let (learning, rounds) = pact();
    for phase in phases {
        // Ours has the same encoding as the chain's.
        let head = (slot(), SpecId([11; 32]), block(1), 30u32, learning.clone(), rounds.clone(), phase, 70u32, 1u8);
        let rest = ([12u8; 32], sources(), layout(), 3u32, vec![(2u32, data())], 4u32);
        let found = wire::evaluation(stored(blyan::storage().pol().evaluations(), (head, rest)));
        assert_eq!(found.phase, phase);
    }
}

#[test]
fn a_committee_is_read_with_what_it_has_done() {
    let bytes = (7u32, Some(5u32), true, Some([1u8; 32]), Some([2u8; 32]), Some([3u8; 32]), false);
    let seat = Seat {
        votes: 7,
        available: Some(5),
        reads_hidden: true,
        commitment: Some([1; 32]),
        reveal: Some([2; 32]),
        trace: Some([3; 32]),
        wrong: false,
    };
    assert_eq!(wire::seat(stored(blyan::storage().pol().seats(), bytes)), seat);
    let entry = wire::reveal_entry(stored(blyan::storage().pol().reveals(), (reveal(), 2u32, true)));
    assert_eq!(entry, RevealEntry { reveal: reveal(), votes: 2, posted: true });
    assert_eq!(stored(blyan::storage().pol().posted_scores(), vec![1u64, u64::MAX]).0, [1, u64::MAX]);
    assert_eq!(stored(blyan::storage().pol().verdicts(), reveal()).0, reveal());
    let enrolment = wire::enrolment(stored(blyan::storage().pol().evaluators(), (3u32, 10u128.pow(22), 2u32)));
    assert_eq!((enrolment.leaf, enrolment.stake, enrolment.seats), (3, 10u128.pow(22), 2));
}

fn game() -> Game {
    let word = Word { step: Step::Layer(1, LayerStep::AttnNorm), row: 4, column: 5 };
    let bytes = ([1u8; 32], [2u8; 32], 2u8, 1000u64, word, 8u32, 9u32).encode();
    let game = Game::decode(&mut &*bytes).unwrap();
    assert!(matches!(game.stage(), Stage::Evidence { leaf: 1000, .. }) && game.root(Side::Second) == &[2; 32]);
    game
}

#[test]
fn disputes_are_read_as_far_as_they_are() {
    let cell = Cell { target: Target::Delta(1), set: Set::Own(1), item: 3 };
    let bytes = (cell, game(), 80u32, Some([false, true]));
    let entry = wire::game_entry(stored(blyan::storage().pol().games(), bytes));
    assert_eq!(entry, GameEntry { cell, game: game(), until: 80, right: Some([false, true]) });
    let entry = wire::trace_entry(stored(blyan::storage().pol().traces(), (1u64 << 40, Some(2u32))));
    assert_eq!(entry, TraceEntry { score: 1 << 40, game: Some(2) });
}

#[test]
fn sets_are_read_by_their_purpose() {
    let purposes = [Purpose::Training, Purpose::HeldOut, Purpose::General, Purpose::Hidden];
    for (index, purpose) in (0u8..).zip(purposes) {
        let set = wire::item_set(stored(blyan::storage().pol().sets(), (index, 500u32)));
        assert_eq!(set, ItemSet { purpose, items: 500 });
        assert_eq!(json!(purpose), json!(purpose.to_string()));
    }
    let steward = AccountId::from([9; 32]);
    let bytes = (block(2), steward, Some(7u32), Some([3u8; 32]));
    let set = wire::hidden_set(stored(blyan::storage().pol().hidden_sets(), bytes));
    assert_eq!(set, HiddenSet { encrypted: block(2), steward, given_to: Some(7), key: Some([3; 32]) });
}

fn in_json(value: impl serde::Serialize) -> Value {
    // By way of text, as programs read it, and as a value, as ours put it into others.
    let value_of = serde_json::to_value(&value).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&serde_json::to_string(&value).unwrap()).unwrap(), value_of);
    value_of
}

#[test]
fn a_round_is_shown_in_json() {
    let accepted = Accepted { master: block(6), serving: block(7), gain: -5 };
    let shown = in_json(round(RoundPhase::Over { outcome: RoundOutcome::Committed(accepted), at: 60 }));
    assert_eq!(shown["terms"]["bond"], json!("1000000000000000000000"));
    let committed = json!({ "master": block(6).to_string(), "serving": block(7).to_string(), "gain": -5 });
    assert_eq!(shown["phase"], json!({ "over": { "outcome": { "committed": committed }, "at": 60 } }));
    let rejected = RoundOutcome::Rejected(Refusal::NoGain);
    let shown = in_json(round(RoundPhase::Over { outcome: rejected, at: 60 }));
    assert_eq!(shown["phase"]["over"]["outcome"], json!({ "rejected": "no_gain" }));
    assert_eq!(in_json(round(RoundPhase::Evaluating))["phase"], json!("evaluating"));
    let learner = AccountId::from([9; 32]);
    let delta = in_json(Delta { learner, header: header(), aggregator: None, outcome: Some(DeltaOutcome::Withheld) });
    assert_eq!(delta["learner"], json!(learner.to_string()));
    assert_eq!((&delta["outcome"], &delta["header"]["codec"]), (&json!("withheld"), &json!("sparse")));
}

#[test]
fn an_evaluation_is_shown_in_json() {
    let shown = in_json(evaluation());
    assert_eq!(shown["phase"], json!({ "games": 90 }));
    assert_eq!(shown["seed"], json!(format!("0x{}", "0c".repeat(32))));
    let layout = json!({ "trial": 16, "last": 17, "general": 8, "own": 8, "deltas": 1, "positions": 128 });
    assert_eq!(shown["layout"], layout);
    assert_eq!(shown["rounds"]["reward"], json!(pact().1.reward.to_string()));
    assert_eq!(shown["rounds"]["trial_items"], json!(64));
    let general = json!([{ "block": block(22).to_string(), "items": 50 }]);
    assert_eq!(shown["sources"]["general"], general);
    assert_eq!(shown["deltas"][0]["index"], json!(2));
    let seat = in_json(Seat { commitment: Some([1; 32]), ..Seat::default() });
    assert_eq!((&seat["commitment"], &seat["reveal"]), (&json!(format!("0x{}", "01".repeat(32))), &Value::Null));
}

#[test]
fn verdicts_and_games_are_shown_in_json() {
    let shown = in_json(Verdict { reveal: reveal() });
    assert_eq!(shown["hash"], json!(crate::Hash(reveal().hash()).to_string()));
    assert_eq!(shown["deltas"][1]["finding"], json!({ "copy": 0 }));
    let trial = json!({ "gain": -5, "squares": u128::MAX.to_string() });
    assert_eq!(shown["deltas"][0]["sums"]["trial"], trial);
    assert_eq!(shown["candidate"]["sums"]["last"]["gain"], json!(8));
    let none = in_json(Verdict { reveal: Reveal { candidate: None, ..reveal() } });
    assert_eq!(none["candidate"], Value::Null);
    assert_eq!(in_json(RevealEntry { reveal: reveal(), votes: 2, posted: true })["reveal"], shown);

    let cell = Cell { target: Target::Delta(1), set: Set::Own(1), item: 3 };
    let shown = in_json(GameEntry { cell, game: game(), until: 80, right: None });
    assert_eq!(shown["cell"], json!({ "target": { "delta": 1 }, "set": { "own": 1 }, "item": 3 }));
    let evidence = json!({ "leaf": 1000, "step": "Layer(1, AttnNorm)", "row": 4, "column": 5, "told": [8, 9] });
    assert_eq!(shown["game"]["stage"], json!({ "evidence": evidence }));
    assert_eq!(shown["game"]["roots"][1], json!(format!("0x{}", "02".repeat(32))));

    // A side has told the first nodes.
    let bytes = ([1u8; 32], [2u8; 32], 0u8, (4u32, 0u64), [[1u8; 32], [2; 32]], Some(vec![[3u8; 32]]), 0u8).encode();
    let begun = Game::decode(&mut &*bytes).unwrap();
    let shown = in_json(GameEntry { cell, game: begun, until: 80, right: None });
    let nodes = json!({ "level": 4, "index": 0, "told": [true, false] });
    assert_eq!(shown["game"]["stage"], json!({ "nodes": nodes }));
}
