//! Blocks of weights, and the slots that hold them.

use crate::{constants::currency::deposit, Balance, Balances, Meta, Runtime, RuntimeHoldReason};
use frame_support::parameter_types;
use polkadot_sdk::*;

parameter_types! {
    /// One entry: 48 bytes of key, up to about 250 of value.
    pub const BlockDeposit: Balance = deposit(1, 300);
}

impl pallet_blyan_experts::Config for Runtime {
    type BlockDeposit = BlockDeposit;
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Specs = Meta;
    type WeightInfo = pallet_blyan_experts::weights::SubstrateWeight<Self>;
}
