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
/// Finding and removing one vote, without storage, in picoseconds.
const VOTE: u64 = 3_000_000;
/// Moving a call on the scheduler's agenda, without storage, in picoseconds.
const SCHEDULE: u64 = 40_000_000;

/// What each call costs.
pub trait WeightInfo {
    /// Cost of `vote`.
    fn vote() -> Weight;
    /// Cost of `remove_vote`.
    fn remove_vote() -> Weight;
    /// Cost of `clean_up` of `n` votes.
    fn clean_up(n: u32) -> Weight;
    /// Cost of `open_poll`.
    fn open_poll() -> Weight;
    /// Cost of `vote_poll`.
    fn vote_poll() -> Weight;
    /// Cost of `remove_poll_vote`.
    fn remove_poll_vote() -> Weight;
    /// Cost of `appeal`.
    fn appeal() -> Weight;
    /// Cost of `clean_up_poll` of `n` votes.
    fn clean_up_poll(n: u32) -> Weight;
    /// Cost of beginning with the agenda in a block.
    fn agenda() -> Weight;
    /// Cost of looking at the agenda of one block.
    fn agenda_block() -> Weight;
    /// Cost of ending a poll.
    fn end_poll() -> Weight;
    /// Cost of ending the second poll of an appeal.
    fn end_appeal() -> Weight;
    /// Cost of making a result final.
    fn settle_poll() -> Weight;
    /// Cost of looking at the next poll in a block and cleaning it up, with `n` votes.
    fn sweep_poll(n: u32) -> Weight;
    /// Cost of looking at the next votes on referenda in a block and removing `n` of them.
    fn sweep_votes(n: u32) -> Weight;
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

fn votes<T: crate::Config>(n: u32) -> Weight {
    Weight::from_parts(VOTE, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1)).saturating_mul(n.into())
}

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // Reads: referendum, membership (worker, machine, standing), vote, and of the scheduler both agendas and the block.
    // Writes: referendum, vote, both agendas.
    fn vote() -> Weight {
        Weight::from_parts(CALL.saturating_add(SCHEDULE).saturating_add(RECORD.saturating_mul(6)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(8, 4))
    }

    // As `vote`.
    fn remove_vote() -> Weight {
        Self::vote()
    }

    // Reads: referendum; key and value of each vote. Writes: each vote.
    fn clean_up(n: u32) -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD), 0)
            .saturating_add(T::DbWeight::get().reads(1))
            .saturating_add(votes::<T>(n))
    }

    // Reads: Pact, number of members, next number. Writes: next number, poll, list, agenda.
    fn open_poll() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(3)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(3, 4))
    }

    // Reads: poll, membership (worker, machine, standing), vote. Writes: poll, vote, both agendas.
    fn vote_poll() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(4)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }

    // As `vote_poll`.
    fn remove_poll_vote() -> Weight {
        Self::vote_poll()
    }

    // Reads: both polls, Pact, number of members, next number, account, holds. Writes: the same but Pact and members, list,
    // both agendas.
    fn appeal() -> Weight {
        Weight::from_parts(CALL.saturating_add(HOLD).saturating_add(RECORD.saturating_mul(5)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(6, 8))
    }

    // Reads: poll; key and value of each vote, and that there is no more. Writes: poll, each vote.
    fn clean_up_poll(n: u32) -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD), 0)
            .saturating_add(T::DbWeight::get().reads_writes(2, 1))
            .saturating_add(votes::<T>(n))
    }

    // Reads: what is left over. Writes: the same.
    fn agenda() -> Weight {
        Weight::from_parts(VOTE, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }

    // Reads: that there is no more on the agenda.
    fn agenda_block() -> Weight {
        Weight::from_parts(VOTE, 0).saturating_add(T::DbWeight::get().reads(1))
    }

    // Reads: agenda, poll, number of members. Writes: both agendas, poll, list.
    fn end_poll() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(2)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(4, 4))
    }

    // Reads: agenda, both polls, number of members, account and holds, where lost deposits go. Writes: agenda, list, and what
    // was read but the members.
    fn end_appeal() -> Weight {
        let compute = CALL.saturating_mul(3).saturating_add(HOLD).saturating_add(RECORD.saturating_mul(4));
        Weight::from_parts(compute, 0).saturating_add(T::DbWeight::get().reads_writes(8, 7))
    }

    // Reads: agenda, poll. Writes: the same.
    fn settle_poll() -> Weight {
        Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(2)), 0)
            .saturating_add(T::DbWeight::get().reads_writes(3, 2))
    }

    // As `clean_up_poll`; and where the last round is, which is read and written, and key and value of the next poll.
    fn sweep_poll(n: u32) -> Weight {
        Self::clean_up_poll(n)
            .saturating_add(Weight::from_parts(RECORD, 0))
            .saturating_add(T::DbWeight::get().reads_writes(3, 1))
    }

    // Reads: where the last round is; each vote's key, and its referendum. Writes: where the round is, votes that go.
    fn sweep_votes(n: u32) -> Weight {
        let looked_at = u64::from(crate::SWEPT_VOTES);
        Weight::from_parts(RECORD.saturating_add(VOTE).saturating_mul(looked_at).saturating_add(CALL), 0)
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(looked_at.saturating_mul(2).saturating_add(1), u64::from(n).saturating_add(1)),
            )
    }
}
