//! How migrations run that take several blocks, and what is done when one fails.

use crate::{constants::limits::BLOCK_REF_TIME, BlockNumber, Runtime, RuntimeEvent};
use frame_support::{
    migrations::{FailedMigrationHandler, FailedMigrationHandling},
    parameter_types,
    traits::{ConstU32, SafeMode},
    weights::Weight,
};
use polkadot_sdk::*;
use sp_runtime::Perbill;

parameter_types! {
    /// What migrations take of a block. Scheduled calls, which go on meanwhile, can take four fifths of one.
    pub MigrationWeight: Weight = Weight::from_parts(Perbill::from_percent(20).mul_floor(BLOCK_REF_TIME), u64::MAX);
}

impl pallet_migrations::Config for Runtime {
    // A cursor is as long as a migration needs, and there is one at most: these are no limits worth fighting.
    type CursorMaxLen = ConstU32<65_536>;
    type FailedMigrationHandler = LeaveToTheDao;
    type IdentifierMaxLen = ConstU32<256>;
    type MaxServiceWeight = MigrationWeight;
    // Transactions wait by themselves, and events tell the rest of the world: nobody else has to be told.
    type MigrationStatusHandler = ();
    #[cfg(not(feature = "runtime-benchmarks"))]
    type Migrations = crate::migrations::MultiBlock;
    #[cfg(feature = "runtime-benchmarks")]
    type Migrations = pallet_migrations::mock_helpers::MockedMigrations;
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_migrations::weights::SubstrateWeight<Self>;
}

/// Closes the chain to all but governing when a migration has failed, until a referendum opens it.
///
/// The state is half of one version and half of another then. Neither of the SDK's ways out is one here.
/// `FreezeChainOnFailedMigration` leaves blocks without transactions: nobody could vote on the remedy, and without sudo the
/// validators alone could save the chain, by agreeing outside of it on other code. `ForceUnstuckOnFailedMigration` lets
/// everything go on, as if money that is half migrated could be spent. This lets go on what it takes to propose, vote on and
/// enact a new runtime ([`Governing`](super::safe_mode::Governing)), and nothing else. Only if that cannot be, the chain
/// freezes.
pub struct LeaveToTheDao;

impl FailedMigrationHandler for LeaveToTheDao {
    fn failed(_migration: Option<u32>) -> FailedMigrationHandling {
        let for_ever = BlockNumber::MAX;
        let closed = if <crate::SafeMode as SafeMode>::is_entered() {
            <crate::SafeMode as SafeMode>::extend(for_ever)
        } else {
            <crate::SafeMode as SafeMode>::enter(for_ever)
        };
        match closed {
            // No longer stuck: blocks have transactions, of which the filter lets some through.
            Ok(()) => FailedMigrationHandling::ForceUnstuck,
            Err(_) => FailedMigrationHandling::KeepStuck,
        }
    }
}
