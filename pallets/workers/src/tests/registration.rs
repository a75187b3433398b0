use crate::{mock::*, Error, Event, HoldReason, Keys, Workers as WorkerMap};
use blyan_primitives::{
    hardware::Tier,
    traits::WorkerRegistry,
    worker::{Roles, WorkerInfo},
};
use frame_support::{
    assert_noop, assert_ok,
    traits::{fungible::InspectHold, Hooks},
};
use polkadot_sdk::*;
use sp_core::Pair;
use sp_runtime::TokenError;

fn register_info(n: u8, info: WorkerInfo) -> sp_runtime::DispatchResult {
    let signature = proof(n, &info);
    Workers::register(signed(n), info, signature)
}

fn update(n: u8, info: WorkerInfo) -> sp_runtime::DispatchResult {
    let signature = proof(n, &info);
    Workers::update(signed(n), info, signature)
}

#[test]
fn a_worker_registers_with_a_deposit() {
    run(|| {
        assert_ok!(register(1));
        System::assert_last_event(Event::Registered { worker: account(1), tier: Tier(7) }.into());
        let record = WorkerMap::<Test>::get(account(1)).unwrap();
        assert_eq!((record.info, record.tier, record.registered_at), (info(1), Tier(7), 1));
        assert_eq!(Balances::balance_on_hold(&HoldReason::Registration.into(), &account(1)), DEPOSIT);
        assert_eq!(Workers::key(&account(1)), Some(info(1).key));
        assert_eq!(Workers::roles(&account(1)), Some(info(1).roles));
        assert_eq!(Workers::tier(&account(1)), Some(Tier(7)));
        assert_eq!(
            (Workers::key(&account(2)), Workers::roles(&account(2)), Workers::tier(&account(2))),
            (None, None, None)
        );
    });
}

#[test]
fn an_account_has_one_worker() {
    run(|| {
        assert_ok!(register(1));
        assert_noop!(register(1), Error::<Test>::AlreadyRegistered);
    });
}

#[test]
fn unsound_information_is_refused_by_name() {
    run(|| {
        let refused = |change: fn(&mut WorkerInfo), error: Error<Test>| {
            let mut bad = info(1);
            change(&mut bad);
            assert_noop!(register_info(1, bad), error);
        };
        refused(|w| w.peer_id = Default::default(), Error::InvalidPeerId);
        refused(|w| w.addresses[0] = Default::default(), Error::InvalidAddress);
        refused(|w| w.region = codec::Decode::decode(&mut [0u8; 6].as_slice()).unwrap(), Error::InvalidRegion);
        refused(|w| w.roles = Roles(0), Error::InvalidRoles);
        refused(|w| w.hardware.ram_mib = 0, Error::InvalidHardware);
    });
}

#[test]
fn a_key_is_registered_by_its_holder_for_this_account_and_chain() {
    run(|| {
        let stolen = WorkerInfo { key: key(2).public().0, ..info(1) };
        assert_noop!(register_info(1, stolen), Error::<Test>::BadSignature);

        let for_another_account = key(1).sign(&info(1).signing_hash(&genesis(), &account(2)));
        assert_noop!(Workers::register(signed(1), info(1), for_another_account), Error::<Test>::BadSignature);

        let for_another_chain = key(1).sign(&info(1).signing_hash(&[1; 32], &account(1)));
        assert_noop!(Workers::register(signed(1), info(1), for_another_chain), Error::<Test>::BadSignature);

        let other_information = WorkerInfo { roles: Roles::ALL, ..info(1) };
        assert_noop!(Workers::register(signed(1), other_information, proof(1, &info(1))), Error::<Test>::BadSignature);
    });
}

#[test]
fn no_two_workers_share_a_key() {
    run(|| {
        assert_ok!(register(1));
        let same_key = WorkerInfo { key: key(1).public().0, ..info(2) };
        let signature = key(1).sign(&same_key.signing_hash(&genesis(), &account(2)));
        assert_noop!(Workers::register(signed(2), same_key.clone(), signature), Error::<Test>::KeyTaken);
        assert_ok!(register(2));
        assert_noop!(Workers::update(signed(2), same_key, signature), Error::<Test>::KeyTaken);
    });
}

#[test]
fn who_cannot_cover_the_deposit_does_not_register() {
    run(|| {
        assert_noop!(register(POOR), TokenError::FundsUnavailable);
    });
}

#[test]
fn an_update_replaces_what_is_known_but_the_machine() {
    run(|| {
        assert_noop!(update(1, info(1)), Error::<Test>::NotRegistered);
        assert_ok!(register(1));
        System::set_block_number(5);
        let mut weaker = info(1);
        weaker.hardware.vram_mib = 0;
        weaker.roles = Roles::SERVE;
        assert_ok!(update(1, weaker.clone()));
        System::assert_last_event(Event::Updated { worker: account(1), tier: Tier::CPU }.into());
        let record = WorkerMap::<Test>::get(account(1)).unwrap();
        assert_eq!((record.info, record.tier, record.registered_at), (weaker.clone(), Tier::CPU, 1));

        weaker.roles = Roles(0);
        assert_noop!(update(1, weaker), Error::<Test>::InvalidRoles);
        let moved = WorkerInfo { hardware_id: info(2).hardware_id, ..info(1) };
        assert_noop!(update(1, moved), Error::<Test>::HardwareChanged);
    });
}

#[test]
fn a_key_is_replaced_with_the_new_keys_signature() {
    run(|| {
        assert_ok!(register(1));
        let renewed = WorkerInfo { key: key(7).public().0, ..info(1) };
        assert_noop!(update(1, renewed.clone()), Error::<Test>::BadSignature);
        let signature = key(7).sign(&renewed.signing_hash(&genesis(), &account(1)));
        assert_ok!(Workers::update(signed(1), renewed, signature));
        assert_eq!(Keys::<Test>::get(key(1).public().0), None);
        assert_eq!(Keys::<Test>::get(key(7).public().0), Some(account(1)));
    });
}

#[test]
fn a_worker_leaves() {
    run(|| {
        assert_noop!(Workers::leave(signed(1)), Error::<Test>::NotRegistered);
        assert_ok!(register(1));
        assert_ok!(Workers::leave(signed(1)));
        System::assert_last_event(Event::Left { worker: account(1), hardware_free_at: 1 + COOLING }.into());
        assert_eq!(Workers::key(&account(1)), None);
        assert_eq!(Keys::<Test>::get(info(1).key), None);
        assert_eq!(WorkerMap::<Test>::count(), 0);
    });
}

#[test]
fn the_constants_fit_together() {
    Workers::integrity_test();
}
