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
/// Hashing the key of a number and decoding it, in picoseconds.
const COUNT: u64 = 1_000_000;

/// What each call costs.
pub trait WeightInfo {
    /// Cost of `publish`.
    fn publish() -> Weight;
    /// Cost of `activate` of a spec with `l` layers.
    fn activate(l: u32) -> Weight;
    /// Cost of `deprecate`.
    fn deprecate() -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // Reads: the spec's own key, the parent, three blocks, the lineage's count. Writes: the spec, three blocks, the count.
    // Records: the spec hashed and stored, the parent, three blocks decoded twice and encoded.
    fn publish() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(12)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(6, 5))
    }

    // Reads: the spec, the list, every active spec, the count of filled slots of each layer. Writes: the spec, the list.
    fn activate(l: u32) -> Weight {
        let (active, layers) = (u64::from(T::MaxActive::get()), u64::from(l));
        let compute = RECORD.saturating_mul(active.saturating_add(2)).saturating_add(COUNT.saturating_mul(layers));
        let reads = active.saturating_add(2).saturating_add(layers);
        Weight::from_parts(CALL.saturating_add(compute), 0).saturating_add(T::DbWeight::get().reads_writes(reads, 2))
    }

    // Reads: the spec, the list, three blocks, the lineage's count. Writes: the same.
    fn deprecate() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(8)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(6, 6))
    }
}
