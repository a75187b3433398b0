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
/// Encoding or decoding one record of at most 200 bytes, in picoseconds.
const RECORD: u64 = 2_000_000;
/// Decoding a worker's record of at most 1,400 bytes, in picoseconds.
const WORKER: u64 = 6_000_000;
/// Putting a balance on hold, releasing it or paying it out, without storage, in picoseconds.
const HOLD: u64 = 15_000_000;
/// Verifying a signature of the slowest kind (ECDSA recovery, about 80 µs) and hashing what it signs, in picoseconds.
const SIGNATURE: u64 = 85_000_000;

/// What each call costs.
pub trait WeightInfo {
    /// Cost of `open`.
    fn open() -> Weight;
    /// Cost of `top_up`.
    fn top_up() -> Weight;
    /// Cost of `redeem`.
    fn redeem() -> Weight;
    /// Cost of `request_close`.
    fn request_close() -> Weight;
    /// Cost of `close`.
    fn close() -> Weight;
    /// Cost of authorising `anchor`.
    fn authorize_anchor() -> Weight;
    /// Cost of `anchor`.
    fn anchor() -> Weight;
    /// Cost of `prune` that removes `n` anchors.
    fn prune(n: u32) -> Weight;
    /// Cost of looking at the next channels in a block and closing `n` of them.
    fn sweep_channels(n: u32) -> Weight;
    /// Cost of looking at the next worker in a block and removing `n` of its anchors.
    fn sweep_anchors(n: u32) -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // Reads: gateway's worker, account, holds, next number. Writes: account, holds, next number, channel, payer's list.
    fn open() -> Weight {
        let compute = CALL.saturating_add(HOLD).saturating_add(WORKER).saturating_add(RECORD.saturating_mul(2));
        Weight::from_parts(compute, 0).saturating_add(T::DbWeight::get().reads_writes(4, 5))
    }

    // Reads: channel, account, holds. Writes: the same.
    fn top_up() -> Weight {
        Weight::from_parts(CALL.saturating_add(HOLD).saturating_add(RECORD.saturating_mul(2)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    // Reads: channel, genesis hash, the payer's account and holds, the gateway's account. Writes: all but the hash.
    // Two signatures: a voucher is signed plain or wrapped.
    fn redeem() -> Weight {
        let signatures = SIGNATURE.saturating_mul(2);
        let compute = CALL.saturating_add(HOLD).saturating_add(signatures).saturating_add(RECORD.saturating_mul(2));
        Weight::from_parts(compute, 0).saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }

    // Reads: channel. Writes: channel.
    fn request_close() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(2)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }

    // Reads: channel, account, holds. Writes: channel, payer's list, account, holds.
    fn close() -> Weight {
        Weight::from_parts(CALL.saturating_add(HOLD).saturating_add(RECORD), 0)
            .saturating_add(T::DbWeight::get().reads_writes(3, 4))
    }

    // Reads: what was served, anchors of the block, last anchor, worker, account, holds, genesis hash.
    fn authorize_anchor() -> Weight {
        let records = RECORD.saturating_mul(2);
        let compute = SIGNATURE.saturating_add(HOLD).saturating_add(WORKER).saturating_add(records);
        Weight::from_parts(compute, 0).saturating_add(T::DbWeight::get().reads(7))
    }

    // Reads: what was served, anchors of the block, last anchor, worker, account, holds. Writes: what was served, anchors of
    // the block, anchor, account, holds.
    fn anchor() -> Weight {
        let holds = HOLD.saturating_mul(2);
        let compute = CALL.saturating_add(holds).saturating_add(WORKER).saturating_add(RECORD.saturating_mul(4));
        Weight::from_parts(compute, 0).saturating_add(T::DbWeight::get().reads_writes(6, 5))
    }

    // Reads and writes: what was served, account, holds, and each anchor; and the read of one that stays.
    fn prune(n: u32) -> Weight {
        let n = u64::from(n);
        let compute = CALL.saturating_add(HOLD).saturating_add(RECORD.saturating_mul(n.saturating_add(2)));
        Weight::from_parts(compute, 0)
            .saturating_add(T::DbWeight::get().reads_writes(n.saturating_add(4), n.saturating_add(3)))
    }

    // Reads: where the last round is, key and value of each channel, account and holds of each that is closed. Writes: where
    // the round is; as `close` for each.
    fn sweep_channels(n: u32) -> Weight {
        let (n, looked_at) = (u64::from(n), u64::from(crate::SWEPT_CHANNELS));
        let compute = HOLD.saturating_mul(n).saturating_add(RECORD.saturating_mul(looked_at.saturating_add(n)));
        let reads = looked_at.saturating_mul(2).saturating_add(n.saturating_mul(2)).saturating_add(1);
        Weight::from_parts(compute, 0)
            .saturating_add(T::DbWeight::get().reads_writes(reads, n.saturating_mul(4).saturating_add(1)))
    }

    // As `prune`; and where the last round is, which is read and written, and the next worker.
    fn sweep_anchors(n: u32) -> Weight {
        Self::prune(n).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }
}
