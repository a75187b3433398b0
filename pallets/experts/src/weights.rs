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
    /// Cost of `open_round`.
    fn open_round() -> Weight;
    /// Cost of `submit_delta`.
    fn submit_delta() -> Weight;
    /// Cost of `publish`.
    fn publish(h: u32, d: u32, e: u32) -> Weight;
    /// Cost of `decide_round`.
    fn decide_round(d: u32, e: u32) -> Weight;
    /// Cost of `fail_round`.
    fn fail_round(d: u32) -> Weight;
    /// Cost of `agenda`.
    fn agenda() -> Weight;
    /// Cost of `agenda_block`.
    fn agenda_block() -> Weight;
    /// Cost of `end_empty_round`.
    fn end_empty_round() -> Weight;
    /// Cost of `start_evaluation`.
    fn start_evaluation() -> Weight;
    /// Cost of `lapse_round`.
    fn lapse_round() -> Weight;
    /// Cost of `sweep_rounds`.
    fn sweep_rounds(n: u32) -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // h: 128 to 65536.
    fn register(h: u32) -> Weight {
        Weight::from_parts(95_905_917, 0)
            .saturating_add(Weight::from_parts(16_055, 0).saturating_mul(h.into()))
            .saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }

    fn unregister() -> Weight {
        Weight::from_parts(79_668_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 4))
    }

    fn fill_head() -> Weight {
        Weight::from_parts(47_108_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    // n: 1 to 64.
    fn release_heads(n: u32) -> Weight {
        Weight::from_parts(64_250_000, 0)
            .saturating_add(Weight::from_parts(45_987_084, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(4, 2))
            .saturating_add(T::DbWeight::get().reads(3u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(4u64.saturating_mul(n.into())))
    }

    fn open_round() -> Weight {
        Weight::from_parts(60_301_000, 0).saturating_add(T::DbWeight::get().reads_writes(8, 5))
    }

    fn submit_delta() -> Weight {
        Weight::from_parts(127_369_000, 0).saturating_add(T::DbWeight::get().reads_writes(8, 4))
    }

    // h: 1024 to 131072.
    // d: 1 to 32.
    // e: 1 to 201.
    fn publish(h: u32, d: u32, e: u32) -> Weight {
        Weight::from_parts(360_594_470, 0)
            .saturating_add(Weight::from_parts(21_968, 0).saturating_mul(h.into()))
            .saturating_add(Weight::from_parts(60_035_789, 0).saturating_mul(d.into()))
            .saturating_add(Weight::from_parts(52_533_458, 0).saturating_mul(e.into()))
            .saturating_add(T::DbWeight::get().reads_writes(25, 17))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(d.into())))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(e.into())))
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(d.into())))
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(e.into())))
    }

    // d: 1 to 32.
    // e: 1 to 201.
    fn decide_round(d: u32, e: u32) -> Weight {
        Weight::from_parts(2_261_817_000, 0)
            .saturating_add(Weight::from_parts(25_235_611, 0).saturating_mul(d.into()))
            .saturating_add(Weight::from_parts(16_089_400, 0).saturating_mul(e.into()))
            .saturating_add(T::DbWeight::get().reads_writes(6, 6))
            .saturating_add(T::DbWeight::get().reads(3u64.saturating_mul(d.into())))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(e.into())))
            .saturating_add(T::DbWeight::get().writes(3u64.saturating_mul(d.into())))
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(e.into())))
    }

    // d: 1 to 32.
    fn fail_round(d: u32) -> Weight {
        Weight::from_parts(35_272_235, 0)
            .saturating_add(Weight::from_parts(43_720_200, 0).saturating_mul(d.into()))
            .saturating_add(T::DbWeight::get().reads_writes(4, 4))
            .saturating_add(T::DbWeight::get().reads(2u64.saturating_mul(d.into())))
            .saturating_add(T::DbWeight::get().writes(2u64.saturating_mul(d.into())))
    }

    fn agenda() -> Weight {
        Weight::from_parts(14_077_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }

    fn agenda_block() -> Weight {
        Weight::from_parts(12_237_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 0))
    }

    fn end_empty_round() -> Weight {
        Weight::from_parts(51_211_000, 0).saturating_add(T::DbWeight::get().reads_writes(7, 5))
    }

    fn start_evaluation() -> Weight {
        Weight::from_parts(134_849_000, 0).saturating_add(T::DbWeight::get().reads_writes(14, 7))
    }

    fn lapse_round() -> Weight {
        Weight::from_parts(71_090_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 5))
    }

    // n: 0 to 4.
    fn sweep_rounds(n: u32) -> Weight {
        Weight::from_parts(41_950_582, 0)
            .saturating_add(Weight::from_parts(11_136_968, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(6, 1))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(4u64.saturating_mul(n.into())))
    }
}
