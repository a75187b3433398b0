//! What does not add up is seen.

use crate::{mock::*, ActiveSpecs, OpenSpecs, Specs, Status};
use blyan_primitives::{
    block::BlockKind,
    ids::{SlotId, SpecId},
    spec::ModelSpec,
};
use frame_support::assert_ok;
use polkadot_sdk::*;

fn parent() -> ModelSpec {
    spec("0.1.0")
}

fn successor() -> ModelSpec {
    child(&parent(), "0.2.0")
}

/// Corrupts a chain with a spec and its successor, and gives the reason for which it is refused.
fn seen(corrupt: impl FnOnce()) -> String {
    new_test_ext().execute_with(|| {
        go_live(&parent());
        go_live(&successor());
        assert_ok!(Meta::do_try_state());
        corrupt();
        let error: &str = Meta::do_try_state().unwrap_err().into();
        error.to_string()
    })
}

fn change(id: SpecId, change: impl FnOnce(&mut crate::SpecRecord<u64>)) {
    Specs::<Test>::mutate(id, |record| change(record.as_mut().unwrap()));
}

/// Stores `spec` as the successor, under its own name.
fn replace(spec: ModelSpec) {
    let record = Specs::<Test>::take(successor().id()).unwrap();
    let id = spec.id();
    Specs::<Test>::insert(id, crate::SpecRecord { spec, ..record });
    ActiveSpecs::<Test>::mutate(|active| active[0] = id);
}

#[test]
fn specs_that_do_not_add_up_are_seen() {
    let other = SpecId([7; 32]);
    assert_eq!(
        seen(|| change(parent().id(), |r| r.spec.dimensions.context = 1)),
        "a spec is stored under another name"
    );
    assert_eq!(
        seen(|| {
            // Alone, for its successor would be refused too, and either may be looked at first.
            Specs::<Test>::remove(successor().id());
            change(parent().id(), |r| r.lineage = other);
        }),
        "a spec without parent is not the start of its lineage"
    );
    assert_eq!(seen(|| change(successor().id(), |r| r.lineage = other)), "a spec left its parent's lineage");
    assert_eq!(seen(|| replace(ModelSpec { parent: Some(other), ..successor() })), "a spec's parent is missing");
    assert_eq!(seen(|| replace(child(&parent(), "0.1.0"))), "a spec is not newer than its parent");
    let mut wider = successor();
    wider.dimensions.ffn = 256;
    assert_eq!(seen(|| replace(wider)), "experts of a lineage differ in shape");
}

#[test]
fn statuses_that_do_not_add_up_are_seen() {
    assert_eq!(
        seen(|| change(parent().id(), |r| r.status = Status::Published)),
        "the list of active specs and a status disagree"
    );
    assert_eq!(
        seen(|| ActiveSpecs::<Test>::mutate(|active| active.try_push(parent().id()).unwrap())),
        "an active spec is unknown or listed twice"
    );
}

#[test]
fn blocks_that_do_not_add_up_are_seen() {
    assert_eq!(seen(|| Registered::mutate(|blocks| _ = blocks.remove(&TRUNK))), "a spec's block is not registered");
    assert_eq!(seen(|| Blocks::register(TRUNK, record(BlockKind::Router, &[64]))), "a spec's block does not suit it");
}

#[test]
fn empty_slots_are_seen() {
    let slot = SlotId { lineage: parent().id(), layer: 0, index: 2 };
    assert_eq!(seen(|| SlotHeadsMap::mutate(|heads| _ = heads.remove(&slot))), "a slot of an active spec is empty");
}

#[test]
fn lineages_that_do_not_add_up_are_seen() {
    let miscounted = "the published and active specs of a lineage are miscounted";
    let lineage = parent().id();
    assert_eq!(seen(|| OpenSpecs::<Test>::remove(lineage)), miscounted);
    assert_eq!(seen(|| OpenSpecs::<Test>::insert(lineage, 1)), miscounted);
    assert_eq!(seen(|| OpenSpecs::<Test>::insert(SpecId([7; 32]), 1)), miscounted);
}
