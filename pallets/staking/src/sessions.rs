//! What staking needs of the sessions, and the SDK's session pallet as what gives it.

use alloc::vec::Vec;
use core::marker::PhantomData;
use pallet_session::{historical, DisabledValidators, ExternallySetKeys, KeyOwner, NextKeys, QueuedKeys};
use polkadot_sdk::*;
use sp_runtime::{
    traits::{Convert, OpaqueKeys},
    KeyTypeId, Perbill,
};
use sp_staking::{offence::OffenceSeverity, SessionIndex};

/// Who has session keys, and who validates now.
pub trait Sessions<AccountId> {
    /// Whether `who` has registered session keys.
    fn has_keys(who: &AccountId) -> bool;

    /// The validators that the next session starts with. While a session is planned: those of the one before it.
    fn validators() -> Vec<AccountId>;

    /// Whether the set has to be announced again though its members stay: their keys have changed, or some of them are
    /// disabled and stay so until the set changes.
    fn must_announce() -> bool;

    /// Keeps `who` from writing blocks for a while, if it validates, and if not too many are kept from it for worse.
    fn disable(who: AccountId, severity: Perbill);

    /// Registers anew the keys that validators sign with now and have purged, unless another account has taken them over. Says
    /// of how many validators.
    fn restore_keys() -> u32;

    /// Forgets the keys of sessions before `first`, so that nothing can be reported of them any more.
    fn forget_before(first: SessionIndex);

    /// Gives `who` session keys, for benchmarks.
    #[cfg(feature = "runtime-benchmarks")]
    fn give_keys(who: &AccountId);
}

/// The SDK's session pallet, with historical sessions.
pub struct PalletSession<T>(PhantomData<T>);

impl<T> Sessions<T::AccountId> for PalletSession<T>
where
    T: pallet_session::Config<ValidatorId = <T as frame_system::Config>::AccountId> + historical::Config,
{
    fn has_keys(who: &T::AccountId) -> bool {
        NextKeys::<T>::contains_key(who)
    }

    fn validators() -> Vec<T::AccountId> {
        QueuedKeys::<T>::get().into_iter().map(|(who, _)| who).collect()
    }

    fn must_announce() -> bool {
        // Without an announcement, the root of the historical keys stays what it was, and rotated keys are not in it.
        let rotated = || QueuedKeys::<T>::get().into_iter().any(|(who, keys)| NextKeys::<T>::get(who) != Some(keys));
        !DisabledValidators::<T>::get().is_empty() || rotated()
    }

    fn disable(who: T::AccountId, severity: Perbill) {
        pallet_session::Pallet::<T>::report_offence(who, OffenceSeverity(severity));
    }

    fn restore_keys() -> u32 {
        let is_gone = |who: &T::AccountId| !NextKeys::<T>::contains_key(who);
        let is_free = |keys: &T::Keys| {
            let is_taken = |id: &KeyTypeId| KeyOwner::<T>::contains_key((*id, keys.get_raw(*id)));
            !T::Keys::key_ids().iter().any(is_taken)
        };
        let mut restored = 0u32;
        for (who, keys) in QueuedKeys::<T>::get().into_iter().filter(|(who, keys)| is_gone(who) && is_free(keys)) {
            for id in T::Keys::key_ids() {
                KeyOwner::<T>::insert((*id, keys.get_raw(*id).to_vec()), &who);
            }
            NextKeys::<T>::insert(&who, keys);
            // The session pallet's mark of keys for which nothing is held.
            ExternallySetKeys::<T>::insert(who, ());
            restored = restored.saturating_add(1);
        }
        restored
    }

    fn forget_before(first: SessionIndex) {
        historical::Pallet::<T>::prune_up_to(first);
    }

    #[cfg(feature = "runtime-benchmarks")]
    #[allow(clippy::expect_used, reason = "benchmarks stop where they cannot be set up")]
    fn give_keys(who: &T::AccountId) {
        use codec::{Decode, Encode};
        let keys = T::Keys::decode(&mut sp_runtime::traits::TrailingZeroInput::new(&who.encode()))
            .expect("keys are bytes of any kind");
        NextKeys::<T>::insert(who, keys);
    }
}

/// A validator's account is all that identifies it in historical sessions: what it is exposed with is kept by era.
pub struct NoIdentification;

impl<AccountId> Convert<AccountId, Option<()>> for NoIdentification {
    fn convert(_: AccountId) -> Option<()> {
        Some(())
    }
}
