//! What has ended goes by itself, a little in each block.

use crate::{
    mock::*, Anchors, Channels, ChannelsByPayer, Event, HoldReason, SweptChannel, SweptWorker, SWEPT_CHANNELS,
};
use frame_support::{assert_ok, traits::Hooks, weights::Weight};
use polkadot_sdk::*;

/// The end of a block with weight left over.
fn idle() -> Weight {
    Inference::on_idle(System::block_number(), Weight::MAX)
}

/// As many ends of blocks as it takes to look at everything once.
fn round() {
    for _ in 0..20 {
        idle();
    }
}

#[test]
fn a_channel_that_has_ended_is_closed_by_the_chain() {
    run(|| {
        let (short, long) = (open(500, 100), open(500, 200));
        assert_ok!(redeem(short, 120));
        System::set_block_number(101);
        round();
        assert_eq!(Channels::<Test>::iter_keys().count(), 2);
        System::set_block_number(102);
        idle();
        System::assert_last_event(Event::ChannelClosed { channel: short, returned: 380 }.into());
        assert_eq!(held(&payer_account(), HoldReason::Channel), 500 + CHANNEL_DEPOSIT);
        assert_eq!(ChannelsByPayer::<Test>::iter_keys().map(|(_, id)| id).collect::<Vec<_>>(), [long]);
    });
}

#[test]
fn the_end_that_a_payer_asked_for_is_kept_to() {
    run(|| {
        let id = open(500, 100);
        assert_ok!(Inference::request_close(signed(payer_account()), id));
        System::set_block_number(1 + NOTICE);
        round();
        assert!(Channels::<Test>::contains_key(id));
        System::set_block_number(2 + NOTICE);
        round();
        assert_eq!(Balances::free_balance(payer_account()), FUNDS);
    });
}

#[test]
fn a_block_looks_at_few_channels_and_the_next_goes_on() {
    run(|| {
        let ids: Vec<_> = (0..2 * SWEPT_CHANNELS + 1).map(|_| open(MIN_ESCROW, 100)).collect();
        let left = || Channels::<Test>::iter_keys().count() as u32;
        idle();
        assert_eq!((left(), SweptChannel::<Test>::get().is_some()), (9, true));
        System::set_block_number(102);
        idle();
        idle();
        // The first block of the round was before they had ended.
        assert_eq!((left(), SweptChannel::<Test>::get()), (SWEPT_CHANNELS, None));
        idle();
        idle();
        assert_eq!((left(), SweptChannel::<Test>::get()), (0, None));
        assert_eq!(held(&payer_account(), HoldReason::Channel), 0);
        assert_eq!(ids.len(), 9);
    });
}

#[test]
fn anchors_that_have_lived_are_pruned_by_the_chain() {
    run(|| {
        let many = u64::from(MAX_PRUNE) + 2;
        for sequence in 0..many {
            include_next(sequence);
        }
        System::set_block_number(1 + ANCHOR_LIFETIME);
        round();
        assert_eq!(Anchors::<Test>::iter_keys().count() as u64, many);
        System::set_block_number(100 + ANCHOR_LIFETIME);
        while Inference::served(gateway()).oldest == 0 {
            idle();
        }
        assert_eq!(Inference::served(gateway()).oldest, u64::from(MAX_PRUNE), "a block prunes a bounded number");
        // Who has more is the next once more.
        idle();
        System::assert_last_event(Event::Pruned { worker: gateway(), oldest: many }.into());
        assert_eq!(held(&gateway(), HoldReason::AnchorDeposit), SERVED_DEPOSIT);
        assert_eq!(SweptWorker::<Test>::get(), Some(gateway()));
        idle();
        assert_eq!(SweptWorker::<Test>::get(), None, "the next round begins");
    });
}

#[test]
fn what_fills_a_block_comes_first() {
    run(|| {
        open(500, 100);
        System::set_block_number(102);
        assert_eq!(Inference::on_idle(102, Weight::zero()), Weight::zero());
        assert_eq!(Channels::<Test>::iter_keys().count(), 1);
        let most = Inference::heaviest_sweep();
        let taken = Inference::on_idle(102, most);
        assert!(taken.any_gt(Weight::zero()) && taken.all_lte(most));
        assert_eq!(Channels::<Test>::iter_keys().count(), 0);
    });
}
