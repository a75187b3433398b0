use crate::{mock::*, Call, Error, Event, LastHeartbeat, EXPIRY_TOO_FAR};
use blyan_primitives::{
    traits::WorkerRegistry,
    worker::{Heartbeat, WorkerInfo},
};
use codec::{Decode, Encode};
use frame_support::{
    assert_noop, assert_ok,
    dispatch::{GetDispatchInfo, Pays},
};
use polkadot_sdk::*;
use sp_core::Pair;
use sp_runtime::{
    transaction_validity::{InvalidTransaction, TransactionValidityError},
    AccountId32, DispatchError,
};

/// A heartbeat of worker `n` for the present period, valid to the period's end.
fn present(n: u8) -> Heartbeat<AccountId32, u64> {
    let period = System::block_number() / PERIOD;
    heartbeat(n, period as u32, (period + 1) * PERIOD - 1)
}

fn call(n: u8, heartbeat: Heartbeat<AccountId32, u64>) -> RuntimeCall {
    heartbeat_call(n, heartbeat, genesis())
}

/// Refused in the pool, in a block, and, should it ever be authorised, in dispatch: each for its own reason.
fn refused(n: u8, heartbeat: Heartbeat<AccountId32, u64>, validity: InvalidTransaction, dispatch: Error<Test>) {
    let validity = TransactionValidityError::from(validity);
    assert_eq!(submit(call(n, heartbeat.clone())), Err(validity));
    assert_eq!(include(call(n, heartbeat.clone())), Err(validity));
    let signature = key(n).sign(&heartbeat.signing_hash(&genesis()));
    let authorized = frame_system::RawOrigin::Authorized;
    assert_noop!(Workers::heartbeat(authorized.into(), heartbeat, signature), dispatch);
}

fn registered() {
    assert_ok!(register(1));
    System::set_block_number(25);
}

#[test]
fn a_heartbeat_is_free_and_brings_a_worker_online() {
    run(|| {
        registered();
        assert_eq!(Workers::online_roles(&account(1)), None);
        let before = Balances::free_balance(account(1));
        assert_eq!(include(call(1, present(1))), Ok(Ok(())));
        assert_eq!(Balances::free_balance(account(1)), before);
        System::assert_last_event(Event::HeartbeatReceived { worker: account(1), period: 2 }.into());
        assert_eq!(Workers::online_roles(&account(1)), Some(info(1).roles));
    });
}

#[test]
fn a_worker_is_offline_after_too_many_missed_periods() {
    run(|| {
        registered();
        assert_eq!(include(call(1, present(1))), Ok(Ok(())));
        // Period 2 had the heartbeat; 3, 4 and 5 are missed when block 60 begins.
        System::set_block_number(59);
        assert!(Workers::online_roles(&account(1)).is_some());
        System::set_block_number(60);
        assert!(Workers::online_roles(&account(1)).is_none());
        assert_eq!(include(call(1, present(1))), Ok(Ok(())));
        assert!(Workers::online_roles(&account(1)).is_some());
    });
}

#[test]
fn the_pool_knows_two_heartbeats_of_one_period_for_the_same() {
    run(|| {
        registered();
        let (one, other) = (heartbeat(1, 2, 29), heartbeat(1, 2, 28));
        let one = submit(call(1, one)).unwrap();
        let other = submit(call(1, other)).unwrap();
        assert_eq!(one.provides, vec![("BlyanHeartbeat", (account(1), 2u32).encode()).encode()]);
        assert_eq!((&one.provides, one.priority), (&other.provides, other.priority));
        assert_eq!(one.priority, PRIORITY);
        assert!(one.requires.is_empty() && one.propagate);
        // Valid in this block and the four after it, or the three.
        assert_eq!((one.longevity, other.longevity), (5, 4));
    });
}

#[test]
fn a_heartbeat_dies_with_its_period() {
    run(|| {
        registered();
        assert_eq!(submit(call(1, heartbeat(1, 2, 34))).unwrap().longevity, 5);
    });
}

#[test]
fn a_replayed_heartbeat_is_refused() {
    run(|| {
        registered();
        let first = present(1);
        assert_eq!(include(call(1, first.clone())), Ok(Ok(())));
        refused(1, first.clone(), InvalidTransaction::Stale, Error::HeartbeatKnown);
        System::set_block_number(29);
        refused(1, heartbeat(1, 2, 33), InvalidTransaction::Stale, Error::HeartbeatKnown);
        System::set_block_number(31);
        refused(1, first, InvalidTransaction::Stale, Error::HeartbeatExpired);
    });
}

#[test]
fn a_heartbeat_is_not_replayed_for_a_worker_that_left_and_came_back() {
    run(|| {
        registered();
        let before = present(1);
        assert_eq!(include(call(1, before.clone())), Ok(Ok(())));
        assert_ok!(Workers::leave(signed(1)));
        assert_ok!(register(1));
        refused(1, before, InvalidTransaction::Stale, Error::HeartbeatStale);
        // Nor is a new one accepted, which could not be told from it.
        refused(1, heartbeat(1, 2, 28), InvalidTransaction::Stale, Error::HeartbeatStale);
        assert_eq!(Workers::online_roles(&account(1)), None);
        System::set_block_number(30);
        assert_eq!(include(call(1, present(1))), Ok(Ok(())));
        assert!(Workers::online_roles(&account(1)).is_some());
    });
}

#[test]
fn an_expired_heartbeat_is_refused() {
    run(|| {
        registered();
        refused(1, heartbeat(1, 2, 24), InvalidTransaction::Stale, Error::HeartbeatExpired);
    });
}

#[test]
fn a_heartbeat_of_another_period_is_refused() {
    run(|| {
        registered();
        refused(1, heartbeat(1, 1, 29), InvalidTransaction::Stale, Error::HeartbeatStale);
        refused(1, heartbeat(1, 3, 34), InvalidTransaction::Future, Error::HeartbeatTooEarly);
    });
}

#[test]
fn a_heartbeat_cannot_be_valid_for_long() {
    run(|| {
        registered();
        assert_ok!(submit(call(1, heartbeat(1, 2, 35))));
        let far = InvalidTransaction::Custom(EXPIRY_TOO_FAR);
        refused(1, heartbeat(1, 2, 36), far, Error::HeartbeatExpiryTooFar);
    });
}

#[test]
fn a_stranger_has_no_heartbeat() {
    run(|| {
        registered();
        refused(2, present(2), InvalidTransaction::BadSigner, Error::NotRegistered);
        assert_ok!(Workers::leave(signed(1)));
        refused(1, present(1), InvalidTransaction::BadSigner, Error::NotRegistered);
    });
}

#[test]
fn a_heartbeat_with_another_key_or_for_another_chain_is_refused() {
    run(|| {
        registered();
        let bad_proof = InvalidTransaction::BadProof.into();
        assert_eq!(submit(call(2, present(1))), Err(bad_proof));
        assert_eq!(submit(heartbeat_call(1, present(1), [1; 32])), Err(bad_proof));
        assert_eq!(include(heartbeat_call(1, present(1), [1; 32])).unwrap_err(), bad_proof);

        let tampered = RuntimeCall::Workers(Call::heartbeat {
            heartbeat: heartbeat(1, 2, 28),
            signature: key(1).sign(&present(1).signing_hash(&genesis())),
        });
        assert_eq!(submit(tampered), Err(InvalidTransaction::BadProof.into()));
    });
}

#[test]
fn a_former_key_signs_no_heartbeat() {
    run(|| {
        registered();
        let renewed = WorkerInfo { key: key(7).public().0, ..info(1) };
        let signature = key(7).sign(&renewed.signing_hash(&genesis(), &account(1)));
        assert_ok!(Workers::update(signed(1), renewed, signature));
        assert_eq!(submit(call(1, present(1))), Err(InvalidTransaction::BadProof.into()));
        assert_ok!(submit(heartbeat_call(7, present(1), genesis())));
    });
}

#[test]
fn a_heartbeat_is_no_signed_call() {
    run(|| {
        registered();
        let signature = key(1).sign(&present(1).signing_hash(&genesis()));
        for origin in [signed(1), RuntimeOrigin::root(), RuntimeOrigin::none()] {
            assert_noop!(Workers::heartbeat(origin, present(1), signature), DispatchError::BadOrigin);
        }
        // Or anybody could fill blocks with failures that cost nothing.
        assert_eq!(call(1, present(1)).get_dispatch_info().pays_fee, Pays::Yes);
    });
}

#[test]
fn leaving_forgets_heartbeats() {
    run(|| {
        registered();
        assert_eq!(include(call(1, present(1))), Ok(Ok(())));
        assert_ok!(Workers::leave(signed(1)));
        assert_eq!(LastHeartbeat::<Test>::get(account(1)), None);
        assert_ok!(register(1));
        assert_eq!(Workers::online_roles(&account(1)), None);
    });
}

#[test]
fn the_signed_bytes_are_those_of_the_shared_type() {
    // Off chain the heartbeat is encoded with 32-byte accounts and 32-bit block numbers; here block numbers are wider,
    // but the layout is the same.
    let heartbeat = heartbeat(1, 2, 29);
    let encoded = (account(1), 2u32, 29u64).encode();
    assert_eq!(heartbeat.encode(), encoded);
    assert_eq!(Heartbeat::decode(&mut encoded.as_slice()), Ok(heartbeat));
}
