use crate::{mock::*, Error, Event};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use sp_runtime::DispatchError;

fn spend(to: u8, amount: u128) -> sp_runtime::DispatchResult {
    Economy::spend(RuntimeOrigin::root(), account(to), amount)
}

fn fill(amount: u128) {
    assert_ok!(Balances::transfer_keep_alive(signed(1), Economy::treasury_account(), amount));
}

#[test]
fn the_treasury_spends() {
    run(|| {
        fill(1_000);
        assert_ok!(spend(2, 300));
        assert_eq!((treasury(), balance(2)), (700, FUNDS + 300));
        assert_eq!(events(), vec![Event::TreasurySpent { to: account(2), amount: 300 }]);
    });
}

#[test]
fn only_the_origin_spends() {
    run(|| {
        fill(1_000);
        assert_noop!(Economy::spend(signed(2), account(2), 300), DispatchError::BadOrigin);
    });
}

#[test]
fn nothing_is_not_spent() {
    run(|| {
        fill(1_000);
        assert_noop!(spend(2, 0), Error::<Test>::ZeroAmount);
    });
}

#[test]
fn the_treasury_spends_what_it_has_and_keeps_its_account() {
    run(|| {
        assert_noop!(spend(2, 1), Error::<Test>::InsufficientTreasury);
        fill(1_000);
        assert_noop!(spend(2, 1_001 - ED), Error::<Test>::InsufficientTreasury);
        assert_noop!(spend(2, u128::MAX), Error::<Test>::InsufficientTreasury);
        assert_ok!(spend(2, 1_000 - ED));
        assert_eq!(treasury(), ED);
    });
}

#[test]
fn what_would_not_open_an_account_is_not_spent() {
    run(|| {
        fill(1_000);
        assert_noop!(spend(NOBODY, ED - 1), Error::<Test>::CannotReceive);
        assert_ok!(spend(NOBODY, ED));
        assert_eq!(balance(NOBODY), ED);
    });
}
