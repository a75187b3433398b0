//! What the calls and handlers of this pallet cost.
//!
//! Derived by hand from the storage each of them touches, priced by the runtime's `DbWeight`, plus computing time on the
//! reference machine; to be replaced by the output of the benchmarks when they run on it. Proof sizes are zero: a chain of
//! its own carries no proofs of its storage.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};
use polkadot_sdk::*;

/// Decoding a call, checking its origin and depositing an event, in picoseconds.
const CALL: u64 = 15_000_000;
/// Moving money from one account, or to one, with the event that Balances deposits, without storage, in picoseconds.
const MOVE: u64 = 12_000_000;
/// Decoding the Pact, in picoseconds.
const PACT: u64 = 5_000_000;

/// What each call and handler costs.
pub trait WeightInfo {
    /// Cost of `fund_pool`.
    fn fund_pool() -> Weight;
    /// Cost of `spend`.
    fn spend() -> Weight;
    /// Cost of one payout, for hooks that pay.
    fn pay() -> Weight;
    /// Cost of splitting what a block has collected.
    fn split_fees() -> Weight;
    /// Cost of splitting a slash, for hooks that slash.
    fn split_slash() -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // Reads: the giver's account, the pool's. Writes: the same.
    fn fund_pool() -> Weight {
        Weight::from_parts(CALL.saturating_add(MOVE.saturating_mul(2)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }

    // Reads: the treasury's account, the receiver's. Writes: the same.
    fn spend() -> Weight {
        Weight::from_parts(CALL.saturating_add(MOVE.saturating_mul(2)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }

    // Reads: the pool's account, the receiver's, Pact, minted, allocated, spent, issuance, era. Writes: the accounts, minted,
    // spent, issuance.
    fn pay() -> Weight {
        Weight::from_parts(CALL.saturating_add(PACT).saturating_add(MOVE.saturating_mul(3)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(8, 5))
    }

    // Reads: Pact, the treasury's account, the author's, issuance. Writes: the accounts, issuance.
    fn split_fees() -> Weight {
        Weight::from_parts(CALL.saturating_add(PACT).saturating_add(MOVE.saturating_mul(3)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(4, 3))
    }

    // Reads: Pact, the treasury's account, issuance. Writes: the account, issuance.
    fn split_slash() -> Weight {
        Weight::from_parts(CALL.saturating_add(PACT).saturating_add(MOVE.saturating_mul(2)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(3, 2))
    }
}
