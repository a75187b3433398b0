use crate::{mock::*, *};
use frame_support::traits::Hooks;
use polkadot_sdk::*;

type Weights = <Test as Config>::WeightInfo;

#[test]
fn the_hook_costs_what_it_did() {
    run(|| {
        let base = Weights::idle().saturating_add(Weights::note_author());
        // The first block is done with the slashes of era 0, of which there are none.
        let era = Weights::slash(1);
        assert_eq!(Staking::on_initialize(2), base.saturating_add(era));
        assert_eq!(Staking::on_initialize(3), base);
    });
}

#[test]
fn the_fullest_block_leaves_room() {
    run(|| {
        let block = <Test as frame_system::Config>::BlockWeights::get().max_block;
        assert!(Staking::fullest_block().all_lt(block.saturating_div(2)));
        assert!(Staking::fullest_rotation().all_lt(block));
        <Staking as Hooks<u64>>::integrity_test();
    });
}
