//! Calls that run at a later block.

use crate::{
    constants::limits::BLOCK_REF_TIME, AccountId, OriginCaller, Preimage, Runtime, RuntimeCall, RuntimeEvent,
    RuntimeOrigin, System,
};
use frame_support::{
    parameter_types,
    traits::{ConstU32, EqualPrivilegeOnly},
    weights::Weight,
};
use polkadot_sdk::*;
use sp_runtime::Perbill;

parameter_types! {
    /// Scheduled calls leave a fifth of the block at least to its transactions.
    pub MaximumSchedulerWeight: Weight =
        Weight::from_parts(Perbill::from_percent(80).mul_floor(BLOCK_REF_TIME), u64::MAX);
}

impl pallet_scheduler::Config for Runtime {
    type BlockNumberProvider = System;
    type MaxScheduledPerBlock = ConstU32<50>;
    type MaximumWeight = MaximumSchedulerWeight;
    type OriginPrivilegeCmp = EqualPrivilegeOnly;
    type PalletsOrigin = OriginCaller;
    type Preimages = Preimage;
    type RuntimeCall = RuntimeCall;
    type RuntimeEvent = RuntimeEvent;
    type RuntimeOrigin = RuntimeOrigin;
    type ScheduleOrigin = frame_system::EnsureRoot<AccountId>;
    type WeightInfo = pallet_scheduler::weights::SubstrateWeight<Self>;
}
