use crate::{mock::*, Bonds, Error, Event, HoldReason, Unbonding};
use frame_support::{assert_noop, assert_ok, traits::fungible::InspectHold};
use polkadot_sdk::*;
use proptest::prelude::*;
use sp_runtime::TokenError;

fn held(n: u8) -> u128 {
    Balances::balance_on_hold(&HoldReason::Bond.into(), &account(n))
}

fn bonded(n: u8, amount: u128) {
    assert_ok!(register(n));
    assert_ok!(Workers::bond(signed(n), amount));
}

#[test]
fn a_worker_bonds() {
    run(|| {
        bonded(1, 50);
        System::assert_last_event(Event::Bonded { worker: account(1), amount: 50 }.into());
        assert_ok!(Workers::bond(signed(1), 5));
        assert_eq!((held(1), Workers::bond_of(account(1)).unwrap().active), (55, 55));
        assert_eq!(Workers::worker(account(1)).unwrap().bond, 55);
    });
}

#[test]
fn a_bond_is_refused_that_is_nothing_too_small_or_nobodys() {
    run(|| {
        assert_noop!(Workers::bond(signed(1), 50), Error::<Test>::NotRegistered);
        assert_ok!(register(1));
        assert_noop!(Workers::bond(signed(1), 0), Error::<Test>::ZeroAmount);
        assert_noop!(Workers::bond(signed(1), MIN_BOND - 1), Error::<Test>::BelowMinBond);
        assert_noop!(Workers::bond(signed(1), FUNDS), TokenError::FundsUnavailable);
    });
}

#[test]
fn what_is_unbonded_comes_back_after_a_while() {
    run(|| {
        bonded(1, 100);
        assert_ok!(Workers::unbond(signed(1), 30));
        System::assert_last_event(Event::Unbonded { worker: account(1), amount: 30, due: 1 + UNBONDING }.into());
        System::set_block_number(UNBONDING);
        assert_noop!(Workers::withdraw_unbonded(signed(1)), Error::<Test>::NothingDue);
        assert_eq!(held(1), 100);
        System::set_block_number(UNBONDING + 1);
        assert_ok!(Workers::withdraw_unbonded(signed(1)));
        System::assert_last_event(Event::Withdrawn { worker: account(1), amount: 30 }.into());
        assert_eq!(held(1), 70);
    });
}

#[test]
fn a_bond_is_unbonded_down_to_the_least_or_whole() {
    run(|| {
        bonded(1, 100);
        assert_noop!(Workers::unbond(signed(1), 0), Error::<Test>::ZeroAmount);
        assert_noop!(Workers::unbond(signed(1), 101), Error::<Test>::NotEnoughBonded);
        assert_noop!(Workers::unbond(signed(1), 81), Error::<Test>::BelowMinBond);
        assert_noop!(Workers::unbond(signed(2), 1), Error::<Test>::NotEnoughBonded);
        assert_ok!(Workers::unbond(signed(1), 80));
        assert_ok!(Workers::unbond(signed(1), 20));
        System::set_block_number(1 + UNBONDING);
        assert_ok!(Workers::withdraw_unbonded(signed(1)));
        assert_eq!((held(1), Bonds::<Test>::get(account(1))), (0, None));
        assert_noop!(Workers::withdraw_unbonded(signed(1)), Error::<Test>::NothingDue);
    });
}

#[test]
fn the_parts_on_their_way_back_are_bounded() {
    run(|| {
        bonded(1, 100);
        for block in 1..=u64::from(MAX_UNBONDING) {
            System::set_block_number(block);
            assert_ok!(Workers::unbond(signed(1), 5));
            // What is unbonded in the same block is one part.
            assert_ok!(Workers::unbond(signed(1), 5));
        }
        System::set_block_number(10);
        assert_noop!(Workers::unbond(signed(1), 5), Error::<Test>::TooManyUnbonding);
        System::set_block_number(1 + UNBONDING);
        assert_ok!(Workers::withdraw_unbonded(signed(1)));
        assert_ok!(Workers::unbond(signed(1), 5));
    });
}

#[test]
fn who_leaves_unbonds_all_even_where_there_is_no_room_for_a_part() {
    run(|| {
        bonded(1, 100);
        for block in 1..=u64::from(MAX_UNBONDING) {
            System::set_block_number(block);
            assert_ok!(Workers::unbond(signed(1), 10));
        }
        System::set_block_number(8);
        assert_ok!(Workers::leave(signed(1)));
        let bond = Workers::bond_of(account(1)).unwrap();
        assert_eq!(bond.active, 0);
        assert_eq!(bond.unbonding.last(), Some(&Unbonding { amount: 80, due: 8 + UNBONDING }));
        System::set_block_number(8 + UNBONDING);
        assert_ok!(Workers::withdraw_unbonded(signed(1)));
        assert_eq!(held(1), 0);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Bond(u128),
    Unbond(u128),
    Withdraw,
    Leave,
    Register,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u128..200).prop_map(Step::Bond),
        3 => (0u128..100).prop_map(Step::Unbond),
        2 => Just(Step::Withdraw),
        1 => Just(Step::Leave),
        2 => Just(Step::Register),
        2 => (1u64..20).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_bond_is_what_is_held_whatever_happens(steps in proptest::collection::vec(step(), 1..60)) {
        new_test_ext().execute_with(|| {
            for step in steps {
                // A refused step changes nothing, which the invariants after it would show.
                let _ = match step {
                    Step::Bond(amount) => Workers::bond(signed(1), amount),
                    Step::Unbond(amount) => Workers::unbond(signed(1), amount),
                    Step::Withdraw => Workers::withdraw_unbonded(signed(1)),
                    Step::Leave => Workers::leave(signed(1)),
                    Step::Register => register(1),
                    Step::Wait(blocks) => {
                        System::set_block_number(System::block_number() + blocks);
                        Ok(())
                    },
                };
                prop_assert_eq!(Workers::do_try_state(), Ok(()));
            }
            // Whatever happened, all of it can be had back.
            let _ = Workers::leave(signed(1));
            System::set_block_number(System::block_number() + UNBONDING);
            let _ = Workers::withdraw_unbonded(signed(1));
            prop_assert_eq!(held(1), 0);
            Ok(())
        })?;
    }
}
