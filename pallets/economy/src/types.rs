//! What there is to know of pools, treasury and issuance.

use crate::Balance;
use blyan_primitives::traits::Pool;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// What was minted for a pool in an era.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub struct Spending {
    /// The era.
    pub era: u32,
    /// How much.
    pub amount: Balance,
}

/// A pool as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct PoolStatus<AccountId> {
    /// Which one.
    pub pool: Pool,
    /// The account that holds what it was given.
    pub account: AccountId,
    /// What is in that account.
    pub balance: Balance,
    /// What can be minted for it in the present era, what was minted included.
    pub budget: Balance,
    /// What was minted for it in the present era.
    pub spent: Balance,
    /// What it can still pay in the present era, out of its account and minted.
    pub available: Balance,
}

/// The treasury as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct TreasuryStatus<AccountId> {
    /// Its account.
    pub account: AccountId,
    /// What is in that account.
    pub balance: Balance,
    /// What can be spent: all but what the account needs to exist.
    pub available: Balance,
}

/// How much money there is, was, and can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Issuance {
    /// The most that is ever minted.
    pub cap: Balance,
    /// What there was at genesis.
    pub allocated: Balance,
    /// What was ever minted, with what there was at genesis.
    pub minted: Balance,
    /// What there is.
    pub issuance: Balance,
    /// What was burnt.
    pub burnt: Balance,
    /// How often the emission was halved.
    pub halvings: u32,
    /// The present era.
    pub era: u32,
    /// The budget of all pools together in the present era.
    pub era_budget: Balance,
}
