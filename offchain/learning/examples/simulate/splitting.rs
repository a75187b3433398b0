//! What it pays to be several, or to hand in what is another's.

use crate::{
    assumptions::Assumptions,
    chain::BLY,
    judging::{self, Measured},
    numbers::Numbers,
    people,
};
use blyan_primitives::{
    learning::DeltaOutcome,
    pact::Pact,
    pol::{RewardShares, reward_total, split_reward},
};

/// How somebody becomes several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Trains for each name anew.
    Trained,
    /// Trains for each name, with as many times fewer steps.
    Divided,
    /// Trains once, and hands that in under each name with so much noise that none is found to be a copy.
    Disguised,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Trained, Self::Divided, Self::Disguised];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trained => "each trained anew",
            Self::Divided => "the same steps, divided",
            Self::Disguised => "one training, disguised",
        }
    }
}

/// What a round came to for one of its learners, and for each of the others, in BLY.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pay {
    /// After bonds that were lost.
    pub(crate) own: f64,
    pub(crate) others: f64,
    /// Share of the deltas handed in that were merged.
    pub(crate) merged: f64,
}

/// What rounds are played by, how many of them, and how many others there are in each.
#[derive(Clone, Copy)]
pub(crate) struct Game<'a> {
    pub(crate) pact: &'a Pact,
    pub(crate) given: &'a Assumptions,
    /// Positions of an item.
    pub(crate) positions: u32,
    pub(crate) others: usize,
    pub(crate) rounds: u32,
}

/// A round of which some deltas are one learner's: means over many of them.
fn play(game: Game<'_>, numbers: &mut Numbers, mut deltas: impl FnMut(&mut Numbers) -> (Vec<Measured>, usize)) -> Pay {
    let Game { pact, given, positions, rounds, .. } = game;
    let mut sum = Pay::default();
    for _ in 0..rounds {
        let (deltas, own) = deltas(numbers);
        let others = deltas.len() - own;
        let layout = judging::layout(pact, positions, deltas.len() as u32);
        let found = judging::evaluate(&deltas, &layout, &pact.learning, given, numbers);
        let weights: Vec<u32> = found.deltas.iter().map(|delta| delta.unwrap_or(0)).collect();
        let total = if found.candidate.is_ok() { reward_total(pact.rounds.reward, found.gain, u128::MAX) } else { 0 };
        let paid = split_reward(total, &weights, pact.learning.committee, &RewardShares::of(&pact.learning)).learners;
        let lost = |delta: &Result<u32, _>| {
            let outcome = delta.map_or_else(DeltaOutcome::Refused, DeltaOutcome::Merged);
            outcome.consequence(pact.rounds.delta_bond, pact.rounds.useless_fee).lost
        };
        let (theirs, mine) = paid.split_at(others);
        sum.own += mine.iter().sum::<u128>() as f64 / BLY;
        sum.own -= found.deltas[others..].iter().map(lost).sum::<u128>() as f64 / BLY;
        sum.others += theirs.iter().sum::<u128>() as f64 / BLY / others.max(1) as f64;
        sum.merged += weights[others..].iter().filter(|weight| **weight > 0).count() as f64 / own as f64;
    }
    let rounds = f64::from(rounds);
    Pay { own: sum.own / rounds, others: sum.others / rounds, merged: sum.merged / rounds }
}

fn trained(training: usize, steps: f64, given: &Assumptions, numbers: &mut Numbers) -> Measured {
    Measured { effect: people::honest(given.potential, 1.0, steps, given, numbers), copies: None, training }
}

/// Somebody under `names` names.
pub(crate) fn split(game: Game<'_>, way: Way, names: usize, numbers: &mut Numbers) -> Pay {
    let Game { given, others, .. } = game;
    play(game, numbers, |numbers| {
        let steps = given.training_steps;
        let mut deltas: Vec<Measured> = (0..others).map(|number| trained(number, steps, given, numbers)).collect();
        let own_steps = if way == Way::Divided { steps / names as f64 } else { steps };
        let first = trained(others, own_steps, given, numbers);
        deltas.push(first);
        for name in 1..names {
            deltas.push(match way {
                Way::Disguised => disguised(&first, given),
                _ => trained(others + name, own_steps, given, numbers),
            });
        }
        (deltas, names)
    })
}

/// What is left of a delta with as much noise as it takes not to be found a copy.
fn disguised(delta: &Measured, given: &Assumptions) -> Measured {
    let mut copy = *delta;
    for gain in [&mut copy.effect.trial, &mut copy.effect.last, &mut copy.effect.own, &mut copy.effect.general] {
        *gain *= given.disguise;
    }
    copy
}

/// Somebody who hands in the delta of one of the others, as it is or disguised.
pub(crate) fn copy(game: Game<'_>, is_disguised: bool, numbers: &mut Numbers) -> Pay {
    let Game { given, others, .. } = game;
    play(game, numbers, |numbers| {
        let mut deltas: Vec<Measured> =
            (0..others).map(|number| trained(number, given.training_steps, given, numbers)).collect();
        let of = numbers.below(others);
        let copy = match is_disguised {
            true => disguised(&deltas[of], given),
            false => Measured { copies: Some(of as u32), ..deltas[of] },
        };
        deltas.push(copy);
        (deltas, 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::pact::NetworkKind;

    #[test]
    fn a_plain_copy_costs_its_bond() {
        let (pact, given) = (Pact::default_for(NetworkKind::Public), Assumptions::default());
        let game = Game { pact: &pact, given: &given, positions: 128, others: 4, rounds: 20 };
        let pay = copy(game, false, &mut Numbers::new(1, "test"));
        assert_eq!((pay.own, pay.merged), (-10.0, 0.0));
        assert!(pay.others > 0.0);
    }

    #[test]
    fn one_among_equals_is_paid_what_they_are() {
        let (pact, given) = (Pact::default_for(NetworkKind::Public), Assumptions::default());
        let game = Game { pact: &pact, given: &given, positions: 128, others: 7, rounds: 200 };
        let pay = split(game, Way::Trained, 1, &mut Numbers::new(1, "test"));
        assert!((pay.own / pay.others - 1.0).abs() < 0.1, "{pay:?}");
    }
}
