//! Off-chain workers.

use crate::{
    constants::{
        currency::{deposit, BLY},
        limits::FREE_CALL_PRIORITY,
        time::{DAYS, MINUTES},
    },
    Balance, Balances, Runtime, RuntimeHoldReason,
};
use frame_support::{
    parameter_types,
    traits::{ConstU128, ConstU32, ConstU64},
};
use polkadot_sdk::*;

parameter_types! {
    /// Four entries: the worker with its addresses, its key, its machine and its last heartbeat.
    pub const WorkerDeposit: Balance = deposit(4, 1_600);
}

impl pallet_blyan_workers::Config for Runtime {
    type CoolingPeriod = ConstU32<{ 7 * DAYS }>;
    type Currency = Balances;
    type Deposit = WorkerDeposit;
    type HeartbeatPeriod = ConstU32<MINUTES>;
    type HeartbeatPriority = ConstU64<FREE_CALL_PRIORITY>;
    type MaxMissed = ConstU32<3>;
    type MaxUnbonding = ConstU32<16>;
    type MinBond = ConstU128<{ 10 * BLY }>;
    type RuntimeHoldReason = RuntimeHoldReason;
    type UnbondingPeriod = ConstU32<{ 7 * DAYS }>;
    type WeightInfo = pallet_blyan_workers::weights::SubstrateWeight<Self>;
}
