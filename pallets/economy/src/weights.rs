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
    /// Cost of `fund_pool`.
    fn fund_pool() -> Weight;
    /// Cost of `spend`.
    fn spend() -> Weight;
    /// Cost of `pay`.
    fn pay() -> Weight;
    /// Cost of `split_fees`.
    fn split_fees() -> Weight;
    /// Cost of `split_slash`.
    fn split_slash() -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    fn fund_pool() -> Weight {
        Weight::from_parts(46_554_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }

    fn spend() -> Weight {
        Weight::from_parts(53_908_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }

    fn pay() -> Weight {
        Weight::from_parts(77_358_000, 0).saturating_add(T::DbWeight::get().reads_writes(7, 4))
    }

    fn split_fees() -> Weight {
        Weight::from_parts(48_713_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 2))
    }

    fn split_slash() -> Weight {
        Weight::from_parts(29_335_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }
}
