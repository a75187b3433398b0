//! What does not add up is seen.

use crate::{mock::*, Allocated, Minted, Spending, Spent};
use blyan_primitives::traits::{Payout, Pool};
use frame_support::{assert_ok, traits::fungible::Mutate};
use polkadot_sdk::*;

/// Corrupts a chain that has paid for work, and gives the reason for which it is refused.
fn seen(corrupt: impl FnOnce()) -> String {
    new_test_ext().execute_with(|| {
        assert_eq!(Economy::pay(Pool::Data, &account(1), 100), 100);
        Economy::do_try_state().unwrap();
        corrupt();
        let error: &str = Economy::do_try_state().unwrap_err().into();
        error.to_string()
    })
}

#[test]
fn money_that_nobody_minted_is_seen() {
    assert_eq!(
        seen(|| {
            assert_ok!(Balances::mint_into(&account(1), 1));
        }),
        "there is more money than was minted"
    );
    assert_eq!(
        seen(|| {
            assert_ok!(Balances::force_set_balance(RuntimeOrigin::root(), account(1), 2 * FUNDS));
        }),
        "there is more money than was minted"
    );
    assert_eq!(seen(|| Minted::<Test>::put(CAP + 1)), "more was minted than ever can be");
    assert_eq!(seen(|| MaxIssuance::set(Balances::total_issuance() - 1)), "more was minted than ever can be");
    assert_eq!(seen(|| Allocated::<Test>::put(CAP)), "more was allocated than was minted");
}

#[test]
fn spending_that_does_not_add_up_is_seen() {
    let spent = |era, amount| move || Spent::<Test>::insert(Pool::Learning, Spending { era, amount });
    assert_eq!(seen(spent(8, 0)), "a pool has minted in a later era");
    assert_eq!(seen(spent(7, 1)), "pools have minted more than was minted");
    assert_eq!(seen(spent(7, u128::MAX)), "pools have minted more than can be counted");
}
