//! Machines that come and go, learners and evaluators.

use crate::{assumptions::Assumptions, judging::Effect, numbers::Numbers};
use blyan_primitives::trust::Standing;

/// When a machine is away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uptime {
    /// From when to when, in seconds, one after the other.
    outages: Vec<(f64, f64)>,
}

impl Uptime {
    /// Restarts at random until `end`.
    pub(crate) fn new(end: f64, given: &Assumptions, numbers: &mut Numbers) -> Self {
        let (mut outages, mut time) = (Vec::new(), numbers.exponential(86_400.0 * given.restart_days));
        while time < end {
            let until = time + numbers.log_normal(given.outage, given.outage_spread);
            outages.push((time, until));
            time = until + numbers.exponential(86_400.0 * given.restart_days);
        }
        Self { outages }
    }

    /// The first moment from `time` on at which the machine is there.
    pub(crate) fn from(&self, time: f64) -> f64 {
        let ended = self.outages.partition_point(|(_, until)| *until <= time);
        self.outages.get(ended).filter(|(since, _)| *since <= time).map_or(time, |(_, until)| *until)
    }

    /// When work is done that is begun at `time` and goes on after every outage.
    pub(crate) fn finish(&self, time: f64, work: f64) -> f64 {
        let mut end = self.from(time) + work;
        let next = self.outages.partition_point(|(since, _)| *since < self.from(time));
        for (since, until) in &self.outages[next..] {
            if *since >= end {
                break;
            }
            end += until - since;
        }
        end
    }
}

/// Which heads and masters a machine has: of each slot, how often the head had moved when it was fetched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    heads: Vec<u32>,
    /// One more than for heads: nobody begins with masters.
    masters: Vec<u32>,
}

impl Kept {
    fn at(list: &mut Vec<u32>, slot: usize) -> &mut u32 {
        if list.len() <= slot {
            list.resize(slot + 1, 0);
        }
        &mut list[slot]
    }

    /// How many heads it lacks.
    pub(crate) fn lacks(&self, moved: &[u32]) -> u64 {
        let has = |slot: usize| self.heads.get(slot).copied().unwrap_or(0);
        (0..).zip(moved).filter(|(slot, is)| has(*slot) < **is).count() as u64
    }

    /// Fetches the heads that it lacks, and the master of a slot: how many heads, and whether the master.
    pub(crate) fn fetch(&mut self, moved: &[u32], slot: usize) -> (u64, bool) {
        let heads = self.lacks(moved);
        self.heads = moved.to_vec();
        let master = Self::at(&mut self.masters, slot);
        let lacks = *master <= moved[slot];
        *master = moved[slot] + 1;
        (heads, lacks)
    }

    /// Makes the next head of a slot, and its master.
    pub(crate) fn make(&mut self, slot: usize, moved: u32) {
        *Self::at(&mut self.heads, slot) = moved;
        *Self::at(&mut self.masters, slot) = moved + 1;
    }
}

/// What a learner is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Trains on what it declares.
    Honest,
    /// Hands in noise, which costs nothing to make.
    Freeloader,
    /// Helps on the data that deltas are chosen by, and harms what the model could do before.
    Harmful,
    /// Hands in what another has submitted to the same round.
    Copier,
    /// Trains on the public evaluation data, and declares other.
    Leaker,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Honest, Self::Freeloader, Self::Harmful, Self::Copier, Self::Leaker];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Freeloader => "freeloader",
            Self::Harmful => "harmful",
            Self::Copier => "copier",
            Self::Leaker => "leaker",
        }
    }

    /// Shares of learners of all but the honest kind.
    fn shares(given: &Assumptions) -> [f64; 4] {
        [given.freeloaders, given.harmful, given.copiers, given.leakers]
    }

    fn draw(given: &Assumptions, numbers: &mut Numbers) -> Self {
        let mut left = numbers.uniform();
        for (kind, share) in Self::ALL.into_iter().skip(1).zip(Self::shares(given)) {
            if left < share {
                return kind;
            }
            left -= share;
        }
        Self::Honest
    }
}

/// A learner.
pub(crate) struct Learner {
    pub(crate) kind: Kind,
    /// Over the reference machine.
    pub(crate) speed: f64,
    /// Bits a second.
    pub(crate) uplink: f64,
    pub(crate) downlink: f64,
    /// What its deltas gain over what such training gains in the median.
    skill: f64,
    pub(crate) uptime: Uptime,
    pub(crate) standing: Standing,
    /// Since when it has wanted to submit a delta, in seconds.
    pub(crate) wants_since: Option<f64>,
    /// Times in a row that it has found no place.
    pub(crate) failures: u32,
    /// BLY that it was paid, and that it lost of its bonds.
    pub(crate) paid: f64,
    pub(crate) lost: f64,
    /// What its deltas truly gain, in nats, all that were judged.
    pub(crate) contribution: f64,
    /// What committees have measured of the deltas that were merged, in nats.
    pub(crate) measured: f64,
    pub(crate) judged: u32,
    pub(crate) has: Kept,
}

impl Learner {
    pub(crate) fn new(end: f64, given: &Assumptions, numbers: &mut Numbers) -> Self {
        Self {
            kind: Kind::draw(given, numbers),
            speed: numbers.log_normal(1.0, given.machine_spread),
            uplink: numbers.log_normal(given.uplink, given.uplink_spread),
            downlink: numbers.log_normal(given.downlink, given.downlink_spread),
            skill: numbers.log_normal(1.0, given.skill_spread),
            uptime: Uptime::new(end, given, numbers),
            standing: Standing::default(),
            wants_since: None,
            failures: 0,
            paid: 0.0,
            lost: 0.0,
            contribution: 0.0,
            measured: 0.0,
            judged: 0,
            has: Kept::default(),
        }
    }

    /// Steps of a training.
    pub(crate) fn steps(&self, given: &Assumptions, numbers: &mut Numbers) -> f64 {
        match self.kind {
            Kind::Honest | Kind::Harmful | Kind::Leaker => {
                numbers.log_normal(given.training_steps, given.training_steps_spread)
            },
            Kind::Freeloader | Kind::Copier => 0.0,
        }
    }

    /// What a delta gains on a head that `potential` can still be gained of. That of a copier is the other's.
    pub(crate) fn effect(&self, potential: f64, steps: f64, given: &Assumptions, numbers: &mut Numbers) -> Effect {
        match self.kind {
            Kind::Honest => honest(potential, self.skill, steps, given, numbers),
            Kind::Freeloader | Kind::Copier => Effect::default(),
            Kind::Harmful => {
                let harm = numbers.log_normal(given.harm, given.harm_spread);
                Effect { general: -harm, ..honest(potential, self.skill, steps, given, numbers) }
            },
            Kind::Leaker => {
                let learnt = honest(potential, self.skill, steps, given, numbers);
                Effect {
                    trial: given.leaked_gain * learnt.trial,
                    last: given.leaked_rest * learnt.last,
                    own: given.leaked_rest * learnt.own,
                    ..learnt
                }
            },
        }
    }
}

/// What honest training gains.
pub(crate) fn honest(potential: f64, skill: f64, steps: f64, given: &Assumptions, numbers: &mut Numbers) -> Effect {
    let share = skill * numbers.log_normal(1.0, given.luck_spread) * (1.0 - (-steps / given.potential_steps).exp());
    let gain = potential * share.min(1.0);
    let spill = given.spill + given.spill_deviation * numbers.normal();
    Effect { trial: gain, last: gain, general: gain * spill, own: gain * given.own_gain }
}

/// An evaluator.
pub(crate) struct Evaluator {
    pub(crate) speed: f64,
    pub(crate) downlink: f64,
    pub(crate) uptime: Uptime,
    pub(crate) has: Kept,
    /// When it has done what it was drawn for until now, in seconds.
    pub(crate) busy_until: f64,
}

impl Evaluator {
    pub(crate) fn new(end: f64, given: &Assumptions, numbers: &mut Numbers) -> Self {
        Self {
            speed: numbers.log_normal(1.0, given.machine_spread),
            downlink: numbers.log_normal(given.downlink, given.downlink_spread),
            uptime: Uptime::new(end, given, numbers),
            has: Kept::default(),
            busy_until: 0.0,
        }
    }

    /// Does what takes the reference machine `work` seconds, after all that it does already, and says when that is done.
    pub(crate) fn work(&mut self, from: f64, work: f64) -> f64 {
        self.busy_until = self.uptime.finish(from.max(self.busy_until), work / self.speed);
        self.busy_until
    }
}

/// Stakes of so many evaluators: quantiles of a Pareto distribution whose least is 1.
pub(crate) fn pareto(count: usize, given: &Assumptions) -> Vec<f64> {
    (0..count).map(|i| ((i as f64 + 0.5) / count as f64).powf(-1.0 / given.stake_exponent)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_put_off_what_they_fall_into() {
        let uptime = Uptime { outages: vec![(10.0, 20.0), (30.0, 35.0)] };
        assert_eq!([5.0, 10.0, 19.0, 20.0].map(|time| uptime.from(time)), [5.0, 20.0, 20.0, 20.0]);
        assert_eq!(uptime.finish(0.0, 10.0), 10.0);
        assert_eq!(uptime.finish(0.0, 11.0), 21.0);
        assert_eq!(uptime.finish(12.0, 11.0), 36.0);
        assert_eq!(uptime.finish(40.0, 1.0), 41.0);
    }

    #[test]
    fn what_a_machine_has_it_does_not_fetch_again() {
        let mut has = Kept::default();
        assert_eq!(has.fetch(&[0, 0, 0], 1), (0, true));
        assert_eq!(has.fetch(&[0, 0, 0], 1), (0, false));
        assert_eq!(has.fetch(&[2, 1, 0], 1), (2, true));
        has.make(1, 2);
        assert_eq!(has.fetch(&[2, 2, 0], 1), (0, false));
        assert_eq!(has.fetch(&[3, 3, 0], 0), (2, true));
    }

    #[test]
    fn an_evaluator_does_one_thing_after_the_other() {
        let mut evaluator =
            Evaluator { speed: 2.0, downlink: 1.0, uptime: Uptime::default(), has: Kept::default(), busy_until: 0.0 };
        assert_eq!(evaluator.work(10.0, 8.0), 14.0);
        assert_eq!(evaluator.work(10.0, 8.0), 18.0);
        assert_eq!(evaluator.work(30.0, 8.0), 34.0);
    }

    #[test]
    fn kinds_come_in_their_shares() {
        let (given, mut numbers) = (Assumptions::default(), Numbers::new(1, "test"));
        let kinds: Vec<Kind> = (0..20_000).map(|_| Kind::draw(&given, &mut numbers)).collect();
        for (kind, share) in Kind::ALL.into_iter().skip(1).zip(Kind::shares(&given)) {
            let found = kinds.iter().filter(|other| **other == kind).count() as f64 / 20_000.0;
            assert!((found - share).abs() < 0.01, "{found} are {}", kind.name());
        }
    }

    #[test]
    fn a_tenth_of_evaluators_has_about_half_of_the_stake() {
        let stakes = pareto(1_000, &Assumptions::default());
        let share = stakes[..100].iter().sum::<f64>() / stakes.iter().sum::<f64>();
        assert!((0.4..0.5).contains(&share), "{share}");
    }
}
