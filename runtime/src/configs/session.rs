//! Sessions and the validators' keys.

use crate::{
    constants::currency::deposit, AccountId, Babe, Balance, Balances, Runtime, RuntimeEvent, SessionKeys, Staking,
};
use frame_support::parameter_types;
use pallet_blyan_staking::NoIdentification;
use pallet_session::historical;
use polkadot_sdk::*;
use sp_runtime::traits::{ConvertInto, OpaqueKeys};

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
    type SessionManager = historical::NoteHistoricalRoot<Self, Staking>;
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
