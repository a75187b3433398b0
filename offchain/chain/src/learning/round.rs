//! Rounds and their deltas.

use super::json;
use crate::{AccountId, BlockNumber};
use blyan_primitives::{
    ids::{ContentHash, SlotId, SpecId},
    learning::{DeltaHeader, DeltaOutcome},
    pact::Ppm,
    pol::{Refusal, RewardShares},
};
use codec::{Decode, Encode};
use serde::Serialize;

/// The Pact's rules for a round, as they were when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RoundTerms {
    /// Most deltas.
    pub max_deltas: u32,
    /// Fewest items that a delta is said to be trained on: as many as evaluators draw of them.
    pub own_items: u32,
    /// What is held for each delta.
    #[serde(serialize_with = "json::text")]
    pub bond: u128,
    /// Share of it that is lost with a delta that does not help, or that nobody could fetch.
    pub useless_fee: Ppm,
    /// Blocks for which primaries alone can publish what was accepted, in turns, and everybody after that.
    pub publication: BlockNumber,
    /// The most that the round pays.
    #[serde(serialize_with = "json::text")]
    pub reward: u128,
    /// Who gets how much of what it pays.
    pub shares: RewardShares,
}

/// What a committee has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Accepted {
    /// The block that deltas are applied to once it is published.
    pub master: ContentHash,
    /// The block that becomes the slot's head.
    pub serving: ContentHash,
    /// What it gains on unseen data, in micro-nats a token, as far as that is made known.
    pub gain: i64,
}

/// How a round has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundOutcome {
    /// Nobody has submitted anything.
    Empty,
    /// It was not evaluated: no committee could be had, or none agreed.
    Failed,
    /// The head stays, for this reason.
    Rejected(Refusal),
    /// Nobody has published in time what was accepted. The head stays.
    Lapsed(Accepted),
    /// The head has moved.
    Committed(Accepted),
}

/// How far a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundPhase {
    /// Learners submit deltas.
    Open {
        /// First block in which nobody can.
        until: BlockNumber,
    },
    /// A committee evaluates them.
    Evaluating,
    /// What it has accepted can be published.
    Accepted {
        /// What that is.
        accepted: Accepted,
        /// First block in which not only primaries can.
        primary_until: BlockNumber,
        /// First block in which nobody can.
        until: BlockNumber,
    },
    /// It is over.
    Over {
        /// How it has ended.
        outcome: RoundOutcome,
        /// Block in which it has.
        at: BlockNumber,
    },
}

/// A round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Round {
    /// The slot whose head is to change.
    pub slot: SlotId,
    /// The spec that the model is evaluated in.
    pub spec: SpecId,
    /// The slot's head when it was opened, in serving form.
    pub base: ContentHash,
    /// Its master, which the deltas are applied to.
    pub master: ContentHash,
    /// Its rules.
    pub terms: RoundTerms,
    /// Block in which it was opened.
    pub opened_at: BlockNumber,
    /// How far it is.
    pub phase: RoundPhase,
}

impl Round {
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, RoundPhase::Over { .. })
    }
}

/// A delta of a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delta {
    /// Who has trained it.
    pub learner: AccountId,
    /// What it says of it.
    pub header: DeltaHeader,
    /// Who takes it over, and has a share in what it is paid.
    pub aggregator: Option<AccountId>,
    /// What was found of it, once the round is decided.
    pub outcome: Option<DeltaOutcome>,
}

/// An aggregator that stands for election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Candidacy {
    /// How long it takes to publish once it is its turn, in the mean of recent rounds: in sixteenths of a block.
    pub delay: u32,
}

/// Why a round takes a delta no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lateness {
    /// The time for deltas has passed.
    #[codec(index = 0)]
    Closed,
    /// The delta changes another block than the round's base.
    #[codec(index = 1)]
    StaleBase,
}

impl std::fmt::Display for Lateness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Closed => "the time for deltas has passed",
            Self::StaleBase => "the delta changes another block than the round's base",
        })
    }
}

/// What is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// A delta that was merged.
    #[codec(index = 0)]
    Delta,
    /// The blocks of the new head.
    #[codec(index = 1)]
    Publication,
    /// Measuring.
    #[codec(index = 2)]
    Evaluation,
    /// Taking a learner's delta over.
    #[codec(index = 3)]
    Aggregation,
}

impl std::fmt::Display for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Delta => "delta",
            Self::Publication => "publication",
            Self::Evaluation => "evaluation",
            Self::Aggregation => "aggregation",
        })
    }
}
