//! What a round pays, and to whom.
//!
//! A round pays by what its candidate gains: all of what the Pact allows for a tenth of a nat or more, in proportion below, and
//! never more than there is. All divisions are rounded down: what rounding leaves is not paid, and stays where it is.

use crate::pact::{Learning as Rules, Ppm};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Gain for which a round pays the most, in micro-nats a token.
pub const FULL_GAIN: u32 = 100_000;

/// The merge weights of a round together.
const ONE: u32 = 1 << 16;

/// Shares of a round's reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RewardShares {
    /// Of the learners whose deltas are merged, together.
    pub learners: Ppm,
    /// Of the aggregators that took merged deltas over from their learners, together.
    pub aggregators: Ppm,
    /// Of who makes the accepted blocks and publishes them.
    pub primary: Ppm,
    /// Of the evaluators, together.
    pub evaluators: Ppm,
}

impl RewardShares {
    /// Those of the Pact. The share of the data sets behind a delta is paid to nobody until sets of data have
    /// owners on chain; it stays in the pool, and is there for later rounds.
    pub const fn of(rules: &Rules) -> Self {
        Self {
            learners: rules.learner,
            aggregators: rules.aggregator,
            primary: rules.primary,
            evaluators: rules.evaluators,
        }
    }
}

/// What a round pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reward {
    /// To each learner, in the order of the deltas.
    pub learners: Vec<u128>,
    /// To the aggregator of each.
    pub aggregators: Vec<u128>,
    /// To who publishes what was accepted.
    pub primary: u128,
    /// To evaluators, for each vote.
    pub vote: u128,
}

/// What a round pays altogether for a gain in micro-nats a token: of at most `most`, and of at most what is `available`.
pub fn reward_total(most: u128, gain: i64, available: u128) -> u128 {
    let full = u128::from(FULL_GAIN);
    let gain = u128::try_from(gain).unwrap_or(0).min(full);
    // Split so that nothing overflows: most = whole · full + rest.
    let (whole, rest) = (most.checked_div(full).unwrap_or(0), most.checked_rem(full).unwrap_or(0));
    let rest = rest.saturating_mul(gain).checked_div(full).unwrap_or(0);
    whole.saturating_mul(gain).saturating_add(rest).min(available)
}

/// Splits `total` among the learners of deltas that count for `weights` in parts of 2^16, who publishes, and evaluators who have
/// so many votes. All of it together is never more than `total`, whatever the weights and shares are.
pub fn split_reward(total: u128, weights: &[u32], votes: u32, shares: &RewardShares) -> Reward {
    let learners = shares.learners.of(total);
    let left = total.saturating_sub(learners);
    let aggregators = shares.aggregators.of(total).min(left);
    let left = left.saturating_sub(aggregators);
    let primary = shares.primary.of(total).min(left);
    let left = left.saturating_sub(primary);
    let vote = shares.evaluators.of(total).min(left).checked_div(votes.into()).unwrap_or(0);

    Reward { learners: by_weight(learners, weights), aggregators: by_weight(aggregators, weights), primary, vote }
}

/// Splits an amount by weights in parts of 2^16.
fn by_weight(all: u128, weights: &[u32]) -> Vec<u128> {
    let mut unpaid = all;
    let mut pay = |weight: &u32| {
        let amount = weighted(all, *weight).min(unpaid);
        unpaid = unpaid.saturating_sub(amount);
        amount
    };
    weights.iter().map(&mut pay).collect()
}

/// `weight` parts of 2^16 of an amount, at most all of it.
fn weighted(amount: u128, weight: u32) -> u128 {
    let weight = u128::from(weight.min(ONE));
    // Split so that nothing overflows: amount = whole · 2^16 + rest.
    let (whole, rest) = (amount >> 16, amount & 0xffff);
    whole.saturating_mul(weight).saturating_add(rest.saturating_mul(weight) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pact::{NetworkKind, Pact},
        pol::merge_weights,
    };
    use alloc::vec;
    use proptest::prelude::*;

    const BLY: u128 = 1_000_000_000_000_000_000;
    const SHARES: RewardShares = RewardShares::of(&Pact::default_for(NetworkKind::Public).learning);

    fn sum(reward: &Reward, votes: u32) -> u128 {
        reward.learners.iter().chain(&reward.aggregators).sum::<u128>()
            + reward.primary
            + reward.vote * u128::from(votes)
    }

    #[test]
    fn a_tenth_of_a_nat_is_paid_in_full_and_less_in_proportion() {
        let total = |gain| reward_total(1_000 * BLY, gain, u128::MAX);
        assert_eq!(total(100_000), 1_000 * BLY);
        assert_eq!(total(i64::MAX), 1_000 * BLY);
        assert_eq!(total(25_000), 250 * BLY);
        assert_eq!(total(1), BLY / 100);
        assert_eq!([total(0), total(-1), total(i64::MIN)], [0; 3]);
        assert_eq!(reward_total(u128::MAX, 100_000, u128::MAX), u128::MAX);
    }

    #[test]
    fn no_more_is_paid_than_there_is() {
        assert_eq!(reward_total(1_000 * BLY, 100_000, 7), 7);
        assert_eq!(reward_total(1_000 * BLY, 100_000, 0), 0);
    }

    #[test]
    fn a_reward_is_split_by_the_pacts_shares() {
        let reward = split_reward(1_000, &[1 << 14, 0, 3 << 14], 4, &SHARES);
        // The 100 of the data sets are not paid, and rounding leaves one.
        let (learners, aggregators) = (vec![150, 0, 450], vec![12, 0, 37]);
        assert_eq!(reward, Reward { learners, aggregators, primary: 50, vote: 50 });
        assert_eq!(sum(&reward, 4), 899);
    }

    #[test]
    fn without_evaluators_or_deltas_nothing_is_paid_to_them() {
        let reward = split_reward(1_000, &[], 0, &SHARES);
        assert_eq!(reward, Reward { learners: vec![], aggregators: vec![], primary: 50, vote: 0 });
    }

    proptest! {
        #[test]
        fn a_total_is_in_proportion_to_the_gain(most in 0u128..1 << 100, gain in 0i64..200_000, available: u128) {
            let total = reward_total(most, gain, available);
            prop_assert_eq!(total, (most * gain.min(100_000) as u128 / 100_000).min(available));
        }

        #[test]
        fn a_larger_gain_is_never_paid_less(most: u128, gain: i64, more in 0i64..1_000_000, available: u128) {
            let later = reward_total(most, gain.saturating_add(more), available);
            prop_assert!(reward_total(most, gain, available) <= later);
            prop_assert!(later <= most.min(available));
        }

        #[test]
        fn parts_are_never_more_than_the_whole(
            total: u128, weights in prop::collection::vec(any::<u32>(), 0..40), votes: u32,
            learners: u32, aggregating: u32, primary: u32, evaluating: u32,
        ) {
            let shares = RewardShares {
                learners: Ppm(learners),
                aggregators: Ppm(aggregating),
                primary: Ppm(primary),
                evaluators: Ppm(evaluating),
            };
            let reward = split_reward(total, &weights, votes, &shares);
            let deltas = reward.learners.iter().chain(&reward.aggregators);
            let parts = deltas.copied().try_fold(reward.primary, |sum: u128, part| sum.checked_add(part));
            let all = reward.vote.checked_mul(votes.into()).and_then(|all| parts?.checked_add(all));
            prop_assert!(all.is_some_and(|all| all <= total), "{:?}", reward);
            prop_assert_eq!([reward.learners.len(), reward.aggregators.len()], [weights.len(); 2]);
        }

        #[test]
        fn rounding_keeps_back_less_than_a_unit_of_each_part(
            total in 0u128..1 << 100, gains in prop::collection::vec(prop::option::of(-5i64..1_000_000_000), 1..33),
            votes in 1u32..202,
        ) {
            let weights = merge_weights(&gains);
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let reward = split_reward(total, &weights, votes, &SHARES);
            let lineage = Ppm(100_000).of(total);
            let kept = total - lineage - sum(&reward, votes);
            prop_assert!(kept <= 2 * weights.len() as u128 + u128::from(votes) + 4, "{}", kept);
            for (weight, amount) in weights.iter().zip(&reward.learners) {
                prop_assert_eq!(*amount, (Ppm(600_000).of(total) * u128::from(*weight)) >> 16);
            }
        }

        #[test]
        fn equal_weights_are_paid_equally(total: u128, count in 1usize..32) {
            let weights = vec![65_536 / count as u32; count];
            let reward = split_reward(total, &weights, 1, &SHARES);
            prop_assert!(reward.learners.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }
}
