//! A network that learns: rounds as pallet experts keeps them and evaluations as pallet pol does, block by block, with learners
//! and evaluators on machines of their own.
//!
//! ```text
//! Ready ─► Trained ─► a delta in a round       Due: a phase of a round ends, in the block in which that is due
//!   ▲          └ no place left: later          Done: a member of a committee has done what it can in a phase
//!   └────────────── later                      Published: the head moves
//! ```

mod evaluations;
mod learners;
mod verdicts;

use crate::{
    assumptions::{Assumptions, EXPERTS, LAYERS},
    capture::Tree,
    chain::Chain,
    judging::{Effect, Found},
    numbers::Numbers,
    people::{Evaluator, Learner, pareto},
    queue::Queue,
    statistics::Statistics,
    traffic::Sizes,
    weights::Weights,
};
use blyan_primitives::pact::Pact;

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
    Done { round: usize, turn: u32, member: Member },
    Published(usize),
}

/// An evaluator in a committee, who has one seat or several.
#[derive(Clone, Copy, Debug)]
struct Member {
    evaluator: usize,
    votes: u32,
}

/// What they count for together.
fn votes(members: &[Member]) -> u32 {
    members.iter().map(|member| member.votes).sum()
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
    members: Vec<Member>,
    /// Members who have done what they can in this phase; and those who will have done something when it ends.
    done: Vec<Member>,
    spoke: Vec<Member>,
    /// Members who have committed to something.
    committed: Vec<Member>,
    /// Members who have revealed what became the verdict.
    evaluators: Vec<Member>,
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
            spoke: Vec::new(),
            committed: Vec::new(),
            evaluators: Vec::new(),
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
    fn done(&mut self, id: usize, turn: u32, member: Member) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chain::BLY, statistics::quantile};
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
    fn a_committee_has_all_its_votes_in_fewer_hands() {
        let (_, s) = run(1, |_| {});
        let seats = u64::from(Pact::default_for(NetworkKind::Public).learning.committee);
        assert!(s.committees > 0 && s.seats == s.committees * seats, "{} of {}", s.seats, s.committees);
        assert!(s.members < s.seats && s.members > s.committees, "{} of {}", s.members, s.committees);
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
