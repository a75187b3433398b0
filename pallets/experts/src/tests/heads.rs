use crate::{mock::*, weights::WeightInfo, Config, Error, Event, Filled, Head, Heads};
use blyan_primitives::{
    block::{BlockHeader, BlockKind, Form, PayloadType},
    ids::{ContentHash, SlotId, SpecId},
    traits::SlotHeads,
};
use frame_support::{assert_noop, assert_ok, dispatch::PostDispatchInfo};
use polkadot_sdk::*;

fn genesis() -> ContentHash {
    expert(Form::Serving, 0).content_hash()
}

fn move_head(slot: SlotId, base: ContentHash, next: ContentHash) -> sp_runtime::DispatchResult {
    Experts::move_head(&slot, base, next).map_err(Into::into)
}

#[test]
fn a_head_moves_by_compare_and_swap() {
    run(|| {
        let next = registered(&expert(Form::Serving, 1), None);
        System::set_block_number(9);
        assert_ok!(move_head(slot(1, 2), genesis(), next));
        assert_eq!(Experts::head(slot(1, 2)), Some(Head { block: next, since: 9, moves: 1 }));
        System::assert_last_event(Event::HeadMoved { slot: slot(1, 2), from: genesis(), to: next, moves: 1 }.into());
        assert_noop!(move_head(slot(1, 2), genesis(), next), Error::<Test>::StaleBase);
        assert_ok!(move_head(slot(1, 2), next, genesis()));
        assert_eq!(Experts::head(slot(1, 2)).unwrap().moves, 2);
        assert_eq!(<Experts as SlotHeads>::head(&slot(0, 0)), Some(genesis()));
    });
}

#[test]
fn a_head_is_in_use_while_a_slot_holds_it() {
    run(|| {
        let next = registered(&expert(Form::Serving, 1), None);
        assert_ok!(move_head(slot(0, 0), genesis(), next));
        assert_noop!(Experts::unregister(RuntimeOrigin::signed(ALICE), next), Error::<Test>::InUse);
        assert_ok!(move_head(slot(0, 0), next, genesis()));
        assert_ok!(Experts::unregister(RuntimeOrigin::signed(ALICE), next));
    });
}

#[test]
fn a_slot_that_no_live_spec_has_is_refused() {
    run(|| {
        let next = registered(&expert(Form::Serving, 1), None);
        let elsewhere = SlotId { lineage: SpecId([9; 32]), layer: 0, index: 0 };
        for slot in [slot(2, 0), slot(0, 3), elsewhere] {
            assert_noop!(move_head(slot, genesis(), next), Error::<Test>::UnknownSlot);
        }
        set_life(LINEAGE, Life::Deprecated);
        assert_noop!(move_head(slot(0, 0), genesis(), next), Error::<Test>::UnknownSlot);
    });
}

/// Blocks that no slot of the live spec can hold.
fn unfit() -> [BlockHeader; 5] {
    [
        expert(Form::Master, 1),
        header(BlockKind::Router, Form::Serving, &[("gate", &[128, 64])], 1),
        expert_of(Form::Serving, 256, 64, 1),
        // The same matrices turned round: a wrong shape that a glance at the sizes would not show.
        expert_of(Form::Serving, 64, 128, 1),
        BlockHeader { payload: PayloadType::TileStream, ..expert(Form::Serving, 1) },
    ]
}

#[test]
fn only_a_served_expert_of_the_slots_shape_becomes_its_head() {
    run(|| {
        for unfit in unfit() {
            let block = registered(&unfit, None);
            assert_noop!(move_head(slot(0, 0), genesis(), block), Error::<Test>::UnfitHead);
        }
        let unknown = ContentHash([7; 32]);
        assert_noop!(move_head(slot(0, 0), genesis(), unknown), Error::<Test>::UnknownBlock);
        assert_noop!(move_head(slot(0, 0), genesis(), genesis()), Error::<Test>::HeadUnchanged);
    });
}

#[test]
fn an_expert_in_floats_becomes_no_head() {
    // Registration refuses one; a genesis gives records alone, and could hold one.
    let floats = entry(&BlockHeader { form: Form::Serving, ..expert(Form::Master, 9) }, None);
    let serving = entry(&expert(Form::Serving, 0), None);
    genesis_ext(vec![floats.clone(), serving.clone()], vec![(slot(0, 0), serving.0)]).execute_with(|| {
        assert_noop!(move_head(slot(0, 0), serving.0, floats.0), Error::<Test>::UnfitHead);
        assert_noop!(fill(LINEAGE, 0, 1, floats.0), Error::<Test>::UnfitHead);
    });
}

#[test]
fn an_empty_slot_has_no_base_to_move_from() {
    run(|| {
        publish_successor();
        set_life(SUCCESSOR, Life::Active);
        let next = registered(&expert(Form::Serving, 1), None);
        assert_noop!(move_head(slot(2, 0), genesis(), next), Error::<Test>::StaleBase);
        assert_eq!(Experts::heads_of_layer(SUCCESSOR, 2), vec![None; 4]);
    });
}

fn fill(spec: SpecId, layer: u16, index: u16, block: ContentHash) -> sp_runtime::DispatchResult {
    Experts::fill_head(RuntimeOrigin::root(), spec, layer, index, block)
}

#[test]
fn empty_slots_of_a_published_spec_are_filled_in_the_order_of_their_indices() {
    run(|| {
        let spec = publish_successor();
        let block = registered(&expert(Form::Serving, 1), None);
        System::set_block_number(9);
        assert_noop!(fill(spec, 2, 1, block), Error::<Test>::EarlierSlotEmpty);
        for index in 0..4 {
            assert_ok!(fill(spec, 2, index, block));
            System::assert_last_event(Event::HeadFilled { slot: slot(2, index), block }.into());
            assert_eq!(Experts::head(slot(2, index)), Some(Head { block, since: 9, moves: 0 }));
            assert_eq!(Experts::filled(LINEAGE, 2), index + 1);
        }
        assert_eq!(Experts::block(block).unwrap().uses, 4);
        // Slots that the lineage has already keep what they hold; the new one beside them is filled.
        assert_noop!(fill(spec, 0, 2, block), Error::<Test>::SlotTaken);
        assert_ok!(fill(spec, 0, 3, block));
        assert_noop!(Experts::unregister(RuntimeOrigin::signed(ALICE), block), Error::<Test>::InUse);
    });
}

#[test]
fn only_governance_fills_slots() {
    run(|| {
        let spec = publish_successor();
        let signed = RuntimeOrigin::signed(ALICE);
        assert_noop!(Experts::fill_head(signed, spec, 2, 0, genesis()), sp_runtime::DispatchError::BadOrigin);
    });
}

#[test]
fn a_slot_is_filled_with_a_suitable_block_of_an_open_spec_alone() {
    run(|| {
        let spec = publish_successor();
        for unfit in unfit() {
            let block = registered(&unfit, None);
            assert_noop!(fill(spec, 2, 0, block), Error::<Test>::UnfitHead);
        }
        assert_noop!(fill(spec, 2, 0, ContentHash([7; 32])), Error::<Test>::UnknownBlock);
        assert_noop!(fill(spec, 3, 0, genesis()), Error::<Test>::UnknownSlot);
        assert_noop!(fill(spec, 0, 4, genesis()), Error::<Test>::UnknownSlot);
        assert_noop!(fill(SpecId([9; 32]), 0, 0, genesis()), Error::<Test>::SpecNotOpen);
        set_life(spec, Life::Deprecated);
        assert_noop!(fill(spec, 2, 0, genesis()), Error::<Test>::SpecNotOpen);
        // A slot is no more than its own spec says, whatever others of the lineage have.
        assert_noop!(fill(LINEAGE, 2, 0, genesis()), Error::<Test>::UnknownSlot);
    });
}

fn release(limit: u32) -> Result<PostDispatchInfo, sp_runtime::DispatchErrorWithPostInfo<PostDispatchInfo>> {
    Experts::release_heads(RuntimeOrigin::signed(BOB), LINEAGE, limit)
}

#[test]
fn the_heads_of_a_lineage_that_serves_nobody_are_released_step_by_step() {
    run(|| {
        let block = registered(&expert(Form::Serving, 1), None);
        assert_ok!(move_head(slot(0, 2), genesis(), block));
        set_life(LINEAGE, Life::Deprecated);
        assert_noop!(Experts::unregister(RuntimeOrigin::signed(ALICE), block), Error::<Test>::InUse);
        assert_noop!(release(0), Error::<Test>::NothingToRelease);
        let post = release(1).unwrap();
        assert_eq!(post.actual_weight, Some(<Test as Config>::WeightInfo::release_heads(1)));
        System::assert_last_event(Event::HeadsReleased { lineage: LINEAGE, released: 1 }.into());
        // Five are left, of which one call takes no more than its bound.
        assert_ok!(release(u32::MAX));
        System::assert_last_event(Event::HeadsReleased { lineage: LINEAGE, released: MAX_RELEASED }.into());
        assert_ok!(release(u32::MAX));
        assert!(Heads::<Test>::iter().next().is_none() && Filled::<Test>::iter().next().is_none());
        assert_eq!(Experts::block(genesis()).unwrap().uses, 0);
        assert_noop!(release(1), Error::<Test>::NothingToRelease);
        assert_ok!(Experts::unregister(RuntimeOrigin::signed(ALICE), block));
    });
}

#[test]
fn heads_stay_while_a_spec_of_their_lineage_is_published_or_active() {
    run(|| {
        assert_noop!(release(1), Error::<Test>::LineageOpen);
        publish_successor();
        set_life(LINEAGE, Life::Deprecated);
        assert_noop!(release(1), Error::<Test>::LineageOpen);
        set_life(SUCCESSOR, Life::Deprecated);
        assert_ok!(release(1));
        // What was emptied is filled again for a later spec of the lineage.
        set_life(SUCCESSOR, Life::Published);
        assert_noop!(release(1), Error::<Test>::LineageOpen);
        let layer = (0..2).find(|layer| Experts::filled(LINEAGE, *layer) == 2).unwrap();
        assert_ok!(fill(SUCCESSOR, layer, 2, genesis()));
    });
}

#[test]
fn a_layers_heads_come_in_the_order_of_experts() {
    run(|| {
        let next = registered(&expert(Form::Serving, 1), None);
        assert_ok!(move_head(slot(1, 1), genesis(), next));
        let blocks: Vec<_> = Experts::heads_of_layer(LINEAGE, 1).into_iter().map(|head| head.unwrap().block).collect();
        assert_eq!(blocks, vec![genesis(), next, genesis()]);
        assert!(Experts::heads_of_layer(LINEAGE, 2).is_empty());
        assert!(Experts::heads_of_layer(SpecId([9; 32]), 0).is_empty());
    });
}

#[test]
fn a_layer_has_as_many_heads_as_the_spec_that_is_asked_for_has_experts() {
    run(|| {
        let spec = publish_successor();
        let slots = |id, layer| Experts::heads_of_layer(id, layer).len();
        for life in [Life::Published, Life::Active, Life::Deprecated] {
            set_life(spec, life);
            assert_eq!((slots(LINEAGE, 0), slots(spec, 0)), (3, 4));
            assert_eq!((slots(LINEAGE, 2), slots(spec, 2)), (0, 4));
        }
        assert_eq!(Experts::heads_of_layer(spec, 0)[3], None);
    });
}
