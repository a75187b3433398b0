//! What does not add up is seen.

use crate::{mock::*, Blocks, Heads};
use blyan_primitives::{block::Form, ids::ContentHash};
use frame_support::assert_ok;
use polkadot_sdk::*;

/// Corrupts a chain on which Alice registered an expert in both forms, and gives the reason for which it is refused.
fn seen(corrupt: impl FnOnce(ContentHash, ContentHash)) -> String {
    new_test_ext().execute_with(|| {
        let master = registered(&expert(Form::Master, 1), None);
        let serving = registered(&expert(Form::Serving, 1), Some(master));
        assert_ok!(Experts::do_try_state());
        corrupt(master, serving);
        let error: &str = Experts::do_try_state().unwrap_err().into();
        error.to_string()
    })
}

fn change(block: ContentHash, change: fn(&mut crate::BlockEntryOf<Test>)) {
    Blocks::<Test>::mutate(block, |entry| change(entry.as_mut().unwrap()));
}

#[test]
fn blocks_that_do_not_add_up_are_seen() {
    assert_eq!(seen(|master, _| change(master, |b| b.uses = 0)), "a block has fewer uses counted than there are");
    assert_eq!(seen(|master, _| Blocks::<Test>::remove(master)), "the master of a registered block is not registered");
    assert_eq!(
        seen(|master, _| change(master, |b| b.record.form = Form::Serving)),
        "a serving form is derived from another serving form"
    );
    assert_eq!(
        seen(|_, serving| change(serving, |b| b.deposit.as_mut().unwrap().amount += 1)),
        "deposits for blocks are not what is held"
    );
}

#[test]
fn heads_that_do_not_add_up_are_seen() {
    let set = |block: ContentHash| Heads::<Test>::mutate(slot(0, 0), |head| head.as_mut().unwrap().block = block);
    assert_eq!(seen(|master, _| set(master)), "a slot holds what is not the serving form of an expert");
    assert_eq!(seen(|_, _| set(ContentHash([7; 32]))), "a slot holds a block that is not registered");
    assert_eq!(seen(|_, serving| set(serving)), "a block has fewer uses counted than there are");
}
