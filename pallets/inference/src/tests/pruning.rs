use crate::{mock::*, weights::WeightInfo, Anchors, Config, Error, Event, HoldReason};
use frame_support::{assert_noop, assert_ok, dispatch::PostDispatchInfo};
use polkadot_sdk::*;

/// Anchors `count` batches, one as soon as it is due after another, from block 1 on.
fn anchor(count: u64) {
    for sequence in 0..count {
        include_next(sequence);
    }
}

/// The last block of the life of anchor `sequence`.
fn end(sequence: u64) -> u64 {
    1 + SPACING * sequence + ANCHOR_LIFETIME
}

fn prune(limit: u32) -> Result<PostDispatchInfo, sp_runtime::DispatchErrorWithPostInfo<PostDispatchInfo>> {
    Inference::prune(signed(anyone()), gateway(), limit)
}

#[test]
fn anchors_stay_for_their_lifetime() {
    run(|| {
        anchor(3);
        System::set_block_number(end(0));
        assert_noop!(prune(9), Error::<Test>::NothingToPrune);
        System::set_block_number(end(2));
        let post = prune(9).unwrap();
        assert_eq!(post.actual_weight, Some(<Test as Config>::WeightInfo::prune(2)));
        System::assert_last_event(Event::Pruned { worker: gateway(), oldest: 2 }.into());
        assert_eq!(held(&gateway(), HoldReason::AnchorDeposit), ANCHOR_DEPOSIT + SERVED_DEPOSIT);
        assert!(Anchors::<Test>::contains_key(gateway(), 2) && !Anchors::<Test>::contains_key(gateway(), 1));
        assert_noop!(prune(9), Error::<Test>::NothingToPrune);
    });
}

#[test]
fn one_call_prunes_a_bounded_number() {
    run(|| {
        anchor(7);
        System::set_block_number(100 + ANCHOR_LIFETIME);
        assert_noop!(prune(0), Error::<Test>::NothingToPrune);
        assert_ok!(prune(1));
        assert_eq!(Inference::served(gateway()).oldest, 1);
        assert_ok!(prune(u32::MAX));
        assert_eq!(Inference::served(gateway()).oldest, 1 + u64::from(MAX_PRUNE));
        assert_ok!(prune(u32::MAX));
        assert_eq!(held(&gateway(), HoldReason::AnchorDeposit), SERVED_DEPOSIT);
        assert_noop!(prune(1), Error::<Test>::NothingToPrune);
    });
}

#[test]
fn what_was_served_is_remembered_after_pruning() {
    run(|| {
        anchor(2);
        System::set_block_number(100 + ANCHOR_LIFETIME);
        assert_ok!(prune(2));
        let served = Inference::served(gateway());
        assert_eq!((served.next, served.oldest, served.receipts, served.tokens), (2, 2, 40, 2_000));
        assert_eq!(served.deposit, SERVED_DEPOSIT);
        assert_eq!(include(anchor_call(payload(2))), Ok(Ok(())));
    });
}

#[test]
fn anchors_of_a_worker_that_left_are_pruned_all_the_same() {
    run(|| {
        anchor(1);
        Registered::mutate(|workers| workers.clear());
        System::set_block_number(100 + ANCHOR_LIFETIME);
        assert_ok!(prune(1));
        // Its totals stay, and what is held for them: its sequence numbers never start again.
        assert_eq!(Balances::free_balance(gateway()), FUNDS - SERVED_DEPOSIT);
        assert_eq!(Inference::next_sequence(gateway()), 1);
    });
}
