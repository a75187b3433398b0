//! Off-chain workers.

use crate::{
    constants::{currency::deposit, limits::FREE_CALL_PRIORITY, time::DAYS},
    AccountId, Balance, Balances, Pact, Runtime, RuntimeHoldReason, Staking,
};
use frame_support::{
    parameter_types,
    traits::{ConstU32, ConstU64},
};
use frame_system::EnsureRoot;
use polkadot_sdk::*;

#[cfg(feature = "next-release")]
pub use crate::migrations::next::HEARTBEAT_PERIOD;

/// Blocks of a heartbeat period.
#[cfg(not(feature = "next-release"))]
pub const HEARTBEAT_PERIOD: crate::BlockNumber = crate::constants::time::MINUTES;

parameter_types! {
    /// Five entries: the worker with its addresses, its key, its machine, its last heartbeat and its account's standing.
    pub const WorkerDeposit: Balance = deposit(5, 1_700);
}

impl pallet_blyan_workers::Config for Runtime {
    type BlocksPerDay = ConstU32<DAYS>;
    type CoolingPeriod = ConstU32<{ 7 * DAYS }>;
    type Currency = Balances;
    type Deposit = WorkerDeposit;
    // The DAO's root track dispatches as root.
    type GuardianOrigin = EnsureRoot<AccountId>;
    type HeartbeatPeriod = ConstU32<HEARTBEAT_PERIOD>;
    type HeartbeatPriority = ConstU64<FREE_CALL_PRIORITY>;
    type MaxMissed = ConstU32<3>;
    type Pact = Pact;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Stakes = Staking;
    type WeightInfo = pallet_blyan_workers::weights::SubstrateWeight<Self>;
}
