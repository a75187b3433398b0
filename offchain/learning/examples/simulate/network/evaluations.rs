//! Evaluations: a committee is drawn, fetches the deltas, measures them and reveals what it has found.

use super::{Event, Member, Network, Phase, Round, Scenario, TRIPS, votes};
use crate::{
    assumptions::{EXPERTS, LAYERS, LOGITS_SHARE},
    capture::quorum,
};
use blyan_primitives::{
    pact::Network as Times,
    pol::{Draw, draw_committee},
};

impl Network<'_> {
    /// Draws a committee, once an epoch is over that began after the round took its last delta.
    pub(super) fn draw(&mut self, id: usize) {
        self.hook(self.weights.draw());
        let epoch = u64::from(Times::PUBLIC.session_slots);
        let last_epoch_began = (self.now / epoch * epoch).checked_sub(epoch);
        if last_epoch_began.is_none_or(|began| began <= self.rounds[id].at) {
            return self.enter(id, Phase::Waiting, self.scenario.chain.retry);
        }
        let subject = [&b"committee"[..], &(id as u32).to_le_bytes(), &[self.rounds[id].attempt]].concat();
        let mut draw = Draw::new(&self.numbers.seed(), &subject);
        let seats = self.scenario.pact.learning.committee;
        let member = |(leaf, votes): (u32, u32)| Member { evaluator: leaf as usize, votes };
        let members = draw_committee(&self.stakes, seats, &mut draw).into_iter().map(member).collect();
        let round = &mut self.rounds[id];
        (round.members, round.committed, round.evaluators, round.drawn) = (members, Vec::new(), Vec::new(), self.now);
        self.enter(id, Phase::Availability, self.scenario.pact.rounds.availability.into());
        self.fetch(id);
    }

    /// Members fetch the deltas from those who have them, and vote.
    fn fetch(&mut self, id: usize) {
        let Scenario { given, chain, relayed, .. } = self.scenario;
        let (began, until) = (self.noticed(), self.seconds_at(self.rounds[id].until));
        let size = 8.0 * self.sizes.delta as f64;
        let round = &mut self.rounds[id];
        let (turn, deltas, members) = (round.turn, round.deltas.len() as f64, round.members.len() as f64);
        // Nobody has all before the key of the hidden set is known, and whoever fetches last has to wait for all others.
        let mut all = began + given.key;
        for delta in &mut round.deltas {
            let learner = &self.learners[delta.learner];
            let served = if *relayed {
                let relayed = learner.uptime.finish((delta.at * chain.block_seconds) as f64, size / learner.uplink);
                relayed.max(began) + members * deltas * size / given.aggregator_uplink
            } else {
                learner.uptime.finish(began, members * size / learner.uplink)
            };
            delta.is_there = served < until;
            all = all.max(served);
        }
        round.spoke.clear();
        for member in round.members.clone() {
            let evaluator = &self.evaluators[member.evaluator];
            let takes = deltas * (size / evaluator.downlink + TRIPS * given.round_trip);
            if evaluator.uptime.from(began) + takes < until {
                self.rounds[id].spoke.push(member);
            }
            let block = self.block_after(evaluator.uptime.finish(all, takes));
            self.queue.put(block, Event::Done { round: id, turn, member });
        }
        if self.statistics.counts(self.now) {
            let hidden = (given.hidden_items * f64::from(chain.item_tokens) * 4.0) as u64;
            let (members, sent) = (members as u64, (members * deltas) as u64 * self.sizes.delta);
            self.statistics.down.evaluators += sent + members * hidden;
            self.statistics.up.aggregators += members * hidden;
            let from = if *relayed { &mut self.statistics.up.aggregators } else { &mut self.statistics.up.learners };
            *from += sent;
        }
    }

    pub(super) fn end_availability(&mut self, id: usize) {
        self.hook(self.weights.end_availability());
        let round = &mut self.rounds[id];
        let (seats, is_early) = (votes(&round.members), round.done.len() == round.members.len());
        let spoke = if is_early { seats } else { votes(&round.spoke) };
        if is_early {
            round.deltas.iter_mut().for_each(|delta| delta.is_there = true);
        } else {
            // These have voted without having all: once for what they had.
            for _ in round.done.len()..round.spoke.len() {
                self.transaction(self.sizes.vote, self.weights.vote());
            }
        }
        if spoke < quorum(seats, self.scenario.pact.learning.quorum) {
            return self.redraw(id, seats - spoke);
        }
        if self.rounds[id].deltas.iter().all(|delta| !delta.is_there) {
            return self.reject(id);
        }
        self.enter(id, Phase::Commit, self.scenario.pact.rounds.evaluation.into());
        self.measure(id);
    }

    /// Passes of an item through the model that an evaluation takes: up to the slot all models go the same way, once an item.
    fn passes(&self, round: &Round) -> f64 {
        let layer = (round.slot / EXPERTS) as f64 / LAYERS as f64;
        let common = layer * (1.0 - LOGITS_SHARE);
        let of = |items: u32, models: f64| f64::from(items) * (common + models * (1.0 - common));
        let rounds = &self.scenario.pact.rounds;
        let deltas = round.deltas.iter().filter(|delta| delta.is_there).count() as f64;
        of(rounds.trial_items, 1.0 + deltas)
            + of(rounds.general_items, 1.0 + deltas)
            + deltas * of(rounds.own_items, 2.0)
            + of(rounds.final_items, 2.0)
            + of(rounds.general_items, 1.0)
    }

    /// Members evaluate, each as fast as its machine, and commit to what they find.
    fn measure(&mut self, id: usize) {
        let given = &self.scenario.given;
        let tokens = f64::from(self.scenario.chain.positions());
        let work = self.passes(&self.rounds[id]) * tokens * given.seconds_a_token();
        let began = self.noticed();
        let Round { members, turn, slot, .. } = &self.rounds[id];
        let (turn, slot) = (*turn, *slot);
        if self.statistics.counts(self.now) {
            self.statistics.committees += 1;
            self.statistics.seats += u64::from(votes(members));
        }
        for member in members.clone() {
            // The model as it is now, and the master that deltas are added to.
            let evaluator = &mut self.evaluators[member.evaluator];
            let fetched = evaluator.has.fetch(&self.moved, slot);
            let bytes = self.sizes.fetched(fetched);
            let blocks = (fetched.0 + u64::from(fetched.1)) as f64;
            let fetch = 8.0 * bytes as f64 / evaluator.downlink + blocks * TRIPS * given.round_trip;
            let end = evaluator.work(began + fetch, work);
            if self.statistics.counts(self.now) {
                self.statistics.down.evaluators += bytes;
                self.statistics.up.aggregators += bytes;
            }
            self.queue.put(self.block_after(end), Event::Done { round: id, turn, member });
            if self.statistics.counts(self.now) {
                self.statistics.evaluation_seconds += work;
                self.statistics.members += 1;
            }
            *self.statistics.hour(self.now, |hour| &mut hour.evaluating) += work / 3_600.0;
        }
    }

    pub(super) fn end_commit(&mut self, id: usize) {
        self.hook(self.weights.end_commit());
        self.rounds[id].committed = self.rounds[id].done.clone();
        self.enter(id, Phase::Reveal, self.scenario.pact.rounds.reveal.into());
        let began = self.noticed();
        let Round { committed, turn, .. } = &self.rounds[id];
        for member in committed {
            let block = self.block_after(self.evaluators[member.evaluator].uptime.from(began));
            self.queue.put(block, Event::Done { round: id, turn: *turn, member: *member });
        }
    }

    pub(super) fn end_reveal(&mut self, id: usize) {
        let round = &self.rounds[id];
        let (seats, revealed) = (votes(&round.members), votes(&round.done));
        self.hook(self.weights.end_reveal());
        if revealed < quorum(seats, self.scenario.pact.learning.quorum) {
            return self.redraw(id, seats - revealed);
        }
        if self.statistics.counts(self.now) {
            self.statistics.absent += u64::from(seats - revealed);
        }
        self.rounds[id].evaluators = self.rounds[id].done.clone();
        self.decide(id);
    }

    /// Another committee, or none any more. Of this one, so many votes were missing.
    fn redraw(&mut self, id: usize, absent: u32) {
        let counts = self.statistics.counts(self.now);
        if counts {
            self.statistics.absent += u64::from(absent);
            self.statistics.redrawn += 1;
        }
        let round = &mut self.rounds[id];
        round.attempt += 1;
        round.at = self.now;
        if round.attempt < self.scenario.chain.attempts {
            return self.enter(id, Phase::Waiting, self.scenario.chain.retry);
        }
        if counts {
            self.statistics.failed += 1;
        }
        self.finish(id);
    }
}
