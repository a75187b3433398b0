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
    /// Cost of `open`.
    fn open() -> Weight;
    /// Cost of `top_up`.
    fn top_up() -> Weight;
    /// Cost of `redeem`.
    fn redeem() -> Weight;
    /// Cost of `request_close`.
    fn request_close() -> Weight;
    /// Cost of `close`.
    fn close() -> Weight;
    /// Cost of `authorize_anchor`.
    fn authorize_anchor() -> Weight;
    /// Cost of `anchor`.
    fn anchor() -> Weight;
    /// Cost of `prune`.
    fn prune(n: u32) -> Weight;
    /// Cost of `sweep_channels`.
    fn sweep_channels(n: u32) -> Weight;
    /// Cost of `sweep_anchors`.
    fn sweep_anchors(n: u32) -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    fn open() -> Weight {
        Weight::from_parts(69_744_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 4))
    }

    fn top_up() -> Weight {
        Weight::from_parts(68_296_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }

    fn redeem() -> Weight {
        Weight::from_parts(159_824_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }

    fn request_close() -> Weight {
        Weight::from_parts(19_267_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }

    fn close() -> Weight {
        Weight::from_parts(56_425_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 3))
    }

    fn authorize_anchor() -> Weight {
        Weight::from_parts(85_537_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 0))
    }

    fn anchor() -> Weight {
        Weight::from_parts(93_193_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 5))
    }

    // n: 1 to 64.
    fn prune(n: u32) -> Weight {
        Weight::from_parts(61_892_706, 0)
            .saturating_add(Weight::from_parts(6_446_427, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(3, 3))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(n.into())))
    }

    // n: 0 to 4.
    fn sweep_channels(n: u32) -> Weight {
        Weight::from_parts(42_555_977, 0)
            .saturating_add(Weight::from_parts(52_074_137, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(6, 1))
            .saturating_add(T::DbWeight::get().reads(2u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(4u64.saturating_mul(n.into())))
    }

    // n: 0 to 64.
    fn sweep_anchors(n: u32) -> Weight {
        Weight::from_parts(74_403_212, 0)
            .saturating_add(Weight::from_parts(6_483_970, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(6, 4))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(n.into())))
    }
}
