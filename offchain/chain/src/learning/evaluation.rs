//! Evaluations, who does them, and what they are done on.

use super::json;
use crate::{AccountId, BlockNumber};
use blyan_primitives::{
    dispute::{Game, Item},
    ids::{ContentHash, SlotId, SpecId},
    learning::{ItemRange, RoundId},
    merkle::Digest,
    pact::{Learning, Rounds},
    pol::{Cell, Layout, Reveal, Set, Sources},
};
use codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What an evaluator can be drawn by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Enrolment {
    /// Its leaf in the tree of stakes.
    pub leaf: u32,
    /// What it has at stake, as the tree knows it.
    #[serde(serialize_with = "json::text")]
    pub stake: u128,
    /// Committees that it is on.
    pub seats: u32,
}

/// What a block of items is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Learners train on it.
    #[codec(index = 0)]
    Training,
    /// Deltas are measured on it.
    #[codec(index = 1)]
    HeldOut,
    /// Of what the model could do before.
    #[codec(index = 2)]
    General,
    /// Candidates are measured on it, and nobody has read it until then.
    #[codec(index = 3)]
    Hidden,
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Training => "training",
            Self::HeldOut => "held_out",
            Self::General => "general",
            Self::Hidden => "hidden",
        })
    }
}

/// A registered block of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ItemSet {
    /// What it is for.
    pub purpose: Purpose,
    /// How many items it has.
    pub items: u32,
}

/// A set that nobody can read before it is measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HiddenSet {
    /// The block with the same tokens, encrypted: each as four bytes, little-endian, with ChaCha20 under the key and a nonce
    /// of zeros.
    pub encrypted: ContentHash,
    /// Who has the key.
    pub steward: AccountId,
    /// The evaluation that it is used in.
    pub given_to: Option<RoundId>,
    /// The key, once it is revealed.
    #[serde(serialize_with = "json::hex_if_any")]
    pub key: Option<[u8; 32]>,
}

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationPhase {
    /// For randomness that nobody could know when the round took its last delta.
    #[codec(index = 0)]
    Waiting,
    /// The committee fetches deltas, and says which it has.
    #[codec(index = 1)]
    Availability,
    /// It evaluates, and commits to what that comes to.
    #[codec(index = 2)]
    Commit,
    /// It reveals.
    #[codec(index = 3)]
    Reveal,
    /// Reveals differ: the scores behind each are posted.
    #[codec(index = 4)]
    Scores,
    /// The roots of traces of the cell at this place are posted.
    #[codec(index = 5)]
    Traces(u32),
    /// Games about the cell at this place are played.
    #[codec(index = 6)]
    Games(u32),
    /// It has a verdict, or never will.
    #[codec(index = 7)]
    Over,
}

/// A delta that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// Its number in the round. In the layout it has the number of its place among those that are measured.
    pub index: u32,
    /// What it was trained on.
    pub data: ItemRange,
}

/// The evaluation of a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evaluation {
    /// The slot whose head is to change.
    pub slot: SlotId,
    /// The spec that the model is evaluated in.
    pub spec: SpecId,
    /// The slot's head.
    pub base: ContentHash,
    /// Height at which the other slots' heads are taken.
    pub at: BlockNumber,
    /// How it is judged.
    pub learning: Learning,
    /// How long its parts take.
    #[serde(serialize_with = "json::rounds")]
    pub rounds: Rounds,
    /// How far it is.
    pub phase: EvaluationPhase,
    /// Last block of the phase.
    pub until: BlockNumber,
    /// Committees that were drawn before and came to nothing.
    pub attempt: u8,
    /// What items are drawn by.
    #[serde(serialize_with = "json::hex")]
    pub seed: [u8; 32],
    /// What they are drawn from.
    #[serde(serialize_with = "json::sources")]
    pub sources: Sources,
    /// What is measured, once it is known which deltas there are.
    #[serde(serialize_with = "json::layout")]
    pub layout: Layout,
    /// Deltas that were submitted.
    pub submitted: u32,
    /// Those of them that are measured.
    pub deltas: Vec<Measured>,
    /// Games that have begun, over all cells.
    pub games: u32,
}

impl Evaluation {
    /// The items of a set, in the order of their cells.
    pub fn items(&self, set: Set) -> Vec<Item> {
        let own: Vec<ItemRange> = self.deltas.iter().map(|delta| delta.data).collect();
        self.sources.items(&self.layout, &self.seed, &own, set)
    }
}

/// The place of a member on a committee.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seat {
    /// Seats that its holder was drawn for, which is how often what it says counts.
    pub votes: u32,
    /// Deltas that its holder has, a bit for each; none before it has said so.
    pub available: Option<u32>,
    /// Whether it can read the hidden set.
    pub reads_hidden: bool,
    /// What it has committed to.
    #[serde(serialize_with = "json::hex_if_any")]
    pub commitment: Option<[u8; 32]>,
    /// Names what it has revealed.
    #[serde(serialize_with = "json::hex_if_any")]
    pub reveal: Option<[u8; 32]>,
    /// Root of the trace that it has posted of the cell in dispute.
    #[serde(serialize_with = "json::hex_if_any")]
    pub trace: Option<Digest>,
    /// Whether it was found wrong.
    pub wrong: bool,
}

/// What members have revealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevealEntry {
    /// What it is.
    #[serde(serialize_with = "json::reveal")]
    pub reveal: Reveal,
    /// Votes of those that have revealed it.
    pub votes: u32,
    /// Whether its scores are posted.
    pub posted: bool,
}

/// What the verdict of an evaluation follows from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Verdict {
    /// The reveal that stood.
    #[serde(serialize_with = "json::reveal")]
    pub reveal: Reveal,
}

/// A trace that was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TraceEntry {
    /// The sum of the losses that it ends with.
    pub score: u64,
    /// The game that it plays; none while it waits for another.
    pub game: Option<u32>,
}

/// A game about a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GameEntry {
    /// The cell.
    #[serde(serialize_with = "json::cell")]
    pub cell: Cell,
    /// The game.
    #[serde(serialize_with = "json::game")]
    pub game: Game,
    /// Last block for what is due.
    pub until: BlockNumber,
    /// Whether the first side was right, and the second, once that is settled.
    pub right: Option<[bool; 2]>,
}
