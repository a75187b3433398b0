//! What a block has to do fits in it.

use super::preset;
use blyan_runtime::{
    configs::{scheduler::MaximumSchedulerWeight, system::RuntimeBlockWeights},
    Dao, Inference, Staking,
};
use frame_support::weights::Weight;
use polkadot_sdk::*;

/// A part of a block, in parts of a thousand.
fn part(weight: Weight) -> u64 {
    weight.ref_time() * 1_000 / RuntimeBlockWeights::get().max_block.ref_time()
}

/// The scheduler takes what is left when it begins, so that what comes before it can delay a call but never make a block too
/// long. What comes after it has to fit beside the most that it takes.
#[test]
fn what_a_block_has_to_do_fits_in_it() {
    preset("tiny_development").execute_with(|| {
        let staking = part(Staking::fullest_block());
        let rotation = part(Staking::fullest_rotation());
        let polls = part(Dao::heaviest_agenda());
        let scheduler = part(MaximumSchedulerWeight::get());
        println!("staking {staking}, with a change of era {rotation}, polls {polls}, scheduler {scheduler} of 1000");
        assert!(rotation + polls <= 1_000, "a change of era {rotation}, polls {polls}");
        assert!(scheduler + polls <= 1_000, "scheduled calls {scheduler}, polls {polls}");
        let transactions = 1_000 - staking - polls;
        assert!(transactions >= 250, "of the fullest block {transactions} of 1000 is left to transactions");
    });
}

/// What sweeps do fits in what transactions leave of a block that is as full as they can make it.
#[test]
fn what_is_over_goes_even_when_blocks_are_full() {
    preset("tiny_development").execute_with(|| {
        let sweeps = Dao::heaviest_sweep().saturating_add(Inference::heaviest_sweep());
        let weights = RuntimeBlockWeights::get();
        let normal = weights.get(frame_support::dispatch::DispatchClass::Normal).max_total.unwrap();
        let left = weights.max_block.saturating_sub(normal).saturating_sub(weights.base_block);
        println!("sweeps {} of the {} of 1000 that are left", part(sweeps), part(left));
        assert!(sweeps.all_lte(left));
    });
}
