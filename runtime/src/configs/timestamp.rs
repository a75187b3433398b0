//! The time of blocks.

use crate::{constants::time::SLOT_DURATION, Babe, Runtime};
use frame_support::traits::ConstU64;
use polkadot_sdk::*;

impl pallet_timestamp::Config for Runtime {
    type MinimumPeriod = ConstU64<{ SLOT_DURATION / 2 }>;
    type Moment = u64;
    type OnTimestampSet = Babe;
    type WeightInfo = pallet_timestamp::weights::SubstrateWeight<Self>;
}
