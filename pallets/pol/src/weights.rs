//! What the calls and hooks of this pallet cost.

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
        Weight::from_parts(60_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(10, 8))
    }

    fn leave() -> Weight {
        Weight::from_parts(90_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(14, 14))
    }

    fn refresh() -> Weight {
        Weight::from_parts(90_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(16, 14))
    }

    fn add_set() -> Weight {
        Weight::from_parts(50_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    fn remove_set() -> Weight {
        Weight::from_parts(50_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    fn vote_availability() -> Weight {
        Weight::from_parts(40_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }

    fn commit() -> Weight {
        Weight::from_parts(40_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }

    fn reveal() -> Weight {
        Weight::from_parts(120_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 2))
    }

    fn post_scores(n: u32) -> Weight {
        Weight::from_parts(100_000_000, 0)
            .saturating_add(Weight::from_parts(60_000, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }

    fn post_trace() -> Weight {
        Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 2))
    }

    fn play() -> Weight {
        Weight::from_parts(1_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 4))
    }

    fn settle(b: u32) -> Weight {
        Weight::from_parts(20_000_000_000, 0)
            .saturating_add(Weight::from_parts(10_000, 0).saturating_mul(b.into()))
            .saturating_add(T::DbWeight::get().reads_writes(600, 450))
    }

    fn add_hidden_set() -> Weight {
        Weight::from_parts(100_000_000, 0)
    }

    fn reveal_key() -> Weight {
        Weight::from_parts(100_000_000, 0)
    }

    fn agenda() -> Weight {
        Weight::from_parts(60_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(18, 2))
    }

    fn draw() -> Weight {
        Weight::from_parts(10_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(1_300, 410))
    }

    fn end_traces() -> Weight {
        Weight::from_parts(10_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(40, 40))
    }

    fn end_scores() -> Weight {
        Weight::from_parts(10_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(40, 40))
    }

    fn end_reveal() -> Weight {
        Weight::from_parts(10_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(40, 40))
    }

    fn end_commit() -> Weight {
        Weight::from_parts(10_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(40, 40))
    }

    fn end_availability() -> Weight {
        Weight::from_parts(10_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(40, 40))
    }

    fn start() -> Weight {
        Weight::from_parts(10_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(40, 40))
    }

    fn agenda_block() -> Weight {
        Weight::from_parts(10_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(40, 40))
    }

    fn end_move() -> Weight {
        Weight::from_parts(5_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(700, 500))
    }
}
