//! Specifications of models.

use crate::{AccountId, Experts, Runtime};
use frame_support::traits::ConstU32;
use polkadot_sdk::*;

impl pallet_blyan_meta::Config for Runtime {
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarks::Helper;
    type Blocks = Experts;
    type GovernanceOrigin = frame_system::EnsureRoot<AccountId>;
    type Heads = Experts;
    type MaxActive = ConstU32<8>;
    type WeightInfo = pallet_blyan_meta::weights::SubstrateWeight<Self>;
}
