//! Anchors: how a worker puts receipts on chain without paying a fee.
//!
//! An anchor is refused in the pool, where it costs nobody but its sender, for every reason for which its dispatch could
//! fail for good. What it can cost the chain is bounded by the deposit that is held for each, and what it can cost those who
//! pay for their transactions is bounded twice:
//!
//! - **By worker.** [`Config::AnchorSpacing`] blocks lie between two anchors of a worker. One that comes earlier is valid,
//!   and waits: the pool takes it, and a block in which it is too early refuses it as one that is full for it
//!   ([`InvalidTransaction::ExhaustsResources`]), upon which a node leaves it in its pool for a later block, where it would
//!   throw away any other that fails.
//! - **By block.** [`Config::MaxAnchorsPerBlock`] anchors of all workers go into a block; the others wait in the same way. So
//!   most of a block is for those who pay, however many workers there are, while [`Config::AnchorPriority`] keeps a place in
//!   each for anchors, whatever others pay.
//!
//! A worker may send several anchors before the first is included: the pool keeps up to [`LOOK_AHEAD`] of them in order, as
//! it does with the nonces of an account. The priority is that of the next one alone; those behind it come after all that
//! pays, so that a full pool drops them first, and holds one anchor a worker, not many, that it prefers to paid transactions.

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

/// Where an anchor is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In the pool: could a block of the near future include it?
    Pool,
    /// In a block: can this one?
    Block,
}

/// An anchor that is sound but for its signature, which is not checked yet.
struct Sound {
    /// The key that must have signed.
    key: [u8; 32],
    /// What the worker has anchored so far.
    served: Served,
}

impl<T: Config> Pallet<T> {
    /// Checks all but the signature, what is cheapest to find out first.
    fn check(payload: &AnchorPayloadOf<T>, stage: Stage) -> Result<Sound, Error<T>> {
        ensure!((1..=MAX_BATCH).contains(&payload.count), Error::<T>::InvalidCount);
        let now = frame_system::Pallet::<T>::block_number();
        ensure!(now <= payload.expires_at, Error::<T>::AnchorExpired);
        let furthest = now.saturating_add(T::MaxAnchorValidity::get());
        ensure!(payload.expires_at <= furthest, Error::<T>::AnchorExpiryTooFar);
        let served = ServedBy::<T>::get(&payload.worker);
        ensure!(payload.sequence >= served.next, Error::<T>::AnchorKnown);
        let ahead = payload.sequence.saturating_sub(served.next);
        // In a block only the next anchor can be executed; in the pool those after it can wait.
        let look_ahead = if stage == Stage::Block { 0 } else { LOOK_AHEAD };
        ensure!(ahead <= look_ahead, Error::<T>::AnchorTooEarly);
        if stage == Stage::Block {
            ensure!(Self::anchors_in_block() < T::MaxAnchorsPerBlock::get(), Error::<T>::BlockFullOfAnchors);
            let last = served.next.checked_sub(1).and_then(|last| Anchors::<T>::get(&payload.worker, last));
            let due = last.map(|last| last.anchored_at.saturating_add(T::AnchorSpacing::get()));
            ensure!(due.is_none_or(|due| due <= now), Error::<T>::AnchorTooSoon);
        }
        let key = T::Workers::key(&payload.worker).ok_or(Error::<T>::NotAWorker)?;
        // The anchors before it take their deposits first.
        let deposits = T::AnchorDeposit::get().saturating_mul(Balance::from(ahead.saturating_add(1)));
        let deposits = deposits.saturating_add(Self::entry_deposit(&served));
        let covered = T::Currency::can_hold(&HoldReason::AnchorDeposit.into(), &payload.worker, deposits);
        ensure!(covered, Error::<T>::DepositNotCovered);
        Ok(Sound { key, served })
    }

    /// What is still to be held for the place of what a worker has served: nothing once it has anchored.
    fn entry_deposit(served: &Served) -> Balance {
        if served.next == 0 {
            T::ServedDeposit::get()
        } else {
            Balance::zero()
        }
    }

    /// How many anchors the present block has so far.
    fn anchors_in_block() -> u32 {
        let (block, count) = AnchorsInBlock::<T>::get();
        if block == frame_system::Pallet::<T>::block_number() {
            count
        } else {
            0
        }
    }

    pub(crate) fn authorize_anchor(
        source: TransactionSource,
        payload: &AnchorPayloadOf<T>,
        signature: &sr25519::Signature,
    ) -> TransactionValidityWithRefund {
        let stage = if source == TransactionSource::InBlock { Stage::Block } else { Stage::Pool };
        let Sound { key, served } = Self::check(payload, stage).map_err(|error| match error {
            Error::InvalidCount => Refusal::InvalidCount.into(),
            Error::AnchorExpiryTooFar => Refusal::ExpiryTooFar.into(),
            Error::AnchorTooEarly => InvalidTransaction::Future,
            Error::AnchorTooSoon | Error::BlockFullOfAnchors => InvalidTransaction::ExhaustsResources,
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
        let validity = ValidTransaction::with_tag_prefix(TAG)
            .and_provides((&payload.worker, payload.sequence))
            .longevity(blocks.unique_saturated_into())
            .propagate(true);
        let validity = if payload.sequence > served.next {
            validity.priority(0).and_requires((&payload.worker, payload.sequence.saturating_sub(1)))
        } else {
            validity.priority(T::AnchorPriority::get())
        };
        let validity: Result<ValidTransaction, _> = validity.into();
        validity.map(|validity| (validity, Weight::zero()))
    }

    pub(crate) fn do_anchor(payload: AnchorPayloadOf<T>) -> DispatchResult {
        let Sound { mut served, .. } = Self::check(&payload, Stage::Block)?;
        let AnchorPayload { worker, sequence, root, count, tokens, .. } = payload;
        let (deposit, first) = (T::AnchorDeposit::get(), Self::entry_deposit(&served));
        T::Currency::hold(&HoldReason::AnchorDeposit.into(), &worker, deposit.saturating_add(first))?;
        served.deposit = served.deposit.saturating_add(first);
        served.next = served.next.saturating_add(1);
        served.receipts = served.receipts.saturating_add(u64::from(count));
        served.tokens = served.tokens.saturating_add(u128::from(tokens));
        ServedBy::<T>::insert(&worker, served);
        let anchored_at = frame_system::Pallet::<T>::block_number();
        AnchorsInBlock::<T>::put((anchored_at, Self::anchors_in_block().saturating_add(1)));
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
