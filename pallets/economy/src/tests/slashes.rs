use crate::{mock::*, Event};
use blyan_primitives::pact::Ppm;
use frame_support::{
    assert_ok,
    traits::{Imbalance, OnUnbalanced},
};
use polkadot_sdk::*;

fn split(burnt: u128, treasury: u128) -> Event<Test> {
    Event::SlashSplit { burnt, treasury }
}

#[test]
fn what_is_slashed_is_split() {
    run(|| {
        Slashes::on_unbalanced(take(1, 1_001));
        assert_eq!(events(), vec![split(501, 500)]);
        assert_eq!((treasury(), Balances::total_issuance()), (500, ALLOCATED - 501));
    });
}

#[test]
fn several_slashes_are_split_together() {
    run(|| {
        Slashes::on_unbalanceds([take(1, 100), take(2, 200)].into_iter());
        Slashes::on_unbalanced(Credit::zero());
        assert_eq!(events(), vec![split(150, 150)]);
    });
}

#[test]
fn the_split_follows_the_pact() {
    run(|| {
        Economics::mutate(|rules| rules.slash_treasury = Ppm::ONE);
        Slashes::on_unbalanced(take(1, 100));
        Economics::mutate(|rules| rules.slash_treasury = Ppm(0));
        Slashes::on_unbalanced(take(1, 100));
        assert_eq!(events(), vec![split(0, 100), split(100, 0)]);
    });
}

#[test]
fn what_would_not_open_the_treasurys_account_is_burnt() {
    run(|| {
        Slashes::on_unbalanced(take(1, 18));
        assert_ok!(Balances::transfer_keep_alive(signed(1), Economy::treasury_account(), ED));
        Slashes::on_unbalanced(take(1, 18));
        assert_eq!(events(), vec![split(18, 0), split(9, 9)]);
    });
}
