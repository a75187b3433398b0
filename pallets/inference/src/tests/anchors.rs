use crate::{mock::*, Anchors, AnchorsInBlock, Call, Error, Event, HoldReason, Refusal, ServedBy, LOOK_AHEAD};
use blyan_primitives::receipt::{AnchorPayload, MAX_BATCH};
use codec::Encode;
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

type Payload = AnchorPayload<AccountId32, u64>;

fn include_anchor(payload: Payload) {
    assert_eq!(include(anchor_call(payload)), Ok(Ok(())));
}

/// Refused in the pool, in a block, and, should it ever be authorised, in dispatch: each for its own reason.
fn refused(payload: Payload, validity: InvalidTransaction, dispatch: Error<Test>) {
    assert_eq!(submit(anchor_call(payload.clone())), Err(validity.into()));
    refused_in_block(payload, validity, dispatch);
}

fn refused_in_block(payload: Payload, validity: InvalidTransaction, dispatch: Error<Test>) {
    assert_eq!(include(anchor_call(payload.clone())), Err(TransactionValidityError::from(validity)));
    let signature = key(&payload.worker).sign(&payload.signing_hash(&genesis()));
    assert_noop!(Inference::anchor(frame_system::RawOrigin::Authorized.into(), payload, signature), dispatch);
}

#[test]
fn an_anchor_is_free_but_for_its_deposit() {
    run(|| {
        let before = Balances::free_balance(gateway());
        include_anchor(payload(0));
        let Payload { worker, sequence, root, count, tokens, .. } = payload(0);
        System::assert_last_event(Event::Anchored { worker, sequence, root, count, tokens }.into());
        let anchor = Inference::anchor_of(gateway(), 0).unwrap();
        assert_eq!((anchor.root, anchor.count, anchor.tokens, anchor.anchored_at), (root, 20, 1_000, 1));
        assert_eq!(held(&gateway(), HoldReason::AnchorDeposit), ANCHOR_DEPOSIT + SERVED_DEPOSIT);
        assert_eq!(Balances::free_balance(gateway()), before - ANCHOR_DEPOSIT - SERVED_DEPOSIT);
    });
}

#[test]
fn the_deposit_for_what_a_worker_has_served_is_held_once() {
    run(|| {
        for sequence in 0..3 {
            include_next(sequence);
        }
        assert_eq!(held(&gateway(), HoldReason::AnchorDeposit), 3 * ANCHOR_DEPOSIT + SERVED_DEPOSIT);
        assert_eq!(Inference::served(gateway()).deposit, SERVED_DEPOSIT);
    });
}

#[test]
fn a_worker_anchors_once_in_a_few_blocks() {
    run(|| {
        include_next(0);
        for early in 1..1 + SPACING {
            System::set_block_number(early);
            // It is no fault to be early: the pool keeps it for the block in which it is due.
            let valid = submit(anchor_call(payload(1))).unwrap();
            assert!(valid.requires.is_empty());
            refused_in_block(payload(1), InvalidTransaction::ExhaustsResources, Error::AnchorTooSoon);
        }
        // A worker is not held up by another.
        assert_eq!(include(anchor_call(Payload { worker: server(), ..payload(0) })), Ok(Ok(())));
        System::set_block_number(1 + SPACING);
        include_anchor(payload(1));
    });
}

#[test]
fn an_early_anchor_is_refused_before_its_signature_is_looked_at() {
    run(|| {
        include_next(0);
        let unsigned = anchor_call_for(payload(1), &server(), genesis());
        assert_eq!(include(unsigned.clone()), Err(InvalidTransaction::ExhaustsResources.into()));
        System::set_block_number(1 + SPACING);
        assert_eq!(include(unsigned), Err(InvalidTransaction::BadProof.into()));
    });
}

#[test]
fn a_block_has_a_bounded_number_of_anchors() {
    run(|| {
        let of = |worker: AccountId32| Payload { worker, ..payload(0) };
        include_anchor(of(gateway()));
        include_anchor(of(server()));
        refused_in_block(of(poor_gateway()), InvalidTransaction::ExhaustsResources, Error::BlockFullOfAnchors);
        // The pool does not know how full the next block will be.
        assert_ok!(submit(anchor_call(of(poor_gateway()))));
        System::set_block_number(2);
        include_anchor(of(poor_gateway()));
        assert_eq!(AnchorsInBlock::<Test>::get(), (2, 1));
    });
}

#[test]
fn anchors_behind_the_next_one_give_way_to_all_that_pays() {
    run(|| {
        let priority = |sequence| submit(anchor_call(payload(sequence))).unwrap().priority;
        assert_eq!((priority(0), priority(1), priority(LOOK_AHEAD)), (PRIORITY, 0, 0));
        include_next(0);
        assert_eq!((priority(1), priority(2)), (PRIORITY, 0));
    });
}

#[test]
fn totals_count_every_anchor() {
    run(|| {
        include_next(0);
        System::set_block_number(1 + SPACING);
        include_anchor(Payload { count: 5, tokens: u64::MAX, ..payload(1) });
        let served = Inference::served(gateway());
        assert_eq!((served.next, served.oldest, served.receipts), (2, 0, 25));
        assert_eq!(served.tokens, u128::from(u64::MAX) + 1_000);
        assert_eq!(Inference::next_sequence(gateway()), 2);
        assert_eq!((Inference::next_sequence(anyone()), Inference::anchor_of(gateway(), 2)), (0, None));
    });
}

#[test]
fn the_pool_knows_two_anchors_of_one_sequence_number_for_the_same() {
    run(|| {
        let one = submit(anchor_call(payload(0))).unwrap();
        let other = submit(anchor_call(Payload { tokens: 7, expires_at: 5, ..payload(0) })).unwrap();
        assert_eq!(one.provides, vec![("BlyanAnchor", (gateway(), 0u64)).encode()]);
        assert_eq!((&one.provides, one.priority), (&other.provides, other.priority));
        assert_eq!(one.priority, PRIORITY);
        assert!(one.requires.is_empty() && one.propagate);
        assert_eq!((one.longevity, other.longevity), (10, 5));
    });
}

#[test]
fn anchors_wait_in_the_pool_for_those_before_them() {
    run(|| {
        let first = submit(anchor_call(payload(0))).unwrap();
        let second = submit(anchor_call(payload(1))).unwrap();
        assert_eq!(second.requires, first.provides);
        // In a block, it is too early.
        refused_in_block(payload(1), InvalidTransaction::Future, Error::AnchorTooEarly);
        include_anchor(payload(0));
        assert!(submit(anchor_call(payload(1))).unwrap().requires.is_empty());
        include_next(1);
    });
}

#[test]
fn the_pool_looks_ahead_no_further_than_its_bound() {
    run(|| {
        assert_ok!(submit(anchor_call(payload(LOOK_AHEAD))));
        refused(payload(LOOK_AHEAD + 1), InvalidTransaction::Future, Error::AnchorTooEarly);
        refused(payload(u64::MAX), InvalidTransaction::Future, Error::AnchorTooEarly);
    });
}

#[test]
fn a_second_anchor_of_one_sequence_number_is_refused() {
    run(|| {
        include_anchor(payload(0));
        refused(payload(0), InvalidTransaction::Stale, Error::AnchorKnown);
        refused(Payload { tokens: 7, ..payload(0) }, InvalidTransaction::Stale, Error::AnchorKnown);
        assert_eq!(Anchors::<Test>::iter().count(), 1);
    });
}

#[test]
fn an_expired_anchor_is_refused() {
    run(|| {
        System::set_block_number(10);
        refused(Payload { expires_at: 9, ..payload(0) }, InvalidTransaction::Stale, Error::AnchorExpired);
        assert_ok!(submit(anchor_call(Payload { expires_at: 10, ..payload(0) })));
    });
}

#[test]
fn an_anchor_cannot_wait_for_long() {
    run(|| {
        let last = 1 + VALIDITY;
        assert_ok!(submit(anchor_call(Payload { expires_at: last, ..payload(0) })));
        let far = Payload { expires_at: last + 1, ..payload(0) };
        refused(far, Refusal::ExpiryTooFar.into(), Error::AnchorExpiryTooFar);
    });
}

#[test]
fn a_batch_is_neither_empty_nor_too_large() {
    run(|| {
        for count in [0, MAX_BATCH + 1] {
            refused(Payload { count, ..payload(0) }, Refusal::InvalidCount.into(), Error::InvalidCount);
        }
        include_anchor(Payload { count: MAX_BATCH, ..payload(0) });
        System::set_block_number(1 + SPACING);
        include_anchor(Payload { count: 1, ..payload(1) });
    });
}

#[test]
fn a_stranger_anchors_nothing() {
    run(|| {
        let stranger = Payload { worker: anyone(), ..payload(0) };
        refused(stranger, InvalidTransaction::BadSigner, Error::NotAWorker);
    });
}

#[test]
fn an_anchor_with_another_key_or_for_another_chain_is_refused() {
    run(|| {
        let bad_proof = TransactionValidityError::from(InvalidTransaction::BadProof);
        for call in [
            anchor_call_for(payload(0), &server(), genesis()),
            anchor_call_for(payload(0), &gateway(), [1; 32]),
            RuntimeCall::Inference(Call::anchor {
                signature: key(&gateway()).sign(&payload(0).signing_hash(&genesis())),
                payload: Payload { tokens: 1_001, ..payload(0) },
            }),
        ] {
            assert_eq!(submit(call.clone()), Err(bad_proof));
            assert_eq!(include(call), Err(bad_proof));
        }
    });
}

#[test]
fn an_anchor_whose_deposit_is_not_covered_is_refused_in_the_pool() {
    run(|| {
        // Two deposits are covered, with that for the worker's totals, and those of the anchors before one count.
        let poor = |sequence| Payload { worker: poor_gateway(), ..payload(sequence) };
        assert_ok!(submit(anchor_call(poor(1))));
        assert_eq!(submit(anchor_call(poor(2))), Err(InvalidTransaction::Payment.into()));
        include_anchor(poor(0));
        System::set_block_number(1 + SPACING);
        include_anchor(poor(1));
        System::set_block_number(1 + 2 * SPACING);
        refused(poor(2), InvalidTransaction::Payment, Error::DepositNotCovered);
    });
}

#[test]
fn an_anchor_is_no_signed_call() {
    run(|| {
        let signature = key(&gateway()).sign(&payload(0).signing_hash(&genesis()));
        for origin in [signed(gateway()), RuntimeOrigin::root(), RuntimeOrigin::none()] {
            assert_noop!(Inference::anchor(origin, payload(0), signature), DispatchError::BadOrigin);
        }
        // Or anybody could fill blocks with failures that cost nothing.
        assert_eq!(anchor_call(payload(0)).get_dispatch_info().pays_fee, Pays::Yes);
    });
}

#[test]
fn a_worker_that_comes_back_continues_its_sequence() {
    run(|| {
        include_anchor(payload(0));
        System::set_block_number(1 + SPACING);
        let worker = Registered::mutate(|workers| workers.remove(&gateway())).unwrap();
        refused(payload(1), InvalidTransaction::BadSigner, Error::NotAWorker);
        Registered::mutate(|workers| workers.insert(gateway(), worker));
        refused(payload(0), InvalidTransaction::Stale, Error::AnchorKnown);
        include_anchor(payload(1));
        assert_eq!(ServedBy::<Test>::get(gateway()).next, 2);
    });
}
