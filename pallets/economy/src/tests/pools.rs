use crate::{mock::*, Error, Event};
use blyan_primitives::traits::Pool;
use frame_support::{assert_noop, assert_ok, traits::fungible::Inspect};
use polkadot_sdk::*;
use sp_runtime::{traits::AccountIdConversion, AccountId32, DispatchError};

#[test]
fn anyone_can_give_to_a_pool() {
    run(|| {
        assert_ok!(Economy::fund_pool(signed(1), Pool::Data, 700));
        assert_eq!(Balances::balance(&Economy::pool_account(Pool::Data)), 700);
        assert_eq!(balance(1), FUNDS - 700);
        assert_eq!(events(), vec![Event::PoolFunded { pool: Pool::Data, from: account(1), amount: 700 }]);
        assert_noop!(Economy::fund_pool(RuntimeOrigin::root(), Pool::Data, 700), DispatchError::BadOrigin);
    });
}

#[test]
fn nothing_is_no_gift() {
    run(|| {
        assert_noop!(Economy::fund_pool(signed(1), Pool::Data, 0), Error::<Test>::ZeroAmount);
    });
}

#[test]
fn a_giver_keeps_its_account() {
    run(|| {
        let all = FUNDS - ED;
        assert_noop!(Economy::fund_pool(signed(1), Pool::Data, all + 1), Error::<Test>::InsufficientFunds);
        assert_noop!(Economy::fund_pool(signed(1), Pool::Data, u128::MAX), Error::<Test>::InsufficientFunds);
        assert_ok!(Economy::fund_pool(signed(1), Pool::Data, all));
        assert_eq!(balance(1), ED);
        assert_noop!(Economy::fund_pool(signed(NOBODY), Pool::Data, ED), Error::<Test>::InsufficientFunds);
    });
}

#[test]
fn a_first_gift_must_open_the_pools_account() {
    run(|| {
        assert_noop!(Economy::fund_pool(signed(1), Pool::Data, ED - 1), Error::<Test>::CannotReceive);
        assert_ok!(Economy::fund_pool(signed(1), Pool::Data, ED));
        assert_ok!(Economy::fund_pool(signed(1), Pool::Data, 1));
    });
}

#[test]
fn accounts_are_derived_as_documented() {
    run(|| {
        let id = <Test as crate::Config>::PalletId::get();
        let expected: [AccountId32; 4] = [0u8, 1, 2, 3].map(|n| id.into_sub_account_truncating((b"pool", n)));
        assert_eq!(Pool::ALL.map(Economy::pool_account), expected);
        let bytes: &[u8; 32] = expected[3].as_ref();
        assert_eq!(bytes, b"modlblyan/ecpool\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let bytes: [u8; 32] = Economy::treasury_account().into();
        assert_eq!(&bytes, b"modlblyan/ectreasury\0\0\0\0\0\0\0\0\0\0\0\0");
    });
}
