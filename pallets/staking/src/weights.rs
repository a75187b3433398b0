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
    /// Cost of `validate`.
    fn validate() -> Weight;
    /// Cost of `validate_full`.
    fn validate_full() -> Weight;
    /// Cost of `bond_more`.
    fn bond_more() -> Weight;
    /// Cost of `unbond`.
    fn unbond() -> Weight;
    /// Cost of `set_commission`.
    fn set_commission() -> Weight;
    /// Cost of `chill`.
    fn chill() -> Weight;
    /// Cost of `activate`.
    fn activate() -> Weight;
    /// Cost of `leave`.
    fn leave() -> Weight;
    /// Cost of `delegate`.
    fn delegate() -> Weight;
    /// Cost of `delegate_full`.
    fn delegate_full() -> Weight;
    /// Cost of `delegate_more`.
    fn delegate_more() -> Weight;
    /// Cost of `undelegate`.
    fn undelegate() -> Weight;
    /// Cost of `redelegate`.
    fn redelegate() -> Weight;
    /// Cost of `redelegate_full`.
    fn redelegate_full() -> Weight;
    /// Cost of `set_auto_compound`.
    fn set_auto_compound() -> Weight;
    /// Cost of `bond_worker`.
    fn bond_worker() -> Weight;
    /// Cost of `unbond_worker`.
    fn unbond_worker() -> Weight;
    /// Cost of `withdraw`.
    fn withdraw() -> Weight;
    /// Cost of `cancel_slash`.
    fn cancel_slash() -> Weight;
    /// Cost of `idle`.
    fn idle() -> Weight;
    /// Cost of `copy`.
    fn copy(n: u32) -> Weight;
    /// Cost of `slash`.
    fn slash(n: u32) -> Weight;
    /// Cost of `pay`.
    fn pay(n: u32) -> Weight;
    /// Cost of `release`.
    fn release(n: u32) -> Weight;
    /// Cost of `prune`.
    fn prune(n: u32) -> Weight;
    /// Cost of `note_author`.
    fn note_author() -> Weight;
    /// Cost of `elect`.
    fn elect(c: u32) -> Weight;
    /// Cost of `end_era`.
    fn end_era() -> Weight;
    /// Cost of `on_offence`.
    fn on_offence() -> Weight;
    /// Cost of `slash_worker`.
    fn slash_worker() -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    fn validate() -> Weight {
        Weight::from_parts(70_124_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 3))
    }

    fn validate_full() -> Weight {
        Weight::from_parts(2_217_224_000, 0).saturating_add(T::DbWeight::get().reads_writes(521, 6))
    }

    fn bond_more() -> Weight {
        Weight::from_parts(61_521_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }

    fn unbond() -> Weight {
        Weight::from_parts(39_611_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 4))
    }

    fn set_commission() -> Weight {
        Weight::from_parts(23_164_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }

    fn chill() -> Weight {
        Weight::from_parts(16_857_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }

    fn activate() -> Weight {
        Weight::from_parts(25_743_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 1))
    }

    fn leave() -> Weight {
        Weight::from_parts(39_613_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 4))
    }

    fn delegate() -> Weight {
        Weight::from_parts(90_692_000, 0).saturating_add(T::DbWeight::get().reads_writes(7, 4))
    }

    fn delegate_full() -> Weight {
        Weight::from_parts(2_583_055_000, 0).saturating_add(T::DbWeight::get().reads_writes(524, 9))
    }

    fn delegate_more() -> Weight {
        Weight::from_parts(85_660_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 5))
    }

    fn undelegate() -> Weight {
        Weight::from_parts(62_379_000, 0).saturating_add(T::DbWeight::get().reads_writes(9, 6))
    }

    fn redelegate() -> Weight {
        Weight::from_parts(84_596_000, 0).saturating_add(T::DbWeight::get().reads_writes(11, 9))
    }

    fn redelegate_full() -> Weight {
        Weight::from_parts(2_557_882_000, 0).saturating_add(T::DbWeight::get().reads_writes(527, 12))
    }

    fn set_auto_compound() -> Weight {
        Weight::from_parts(17_994_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }

    fn bond_worker() -> Weight {
        Weight::from_parts(64_789_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 2))
    }

    fn unbond_worker() -> Weight {
        Weight::from_parts(34_079_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 2))
    }

    fn withdraw() -> Weight {
        Weight::from_parts(63_510_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 2))
    }

    fn cancel_slash() -> Weight {
        Weight::from_parts(32_150_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 5))
    }

    fn idle() -> Weight {
        Weight::from_parts(9_508_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 0))
    }

    // n: 1 to 64.
    fn copy(n: u32) -> Weight {
        Weight::from_parts(41_721_143, 0)
            .saturating_add(Weight::from_parts(4_136_505, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(5, 3))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(n.into())))
    }

    // n: 1 to 64.
    fn slash(n: u32) -> Weight {
        Weight::from_parts(343_289_000, 0)
            .saturating_add(Weight::from_parts(190_206_778, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(29, 23))
            .saturating_add(T::DbWeight::get().reads(20u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(20u64.saturating_mul(n.into())))
    }

    // n: 1 to 64.
    fn pay(n: u32) -> Weight {
        Weight::from_parts(96_330_774, 0)
            .saturating_add(Weight::from_parts(87_229_032, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(11, 6))
            .saturating_add(T::DbWeight::get().reads(3u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(3u64.saturating_mul(n.into())))
    }

    // n: 1 to 64.
    fn release(n: u32) -> Weight {
        Weight::from_parts(22_240_017, 0)
            .saturating_add(Weight::from_parts(29_690_032, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(8, 4))
            .saturating_add(T::DbWeight::get().reads(3u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(3u64.saturating_mul(n.into())))
    }

    // n: 1 to 64.
    fn prune(n: u32) -> Weight {
        Weight::from_parts(41_872_944, 0)
            .saturating_add(Weight::from_parts(4_544_089, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(9, 2))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(n.into())))
    }

    fn note_author() -> Weight {
        Weight::from_parts(15_264_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 2))
    }

    // c: 1 to 512.
    fn elect(c: u32) -> Weight {
        Weight::from_parts(94_994_459, 0)
            .saturating_add(Weight::from_parts(3_992_925, 0).saturating_mul(c.into()))
            .saturating_add(T::DbWeight::get().reads_writes(18, 17))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(c.into())))
    }

    fn end_era() -> Weight {
        Weight::from_parts(69_615_000, 0).saturating_add(T::DbWeight::get().reads_writes(10, 6))
    }

    fn on_offence() -> Weight {
        Weight::from_parts(45_910_000, 0).saturating_add(T::DbWeight::get().reads_writes(13, 8))
    }

    fn slash_worker() -> Weight {
        Weight::from_parts(28_364_000, 0).saturating_add(T::DbWeight::get().reads_writes(7, 5))
    }
}
