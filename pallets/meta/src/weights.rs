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
    /// Cost of `publish`.
    fn publish() -> Weight;
    /// Cost of `activate`.
    fn activate(l: u32) -> Weight;
    /// Cost of `deprecate`.
    fn deprecate() -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    fn publish() -> Weight {
        Weight::from_parts(57_972_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 5))
    }

    // l: 1 to 512.
    fn activate(l: u32) -> Weight {
        Weight::from_parts(35_197_711, 0)
            .saturating_add(Weight::from_parts(3_891_548, 0).saturating_mul(l.into()))
            .saturating_add(T::DbWeight::get().reads_writes(9, 2))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(l.into())))
    }

    fn deprecate() -> Weight {
        Weight::from_parts(54_845_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 6))
    }
}
