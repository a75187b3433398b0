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
    /// Cost of `change`.
    fn change(n: u32) -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // n: 1 to 32.
    fn change(n: u32) -> Weight {
        Weight::from_parts(18_529_704, 0)
            .saturating_add(Weight::from_parts(248_768, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }
}
