//! What learners do: they look for a round, train for it, and submit what comes of that.

use super::{Delta, Event, Network, Phase, Round, TRIPS};
use crate::people::Kind;

impl Network<'_> {
    /// A learner wants to submit a delta: it looks for a round, and trains for it.
    pub(super) fn ready(&mut self, id: usize) {
        let (now, day) = (self.now as u32, (self.now / self.scenario.chain.day()) as u32);
        let rules = &self.scenario.pact.trust;
        let learner = &self.learners[id];
        if let Some(until) = learner.standing.quarantined_until.filter(|until| *until > now) {
            self.queue.put(until.into(), Event::Ready(id));
            return;
        }
        if learner.standing.left(day, rules) == 0 {
            self.queue.put(u64::from(day + 1) * self.scenario.chain.day(), Event::Ready(id));
            return;
        }
        let seconds = self.seconds();
        let given = &self.scenario.given;
        let steps = learner.steps(given, &mut self.numbers);
        let learner = &mut self.learners[id];
        learner.wants_since.get_or_insert(seconds);
        // Heads that have moved since it trained last, and the master of the slot that it will train.
        let heads = learner.has.lacks(&self.moved);
        let bits = 8.0 * (heads * self.sizes.serving + self.sizes.master) as f64;
        let fetch = bits / learner.downlink + (heads + 1) as f64 * TRIPS * given.round_trip;
        let end = learner.uptime.finish(seconds, fetch + steps * given.step_seconds / learner.speed);
        let block = self.block_after(end + given.reaction_blocks * self.seconds_at(1));
        let Some(round) = self.choose(id, block) else { return self.later(id) };
        let bytes = self.sizes.fetched(self.learners[id].has.fetch(&self.moved, self.rounds[round].slot));
        if self.statistics.counts(self.now) {
            self.statistics.down.learners += bytes;
            self.statistics.up.aggregators += bytes;
        }
        self.queue.put(block, Event::Trained { learner: id, round, steps, took: end - seconds });
    }

    /// A round of its own, while one can be opened: it need not share what that pays. Otherwise one that has a place left.
    fn choose(&mut self, learner: usize, block: u64) -> Option<usize> {
        if self.ongoing < self.scenario.chain.most_rounds {
            // There are more slots than rounds.
            let free: Vec<usize> = (0..self.slots.len()).filter(|slot| self.slots[*slot].round.is_none()).collect();
            let slot = free[self.numbers.below(free.len())];
            return Some(self.open_round(slot));
        }
        let takes = |round: &usize| {
            let round = &self.rounds[*round];
            round.until > block && self.has_place(round) && round.deltas.iter().all(|delta| delta.learner != learner)
        };
        let rounds: Vec<usize> = self.open.iter().copied().filter(takes).collect();
        (!rounds.is_empty()).then(|| rounds[self.numbers.below(rounds.len())])
    }

    fn has_place(&self, round: &Round) -> bool {
        (round.deltas.len() as u64) < u64::from(self.scenario.pact.rounds.max_deltas)
    }

    /// Nothing can be submitted now.
    fn later(&mut self, learner: usize) {
        let failures = &mut self.learners[learner].failures;
        let mean = (self.scenario.given.patience * f64::from(1u32 << (*failures).min(5))).min(86_400.0);
        *failures += 1;
        let wait = self.numbers.exponential(mean);
        let block = self.block_after(self.seconds() + wait);
        self.queue.put(block, Event::Ready(learner));
    }

    pub(super) fn trained(&mut self, id: usize, round: usize, steps: f64, took: f64) {
        let work = steps * self.scenario.given.step_seconds;
        let counts = self.statistics.counts(self.now);
        if counts {
            self.statistics.training_seconds += work;
            self.statistics.trainings += 1;
        }
        let is_open = self.rounds[round].phase == Phase::Open && self.now < self.rounds[round].until;
        let can_copy = self.learners[id].kind != Kind::Copier || !self.rounds[round].deltas.is_empty();
        if !is_open || !self.has_place(&self.rounds[round]) || !can_copy {
            if counts {
                self.statistics.in_vain += 1;
            }
            return self.later(id);
        }
        let (now, day) = (self.now as u32, (self.now / self.scenario.chain.day()) as u32);
        if self.learners[id].standing.submit(now, day, &self.scenario.pact.trust).is_err() {
            return self.later(id);
        }
        let (effect, copies) = match self.learners[id].kind {
            Kind::Copier => {
                let of = self.numbers.below(self.rounds[round].deltas.len());
                (self.rounds[round].deltas[of].effect, Some(of as u32))
            },
            _ => (
                self.learners[id].effect(self.rounds[round].potential, steps, &self.scenario.given, &mut self.numbers),
                None,
            ),
        };
        self.rounds[round].deltas.push(Delta { learner: id, effect, copies, at: self.now, is_there: true });
        self.transaction(self.sizes.submit, self.weights.submit());
        if self.scenario.closes_full && !self.has_place(&self.rounds[round]) {
            self.rounds[round].until = self.now + 1;
            let turn = self.rounds[round].turn;
            self.queue.put(self.now + 1, Event::Due { round, turn });
        }
        if counts && self.scenario.relayed {
            self.statistics.up.learners += self.sizes.delta;
            self.statistics.down.aggregators += self.sizes.delta;
        }
        let seconds = self.seconds();
        let learner = &mut self.learners[id];
        learner.failures = 0;
        let since = learner.wants_since.take().unwrap_or(seconds);
        if counts {
            self.statistics.submitted += 1;
            self.statistics.waits.push((seconds - since - took).max(0.0));
        }
        *self.statistics.hour(self.now, |hour| &mut hour.submitted) += 1.0;
        let rest = self.numbers.exponential(86_400.0 / self.scenario.given.deltas_wanted);
        self.queue.put(self.block_after(seconds + rest), Event::Ready(id));
    }
}
