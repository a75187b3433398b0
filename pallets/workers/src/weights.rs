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
    fn register() -> Weight;
    /// Cost of `update`.
    fn update() -> Weight;
    /// Cost of `leave`.
    fn leave() -> Weight;
    /// Cost of `release_hardware`.
    fn release_hardware() -> Weight;
    /// Cost of `authorize_heartbeat`.
    fn authorize_heartbeat() -> Weight;
    /// Cost of `heartbeat`.
    fn heartbeat() -> Weight;
    /// Cost of `quarantine`.
    fn quarantine() -> Weight;
    /// Cost of `release`.
    fn release() -> Weight;
    /// Cost of `forget_standing`.
    fn forget_standing() -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    fn register() -> Weight {
        Weight::from_parts(159_740_000, 0).saturating_add(T::DbWeight::get().reads_writes(9, 8))
    }

    fn update() -> Weight {
        Weight::from_parts(79_700_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    fn leave() -> Weight {
        Weight::from_parts(35_265_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 6))
    }

    fn release_hardware() -> Weight {
        Weight::from_parts(54_398_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    fn authorize_heartbeat() -> Weight {
        Weight::from_parts(58_566_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 0))
    }

    fn heartbeat() -> Weight {
        Weight::from_parts(21_126_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }

    fn quarantine() -> Weight {
        Weight::from_parts(26_297_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 1))
    }

    fn release() -> Weight {
        Weight::from_parts(16_260_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }

    fn forget_standing() -> Weight {
        Weight::from_parts(13_733_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
}
