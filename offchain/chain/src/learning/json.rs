//! How things of `blyan-primitives` look in JSON that have no look of their own there.

use blyan_primitives::{
    dispute::{Game, Side, Stage},
    ids::ContentHash,
    pact::{Ppm, Rounds},
    pol::{
        Candidate, CandidateSums, Cell, DeltaFinding, DeltaSums, Finding, ItemBlock, Layout, Paired, Reveal, Set,
        Sources, Target,
    },
};
use serde::{Serialize, Serializer};
use std::fmt::Display;

/// A number that can have more than 64 bits.
pub(super) fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// 32 bytes in hexadecimal.
#[derive(Serialize)]
struct Hex<'a>(#[serde(serialize_with = "hex")] &'a [u8; 32]);

pub(super) fn hex<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    // Every 32-byte name looks alike.
    ContentHash(*bytes).serialize(serializer)
}

pub(super) fn hex_if_any<S: Serializer>(bytes: &Option<[u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.as_ref().map(Hex).serialize(serializer)
}

#[derive(Serialize)]
#[serde(remote = "Layout")]
struct LayoutJson {
    trial: u32,
    last: u32,
    general: u32,
    own: u32,
    deltas: u32,
    positions: u32,
}

pub(super) fn layout<S: Serializer>(layout: &Layout, serializer: S) -> Result<S::Ok, S::Error> {
    LayoutJson::serialize(layout, serializer)
}

#[derive(Serialize)]
#[serde(remote = "Rounds")]
struct RoundsJson {
    submission: u32,
    availability: u32,
    evaluation: u32,
    reveal: u32,
    dispute_move: u32,
    publication: u32,
    trial_items: u32,
    final_items: u32,
    general_items: u32,
    own_items: u32,
    max_deltas: u32,
    #[serde(serialize_with = "text")]
    delta_bond: u128,
    useless_fee: Ppm,
    wrong_slash: Ppm,
    absence_slash: Ppm,
    #[serde(serialize_with = "text")]
    reward: u128,
}

pub(super) fn rounds<S: Serializer>(rounds: &Rounds, serializer: S) -> Result<S::Ok, S::Error> {
    RoundsJson::serialize(rounds, serializer)
}

#[derive(Serialize)]
struct SourcesJson<'a> {
    held_out: &'a [ItemBlock],
    hidden: Option<ItemBlock>,
    general: &'a [ItemBlock],
}

pub(super) fn sources<S: Serializer>(sources: &Sources, serializer: S) -> Result<S::Ok, S::Error> {
    let Sources { held_out, hidden, general } = sources;
    SourcesJson { held_out, hidden: *hidden, general }.serialize(serializer)
}

#[derive(Serialize)]
#[serde(remote = "Target", rename_all = "snake_case")]
enum TargetJson {
    Base,
    Delta(u32),
    Candidate,
}

#[derive(Serialize)]
#[serde(remote = "Set", rename_all = "snake_case")]
enum SetJson {
    Trial,
    Final,
    General,
    Own(u32),
}

#[derive(Serialize)]
#[serde(remote = "Cell")]
struct CellJson {
    #[serde(with = "TargetJson")]
    target: Target,
    #[serde(with = "SetJson")]
    set: Set,
    item: u32,
}

pub(super) fn cell<S: Serializer>(cell: &Cell, serializer: S) -> Result<S::Ok, S::Error> {
    CellJson::serialize(cell, serializer)
}

#[derive(Serialize)]
#[serde(remote = "Paired")]
struct PairedJson {
    gain: i64,
    #[serde(serialize_with = "text")]
    squares: u128,
}

#[derive(Serialize)]
#[serde(remote = "DeltaSums")]
struct DeltaSumsJson {
    #[serde(with = "PairedJson")]
    trial: Paired,
    #[serde(with = "PairedJson")]
    general: Paired,
    #[serde(with = "PairedJson")]
    own: Paired,
}

#[derive(Serialize)]
#[serde(remote = "CandidateSums")]
struct CandidateSumsJson {
    #[serde(with = "PairedJson")]
    last: Paired,
    #[serde(with = "PairedJson")]
    general: Paired,
}

#[derive(Serialize)]
#[serde(remote = "Finding", rename_all = "snake_case")]
enum FindingJson {
    Malformed,
    Copy(u32),
    Sound,
}

#[derive(Serialize)]
#[serde(remote = "DeltaFinding")]
struct DeltaFindingJson {
    #[serde(with = "FindingJson")]
    finding: Finding,
    #[serde(with = "DeltaSumsJson")]
    sums: DeltaSums,
}

#[derive(Serialize)]
#[serde(remote = "Candidate")]
struct CandidateJson {
    master: ContentHash,
    serving: ContentHash,
    #[serde(with = "CandidateSumsJson")]
    sums: CandidateSums,
}

#[derive(Serialize)]
struct RevealJson<'a> {
    /// What names it, which follows from the rest.
    #[serde(serialize_with = "hex")]
    hash: [u8; 32],
    #[serde(serialize_with = "hex")]
    scores: &'a [u8; 32],
    deltas: Vec<FoundJson<'a>>,
    candidate: Option<TakenJson<'a>>,
}

#[derive(Serialize)]
struct FoundJson<'a>(#[serde(with = "DeltaFindingJson")] &'a DeltaFinding);

#[derive(Serialize)]
struct TakenJson<'a>(#[serde(with = "CandidateJson")] &'a Candidate);

pub(super) fn reveal<S: Serializer>(reveal: &Reveal, serializer: S) -> Result<S::Ok, S::Error> {
    let Reveal { scores, deltas, candidate } = reveal;
    let deltas = deltas.iter().map(FoundJson).collect();
    let candidate = candidate.as_ref().map(TakenJson);
    RevealJson { hash: reveal.hash(), scores, deltas, candidate }.serialize(serializer)
}

/// A game without what sides have told so far, which can be many hashes: whether they have.
#[derive(Serialize)]
struct GameJson<'a> {
    roots: [Hex<'a>; 2],
    stage: StageJson,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum StageJson {
    Nodes { level: u32, index: u64, told: [bool; 2] },
    Words { leaf: u64, told: [bool; 2] },
    Evidence { leaf: u64, step: String, row: u32, column: u32, told: [u32; 2] },
}

pub(super) fn game<S: Serializer>(game: &Game, serializer: S) -> Result<S::Ok, S::Error> {
    let stage = match game.stage() {
        Stage::Nodes { at, told, .. } => {
            StageJson::Nodes { level: at.level, index: at.index, told: Side::BOTH.map(|side| told.of(side).is_some()) }
        },
        Stage::Words { leaf, told, .. } => {
            StageJson::Words { leaf: *leaf, told: Side::BOTH.map(|side| told.of(side).is_some()) }
        },
        Stage::Evidence { leaf, word, told } => StageJson::Evidence {
            leaf: *leaf,
            step: format!("{:?}", word.step),
            row: word.row,
            column: word.column,
            told: Side::BOTH.map(|side| *told.of(side)),
        },
    };
    GameJson { roots: Side::BOTH.map(|side| Hex(game.root(side))), stage }.serialize(serializer)
}
