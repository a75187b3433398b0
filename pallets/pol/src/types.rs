//! What is kept of evaluators, of blocks of items, and of an evaluation.

use blyan_primitives::{
    dispute::Game,
    ids::{ContentHash, SlotId, SpecId},
    learning::{ItemRange, RoundId},
    merkle::Digest,
    pact::{Learning, Rounds},
    pol::{Cell, Layout, Reveal, Sources, MAX_DELTAS},
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{pallet_prelude::ConstU32, BoundedVec};
use polkadot_sdk::*;
use scale_info::TypeInfo;

/// Most seats of a committee, which is what the Pact's bounds allow. It has no more members.
pub const MAX_COMMITTEE: u32 = 201;
/// Most scores of an evaluation.
pub const MAX_SCORES: u32 = 1 << 14;

/// Names an evaluation, as the round does that it is for.
pub type EvaluationId = RoundId;

/// What an evaluator can be drawn by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Enrolment {
    /// Its leaf in the tree of stakes.
    pub leaf: u32,
    /// What it has at stake, as the tree knows it.
    pub stake: u128,
    /// Committees that it is on.
    pub seats: u32,
}

/// What a block of items is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
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

/// A registered block of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct ItemSet {
    /// What it is for.
    pub purpose: Purpose,
    /// How many items it has.
    pub items: u32,
}

/// A set that nobody can read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct HiddenSet<AccountId> {
    /// The block with the same tokens, encrypted: each as four bytes, little-endian, with ChaCha20 under the key and a nonce of
    /// zeros.
    pub encrypted: ContentHash,
    /// Who has the key.
    pub steward: AccountId,
    /// The evaluation that it is used in.
    pub given_to: Option<EvaluationId>,
    /// The key, once it is revealed.
    pub key: Option<[u8; 32]>,
}

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Phase {
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
    /// The roots of traces of one cell are posted.
    #[codec(index = 5)]
    Traces(u32),
    /// Games about a cell are played.
    #[codec(index = 6)]
    Games(u32),
    /// It has a verdict, or never will.
    #[codec(index = 7)]
    Over,
}

/// The evaluation of a round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Evaluation<BlockNumber> {
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
    pub rounds: Rounds,
    /// How far it is.
    pub phase: Phase,
    /// Last block of the phase.
    pub until: BlockNumber,
    /// Committees that were drawn before and came to nothing.
    pub attempt: u8,
    /// What items are drawn by.
    pub seed: [u8; 32],
    /// What they are drawn from.
    pub sources: Sources,
    /// What is measured, once it is known which deltas there are.
    pub layout: Layout,
    /// Deltas that were submitted.
    pub submitted: u32,
    /// Of those that are measured: their number in the round, and what they were trained on.
    pub deltas: BoundedVec<(u32, ItemRange), ConstU32<MAX_DELTAS>>,
    /// Games that have begun, over all cells.
    pub games: u32,
}

/// A committee.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub struct Committee {
    /// How many are on it.
    pub members: u32,
    /// How many votes they have together.
    pub votes: u32,
}

/// The place of a member on a committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Seat {
    /// Seats that its holder was drawn for, which is how often what it says counts.
    pub votes: u32,
    /// Deltas that its holder has, a bit for each; none before it has said so.
    pub available: Option<u32>,
    /// Whether it can read the hidden set.
    pub reads_hidden: bool,
    /// What it has committed to.
    pub commitment: Option<[u8; 32]>,
    /// Names what it has revealed.
    pub reveal: Option<[u8; 32]>,
    /// The trace that it has posted of the cell in dispute.
    pub trace: Option<Digest>,
    /// Whether it was found wrong.
    pub wrong: bool,
}

impl Seat {
    /// The place of a member that has done nothing yet.
    pub const fn new(votes: u32) -> Self {
        Self { votes, available: None, reads_hidden: false, commitment: None, reveal: None, trace: None, wrong: false }
    }
}

/// What several members have revealed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct RevealEntry {
    /// What it is.
    pub reveal: Reveal,
    /// Votes of those that have revealed it.
    pub votes: u32,
    /// Whether its scores are posted.
    pub posted: bool,
}

/// A trace that was posted, and the score that it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct TraceEntry {
    /// The sum of the losses that it ends with.
    pub score: u64,
    /// The game that it plays; none while it waits for another.
    pub game: Option<u32>,
}

/// A game about a cell.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct GameEntry<BlockNumber> {
    /// The cell.
    pub cell: Cell,
    /// The game.
    pub game: Game,
    /// Last block for what is due.
    pub until: BlockNumber,
    /// Whether the first side was right, and the second, once that is settled.
    pub right: Option<[bool; 2]>,
}

/// Something that is due in a block.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub enum Due {
    /// The end of an evaluation's phase.
    #[codec(index = 0)]
    Phase(EvaluationId),
    /// The end of a move's time.
    #[codec(index = 1)]
    Move(EvaluationId, u32),
}
