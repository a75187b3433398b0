//! The validator set and its keys.

use crate::{
    constants::{currency::deposit, time::REPORTABLE_SESSIONS},
    AccountId, Babe, Balance, Balances, Historical, Runtime, RuntimeEvent, SessionKeys,
};
use alloc::vec::Vec;
use frame_support::parameter_types;
use pallet_session::historical;
use polkadot_sdk::*;
use sp_runtime::traits::{Convert, ConvertInto, OpaqueKeys};
use sp_staking::SessionIndex;

parameter_types! {
    /// Held while an account has session keys registered: two public keys and the four map entries that find them.
    pub const KeyDeposit: Balance = deposit(4, 224);
}

impl pallet_session::Config for Runtime {
    type Currency = Balances;
    type DisablingStrategy = pallet_session::disabling::UpToLimitWithReEnablingDisablingStrategy;
    type KeyDeposit = KeyDeposit;
    type Keys = SessionKeys;
    type NextSessionRotation = Babe;
    type RuntimeEvent = RuntimeEvent;
    type SessionHandler = <SessionKeys as OpaqueKeys>::KeyTypeIdProviders;
    type SessionManager = historical::NoteHistoricalRoot<Self, GenesisValidators>;
    type ShouldEndSession = Babe;
    type ValidatorId = AccountId;
    type ValidatorIdOf = ConvertInto;
    type WeightInfo = pallet_session::weights::SubstrateWeight<Self>;
}

impl historical::Config for Runtime {
    type FullIdentification = ();
    type FullIdentificationOf = NoIdentification;
    type RuntimeEvent = RuntimeEvent;
}

/// A validator's account is all that identifies it.
pub struct NoIdentification;

impl Convert<AccountId, Option<()>> for NoIdentification {
    fn convert(_: AccountId) -> Option<()> {
        Some(())
    }
}

/// The set of validators is the one that the chain spec registers keys for.
///
/// A validator can rotate its keys, and leaves for good when it purges them; but the last ones do not, for a chain without
/// validators could never have a block again. One that was disabled for an offence is enabled again by the change of set that
/// follows the session it was disabled in.
pub struct GenesisValidators;

impl GenesisValidators {
    /// Registers the keys of the validators anew that they sign with now, as they were when the chain started: without
    /// deposit, which is asked for when they set others.
    fn restore(validators: &[(AccountId, SessionKeys)]) {
        for (who, keys) in validators {
            for id in SessionKeys::key_ids() {
                pallet_session::KeyOwner::<Runtime>::insert((*id, keys.get_raw(*id).to_vec()), who);
            }
            pallet_session::NextKeys::<Runtime>::insert(who, keys);
            // The session pallet's mark of keys for which nothing is held.
            pallet_session::ExternallySetKeys::<Runtime>::insert(who, ());
        }
    }
}

impl pallet_session::SessionManager<AccountId> for GenesisValidators {
    fn new_session(_: SessionIndex) -> Option<Vec<AccountId>> {
        let queued = pallet_session::QueuedKeys::<Runtime>::get();
        let keys = |who: &AccountId| pallet_session::NextKeys::<Runtime>::get(who);
        // The session pallet drops validators without keys, whatever is answered here.
        if queued.iter().all(|(who, _)| keys(who).is_none()) {
            Self::restore(&queued);
        }
        let rotated = queued.iter().any(|(who, now)| keys(who).as_ref() != Some(now));
        let disabled = !pallet_session::DisabledValidators::<Runtime>::get().is_empty();
        // A set that is announced again, even unchanged, costs a change of GRANDPA's authorities and a step in every
        // warp proof; without one, the root of the historical keys stays what it was, and rotated keys are not in it.
        if !rotated && !disabled {
            return None;
        }
        Some(queued.into_iter().map(|(who, _)| who).filter(|who| keys(who).is_some()).collect())
    }

    fn new_session_genesis(_: SessionIndex) -> Option<Vec<AccountId>> {
        Some(pallet_session::NextKeys::<Runtime>::iter_keys().collect())
    }

    fn start_session(_: SessionIndex) {}

    fn end_session(index: SessionIndex) {
        Historical::prune_up_to(index.saturating_sub(REPORTABLE_SESSIONS));
    }
}

impl historical::SessionManager<AccountId, ()> for GenesisValidators {
    fn new_session(index: SessionIndex) -> Option<Vec<(AccountId, ())>> {
        identified(<Self as pallet_session::SessionManager<_>>::new_session(index))
    }

    fn new_session_genesis(index: SessionIndex) -> Option<Vec<(AccountId, ())>> {
        identified(<Self as pallet_session::SessionManager<_>>::new_session_genesis(index))
    }

    fn start_session(index: SessionIndex) {
        <Self as pallet_session::SessionManager<_>>::start_session(index);
    }

    fn end_session(index: SessionIndex) {
        <Self as pallet_session::SessionManager<_>>::end_session(index);
    }
}

fn identified(validators: Option<Vec<AccountId>>) -> Option<Vec<(AccountId, ())>> {
    validators.map(|set| set.into_iter().map(|who| (who, ())).collect())
}
