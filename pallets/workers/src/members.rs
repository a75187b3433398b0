//! One machine, one vote.
//!
//! The account that a machine is bound to casts its vote while its worker is registered and online (its last heartbeat is
//! recent) and its standing good (it is not in quarantine). A registration without a heartbeat would be a vote for the
//! price of a deposit, for a machine that may not run.
//!
//! Support for a proposal is measured against *all* registered machines, also those that are offline or in quarantine: the
//! number is exact and costs one read, where the number of those who can vote now would change with every block that
//! passes without a heartbeat and with every quarantine that ends by time. It is never smaller than that, so that machines
//! that are away make a quorum harder to reach, never easier.
//!
//! A machine is bound to one account at a time, and to that one for [`Config::CoolingPeriod`] after its worker has left.
//! [`Members::since`] starts anew with each registration. Who keeps votes by machine, and takes none of a machine that was
//! bound after the vote began, counts none twice and none that was made for the occasion.

use crate::{pallet::*, WorkerRecord};
use blyan_primitives::{ids::HardwareId, traits::Members};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_runtime::traits::UniqueSaturatedInto;

impl<T: Config> Pallet<T> {
    /// The worker of an account that has a vote.
    fn member(account: &T::AccountId) -> Option<WorkerRecord<BlockNumberFor<T>>> {
        Self::is_online(account).then(|| Workers::<T>::get(account)).flatten()
    }
}

impl<T: Config> Members<T::AccountId> for Pallet<T> {
    fn vote_of(account: &T::AccountId) -> Option<HardwareId> {
        Self::member(account).map(|record| record.info.hardware_id)
    }

    fn since(account: &T::AccountId) -> Option<u32> {
        Self::member(account).map(|record| record.registered_at.unique_saturated_into())
    }

    fn count() -> u32 {
        Workers::<T>::count()
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn add(account: &T::AccountId, machine: HardwareId) {
        crate::benchmarking::add_member::<T>(account, machine);
    }
}
