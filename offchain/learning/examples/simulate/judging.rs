//! What a committee would find of deltas whose true effects are known. Scores are made up item by item; all that follows from
//! them is computed by the protocol's own functions.

use crate::{assumptions::Assumptions, numbers::Numbers};
use blyan_primitives::{
    ids::ContentHash,
    pact::{Learning as Rules, Pact},
    pol::{Candidate, DeltaFinding, Finding, Layout, Refusal, Reveal, Scores, Set, Target, released_gain},
    trace::LOSS_UNITS,
};
use std::collections::BTreeMap;

/// By how much a delta truly lowers the loss, in nats a token.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effect {
    /// On the public unseen data that deltas are chosen by.
    pub(crate) trial: f64,
    /// On the data that candidates are judged by.
    pub(crate) last: f64,
    /// On what the model could do before.
    pub(crate) general: f64,
    /// On the data that its learner declares.
    pub(crate) own: f64,
}

impl Effect {
    fn on(&self, set: Set) -> f64 {
        match set {
            Set::Trial => self.trial,
            Set::Final => self.last,
            Set::General => self.general,
            Set::Own(_) => self.own,
        }
    }
}

/// A delta, as it is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) effect: Effect,
    /// An earlier delta of the round that it is found to be a copy of.
    pub(crate) copies: Option<u32>,
    /// Deltas of the same number differ by rounding alone: they are one training in disguise.
    pub(crate) training: usize,
}

/// What is found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Of each delta: what it counts for in the candidate, or why it does not.
    pub(crate) deltas: Vec<Result<u32, Refusal>>,
    /// Whether the candidate becomes the head.
    pub(crate) candidate: Result<(), Refusal>,
    /// The candidate's gain as it is made known, in micro-nats a token.
    pub(crate) gain: i64,
    /// What the candidate truly gains on the data that it is judged by, in nats a token, if there is one.
    pub(crate) true_gain: f64,
    /// What each delta gains on trial items as it is measured, in nats a token.
    pub(crate) measured: Vec<f64>,
    /// All that a member would reveal.
    pub(crate) reveal: Reveal,
}

/// What rounds of `deltas` deltas are measured on.
pub(crate) fn layout(pact: &Pact, positions: u32, deltas: u32) -> Layout {
    let rounds = &pact.rounds;
    Layout {
        trial: rounds.trial_items,
        last: rounds.final_items,
        general: rounds.general_items,
        own: rounds.own_items,
        deltas,
        positions,
    }
}

/// Items of a set.
struct Items {
    set: Set,
    /// Loss of the base on each, in nats a token.
    base: Vec<f64>,
    /// What each delta gains on each, before weights are rounded.
    gains: Vec<Vec<f64>>,
}

/// Scores that are filled in set by set.
struct Filling<'a> {
    layout: &'a Layout,
    given: &'a Assumptions,
    numbers: &'a mut Numbers,
    scores: Vec<u64>,
}

impl Filling<'_> {
    /// Makes up the items of a set, and the base's scores on them.
    fn items(&mut self, set: Set, deltas: &[Measured]) -> Items {
        // Of the gain, deltas have a part of what differs from item to item in common.
        let (relative, shared) = (self.given.noise_relative, self.given.noise_shared);
        let count = self.layout.cells(Target::Base, set).unwrap_or_default().len();
        let (mut base, mut gains) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for _ in 0..count {
            base.push(self.given.loss + self.given.loss_deviation * self.numbers.normal());
            let common = self.numbers.normal();
            let mut trainings: BTreeMap<usize, f64> = BTreeMap::new();
            let mut gain = |delta: &Measured| {
                let own = *trainings.entry(delta.training).or_insert_with(|| self.numbers.normal());
                let spread = shared.sqrt() * common + (1.0 - shared).sqrt() * own;
                let mean = delta.effect.on(set);
                mean + relative * mean.abs() * spread
            };
            gains.push(deltas.iter().map(&mut gain).collect());
        }
        let items = Items { set, base, gains };
        self.put(Target::Base, &items, 0.0, &|_| 0.0);
        items
    }

    /// Scores of a target on items on which it gains `gain` of what deltas gain.
    fn score(&mut self, target: Target, items: &Items, gain: &dyn Fn(&[f64]) -> f64) {
        self.put(target, items, self.given.noise_floor, gain);
    }

    fn put(&mut self, target: Target, items: &Items, floor: f64, gain: &dyn Fn(&[f64]) -> f64) {
        let cells = self.layout.cells(target, items.set).unwrap_or_default();
        for ((cell, base), gains) in cells.zip(&items.base).zip(&items.gains) {
            let rounding = if floor > 0.0 { floor * self.numbers.normal() } else { 0.0 };
            let units = (base - gain(gains) - rounding) * f64::from(self.layout.positions) * f64::from(LOSS_UNITS);
            self.scores[cell as usize] = units.max(0.0).round() as u64;
        }
    }
}

/// Measures the deltas of a round and judges them.
pub(crate) fn evaluate(
    deltas: &[Measured],
    layout: &Layout,
    rules: &Rules,
    given: &Assumptions,
    numbers: &mut Numbers,
) -> Found {
    let scores = vec![0; layout.all() as usize];
    let mut filling = Filling { layout, given, numbers, scores };
    let [trial, general, last] = [Set::Trial, Set::General, Set::Final].map(|set| filling.items(set, deltas));
    for (number, delta) in (0..).zip(deltas) {
        let target = Target::Delta(number);
        let own = filling.items(Set::Own(number), std::slice::from_ref(delta));
        filling.score(target, &own, &|gains| gains[0]);
        for items in [&trial, &general] {
            filling.score(target, items, &|gains| gains[number as usize]);
        }
    }
    let reveal_of = |scores: &Scores| {
        let sums = scores.deltas(layout).unwrap_or_default();
        let finding = |delta: &Measured| delta.copies.map_or(Finding::Sound, Finding::Copy);
        let found = deltas.iter().zip(sums).map(|(delta, sums)| DeltaFinding { finding: finding(delta), sums });
        let deltas = found.collect::<Vec<_>>().try_into().unwrap_or_default();
        Reveal { scores: scores.hash(), deltas, candidate: None }
    };
    let weights = reveal_of(&Scores(filling.scores.clone())).weights(layout, rules);
    let shares: Vec<f64> = weights.iter().map(|weight| f64::from(*weight) / 65_536.0).collect();
    let merged = |gains: &[f64]| gains.iter().zip(&shares).map(|(gain, share)| gain * share).sum();
    let merges = weights.iter().any(|weight| *weight > 0);
    if merges {
        for items in [&last, &general] {
            filling.score(Target::Candidate, items, &merged);
        }
    } else {
        filling.scores.truncate(layout.without_candidate() as usize);
    }
    let scores = Scores(filling.scores);
    let sums = merges.then(|| scores.candidate(layout)).flatten();
    // Which blocks a candidate is makes no difference to what it is worth.
    let (master, serving) = (ContentHash([0; 32]), ContentHash([1; 32]));
    let reveal = Reveal { candidate: sums.map(|sums| Candidate { master, serving, sums }), ..reveal_of(&scores) };
    let judged = reveal.deltas.iter().zip(&weights).map(|(delta, weight)| delta.judge(layout, rules).map(|()| *weight));
    let effects: Vec<f64> = deltas.iter().map(|delta| delta.effect.last).collect();
    let units = f64::from(layout.trial) * f64::from(layout.positions) * f64::from(LOSS_UNITS);
    Found {
        measured: reveal.deltas.iter().map(|delta| delta.sums.trial.gain as f64 / units).collect(),
        deltas: judged.collect(),
        candidate: reveal.judge(layout, rules).map(|_| ()),
        gain: sums.map_or(0, |sums| released_gain(&sums.last, layout.last, layout.positions)),
        true_gain: merged(&effects),
        reveal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::pact::NetworkKind;

    const POSITIONS: u32 = 128;

    fn honest(gain: f64) -> Effect {
        Effect { trial: gain, last: gain, general: gain / 2.0, own: gain * 1.2 }
    }

    fn round(effects: &[Effect], copies: Option<u32>, seed: u64) -> Found {
        let pact = Pact::default_for(NetworkKind::Public);
        let last = effects.len() - 1;
        let measured = |(training, effect): (usize, &Effect)| Measured {
            effect: *effect,
            copies: copies.filter(|_| training == last),
            training,
        };
        let deltas: Vec<Measured> = effects.iter().enumerate().map(measured).collect();
        let layout = layout(&pact, POSITIONS, deltas.len() as u32);
        evaluate(&deltas, &layout, &pact.learning, &Assumptions::default(), &mut Numbers::new(seed, "test"))
    }

    #[test]
    fn what_is_found_is_what_was_put_in() {
        let mut sums = [0.0; 2];
        for seed in 0..200 {
            let found = round(&[honest(0.04), honest(0.02)], None, seed);
            assert!(
                found.candidate.is_ok()
                    && found.reveal.is_consistent(
                        &layout(&Pact::default_for(NetworkKind::Public), POSITIONS, 2),
                        &Pact::default_for(NetworkKind::Public).learning,
                    )
            );
            for (sum, measured) in sums.iter_mut().zip(&found.measured) {
                *sum += measured / 200.0;
            }
            // Weights are by gain, so that the candidate gains more than the mean.
            assert!((0.03..0.04).contains(&found.true_gain), "{found:?}");
        }
        // 0.6 · 0.04 / √(64 · 200) is 0.0002.
        assert!((sums[0] - 0.04).abs() < 0.001 && (sums[1] - 0.02).abs() < 0.0005, "{sums:?}");
    }

    #[test]
    fn each_kind_is_refused_for_its_own_reason() {
        let reason = |effect: Effect, copies| round(&[honest(0.03), effect], copies, 5).deltas[1];
        assert!(reason(honest(0.03), None).is_ok());
        assert_eq!(reason(honest(0.03), Some(0)), Err(Refusal::Copied));
        assert_eq!(reason(Effect::default(), None), Err(Refusal::NoGain));
        assert_eq!(reason(Effect { general: -0.05, ..honest(0.03) }, None), Err(Refusal::Harmful));
        assert_eq!(reason(Effect { own: 0.005, ..honest(0.06) }, None), Err(Refusal::Leaked));
        let found = round(&[Effect::default()], None, 5);
        assert_eq!((found.candidate, found.gain, found.true_gain), (Err(Refusal::NothingMerged), 0, 0.0));
    }
}
