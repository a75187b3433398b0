//! The money of a round: bonds of deltas, who gets what of them is lost, and what is paid for a head that has moved.

use crate::{pallet::*, Accepted, Balance, Terms, Work};
use alloc::vec::Vec;
use blyan_primitives::{
    learning::{Consequence, DeltaOutcome, RoundId, Verdict},
    pol::{reward_total, split_reward},
    traits::{Payout, Pool, Standings},
};
use frame_support::{
    defensive,
    pallet_prelude::DispatchResult,
    traits::{
        fungible::{Balanced, BalancedHold, MutateHold},
        tokens::Precision,
        Imbalance, OnUnbalanced,
    },
};
use polkadot_sdk::*;

/// Votes of all of them.
fn votes_of<T: Config>(evaluators: &[(T::AccountId, u32)]) -> u32 {
    evaluators.iter().fold(0, |sum, (_, votes)| sum.saturating_add(*votes))
}

impl<T: Config> Pallet<T> {
    /// Holds the bond of a delta. The Pact of a local network can do without.
    pub(crate) fn hold_bond(learner: &T::AccountId, bond: Balance) -> DispatchResult {
        if bond == 0 {
            return Ok(());
        }
        T::Currency::hold(&HoldReason::DeltaBond.into(), learner, bond)
    }

    /// Takes what is lost of a learner's bond and returns the rest, and says how much is returned. What cannot be returned is
    /// lost like the other part: nothing stays held for a delta that is judged.
    fn release_bond(learner: &T::AccountId, bond: Balance, lost: Balance) -> (CreditOf<T>, Balance) {
        let (reason, rest) = (HoldReason::DeltaBond.into(), bond.saturating_sub(lost));
        let mut credit = CreditOf::<T>::zero();
        let mut take = |amount: Balance| {
            if amount > 0 {
                let (taken, _) = T::Currency::slash(&reason, learner, amount);
                credit.subsume(taken);
            }
        };
        take(lost.min(bond));
        let mut returned = 0;
        if rest > 0 {
            match T::Currency::release(&reason, learner, rest, Precision::Exact) {
                Ok(amount) => returned = amount,
                Err(_) => {
                    defensive!("the bond of a delta is held");
                    take(rest);
                },
            }
        }
        (credit, returned)
    }

    /// Returns the bonds of a round's deltas whole.
    pub(crate) fn return_bonds(id: RoundId, round: &RoundOf<T>) {
        for (index, delta) in (0u32..).zip(Deltas::<T>::get(id)) {
            let (lost, amount) = Self::release_bond(&delta.learner, round.terms.bond, 0);
            T::OnForfeit::on_unbalanced(lost);
            Self::deposit_event(Event::BondReturned { round: id, index, learner: delta.learner, amount });
        }
    }

    /// Settles the bonds of a round's deltas as a verdict says. What is lost is for those who have evaluated them.
    pub(crate) fn settle_bonds(id: RoundId, round: &RoundOf<T>, verdict: &Verdict<T::AccountId>) {
        let mut deltas = Deltas::<T>::get(id);
        let mut forfeit = CreditOf::<T>::zero();
        for ((index, delta), outcome) in (0u32..).zip(deltas.iter_mut()).zip(&verdict.deltas) {
            delta.outcome = Some(*outcome);
            let Consequence { lost, success } = outcome.consequence(round.terms.bond, round.terms.useless_fee);
            let (credit, returned) = Self::release_bond(&delta.learner, round.terms.bond, lost);
            let (learner, lost, outcome) = (delta.learner.clone(), credit.peek(), *outcome);
            // Parts of one issuance do not overflow when they are put together.
            forfeit.subsume(credit);
            Self::deposit_event(Event::DeltaJudged { round: id, index, learner, outcome, returned, lost });
            match success {
                Some(true) => T::Standings::succeed(&delta.learner),
                Some(false) => T::Standings::fail(&delta.learner),
                None => {},
            }
        }
        Deltas::<T>::insert(id, deltas);
        Self::share_forfeit(id, forfeit, &verdict.evaluators);
    }

    /// Gives what was lost to the evaluators by their votes, and what that leaves to [`Config::OnForfeit`].
    fn share_forfeit(id: RoundId, mut forfeit: CreditOf<T>, evaluators: &[(T::AccountId, u32)]) {
        let each = forfeit.peek().checked_div(votes_of::<T>(evaluators).into()).unwrap_or(0);
        if each > 0 {
            for (evaluator, votes) in evaluators {
                let part = forfeit.extract(each.saturating_mul((*votes).into()));
                let amount = part.peek();
                match T::Currency::resolve(evaluator, part) {
                    Ok(()) => {
                        let evaluator = evaluator.clone();
                        Self::deposit_event(Event::ForfeitShared { round: id, evaluator, amount });
                    },
                    // It would not suffice to open the account.
                    Err(part) => forfeit.subsume(part),
                }
            }
        }
        let amount = forfeit.peek();
        if amount > 0 {
            T::OnForfeit::on_unbalanced(forfeit);
            Self::deposit_event(Event::ForfeitLeft { round: id, amount });
        }
    }

    /// Pays for the work of a round whose candidate is the head, and says how many deltas that was about.
    pub(crate) fn reward(
        id: RoundId,
        terms: &Terms,
        accepted: &Accepted,
        publisher: &T::AccountId,
        evaluators: &[(T::AccountId, u32)],
    ) -> u32 {
        let deltas = Deltas::<T>::get(id);
        let weight = |delta: &DeltaOf<T>| match delta.outcome {
            Some(DeltaOutcome::Merged(weight)) => weight,
            _ => 0,
        };
        let weights = deltas.iter().map(weight).collect::<Vec<_>>();
        let total = reward_total(terms.reward, accepted.gain, T::Payout::available(Pool::Learning));
        let reward = split_reward(total, &weights, votes_of::<T>(evaluators), &terms.shares);
        for (delta, amount) in deltas.iter().zip(reward.learners) {
            Self::pay(id, &delta.learner, Work::Delta, amount);
        }
        // Who takes over what no aggregator has is the primary.
        let mut primary = reward.primary;
        for (delta, amount) in deltas.iter().zip(reward.aggregators) {
            match &delta.aggregator {
                Some(aggregator) => Self::pay(id, aggregator, Work::Aggregation, amount),
                None => primary = primary.saturating_add(amount),
            }
        }
        Self::pay(id, publisher, Work::Publication, primary);
        for (evaluator, votes) in evaluators {
            Self::pay(id, evaluator, Work::Evaluation, reward.vote.saturating_mul((*votes).into()));
        }
        deltas.len() as u32
    }

    /// Pays for a piece of work. What the pool does not pay stays in it.
    fn pay(round: RoundId, who: &T::AccountId, work: Work, amount: Balance) {
        if amount == 0 {
            return;
        }
        let amount = T::Payout::pay(Pool::Learning, who, amount);
        if amount > 0 {
            Self::deposit_event(Event::Rewarded { round, who: who.clone(), work, amount });
        }
    }
}
