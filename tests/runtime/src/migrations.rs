//! What the first blocks of a new version do, and what becomes of a chain on which that fails. The next release of the
//! rehearsal stands for all that will come.

use super::{calls::our_calls, preset};
use blyan_primitives::{
    hardware::{HardwareProfile, Tier},
    ids::HardwareId,
    worker::{Region, Roles, WorkerInfo},
};
use blyan_runtime::{
    configs::{safe_mode::Governing, workers::HEARTBEAT_PERIOD},
    constants::currency::BLY,
    migrations::{
        next::{self, renumbered, PeriodChangedAt, ShorterPeriods, WORKERS_PER_STEP},
        MultiBlock,
    },
    AccountId, Migrations, Runtime, RuntimeCall, RuntimeEvent, RuntimeOrigin, SafeMode, System, Workers, VERSION,
};
use frame_support::{
    assert_ok,
    migrations::{SteppedMigration, SteppedMigrationError, SteppedMigrations},
    pallet_prelude::Weight,
    traits::{Authorize, Contains, GetStorageVersion, OnRuntimeUpgrade, StorageVersion},
    weights::WeightMeter,
};
use pallet_blyan_workers::LastHeartbeat;
use pallet_migrations::{ActiveCursor, Cursor, MigrationCursor};
use polkadot_sdk::*;
use sp_keyring::Sr25519Keyring::{Alice, Bob};
use sp_runtime::{traits::Dispatchable, DispatchError, MultiAddress};

/// A state in block `now` with this many workers, the last heartbeat of each of which was in the period that `last` gives.
fn with_workers(count: u8, now: u32, last: impl Fn(u8) -> u32) -> sp_io::TestExternalities {
    let mut state = preset("tiny_local");
    state.execute_with(|| {
        System::set_block_number(now);
        for index in 0..count {
            let info = WorkerInfo {
                key: [index; 32],
                peer_id: [&[0x00, 36][..], &[1; 36]].concat().try_into().unwrap(),
                addresses: Default::default(),
                region: Region::new("DE").unwrap(),
                hardware: HardwareProfile { ram_mib: 1024, cpu_threads: 1, ..Default::default() },
                hardware_id: HardwareId([index; 32]),
                roles: Roles::SERVE,
            };
            let record = pallet_blyan_workers::WorkerRecord { info, tier: Tier::CPU, registered_at: 0 };
            pallet_blyan_workers::Workers::<Runtime>::insert(worker(index), record);
            LastHeartbeat::<Runtime>::insert(worker(index), last(index));
        }
    });
    state
}

fn worker(index: u8) -> AccountId {
    [index; 32].into()
}

/// Takes steps until the migration is done, each in a block of its own, and says how many there were.
fn migrate(meter: impl Fn() -> WeightMeter) -> Result<u32, SteppedMigrationError> {
    let (mut cursor, mut steps) = (None, 0);
    loop {
        steps += 1;
        cursor = ShorterPeriods::transactional_step(cursor, &mut meter())?;
        if cursor.is_none() {
            return Ok(steps);
        }
        System::set_block_number(System::block_number() + 1);
    }
}

#[test]
fn the_next_release_follows_the_present_one() {
    let former = VERSION;
    assert_eq!(next::VERSION, sp_version::RuntimeVersion { spec_version: former.spec_version + 1, ..former });
    assert_eq!(next::FORMER_PERIOD, HEARTBEAT_PERIOD);
    assert_eq!(HEARTBEAT_PERIOD, 2 * next::HEARTBEAT_PERIOD);
    with_workers(1, 1, |_| 0).execute_with(|| <next::MultiBlock as SteppedMigrations>::integrity_test().unwrap());
    // The present version has nothing to migrate: no chain runs an older one.
    assert_eq!(<MultiBlock as SteppedMigrations>::len(), 0);
}

#[test]
fn a_versioned_migration_runs_once() {
    with_workers(0, 41, |_| 0).execute_with(|| {
        assert_eq!(Workers::on_chain_storage_version(), StorageVersion::new(1));
        next::SingleBlock::on_runtime_upgrade();
        assert_eq!(Workers::on_chain_storage_version(), StorageVersion::new(2));
        assert_eq!(PeriodChangedAt::get(), Some(42));
        System::set_block_number(50);
        next::SingleBlock::on_runtime_upgrade();
        assert_eq!(PeriodChangedAt::get(), Some(42));
    });
}

#[test]
fn a_stepped_migration_reaches_every_entry_once_in_as_many_steps_as_it_may_take() {
    for count in [0, 1, 2, 5, 8] {
        // Block 205 is of period 10 so far, and of period 20 from now on.
        let last = |index| u32::from(index) + 2;
        with_workers(count, 205, last).execute_with(|| {
            let steps = migrate(WeightMeter::new).unwrap();
            assert_eq!(steps, u32::from(count) / WORKERS_PER_STEP + 1);
            assert!(Some(steps) <= ShorterPeriods::max_steps(), "{count} workers take {steps} steps");
            for index in 0..count {
                let expected = 2 * last(index) + 1;
                assert_eq!(LastHeartbeat::<Runtime>::get(worker(index)), Some(expected.min(20)), "{index}");
            }
            assert_eq!(LastHeartbeat::<Runtime>::iter().count(), usize::from(count));
        });
    }
}

#[test]
fn a_step_takes_no_more_weight_than_there_is_and_says_what_it_needs() {
    with_workers(4, 205, |_| 3).execute_with(|| {
        let Err(SteppedMigrationError::InsufficientWeight { required }) =
            migrate(|| WeightMeter::with_limit(Weight::zero()))
        else {
            panic!("a step without weight was taken")
        };
        assert!(LastHeartbeat::<Runtime>::iter_values().all(|period| period == 3), "what fails leaves nothing behind");
        // One worker a step, and a last step that finds none.
        assert_eq!(migrate(|| WeightMeter::with_limit(required)), Ok(5));
        assert!(LastHeartbeat::<Runtime>::iter_values().all(|period| period == 7));
    });
}

#[test]
fn who_has_just_been_there_is_still_online_in_periods_of_the_new_length() {
    for now in 0..400 {
        let (former, present) = (now / next::FORMER_PERIOD, now / next::HEARTBEAT_PERIOD);
        for last in former.saturating_sub(1)..=former {
            let renumbered = renumbered(last, now);
            assert!(renumbered <= present, "block {now}: period {renumbered} is to come");
            assert!(present - renumbered < 3, "block {now}: who was online in period {last} is offline");
        }
    }
}

/// Lets an upgrade fail: by one that comes before the last is done.
fn fail_to_migrate() {
    let midway = ActiveCursor { index: 0, inner_cursor: None, started_at: 1 };
    Cursor::<Runtime>::put(MigrationCursor::Active(midway));
    let ongoing = frame_system::Error::<Runtime>::MultiBlockMigrationsOngoing.into();
    assert_eq!(System::can_set_code(&[], false).into_result(), Err(ongoing));
    Migrations::on_runtime_upgrade();
}

fn transfer() -> RuntimeCall {
    pallet_balances::Call::transfer_keep_alive { dest: MultiAddress::Id(Bob.to_account_id()), value: BLY }.into()
}

fn call(call: impl Into<RuntimeCall>) -> Result<(), DispatchError> {
    call.into().dispatch(RuntimeOrigin::signed(Alice.to_account_id())).map(|_| ()).map_err(|error| error.error)
}

#[test]
fn a_failed_migration_closes_the_chain_to_all_but_governing() {
    preset("tiny_local").execute_with(|| {
        System::set_block_number(1);
        let filtered: DispatchError = frame_system::Error::<Runtime>::CallFiltered.into();
        assert_ok!(call(transfer()));
        fail_to_migrate();
        System::assert_has_event(RuntimeEvent::Migrations(pallet_migrations::Event::UpgradeFailed));
        System::assert_has_event(RuntimeEvent::SafeMode(pallet_safe_mode::Event::Entered { until: u32::MAX }));
        assert!(!Cursor::<Runtime>::exists(), "blocks have no transactions: nobody can vote");
        assert_ok!(System::can_set_code(&[], false).into_result());

        assert_eq!(call(transfer()), Err(filtered));
        assert_ok!(call(pallet_utility::Call::batch { calls: vec![transfer()] }));
        let interrupted = pallet_utility::Event::BatchInterrupted { index: 0, error: filtered };
        System::assert_has_event(RuntimeEvent::Utility(interrupted));

        // A remedy can be proposed and voted on: what stops this vote is that there is no referendum.
        assert_ok!(call(pallet_preimage::Call::note_preimage { bytes: vec![7; 1000] }));
        let unknown = pallet_blyan_dao::Error::<Runtime>::ReferendumNotOngoing.into();
        assert_eq!(call(pallet_blyan_dao::Call::vote { referendum: 0, aye: true }), Err(unknown));
        // And it opens the chain again, which nobody else can.
        assert_eq!(SafeMode::force_exit(RuntimeOrigin::signed(Alice.to_account_id())), Err(DispatchError::BadOrigin));
        assert_ok!(SafeMode::force_exit(RuntimeOrigin::root()));
        assert_ok!(call(transfer()));
    });
}

#[test]
fn a_chain_that_was_closed_before_a_migration_fails_stays_closed_longer() {
    preset("tiny_local").execute_with(|| {
        System::set_block_number(1);
        assert_ok!(SafeMode::force_enter(RuntimeOrigin::root()));
        fail_to_migrate();
        assert_eq!(pallet_safe_mode::EnteredUntil::<Runtime>::get(), Some(u32::MAX));
        assert!(!Cursor::<Runtime>::exists());
    });
}

#[test]
fn what_is_free_of_charge_goes_on_in_a_closed_chain() {
    let free: Vec<_> = our_calls().into_iter().filter(|(call, _)| call.weight_of_authorize().ref_time() > 0).collect();
    assert!(!free.is_empty());
    for (call, name) in free {
        assert!(
            Governing::contains(&call),
            "{name} would fail in a block, and could be sent again and again for nothing"
        );
    }
}
