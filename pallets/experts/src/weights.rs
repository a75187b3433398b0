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
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // Reads: the block's own key, its master, the owner's account and holds. Writes: the same.
    fn register(h: u32) -> Weight {
        let header = HEADER_BYTE.saturating_mul(u64::from(h));
        Weight::from_parts(CALL.saturating_add(HOLD).saturating_add(RECORD.saturating_mul(3)).saturating_add(header), 0)
            .saturating_add(T::DbWeight::get().reads_writes(4, 4))
    }

    // Reads: the block, its master, the owner's account and holds. Writes: the same.
    fn unregister() -> Weight {
        Weight::from_parts(CALL.saturating_add(HOLD).saturating_add(RECORD.saturating_mul(3)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(4, 4))
    }
}
