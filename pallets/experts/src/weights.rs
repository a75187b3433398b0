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
    fn open_round(n: u32) -> Weight;
    /// Cost of `submit_delta`.
    fn submit_delta() -> Weight;
    /// Cost of `publish`.
    fn publish(h: u32, d: u32, e: u32) -> Weight;
    /// Cost of `stand`.
    fn stand(n: u32) -> Weight;
    /// Cost of `stand_down`.
    fn stand_down() -> Weight;
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
        Weight::from_parts(64_585_207, 0)
            .saturating_add(Weight::from_parts(14_987, 0).saturating_mul(h.into()))
            .saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }

    fn unregister() -> Weight {
        Weight::from_parts(58_133_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 4))
    }

    fn fill_head() -> Weight {
        Weight::from_parts(32_328_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    // n: 1 to 64.
    fn release_heads(n: u32) -> Weight {
        Weight::from_parts(46_515_000, 0)
            .saturating_add(Weight::from_parts(31_471_149, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(4, 2))
            .saturating_add(T::DbWeight::get().reads(3u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(4u64.saturating_mul(n.into())))
    }

    // n: 0 to 64.
    fn open_round(n: u32) -> Weight {
        Weight::from_parts(64_116_029, 0)
            .saturating_add(Weight::from_parts(21_260_164, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(10, 6))
            .saturating_add(T::DbWeight::get().reads(5u64.saturating_mul(n.into())))
    }

    fn submit_delta() -> Weight {
        Weight::from_parts(120_147_000, 0).saturating_add(T::DbWeight::get().reads_writes(9, 4))
    }

    // h: 1024 to 131072.
    // d: 1 to 32.
    // e: 1 to 201.
    fn publish(h: u32, d: u32, e: u32) -> Weight {
        Weight::from_parts(5_112_205_000, 0)
            .saturating_add(Weight::from_parts(1_842, 0).saturating_mul(h.into()))
            .saturating_add(Weight::from_parts(20_066_105, 0).saturating_mul(d.into()))
            .saturating_add(Weight::from_parts(33_192_500, 0).saturating_mul(e.into()))
            .saturating_add(T::DbWeight::get().reads_writes(34, 21))
            .saturating_add(T::DbWeight::get().reads(2u64.saturating_mul(d.into())))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(e.into())))
            .saturating_add(T::DbWeight::get().writes(2u64.saturating_mul(d.into())))
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(e.into())))
    }

    // n: 0 to 64.
    fn stand(n: u32) -> Weight {
        Weight::from_parts(42_083_317, 0)
            .saturating_add(Weight::from_parts(9_684_013, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(6, 3))
            .saturating_add(T::DbWeight::get().reads(3u64.saturating_mul(n.into())))
    }

    fn stand_down() -> Weight {
        Weight::from_parts(27_717_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 2))
    }

    // d: 1 to 32.
    // e: 1 to 201.
    fn decide_round(d: u32, e: u32) -> Weight {
        Weight::from_parts(1_666_611_000, 0)
            .saturating_add(Weight::from_parts(18_864_935, 0).saturating_mul(d.into()))
            .saturating_add(Weight::from_parts(12_597_904, 0).saturating_mul(e.into()))
            .saturating_add(T::DbWeight::get().reads_writes(6, 7))
            .saturating_add(T::DbWeight::get().reads(3u64.saturating_mul(d.into())))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(e.into())))
            .saturating_add(T::DbWeight::get().writes(3u64.saturating_mul(d.into())))
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(e.into())))
    }

    // d: 1 to 32.
    fn fail_round(d: u32) -> Weight {
        Weight::from_parts(22_269_038, 0)
            .saturating_add(Weight::from_parts(32_014_841, 0).saturating_mul(d.into()))
            .saturating_add(T::DbWeight::get().reads_writes(4, 5))
            .saturating_add(T::DbWeight::get().reads(2u64.saturating_mul(d.into())))
            .saturating_add(T::DbWeight::get().writes(2u64.saturating_mul(d.into())))
    }

    fn agenda() -> Weight {
        Weight::from_parts(8_007_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }

    fn agenda_block() -> Weight {
        Weight::from_parts(7_023_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 0))
    }

    fn end_empty_round() -> Weight {
        Weight::from_parts(32_167_000, 0).saturating_add(T::DbWeight::get().reads_writes(7, 6))
    }

    fn start_evaluation() -> Weight {
        Weight::from_parts(89_569_000, 0).saturating_add(T::DbWeight::get().reads_writes(14, 8))
    }

    fn lapse_round() -> Weight {
        Weight::from_parts(78_444_000, 0).saturating_add(T::DbWeight::get().reads_writes(10, 9))
    }

    // n: 0 to 4.
    fn sweep_rounds(n: u32) -> Weight {
        Weight::from_parts(30_794_309, 0)
            .saturating_add(Weight::from_parts(9_554_143, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(6, 1))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(4u64.saturating_mul(n.into())))
    }
}
