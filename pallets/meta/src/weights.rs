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
/// Encoding, decoding and hashing one record of at most 400 bytes, in picoseconds.
const RECORD: u64 = 3_000_000;

/// What each call costs.
pub trait WeightInfo {
    /// Cost of `publish`.
    fn publish() -> Weight;
    /// Cost of `activate`.
    fn activate() -> Weight;
    /// Cost of `deprecate`.
    fn deprecate() -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // Reads: the spec's own key, the parent, three blocks. Writes: the spec, three blocks.
    // Records: the spec hashed and stored, the parent, three blocks decoded twice and encoded.
    fn publish() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(12)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }

    // Reads: the spec, the list, every active spec. Writes: the spec, the list.
    fn activate() -> Weight {
        let active = u64::from(T::MaxActive::get());
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(active.saturating_add(2))), 0)
            .saturating_add(T::DbWeight::get().reads_writes(active.saturating_add(2), 2))
    }

    // Reads: the spec, the list, three blocks. Writes: the same.
    fn deprecate() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(8)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(5, 5))
    }
}
