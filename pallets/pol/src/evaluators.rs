//! Who can be drawn: workers that evaluate, each by what it has at stake.

use crate::{pallet::*, Enrolment};
use blyan_primitives::{
    pol::{self, StakeNodes, Sums, MAX_LEAVES},
    traits::{PactProvider, Stakes, WorkerRegistry},
    worker::Roles,
};
use frame_support::{defensive, ensure, pallet_prelude::DispatchResult};
use polkadot_sdk::*;

/// The tree of stakes, in storage.
pub(crate) struct StakeTree<T>(core::marker::PhantomData<T>);

impl<T> StakeTree<T> {
    pub(crate) fn new() -> Self {
        Self(core::marker::PhantomData)
    }
}

impl<T: Config> StakeNodes for StakeTree<T> {
    fn get(&self, level: u8, index: u16) -> Sums {
        StakeSums::<T>::get(level, index)
    }

    fn set(&mut self, level: u8, index: u16, sums: Sums) {
        if sums == Sums::default() {
            StakeSums::<T>::remove(level, index);
        } else {
            StakeSums::<T>::insert(level, index, sums);
        }
    }
}

impl<T: Config> Pallet<T> {
    /// What an account can be drawn by now: nothing unless its worker evaluates, and has enough at stake.
    fn stake_of(who: &T::AccountId) -> u128 {
        let evaluates = T::Workers::roles(who).is_some_and(|roles| roles.contains(Roles::EVALUATE));
        let stake = T::Stakes::worker_stake(who);
        let least = T::Pact::pact().staking.min_worker_bond;
        if evaluates && stake >= least {
            stake
        } else {
            0
        }
    }

    pub(crate) fn do_enrol(who: T::AccountId) -> DispatchResult {
        ensure!(!Evaluators::<T>::contains_key(&who), Error::<T>::AlreadyEnrolled);
        let stake = Self::stake_of(&who);
        ensure!(stake > 0, Error::<T>::NotAnEvaluator);
        let leaf = Enrolled::<T>::get();
        ensure!(leaf < MAX_LEAVES, Error::<T>::TooManyEvaluators);
        pol::put_stake(&mut StakeTree::<T>::new(), leaf, stake);
        Leaves::<T>::insert(leaf, &who);
        Enrolled::<T>::put(leaf.saturating_add(1));
        Evaluators::<T>::insert(&who, Enrolment { leaf, stake, seats: 0 });
        Self::deposit_event(Event::Enrolled { who, stake });
        Ok(())
    }

    pub(crate) fn do_leave(who: T::AccountId) -> DispatchResult {
        let enrolment = Evaluators::<T>::get(&who).ok_or(Error::<T>::NotEnrolled)?;
        ensure!(enrolment.seats == 0, Error::<T>::Seated);
        Self::strike(who, enrolment);
        Ok(())
    }

    /// Takes over what an account has at stake now. One that can no longer be drawn is struck off.
    pub(crate) fn do_refresh(who: T::AccountId) -> DispatchResult {
        let mut enrolment = Evaluators::<T>::get(&who).ok_or(Error::<T>::NotEnrolled)?;
        let stake = Self::stake_of(&who);
        if stake == 0 && enrolment.seats == 0 {
            Self::strike(who, enrolment);
            return Ok(());
        }
        ensure!(stake != enrolment.stake, Error::<T>::StakeUnchanged);
        enrolment.stake = stake;
        pol::put_stake(&mut StakeTree::<T>::new(), enrolment.leaf, stake);
        Evaluators::<T>::insert(&who, enrolment);
        Self::deposit_event(Event::StakeRefreshed { who, stake });
        Ok(())
    }

    /// Removes an evaluator. The last leaf takes the place of its own, so that leaves stay without gaps.
    fn strike(who: T::AccountId, enrolment: Enrolment) {
        let mut tree = StakeTree::<T>::new();
        let last = Enrolled::<T>::get().saturating_sub(1);
        if last != enrolment.leaf {
            if let Some(other) = Leaves::<T>::get(last) {
                Evaluators::<T>::mutate(&other, |moved| {
                    if let Some(moved) = moved {
                        moved.leaf = enrolment.leaf;
                        pol::put_stake(&mut tree, enrolment.leaf, moved.stake);
                    }
                });
                Leaves::<T>::insert(enrolment.leaf, other);
            } else {
                defensive!("leaves have a gap");
            }
        }
        pol::put_stake(&mut tree, last, 0);
        Leaves::<T>::remove(last);
        Enrolled::<T>::put(last);
        Evaluators::<T>::remove(&who);
        Self::deposit_event(Event::Left { who });
    }

    /// Counts a seat more, or one less, of an evaluator.
    pub(crate) fn count_seat(who: &T::AccountId, takes: bool) {
        Evaluators::<T>::mutate(who, |enrolment| {
            if let Some(enrolment) = enrolment {
                let seats = enrolment.seats;
                enrolment.seats = if takes { seats.saturating_add(1) } else { seats.saturating_sub(1) };
            }
        });
    }
}
