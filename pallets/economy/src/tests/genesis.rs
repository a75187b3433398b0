use crate::{mock::*, Allocated, Minted};
use frame_support::traits::Hooks;
use polkadot_sdk::*;
use std::panic::{catch_unwind, AssertUnwindSafe};

#[test]
fn what_there_is_at_genesis_is_the_allocation() {
    run(|| {
        assert_eq!(Minted::<Test>::get(), ALLOCATED);
        assert_eq!(Allocated::<Test>::get(), ALLOCATED);
    });
}

#[test]
fn all_of_the_cap_can_be_allocated() {
    genesis_ext(vec![(account(1), CAP)]).execute_with(|| {
        assert_eq!(Minted::<Test>::get(), CAP);
        Economy::do_try_state().unwrap();
    });
}

#[test]
fn an_allocation_above_the_cap_does_not_start() {
    let build = || genesis_ext(vec![(account(1), CAP), (account(2), ED)]);
    let panic = catch_unwind(AssertUnwindSafe(build)).err().unwrap();
    let text = *panic.downcast::<String>().unwrap();
    assert_eq!(text, "the genesis allocation of 1000010 is more than can ever be issued, 1000000");
}

#[test]
fn a_runtime_without_money_is_refused() {
    MaxIssuance::set(0);
    assert!(catch_unwind(<Economy as Hooks<u64>>::integrity_test).is_err());
    MaxIssuance::set(CAP);
    <Economy as Hooks<u64>>::integrity_test();
}
