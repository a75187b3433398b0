//! How likely it is that colluding evaluators have a committee in hand: exactly, and by the chain's own draw.
//!
//! What is computed is a *tail*: for each `m` up to the number of seats the chance that at least `m` members collude.

use crate::numbers::Numbers;
use blyan_primitives::{
    pact::Ppm,
    pol::{Draw, FANOUT, LEVELS, StakeNodes, Sums, draw_committee, is_share, put_stake},
};

/// Instants at which a race is looked at.
const INSTANTS: usize = 400;

/// What can come of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chances {
    /// Colluding members are a quorum: they decide what no game shows.
    pub(crate) captured: f64,
    /// Honest members are none: the others can have the committee replaced, at the price of being away.
    pub(crate) blocked: f64,
    /// No member is honest: nobody is there to show that the others are wrong.
    pub(crate) unopposed: f64,
}

/// How many of so many seats are a quorum.
pub(crate) fn quorum(seats: u32, share: Ppm) -> u32 {
    (0..=seats).find(|members| is_share(*members, seats, share)).unwrap_or(seats)
}

impl Chances {
    pub(crate) fn of(tail: &[f64], share: Ppm) -> Self {
        let seats = tail.len() as u32 - 1;
        let quorum = quorum(seats, share);
        let at_least = |members: u32| tail[members as usize];
        Self { captured: at_least(quorum), blocked: at_least(seats - quorum + 1), unopposed: at_least(seats) }
    }
}

/// Sums of all that comes after, itself included; the smallest are added first.
fn tail(chances: &[f64]) -> Vec<f64> {
    let mut tail: Vec<f64> = chances
        .iter()
        .rev()
        .scan(0.0, |sum, chance| {
            *sum += chance;
            Some(*sum)
        })
        .collect();
    tail.reverse();
    tail
}

/// Of seats that each go to a colluding evaluator with the same chance, whatever the others do: stakes are in so many hands
/// that drawing some changes nothing.
pub(crate) fn independent(seats: u32, share: f64) -> Vec<f64> {
    tail(&successes(std::iter::repeat_n(share, seats as usize), seats as usize))
}

/// Of `evaluators` with equal stakes, of whom some collude.
pub(crate) fn equal(seats: u32, evaluators: u32, colluding: u32) -> Vec<f64> {
    let mut chances = vec![0.0; seats as usize + 1];
    chances[0] = 1.0;
    for drawn in 0..seats {
        for members in (0..=drawn).rev() {
            let left = f64::from(colluding.saturating_sub(members)) / f64::from(evaluators - drawn);
            let chance = chances[members as usize];
            chances[members as usize + 1] += chance * left;
            chances[members as usize] = chance * (1.0 - left);
        }
    }
    tail(&chances)
}

/// How likely it is that so many of independent trials succeed: 0, 1, … and at last `most` or more.
fn successes(trials: impl IntoIterator<Item = f64>, most: usize) -> Vec<f64> {
    let mut chances = vec![0.0; most + 1];
    chances[0] = 1.0;
    for (tried, chance) in trials.into_iter().enumerate() {
        let reached = tried.min(most - 1);
        for count in (0..=reached).rev() {
            let moves = chances[count] * chance;
            chances[count + 1] += moves;
            chances[count] -= moves;
        }
    }
    chances
}

/// Of evaluators with any stakes.
///
/// Drawing by stake without putting back is a race: everybody arrives at a time that is exponential with its stake for a rate,
/// and the first `seats` are the committee. At least `m` of them collude when the `m`-th colluding one arrives before the
/// honest one who would take the last seat but `m - 1`: two arrivals that do not depend on each other, so that this is an
/// integral over the time of the first, which is within half a hundredth of what it is.
pub(crate) fn race(seats: u32, colluding: &[f64], honest: &[f64]) -> Vec<f64> {
    let seats = seats as usize;
    let arrived = |stakes: &[f64], time: f64| -> f64 { stakes.iter().map(|stake| -(-stake * time).exp_m1()).sum() };
    let expected = |time: f64| arrived(colluding, time) + arrived(honest, time);
    let all = (colluding.len() + honest.len()) as f64;
    // Long before the committee is complete, and long after.
    let [first, last] = [seats as f64 / 16.0, (seats as f64 * 8.0).min(all - 1e-6)].map(|count| when(&expected, count));
    let step = (last / first).powf(1.0 / INSTANTS as f64);
    let distribution =
        |stakes: &[f64], time: f64| successes(stakes.iter().map(|stake| -(-stake * time).exp_m1()), seats + 1);

    // At each instant: the chances that `m` colluding ones have arrived, and that at most `seats - m` honest ones have.
    let (mut came, mut room) = (vec![vec![0.0; seats + 1]], vec![vec![1.0; seats + 1]]);
    for instant in 0..=INSTANTS {
        let time = first * step.powi(instant as i32);
        came.push(tail(&distribution(colluding, time)));
        let mut honest = distribution(honest, time);
        for count in 1..=seats {
            honest[count] += honest[count - 1];
        }
        room.push((0..=seats).map(|members| honest[seats - members]).collect());
    }
    // Trapezoids, every `stride` instants.
    let sum = |members: usize, stride: usize| -> f64 {
        let places: Vec<usize> = [0].into_iter().chain((1..came.len()).step_by(stride)).collect();
        let between = |pair: &[usize]| {
            let (before, after) = (pair[0], pair[1]);
            (came[after][members] - came[before][members]) * (room[after][members] + room[before][members]) / 2.0
        };
        places.windows(2).map(between).sum()
    };
    // Half as many of them are off by four times as much (Richardson).
    let found = |members| ((4.0 * sum(members, 1) - sum(members, 2)) / 3.0).clamp(0.0, 1.0);
    [1.0].into_iter().chain((1..=seats).map(found)).collect()
}

/// The time at which a growing number reaches `count`.
fn when(growing: &impl Fn(f64) -> f64, count: f64) -> f64 {
    let mut high = 1.0;
    while growing(high) < count {
        high *= 2.0;
    }
    let mut low = high;
    while growing(low) > count {
        low /= 2.0;
    }
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if growing(middle) < count { low = middle } else { high = middle }
    }
    high
}

/// A tree of stakes, as pallet pol keeps it.
pub(crate) struct Tree(Vec<Vec<Sums>>);

impl StakeNodes for Tree {
    fn get(&self, level: u8, index: u16) -> Sums {
        self.0[usize::from(level)].get(usize::from(index)).copied().unwrap_or_default()
    }

    fn set(&mut self, level: u8, index: u16, sums: Sums) {
        let nodes = &mut self.0[usize::from(level)];
        if nodes.len() <= usize::from(index) {
            nodes.resize(usize::from(index) + 1, [0; FANOUT]);
        }
        nodes[usize::from(index)] = sums;
    }
}

impl Tree {
    pub(crate) fn new(stakes: impl IntoIterator<Item = u128>) -> Self {
        let mut tree = Self(vec![Vec::new(); usize::from(LEVELS)]);
        for (leaf, stake) in (0..).zip(stakes) {
            put_stake(&mut tree, leaf, stake);
        }
        tree
    }
}

/// The same by drawing `draws` committees of the largest of these sizes: whoever is drawn first makes the smaller ones.
pub(crate) fn drawn(
    sizes: &[u32],
    colluding: &[f64],
    honest: &[f64],
    draws: u32,
    numbers: &mut Numbers,
) -> Vec<Vec<f64>> {
    /// Stakes are whole numbers.
    const UNIT: f64 = 1e6;
    let tree = Tree::new(colluding.iter().chain(honest).map(|stake| (stake * UNIT).round() as u128));
    let most = sizes.iter().copied().max().unwrap_or(0);
    let mut counts: Vec<Vec<f64>> = sizes.iter().map(|size| vec![0.0; *size as usize + 1]).collect();
    for _ in 0..draws {
        let committee = draw_committee(&tree, most, &mut Draw::new(&numbers.seed(), b"committee"));
        for (size, counts) in sizes.iter().zip(&mut counts) {
            let members = committee.iter().take(*size as usize).filter(|leaf| (**leaf as usize) < colluding.len());
            counts[members.count()] += 1.0;
        }
    }
    let share = |count: f64| count / f64::from(draws);
    counts.into_iter().map(|counts| tail(&counts).into_iter().map(share).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::pact::{NetworkKind, Pact};

    fn close(found: f64, expected: f64, by: f64) {
        assert!((found - expected).abs() <= by * expected.abs(), "{found:e} for {expected:e}");
    }

    #[test]
    fn a_quorum_is_more_than_two_thirds() {
        let share = Pact::default_for(NetworkKind::Public).learning.quorum;
        assert_eq!([1, 2, 3, 21, 51, 101].map(|seats| quorum(seats, share)), [1, 2, 3, 15, 35, 68]);
    }

    #[test]
    fn independent_seats_are_binomial() {
        let tail = independent(4, 0.25);
        for (members, expected) in [256.0, 175.0, 67.0, 13.0, 1.0].into_iter().enumerate() {
            close(tail[members], expected / 256.0, 1e-12);
        }
        // In fractions, added by hand: 35 or more of 51.
        let chances = Chances::of(&independent(51, 1.0 / 3.0), Ppm(666_667));
        assert!(chances.captured < 1e-6);
        let term = |members: u32| {
            let ways = (0..members).fold(1.0, |ways, i| ways * f64::from(51 - i) / f64::from(i + 1));
            ways * 2f64.powi(51 - members as i32) / 3f64.powi(51)
        };
        close(chances.captured, (35..=51).map(term).sum(), 1e-9);
        close(chances.unopposed, 3f64.powi(-51), 1e-9);
    }

    #[test]
    fn equal_stakes_are_hypergeometric() {
        // Of 7, of whom 3 collude, 4 are drawn: C(3, m) C(4, 4 - m) of C(7, 4) = 35.
        let tail = equal(4, 7, 3);
        for (members, expected) in [35.0, 34.0, 22.0, 4.0, 0.0].into_iter().enumerate() {
            close(tail[members], expected / 35.0, 1e-12);
        }
        // Among very many it makes no difference who was drawn before.
        close(equal(51, 3_000_000, 1_000_000)[35], independent(51, 1.0 / 3.0)[35], 1e-3);
    }

    #[test]
    fn a_race_among_equals_is_hypergeometric() {
        for (seats, evaluators, colluding) in [(21, 1_000, 333), (51, 1_000, 333), (51, 60, 20), (101, 400, 120)] {
            let exact = equal(seats, evaluators, colluding);
            let [bad, good] = [colluding, evaluators - colluding].map(|count| vec![1.0; count as usize]);
            for (found, expected) in race(seats, &bad, &good).iter().zip(exact).filter(|(_, exact)| *exact > 1e-12) {
                close(*found, expected, 5e-3);
            }
        }
    }

    #[test]
    fn a_race_is_what_the_chain_draws() {
        let mut numbers = Numbers::new(3, "test");
        // A large honest stake, and others of very different sizes.
        let honest: Vec<f64> = (0..60).map(|i| if i == 0 { 80.0 } else { 1.0 + f64::from(i % 7) }).collect();
        let colluding: Vec<f64> = (0..40).map(|i| 1.0 + f64::from(i % 3)).collect();
        let (sizes, draws) = ([9, 21, 51], 4_000);
        for (size, found) in sizes.iter().zip(drawn(&sizes, &colluding, &honest, draws, &mut numbers)) {
            let exact = race(*size, &colluding, &honest);
            for (found, exact) in found.iter().zip(exact) {
                let error = (exact * (1.0 - exact) / f64::from(draws)).max(0.0).sqrt();
                assert!((found - exact).abs() < 4.5 * error + 1e-3, "{size}: {found} for {exact}");
            }
        }
    }
}
