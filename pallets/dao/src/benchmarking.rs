//! Benchmarks of the calls and of the agenda, each at its worst case.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "never part of a chain's runtime: what goes wrong here is to stop a benchmark"
)]

use crate::{pallet::*, tracks, Phase};
use blyan_primitives::{
    ids::HardwareId,
    traits::{Members, PactProvider, PollId, PollResult, MAX_OUTCOMES},
};
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::{EnsureOrigin, Get, Hooks},
    traits::{fungible::Mutate, Polling},
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use pallet_referenda::ReferendumIndex;
use polkadot_sdk::*;
use sp_runtime::traits::Saturating;

const SUBJECT: [u8; 32] = [7; 32];

/// Machine `n`.
fn machine(n: u32) -> HardwareId {
    let mut id = [0; 32];
    for (byte, value) in id.iter_mut().zip(n.to_le_bytes()) {
        *byte = value;
    }
    HardwareId(id)
}

/// A member with money.
fn member<T: Config<Currency: Mutate<T::AccountId>>>() -> T::AccountId {
    let who = whitelisted_caller::<T::AccountId>();
    T::Currency::set_balance(&who, T::Pact::pact().governance.appeal_deposit.saturating_mul(100));
    T::Members::add(&who, machine(0));
    who
}

/// A referendum that is being voted on.
fn referendum<T: Config>() -> Result<ReferendumIndex, BenchmarkError> {
    T::Referenda::create_ongoing(tracks::ROOT).map_err(|()| "a referendum can be made".into())
}

fn now<T: Config>() -> BlockNumberFor<T> {
    frame_system::Pallet::<T>::block_number()
}

/// Lets the blocks begin until a poll is in another phase.
fn next_phase<T: Config>(id: PollId) -> Result<(), BenchmarkError> {
    let poll = Polls::<T>::get(id).ok_or("the poll exists")?;
    let block = match poll.phase {
        Phase::Ended { until, .. } => until,
        _ => poll.ends_at,
    };
    frame_system::Pallet::<T>::set_block_number(block);
    Pallet::<T>::on_initialize(block);
    Ok(())
}

/// A poll with as many outcomes as there can be.
fn poll<T: Config>() -> Result<PollId, BenchmarkError> {
    Pallet::<T>::do_open_poll(SUBJECT, MAX_OUTCOMES).map_err(|_| "a poll can be opened".into())
}

/// Moves a poll's end to the block after next: benchmarks are set up in block 0 and run in block 1. Waiting for the end would
/// take its voters offline.
fn end_soon<T: Config>(id: PollId) -> Result<(), BenchmarkError> {
    let mut poll = Polls::<T>::get(id).ok_or("the poll exists")?;
    Agenda::<T>::remove(poll.ends_at, id);
    poll.ends_at = now::<T>().saturating_add(2u32.into());
    Agenda::<T>::insert(poll.ends_at, id, ());
    Polls::<T>::insert(id, poll);
    Ok(())
}

/// A poll whose result is final, with `n` votes.
fn settled<T: Config>(n: u32) -> Result<PollId, BenchmarkError> {
    let id = poll::<T>()?;
    for index in 0..n {
        PollVotes::<T>::insert(id, machine(index), 0);
    }
    next_phase::<T>(id)?;
    next_phase::<T>(id)?;
    Ok(id)
}

#[benchmarks(where T: Config<Currency: Mutate<T::AccountId>>)]
mod benchmarks {
    use super::*;

    // The vote is changed.
    #[benchmark]
    fn vote() -> Result<(), BenchmarkError> {
        let who = member::<T>();
        let index = referendum::<T>()?;
        Pallet::<T>::do_vote(who.clone(), index, false)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who), index, true);

        assert_eq!(Votes::<T>::get(index, machine(0)), Some(true));
        Ok(())
    }

    #[benchmark]
    fn remove_vote() -> Result<(), BenchmarkError> {
        let who = member::<T>();
        let index = referendum::<T>()?;
        Pallet::<T>::do_vote(who.clone(), index, true)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who), index);

        assert_eq!(Votes::<T>::get(index, machine(0)), None);
        Ok(())
    }

    /// `n`: votes that are removed.
    #[benchmark]
    fn clean_up(n: Linear<1, { T::MaxCleanUp::get() }>) -> Result<(), BenchmarkError> {
        let who = member::<T>();
        let index = referendum::<T>()?;
        for voter in 0..=n {
            Votes::<T>::insert(index, machine(voter), true);
        }
        T::Referenda::end_ongoing(index, false).map_err(|()| "the referendum is ongoing")?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who), index, n);

        assert_eq!(Votes::<T>::iter_prefix(index).count(), 1);
        Ok(())
    }

    #[benchmark]
    fn open_poll() -> Result<(), BenchmarkError> {
        let origin = T::GovernanceOrigin::try_successful_origin().map_err(|()| BenchmarkError::Weightless)?;

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, SUBJECT, MAX_OUTCOMES);

        assert_eq!(NextPoll::<T>::get(), 1);
        Ok(())
    }

    // The vote is changed, another outcome takes the lead, and the end moves.
    #[benchmark]
    fn vote_poll() -> Result<(), BenchmarkError> {
        let who = member::<T>();
        let id = poll::<T>()?;
        Pallet::<T>::do_vote_poll(who.clone(), id, 0)?;
        end_soon::<T>(id)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who), id, 1);

        assert_eq!(Polls::<T>::get(id).and_then(|poll| poll.leader), Some(1));
        Ok(())
    }

    // Another outcome is left in the lead, and the end moves.
    #[benchmark]
    fn remove_poll_vote() -> Result<(), BenchmarkError> {
        let (who, other) = (member::<T>(), account::<T::AccountId>("other", 0, 0));
        T::Members::add(&other, machine(1));
        let id = poll::<T>()?;
        Pallet::<T>::do_vote_poll(who.clone(), id, 0)?;
        Pallet::<T>::do_vote_poll(other, id, 1)?;
        end_soon::<T>(id)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who), id);

        assert_eq!(Polls::<T>::get(id).and_then(|poll| poll.leader), Some(1));
        Ok(())
    }

    #[benchmark]
    fn appeal() -> Result<(), BenchmarkError> {
        let who = member::<T>();
        let id = poll::<T>()?;
        next_phase::<T>(id)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who), id);

        assert!(OpenPolls::<T>::contains_key(1));
        Ok(())
    }

    /// `n`: votes that are removed; for one less, the poll is removed too.
    #[benchmark]
    fn clean_up_poll(n: Linear<1, { T::MaxCleanUp::get() }>) -> Result<(), BenchmarkError> {
        let who = member::<T>();
        let id = settled::<T>(n - 1)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who), id, n);

        assert!(!Polls::<T>::contains_key(id));
        Ok(())
    }

    // Nothing is due, and what was left over is done.
    #[benchmark]
    fn agenda() {
        let block = now::<T>();
        Behind::<T>::put(block);

        #[block]
        {
            Pallet::<T>::on_initialize(block);
        }

        assert!(!Behind::<T>::exists());
    }

    #[benchmark]
    fn agenda_block() {
        let block = now::<T>();

        #[block]
        {
            Pallet::<T>::on_initialize(block);
        }

        assert!(!Behind::<T>::exists());
    }

    #[benchmark]
    fn end_poll() -> Result<(), BenchmarkError> {
        let who = member::<T>();
        let id = poll::<T>()?;
        Pallet::<T>::do_vote_poll(who, id, 1)?;

        #[block]
        {
            next_phase::<T>(id)?;
        }

        assert!(Polls::<T>::get(id).is_some_and(|poll| matches!(poll.phase, Phase::Ended { .. })));
        Ok(())
    }

    // The deposit is lost, which moves money between accounts.
    #[benchmark]
    fn end_appeal() -> Result<(), BenchmarkError> {
        let who = member::<T>();
        let first = poll::<T>()?;
        next_phase::<T>(first)?;
        Pallet::<T>::do_appeal(who, first)?;

        #[block]
        {
            next_phase::<T>(first + 1)?;
        }

        let result = PollResult::NoQuorum;
        assert_eq!(Polls::<T>::get(first).map(|poll| poll.phase), Some(Phase::Settled { result }));
        Ok(())
    }

    #[benchmark]
    fn settle_poll() -> Result<(), BenchmarkError> {
        let id = poll::<T>()?;
        next_phase::<T>(id)?;

        #[block]
        {
            next_phase::<T>(id)?;
        }

        assert!(Polls::<T>::get(id).is_some_and(|poll| matches!(poll.phase, Phase::Settled { .. })));
        Ok(())
    }

    /// `n`: votes that are removed; for one less, the poll is removed too.
    #[benchmark]
    fn sweep_poll(n: Linear<1, { T::MaxCleanUp::get() }>) -> Result<(), BenchmarkError> {
        let id = settled::<T>(n - 1)?;
        let ended = Polls::<T>::get(id).ok_or("the poll exists")?.ends_at;

        #[block]
        {
            Pallet::<T>::sweep_poll(ended.saturating_add(T::PollRetention::get()));
        }

        assert!(!Polls::<T>::contains_key(id));
        Ok(())
    }

    /// `n`: votes that are removed, of those that are looked at.
    #[benchmark]
    fn sweep_votes(n: Linear<0, { crate::SWEPT_VOTES }>) -> Result<(), BenchmarkError> {
        let (ended, ongoing) = (referendum::<T>()?, referendum::<T>()?);
        for voter in 0..crate::SWEPT_VOTES {
            Votes::<T>::insert(if voter < n { ended } else { ongoing }, machine(voter), true);
        }
        T::Referenda::end_ongoing(ended, false).map_err(|()| "the referendum is ongoing")?;

        #[block]
        {
            Pallet::<T>::sweep_votes();
        }

        assert_eq!(Votes::<T>::iter_keys().count() as u32, crate::SWEPT_VOTES - n);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
