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
    /// Cost of `vote`.
    fn vote() -> Weight;
    /// Cost of `remove_vote`.
    fn remove_vote() -> Weight;
    /// Cost of `clean_up`.
    fn clean_up(n: u32) -> Weight;
    /// Cost of `open_poll`.
    fn open_poll() -> Weight;
    /// Cost of `vote_poll`.
    fn vote_poll() -> Weight;
    /// Cost of `remove_poll_vote`.
    fn remove_poll_vote() -> Weight;
    /// Cost of `appeal`.
    fn appeal() -> Weight;
    /// Cost of `clean_up_poll`.
    fn clean_up_poll(n: u32) -> Weight;
    /// Cost of `agenda`.
    fn agenda() -> Weight;
    /// Cost of `agenda_block`.
    fn agenda_block() -> Weight;
    /// Cost of `end_poll`.
    fn end_poll() -> Weight;
    /// Cost of `end_appeal`.
    fn end_appeal() -> Weight;
    /// Cost of `settle_poll`.
    fn settle_poll() -> Weight;
    /// Cost of `sweep_poll`.
    fn sweep_poll(n: u32) -> Weight;
    /// Cost of `sweep_votes`.
    fn sweep_votes(n: u32) -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    fn vote() -> Weight {
        Weight::from_parts(57_443_000, 0).saturating_add(T::DbWeight::get().reads_writes(7, 5))
    }

    fn remove_vote() -> Weight {
        Weight::from_parts(55_178_000, 0).saturating_add(T::DbWeight::get().reads_writes(7, 5))
    }

    // n: 1 to 256.
    fn clean_up(n: u32) -> Weight {
        Weight::from_parts(2_545_352, 0)
            .saturating_add(Weight::from_parts(4_186_360, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(2, 0))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(n.into())))
    }

    fn open_poll() -> Weight {
        Weight::from_parts(16_677_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 4))
    }

    fn vote_poll() -> Weight {
        Weight::from_parts(45_490_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }

    fn remove_poll_vote() -> Weight {
        Weight::from_parts(46_860_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }

    fn appeal() -> Weight {
        Weight::from_parts(75_528_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 7))
    }

    // n: 1 to 256.
    fn clean_up_poll(n: u32) -> Weight {
        Weight::from_parts(17_706_000, 0)
            .saturating_add(Weight::from_parts(4_402_582, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(1, 0))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(n.into())))
    }

    fn agenda() -> Weight {
        Weight::from_parts(7_399_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }

    fn agenda_block() -> Weight {
        Weight::from_parts(4_797_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 0))
    }

    fn end_poll() -> Weight {
        Weight::from_parts(29_749_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }

    fn end_appeal() -> Weight {
        Weight::from_parts(91_432_000, 0).saturating_add(T::DbWeight::get().reads_writes(9, 6))
    }

    fn settle_poll() -> Weight {
        Weight::from_parts(25_991_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 2))
    }

    // n: 1 to 256.
    fn sweep_poll(n: u32) -> Weight {
        Weight::from_parts(140_719, 0)
            .saturating_add(Weight::from_parts(4_781_288, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(3, 1))
            .saturating_add(T::DbWeight::get().reads(1u64.saturating_mul(n.into())))
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(n.into())))
    }

    // n: 0 to 8.
    fn sweep_votes(n: u32) -> Weight {
        Weight::from_parts(45_548_698, 0)
            .saturating_add(Weight::from_parts(2_141_925, 0).saturating_mul(n.into()))
            .saturating_add(T::DbWeight::get().reads_writes(11, 1))
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(n.into())))
    }
}
