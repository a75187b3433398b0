//! What the registry keeps of a block, of who registered it, of a slot, and of a round.

use blyan_primitives::{
    block::BlockRecord,
    ids::{ContentHash, SlotId, SpecId},
    learning::{DeltaHeader, DeltaOutcome},
    pact::{Pact, Ppm},
    pol::{Refusal, RewardShares, MAX_DELTAS},
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::*;
use scale_info::TypeInfo;
use sp_runtime::traits::Saturating;

/// An amount of BLY, in its smallest unit: what the Pact counts in.
pub type Balance = u128;

/// A registered block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct BlockEntry<BlockNumber> {
    /// What its header says, and the lineage that the chain vouches for: that of a block of the genesis model. What accounts
    /// say of its lineage is in their [`Registration`]s.
    pub record: BlockRecord,
    /// Whether it belongs to the genesis model, and stays.
    pub genesis: bool,
    /// Accounts that have registered it.
    pub registrants: u32,
    /// Slots that hold it or whose head was derived from it, specs that name it, and serving forms of the genesis model
    /// derived from it.
    pub uses: u32,
    /// Block in which it was registered first.
    pub registered_at: BlockNumber,
}

/// An account's word for a block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Registration<Balance, BlockNumber> {
    /// For a serving form: the master from which, so the account says, it was derived.
    pub master: Option<ContentHash>,
    /// Hash of the training manifest that, so the account says, led to these weights.
    pub podl: Option<[u8; 32]>,
    /// What is held from the account for it.
    pub deposit: Balance,
    /// The account's other registrations that name this block as their master.
    pub derived: u32,
    /// Block in which the account registered it.
    pub registered_at: BlockNumber,
}

/// The block that a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Head<BlockNumber> {
    /// The expert's serving form.
    pub block: ContentHash,
    /// Block since which the slot holds it.
    pub since: BlockNumber,
    /// How often the slot's head has moved.
    pub moves: u32,
}

/// The Pact's rules for a round, as they were when it was opened: a change of the Pact does not reach into open rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Terms {
    /// Most deltas.
    pub max_deltas: u32,
    /// Fewest items that a delta is said to be trained on: as many as evaluators draw of them.
    pub own_items: u32,
    /// What is held for each delta.
    pub bond: Balance,
    /// Share of it that is lost with a delta that does not help, or that nobody could fetch.
    pub useless_fee: Ppm,
    /// Blocks for which primaries alone can publish what was accepted, in turns, and everybody after that.
    pub publication: u32,
    /// The most that the round pays.
    pub reward: Balance,
    /// Who gets how much of what it pays.
    pub shares: RewardShares,
}

impl Terms {
    /// Terms of a round that is opened now.
    pub fn of(pact: &Pact) -> Self {
        Self {
            max_deltas: pact.rounds.max_deltas.min(MAX_DELTAS),
            own_items: pact.rounds.own_items,
            bond: pact.rounds.delta_bond,
            useless_fee: pact.rounds.useless_fee,
            publication: pact.rounds.publication,
            reward: pact.rounds.reward,
            shares: RewardShares::of(&pact.learning),
        }
    }
}

/// What a committee has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Accepted {
    /// The block that deltas are applied to once it is published.
    pub master: ContentHash,
    /// The block that becomes the slot's head.
    pub serving: ContentHash,
    /// What it gains on unseen data, in micro-nats a token, as far as that is made known.
    pub gain: i64,
}

/// How a round has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Outcome {
    /// Nobody has submitted anything.
    #[codec(index = 0)]
    Empty,
    /// It was not evaluated: no committee could be had, or none agreed.
    #[codec(index = 1)]
    Failed,
    /// The head stays, for this reason.
    #[codec(index = 2)]
    Rejected(Refusal),
    /// Nobody has published in time what was accepted. The head stays.
    #[codec(index = 3)]
    Lapsed(Accepted),
    /// The head has moved.
    #[codec(index = 4)]
    Committed(Accepted),
}

/// How far a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Phase<BlockNumber> {
    /// Learners submit deltas.
    #[codec(index = 0)]
    Open {
        /// First block in which nobody can.
        until: BlockNumber,
    },
    /// A committee evaluates them.
    #[codec(index = 1)]
    Evaluating,
    /// What it has accepted can be published.
    #[codec(index = 2)]
    Accepted {
        /// What that is.
        accepted: Accepted,
        /// First block in which not only primaries can.
        primary_until: BlockNumber,
        /// First block in which nobody can.
        until: BlockNumber,
    },
    /// It is over.
    #[codec(index = 3)]
    Over {
        /// How it has ended.
        outcome: Outcome,
        /// Block in which it has.
        at: BlockNumber,
    },
}

/// A round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Round<BlockNumber> {
    /// The slot whose head is to change.
    pub slot: SlotId,
    /// The spec that the model is evaluated in.
    pub spec: SpecId,
    /// The slot's head, in serving form.
    pub base: ContentHash,
    /// Its master, which the deltas are applied to.
    pub master: ContentHash,
    /// Its rules.
    pub terms: Terms,
    /// Block in which it was opened.
    pub opened_at: BlockNumber,
    /// How far it is.
    pub phase: Phase<BlockNumber>,
}

impl<BlockNumber: Copy + Saturating + From<u32>> Round<BlockNumber> {
    /// First block of the two windows in which what was accepted can be published, and the length of each.
    pub fn publication(&self) -> Option<(BlockNumber, u32)> {
        let Phase::Accepted { primary_until, .. } = self.phase else { return None };
        let window = self.terms.publication.max(1);
        Some((primary_until.saturating_sub(window.into()), window))
    }
}

impl<BlockNumber: Copy> Round<BlockNumber> {
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over { .. })
    }

    /// Whether the bonds of its deltas are held: it is not decided what they are worth.
    pub fn holds_bonds(&self) -> bool {
        matches!(self.phase, Phase::Open { .. } | Phase::Evaluating)
    }

    /// The block that it waits for, if it waits for one.
    pub fn due(&self) -> Option<BlockNumber> {
        match self.phase {
            Phase::Open { until } | Phase::Accepted { until, .. } => Some(until),
            Phase::Evaluating | Phase::Over { .. } => None,
        }
    }
}

/// An aggregator that stands for election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Candidacy {
    /// How long it takes to publish once it is its turn, in the mean of recent rounds: in parts of a block,
    /// [`DELAY_UNITS`](crate::DELAY_UNITS).
    pub delay: u32,
}

/// A delta of a round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Delta<AccountId> {
    /// Who has trained it.
    pub learner: AccountId,
    /// What it says of it.
    pub header: DeltaHeader,
    /// The aggregator that it is handed over to, which has a part in what it is paid.
    pub aggregator: Option<AccountId>,
    /// What was found of it, once the round is decided.
    pub outcome: Option<DeltaOutcome>,
}

/// Why a round takes a delta no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Lateness {
    /// The time for deltas has passed.
    #[codec(index = 0)]
    Closed,
    /// The delta changes another block than the round's base.
    #[codec(index = 1)]
    StaleBase,
}

/// What is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
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
