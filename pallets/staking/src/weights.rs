//! What the calls and hooks of this pallet cost.
//!
//! Derived by hand from the storage each of them touches, priced by the runtime's `DbWeight`, plus computing time on the
//! reference machine; to be replaced by the output of the benchmarks when they run on it. Proof sizes are zero: a chain of
//! its own carries no proofs of its storage.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};
use polkadot_sdk::*;

/// Decoding a call, checking its origin and depositing an event, in picoseconds.
const CALL: u64 = 15_000_000;
/// Encoding or decoding one record of at most 400 bytes, in picoseconds.
const RECORD: u64 = 3_000_000;
/// Putting a balance on hold, releasing or slashing it, or a transfer, without storage, in picoseconds.
const HOLD: u64 = 15_000_000;
/// Sorting one contender, in picoseconds.
const SORT: u64 = 1_000_000;

/// What each call and hook costs.
pub trait WeightInfo {
    /// Cost of `validate` while there are places for candidates.
    fn validate() -> Weight;
    /// Cost of `validate` when another candidate has to go.
    fn validate_full() -> Weight;
    /// Cost of `bond_more`.
    fn bond_more() -> Weight;
    /// Cost of `unbond`.
    fn unbond() -> Weight;
    /// Cost of `set_commission`.
    fn set_commission() -> Weight;
    /// Cost of `chill`.
    fn chill() -> Weight;
    /// Cost of `activate`.
    fn activate() -> Weight;
    /// Cost of `leave`.
    fn leave() -> Weight;
    /// Cost of `delegate` while the validator has places for delegators.
    fn delegate() -> Weight;
    /// Cost of `delegate` when another delegation has to go.
    fn delegate_full() -> Weight;
    /// Cost of `delegate_more`.
    fn delegate_more() -> Weight;
    /// Cost of `undelegate`.
    fn undelegate() -> Weight;
    /// Cost of `redelegate` while the validator has places for delegators.
    fn redelegate() -> Weight;
    /// Cost of `redelegate` when another delegation has to go.
    fn redelegate_full() -> Weight;
    /// Cost of `set_auto_compound`.
    fn set_auto_compound() -> Weight;
    /// Cost of `bond_worker`.
    fn bond_worker() -> Weight;
    /// Cost of `unbond_worker`.
    fn unbond_worker() -> Weight;
    /// Cost of `withdraw`.
    fn withdraw() -> Weight;
    /// Cost of `cancel_slash`.
    fn cancel_slash() -> Weight;
    /// Cost of seeing that no step has anything to do.
    fn idle() -> Weight;
    /// Cost of copying, for `n` delegations or validators.
    fn copy(n: u32) -> Weight;
    /// Cost of applying slashes, for `n` bonds.
    fn slash(n: u32) -> Weight;
    /// Cost of paying, for `n` who are paid.
    fn pay(n: u32) -> Weight;
    /// Cost of releasing `n` delegations to a validator that has left.
    fn release(n: u32) -> Weight;
    /// Cost of pruning `n` entries.
    fn prune(n: u32) -> Weight;
    /// Cost of counting a block for its author.
    fn note_author() -> Weight;
    /// Cost of an election among `c` candidates.
    fn elect(c: u32) -> Weight;
    /// Cost of ending an era.
    fn end_era() -> Weight;
    /// Cost of announcing a validator's slash, for the call that reports an offence.
    fn on_offence() -> Weight;
    /// Cost of announcing a worker's slash, for the call that does.
    fn slash_worker() -> Weight;
}

fn records(count: u64) -> Weight {
    Weight::from_parts(CALL.saturating_add(RECORD.saturating_mul(count)), 0)
}

fn held(count: u64) -> Weight {
    records(count).saturating_add(Weight::from_parts(HOLD, 0))
}

/// Weights for a runtime `T`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: crate::Config> SubstrateWeight<T> {
    fn storage(reads: u64, writes: u64) -> Weight {
        T::DbWeight::get().reads_writes(reads, writes)
    }

    /// Every one of `count` entries is read and looked at.
    fn scan(count: u32) -> Weight {
        Weight::from_parts(RECORD, 0).saturating_add(Self::storage(1, 0)).saturating_mul(count.into())
    }
}

impl<T: crate::Config> WeightInfo for SubstrateWeight<T> {
    // Reads: Pact, candidate, leaving, suspect, number of candidates, account, holds. Writes: candidate, number, account, holds.
    fn validate() -> Weight {
        held(6).saturating_add(Self::storage(7, 4))
    }

    // As well: the poorest candidate, its parts on their way back, leaving, the planned era.
    fn validate_full() -> Weight {
        Self::validate()
            .saturating_add(Self::scan(T::MaxCandidates::get()))
            .saturating_add(records(4))
            .saturating_add(Self::storage(3, 4))
    }

    // Reads and writes: candidate, account, holds.
    fn bond_more() -> Weight {
        held(3).saturating_add(Self::storage(3, 3))
    }

    // Reads: Pact, candidate, parts on their way back, planned era, leaving, number of candidates. Writes: all but the Pact and
    // the era.
    fn unbond() -> Weight {
        records(6).saturating_add(Self::storage(6, 4))
    }

    // Reads: Pact, candidate. Writes: candidate.
    fn set_commission() -> Weight {
        records(3).saturating_add(Self::storage(2, 1))
    }

    // Reads and writes: candidate.
    fn chill() -> Weight {
        records(2).saturating_add(Self::storage(1, 1))
    }

    // Reads: candidate, suspect, Pact. Writes: candidate.
    fn activate() -> Weight {
        records(4).saturating_add(Self::storage(3, 1))
    }

    // As unbonding all.
    fn leave() -> Weight {
        Self::unbond()
    }

    // Reads: Pact, candidate, delegation, delegator, copying, exposure, account, holds. Writes: candidate, delegation, delegator,
    // account, holds.
    fn delegate() -> Weight {
        held(10).saturating_add(Self::storage(8, 5))
    }

    // As well: the smallest delegation, its delegator and its parts on their way back, exposure and page, the planned era.
    fn delegate_full() -> Weight {
        Self::delegate()
            .saturating_add(Self::scan(T::MaxDelegators::get()))
            .saturating_add(records(10))
            .saturating_add(Self::storage(6, 5))
    }

    // Reads: candidate, delegation, copying, exposure, page, account, holds. Writes: all of these but copying.
    fn delegate_more() -> Weight {
        held(16).saturating_add(Self::storage(7, 6))
    }

    // Reads: Pact, candidate, delegation, delegator, parts on their way back, planned era, copying, exposure, page. Writes: all
    // of these but Pact, era and copying.
    fn undelegate() -> Weight {
        records(18).saturating_add(Self::storage(9, 6))
    }

    // Reads: Pact, delegator, copying, and of both validators candidate, delegation, exposure and page. Writes: all of these but
    // Pact and copying.
    fn redelegate() -> Weight {
        records(30).saturating_add(Self::storage(11, 9))
    }

    // As well: the smallest delegation, its delegator and its parts on their way back, the planned era.
    fn redelegate_full() -> Weight {
        Self::redelegate()
            .saturating_add(Self::scan(T::MaxDelegators::get()))
            .saturating_add(records(10))
            .saturating_add(Self::storage(4, 3))
    }

    // Reads and writes: delegation.
    fn set_auto_compound() -> Weight {
        records(2).saturating_add(Self::storage(1, 1))
    }

    // Reads: Pact, bond, account, holds. Writes: bond, account, holds.
    fn bond_worker() -> Weight {
        held(4).saturating_add(Self::storage(4, 3))
    }

    // Reads: Pact, bond, parts on their way back, planned era. Writes: bond, parts.
    fn unbond_worker() -> Weight {
        records(6).saturating_add(Self::storage(4, 2))
    }

    // Reads: present era, era of the next slash, queue, parts on their way back, bond or suspect, account, holds. Writes: parts,
    // account, holds.
    fn withdraw() -> Weight {
        held(8).saturating_add(Self::storage(7, 3))
    }

    // Reads: slash, present era, suspect, number of the era's slashes. Writes: slash, queue, suspect, number.
    fn cancel_slash() -> Weight {
        records(6).saturating_add(Self::storage(4, 4))
    }

    // Reads: copying, era of the next slash, present era, queue, era to be paid next, leaving, era to be pruned next, Pact.
    fn idle() -> Weight {
        Weight::from_parts(RECORD.saturating_mul(8), 0).saturating_add(Self::storage(8, 0))
    }

    // Of each: a delegation or exposure read; an exposure and a page, in the worst case, read and written.
    fn copy(n: u32) -> Weight {
        Weight::from_parts(RECORD.saturating_mul(6), 0).saturating_add(Self::storage(3, 2)).saturating_mul(n.into())
    }

    // Of each, in the worst case: account, holds, delegator, parts on their way back, and every delegation with its candidate,
    // read and written.
    fn slash(n: u32) -> Weight {
        let delegations = u64::from(T::MaxDelegations::get()).saturating_mul(2);
        let entries = delegations.saturating_add(4);
        Weight::from_parts(HOLD.saturating_add(RECORD.saturating_mul(entries.saturating_mul(2))), 0)
            .saturating_add(Self::storage(entries, entries))
            .saturating_mul(n.into())
    }

    // Of each: payout, exposure or page, pot, account, holds, delegation and candidate, read and written.
    fn pay(n: u32) -> Weight {
        Weight::from_parts(HOLD.saturating_mul(2).saturating_add(RECORD.saturating_mul(14)), 0)
            .saturating_add(Self::storage(7, 7))
            .saturating_mul(n.into())
    }

    // Of each: delegation, delegator, parts on their way back, exposure and page, read and written.
    fn release(n: u32) -> Weight {
        Weight::from_parts(RECORD.saturating_mul(14), 0).saturating_add(Self::storage(5, 5)).saturating_mul(n.into())
    }

    // Of each: found and removed.
    fn prune(n: u32) -> Weight {
        Weight::from_parts(RECORD, 0).saturating_add(Self::storage(1, 1)).saturating_mul(n.into())
    }

    // Reads: present era, exposure, both counts. Writes: both counts.
    fn note_author() -> Weight {
        Weight::from_parts(RECORD.saturating_mul(4), 0).saturating_add(Self::storage(4, 2))
    }

    // Of each candidate: itself and its session keys read, its exposure written.
    fn elect(c: u32) -> Weight {
        Weight::from_parts(SORT.saturating_add(RECORD.saturating_mul(3)), 0)
            .saturating_add(Self::storage(2, 1))
            .saturating_mul(c.into())
            .saturating_add(records(4))
            .saturating_add(Self::storage(4, 2))
    }

    // Reads: blocks, Pact, pool and pot with their accounts, owed. Writes: blocks, payout, owed, pool, pot.
    fn end_era() -> Weight {
        held(10).saturating_add(Self::storage(10, 8))
    }

    // Reads: exposure, conviction, candidate, suspect, number of the era's slashes, number of the next, present era, Pact, and
    // the sessions' validators and who of them is disabled. Writes: all but exposure, era, Pact and validators, and slash and
    // queue.
    fn on_offence() -> Weight {
        records(20).saturating_add(Self::storage(10, 8))
    }

    // Reads: bond, parts on their way back, number of the next slash, present era, Pact. Writes: bond, number, slash, queue.
    fn slash_worker() -> Weight {
        records(8).saturating_add(Self::storage(5, 4))
    }
}
