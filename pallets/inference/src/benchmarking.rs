//! Benchmarks of the calls, each at its worst case.

#![allow(
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "never part of a chain's runtime; what the macros make has no documentation"
)]

use crate::{pallet::*, Anchor, Channel, Served};
use blyan_primitives::{
    ids::BatchRoot,
    payment::{ChannelId, Voucher},
    receipt::{AnchorPayload, MAX_BATCH},
};
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::{Get, TransactionSource},
    traits::{
        fungible::{Inspect, Mutate, MutateHold},
        Authorize,
    },
};
use frame_system::RawOrigin;
use polkadot_sdk::*;
use sp_core::{crypto::KeyTypeId, sr25519};
use sp_runtime::traits::{One, Saturating};

const KEY_TYPE: KeyTypeId = KeyTypeId(*b"blyn");

/// What benchmarks need of the runtime.
pub trait BenchmarkHelper<AccountId, Signature> {
    /// Registers `account` as a gateway whose worker signs with `key`.
    fn register_gateway(account: &AccountId, key: [u8; 32]);

    /// An account that can sign, and its signature of the wrapped form of `voucher` on the chain of `genesis`, in the
    /// scheme that takes longest to verify. Always the same account.
    fn sign_wrapped(voucher: &Voucher, genesis: &[u8]) -> (AccountId, Signature);
}

fn fund<T: Config<Currency: Mutate<T::AccountId>>>(who: &T::AccountId) {
    let deposits = T::ChannelDeposit::get() + T::AnchorDeposit::get() + T::ServedDeposit::get();
    let amount = T::MinEscrow::get() + deposits;
    let many = Balance::from(T::MaxPrune::get()) + 10;
    T::Currency::set_balance(who, (amount + T::Currency::minimum_balance()) * many);
}

fn funded<T: Config<Currency: Mutate<T::AccountId>>>() -> T::AccountId {
    let who = whitelisted_caller::<T::AccountId>();
    fund::<T>(&who);
    who
}

/// A registered gateway and its key.
fn gateway<T: Config<Currency: Mutate<T::AccountId>>>() -> (T::AccountId, sr25519::Public) {
    let who: T::AccountId = account("gateway", 0, 0);
    fund::<T>(&who);
    let key = sp_io::crypto::sr25519_generate(KEY_TYPE, None);
    T::BenchmarkHelper::register_gateway(&who, key.0);
    (who, key)
}

/// A channel of `payer` with twice the least in it.
fn open<T: Config<Currency: Mutate<T::AccountId>>>(payer: &T::AccountId) -> Result<ChannelId, BenchmarkError> {
    let id = NextChannel::<T>::get();
    let amount = T::MinEscrow::get() * 2;
    Pallet::<T>::do_open(payer.clone(), gateway::<T>().0, amount, T::MaxChannelLifetime::get())?;
    Ok(id)
}

/// An anchor of the gateway, its second, that can be included in this block, and the gateway's signature.
fn signed_anchor<T: Config<Currency: Mutate<T::AccountId>>>(
) -> Result<(AnchorPayloadOf<T>, sr25519::Signature), BenchmarkError> {
    let (worker, key) = gateway::<T>();
    let anchored_at = frame_system::Pallet::<T>::block_number();
    let first = Anchor { root: BatchRoot([0; 32]), count: 1, tokens: 1, anchored_at, deposit: 0 };
    Anchors::<T>::insert(&worker, 0, first);
    ServedBy::<T>::insert(&worker, Served { next: 1, ..Default::default() });
    frame_system::Pallet::<T>::set_block_number(anchored_at.saturating_add(T::AnchorSpacing::get()));
    let payload = AnchorPayload {
        worker,
        sequence: 1,
        root: BatchRoot([1; 32]),
        count: MAX_BATCH,
        tokens: 1 << 20,
        expires_at: frame_system::Pallet::<T>::block_number(),
    };
    let message = payload.signing_hash(Pallet::<T>::genesis().as_ref());
    let signature = sp_io::crypto::sr25519_sign(KEY_TYPE, &key, &message).ok_or("the keystore has the key")?;
    Ok((payload, signature))
}

/// A worker with `n` anchors that have lived, and one that has not.
fn aged<T: Config<Currency: Mutate<T::AccountId>>>(n: u32) -> Result<T::AccountId, BenchmarkError> {
    let worker: T::AccountId = account("worker", 0, 0);
    fund::<T>(&worker);
    let now = frame_system::Pallet::<T>::block_number();
    let late = now.saturating_add(T::AnchorLifetime::get()).saturating_add(One::one());
    let deposit = T::AnchorDeposit::get();
    let total = u64::from(n) + 1;
    for sequence in 0..total {
        let anchored_at = if sequence + 1 == total { late } else { now };
        let old = Anchor { root: BatchRoot([1; 32]), count: MAX_BATCH, tokens: 1, anchored_at, deposit };
        Anchors::<T>::insert(&worker, sequence, old);
    }
    T::Currency::hold(&HoldReason::AnchorDeposit.into(), &worker, deposit * Balance::from(total))?;
    ServedBy::<T>::insert(&worker, Served { next: total, ..Default::default() });
    frame_system::Pallet::<T>::set_block_number(late);
    Ok(worker)
}

#[benchmarks(where T: Config<Currency: Mutate<T::AccountId>>)]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn open() -> Result<(), BenchmarkError> {
        let payer = funded::<T>();
        let (gateway, _) = gateway::<T>();

        #[extrinsic_call]
        _(RawOrigin::Signed(payer), gateway, T::MinEscrow::get(), T::MaxChannelLifetime::get());

        assert_eq!(NextChannel::<T>::get(), 1);
        Ok(())
    }

    #[benchmark]
    fn top_up() -> Result<(), BenchmarkError> {
        let payer = funded::<T>();
        let id = super::open::<T>(&payer)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(payer), id, T::MinEscrow::get());

        assert_eq!(Channels::<T>::get(id).map(|channel| channel.escrow), Some(T::MinEscrow::get() * 3));
        Ok(())
    }

    // The wrapped form is tried second.
    #[benchmark]
    fn redeem() -> Result<(), BenchmarkError> {
        let genesis = Pallet::<T>::genesis();
        let voucher = Voucher { channel: NextChannel::<T>::get(), cumulative: T::MinEscrow::get() };
        let (payer, signature) = T::BenchmarkHelper::sign_wrapped(&voucher, genesis.as_ref());
        fund::<T>(&payer);
        super::open::<T>(&payer)?;
        let anyone = funded::<T>();

        #[extrinsic_call]
        _(RawOrigin::Signed(anyone), voucher, signature);

        let channel = Channels::<T>::get(voucher.channel);
        assert_eq!(channel.map(|channel: Channel<_, _, _>| channel.redeemed), Some(voucher.cumulative));
        Ok(())
    }

    #[benchmark]
    fn request_close() -> Result<(), BenchmarkError> {
        let payer = funded::<T>();
        let id = super::open::<T>(&payer)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(payer), id);

        assert!(Channels::<T>::get(id).is_some_and(|channel| channel.closes_at.is_some()));
        Ok(())
    }

    #[benchmark]
    fn close() -> Result<(), BenchmarkError> {
        let payer = funded::<T>();
        let id = super::open::<T>(&payer)?;
        let end = T::MaxChannelLifetime::get().saturating_add(frame_system::Pallet::<T>::block_number());
        frame_system::Pallet::<T>::set_block_number(end.saturating_add(One::one()));

        #[extrinsic_call]
        _(RawOrigin::Signed(payer), id);

        assert!(!Channels::<T>::contains_key(id));
        Ok(())
    }

    #[benchmark]
    fn authorize_anchor() -> Result<(), BenchmarkError> {
        let (payload, signature) = signed_anchor::<T>()?;
        let call = Call::<T>::anchor { payload, signature };

        #[block]
        {
            call.authorize(TransactionSource::External)
                .ok_or("anchors are authorised")?
                .map_err(|_| "the anchor is sound")?;
        }

        Ok(())
    }

    #[benchmark]
    fn anchor() -> Result<(), BenchmarkError> {
        let (payload, signature) = signed_anchor::<T>()?;
        let worker = payload.worker.clone();

        #[extrinsic_call]
        _(RawOrigin::Authorized, payload, signature);

        assert!(Anchors::<T>::contains_key(worker, 1));
        Ok(())
    }

    /// `n`: anchors that are removed; one more has to be looked at.
    #[benchmark]
    fn prune(n: Linear<1, { T::MaxPrune::get() }>) -> Result<(), BenchmarkError> {
        let caller = funded::<T>();
        let worker = aged::<T>(n)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(caller), worker.clone(), n);

        assert_eq!(ServedBy::<T>::get(worker).oldest, u64::from(n));
        Ok(())
    }

    /// `n`: channels that are closed, of those that are looked at.
    #[benchmark]
    fn sweep_channels(n: Linear<0, { crate::SWEPT_CHANNELS }>) -> Result<(), BenchmarkError> {
        let now = frame_system::Pallet::<T>::block_number().saturating_add(One::one());
        frame_system::Pallet::<T>::set_block_number(now);
        for place in 0..crate::SWEPT_CHANNELS {
            let payer: T::AccountId = account("payer", place, 0);
            fund::<T>(&payer);
            let id = super::open::<T>(&payer)?;
            if place < n {
                let ended = now.saturating_sub(One::one());
                Channels::<T>::mutate(id, |channel| channel.as_mut().map(|channel| channel.expires_at = ended));
            }
        }

        #[block]
        {
            assert_eq!(Pallet::<T>::sweep_channels(), n);
        }

        assert_eq!(Channels::<T>::iter_keys().count() as u32, crate::SWEPT_CHANNELS - n);
        Ok(())
    }

    /// `n`: anchors that are removed; one more has to be looked at.
    #[benchmark]
    fn sweep_anchors(n: Linear<0, { T::MaxPrune::get() }>) -> Result<(), BenchmarkError> {
        let worker = aged::<T>(n)?;

        #[block]
        {
            assert_eq!(Pallet::<T>::sweep_anchors(), n);
        }

        assert_eq!(ServedBy::<T>::get(worker).oldest, u64::from(n));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
