//! Anchors: how a worker puts receipts on chain without paying a fee.
//!
//! An anchor is refused in the pool, where it costs nobody but its sender, for every reason for which its dispatch could
//! fail. What it can cost the chain is bounded by the deposit that is held for each.
//!
//! A worker may send several anchors before the first is included: the pool keeps up to [`LOOK_AHEAD`] of them in order, as
//! it does with the nonces of an account.

use crate::{pallet::*, Anchor, Served};
use blyan_primitives::{
    ids::ReceiptId,
    merkle::Digest,
    receipt::{verify_in_batch, AnchorPayload, MAX_BATCH},
    traits::WorkerRegistry,
};
use frame_support::{
    ensure,
    pallet_prelude::{
        DispatchResult, Get, InvalidTransaction, TransactionSource, TransactionValidityWithRefund, ValidTransaction,
        Weight,
    },
    traits::{
        fungible::{InspectHold, MutateHold},
        tokens::Precision,
    },
};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_core::sr25519;
use sp_runtime::{
    traits::{One, Saturating, UniqueSaturatedInto, Zero},
    DispatchError,
};

/// Most anchors of a worker that wait in the pool beyond the next one.
pub const LOOK_AHEAD: u64 = 16;

const TAG: &str = "BlyanAnchor";

/// Codes of [`InvalidTransaction::Custom`] for anchors that no standard code describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// See [`Error::AnchorExpiryTooFar`].
    ExpiryTooFar = 1,
    /// See [`Error::InvalidCount`].
    InvalidCount = 2,
}

impl From<Refusal> for InvalidTransaction {
    fn from(refusal: Refusal) -> Self {
        Self::Custom(refusal as u8)
    }
}

/// An anchor that is sound but for its signature, which is not checked yet.
struct Sound {
    /// The key that must have signed.
    key: [u8; 32],
    /// What the worker has anchored so far.
    served: Served,
}

impl<T: Config> Pallet<T> {
    /// Checks all but the signature. `look_ahead` is how far the anchor may be beyond the worker's next one.
    fn check(payload: &AnchorPayloadOf<T>, look_ahead: u64) -> Result<Sound, Error<T>> {
        ensure!((1..=MAX_BATCH).contains(&payload.count), Error::<T>::InvalidCount);
        let now = frame_system::Pallet::<T>::block_number();
        ensure!(now <= payload.expires_at, Error::<T>::AnchorExpired);
        let furthest = now.saturating_add(T::MaxAnchorValidity::get());
        ensure!(payload.expires_at <= furthest, Error::<T>::AnchorExpiryTooFar);
        let served = ServedBy::<T>::get(&payload.worker);
        ensure!(payload.sequence >= served.next, Error::<T>::AnchorKnown);
        let ahead = payload.sequence.saturating_sub(served.next);
        ensure!(ahead <= look_ahead, Error::<T>::AnchorTooEarly);
        let key = T::Workers::key(&payload.worker).ok_or(Error::<T>::NotAWorker)?;
        // The anchors before it take their deposits first.
        let deposits = T::AnchorDeposit::get().saturating_mul(Balance::from(ahead.saturating_add(1)));
        let covered = T::Currency::can_hold(&HoldReason::AnchorDeposit.into(), &payload.worker, deposits);
        ensure!(covered, Error::<T>::DepositNotCovered);
        Ok(Sound { key, served })
    }

    pub(crate) fn authorize_anchor(
        source: TransactionSource,
        payload: &AnchorPayloadOf<T>,
        signature: &sr25519::Signature,
    ) -> TransactionValidityWithRefund {
        // In a block only the next anchor can be executed; in the pool those after it can wait.
        let look_ahead = if source == TransactionSource::InBlock { 0 } else { LOOK_AHEAD };
        let Sound { key, served } = Self::check(payload, look_ahead).map_err(|error| match error {
            Error::InvalidCount => Refusal::InvalidCount.into(),
            Error::AnchorExpiryTooFar => Refusal::ExpiryTooFar.into(),
            Error::AnchorTooEarly => InvalidTransaction::Future,
            Error::NotAWorker => InvalidTransaction::BadSigner,
            Error::DepositNotCovered => InvalidTransaction::Payment,
            _ => InvalidTransaction::Stale,
        })?;
        let message = payload.signing_hash(Self::genesis().as_ref());
        if !sp_io::crypto::sr25519_verify(signature, &message, &sr25519::Public::from_raw(key)) {
            return Err(InvalidTransaction::BadProof.into());
        }
        let now = frame_system::Pallet::<T>::block_number();
        let blocks = payload.expires_at.saturating_sub(now).saturating_add(One::one());
        let mut validity = ValidTransaction::with_tag_prefix(TAG)
            .priority(T::AnchorPriority::get())
            .and_provides((&payload.worker, payload.sequence))
            .longevity(blocks.unique_saturated_into())
            .propagate(true);
        if payload.sequence > served.next {
            validity = validity.and_requires((&payload.worker, payload.sequence.saturating_sub(1)));
        }
        let validity: Result<ValidTransaction, _> = validity.into();
        validity.map(|validity| (validity, Weight::zero()))
    }

    pub(crate) fn do_anchor(payload: AnchorPayloadOf<T>) -> DispatchResult {
        let Sound { mut served, .. } = Self::check(&payload, 0)?;
        let AnchorPayload { worker, sequence, root, count, tokens, .. } = payload;
        let deposit = T::AnchorDeposit::get();
        T::Currency::hold(&HoldReason::AnchorDeposit.into(), &worker, deposit)?;
        served.next = served.next.saturating_add(1);
        served.receipts = served.receipts.saturating_add(u64::from(count));
        served.tokens = served.tokens.saturating_add(u128::from(tokens));
        ServedBy::<T>::insert(&worker, served);
        let anchored_at = frame_system::Pallet::<T>::block_number();
        Anchors::<T>::insert(&worker, sequence, Anchor { root, count, tokens, anchored_at, deposit });
        Self::deposit_event(Event::Anchored { worker, sequence, root, count, tokens });
        Ok(())
    }

    /// Removes anchors and says how many.
    pub(crate) fn do_prune(worker: T::AccountId, limit: u32) -> Result<u32, DispatchError> {
        let now = frame_system::Pallet::<T>::block_number();
        let mut served = ServedBy::<T>::get(&worker);
        let (mut pruned, mut deposits) = (0u32, Balance::zero());
        while pruned < limit.min(T::MaxPrune::get()) && served.oldest < served.next {
            if let Some(anchor) = Anchors::<T>::get(&worker, served.oldest) {
                if anchor.anchored_at.saturating_add(T::AnchorLifetime::get()) >= now {
                    break;
                }
                Anchors::<T>::remove(&worker, served.oldest);
                deposits = deposits.saturating_add(anchor.deposit);
            }
            served.oldest = served.oldest.saturating_add(1);
            pruned = pruned.saturating_add(1);
        }
        ensure!(pruned > 0, Error::<T>::NothingToPrune);
        T::Currency::release(&HoldReason::AnchorDeposit.into(), &worker, deposits, Precision::Exact)?;
        let oldest = served.oldest;
        ServedBy::<T>::insert(&worker, served);
        Self::deposit_event(Event::Pruned { worker, oldest });
        Ok(pruned)
    }

    pub(crate) fn is_anchored(
        worker: &T::AccountId,
        sequence: u64,
        index: u32,
        receipt: ReceiptId,
        proof: &[Digest],
    ) -> bool {
        Anchors::<T>::get(worker, sequence).is_some_and(|Anchor { root, count, .. }: AnchorOf<T>| {
            verify_in_batch(root, count, index, receipt, proof).is_ok()
        })
    }

    /// Hash of the chain's first block, which everything signed off chain is bound to.
    pub(crate) fn genesis() -> T::Hash {
        frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero())
    }
}
