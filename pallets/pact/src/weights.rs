//! What the calls of this pallet cost.
//!
//! Derived by hand from the storage each call touches, priced by the runtime's `DbWeight`, plus computing time on the
//! reference machine; to be replaced by the output of the benchmarks when they run on it. Proof sizes are zero: a chain of
//! its own carries no proofs of its storage.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};
use polkadot_sdk::*;

/// Decoding a call, checking its origin and depositing an event, in picoseconds.
const CALL: u64 = 15_000_000;
/// Encoding or decoding a Pact, checking or hashing it, in picoseconds.
const PACT: u64 = 5_000_000;
/// Applying one change, comparing it with the others, and telling it, in picoseconds.
const CHANGE: u64 = 2_000_000;

/// What each call costs.
pub trait WeightInfo {
    /// Cost of `change` with `n` parameters.
    fn change(n: u32) -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // Reads: network, Pact, revision. Writes: Pact, hash, revision. The Pact is decoded, checked, hashed and encoded.
    fn change(n: u32) -> Weight {
        let compute = CALL.saturating_add(PACT.saturating_mul(4)).saturating_add(CHANGE.saturating_mul(n.into()));
        Weight::from_parts(compute, 0).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }
}
