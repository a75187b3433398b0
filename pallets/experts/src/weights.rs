//! What the calls and hooks of this pallet cost, measured.
//!
//! Written by `scripts/weights` on 2026-11-28, on Intel(R) Xeon(R) Processor,
//! with 50 steps and 20 repeats: change the benchmarks, not this file. Storage is priced by the
//! runtime's `DbWeight`. Proof sizes are zero: a chain of its own carries no proofs of its storage.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};
use polkadot_sdk::*;

/// What each call and hook costs.
pub trait WeightInfo {
    /// Cost of `register`.
    fn register(h: u32) -> Weight;
    /// Cost of `unregister`.
    fn unregister() -> Weight;
    /// Cost of `fill_head`.
    fn fill_head() -> Weight;
    /// Cost of `release_heads`.
    fn release_heads(n: u32) -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // h: 128 to 65536.
    fn register(h: u32) -> Weight {
        Weight::from_parts(89_865_963, 0)
            .saturating_add(Weight::from_parts(15_638, 0).saturating_mul(h.into()))
            .saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }

    fn unregister() -> Weight {
        Weight::from_parts(75_673_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 4))
    }

    fn fill_head() -> Weight {
        Weight::from_parts(40_131_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    // n: 1 to 64.
    fn release_heads(n: u32) -> Weight {
        Weight::from_parts(41_537_000, 0)
            .saturating_add(Weight::from_parts(27_658_022, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(3, 1))
            .saturating_add(T::DbWeight::get().reads(2u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(2u64.saturating_mul(n.into())))
    }
}
