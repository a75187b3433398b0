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
/// Encoding or decoding one record of at most 400 bytes, in picoseconds.
const RECORD: u64 = 3_000_000;
/// Putting a balance on hold or releasing it, without storage, in picoseconds.
const HOLD: u64 = 15_000_000;
/// Hashing a header's byte (about 2 ns in the runtime), decoding it, and sorting its tensors' names: a tensor takes at
/// least 20 bytes, about 300 ns to decode and as much to sort.
const HEADER_BYTE: u64 = 35_000;

/// What each call costs.
pub trait WeightInfo {
    /// Cost of `register` with a header of `h` bytes.
    fn register(h: u32) -> Weight;
    /// Cost of `unregister`.
    fn unregister() -> Weight;
    /// Cost of `fill_head`.
    fn fill_head() -> Weight;
    /// Cost of `release_heads` that empties `n` slots.
    fn release_heads(n: u32) -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // Reads: the block and its registration, its master and that one's registration, the owner's account and holds.
    // Writes: all but the master itself.
    fn register(h: u32) -> Weight {
        let header = HEADER_BYTE.saturating_mul(u64::from(h));
        Weight::from_parts(CALL.saturating_add(HOLD).saturating_add(RECORD.saturating_mul(5)).saturating_add(header), 0)
            .saturating_add(T::DbWeight::get().reads_writes(6, 5))
    }

    // Reads: the block and its registration, the master's registration, the owner's account and holds. Writes: the same.
    fn unregister() -> Weight {
        Weight::from_parts(CALL.saturating_add(HOLD).saturating_add(RECORD.saturating_mul(5)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(5, 5))
    }

    // Reads: the spec, the layer's count, the block twice. Writes: the block, the slot, the count.
    fn fill_head() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(6)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(4, 3))
    }

    // Reads: the lineage's count of specs; for each slot it and its block, and its layer's count and the key of the next
    // one, should each be of another layer. Writes: slot, block and count.
    fn release_heads(n: u32) -> Weight {
        let n = u64::from(n);
        let compute = CALL.saturating_add(RECORD.saturating_mul(n.saturating_mul(4)));
        let (reads, writes) = (n.saturating_mul(4).saturating_add(3), n.saturating_mul(3));
        Weight::from_parts(compute, 0).saturating_add(T::DbWeight::get().reads_writes(reads, writes))
    }
}
