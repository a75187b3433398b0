//! Blocks of weights, and the slots that hold them.

use crate::{constants::currency::deposit, AccountId, Balance, Balances, Meta, Runtime, RuntimeHoldReason};
use frame_support::{parameter_types, traits::ConstU32};
use polkadot_sdk::*;

parameter_types! {
    /// Two entries: the block, 48 bytes of key and up to about 250 of value, and the account's word for it, 96 and 90.
    pub const BlockDeposit: Balance = deposit(2, 500);
}

impl pallet_blyan_experts::Config for Runtime {
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarks::Helper;
    type BlockDeposit = BlockDeposit;
    type Currency = Balances;
    // Until there are verdicts that fill slots.
    type GovernanceOrigin = frame_system::EnsureRoot<AccountId>;
    type MaxReleased = ConstU32<64>;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Specs = Meta;
    type WeightInfo = pallet_blyan_experts::weights::SubstrateWeight<Self>;
}
