use crate::{mock::*, Event, Minted, Spending, Spent};
use blyan_primitives::{
    pact::Ppm,
    traits::{Payout, Pool},
};
use frame_support::{assert_ok, traits::fungible::Inspect};
use polkadot_sdk::*;
use sp_runtime::ArithmeticError;

fn pay(pool: Pool, to: u8, amount: u128) -> u128 {
    Economy::pay(pool, &account(to), amount)
}

fn available(pool: Pool) -> u128 {
    Economy::available(pool)
}

#[test]
fn work_is_paid_with_new_money() {
    run(|| {
        assert_eq!(pay(Pool::Learning, 1, 300), 300);
        assert_eq!(balance(1), FUNDS + 300);
        assert_eq!(Balances::total_issuance(), ALLOCATED + 300);
        assert_eq!(Minted::<Test>::get(), ALLOCATED + 300);
        assert_eq!(Spent::<Test>::get(Pool::Learning), Spending { era: 7, amount: 300 });
        let paid = Event::Paid { pool: Pool::Learning, to: account(1), from_pool: 0, minted: 300 };
        assert_eq!(events(), vec![paid]);
    });
}

#[test]
fn a_pool_mints_no_more_than_its_share_of_an_era() {
    run(|| {
        assert_eq!(available(Pool::Validation), 2_000);
        assert_eq!(pay(Pool::Validation, 1, 1_500), 1_500);
        assert_eq!(available(Pool::Validation), 500);
        assert_eq!(pay(Pool::Validation, 1, 1_500), 500);
        assert_eq!(pay(Pool::Validation, 1, 1_500), 0);
        // The others have theirs.
        assert_eq!(pay(Pool::Inference, 2, 5_000), 1_000);
        assert_eq!(pay(Pool::Data, 2, 5_000), 2_000);
        assert_eq!(pay(Pool::Learning, 2, 9_000), 5_000);
        assert_eq!(Balances::total_issuance(), ALLOCATED + ERA_EMISSION);
    });
}

#[test]
fn what_is_not_spent_in_an_era_is_not_carried_over() {
    run(|| {
        assert_eq!(pay(Pool::Data, 1, 100), 100);
        Era::set(8);
        assert_eq!(available(Pool::Data), 2_000);
        Era::set(20);
        assert_eq!(available(Pool::Data), 2_000);
        assert_eq!(pay(Pool::Data, 1, 10_000), 2_000);
        assert_eq!(Spent::<Test>::get(Pool::Data), Spending { era: 20, amount: 2_000 });
    });
}

#[test]
fn a_pools_own_money_is_paid_out_first() {
    run(|| {
        assert_ok!(Economy::fund_pool(signed(2), Pool::Inference, 500 + ED));
        assert_eq!(available(Pool::Inference), 1_500);
        assert_eq!(pay(Pool::Inference, 1, 400), 400);
        assert_eq!(Minted::<Test>::get(), ALLOCATED);
        // 100 are left in the account, and 1,000 can be minted.
        assert_eq!(pay(Pool::Inference, 1, 2_000), 1_100);
        assert_eq!(Minted::<Test>::get(), ALLOCATED + 1_000);
        assert_eq!(Balances::balance(&Economy::pool_account(Pool::Inference)), ED);
        let paid = |from_pool, minted| Event::Paid { pool: Pool::Inference, to: account(1), from_pool, minted };
        assert_eq!(events()[1..], [paid(400, 0), paid(100, 1_000)]);
        assert_eq!(available(Pool::Inference), 0);
    });
}

#[test]
fn what_would_not_open_an_account_is_not_paid() {
    run(|| {
        assert_eq!(pay(Pool::Data, NOBODY, ED - 1), 0);
        assert_eq!(pay(Pool::Data, NOBODY, 0), 0);
        assert_eq!((events(), Minted::<Test>::get()), (vec![], ALLOCATED));
        assert_eq!(pay(Pool::Data, NOBODY, ED), ED);
        assert_eq!(pay(Pool::Data, NOBODY, 1), 1);
        assert_eq!(balance(NOBODY), ED + 1);
    });
}

#[test]
fn an_account_can_be_opened_with_old_and_new_money_together() {
    run(|| {
        assert_ok!(Economy::fund_pool(signed(2), Pool::Data, ED + 4));
        assert_eq!(pay(Pool::Data, NOBODY, ED), ED);
        assert_eq!(Minted::<Test>::get(), ALLOCATED + ED - 4);
        assert_eq!(balance(NOBODY), ED);
    });
}

#[test]
fn a_pool_can_pay_itself() {
    run(|| {
        assert_ok!(Economy::fund_pool(signed(2), Pool::Data, 100));
        let data = Economy::pool_account(Pool::Data);
        assert_eq!(Economy::pay(Pool::Data, &data, 50), 50);
        assert_eq!(Balances::balance(&data), 100);
    });
}

#[test]
fn the_emission_halves() {
    run(|| {
        // Half of the 600,000 that are left to emit.
        Economics::mutate(|rules| rules.era_emission = 600_000);
        assert_eq!(pay(Pool::Learning, 1, CAP), 300_000);
        Era::set(8);
        assert_eq!(available(Pool::Learning), 150_000);
        assert_eq!(Economy::issuance().halvings, 1);
        assert_eq!(pay(Pool::Learning, 1, CAP), 150_000);
        Era::set(9);
        assert_eq!(Economy::issuance().halvings, 2);
        assert_eq!(available(Pool::Learning), 75_000);
    });
}

#[test]
fn a_halving_counts_at_once() {
    run(|| {
        Economics::mutate(|rules| rules.era_emission = 700_000);
        assert_eq!(available(Pool::Learning), 350_000);
        assert_eq!(pay(Pool::Learning, 1, 299_999), 299_999);
        assert_eq!(available(Pool::Learning), 50_001);
        assert_eq!(pay(Pool::Learning, 1, 1), 1);
        // The budget is 175,000 by now, and more is spent.
        assert_eq!(available(Pool::Learning), 0);
        assert_eq!(available(Pool::Data), 70_000);
    });
}

#[test]
fn a_change_of_the_pact_counts_at_once() {
    run(|| {
        assert_eq!(pay(Pool::Learning, 1, 3_000), 3_000);
        Economics::mutate(|rules| (rules.learning, rules.data) = (Ppm(200_000), Ppm(500_000)));
        assert_eq!((available(Pool::Learning), available(Pool::Data)), (0, 5_000));
        Economics::mutate(|rules| rules.era_emission = 0);
        assert_eq!(available(Pool::Data), 0);
        assert_eq!(pay(Pool::Data, 1, 100), 0);
    });
}

#[test]
fn nothing_is_minted_past_the_cap() {
    run(|| {
        Economics::mutate(|rules| rules.era_emission = u128::MAX);
        assert_eq!(pay(Pool::Learning, 1, u128::MAX), CAP - ALLOCATED);
        assert_eq!(Balances::total_issuance(), CAP);
        for era in 8..12 {
            Era::set(era);
            assert!(Pool::ALL.into_iter().all(|pool| available(pool) == 0 && pay(pool, 1, 1_000) == 0));
        }
    });
}

#[test]
fn burning_makes_no_room_for_new_money() {
    run(|| {
        Economics::mutate(|rules| rules.era_emission = u128::MAX);
        assert_eq!(pay(Pool::Learning, 1, u128::MAX), CAP - ALLOCATED);
        drop(take(2, 50_000));
        assert_eq!(Balances::total_issuance(), CAP - 50_000);
        Era::set(8);
        assert_eq!(pay(Pool::Learning, 1, 1_000), 0);
        // What pools were given is still paid.
        assert_ok!(Economy::fund_pool(signed(1), Pool::Learning, 1_000 + ED));
        assert_eq!(pay(Pool::Learning, 2, 5_000), 1_000);
    });
}

#[test]
fn the_mint_itself_refuses_what_is_past_the_cap() {
    run(|| {
        let refused = |amount| Economy::mint(Pool::Data, amount).err() == Some(ArithmeticError::Overflow.into());
        assert!(refused(CAP - ALLOCATED + 1));
        assert!(refused(u128::MAX));
        assert_eq!((Minted::<Test>::get(), Balances::total_issuance()), (ALLOCATED, ALLOCATED));
        drop(Economy::mint(Pool::Data, CAP - ALLOCATED).unwrap());
        assert_eq!((Minted::<Test>::get(), Balances::total_issuance()), (CAP, ALLOCATED));
    });
}
