//! What does not add up is seen.

use crate::{mock::*, Blocks, Filled, Heads, HoldReason, Registrations};
use blyan_primitives::{block::Form, ids::ContentHash};
use frame_support::{assert_ok, traits::fungible::MutateHold};
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

fn change_registration(block: ContentHash, change: fn(&mut crate::RegistrationOf<Test>)) {
    Registrations::<Test>::mutate(block, ALICE, |own| change(own.as_mut().unwrap()));
}

#[test]
fn registrations_that_do_not_add_up_are_seen() {
    assert_eq!(seen(|master, _| Blocks::<Test>::remove(master)), "the master of a registered block is not registered");
    assert_eq!(
        seen(|master, _| change(master, |b| b.record.form = Form::Serving)),
        "a serving form is derived from another serving form"
    );
    let miscounted = "serving forms that name a master are miscounted";
    assert_eq!(seen(|master, _| change_registration(master, |r| r.derived = 0)), miscounted);
    assert_eq!(seen(|_, serving| change_registration(serving, |r| r.derived = 1)), miscounted);
    assert_eq!(
        seen(|master, _| Registrations::<Test>::remove(master, ALICE)),
        "an account names a master that it has not registered"
    );
    let miscounted = "the accounts that registered a block are miscounted";
    assert_eq!(seen(|_, serving| change(serving, |b| b.registrants = 2)), miscounted);
    assert_eq!(seen(|_, serving| Blocks::<Test>::remove(serving)), "a registration is for no block");
    assert_eq!(
        seen(|master, _| {
            let orphan = Blocks::<Test>::get(master).unwrap();
            Blocks::<Test>::insert(ContentHash([7; 32]), crate::BlockEntry { registrants: 0, ..orphan });
        }),
        "a block is there that nobody has registered"
    );
}

#[test]
fn deposits_that_do_not_add_up_are_seen() {
    let wrong = "deposits for blocks are not what is held";
    assert_eq!(seen(|_, serving| change_registration(serving, |r| r.deposit += 1)), wrong);
    // A hold that no registration explains.
    assert_eq!(seen(|_, _| Balances::hold(&HoldReason::BlockDeposit.into(), &BOB, 5).unwrap()), wrong);
    assert_eq!(
        seen(|_, serving| {
            let own = Registrations::<Test>::get(serving, ALICE).unwrap();
            Registrations::<Test>::insert(serving, 99, crate::Registration { master: None, derived: 0, ..own });
            change(serving, |b| b.registrants = 2);
        }),
        "a deposit is from an account that does not exist"
    );
}

#[test]
fn heads_that_do_not_add_up_are_seen() {
    let set = |block: ContentHash| Heads::<Test>::mutate(slot(0, 0), |head| head.as_mut().unwrap().block = block);
    assert_eq!(seen(|master, _| set(master)), "a slot holds what is not the serving form of an expert");
    assert_eq!(seen(|_, _| set(ContentHash([7; 32]))), "a slot holds a block that is not registered");
    assert_eq!(seen(|_, serving| set(serving)), "a block has fewer uses counted than there are");
    let not_filled = "a slot is counted and not filled";
    assert_eq!(seen(|_, _| Heads::<Test>::remove(slot(0, 2))), not_filled);
    assert_eq!(seen(|_, _| Heads::<Test>::remove(slot(0, 1))), not_filled);
    assert_eq!(seen(|_, _| Filled::<Test>::insert(LINEAGE, 0, 2)), "a slot is filled and not counted");
    assert_eq!(seen(|_, _| Filled::<Test>::insert(LINEAGE, 7, 0)), "a layer without heads is stored");
}

#[test]
fn uses_of_genesis_masters_that_do_not_add_up_are_seen() {
    let master = entry(&expert(Form::Master, 1), None);
    let serving = entry(&expert(Form::Serving, 1), Some(master.0));
    genesis_ext(vec![master.clone(), serving], vec![]).execute_with(|| {
        assert_ok!(Experts::do_try_state());
        change(master.0, |b| b.uses = 0);
        let error: &str = Experts::do_try_state().unwrap_err().into();
        assert_eq!(error, "a block has fewer uses counted than there are");
    });
}
