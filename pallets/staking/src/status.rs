//! What there is to know of validators, bonds and eras, as views give it.

use crate::{Balance, Chunk, EraIndex, Standing};
use alloc::vec::Vec;
use blyan_primitives::pact::Ppm;
use codec::{Decode, Encode};
use polkadot_sdk::*;
use scale_info::TypeInfo;
use sp_runtime::Percent;

/// A candidate as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct ValidatorStatus {
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
    /// Whether it has the session keys that it needs to be elected.
    pub has_keys: bool,
    /// Whether it was elected for the present era.
    pub elected: bool,
    /// Whether it was elected for the last era for which anybody was.
    pub elected_next: bool,
    /// Blocks that it has written in the present era.
    pub blocks: u32,
    /// How many slashes are announced against it.
    pub slashes: u32,
}

/// A delegation as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct DelegationStatus<AccountId> {
    /// To whom.
    pub validator: AccountId,
    /// How much.
    pub amount: Balance,
    /// How much of what it earns is added to it.
    pub auto_compound: Percent,
}

/// A bond of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct BondStatus {
    /// What counts as bonded.
    pub active: Balance,
    /// What is on its way back, the next due first.
    pub unbonding: Vec<Chunk>,
}

/// All that an account has bonded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Ledger {
    /// As a validator.
    pub validator: BondStatus,
    /// Delegated.
    pub delegation: BondStatus,
    /// As a worker.
    pub worker: BondStatus,
    /// What it is still owed for eras that are over, for its own stake, and through the validators that it delegates to now.
    pub unpaid: Balance,
}

/// The present era.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct EraStatus {
    /// Its number.
    pub active: EraIndex,
    /// The last era whose validators are elected.
    pub planned: EraIndex,
    /// Its first session.
    pub first_session: u32,
    /// Its number of sessions.
    pub sessions: u32,
    /// Blocks that validators have written in it.
    pub blocks: u32,
    /// The first era that is not wholly paid.
    pub next_paid: EraIndex,
    /// What waits to be paid.
    pub owed: Balance,
    /// First era in which what is unbonded now can be withdrawn.
    pub due: EraIndex,
    /// Sessions after which an equivocation can no longer be reported.
    pub reportable_sessions: u32,
}
