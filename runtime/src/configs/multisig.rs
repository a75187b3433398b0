//! Accounts that several people hold.

use crate::{constants::currency::deposit, Balance, Balances, Runtime, RuntimeCall, RuntimeEvent, System};
use frame_support::{parameter_types, traits::ConstU32};
use polkadot_sdk::*;

parameter_types! {
    /// One entry: 32 bytes of key, 56 of value.
    pub const DepositBase: Balance = deposit(1, 88);
    /// And 32 bytes for each signatory.
    pub const DepositFactor: Balance = deposit(0, 32);
}

impl pallet_multisig::Config for Runtime {
    type BlockNumberProvider = System;
    type Currency = Balances;
    type DepositBase = DepositBase;
    type DepositFactor = DepositFactor;
    type MaxSignatories = ConstU32<100>;
    type RuntimeCall = RuntimeCall;
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_multisig::weights::SubstrateWeight<Self>;
}
