//! What does not add up is seen.

use crate::{mock::*, Hardware, HoldReason, Keys, LastHeartbeat, Standings, Workers as WorkerMap};
use blyan_primitives::{hardware::Tier, trust::Standing};
use frame_support::{
    assert_ok,
    traits::{fungible::MutateHold, tokens::Precision},
};
use polkadot_sdk::*;

/// Corrupts a chain with a worker in quarantine, and gives the reason for which it is refused.
fn seen(corrupt: impl FnOnce()) -> String {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1));
        assert_ok!(quarantine(1));
        assert_ok!(Workers::do_try_state());
        corrupt();
        let error: &str = Workers::do_try_state().unwrap_err().into();
        error.to_string()
    })
}

fn change(change: fn(&mut crate::WorkerRecord<u64>)) {
    WorkerMap::<Test>::mutate(account(1), |record| change(record.as_mut().unwrap()));
}

#[test]
fn registrations_that_do_not_add_up_are_seen() {
    assert_eq!(seen(|| change(|w| w.info.hardware.ram_mib = 0)), "a worker's information is unsound");
    assert_eq!(seen(|| change(|w| w.tier = Tier::CPU)), "a worker's tier is not that of its hardware");
    assert_eq!(seen(|| change(|w| w.info.key = [0; 32])), "a worker's key leads elsewhere");
    assert_eq!(seen(|| Keys::<Test>::insert([0; 32], account(1))), "a key leads to a worker that has another");
    assert_eq!(seen(|| Keys::<Test>::insert([0; 32], account(2))), "a key leads to no worker");
    assert_eq!(seen(|| LastHeartbeat::<Test>::insert(account(2), 0)), "a heartbeat is from no worker");
    assert_eq!(seen(|| LastHeartbeat::<Test>::insert(account(1), 1)), "a heartbeat is from a later period");
}

#[test]
fn machines_that_do_not_add_up_are_seen() {
    let machine = info(1).hardware_id;
    let change = |change: fn(&mut crate::HardwareBindingOf<Test>)| {
        move || Hardware::<Test>::mutate(machine, |binding| change(binding.as_mut().unwrap()))
    };
    assert_eq!(seen(|| Hardware::<Test>::remove(machine)), "a worker's machine is not bound");
    assert_eq!(seen(change(|b| b.owner = account(2))), "a worker's machine is bound elsewhere");
    assert_eq!(seen(change(|b| b.deposit += 1)), "deposits for machines are not what is held");
    let other = info(2).hardware_id;
    let binding = |n: u8| crate::HardwareBinding { owner: account(n), deposit: 0, free_at: None };
    assert_eq!(seen(|| Hardware::<Test>::insert(other, binding(1))), "a machine is bound to a worker that has another");
    assert_eq!(seen(|| Hardware::<Test>::insert(other, binding(2))), "a machine is bound to no worker");
}

#[test]
fn holds_that_do_not_add_up_are_seen() {
    assert_eq!(
        seen(|| {
            assert_ok!(Balances::release(&HoldReason::Registration.into(), &account(1), 1, Precision::Exact));
        }),
        "deposits for machines are not what is held"
    );
}

#[test]
fn standings_that_say_nothing_are_seen() {
    assert_eq!(
        seen(|| Standings::<Test>::insert(account(1), Standing::default())),
        "a standing is kept that everybody begins with"
    );
}
