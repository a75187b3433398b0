//! What the pallet keeps.

use crate::{Balance, EraIndex};
use blyan_primitives::pact::Ppm;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::*;
use scale_info::TypeInfo;
use sp_runtime::{Perbill, Percent};

/// Delegations in a page of an exposure, and the most that one step in a block deals with.
pub const PAGE: u32 = 64;

/// What money is bonded as.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub enum BondKind {
    /// A validator's own.
    #[codec(index = 0)]
    Validator,
    /// Delegated to validators.
    #[codec(index = 1)]
    Delegation,
    /// A worker's.
    #[codec(index = 2)]
    Worker,
}

/// A part of a bond on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Chunk {
    /// How much.
    pub amount: Balance,
    /// First era in which it can be withdrawn.
    pub due: EraIndex,
}

/// Whether a candidate wants to be elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Standing {
    /// It does.
    #[codec(index = 0)]
    Active,
    /// It does not, or must not: it has said so, equivocated, or lost too much of its own bond.
    #[codec(index = 1)]
    Chilled,
}

/// Who wants to validate.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Candidate {
    /// Its own bond.
    pub own: Balance,
    /// What is delegated to it.
    pub delegated: Balance,
    /// By how many.
    pub delegators: u32,
    /// What it keeps of its delegators' rewards, from the next election on.
    pub commission: Ppm,
    /// Whether it wants to be elected.
    pub standing: Standing,
}

impl Candidate {
    /// All that is at stake with it.
    pub fn stake(&self) -> Balance {
        // Both are parts of what is issued.
        self.own.saturating_add(self.delegated)
    }
}

/// What an account has delegated to a validator.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Delegation {
    /// How much.
    pub amount: Balance,
    /// How much of what it earns is added to it.
    pub auto_compound: Percent,
    /// The era for which a change had it copied before its turn, or which had begun to be copied when it was made.
    pub copied: Option<EraIndex>,
}

/// What a worker has at stake.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub struct WorkerBond {
    /// What counts, without what is on its way back.
    pub active: Balance,
    /// What announced slashes are going to take. So much of the bond stays, even when it is due.
    pub announced: Balance,
}

/// What a validator was exposed with when it was elected.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Exposure {
    /// Its own bond.
    pub own: Balance,
    /// Its own bond and what was delegated to it.
    pub total: Balance,
    /// What it keeps of its delegators' rewards.
    pub commission: Ppm,
    /// How many delegated to it.
    pub delegators: u32,
    /// How many of them are in the pages.
    pub copied: u32,
}

impl Exposure {
    /// Whether every delegation is in the pages.
    pub fn is_complete(&self) -> bool {
        self.copied >= self.delegators
    }

    /// How many pages there are.
    pub fn pages(&self) -> u32 {
        self.copied.div_ceil(PAGE)
    }
}

/// A delegation in an exposure.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Share<AccountId> {
    /// Whose it is.
    pub who: AccountId,
    /// How much.
    pub amount: Balance,
    /// How much of what it earns is added to it.
    pub auto_compound: Percent,
}

/// How far delegations are copied into exposures.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Copying<AccountId> {
    /// The era.
    pub era: EraIndex,
    /// The validator whose turn it is. Nobody's before the first.
    pub validator: Option<AccountId>,
    /// The last of its delegators that had its turn.
    pub delegator: Option<AccountId>,
}

/// What an era has earned.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct EraPayout {
    /// What all its blocks together are paid.
    pub reward: Balance,
    /// How many blocks that are.
    pub blocks: u32,
    /// What is not paid yet.
    pub left: Balance,
}

/// A validator whose delegators are being paid.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Paying<AccountId> {
    /// The validator.
    pub validator: AccountId,
    /// What its stake has earned, without its commission.
    pub earned: Balance,
    /// The next page of its exposure.
    pub page: u32,
}

/// What somebody is slashed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Charge {
    /// For an offence as a validator: it and its delegators lose a part of what they were exposed with.
    #[codec(index = 0)]
    Validator {
        /// The era of the offence.
        era: EraIndex,
        /// How much of the exposure, on top of what was announced for that era before.
        fraction: Perbill,
    },
    /// For what it did as a worker.
    #[codec(index = 1)]
    Worker {
        /// How much.
        amount: Balance,
    },
}

/// A slash that is announced.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct PendingSlash<AccountId> {
    /// Who is slashed.
    pub who: AccountId,
    /// What for.
    pub charge: Charge,
    /// First era in which it is applied.
    pub apply_at: EraIndex,
    /// Steps taken: the first takes from the offender itself, each other from a page of its delegators.
    pub steps: u32,
    /// What was taken so far.
    pub taken: Balance,
}
