use crate::{mock::*, Error, Event, Head};
use blyan_primitives::{
    block::{BlockKind, Form},
    ids::{ContentHash, SlotId, SpecId},
    traits::SlotHeads,
};
use frame_support::{assert_noop, assert_ok};
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
        Live::mutate(|live| live.clear());
        assert_noop!(move_head(slot(0, 0), genesis(), next), Error::<Test>::UnknownSlot);
    });
}

#[test]
fn only_a_served_expert_of_the_slots_shape_becomes_its_head() {
    run(|| {
        let wide = [("gate", [256, 64].as_slice()), ("up", &[256, 64]), ("down", &[64, 256])];
        // The same matrices turned round: a wrong shape that a glance at the sizes would not show.
        let turned = [("gate", [64, 128].as_slice()), ("up", &[64, 128]), ("down", &[128, 64])];
        for unfit in [
            expert(Form::Master, 1),
            header(BlockKind::Router, Form::Serving, &[("gate", &[128, 64])], 1),
            header(BlockKind::Expert, Form::Serving, &wide, 1),
            header(BlockKind::Expert, Form::Serving, &turned, 1),
        ] {
            let block = registered(&unfit, None);
            assert_noop!(move_head(slot(0, 0), genesis(), block), Error::<Test>::UnfitHead);
        }
        let unknown = ContentHash([7; 32]);
        assert_noop!(move_head(slot(0, 0), genesis(), unknown), Error::<Test>::UnknownBlock);
        assert_noop!(move_head(slot(0, 0), genesis(), genesis()), Error::<Test>::HeadUnchanged);
    });
}

#[test]
fn an_empty_slot_has_no_base_to_move_from() {
    run(|| {
        let mut deeper = dimensions();
        deeper.layers = 3;
        Live::mutate(|live| live.insert(LINEAGE, deeper));
        let next = registered(&expert(Form::Serving, 1), None);
        assert_noop!(move_head(slot(2, 0), genesis(), next), Error::<Test>::StaleBase);
        assert_eq!(Experts::heads_of_layer(LINEAGE, 2), vec![None; 3]);
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
