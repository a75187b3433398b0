//! Registration, and the binding of machines to accounts.

use crate::{pallet::*, HardwareBinding, WorkerRecord, WorkerStatus};
use alloc::vec::Vec;
use blyan_primitives::{
    hardware::Tier,
    ids::HardwareId,
    traits::{Stakes, WorkerRegistry},
    worker::{Roles, WorkerInfo, WorkerInfoError},
};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchResult, Get},
    traits::{fungible::MutateHold, tokens::Precision},
};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_core::sr25519;
use sp_runtime::traits::{Saturating, Zero};

impl<T: Config> From<WorkerInfoError> for Error<T> {
    fn from(error: WorkerInfoError) -> Self {
        match error {
            WorkerInfoError::PeerId => Self::InvalidPeerId,
            WorkerInfoError::Address => Self::InvalidAddress,
            WorkerInfoError::Region => Self::InvalidRegion,
            WorkerInfoError::Roles => Self::InvalidRoles,
            WorkerInfoError::Hardware => Self::InvalidHardware,
        }
    }
}

impl<T: Config> Pallet<T> {
    pub(crate) fn do_register(who: T::AccountId, info: WorkerInfo, signature: &sr25519::Signature) -> DispatchResult {
        info.check().map_err(Error::<T>::from)?;
        ensure!(!Workers::<T>::contains_key(&who), Error::<T>::AlreadyRegistered);
        ensure!(!Keys::<T>::contains_key(info.key), Error::<T>::KeyTaken);
        Self::verify_key(&who, &info, signature)?;
        Self::bind_hardware(&who, info.hardware_id)?;
        Keys::<T>::insert(info.key, &who);
        let tier = info.hardware.tier();
        let registered_at = frame_system::Pallet::<T>::block_number();
        Workers::<T>::insert(&who, WorkerRecord { info, tier, registered_at });
        Self::deposit_event(Event::Registered { worker: who, tier });
        Ok(())
    }

    pub(crate) fn do_update(who: T::AccountId, info: WorkerInfo, signature: &sr25519::Signature) -> DispatchResult {
        info.check().map_err(Error::<T>::from)?;
        let old = Workers::<T>::get(&who).ok_or(Error::<T>::NotRegistered)?;
        ensure!(old.info.hardware_id == info.hardware_id, Error::<T>::HardwareChanged);
        if old.info.key != info.key {
            ensure!(!Keys::<T>::contains_key(info.key), Error::<T>::KeyTaken);
            Keys::<T>::remove(old.info.key);
            Keys::<T>::insert(info.key, &who);
        }
        Self::verify_key(&who, &info, signature)?;
        let tier = info.hardware.tier();
        Workers::<T>::insert(&who, WorkerRecord { info, tier, ..old });
        Self::deposit_event(Event::Updated { worker: who, tier });
        Ok(())
    }

    pub(crate) fn do_leave(who: T::AccountId) -> DispatchResult {
        let record = Workers::<T>::take(&who).ok_or(Error::<T>::NotRegistered)?;
        Keys::<T>::remove(record.info.key);
        LastHeartbeat::<T>::remove(&who);
        let free_at = frame_system::Pallet::<T>::block_number().saturating_add(T::CoolingPeriod::get());
        Hardware::<T>::mutate(record.info.hardware_id, |binding| {
            if let Some(binding) = binding.as_mut() {
                binding.free_at = Some(free_at);
            }
        });
        Self::settle(&who);
        Self::deposit_event(Event::Left { worker: who, hardware_free_at: free_at });
        Ok(())
    }

    pub(crate) fn do_release_hardware(hardware: HardwareId) -> DispatchResult {
        let binding = Hardware::<T>::get(hardware).ok_or(Error::<T>::UnknownHardware)?;
        Self::ensure_free(&binding, Error::HardwareNotFree)?;
        Hardware::<T>::remove(hardware);
        Self::unbind(hardware, binding)
    }

    /// Binds a machine to `who`: one that is new, that cools down after `who` has left, or that is free.
    fn bind_hardware(who: &T::AccountId, hardware: HardwareId) -> DispatchResult {
        let deposit = match Hardware::<T>::get(hardware) {
            Some(binding) if binding.owner == *who => binding.deposit,
            other => {
                if let Some(binding) = other {
                    Self::ensure_free(&binding, Error::HardwareTaken)?;
                    Self::unbind(hardware, binding)?;
                }
                let deposit = T::Deposit::get();
                T::Currency::hold(&HoldReason::Registration.into(), who, deposit)?;
                deposit
            },
        };
        Hardware::<T>::insert(hardware, HardwareBinding { owner: who.clone(), deposit, free_at: None });
        Ok(())
    }

    /// A machine is free when its worker has left, the cooling period is over, and no quarantine of its account holds it;
    /// `bound` is the error for one that has not got so far as the last. Asking the account each time, instead of writing
    /// the quarantine's end to the binding, lets one quarantine hold all of an account's machines, and one release free
    /// them.
    fn ensure_free(binding: &HardwareBindingOf<T>, bound: Error<T>) -> DispatchResult {
        let cooled = binding.free_at.is_some_and(|at| at <= frame_system::Pallet::<T>::block_number());
        ensure!(cooled, bound);
        ensure!(Self::is_in_good_standing(&binding.owner), Error::<T>::HardwareQuarantined);
        Ok(())
    }

    fn unbind(hardware: HardwareId, binding: HardwareBindingOf<T>) -> DispatchResult {
        let HardwareBinding { owner, deposit, .. } = binding;
        T::Currency::release(&HoldReason::Registration.into(), &owner, deposit, Precision::Exact)?;
        Self::settle(&owner);
        Self::deposit_event(Event::HardwareReleased { hardware, owner });
        Ok(())
    }

    fn verify_key(who: &T::AccountId, info: &WorkerInfo, signature: &sr25519::Signature) -> DispatchResult {
        let message = info.signing_hash(Self::genesis().as_ref(), who);
        let valid = sp_io::crypto::sr25519_verify(signature, &message, &sr25519::Public::from_raw(info.key));
        ensure!(valid, Error::<T>::BadSignature);
        Ok(())
    }

    /// Hash of the chain's first block, which everything signed off chain is bound to.
    pub(crate) fn genesis() -> T::Hash {
        frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero())
    }

    pub(crate) fn status(who: &T::AccountId, record: WorkerRecord<BlockNumberFor<T>>) -> WorkerStatusOf<T> {
        let WorkerRecord { info, tier, registered_at } = record;
        let (online, last_heartbeat) = (Self::is_online(who), LastHeartbeat::<T>::get(who));
        let (bond, standing) = (T::Stakes::worker_stake(who), Self::standing(who));
        WorkerStatus { info, tier, registered_at, online, last_heartbeat, bond, standing }
    }

    /// Whether `who` has a worker that can be given work.
    pub(crate) fn is_online(who: &T::AccountId) -> bool {
        // A worker that leaves takes its last heartbeat with it.
        LastHeartbeat::<T>::get(who).is_some_and(Self::is_recent) && Self::is_in_good_standing(who)
    }

    pub(crate) fn page(start: Option<T::AccountId>, limit: u32) -> Vec<(T::AccountId, WorkerStatusOf<T>)> {
        let records = match start {
            None => Workers::<T>::iter(),
            Some(account) => Workers::<T>::iter_from(Workers::<T>::hashed_key_for(account)),
        };
        records
            .take(limit.min(MAX_PAGE) as usize)
            .map(|(who, record)| {
                let status = Self::status(&who, record);
                (who, status)
            })
            .collect()
    }
}

impl<T: Config> WorkerRegistry<T::AccountId> for Pallet<T> {
    fn key(account: &T::AccountId) -> Option<[u8; 32]> {
        Workers::<T>::get(account).map(|record| record.info.key)
    }

    fn roles(account: &T::AccountId) -> Option<Roles> {
        Workers::<T>::get(account).map(|record| record.info.roles)
    }

    fn online_roles(account: &T::AccountId) -> Option<Roles> {
        Self::is_online(account).then(|| Self::roles(account)).flatten()
    }

    fn tier(account: &T::AccountId) -> Option<Tier> {
        Workers::<T>::get(account).map(|record| record.tier)
    }
}
