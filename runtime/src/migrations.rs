//! Migrations: what the first blocks of a new version change in the state, so that its code finds there what it expects.
//!
//! There are two lists, one for each kind. Both are of the version that is in the code: an entry stays until no chain is
//! left that has not run it, and goes with the next release after that.
//!
//! **[`SingleBlock`]**: for what is bounded and small, such as a value, or a map with few entries by construction. All of
//! it runs before anything else of the new version's first block, however long that takes. Each entry is a
//! [`VersionedMigration`](frame_support::migrations::VersionedMigration): it runs if the pallet's storage version on chain
//! is the one that it migrates from, and raises it, so that it runs once whatever becomes of the list. To add one:
//!
//! 1. Write `pallets/<pallet>/src/migrations.rs`: the change as `UncheckedOnRuntimeUpgrade` in a private module, with
//!    `pre_upgrade` and `post_upgrade` for `try-runtime`, and `pub type V1ToV2<T> = VersionedMigration<1, 2, …>`.
//! 2. Raise the pallet's `STORAGE_VERSION`.
//! 3. Add it to the list, in the order in which they depend on each other.
//!
//! **[`MultiBlock`]**: for maps that can be long. Each entry is a
//! [`SteppedMigration`](frame_support::migrations::SteppedMigration), which does a step in each block within
//! [`MigrationWeight`](crate::configs::migrations::MigrationWeight) and keeps a cursor; [`Migrations`](crate::Migrations)
//! goes through the list, remembers by their ids those that are done, and says so in events. To add one:
//!
//! 1. Give it an id that no other has, such as `MigrationId { pallet_id: *b"blyan-workers", version_from: 1, version_to: 2 }`,
//!    a cursor from which a step goes on (the last key that is done), and `max_steps`, so that it cannot go on for ever.
//! 2. Check the meter before each entry. Return `InsufficientWeight` only if there is not enough for a single one.
//! 3. Make sure that what runs in between copes with both forms: as long as migrations go on, blocks have no transactions
//!    but inherents, while hooks of pallets run as always, scheduled calls among them.
//! 4. Add it to the list.
//!
//! A change of either kind comes with a test in `tests/runtime/src/migrations.rs`, which runs it on a state as the
//! former version leaves it, and with a rehearsal: see docs/upgrades.md. When a migration fails all the same, the chain is
//! closed to all but governing: see [`LeaveToTheDao`](crate::configs::migrations::LeaveToTheDao).

// With `std` for its tests alone: the runtime that is compiled to WebAssembly has it only when it is the rehearsal's.
#[cfg(any(feature = "next-release", feature = "std"))]
pub mod next;

/// Migrations that run in the first block of the present version.
#[cfg(not(feature = "next-release"))]
pub type SingleBlock = ();
#[cfg(feature = "next-release")]
pub use next::SingleBlock;

/// Migrations that take a step in each block from the first one of the present version on.
#[cfg(not(feature = "next-release"))]
pub type MultiBlock = ();
#[cfg(feature = "next-release")]
pub use next::MultiBlock;
