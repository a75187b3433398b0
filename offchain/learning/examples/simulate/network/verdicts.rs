//! Verdicts: what becomes of each delta, of the head, and who is paid.

use super::{Delta, Event, Network, Phase, votes};
use crate::{
    chain::BLY,
    judging::{self, Measured},
    people::Kind,
};
use blyan_primitives::{
    learning::DeltaOutcome,
    pact::Network as Times,
    pol::{Refusal, RewardShares, reward_total, split_reward},
};

impl Network<'_> {
    /// No delta could be fetched.
    pub(super) fn reject(&mut self, id: usize) {
        for index in 0..self.rounds[id].deltas.len() {
            self.settle(id, index, None);
        }
        if self.statistics.counts(self.now) {
            self.statistics.rejected += 1;
        }
        self.finish(id);
    }

    pub(super) fn decide(&mut self, id: usize) {
        let pact = &self.scenario.pact;
        let round = &self.rounds[id];
        let places: Vec<usize> = (0..round.deltas.len()).filter(|index| round.deltas[*index].is_there).collect();
        // A copy of what could not be fetched is a copy of nothing.
        let place_of =
            |copied: u32| places.iter().position(|place| *place == copied as usize).map(|place| place as u32);
        let deltas: Vec<Measured> = (0..)
            .zip(&places)
            .map(|(training, place)| {
                let Delta { effect, copies, .. } = round.deltas[*place];
                Measured { effect, copies: copies.and_then(place_of), training }
            })
            .collect();
        let layout = judging::layout(pact, self.scenario.chain.positions(), deltas.len() as u32);
        if self.statistics.counts(self.now) {
            self.statistics.evaluations.push(self.seconds_at(self.now - round.drawn));
        }
        let found = judging::evaluate(&deltas, &layout, &pact.learning, &self.scenario.given, &mut self.numbers);
        let bytes = self.sizes.reveal(&found.reveal) * round.evaluators.len() as u64;
        for index in 0..self.rounds[id].deltas.len() {
            let place = places.iter().position(|place| *place == index);
            let outcome = place.map(|place| found.deltas[place]);
            self.settle(id, index, outcome);
            if let (Some(Ok(_)), Some(place)) = (outcome, place)
                && self.statistics.counts(self.now)
            {
                let learner = self.rounds[id].deltas[index].learner;
                self.learners[learner].measured += found.measured[place];
            }
        }
        let counts = self.statistics.counts(self.now);
        if counts {
            self.statistics.transaction_bytes += bytes;
        }
        if found.candidate.is_err() {
            if counts {
                self.statistics.rejected += 1;
            }
            return self.finish(id);
        }
        self.rounds[id].phase = Phase::Accepted;
        self.rounds[id].turn += 1;
        self.rounds[id].found = Some(found);
        let delay = self.numbers.log_normal(self.scenario.given.publication, self.scenario.given.publication_spread);
        self.queue.put(self.block_after(self.seconds() + delay), Event::Published(id));
    }

    /// What becomes of a delta's bond, and of its learner's standing. No outcome: it was withheld.
    fn settle(&mut self, id: usize, index: usize, outcome: Option<Result<u32, Refusal>>) {
        let (pact, now) = (&self.scenario.pact, self.now);
        let Delta { learner, effect, at, .. } = self.rounds[id].deltas[index];
        let seconds = self.seconds_at(now - at);
        let what = outcome
            .map_or(DeltaOutcome::Withheld, |found| found.map_or_else(DeltaOutcome::Refused, DeltaOutcome::Merged));
        let follows = what.consequence(pact.rounds.delta_bond, pact.rounds.useless_fee);
        let lost = follows.lost as f64 / BLY;
        let learner = &mut self.learners[learner];
        match follows.success {
            Some(true) => drop(learner.standing.succeed(&pact.trust)),
            Some(false) => drop(learner.standing.fail(now as u32, &pact.trust)),
            None => {},
        }
        if self.statistics.counts(now) {
            learner.lost += lost;
            learner.judged += 1;
            learner.contribution += if learner.kind == Kind::Copier { 0.0 } else { effect.last };
            self.statistics.forfeited += lost;
            self.statistics.verdicts.push(seconds);
            self.statistics.outcome(learner.kind, outcome);
        }
    }

    /// The head moves, and the round's work is paid.
    pub(super) fn published(&mut self, id: usize) {
        let pact = &self.scenario.pact;
        let Some(found) = self.rounds[id].found.take() else { return };
        let slot = self.rounds[id].slot;
        let (evaluators, votes) = (self.rounds[id].evaluators.len() as u64, votes(&self.rounds[id].evaluators));
        let left = (self.potential(slot) - found.true_gain).clamp(0.0, self.scenario.given.potential);
        (self.slots[slot].spent, self.slots[slot].since) = (self.scenario.given.potential - left, self.now);

        self.moved[slot] += 1;
        for member in &self.rounds[id].committed {
            self.evaluators[member.evaluator].has.make(slot, self.moved[slot]);
        }
        self.fill_pool();
        let total = reward_total(pact.rounds.reward, found.gain, self.pool);
        let weights: Vec<u32> = found.deltas.iter().map(|delta| delta.unwrap_or(0)).collect();
        let reward = split_reward(total, &weights, votes, &RewardShares::of(&pact.learning));
        let by_delta = reward.learners.iter().chain(&reward.aggregators).sum::<u128>();
        let paid = by_delta + reward.primary + reward.vote * u128::from(votes);
        self.pool -= paid.min(self.pool);
        let counts = self.statistics.counts(self.now);
        let deltas: Vec<usize> = self.rounds[id].deltas.iter().filter(|d| d.is_there).map(|d| d.learner).collect();
        for (learner, amount) in deltas.iter().zip(&reward.learners) {
            if counts {
                self.learners[*learner].paid += *amount as f64 / BLY;
            }
        }
        let merged = weights.iter().filter(|weight| **weight > 0).count() as u64;
        let count = self.rounds[id].deltas.len() as u64;
        self.transaction(self.sizes.publish, self.weights.publish(self.sizes.headers, count, evaluators));
        if counts {
            self.statistics.heads += 1;
            self.statistics.merged += merged;
            self.statistics.gain += found.true_gain;
            self.statistics.paid += paid as f64 / BLY;
            self.statistics.evaluators_paid += reward.vote as f64 / BLY * f64::from(votes);
            // Everybody who aggregates merges the deltas by itself.
            let aggregators = self.scenario.given.aggregators as u64;
            let bytes = merged * self.sizes.delta;
            if self.scenario.relayed {
                self.statistics.up.aggregators += aggregators.saturating_sub(1) * bytes;
                self.statistics.down.aggregators += aggregators.saturating_sub(1) * bytes;
            } else {
                self.statistics.up.learners += aggregators * bytes;
                self.statistics.down.aggregators += aggregators * bytes;
            }
            self.statistics.lengths.push(self.seconds_at(self.now - self.rounds[id].opened));
        }
        *self.statistics.hour(self.now, |hour| &mut hour.merged) += merged as f64;
        *self.statistics.hour(self.now, |hour| &mut hour.heads) += 1.0;
        self.finish(id);
    }

    /// Each era's emission for learning comes into the pool.
    fn fill_pool(&mut self) {
        let era = self.now / u64::from(Times::PUBLIC.era_slots());
        let economy = &self.scenario.pact.economy;
        self.pool += economy.learning.of(economy.era_emission) * u128::from(era - self.era);
        self.era = era;
    }
}
