//! What does not add up is seen.

use crate::{mock::*, Anchors, Channels, ChannelsByPayer, HoldReason, NextChannel, ServedBy};
use frame_support::{
    assert_ok,
    traits::{fungible::MutateHold, tokens::Precision},
};
use polkadot_sdk::*;

/// Corrupts a chain with a channel and two anchors, and gives the reason for which it is refused.
fn seen(corrupt: impl FnOnce()) -> String {
    new_test_ext().execute_with(|| {
        open(500, 100);
        assert_ok!(redeem(0, 100));
        include_next(0);
        include_next(1);
        assert_ok!(Inference::do_try_state());
        corrupt();
        let error: &str = Inference::do_try_state().unwrap_err().into();
        error.to_string()
    })
}

#[test]
fn channels_that_do_not_add_up_are_seen() {
    let change = |change: fn(&mut crate::ChannelOf<Test>)| {
        move || Channels::<Test>::mutate(0, |channel| change(channel.as_mut().unwrap()))
    };
    assert_eq!(seen(change(|c| c.escrow += 1)), "what is in a payer's channels is not what is held");
    assert_eq!(seen(change(|c| c.redeemed = c.escrow + 1)), "a channel has paid out more than was put in");
    assert_eq!(seen(change(|c| c.payer = gateway())), "a channel is not listed with its payer");
    assert_eq!(seen(|| NextChannel::<Test>::put(0)), "a channel has a number that was not given yet");
    assert_eq!(seen(|| ChannelsByPayer::<Test>::insert(gateway(), 0, ())), "a channel is listed with another payer");
    assert_eq!(seen(|| ChannelsByPayer::<Test>::insert(gateway(), 9, ())), "a payer's channel does not exist");
}

#[test]
fn anchors_that_do_not_add_up_are_seen() {
    assert_eq!(seen(|| Anchors::<Test>::remove(gateway(), 0)), "a worker's anchors have gaps");
    assert_eq!(
        seen(|| ServedBy::<Test>::mutate(gateway(), |served| served.oldest = 1)),
        "an anchor's sequence number is out of order"
    );
    assert_eq!(
        seen(|| {
            let reason = HoldReason::AnchorDeposit.into();
            assert_ok!(Balances::release(&reason, &gateway(), 1, Precision::Exact));
        }),
        "deposits for anchors are not what is held"
    );
    assert_eq!(
        seen(|| ServedBy::<Test>::mutate(gateway(), |served| served.deposit = 0)),
        "deposits for anchors are not what is held"
    );
    assert_eq!(seen(|| ServedBy::<Test>::remove(gateway())), "an anchor's sequence number is out of order");
}

#[test]
fn holds_that_no_record_explains_are_seen() {
    let hold = |reason: HoldReason| move || Balances::hold(&reason.into(), &anyone(), 5).unwrap();
    assert_eq!(seen(hold(HoldReason::Channel)), "what is in a payer's channels is not what is held");
    assert_eq!(seen(hold(HoldReason::AnchorDeposit)), "deposits for anchors are not what is held");
}
