//! What happened.

use super::{Accepted, EvaluationPhase, Lateness, Purpose, Work};
use crate::{AccountId, BlockNumber, DispatchError};
use blyan_primitives::{
    dispute::Side,
    ids::{ContentHash, SlotId, SpecId},
    learning::{DeltaOutcome, RoundId},
    merkle::Digest,
    pol::Refusal,
    traits::SlashId,
};
use codec::{Decode, Encode};

/// What happened to rounds and their evaluation. A head that moves is [`Event::HeadMoved`](crate::Event::HeadMoved).
///
/// Its encoding is part of the journal's format: variants keep their indices.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum LearningEvent {
    /// A round is open: learners can submit deltas on a slot's head.
    #[codec(index = 0)]
    RoundOpened {
        /// Its number.
        round: RoundId,
        /// The slot.
        slot: SlotId,
        /// The spec that the model is evaluated in.
        spec: SpecId,
        /// The slot's head, in serving form.
        base: ContentHash,
        /// Its master, which deltas are applied to.
        master: ContentHash,
        /// First block in which no delta is taken.
        until: BlockNumber,
    },
    /// A learner has submitted a delta, and its bond is held.
    #[codec(index = 1)]
    DeltaSubmitted {
        /// The round.
        round: RoundId,
        /// Number of the delta in it.
        index: u32,
        /// Who has trained it.
        learner: AccountId,
        /// The block that has it.
        block: ContentHash,
        /// What is held.
        bond: u128,
    },
    /// A delta came too late. Its author can rebase it on the head and submit it to a later round.
    #[codec(index = 2)]
    DeltaRefused {
        /// The round that it was meant for.
        round: RoundId,
        /// Who has trained it.
        learner: AccountId,
        /// What the round's slot holds now; nothing when its lineage serves nobody any more.
        head: Option<ContentHash>,
        /// What is late about it.
        reason: Lateness,
    },
    /// Nobody has submitted anything, and the round is over.
    #[codec(index = 3)]
    RoundEmpty {
        /// The round.
        round: RoundId,
    },
    /// The time for deltas has passed, and a committee evaluates them.
    #[codec(index = 4)]
    RoundClosed {
        /// The round.
        round: RoundId,
        /// How many they are.
        deltas: u32,
    },
    /// A delta was judged.
    #[codec(index = 5)]
    DeltaJudged {
        /// The round.
        round: RoundId,
        /// Number of the delta in it.
        index: u32,
        /// Who has trained it.
        learner: AccountId,
        /// What was found of it.
        outcome: DeltaOutcome,
        /// What is returned of its bond.
        returned: u128,
        /// What is lost of it.
        lost: u128,
    },
    /// An evaluator has its part of the bonds that were lost in a round.
    #[codec(index = 6)]
    ForfeitShared {
        /// The round.
        round: RoundId,
        /// Who evaluated it.
        evaluator: AccountId,
        /// The part.
        amount: u128,
    },
    /// What evaluators were not given of the bonds that were lost in a round.
    #[codec(index = 7)]
    ForfeitLeft {
        /// The round.
        round: RoundId,
        /// How much.
        amount: u128,
    },
    /// What a round's deltas come to is accepted: whoever makes the two blocks can publish them.
    #[codec(index = 8)]
    RoundAccepted {
        /// The round.
        round: RoundId,
        /// What is accepted.
        accepted: Accepted,
        /// First block in which not only workers that aggregate can publish it.
        primary_until: BlockNumber,
        /// First block in which nobody can.
        until: BlockNumber,
    },
    /// What a round's deltas come to is not accepted: the head stays.
    #[codec(index = 9)]
    RoundRejected {
        /// The round.
        round: RoundId,
        /// Why not.
        reason: Refusal,
    },
    /// A round could not be evaluated: the head stays.
    #[codec(index = 10)]
    RoundFailed {
        /// The round.
        round: RoundId,
        /// Why the evaluation was not even begun, if it was not.
        error: Option<DispatchError>,
    },
    /// The bond of a delta that nobody could judge is returned.
    #[codec(index = 11)]
    BondReturned {
        /// The round.
        round: RoundId,
        /// Number of the delta in it.
        index: u32,
        /// Who has trained it.
        learner: AccountId,
        /// The bond.
        amount: u128,
    },
    /// What was accepted is published, and is the slot's head.
    #[codec(index = 12)]
    RoundCommitted {
        /// The round.
        round: RoundId,
        /// Who has published it.
        publisher: AccountId,
        /// What was accepted.
        accepted: Accepted,
    },
    /// Nobody has published in time what was accepted: the head stays.
    #[codec(index = 13)]
    RoundLapsed {
        /// The round.
        round: RoundId,
        /// What was accepted.
        accepted: Accepted,
    },
    /// Work in a round that moved a head is paid.
    #[codec(index = 14)]
    Rewarded {
        /// The round.
        round: RoundId,
        /// Who did it.
        who: AccountId,
        /// What it was.
        work: Work,
        /// What it is paid.
        amount: u128,
    },
    /// A round that has been over for long is removed, with its deltas.
    #[codec(index = 15)]
    RoundRemoved {
        /// The round.
        round: RoundId,
    },
    /// An evaluator can be drawn.
    #[codec(index = 20)]
    EvaluatorEnrolled {
        /// Who.
        who: AccountId,
        /// What it is drawn by.
        stake: u128,
    },
    /// An evaluator cannot be drawn any more.
    #[codec(index = 21)]
    EvaluatorLeft {
        /// Who.
        who: AccountId,
    },
    /// An evaluator is drawn by what it has at stake now.
    #[codec(index = 22)]
    StakeRefreshed {
        /// Who.
        who: AccountId,
        /// What it is drawn by.
        stake: u128,
    },
    /// There is another block of items.
    #[codec(index = 23)]
    SetAdded {
        /// The block.
        block: ContentHash,
        /// What it is for.
        purpose: Purpose,
        /// How many items it has.
        items: u32,
    },
    /// A block of items is not used any more.
    #[codec(index = 24)]
    SetRemoved {
        /// The block.
        block: ContentHash,
    },
    /// A round is being evaluated.
    #[codec(index = 25)]
    EvaluationStarted {
        /// The evaluation.
        evaluation: RoundId,
    },
    /// A committee is drawn.
    #[codec(index = 26)]
    CommitteeDrawn {
        /// The evaluation.
        evaluation: RoundId,
        /// How many members it has.
        members: u32,
    },
    /// An evaluation is in another phase.
    #[codec(index = 27)]
    PhaseBegan {
        /// The evaluation.
        evaluation: RoundId,
        /// The phase.
        phase: EvaluationPhase,
        /// Last block of it.
        until: BlockNumber,
    },
    /// A member has said which deltas it has.
    #[codec(index = 28)]
    AvailabilityVoted {
        /// The evaluation.
        evaluation: RoundId,
        /// The member.
        who: AccountId,
        /// A bit for each delta.
        available: u32,
        /// Whether it can read the hidden set.
        reads_hidden: bool,
    },
    /// It is known which deltas are measured.
    #[codec(index = 29)]
    DeltasAvailable {
        /// The evaluation.
        evaluation: RoundId,
        /// How many.
        deltas: u32,
    },
    /// A member has committed to what it has found.
    #[codec(index = 30)]
    Committed {
        /// The evaluation.
        evaluation: RoundId,
        /// The member.
        who: AccountId,
    },
    /// A member has revealed what it has found.
    #[codec(index = 31)]
    Revealed {
        /// The evaluation.
        evaluation: RoundId,
        /// The member.
        who: AccountId,
        /// Names what it has found.
        reveal: [u8; 32],
    },
    /// A member has not done what it was drawn for.
    #[codec(index = 32)]
    Absent {
        /// The evaluation.
        evaluation: RoundId,
        /// The member.
        who: AccountId,
        /// By which slash it loses what that costs; none where it costs nothing.
        slash: Option<SlashId>,
    },
    /// A member was found wrong.
    #[codec(index = 33)]
    Wrong {
        /// The evaluation.
        evaluation: RoundId,
        /// The member.
        who: AccountId,
        /// By which slash it loses what that costs; none where it costs nothing.
        slash: Option<SlashId>,
    },
    /// A reveal is wrong.
    #[codec(index = 34)]
    Refuted {
        /// The evaluation.
        evaluation: RoundId,
        /// Names the reveal.
        reveal: [u8; 32],
    },
    /// The scores behind a reveal are known.
    #[codec(index = 35)]
    ScoresPosted {
        /// The evaluation.
        evaluation: RoundId,
        /// Names the reveal.
        reveal: [u8; 32],
    },
    /// Reveals differ in a cell, and in none before it.
    #[codec(index = 36)]
    Disputed {
        /// The evaluation.
        evaluation: RoundId,
        /// Place of the cell.
        cell: u32,
    },
    /// A member has named its trace of the cell in dispute.
    #[codec(index = 37)]
    TracePosted {
        /// The evaluation.
        evaluation: RoundId,
        /// The member.
        who: AccountId,
        /// Root of the trace.
        root: Digest,
    },
    /// Two traces play against each other.
    #[codec(index = 38)]
    GameBegan {
        /// The evaluation.
        evaluation: RoundId,
        /// The game.
        game: u32,
        /// Roots of the first side's and the second side's trace.
        roots: [Digest; 2],
    },
    /// A move was made.
    #[codec(index = 39)]
    Played {
        /// The evaluation.
        evaluation: RoundId,
        /// The game.
        game: u32,
        /// For which side.
        side: Side,
        /// Whether both have made theirs, and something else is due.
        goes_on: bool,
    },
    /// The chain has computed the value that a game has come down to.
    #[codec(index = 40)]
    GameSettled {
        /// The evaluation.
        evaluation: RoundId,
        /// The game.
        game: u32,
        /// Whether the first side was right, and the second.
        right: [bool; 2],
    },
    /// A game is over.
    #[codec(index = 41)]
    GameEnded {
        /// The evaluation.
        evaluation: RoundId,
        /// The game.
        game: u32,
        /// Whether the first side was right, and the second.
        right: [bool; 2],
    },
    /// It is known what is right in a cell.
    #[codec(index = 42)]
    CellResolved {
        /// The evaluation.
        evaluation: RoundId,
        /// Place of the cell.
        cell: u32,
        /// The score; nothing when no trace of it stood.
        score: Option<u64>,
    },
    /// A round has a verdict.
    #[codec(index = 43)]
    Decided {
        /// The evaluation.
        evaluation: RoundId,
        /// Names the reveal that it follows from.
        reveal: [u8; 32],
        /// Whether the candidate becomes the head.
        accepted: bool,
        /// What it gains, in micro-nats a token, as far as that is made known.
        gain: i64,
    },
    /// A committee has come to nothing, and another is drawn.
    #[codec(index = 44)]
    Redrawn {
        /// The evaluation.
        evaluation: RoundId,
        /// Committees before.
        attempt: u8,
    },
    /// No committee has come to anything.
    #[codec(index = 45)]
    EvaluationFailed {
        /// The evaluation.
        evaluation: RoundId,
    },
    /// A hidden set is for an evaluation: its steward has to reveal the key.
    #[codec(index = 46)]
    HiddenSetGiven {
        /// The evaluation.
        evaluation: RoundId,
        /// The set.
        block: ContentHash,
    },
    /// A hidden set can be read.
    #[codec(index = 47)]
    KeyRevealed {
        /// The evaluation that it is used in.
        evaluation: RoundId,
        /// The set.
        block: ContentHash,
        /// What its tokens are encrypted with.
        key: [u8; 32],
    },
    /// All members have done what they can in a phase.
    #[codec(index = 48)]
    PhaseEndsEarly {
        /// The evaluation.
        evaluation: RoundId,
        /// The phase.
        phase: EvaluationPhase,
        /// Last block of it now.
        until: BlockNumber,
    },
    /// An aggregator stands for election as a primary.
    #[codec(index = 49)]
    Stands {
        /// Who.
        who: AccountId,
    },
    /// An aggregator does not stand for election any more.
    #[codec(index = 50)]
    StandsDown {
        /// Who.
        who: AccountId,
    },
    /// The primaries of a round are elected.
    #[codec(index = 51)]
    PrimariesElected {
        /// The round.
        round: RoundId,
        /// Who they are, the first to publish first.
        primaries: Vec<AccountId>,
    },
}
