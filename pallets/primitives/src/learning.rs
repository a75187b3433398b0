//! Rounds: how a slot's expert is changed by what strangers have trained.
//!
//! ```text
//! open ──► evaluate ──► accepted ──► committed        the head has moved
//!   │          │            └──────► lapsed           nobody has published what was accepted
//!   │          ├──────────► rejected                  the head stays
//!   │          └──────────► failed                    no committee could be had
//!   └─────────────────────► empty                     nobody has submitted anything
//! ```
//!
//! While a round is *open*, learners submit the headers of their deltas on the slot's head, each with a bond. Then a committee
//! evaluates them, merges those that are good enough by what each gains, and measures the result. What is *accepted* is named
//! by two hashes, which follow from the head and the deltas to the last bit: whoever makes these blocks can publish them, the
//! tile's primary first. The slot's head moves with that.

use crate::{
    ids::{ContentHash, SlotId, SpecId},
    pact::Ppm,
    pol::{Candidate, Refusal},
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Names a round.
pub type RoundId = u32;

/// How a delta is stored.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Codec {
    /// Factors of a product of two thin matrices.
    #[codec(index = 0)]
    LowRank,
    /// The largest elements of each chunk.
    #[codec(index = 1)]
    Sparse,
    /// Every element.
    #[codec(index = 2)]
    Dense,
}

/// Items of a registered block of [items](crate::block::BlockKind::Items).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ItemRange {
    /// The block.
    pub block: ContentHash,
    /// The first of them.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// What a learner says of its delta.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DeltaHeader {
    /// The head that it changes, in serving form.
    pub base: ContentHash,
    /// The block that has the delta, and names its learner: with another learner it is malformed.
    pub block: ContentHash,
    /// What the head becomes with this delta alone, in serving form.
    pub serving: ContentHash,
    /// Bytes of the delta's data.
    pub size: u32,
    /// How they are stored.
    pub codec: Codec,
    /// Hash of the manifest: data, order, seed and hyper-parameters that anybody can train it anew from.
    pub manifest: [u8; 32],
    /// What it was trained on.
    pub data: ItemRange,
}

/// A round, for who evaluates it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct RoundInfo {
    /// The slot whose head is to change.
    pub slot: SlotId,
    /// The live spec of the slot's lineage that the model is evaluated in.
    pub spec: SpecId,
    /// The slot's head, in serving form.
    pub base: ContentHash,
    /// Its master.
    pub master: ContentHash,
    /// Deltas that were submitted.
    pub deltas: u32,
}

/// A delta, for who evaluates it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct DeltaInfo<AccountId> {
    /// Who has trained it.
    pub learner: AccountId,
    /// What it says of it.
    pub header: DeltaHeader,
}

/// What was found of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum DeltaOutcome {
    /// It is merged, and counts for so many parts of 2^16 of what all of them gain.
    #[codec(index = 0)]
    Merged(u32),
    /// It is not.
    #[codec(index = 1)]
    Refused(Refusal),
    /// The committee could not fetch it in time.
    #[codec(index = 2)]
    Withheld,
}

/// What an outcome means for a delta's bond and for its learner's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// What is lost of the bond.
    pub lost: u128,
    /// Whether the submission counts as a success; nothing when it counts as neither.
    pub success: Option<bool>,
}

impl DeltaOutcome {
    /// What follows for a delta with such a bond, of which `fee` is the share that honest work without use loses.
    pub fn consequence(self, bond: u128, fee: Ppm) -> Consequence {
        let fee = fee.of(bond);
        match self {
            Self::Merged(_) => Consequence { lost: 0, success: Some(true) },
            // Honest work that did not help. Why nothing at all is merged is never said of a single delta.
            Self::Refused(Refusal::NoGain | Refusal::Unsure | Refusal::NothingMerged) => {
                Consequence { lost: fee, success: Some(false) }
            },
            Self::Refused(Refusal::Malformed | Refusal::Copied | Refusal::Harmful | Refusal::Leaked) => {
                Consequence { lost: bond, success: Some(false) }
            },
            // The work of a committee that had nothing to measure is paid. Whether the learner was away on purpose nobody knows.
            Self::Withheld => Consequence { lost: fee, success: None },
        }
    }
}

/// What came of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Verdict<AccountId> {
    /// Of each delta, in the order in which they were submitted.
    pub deltas: Vec<DeltaOutcome>,
    /// What becomes the head, or why it stays.
    pub candidate: Result<Candidate, Refusal>,
    /// Gain of the candidate on unseen data, in micro-nats a token, as far as it is made known.
    pub gain: i64,
    /// Members of the committee whose reveal this is, and the votes of each.
    pub evaluators: Vec<(AccountId, u32)>,
}

/// Who keeps rounds.
pub trait Rounds<AccountId> {
    /// A round that is being evaluated.
    fn round(id: RoundId) -> Option<RoundInfo>;

    /// A delta of it.
    fn delta(id: RoundId, index: u32) -> Option<DeltaInfo<AccountId>>;

    /// The block that a slot held at some height; `None` when it held none, or that is too long ago.
    fn head_at(slot: &SlotId, height: u32) -> Option<ContentHash>;

    /// The evaluation has ended with a verdict.
    fn decided(id: RoundId, verdict: Verdict<AccountId>);

    /// The evaluation has ended without one: no committee could be had, or none agreed.
    fn failed(id: RoundId);
}

/// Who has rounds evaluated.
pub trait Evaluations {
    /// Why a round is not evaluated.
    type Error;

    /// Has a round evaluated that takes no more deltas. [`Rounds::decided`] or [`Rounds::failed`] is called once, later.
    fn start(id: RoundId) -> Result<(), Self::Error>;

    /// What is known of a round's evaluation is not asked for any more.
    fn forget(id: RoundId);
}

/// Who knows blocks of items.
pub trait ItemSets {
    /// How many items a registered training set has.
    fn training_items(block: ContentHash) -> Option<u32>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_outcome_costs_is_nothing_a_fee_or_the_bond() {
        let of = |outcome: DeltaOutcome| {
            let Consequence { lost, success } = outcome.consequence(1_000, Ppm(100_000));
            (lost, success)
        };
        assert_eq!(of(DeltaOutcome::Merged(1)), (0, Some(true)));
        assert_eq!(of(DeltaOutcome::Withheld), (100, None));
        for refusal in [Refusal::NoGain, Refusal::Unsure, Refusal::NothingMerged] {
            assert_eq!(of(DeltaOutcome::Refused(refusal)), (100, Some(false)));
        }
        for refusal in [Refusal::Malformed, Refusal::Copied, Refusal::Harmful, Refusal::Leaked] {
            assert_eq!(of(DeltaOutcome::Refused(refusal)), (1_000, Some(false)));
        }
    }
}
