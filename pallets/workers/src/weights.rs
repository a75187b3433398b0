//! What the calls of this pallet cost.
//!
//! Derived by hand from the storage each call touches, priced by the runtime's `DbWeight`, plus computing time on the
//! reference machine; to be replaced by the output of the benchmarks when they run on it. Proof sizes are zero: a chain of
//! its own carries no proofs of its storage.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};
use polkadot_sdk::*;

/// Decoding a call, checking its origin and depositing an event, in picoseconds.
const CALL: u64 = 15_000_000;
/// Encoding or decoding one record of at most 1,400 bytes, in picoseconds.
const RECORD: u64 = 6_000_000;
/// Putting a balance on hold or releasing it, without storage, in picoseconds.
const HOLD: u64 = 15_000_000;
/// Verifying an sr25519 signature and hashing what it signs, in picoseconds.
const SIGNATURE: u64 = 60_000_000;

/// What each call costs.
pub trait WeightInfo {
    /// Cost of `register`.
    fn register() -> Weight;
    /// Cost of `update`.
    fn update() -> Weight;
    /// Cost of `leave`.
    fn leave() -> Weight;
    /// Cost of `release_hardware`.
    fn release_hardware() -> Weight;
    /// Cost of authorising `heartbeat`.
    fn authorize_heartbeat() -> Weight;
    /// Cost of `heartbeat`.
    fn heartbeat() -> Weight;
    /// Cost of `quarantine`.
    fn quarantine() -> Weight;
    /// Cost of `release`.
    fn release() -> Weight;
    /// Cost of `forget_standing`.
    fn forget_standing() -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // Reads: worker, key, genesis hash, machine, the account and holds of the registrant and of the machine's former
    // owner, the latter's standing, the number of workers. Writes: all of these but the hash.
    fn register() -> Weight {
        let holds = HOLD.saturating_mul(2);
        let compute = CALL.saturating_add(SIGNATURE).saturating_add(holds).saturating_add(RECORD.saturating_mul(5));
        Weight::from_parts(compute, 0).saturating_add(T::DbWeight::get().reads_writes(10, 9))
    }

    // Reads: worker, new key, genesis hash. Writes: worker, old key, new key.
    fn update() -> Weight {
        Weight::from_parts(CALL.saturating_add(SIGNATURE).saturating_add(RECORD.saturating_mul(4)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    // Reads: worker, number of workers, machine, standing. Writes: these, key, heartbeat.
    fn leave() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(5)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(4, 6))
    }

    // Reads: machine, its owner's account, holds and standing. Writes: the same.
    fn release_hardware() -> Weight {
        Weight::from_parts(CALL.saturating_add(HOLD).saturating_add(RECORD.saturating_mul(2)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(4, 4))
    }

    // Reads: last heartbeat, worker, genesis hash.
    fn authorize_heartbeat() -> Weight {
        Weight::from_parts(SIGNATURE.saturating_add(RECORD.saturating_mul(2)), 0)
            .saturating_add(T::DbWeight::get().reads(3))
    }

    // Reads: last heartbeat, worker. Writes: last heartbeat.
    fn heartbeat() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(2)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }

    // Reads: holds, standing, the Pact. Writes: standing.
    fn quarantine() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(3)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(3, 1))
    }

    // Reads: standing. Writes: standing.
    fn release() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(2)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }

    // Reads: standing. Writes: standing.
    fn forget_standing() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD), 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
}
