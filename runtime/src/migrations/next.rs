//! The next release, as far as a rehearsal of an upgrade needs one: a version, a constant that has changed, and a migration
//! of each kind. `tests/next-runtime` compiles it, and a network of tests votes it in.
//!
//! Heartbeat periods become half as long. A period is known by its number, and the number of each worker's last one is on
//! chain: counted in the new length, the old numbers are of a distant past, and every worker would be offline.
//! [`ShorterPeriods`] rewrites them. [`NotePeriodChange`] notes from which block on they are of the new length, for whoever
//! reads heartbeats of former blocks.

use crate::{
    constants::time::MINUTES, AccountId, BlockNumber, Runtime, System, Workers as WorkersPallet, RUNTIME_API_VERSIONS,
};
use alloc::borrow::Cow;
use frame_support::{
    migrations::{MigrationId, SteppedMigration, SteppedMigrationError, VersionedMigration},
    storage_alias,
    traits::{Get, UncheckedOnRuntimeUpgrade},
    weights::{RuntimeDbWeight, Weight, WeightMeter},
};
use pallet_blyan_workers::LastHeartbeat;
use polkadot_sdk::*;
use sp_version::RuntimeVersion;

type DbWeight = <Runtime as frame_system::Config>::DbWeight;

/// Version of the next runtime.
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: Cow::Borrowed("blyan"),
    impl_name: Cow::Borrowed("blyan"),
    authoring_version: 1,
    spec_version: 2,
    impl_version: 1,
    apis: RUNTIME_API_VERSIONS,
    transaction_version: 1,
    system_version: 1,
};

/// Blocks of a heartbeat period so far.
pub const FORMER_PERIOD: BlockNumber = MINUTES;
/// Blocks of a heartbeat period from now on.
pub const HEARTBEAT_PERIOD: BlockNumber = FORMER_PERIOD / 2;
/// Workers of a step. So few that the migration of a small network takes more than one block.
pub const WORKERS_PER_STEP: u32 = 2;

/// Migrations that run in the first block of the next version.
pub type SingleBlock = (VersionedMigration<1, 2, NotePeriodChange, WorkersPallet, DbWeight>,);

/// Migrations that take a step in each block from then on.
pub type MultiBlock = (ShorterPeriods,);

/// First block in which heartbeat periods are of the new length.
#[storage_alias(verbatim)]
pub type PeriodChangedAt = StorageValue<Workers, BlockNumber>;

/// Notes when periods change.
pub struct NotePeriodChange;

impl UncheckedOnRuntimeUpgrade for NotePeriodChange {
    fn on_runtime_upgrade() -> Weight {
        // Migrations run before the block that they are part of has its number.
        PeriodChangedAt::put(System::block_number().saturating_add(1));
        <DbWeight as Get<RuntimeDbWeight>>::get().reads_writes(1, 1)
    }
}

/// The period of the new length that stands for a former one in block `now`: the last one that is in it and has begun, so that
/// nobody is thought to be away for longer than before.
pub fn renumbered(period: u32, now: BlockNumber) -> u32 {
    let last = period.saturating_mul(2).saturating_add(1);
    last.min(now.checked_div(HEARTBEAT_PERIOD).unwrap_or_default())
}

/// Rewrites the last heartbeat of every worker, in the order of storage. No worker sends any meanwhile, as transactions wait.
pub struct ShorterPeriods;

impl SteppedMigration for ShorterPeriods {
    /// The last account that is done.
    type Cursor = AccountId;
    type Identifier = MigrationId<13>;

    fn id() -> Self::Identifier {
        MigrationId { pallet_id: *b"blyan-workers", version_from: 1, version_to: 2 }
    }

    fn max_steps() -> Option<u32> {
        let workers = pallet_blyan_workers::Workers::<Runtime>::count();
        // And one that finds nothing left.
        Some(workers.div_ceil(WORKERS_PER_STEP).saturating_add(1))
    }

    fn step(
        cursor: Option<Self::Cursor>,
        meter: &mut WeightMeter,
    ) -> Result<Option<Self::Cursor>, SteppedMigrationError> {
        // The key after the last, its value, and the new value.
        let required = <DbWeight as Get<RuntimeDbWeight>>::get().reads_writes(2, 1);
        if !meter.can_consume(required) {
            return Err(SteppedMigrationError::InsufficientWeight { required });
        }
        let now = System::block_number();
        let mut left = match &cursor {
            None => LastHeartbeat::<Runtime>::iter(),
            Some(done) => LastHeartbeat::<Runtime>::iter_from_key(done),
        };
        let mut done = cursor;
        for _ in 0..WORKERS_PER_STEP {
            if meter.try_consume(required).is_err() {
                break;
            }
            let Some((worker, period)) = left.next() else { return Ok(None) };
            LastHeartbeat::<Runtime>::insert(&worker, renumbered(period, now));
            done = Some(worker);
        }
        Ok(done)
    }
}
