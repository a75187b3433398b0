use crate::{mock::*, Channels, ChannelsByPayer, Error, Event, HoldReason};
use frame_support::{assert_noop, assert_ok, traits::Hooks};
use polkadot_sdk::*;
use sp_runtime::TokenError;

fn held_for_channels() -> u128 {
    held(&payer_account(), HoldReason::Channel)
}

#[test]
fn a_channel_holds_what_is_put_in() {
    run(|| {
        let id = open(500, 100);
        System::assert_last_event(
            Event::ChannelOpened {
                channel: id,
                payer: payer_account(),
                gateway: gateway(),
                escrow: 500,
                expires_at: 101,
            }
            .into(),
        );
        assert_eq!(held_for_channels(), 500 + CHANNEL_DEPOSIT);
        let channel = Inference::channel(id).unwrap();
        assert_eq!((channel.escrow, channel.redeemed, channel.ends_at()), (500, 0, 101));
        assert_eq!(open(60, 100), id + 1);
        assert_eq!(held_for_channels(), 560 + 2 * CHANNEL_DEPOSIT);
    });
}

#[test]
fn a_channel_is_refused_for_its_reason() {
    run(|| {
        let open = |gateway, amount, duration| Inference::open(signed(payer_account()), gateway, amount, duration);
        assert_noop!(open(server(), 100, 100), Error::<Test>::NotAGateway);
        assert_noop!(open(anyone(), 100, 100), Error::<Test>::NotAGateway);
        assert_noop!(open(payer_account(), 100, 100), Error::<Test>::OwnGateway);
        assert_noop!(open(gateway(), MIN_ESCROW - 1, 100), Error::<Test>::BelowMinEscrow);
        assert_noop!(open(gateway(), 100, NOTICE - 1), Error::<Test>::InvalidDuration);
        assert_noop!(open(gateway(), 100, MAX_LIFETIME + 1), Error::<Test>::InvalidDuration);
        assert_noop!(open(gateway(), u128::MAX, 100), Error::<Test>::InvalidAmount);
        assert_noop!(open(gateway(), FUNDS, 100), TokenError::FundsUnavailable);
        assert_ok!(open(gateway(), MIN_ESCROW, NOTICE));
        assert_ok!(open(gateway(), MIN_ESCROW, MAX_LIFETIME));
    });
}

#[test]
fn more_is_put_in_by_the_payer_while_the_channel_is_open() {
    run(|| {
        let id = open(100, 100);
        assert_ok!(Inference::top_up(signed(payer_account()), id, 50));
        System::assert_last_event(Event::ChannelToppedUp { channel: id, escrow: 150 }.into());
        assert_eq!(held_for_channels(), 150 + CHANNEL_DEPOSIT);
        assert_ok!(redeem(id, 150));

        assert_noop!(Inference::top_up(signed(payer_account()), id, 0), Error::<Test>::InvalidAmount);
        assert_noop!(Inference::top_up(signed(payer_account()), id, u128::MAX), Error::<Test>::InvalidAmount);
        assert_noop!(Inference::top_up(signed(payer_account()), id, FUNDS), TokenError::FundsUnavailable);
        assert_noop!(Inference::top_up(signed(anyone()), id, 50), Error::<Test>::NotPayer);
        assert_noop!(Inference::top_up(signed(payer_account()), 9, 50), Error::<Test>::UnknownChannel);
        System::set_block_number(102);
        assert_noop!(Inference::top_up(signed(payer_account()), id, 50), Error::<Test>::ChannelEnded);
    });
}

#[test]
fn a_payer_whose_gateway_vanishes_has_everything_back_after_the_notice_period() {
    run(|| {
        let id = open(500, 100);
        assert_ok!(redeem(id, 120));
        // The gateway leaves the network.
        Registered::mutate(|workers| workers.remove(&gateway()));
        assert_ok!(Inference::request_close(signed(payer_account()), id));
        System::assert_last_event(Event::CloseRequested { channel: id, closes_at: 1 + NOTICE }.into());
        assert_noop!(Inference::close(signed(payer_account()), id), Error::<Test>::ChannelNotEnded);
        System::set_block_number(1 + NOTICE);
        assert_noop!(Inference::close(signed(payer_account()), id), Error::<Test>::ChannelNotEnded);
        System::set_block_number(2 + NOTICE);
        assert_ok!(Inference::close(signed(anyone()), id));
        System::assert_last_event(Event::ChannelClosed { channel: id, returned: 380 }.into());
        assert_eq!(Balances::free_balance(payer_account()), FUNDS - 120);
        assert_eq!(held_for_channels(), 0);
        assert!(Channels::<Test>::get(id).is_none() && ChannelsByPayer::<Test>::iter().next().is_none());
    });
}

#[test]
fn a_gateway_redeems_until_the_notice_period_ends() {
    run(|| {
        let id = open(500, 100);
        assert_ok!(Inference::request_close(signed(payer_account()), id));
        System::set_block_number(1 + NOTICE);
        assert_ok!(redeem(id, 300));
        System::set_block_number(2 + NOTICE);
        assert_noop!(redeem(id, 400), Error::<Test>::ChannelEnded);
    });
}

#[test]
fn the_end_is_asked_for_once_by_the_payer_of_an_open_channel() {
    run(|| {
        let id = open(500, 100);
        assert_noop!(Inference::request_close(signed(gateway()), id), Error::<Test>::NotPayer);
        assert_noop!(Inference::request_close(signed(payer_account()), 9), Error::<Test>::UnknownChannel);
        assert_ok!(Inference::request_close(signed(payer_account()), id));
        assert_noop!(Inference::request_close(signed(payer_account()), id), Error::<Test>::ChannelClosing);
        assert_noop!(Inference::top_up(signed(payer_account()), id, 50), Error::<Test>::ChannelClosing);

        let other = open(500, 100);
        System::set_block_number(102);
        assert_noop!(Inference::request_close(signed(payer_account()), other), Error::<Test>::ChannelEnded);
    });
}

#[test]
fn a_notice_period_does_not_outlast_the_channel() {
    run(|| {
        let id = open(500, 100);
        System::set_block_number(95);
        assert_ok!(Inference::request_close(signed(payer_account()), id));
        System::assert_last_event(Event::CloseRequested { channel: id, closes_at: 101 }.into());
        System::set_block_number(102);
        assert_ok!(Inference::close(signed(anyone()), id));
    });
}

#[test]
fn an_expired_channel_is_closed_by_anyone_and_pays_nobody_else() {
    run(|| {
        let id = open(500, 100);
        System::set_block_number(101);
        assert_noop!(Inference::close(signed(anyone()), id), Error::<Test>::ChannelNotEnded);
        assert_ok!(redeem(id, 10));
        System::set_block_number(102);
        assert_noop!(redeem(id, 20), Error::<Test>::ChannelEnded);
        assert_ok!(Inference::close(signed(anyone()), id));
        assert_noop!(Inference::close(signed(anyone()), id), Error::<Test>::UnknownChannel);
        assert_eq!(Balances::free_balance(payer_account()), FUNDS - 10);
    });
}

#[test]
fn a_gateway_closes_its_channel_at_once() {
    run(|| {
        let id = open(500, 100);
        assert_ok!(redeem(id, 100));
        assert_ok!(Inference::close(signed(gateway()), id));
        assert_eq!(Balances::free_balance(payer_account()), FUNDS - 100);
        assert_eq!(Balances::free_balance(gateway()), FUNDS + 100);
    });
}

#[test]
fn a_payer_finds_its_channels() {
    run(|| {
        let ids = [open(100, 100), open(200, 100)];
        let mut found = Inference::channels_of(payer_account());
        found.sort_by_key(|(id, _)| *id);
        assert_eq!(
            found.iter().map(|(id, channel)| (*id, channel.escrow)).collect::<Vec<_>>(),
            vec![(ids[0], 100), (ids[1], 200)]
        );
        assert!(Inference::channels_of(anyone()).is_empty());
        assert_eq!(Inference::channel(9), None);
    });
}

#[test]
fn the_constants_fit_together() {
    Inference::integrity_test();
}

/// Why the runtime is refused.
fn contradiction() -> String {
    let panic = std::panic::catch_unwind(Inference::integrity_test).unwrap_err();
    // An assertion without arguments panics with a literal.
    panic.downcast::<&str>().unwrap().to_string()
}

#[test]
fn constants_that_contradict_each_other_are_refused() {
    // Each by its message, and each alone.
    let refused = |change: fn(), restore: fn(), reason: &str| {
        change();
        let message = contradiction();
        assert!(message.contains(reason), "{message}");
        restore();
        Inference::integrity_test();
    };
    refused(|| LeastEscrow::set(0), || LeastEscrow::set(MIN_ESCROW), "MinEscrow is 0");
    refused(|| PerChannel::set(0), || PerChannel::set(CHANNEL_DEPOSIT), "ChannelDeposit is 0");
    refused(|| PerAnchor::set(0), || PerAnchor::set(ANCHOR_DEPOSIT), "AnchorDeposit is 0");
    refused(|| PerWorker::set(0), || PerWorker::set(SERVED_DEPOSIT), "ServedDeposit is 0");
    refused(|| NoticePeriod::set(0), || NoticePeriod::set(NOTICE), "NoticePeriod is 0");
    refused(
        || NoticePeriod::set(MAX_LIFETIME + 1),
        || NoticePeriod::set(NOTICE),
        "MaxChannelLifetime is less than NoticePeriod",
    );
    refused(|| MaxAnchorValidity::set(0), || MaxAnchorValidity::set(VALIDITY), "MaxAnchorValidity is 0");
    refused(|| MostPruned::set(0), || MostPruned::set(MAX_PRUNE), "MaxPrune is 0");
    refused(|| AnchorSpacing::set(0), || AnchorSpacing::set(SPACING), "AnchorSpacing is 0");
    refused(
        || AnchorSpacing::set(VALIDITY + 1),
        || AnchorSpacing::set(SPACING),
        "AnchorSpacing is more than MaxAnchorValidity",
    );
    refused(
        || Lifetime::set(SPACING - 1),
        || Lifetime::set(ANCHOR_LIFETIME),
        "AnchorSpacing is more than AnchorLifetime",
    );
    refused(|| MaxAnchorsPerBlock::set(0), || MaxAnchorsPerBlock::set(MAX_PER_BLOCK), "MaxAnchorsPerBlock is 0");
    refused(
        || MaxAnchorsPerBlock::set(1 << 20),
        || MaxAnchorsPerBlock::set(MAX_PER_BLOCK),
        "MaxAnchorsPerBlock is too high",
    );
    refused(|| MostPruned::set(1 << 20), || MostPruned::set(MAX_PRUNE), "MaxPrune is too high");
}
