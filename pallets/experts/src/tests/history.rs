//! What a slot held is remembered for a while.

use crate::{mock::*, FormerHeads, MAX_FORMER_HEADS};
use blyan_primitives::{
    block::Form,
    ids::{ContentHash, SlotId},
    learning::Rounds as KeepRounds,
    traits::SlotHeads,
};
use frame_support::assert_ok;
use polkadot_sdk::*;
use proptest::prelude::*;

fn at(slot: SlotId, height: u32) -> Option<ContentHash> {
    <Experts as KeepRounds<u64>>::head_at(&slot, height)
}

/// Moves the head of slot 0/0 in a block.
fn move_to(block: u64, next: ContentHash) {
    System::set_block_number(block);
    let base = Experts::head(slot(0, 0)).unwrap().block;
    Experts::move_head(&slot(0, 0), base, next).map_err(sp_runtime::DispatchError::from).unwrap();
}

fn experts() -> [ContentHash; 2] {
    [1, 2].map(|seed| registered(&expert(Form::Serving, seed), None))
}

#[test]
fn a_block_that_a_slot_held_is_found_by_height() {
    run(|| {
        let [first, second] = experts();
        move_to(9, first);
        move_to(20, second);
        System::set_block_number(30);
        let held: Vec<_> = [0, 8, 9, 19, 20, 30].into_iter().map(|height| at(slot(0, 0), height)).collect();
        assert_eq!(held, [genesis(), genesis(), first, first, second, second].map(Some));
        assert_eq!(at(slot(0, 1), 5), Some(genesis()));
        let layer = Experts::heads_of_layer_at(LINEAGE, 0, 9);
        assert_eq!(layer[..2], [Some(first), Some(genesis())]);
        assert!(Experts::heads_of_layer_at(LINEAGE, 99, 9).is_empty());
        // What is to come nobody knows.
        assert_eq!((at(slot(0, 0), 31), at(slot(0, 1), 31)), (None, None));
    });
}

#[test]
fn a_slot_held_nothing_before_it_was_filled() {
    run(|| {
        let next = publish_successor();
        let [first, second] = experts();
        System::set_block_number(5);
        assert_ok!(Experts::fill_head(RuntimeOrigin::root(), next, 2, 0, first));
        set_life(next, Life::Active);
        System::set_block_number(9);
        Experts::move_head(&slot(2, 0), first, second).map_err(sp_runtime::DispatchError::from).unwrap();
        let held: Vec<_> = [4, 5, 8, 9].into_iter().map(|height| at(slot(2, 0), height)).collect();
        assert_eq!(held, [None, Some(first), Some(first), Some(second)]);
        assert_eq!(at(slot(2, 1), 9), None);
    });
}

#[test]
fn two_moves_in_a_block_leave_what_the_last_one_made() {
    run(|| {
        let [first, second] = experts();
        move_to(9, first);
        move_to(9, second);
        assert_eq!((at(slot(0, 0), 8), at(slot(0, 0), 9)), (Some(genesis()), Some(second)));
    });
}

#[test]
fn what_was_held_long_ago_is_forgotten_with_a_later_move() {
    run(|| {
        let [first, second] = experts();
        move_to(9, first);
        move_to(20, second);
        // The genesis head was held until block 9.
        move_to(8 + HISTORY, first);
        assert_eq!(at(slot(0, 0), 8), Some(genesis()));
        move_to(9 + HISTORY, second);
        assert_eq!((at(slot(0, 0), 8), at(slot(0, 0), 9)), (None, Some(first)));
        assert_eq!(FormerHeads::<Test>::get(slot(0, 0)).len(), 3);
        move_to(9 + 3 * HISTORY, first);
        // Only what was held until now.
        assert_eq!(FormerHeads::<Test>::get(slot(0, 0)).len(), 1);
        assert_eq!(at(slot(0, 0), 8 + 3 * HISTORY as u32), Some(second));
    });
}

#[test]
fn a_bounded_number_of_heads_is_remembered() {
    run(|| {
        Remembered::set(u64::MAX);
        let both = experts();
        let moves = u64::from(MAX_FORMER_HEADS) + 3;
        for block in 1..=moves {
            move_to(block, both[block as usize % 2]);
        }
        assert_eq!(FormerHeads::<Test>::get(slot(0, 0)).len(), MAX_FORMER_HEADS as usize);
        assert_eq!((at(slot(0, 0), 2), at(slot(0, 0), 3)), (None, Some(both[1])));
        assert_eq!(Experts::head(slot(0, 0)).unwrap().moves, moves as u32);
    });
}

#[test]
fn what_a_lineage_held_that_is_given_up_is_forgotten() {
    run(|| {
        let [first, _] = experts();
        move_to(9, first);
        set_life(LINEAGE, Life::Deprecated);
        while Experts::head(slot(0, 0)).is_some() {
            assert_ok!(Experts::release_heads(signed(BOB), LINEAGE, 1));
        }
        assert_eq!((FormerHeads::<Test>::iter().count(), at(slot(0, 0), 8)), (0, None));
        assert_ok!(Experts::unregister(signed(ALICE), first));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_remembered_is_what_was_held(steps in prop::collection::vec((0u64..70, any::<bool>()), 1..40)) {
        new_test_ext().execute_with(|| {
            let both = experts();
            // The block in each block of the chain.
            let mut held = vec![genesis()];
            for (blocks, which) in steps {
                let now = System::block_number() + blocks;
                let head = Experts::head(slot(0, 0)).unwrap().block;
                held.resize(now as usize, head);
                let next = both[usize::from(which)];
                if next == head {
                    System::set_block_number(now);
                } else {
                    move_to(now, next);
                }
                held.truncate(now as usize);
                held.push(next);
                prop_assert_eq!(Experts::do_try_state(), Ok(()));
                for (height, block) in held.iter().enumerate() {
                    let found = at(slot(0, 0), height as u32);
                    let recent = height as u64 + HISTORY > now;
                    prop_assert!(found == Some(*block) || !recent && found.is_none(), "at {} of {}", height, now);
                }
            }
            Ok(())
        })?;
    }
}
