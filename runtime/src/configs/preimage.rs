//! Calls that are too long to be kept where they are scheduled.

use crate::{constants::currency::deposit, AccountId, Balance, Balances, Runtime, RuntimeEvent, RuntimeHoldReason};
use frame_support::{
    parameter_types,
    traits::{fungible::HoldConsideration, LinearStoragePrice},
};
use polkadot_sdk::*;

parameter_types! {
    /// Two entries: 48 bytes of key and 16 of value.
    pub const BaseDeposit: Balance = deposit(2, 64);
    /// And every byte of the preimage.
    pub const ByteDeposit: Balance = deposit(0, 1);
    /// Why it is held.
    pub const PreimageHold: RuntimeHoldReason = RuntimeHoldReason::Preimage(pallet_preimage::HoldReason::Preimage);
}

impl pallet_preimage::Config for Runtime {
    type Consideration =
        HoldConsideration<AccountId, Balances, PreimageHold, LinearStoragePrice<BaseDeposit, ByteDeposit, Balance>>;
    type Currency = Balances;
    type ManagerOrigin = frame_system::EnsureRoot<AccountId>;
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_preimage::weights::SubstrateWeight<Self>;
}
