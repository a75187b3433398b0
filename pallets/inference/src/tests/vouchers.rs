use crate::{mock::*, Error, Event, HoldReason};
use blyan_primitives::payment::Voucher;
use frame_support::{assert_noop, assert_ok, traits::fungible::MutateFreeze};
use polkadot_sdk::*;
use sp_core::{ecdsa, ed25519, sr25519, Pair};
use sp_runtime::{traits::IdentifyAccount, MultiSignature, MultiSigner};

#[test]
fn a_voucher_pays_what_is_new_in_it() {
    run(|| {
        let id = open(500, 100);
        assert_ok!(redeem(id, 120));
        System::assert_last_event(Event::VoucherRedeemed { channel: id, paid: 120, cumulative: 120 }.into());
        assert_ok!(redeem(id, 150));
        System::assert_last_event(Event::VoucherRedeemed { channel: id, paid: 30, cumulative: 150 }.into());
        assert_eq!(Balances::free_balance(gateway()), FUNDS + 150);
        assert_eq!(held(&payer_account(), HoldReason::Channel), 350 + CHANNEL_DEPOSIT);
    });
}

#[test]
fn a_replayed_or_older_voucher_pays_nothing() {
    run(|| {
        let id = open(500, 100);
        assert_ok!(redeem(id, 120));
        for cumulative in [120, 119, 0] {
            assert_noop!(redeem(id, cumulative), Error::<Test>::VoucherNotNewer);
        }
    });
}

#[test]
fn a_voucher_over_the_escrow_is_refused() {
    run(|| {
        let id = open(500, 100);
        assert_noop!(redeem(id, 501), Error::<Test>::OverEscrow);
        assert_noop!(redeem(id, u128::MAX), Error::<Test>::OverEscrow);
        assert_ok!(redeem(id, 500));
        assert_eq!(held(&payer_account(), HoldReason::Channel), CHANNEL_DEPOSIT);
    });
}

#[test]
fn a_voucher_for_no_channel_is_refused() {
    run(|| {
        assert_noop!(redeem(0, 1), Error::<Test>::UnknownChannel);
    });
}

#[test]
fn a_voucher_by_another_or_for_another_chain_channel_or_amount_is_refused() {
    run(|| {
        let (id, other) = (open(500, 100), open(500, 100));
        let good = Voucher { channel: id, cumulative: 100 };
        let refused = |voucher: Voucher, signature: sr25519::Signature| {
            let signature = MultiSignature::from(signature);
            assert_noop!(Inference::redeem(signed(gateway()), voucher, signature), Error::<Test>::BadSignature);
        };
        let stranger = sr25519::Pair::from_seed(&[9; 32]);
        refused(good, stranger.sign(&good.signing_hash(&genesis())));
        refused(good, payer().sign(&good.signing_hash(&[1; 32])));
        refused(Voucher { channel: other, ..good }, payer().sign(&good.signing_hash(&genesis())));
        refused(Voucher { cumulative: 101, ..good }, payer().sign(&good.signing_hash(&genesis())));
        refused(good, payer().sign(&good.wrapped_signing_bytes(&[1; 32])));
        assert_ok!(redeem(id, 100));
    });
}

#[test]
fn a_voucher_signed_in_a_browser_is_worth_the_same() {
    run(|| {
        let voucher = Voucher { channel: open(500, 100), cumulative: 100 };
        let signature = payer().sign(&voucher.wrapped_signing_bytes(&genesis()));
        assert_ok!(Inference::redeem(signed(anyone()), voucher, signature.into()));
        assert_eq!(Balances::free_balance(gateway()), FUNDS + 100);
    });
}

#[test]
fn accounts_of_every_scheme_pay() {
    run(|| {
        let (ed, ec) = (ed25519::Pair::from_seed(&[1; 32]), ecdsa::Pair::from_seed(&[1; 32]));
        let sign = [
            (
                MultiSigner::from(ed.public()),
                Box::new(|m: &[u8]| ed.sign(m).into()) as Box<dyn Fn(&[u8]) -> MultiSignature>,
            ),
            (MultiSigner::from(ec.public()), Box::new(|m: &[u8]| ec.sign(m).into())),
        ];
        for (signer, sign) in sign {
            let account = signer.into_account();
            assert_ok!(Balances::force_set_balance(RuntimeOrigin::root(), account.clone(), FUNDS));
            let channel = crate::NextChannel::<Test>::get();
            assert_ok!(Inference::open(signed(account), gateway(), 100, 100));
            let voucher = Voucher { channel, cumulative: 60 };
            assert_ok!(Inference::redeem(signed(anyone()), voucher, sign(&voucher.signing_hash(&genesis()))));
            let voucher = Voucher { channel, cumulative: 70 };
            assert_ok!(Inference::redeem(signed(anyone()), voucher, sign(&voucher.wrapped_signing_bytes(&genesis()))));
        }
    });
}

#[test]
fn a_payer_cannot_lock_away_what_is_promised() {
    run(|| {
        let id = open(9_000, 100);
        // As a vote or a vesting schedule would: all of the account is frozen, which held money can cover.
        assert_ok!(Balances::set_freeze(&0, &payer_account(), FUNDS));
        assert_ok!(redeem(id, 9_000));
        assert_eq!(Balances::free_balance(gateway()), FUNDS + 9_000);
    });
}
