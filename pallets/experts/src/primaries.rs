//! Primaries: who takes care of a round's deltas, and publishes what comes of them.
//!
//! Aggregators stand for election. When a round is opened, [`PRIMARIES`] of those that are online are drawn, in an order: each
//! by what it has at stake, and the less the longer it has taken in rounds before. From then on they fetch what learners
//! submit, so that a learner can go once one of them has its delta, and offer it to the committee. The first publishes what is
//! accepted. When it misses its heartbeats the next one has its turn at once, when it is online and does nothing, after its
//! part of the first window. All have the same bytes, and none can choose what becomes of them: with a primary, nothing is lost
//! but time.
//!
//! The order is drawn from the hash of the parent block. Who writes the block that opens a round knows it, and can leave that to
//! another block where it does not suit: what there is to win is a primary's share of one round, and a say in nothing.

use crate::{pallet::*, Balance, Candidacy};
use alloc::vec::Vec;
use blyan_primitives::{
    hash::blake2_256,
    learning::RoundId,
    traits::{PactProvider, Stakes, WorkerRegistry},
    worker::Roles,
};
use codec::Encode;
use frame_support::{
    ensure,
    pallet_prelude::{DispatchError, DispatchResult, Get},
    BoundedVec,
};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_runtime::traits::{SaturatedConversion, Saturating};

/// Primaries of a round: one, and who takes its place.
pub const PRIMARIES: u32 = 3;

/// Parts of a block that delays are counted in.
pub const DELAY_UNITS: u32 = 16;

/// The delay that newcomers begin with, of two blocks: to stand down and stand again makes nobody quick.
pub const NEWCOMER: u32 = 2 * DELAY_UNITS;

/// Of how many rounds a delay is about the mean.
const MEMORY: u32 = 8;

impl<T: Config> Pallet<T> {
    /// What an account can be elected by now: nothing unless its worker aggregates, and has enough at stake.
    fn standing_stake(who: &T::AccountId) -> Balance {
        let aggregates = T::Workers::roles(who).is_some_and(|roles| roles.contains(Roles::AGGREGATE));
        let stake = T::Stakes::worker_stake(who);
        let least = T::Pact::pact().staking.min_worker_bond.max(1);
        if aggregates && stake >= least {
            stake
        } else {
            0
        }
    }

    /// Whether an account's worker aggregates now.
    fn is_there(who: &T::AccountId) -> bool {
        T::Workers::online_roles(who).is_some_and(|roles| roles.contains(Roles::AGGREGATE))
    }

    /// Has an account stand, and says how many stood before it.
    pub(crate) fn do_stand(who: T::AccountId) -> Result<u32, DispatchError> {
        ensure!(!Candidacies::<T>::contains_key(&who), Error::<T>::AlreadyStands);
        let stake = Self::standing_stake(&who);
        ensure!(stake > 0, Error::<T>::CannotStand);
        let standing = Candidacies::<T>::count();
        if standing >= T::MaxStanding::get() {
            // Who has less at stake than the newcomer makes room, the least first.
            let all = Candidacies::<T>::iter_keys().map(|other| (Self::standing_stake(&other), other));
            let least = all.min_by(|(one, _), (other, _)| one.cmp(other));
            let (_, out) = least.filter(|(least, _)| *least < stake).ok_or(Error::<T>::TooManyStand)?;
            Self::remove_candidacy(out);
        }
        Candidacies::<T>::insert(&who, Candidacy { delay: NEWCOMER });
        Self::deposit_event(Event::Stands { who });
        Ok(standing)
    }

    /// Ends a candidacy: for the account itself, or for anybody when it could not stand now.
    pub(crate) fn do_stand_down(caller: &T::AccountId, who: T::AccountId) -> DispatchResult {
        ensure!(Candidacies::<T>::contains_key(&who), Error::<T>::DoesNotStand);
        ensure!(*caller == who || Self::standing_stake(&who) == 0, Error::<T>::StillStands);
        Self::remove_candidacy(who);
        Ok(())
    }

    fn remove_candidacy(who: T::AccountId) {
        Candidacies::<T>::remove(&who);
        Self::deposit_event(Event::StandsDown { who });
    }

    /// Elects the primaries of a round, and says how many aggregators stood.
    pub(crate) fn elect(id: RoundId) -> u32 {
        let (mut ballot, mut standing) = (Vec::new(), 0u32);
        for (who, candidacy) in Candidacies::<T>::iter() {
            standing = standing.saturating_add(1);
            let weight = candidacy.weight(Self::standing_stake(&who));
            if weight > 0 && Self::is_there(&who) {
                ballot.push((who, weight));
            }
        }
        // The order of storage is that of hashes: it is the same everywhere.
        let seed = (frame_system::Pallet::<T>::parent_hash(), id);
        let primaries = draw(ballot, |number| blake2_256(&(&seed, number).encode()));
        if !primaries.is_empty() {
            Self::deposit_event(Event::PrimariesElected { round: id, primaries: primaries.clone() });
            Primaries::<T>::insert(id, BoundedVec::truncate_from(primaries));
        }
        standing
    }

    /// First block in which an account can publish what was accepted, when the first of two windows of so many blocks began
    /// with block `begun` and everybody is online who is now.
    pub(crate) fn turn_of(id: RoundId, who: &T::AccountId, begun: BlockNumberFor<T>, window: u32) -> BlockNumberFor<T> {
        let primaries = Primaries::<T>::get(id);
        // Nobody was there to be elected.
        if primaries.is_empty() {
            return begun;
        }
        let Some(rank) = primaries.iter().position(|primary| primary == who) else {
            return begun.saturating_add(window.into());
        };
        let before = primaries.iter().take(rank).filter(|primary| Self::is_there(primary)).count() as u32;
        let wait = turn(window).saturating_mul(before).min(window);
        begun.saturating_add(wait.into())
    }

    /// Remembers how long primaries took until `publisher`, if there is one, has published what was accepted. Those who come
    /// before it, and those whose turn it has been and is over, are as slow as can be, whether they are online or not. Turns are
    /// those of a round in which nobody is passed over: who is quicker than that has no delay.
    pub(crate) fn note_delays(id: RoundId, publisher: Option<&T::AccountId>, begun: BlockNumberFor<T>, window: u32) {
        let passed = frame_system::Pallet::<T>::block_number().saturating_sub(begun).saturated_into::<u32>();
        let primaries = Primaries::<T>::get(id);
        let published = primaries.iter().position(|primary| publisher == Some(primary)).map(|rank| rank as u32);
        for (rank, primary) in (0u32..).zip(primaries) {
            let taken = passed.saturating_sub(turn(window).saturating_mul(rank));
            let is_passed_over = published.is_some_and(|published| rank < published) || taken >= turn(window);
            let delay = match published == Some(rank) {
                true => taken.min(window),
                false if is_passed_over => window,
                // It was not asked.
                false => continue,
            };
            // It may have stood down.
            Candidacies::<T>::mutate_exists(&primary, |candidacy| {
                if let Some(candidacy) = candidacy {
                    candidacy.note(delay);
                }
            });
        }
    }
}

/// Blocks of each primary's turn in a window.
fn turn(window: u32) -> u32 {
    window.checked_div(PRIMARIES).unwrap_or(0).max(1)
}

impl Candidacy {
    /// What an account is drawn by that has so much at stake: all of it when it has always published at once, half of it when
    /// it takes a block.
    fn weight(&self, stake: Balance) -> Balance {
        let all = u128::from(DELAY_UNITS);
        let parts = all.saturating_add(self.delay.into());
        // Split so that nothing overflows.
        let (whole, rest) = (stake.checked_div(parts).unwrap_or(0), stake.checked_rem(parts).unwrap_or(0));
        whole.saturating_mul(all).saturating_add(rest.saturating_mul(all).checked_div(parts).unwrap_or(0))
    }

    /// Adds a delay in blocks to the mean.
    fn note(&mut self, blocks: u32) {
        let delay = u64::from(blocks).saturating_mul(DELAY_UNITS.into());
        let kept = u64::from(self.delay).saturating_mul(u64::from(MEMORY).saturating_sub(1));
        let sum = kept.saturating_add(delay);
        self.delay = sum.checked_div(MEMORY.into()).unwrap_or(0).saturated_into();
    }
}

/// Draws at most [`PRIMARIES`] accounts from a ballot, each by its weight and none twice.
fn draw<AccountId>(mut ballot: Vec<(AccountId, Balance)>, seed: impl Fn(u32) -> [u8; 32]) -> Vec<AccountId> {
    let mut drawn = Vec::new();
    for number in 0..PRIMARIES {
        let all = ballot.iter().fold(0, |sum: Balance, (_, weight)| sum.saturating_add(*weight));
        let seed = seed(number);
        // A stake is far below 2^96: what the remainder favours is nothing.
        let point = seed.first_chunk().map(|low| Balance::from_le_bytes(*low)).and_then(|low| low.checked_rem(all));
        let Some(mut point) = point else { break };
        let index = ballot.iter().position(|(_, weight)| match point.checked_sub(*weight) {
            Some(left) => {
                point = left;
                false
            },
            None => true,
        });
        let Some(index) = index else { break };
        drawn.push(ballot.swap_remove(index).0);
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    fn seeds(round: u32) -> impl Fn(u32) -> [u8; 32] {
        move |number| blake2_256(&(round, number).encode())
    }

    #[test]
    fn who_has_more_at_stake_is_first_more_often() {
        let ballot = vec![('a', 5_000), ('b', 3_000), ('c', 1_500), ('d', 500)];
        let mut firsts = BTreeMap::new();
        for round in 0..10_000 {
            let drawn = draw(ballot.clone(), seeds(round));
            assert_eq!(drawn.len(), PRIMARIES as usize);
            *firsts.entry(drawn[0]).or_insert(0u32) += 1;
        }
        for (who, weight) in ballot {
            let (found, expected) = (firsts[&who] as f64, weight as f64);
            // Four standard errors.
            assert!((found - expected).abs() < 4.0 * (expected * (1.0 - expected / 10_000.0)).sqrt(), "{firsts:?}");
        }
    }

    #[test]
    fn nobody_is_drawn_from_nobody() {
        assert!(draw::<u32>(vec![], seeds(1)).is_empty());
        assert!(draw(vec![(1, 0), (2, 0)], seeds(1)).is_empty());
        assert_eq!(draw(vec![(1, 0), (2, 1)], seeds(1)), [2]);
    }

    #[test]
    fn delays_count_and_are_forgotten() {
        let mut candidacy = Candidacy { delay: 0 };
        assert_eq!(candidacy.weight(1_000), 1_000);
        candidacy.note(8);
        assert_eq!((candidacy.delay, candidacy.weight(1_000)), (16, 500));
        for _ in 0..100 {
            candidacy.note(0);
        }
        assert_eq!(candidacy.weight(1_000), 1_000);
        for _ in 0..100 {
            candidacy.note(u32::MAX);
        }
        assert_eq!(candidacy.delay, u32::MAX);
        assert_eq!(candidacy.weight(1 << 60), (1 << 64) / ((1 << 32) + 15));
    }

    proptest! {
        #[test]
        fn each_is_drawn_once_and_whatever_the_weights(
            weights in prop::collection::vec(any::<u128>(), 0..70), round: u32,
        ) {
            let ballot: Vec<_> = weights.iter().copied().enumerate().collect();
            let drawn = draw(ballot, seeds(round));
            let mut once = drawn.clone();
            once.sort_unstable();
            once.dedup();
            prop_assert_eq!(once.len(), drawn.len());
            prop_assert!(drawn.iter().all(|index| weights[*index] > 0));
            let some = weights.iter().filter(|weight| **weight > 0).count();
            prop_assert!(drawn.len() <= some.min(PRIMARIES as usize));
            if weights.iter().all(|weight| *weight < 1 << 100) {
                prop_assert_eq!(drawn.len(), some.min(PRIMARIES as usize));
            }
        }

        #[test]
        fn a_longer_delay_never_weighs_more(stake: u128, delay: u32, more: u32) {
            let weight = |delay| Candidacy { delay }.weight(stake);
            prop_assert!(weight(delay.saturating_add(more)) <= weight(delay));
            prop_assert!(weight(delay) <= stake);
        }
    }
}
