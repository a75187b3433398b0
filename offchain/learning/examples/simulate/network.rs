//! A network that learns: rounds as pallet experts keeps them and evaluations as pallet pol does, block by block, with learners
//! and evaluators on machines of their own.
//!
//! ```text
//! Ready ─► Trained ─► a delta in a round       Due: a phase of a round ends, in the block in which that is due
//!   ▲          └ no place left: later          Done: a member of a committee has done what it can in a phase
//!   └────────────── later                      Published: the head moves
//! ```

use crate::{
    assumptions::{Assumptions, EXPERTS, LAYERS, LOGITS_SHARE},
    capture::{Tree, quorum},
    chain::Chain,
    judging::{self, Effect, Found, Measured},
    numbers::Numbers,
    people::{Evaluator, Kind, Learner, pareto},
    queue::Queue,
    statistics::Statistics,
    traffic::Sizes,
    weights::Weights,
};
use blyan_primitives::{
    learning::DeltaOutcome,
    pact::{Network as Times, Pact},
    pol::{Draw, Refusal, RewardShares, draw_committee, reward_total, split_reward},
};

/// Smallest units of a BLY.
const BLY: f64 = 1e18;
/// Round trips in which a block is fetched: its header, the hashes of its tiles, their bytes.
const TRIPS: f64 = 3.0;

/// What is simulated.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) learners: usize,
    pub(crate) pact: Pact,
    pub(crate) chain: Chain,
    pub(crate) given: Assumptions,
    /// Whether aggregators fetch deltas when they are submitted, and committees fetch them from there.
    pub(crate) relayed: bool,
    /// Whether a round that is full takes no more time for deltas. The chain has no such rule: it shows what one would do.
    pub(crate) closes_full: bool,
    /// Days until what is happening does not depend any more on how it began, and days that are looked at after these.
    pub(crate) warm_up: u64,
    pub(crate) days: u64,
    /// Days in which new data restores two thirds of what heads have gained; none where there is no new data.
    pub(crate) refresh: Option<f64>,
}

impl Scenario {
    pub(crate) fn evaluators(&self) -> usize {
        self.given.evaluators(self.learners)
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Ready(usize),
    Trained { learner: usize, round: usize, steps: f64, took: f64 },
    Due { round: usize, turn: u32 },
    Done { round: usize, turn: u32, member: usize },
    Published(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Waiting,
    Availability,
    Commit,
    Reveal,
    Accepted,
    Over,
}

struct Delta {
    learner: usize,
    effect: Effect,
    copies: Option<u32>,
    at: u64,
    /// Whether the committee could fetch it.
    is_there: bool,
}

struct Round {
    slot: usize,
    opened: u64,
    /// What its base can still gain.
    potential: f64,
    phase: Phase,
    /// Counts phases, so that the end of one that has ended early is nobody else's.
    turn: u32,
    until: u64,
    /// The block after which randomness has to come.
    at: u64,
    attempt: u8,
    /// When its committee was drawn.
    drawn: u64,
    deltas: Vec<Delta>,
    members: Vec<usize>,
    /// Members who have done what they can in this phase; and how many have done something.
    done: Vec<usize>,
    spoke: usize,
    /// Members who have committed to something.
    committed: Vec<usize>,
    evaluators: usize,
    found: Option<Found>,
}

#[derive(Clone, Default)]
struct Slot {
    round: Option<usize>,
    /// What it has gained that new data has not restored yet, and when that was so.
    spent: f64,
    since: u64,
}

/// A run of a scenario.
pub(crate) struct Network<'a> {
    scenario: &'a Scenario,
    weights: &'a Weights,
    sizes: &'a Sizes,
    numbers: Numbers,
    queue: Queue<Event>,
    now: u64,
    learners: Vec<Learner>,
    evaluators: Vec<Evaluator>,
    stakes: Tree,
    slots: Vec<Slot>,
    /// How often the head of each slot has moved.
    moved: Vec<u32>,
    rounds: Vec<Round>,
    /// Rounds that take deltas.
    open: Vec<usize>,
    /// Rounds that are not over.
    ongoing: usize,
    /// Phases that have ended in this block: of rounds, and of evaluations.
    endings: (u64, [u32; 2]),
    /// What the pool for learning has, and the era until which it was filled.
    pool: u128,
    era: u64,
    statistics: Statistics,
}

impl<'a> Network<'a> {
    pub(crate) fn new(scenario: &'a Scenario, weights: &'a Weights, sizes: &'a Sizes, seed: u64) -> Self {
        let Scenario { given, chain, .. } = scenario;
        // Scenarios of one size have the same people.
        let mut numbers = Numbers::new(seed, &format!("{} learners", scenario.learners));
        let last = (scenario.warm_up + scenario.days) * chain.day();
        let end = (last * chain.block_seconds) as f64;
        let learners: Vec<Learner> = (0..scenario.learners).map(|_| Learner::new(end, given, &mut numbers)).collect();
        let count = scenario.evaluators();
        let evaluators = (0..count).map(|_| Evaluator::new(end, given, &mut numbers)).collect();
        let bond = scenario.pact.staking.min_worker_bond as f64;
        let stakes = Tree::new(pareto(count, given).into_iter().map(|stake| (stake * bond) as u128));
        let mut queue = Queue::new();
        for learner in 0..learners.len() {
            // They have not all just begun.
            queue.put(numbers.below((chain.day() as f64 / given.deltas_wanted) as usize) as u64, Event::Ready(learner));
        }
        Self {
            scenario,
            weights,
            sizes,
            numbers,
            queue,
            now: 0,
            learners,
            evaluators,
            stakes,
            slots: vec![Slot::default(); LAYERS * EXPERTS],
            moved: vec![0; LAYERS * EXPERTS],
            rounds: Vec::new(),
            open: Vec::new(),
            ongoing: 0,
            endings: (0, [0; 2]),
            pool: 0,
            era: 0,
            statistics: Statistics::new(scenario.warm_up * chain.day(), last, *chain),
        }
    }

    /// Runs it to the end.
    pub(crate) fn run(mut self) -> (Vec<Learner>, Statistics) {
        while let Some((block, due, event)) = self.queue.take() {
            if block >= self.statistics.until {
                break;
            }
            self.now = block;
            match event {
                Event::Ready(learner) => self.ready(learner),
                Event::Trained { learner, round, steps, took } => self.trained(learner, round, steps, took),
                Event::Due { round, turn } => self.due(round, turn, due),
                Event::Done { round, turn, member } => self.done(round, turn, member),
                Event::Published(round) => self.published(round),
            }
        }
        let blocks = self.scenario.days * self.scenario.chain.day();
        self.statistics.weight += self.weights.block() * blocks;
        (self.learners, self.statistics)
    }

    fn seconds(&self) -> f64 {
        self.seconds_at(self.now)
    }

    fn seconds_at(&self, block: u64) -> f64 {
        (block * self.scenario.chain.block_seconds) as f64
    }

    /// When somebody does something because of what this block has: once it is final.
    fn noticed(&self) -> f64 {
        self.seconds() + self.scenario.given.reaction_blocks * self.seconds_at(1)
    }

    /// The block that has what is sent at this time.
    fn block_after(&self, seconds: f64) -> u64 {
        (seconds / self.seconds_at(1)) as u64 + 1
    }

    /// A transaction of so many bytes, and of such a weight.
    fn transaction(&mut self, bytes: u64, weight: u64) {
        if self.statistics.counts(self.now) {
            self.statistics.transactions += 1;
            self.statistics.transaction_bytes += bytes;
            self.statistics.weight += weight;
            self.statistics.transaction_weight += weight;
        }
    }

    fn hook(&mut self, weight: u64) {
        if self.statistics.counts(self.now) {
            self.statistics.weight += weight;
        }
    }

    // Learners.

    /// A learner wants to submit a delta: it looks for a round, and trains for it.
    fn ready(&mut self, id: usize) {
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

    fn trained(&mut self, id: usize, round: usize, steps: f64, took: f64) {
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

    // Slots and rounds.

    /// What a slot's head can still gain.
    fn potential(&self, slot: usize) -> f64 {
        let Slot { spent, since, .. } = self.slots[slot];
        let days = (self.now - since) as f64 / self.scenario.chain.day() as f64;
        self.scenario.given.potential - spent * self.scenario.refresh.map_or(1.0, |refresh| (-days / refresh).exp())
    }

    fn open_round(&mut self, slot: usize) -> usize {
        let id = self.rounds.len();
        let until = self.now + u64::from(self.scenario.pact.rounds.submission);
        let potential = self.potential(slot);
        self.rounds.push(Round {
            slot,
            opened: self.now,
            potential,
            phase: Phase::Open,
            turn: 0,
            until,
            at: 0,
            attempt: 0,
            drawn: 0,
            deltas: Vec::new(),
            members: Vec::new(),
            done: Vec::new(),
            spoke: 0,
            committed: Vec::new(),
            evaluators: 0,
            found: None,
        });
        self.slots[slot].round = Some(id);
        self.open.push(id);
        self.ongoing += 1;
        self.queue.put(until, Event::Due { round: id, turn: 0 });
        self.transaction(self.sizes.open, self.weights.open());
        id
    }

    /// Puts a round into a phase that lasts some blocks.
    fn enter(&mut self, id: usize, phase: Phase, blocks: u64) {
        let round = &mut self.rounds[id];
        round.phase = phase;
        round.turn += 1;
        round.until = self.now + blocks.max(1);
        round.done.clear();
        self.queue.put(round.until, Event::Due { round: id, turn: round.turn });
    }

    /// A member has done what it can: the phase ends with the next block once all have.
    fn done(&mut self, id: usize, turn: u32, member: usize) {
        let round = &mut self.rounds[id];
        if round.turn != turn || self.now >= round.until {
            return;
        }
        round.done.push(member);
        if round.done.len() == round.members.len() && round.until > self.now + 1 {
            round.until = self.now + 1;
            self.queue.put(self.now + 1, Event::Due { round: id, turn });
            self.statistics.early += u64::from(self.statistics.counts(self.now));
        }
        let phase = round.phase;
        match phase {
            Phase::Availability => self.transaction(self.sizes.vote, self.weights.vote()),
            Phase::Commit => self.transaction(self.sizes.commit, self.weights.commit()),
            // Their size is known with the verdict.
            _ => self.transaction(0, self.weights.reveal()),
        }
    }

    /// A phase ends, unless this block has ended as many as it can.
    fn due(&mut self, id: usize, turn: u32, due: u64) {
        if self.rounds[id].turn != turn {
            return;
        }
        let phase = self.rounds[id].phase;
        let which = usize::from(phase != Phase::Open);
        if self.endings.0 != self.now {
            self.endings = (self.now, [0; 2]);
        }
        let Chain { round_endings, phase_endings, .. } = self.scenario.chain;
        if self.endings.1[which] >= [round_endings, phase_endings][which] {
            self.queue.postpone(self.now + 1, due, Event::Due { round: id, turn });
            return;
        }
        self.endings.1[which] += 1;
        if matches!(phase, Phase::Availability | Phase::Commit | Phase::Reveal) && self.statistics.counts(self.now) {
            self.statistics.phases += 1;
        }
        match phase {
            Phase::Open => self.close(id),
            Phase::Waiting => self.draw(id),
            Phase::Availability => self.end_availability(id),
            Phase::Commit => self.end_commit(id),
            Phase::Reveal => self.end_reveal(id),
            Phase::Accepted | Phase::Over => {},
        }
    }

    fn close(&mut self, id: usize) {
        self.open.retain(|open| *open != id);
        let deltas = self.rounds[id].deltas.len();
        self.hook(self.weights.close(deltas));
        if deltas == 0 {
            self.finish(id);
            if self.statistics.counts(self.now) {
                self.statistics.empty += 1;
            }
            return;
        }
        self.rounds[id].at = self.now;
        self.enter(id, Phase::Waiting, self.scenario.chain.retry);
    }

    fn finish(&mut self, id: usize) {
        let round = &mut self.rounds[id];
        (round.phase, round.turn) = (Phase::Over, round.turn + 1);
        self.slots[round.slot].round = None;
        self.ongoing -= 1;
        if self.statistics.counts(self.now) {
            self.statistics.rounds += 1;
        }
        *self.statistics.hour(self.now, |hour| &mut hour.rounds) += 1.0;
    }

    // Evaluations.

    /// Draws a committee, once an epoch is over that began after the round took its last delta.
    fn draw(&mut self, id: usize) {
        self.hook(self.weights.draw());
        let epoch = u64::from(Times::PUBLIC.session_slots);
        let last_epoch_began = (self.now / epoch * epoch).checked_sub(epoch);
        if last_epoch_began.is_none_or(|began| began <= self.rounds[id].at) {
            return self.enter(id, Phase::Waiting, self.scenario.chain.retry);
        }
        let subject = [&b"committee"[..], &(id as u32).to_le_bytes(), &[self.rounds[id].attempt]].concat();
        let mut draw = Draw::new(&self.numbers.seed(), &subject);
        let seats = self.scenario.pact.learning.committee;
        let members = draw_committee(&self.stakes, seats, &mut draw).into_iter().map(|leaf| leaf as usize).collect();
        let round = &mut self.rounds[id];
        (round.members, round.committed, round.evaluators, round.drawn) = (members, Vec::new(), 0, self.now);
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
        round.spoke = 0;
        for member in round.members.clone() {
            let evaluator = &self.evaluators[member];
            let takes = deltas * (size / evaluator.downlink + TRIPS * given.round_trip);
            self.rounds[id].spoke += usize::from(evaluator.uptime.from(began) + takes < until);
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

    fn end_availability(&mut self, id: usize) {
        self.hook(self.weights.end_availability());
        let round = &mut self.rounds[id];
        let (members, is_early) = (round.members.len(), round.done.len() == round.members.len());
        let spoke = if is_early { members } else { round.spoke };
        if is_early {
            round.deltas.iter_mut().for_each(|delta| delta.is_there = true);
        } else {
            // These have voted without having all: once for what they had.
            let votes = spoke.saturating_sub(round.done.len()) as u64;
            for _ in 0..votes {
                self.transaction(self.sizes.vote, self.weights.vote());
            }
        }
        let quorum = quorum(members as u32, self.scenario.pact.learning.quorum) as usize;
        if spoke < quorum {
            return self.redraw(id, members - spoke);
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
        for member in members.clone() {
            // The model as it is now, and the master that deltas are added to.
            let evaluator = &mut self.evaluators[member];
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
                self.statistics.seats += 1;
            }
            *self.statistics.hour(self.now, |hour| &mut hour.evaluating) += work / 3_600.0;
        }
    }

    fn end_commit(&mut self, id: usize) {
        self.hook(self.weights.end_commit());
        self.rounds[id].committed = self.rounds[id].done.clone();
        self.enter(id, Phase::Reveal, self.scenario.pact.rounds.reveal.into());
        let began = self.noticed();
        let Round { committed, turn, .. } = &self.rounds[id];
        for member in committed {
            let block = self.block_after(self.evaluators[*member].uptime.from(began));
            self.queue.put(block, Event::Done { round: id, turn: *turn, member: *member });
        }
    }

    fn end_reveal(&mut self, id: usize) {
        let round = &self.rounds[id];
        let (members, revealed) = (round.members.len(), round.done.len());
        self.hook(self.weights.end_reveal());
        if revealed < quorum(members as u32, self.scenario.pact.learning.quorum) as usize {
            return self.redraw(id, members - revealed);
        }
        if self.statistics.counts(self.now) {
            self.statistics.absent += (members - revealed) as u64;
        }
        self.rounds[id].evaluators = revealed;
        self.decide(id);
    }

    fn redraw(&mut self, id: usize, absent: usize) {
        let counts = self.statistics.counts(self.now);
        if counts {
            self.statistics.absent += absent as u64;
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

    // Verdicts.

    /// No delta could be fetched.
    fn reject(&mut self, id: usize) {
        for index in 0..self.rounds[id].deltas.len() {
            self.settle(id, index, None);
        }
        if self.statistics.counts(self.now) {
            self.statistics.rejected += 1;
        }
        self.finish(id);
    }

    fn decide(&mut self, id: usize) {
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
        let bytes = self.sizes.reveal(&found.reveal) * round.evaluators as u64;
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
    fn published(&mut self, id: usize) {
        let pact = &self.scenario.pact;
        let Some(found) = self.rounds[id].found.take() else { return };
        let (slot, evaluators) = (self.rounds[id].slot, self.rounds[id].evaluators);
        let left = (self.potential(slot) - found.true_gain).clamp(0.0, self.scenario.given.potential);
        (self.slots[slot].spent, self.slots[slot].since) = (self.scenario.given.potential - left, self.now);

        self.moved[slot] += 1;
        for member in &self.rounds[id].committed {
            self.evaluators[*member].has.make(slot, self.moved[slot]);
        }
        self.fill_pool();
        let total = reward_total(pact.rounds.reward, found.gain, self.pool);
        let weights: Vec<u32> = found.deltas.iter().map(|delta| delta.unwrap_or(0)).collect();
        let reward = split_reward(total, &weights, evaluators as u32, &RewardShares::of(&pact.learning));
        let by_delta = reward.learners.iter().chain(&reward.aggregators).sum::<u128>();
        let paid = by_delta + reward.primary + reward.evaluator * evaluators as u128;
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
        self.transaction(self.sizes.publish, self.weights.publish(self.sizes.headers, count, evaluators as u64));
        if counts {
            self.statistics.heads += 1;
            self.statistics.merged += merged;
            self.statistics.gain += found.true_gain;
            self.statistics.paid += paid as f64 / BLY;
            self.statistics.evaluators_paid += reward.evaluator as f64 / BLY * evaluators as f64;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::quantile;
    use blyan_primitives::pact::NetworkKind;

    fn run(seed: u64, change: impl FnOnce(&mut Scenario)) -> (Vec<Learner>, Statistics) {
        let chain = Chain::read().unwrap();
        let mut scenario = Scenario {
            name: "test".into(),
            learners: 40,
            pact: Pact::default_for(NetworkKind::Public),
            chain,
            given: Assumptions::default(),
            relayed: false,
            closes_full: false,
            warm_up: 0,
            days: 3,
            refresh: Some(3.0),
        };
        change(&mut scenario);
        let (weights, sizes) =
            (Weights::read(&chain).unwrap(), Sizes::measure(&mut Numbers::new(seed, "sizes")).unwrap());
        Network::new(&scenario, &weights, &sizes, seed).run()
    }

    #[test]
    fn the_same_seed_gives_the_same_network() {
        let figures = |seed| {
            let (learners, s) = run(seed, |_| {});
            let paid: Vec<f64> = learners.iter().map(|learner| learner.paid).collect();
            (paid, s.submitted, s.merged, s.up.learners, s.down.evaluators, s.verdicts)
        };
        assert_eq!(figures(1), figures(1));
        assert_ne!(figures(1), figures(2));
    }

    #[test]
    fn phases_end_early_unless_somebody_is_away() {
        let (_, s) = run(1, |scenario| scenario.given.restart_days = 1e6);
        let evaluation = Pact::default_for(NetworkKind::Public).rounds.evaluation;
        let longest = quantile(&s.evaluations, 1.0);
        assert!(s.phases > 100 && s.early == s.phases && s.absent == 0, "{} of {}", s.early, s.phases);
        assert!(longest < f64::from(evaluation) * 3.0 / 2.0, "{longest}");
        // All others wait for each who is away for days, and too few are left of some committees.
        let (_, s) = run(1, |scenario| (scenario.given.restart_days, scenario.given.outage) = (4.0, 86_400.0));
        assert!(s.early * 4 < s.phases && s.absent > 0, "{} of {}", s.early, s.phases);
    }

    #[test]
    fn what_is_paid_is_what_there_is() {
        let (learners, s) = run(1, |scenario| scenario.pact.economy.era_emission = 1_000 * BLY as u128);
        let pool = 0.5 * 1_000.0 * 3.0 * 4.0;
        let paid: f64 = learners.iter().map(|learner| learner.paid).sum();
        assert!(s.paid <= pool && paid + s.evaluators_paid <= s.paid, "{} of {pool}", s.paid);
        assert!(s.paid > 0.8 * pool, "{} of {pool}", s.paid);
    }

    #[test]
    fn who_relays_deltas_sends_what_learners_do_not() {
        let [direct, relayed] = [false, true].map(|relayed| run(1, |scenario| scenario.relayed = relayed).1);
        let committee = u64::from(Pact::default_for(NetworkKind::Public).learning.committee);
        // The last rounds have their deltas, and no committee yet.
        assert!(direct.up.learners > committee / 2 * relayed.up.learners);
        assert!(relayed.up.aggregators > direct.up.aggregators && relayed.up.learners > 0);
    }
}
