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
    /// Cost of `enrol`.
    fn enrol() -> Weight;
    /// Cost of `leave`.
    fn leave() -> Weight;
    /// Cost of `refresh`.
    fn refresh() -> Weight;
    /// Cost of `add_set`.
    fn add_set() -> Weight;
    /// Cost of `remove_set`.
    fn remove_set() -> Weight;
    /// Cost of `vote_availability`.
    fn vote_availability() -> Weight;
    /// Cost of `commit`.
    fn commit() -> Weight;
    /// Cost of `reveal`.
    fn reveal() -> Weight;
    /// Cost of `post_scores`.
    fn post_scores(n: u32) -> Weight;
    /// Cost of `post_trace`.
    fn post_trace() -> Weight;
    /// Cost of `play`.
    fn play() -> Weight;
    /// Cost of `settle`.
    fn settle(b: u32) -> Weight;
    /// Cost of `add_hidden_set`.
    fn add_hidden_set() -> Weight;
    /// Cost of `reveal_key`.
    fn reveal_key() -> Weight;
    /// Cost of `agenda`.
    fn agenda() -> Weight;
    /// Cost of `agenda_block`.
    fn agenda_block() -> Weight;
    /// Cost of `start`.
    fn start() -> Weight;
    /// Cost of `draw`.
    fn draw() -> Weight;
    /// Cost of `end_availability`.
    fn end_availability() -> Weight;
    /// Cost of `end_commit`.
    fn end_commit() -> Weight;
    /// Cost of `end_reveal`.
    fn end_reveal() -> Weight;
    /// Cost of `end_scores`.
    fn end_scores() -> Weight;
    /// Cost of `end_traces`.
    fn end_traces() -> Weight;
    /// Cost of `end_move`.
    fn end_move() -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    fn enrol() -> Weight {
        Weight::from_parts(45_422_000, 0).saturating_add(T::DbWeight::get().reads_writes(9, 7))
    }

    fn leave() -> Weight {
        Weight::from_parts(56_708_000, 0).saturating_add(T::DbWeight::get().reads_writes(8, 9))
    }

    fn refresh() -> Weight {
        Weight::from_parts(77_630_000, 0).saturating_add(T::DbWeight::get().reads_writes(11, 9))
    }

    fn add_set() -> Weight {
        Weight::from_parts(23_429_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    fn remove_set() -> Weight {
        Weight::from_parts(27_327_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 4))
    }

    fn vote_availability() -> Weight {
        Weight::from_parts(33_964_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 5))
    }

    fn commit() -> Weight {
        Weight::from_parts(34_627_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 5))
    }

    fn reveal() -> Weight {
        Weight::from_parts(49_964_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 6))
    }

    // n: 262 to 16384.
    fn post_scores(n: u32) -> Weight {
        Weight::from_parts(64_991_194, 0)
            .saturating_add(Weight::from_parts(43_478, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }

    fn post_trace() -> Weight {
        Weight::from_parts(291_315_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 2))
    }

    fn play() -> Weight {
        Weight::from_parts(142_309_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    // b: 16384 to 1048576.
    fn settle(b: u32) -> Weight {
        Weight::from_parts(350_816_667, 0)
            .saturating_add(Weight::from_parts(4_067, 0).saturating_mul(b.into()))
            .saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    fn add_hidden_set() -> Weight {
        Weight::from_parts(26_363_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 4))
    }

    fn reveal_key() -> Weight {
        Weight::from_parts(20_187_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }

    fn agenda() -> Weight {
        Weight::from_parts(7_614_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }

    fn agenda_block() -> Weight {
        Weight::from_parts(7_709_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 0))
    }

    fn start() -> Weight {
        Weight::from_parts(42_808_000, 0).saturating_add(T::DbWeight::get().reads_writes(7, 4))
    }

    fn draw() -> Weight {
        Weight::from_parts(5_209_759_000, 0).saturating_add(T::DbWeight::get().reads_writes(830, 410))
    }

    fn end_availability() -> Weight {
        Weight::from_parts(7_096_304_000, 0).saturating_add(T::DbWeight::get().reads_writes(1019, 1016))
    }

    fn end_commit() -> Weight {
        Weight::from_parts(29_313_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 4))
    }

    fn end_reveal() -> Weight {
        Weight::from_parts(5_434_791_000, 0).saturating_add(T::DbWeight::get().reads_writes(611, 402))
    }

    fn end_scores() -> Weight {
        Weight::from_parts(44_395_701_000, 0).saturating_add(T::DbWeight::get().reads_writes(812, 402))
    }

    fn end_traces() -> Weight {
        Weight::from_parts(1_880_015_000, 0).saturating_add(T::DbWeight::get().reads_writes(207, 402))
    }

    fn end_move() -> Weight {
        Weight::from_parts(10_032_274_000, 0).saturating_add(T::DbWeight::get().reads_writes(1026, 1019))
    }
}
