//! How stakes can be divided, and how they can lie on the line that committees are drawn from.

use crate::{assumptions::Assumptions, capture::Name, numbers::Numbers, people::pareto};

/// Evaluators that there are, where they are not said to be more or fewer.
pub(crate) const EVALUATORS: usize = 1_000;
/// Of few evaluators.
const FEW: usize = 7;
/// Stakes are whole numbers of units.
const UNIT: f64 = 1e6;

/// How stakes lie with evaluators who collude, and with those who do not. Where nothing else is said, names are shuffled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stakes {
    /// All have the same.
    Equal,
    /// Both are of the same Pareto distribution.
    Pareto,
    /// Those of honest ones are; colluding ones have as many names as their stake can buy.
    ParetoSplit,
    /// One honest evaluator has a third of all honest stake, others are equal, and so are colluding ones.
    Whale,
    /// All have the same, and colluding ones lie among the others as evenly as can be.
    Evenly,
    /// All have the same, and colluding ones lie side by side.
    Together,
    /// There are few of them.
    Few,
}

impl Stakes {
    pub(crate) const ALL: [Self; 7] =
        [Self::Equal, Self::Pareto, Self::ParetoSplit, Self::Whale, Self::Evenly, Self::Together, Self::Few];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Pareto => "Pareto",
            Self::ParetoSplit => "Pareto, colluders split",
            Self::Whale => "an honest whale",
            Self::Evenly => "equal, colluders lie evenly",
            Self::Together => "equal, colluders side by side",
            Self::Few => "few, equal",
        }
    }

    /// A line of which colluders have `share`.
    pub(crate) fn lay_out(self, share: f64, given: &Assumptions, numbers: &mut Numbers) -> Vec<Name> {
        let evaluators = if self == Self::Few { FEW } else { EVALUATORS };
        let colluding = ((evaluators as f64 * share).round() as usize).max(1);
        let mut honest = match self {
            Self::Pareto | Self::ParetoSplit => pareto(evaluators - colluding, given),
            _ => vec![1.0; evaluators - colluding],
        };
        if self == Self::Whale {
            honest[0] = (honest.len() - 1) as f64 / 2.0;
        }
        let stake = honest.iter().sum::<f64>() * share / (1.0 - share);
        let mut colluding = match self {
            Self::Pareto => pareto(colluding, given),
            // The least stake is 1.
            Self::ParetoSplit | Self::Whale => vec![1.0; stake.round() as usize],
            _ => vec![1.0; colluding],
        };
        let factor = stake / colluding.iter().sum::<f64>();
        colluding.iter_mut().for_each(|stake| *stake *= factor);

        let name = |colludes| move |stake: f64| Name { stake: (stake * UNIT).round() as u128, colludes };
        if self == Self::Evenly {
            return evenly(colluding.into_iter().map(name(true)), honest.into_iter().map(name(false)));
        }
        let mut line: Vec<Name> = colluding.into_iter().map(name(true)).collect();
        line.extend(honest.into_iter().map(name(false)));
        if self != Self::Together {
            numbers.shuffle(&mut line);
        }
        line
    }
}

/// One list among the other, at distances that differ by one at most.
fn evenly(some: impl ExactSizeIterator<Item = Name>, others: impl ExactSizeIterator<Item = Name>) -> Vec<Name> {
    let (count, all) = (some.len(), some.len() + others.len());
    let (mut some, mut others) = (some, others);
    let is_due = |place: usize| (place + 1) * count / all > place * count / all;
    (0..all).filter_map(|place| if is_due(place) { some.next() } else { others.next() }).collect()
}

/// Somebody who has `share` of all stake under so many names, among others of a Pareto distribution: marked as colluders are.
pub(crate) fn owner(share: f64, names: usize, given: &Assumptions, numbers: &mut Numbers) -> Vec<Name> {
    let others = pareto(EVALUATORS, given);
    let stake = others.iter().sum::<f64>() * share / (1.0 - share) / names as f64;
    let name = |stake: f64, colludes| Name { stake: (stake * UNIT).round() as u128, colludes };
    let mut line: Vec<Name> = others.into_iter().map(|stake| name(stake, false)).collect();
    line.extend(std::iter::repeat_n(name(stake, true), names));
    numbers.shuffle(&mut line);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(line: &[Name]) -> f64 {
        let sum = |colludes: &[bool]| {
            line.iter().filter(|name| colludes.contains(&name.colludes)).map(|name| name.stake).sum::<u128>() as f64
        };
        sum(&[true]) / sum(&[true, false])
    }

    #[test]
    fn colluders_have_their_share_however_stakes_lie() {
        let (given, mut numbers) = (Assumptions::default(), Numbers::new(1, "test"));
        for stakes in Stakes::ALL {
            for wanted in [0.1, 0.33, 0.6] {
                let found = share(&stakes.lay_out(wanted, &given, &mut numbers));
                assert!((found - wanted).abs() < 1e-6, "{}: {found} for {wanted}", stakes.name());
            }
        }
        for names in [1, 100] {
            let line = owner(0.1, names, &given, &mut numbers);
            assert_eq!(line.iter().filter(|name| name.colludes).count(), names);
            assert!((share(&line) - 0.1).abs() < 1e-6);
        }
    }

    #[test]
    fn colluders_lie_where_they_are_said_to() {
        let (given, mut numbers) = (Assumptions::default(), Numbers::new(1, "test"));
        let mut gaps = |stakes: Stakes| -> Vec<usize> {
            let line = stakes.lay_out(0.3, &given, &mut numbers);
            let places: Vec<usize> = (0..line.len()).filter(|place| line[*place].colludes).collect();
            places.windows(2).map(|pair| pair[1] - pair[0]).collect()
        };
        assert!(gaps(Stakes::Evenly).iter().all(|gap| [3, 4].contains(gap)));
        assert!(gaps(Stakes::Together).iter().all(|gap| *gap == 1));
        assert!(gaps(Stakes::Equal).iter().max() > Some(&8));
    }
}
