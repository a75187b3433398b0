//! Heartbeats: how a worker shows that it is there without paying for it.
//!
//! A heartbeat is refused in the pool, where it costs nobody but its sender, for every reason for which its dispatch
//! could fail. What it can cost the chain is bounded: one for each registered worker in each period.

use crate::pallet::*;
use blyan_primitives::worker::Heartbeat;
use codec::Encode;
use frame_support::{
    ensure,
    pallet_prelude::{
        DispatchResult, Get, InvalidTransaction, TransactionSource, TransactionValidityWithRefund, ValidTransaction,
        Weight,
    },
};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_core::sr25519;
use sp_runtime::traits::{CheckedDiv, One, Saturating, UniqueSaturatedInto};

/// Code of [`InvalidTransaction::Custom`] for a heartbeat that would be valid for longer than a period.
pub const EXPIRY_TOO_FAR: u8 = 1;

const TAG: &str = "BlyanHeartbeat";

impl<T: Config> Pallet<T> {
    /// The period of the present block.
    pub(crate) fn current_period() -> u32 {
        Self::period_of(frame_system::Pallet::<T>::block_number())
    }

    fn period_of(block: BlockNumberFor<T>) -> u32 {
        // A runtime in which a period has no blocks does not pass `integrity_test`.
        block.checked_div(&T::HeartbeatPeriod::get()).unwrap_or_default().unique_saturated_into()
    }

    /// Whether a worker whose last heartbeat was in `period` is online: fewer than `MaxMissed` whole periods have passed
    /// since.
    pub(crate) fn is_recent(period: u32) -> bool {
        Self::current_period().saturating_sub(period) <= T::MaxMissed::get()
    }

    /// Checks all but the signature, and gives the key that must have made it.
    fn check(heartbeat: &Heartbeat<T::AccountId, BlockNumberFor<T>>) -> Result<[u8; 32], Error<T>> {
        let now = frame_system::Pallet::<T>::block_number();
        ensure!(now <= heartbeat.expires_at, Error::<T>::HeartbeatExpired);
        let furthest = now.saturating_add(T::HeartbeatPeriod::get());
        ensure!(heartbeat.expires_at <= furthest, Error::<T>::HeartbeatExpiryTooFar);
        let period = Self::current_period();
        ensure!(heartbeat.period >= period, Error::<T>::HeartbeatStale);
        ensure!(heartbeat.period == period, Error::<T>::HeartbeatTooEarly);
        ensure!(LastHeartbeat::<T>::get(&heartbeat.worker) != Some(period), Error::<T>::HeartbeatKnown);
        let record = Workers::<T>::get(&heartbeat.worker).ok_or(Error::<T>::NotRegistered)?;
        // Leaving forgets the last heartbeat, and whoever has seen one could send it again once its worker has registered
        // anew. So the first period that counts is the one after the registration's.
        ensure!(period > Self::period_of(record.registered_at), Error::<T>::HeartbeatStale);
        Ok(record.info.key)
    }

    pub(crate) fn authorize_heartbeat(
        _source: TransactionSource,
        heartbeat: &Heartbeat<T::AccountId, BlockNumberFor<T>>,
        signature: &sr25519::Signature,
    ) -> TransactionValidityWithRefund {
        let key = Self::check(heartbeat).map_err(|error| match error {
            Error::NotRegistered => InvalidTransaction::BadSigner,
            Error::HeartbeatTooEarly => InvalidTransaction::Future,
            Error::HeartbeatExpiryTooFar => InvalidTransaction::Custom(EXPIRY_TOO_FAR),
            _ => InvalidTransaction::Stale,
        })?;
        let message = heartbeat.signing_hash(Self::genesis().as_ref());
        if !sp_io::crypto::sr25519_verify(signature, &message, &sr25519::Public::from_raw(key)) {
            return Err(InvalidTransaction::BadProof.into());
        }
        // The heartbeat dies with its period, whatever its own last block.
        let now = frame_system::Pallet::<T>::block_number();
        let next_period = BlockNumberFor::<T>::from(heartbeat.period.saturating_add(1));
        let period_end = next_period.saturating_mul(T::HeartbeatPeriod::get()).saturating_sub(One::one());
        let blocks = heartbeat.expires_at.min(period_end).saturating_sub(now).saturating_add(One::one());
        let validity: Result<ValidTransaction, _> = ValidTransaction::with_tag_prefix(TAG)
            .priority(T::HeartbeatPriority::get())
            .and_provides((&heartbeat.worker, heartbeat.period).encode())
            .longevity(blocks.unique_saturated_into())
            .propagate(true)
            .into();
        validity.map(|validity| (validity, Weight::zero()))
    }

    pub(crate) fn do_heartbeat(heartbeat: Heartbeat<T::AccountId, BlockNumberFor<T>>) -> DispatchResult {
        Self::check(&heartbeat)?;
        let Heartbeat { worker, period, .. } = heartbeat;
        LastHeartbeat::<T>::insert(&worker, period);
        Self::deposit_event(Event::HeartbeatReceived { worker, period });
        Ok(())
    }
}
