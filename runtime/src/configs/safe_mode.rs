//! When the chain is closed to all but governing: after a migration has failed, or because the DAO's root track says so.

use crate::{
    constants::time::DAYS, AccountId, Balance, Balances, BlockNumber, Runtime, RuntimeCall, RuntimeEvent,
    RuntimeHoldReason,
};
use frame_support::{
    parameter_types,
    traits::{ConstU32, Contains},
};
use frame_system::{EnsureRoot, EnsureRootWithSuccess};
use polkadot_sdk::*;

parameter_types! {
    /// Nobody closes the chain for a deposit.
    pub const NotForMoney: Option<Balance> = None;
    /// And so no deposit is ever returned.
    pub const Never: Option<BlockNumber> = None;
}

/// For how long a referendum closes the chain. A shorter time is another referendum away, and as long again a second one.
type Week = ConstU32<{ 7 * DAYS }>;

impl pallet_safe_mode::Config for Runtime {
    type Currency = Balances;
    type EnterDepositAmount = NotForMoney;
    type EnterDuration = Week;
    type ExtendDepositAmount = NotForMoney;
    type ExtendDuration = Week;
    type ForceDepositOrigin = EnsureRoot<AccountId>;
    type ForceEnterOrigin = EnsureRootWithSuccess<AccountId, Week>;
    type ForceExitOrigin = EnsureRoot<AccountId>;
    type ForceExtendOrigin = EnsureRootWithSuccess<AccountId, Week>;
    type Notify = ();
    type ReleaseDelay = Never;
    type RuntimeEvent = RuntimeEvent;
    type RuntimeHoldReason = RuntimeHoldReason;
    type WeightInfo = pallet_safe_mode::weights::SubstrateWeight<Self>;
    type WhitelistedCalls = Governing;
}

/// What can be called while the chain is closed. What is called with root is not asked.
pub struct Governing;

impl Contains<RuntimeCall> for Governing {
    fn contains(call: &RuntimeCall) -> bool {
        matches!(
            call,
            // What every block and consensus need.
            RuntimeCall::System(_)
                | RuntimeCall::Timestamp(_)
                | RuntimeCall::Babe(_)
                | RuntimeCall::Grandpa(_)
                // Proposing, voting and enacting, and what the tracks of the Pact and of slashes decide. The treasury waits.
                | RuntimeCall::Preimage(_)
                | RuntimeCall::Scheduler(_)
                | RuntimeCall::Sudo(_)
                | RuntimeCall::Referenda(_)
                | RuntimeCall::Dao(_)
                | RuntimeCall::Pact(_)
                | RuntimeCall::Staking(pallet_blyan_staking::Call::cancel_slash { .. })
                // These carry other calls, each of which is judged by itself.
                | RuntimeCall::Utility(_)
                | RuntimeCall::Proxy(pallet_proxy::Call::proxy { .. })
                // Members have to be online to vote.
                | RuntimeCall::Workers(pallet_blyan_workers::Call::heartbeat { .. })
                // What is free of charge must not fail in a block: it could be sent again and again.
                | RuntimeCall::Inference(pallet_blyan_inference::Call::anchor { .. })
        )
    }
}
