use crate::{mock::*, Collected, Event, WeightInfo};
use blyan_primitives::pact::Ppm;
use frame_support::{
    assert_ok,
    dispatch::{GetDispatchInfo, Pays, PostDispatchInfo},
    traits::{Hooks, Imbalance, OnUnbalanced},
};
use pallet_transaction_payment::ChargeTransactionPayment;
use polkadot_sdk::*;
use sp_runtime::traits::DispatchTransaction;

fn split(burnt: u128, treasury: u128, author: u128) -> Event<Test> {
    Event::FeesSplit { burnt, treasury, author }
}

/// Opens the treasury's account, and gives what is in it.
fn open_treasury() -> u128 {
    assert_ok!(Balances::transfer_keep_alive(signed(1), Economy::treasury_account(), ED));
    ED
}

/// A block in which account 1 pays a fee.
fn pay_block(fee: u128) {
    Fees::on_unbalanced(take(1, fee));
    end_block();
}

/// Account 1 sends a transaction of `len` bytes, which costs as much.
fn transact(len: usize, tip: u128, pays: Pays) {
    let call = RuntimeCall::System(frame_system::Call::remark { remark: vec![] });
    let post = PostDispatchInfo { actual_weight: None, pays_fee: pays };
    let extension = ChargeTransactionPayment::<Test>::from(tip);
    extension.test_run(signed(1), &call, &call.get_dispatch_info(), len, 0, |_| Ok(post)).unwrap().unwrap();
}

#[test]
fn a_blocks_fees_are_split_and_its_tips_are_the_authors() {
    run(|| {
        let opened = open_treasury();
        transact(1_000, 77, Pays::Yes);
        transact(501, 0, Pays::Yes);
        assert_eq!(events(), vec![]);
        assert_eq!((balance(1), collected()), (FUNDS - opened - 1_578, 1_578));
        assert_eq!((treasury(), balance(AUTHOR)), (opened, FUNDS));
        assert_eq!(Balances::total_issuance(), ALLOCATED);
        end_block();
        assert_eq!(events(), vec![split(750, 300, 528)]);
        assert_eq!((treasury(), balance(AUTHOR)), (opened + 300, FUNDS + 528));
        assert_eq!(Balances::total_issuance(), ALLOCATED - 750);
        assert!(!Collected::<Test>::exists());
    });
}

#[test]
fn each_block_splits_its_own_fees() {
    run(|| {
        let opened = open_treasury();
        for author in [AUTHOR, 3] {
            BlockAuthor::set(Some(account(author)));
            transact(100, 0, Pays::Yes);
            end_block();
        }
        end_block();
        assert_eq!(events(), vec![split(50, 20, 30), split(50, 20, 30)]);
        assert_eq!((treasury(), balance(AUTHOR), balance(3)), (opened + 40, FUNDS + 30, FUNDS + 30));
    });
}

#[test]
fn blocks_reserve_what_the_split_costs() {
    run(|| {
        let weight = <Economy as Hooks<u64>>::on_initialize(1);
        assert_eq!(weight, <Test as crate::Config>::WeightInfo::split_fees());
    });
}

#[test]
fn a_transaction_that_pays_nothing_splits_nothing() {
    run(|| {
        transact(1_000, 0, Pays::No);
        end_block();
        assert_eq!(events(), vec![]);
        assert_eq!((balance(1), balance(AUTHOR)), (FUNDS, FUNDS));
        assert!(!Collected::<Test>::exists());
    });
}

#[test]
fn fees_without_tips_and_tips_without_fees_are_split() {
    run(|| {
        let opened = open_treasury();
        let pay = |credits: Vec<Credit>| {
            Fees::on_unbalanceds(credits.into_iter());
            end_block();
        };
        pay(vec![take(1, 1_000)]);
        pay(vec![Credit::zero(), take(1, 50)]);
        pay(vec![Credit::zero(), Credit::zero()]);
        pay(vec![]);
        Fees::on_unbalanced(take(1, 100));
        end_block();
        assert_eq!(events(), vec![split(500, 200, 300), split(0, 0, 50), split(50, 20, 30)]);
        assert_eq!((treasury(), balance(AUTHOR)), (opened + 220, FUNDS + 380));
    });
}

#[test]
fn a_fee_without_an_author_is_burnt() {
    run(|| {
        open_treasury();
        BlockAuthor::set(None);
        Fees::on_unbalanceds([take(1, 1_000), take(1, 50)].into_iter());
        end_block();
        assert_eq!(events(), vec![split(850, 200, 0)]);
        assert_eq!(Balances::total_issuance(), ALLOCATED - 850);
    });
}

#[test]
fn what_would_not_open_the_authors_account_is_burnt() {
    run(|| {
        open_treasury();
        BlockAuthor::set(Some(account(NOBODY)));
        pay_block(30);
        assert_eq!(events(), vec![split(24, 6, 0)]);
        // A fee and a tip may open it together.
        Fees::on_unbalanceds([take(1, 30), take(1, 1)].into_iter());
        end_block();
        assert_eq!(events()[1], split(15, 6, 10));
        assert_eq!(balance(NOBODY), 10);
    });
}

#[test]
fn what_would_not_open_the_treasurys_account_is_burnt() {
    run(|| {
        pay_block(40);
        assert_eq!(events(), vec![split(28, 0, 12)]);
        pay_block(50);
        assert_eq!(events()[1], split(25, 10, 15));
        assert_eq!(treasury(), 10);
    });
}

#[test]
fn shares_follow_the_pact_and_what_is_rounded_off_is_the_authors() {
    run(|| {
        open_treasury();
        Economics::mutate(|rules| (rules.fee_burn, rules.fee_treasury) = (Ppm(333_333), Ppm(333_333)));
        pay_block(100);
        Economics::mutate(|rules| (rules.fee_burn, rules.fee_treasury) = (Ppm(0), Ppm(0)));
        pay_block(100);
        Economics::mutate(|rules| (rules.fee_burn, rules.fee_treasury) = (Ppm::ONE, Ppm(0)));
        pay_block(100);
        assert_eq!(events(), vec![split(33, 33, 34), split(0, 0, 100), split(100, 0, 0)]);
    });
}

#[test]
fn shares_of_more_than_the_whole_take_no_more_than_there_is() {
    run(|| {
        open_treasury();
        Economics::mutate(|rules| (rules.fee_burn, rules.fee_treasury) = (Ppm(800_000), Ppm(800_000)));
        pay_block(100);
        assert_eq!(events(), vec![split(80, 20, 0)]);
    });
}
