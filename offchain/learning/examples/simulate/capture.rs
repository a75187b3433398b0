//! How likely it is that colluding evaluators have a committee in hand: exactly, and by the chain's own draw.
//!
//! What is computed is a *tail*: for each `m` up to the number of seats the chance that at least `m` votes are of colluders.

use crate::numbers::Numbers;
use blyan_primitives::{
    pact::Ppm,
    pol::{Draw, FANOUT, LEVELS, StakeNodes, Sums, draw_committee, is_share, put_stake},
};

/// An evaluator's name, and what it has at stake. On the line that committees are drawn from they lie in their order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Name {
    pub(crate) stake: u128,
    pub(crate) colludes: bool,
}

/// What can come of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chances {
    /// Colluding votes are a quorum: they decide what no game shows.
    pub(crate) captured: f64,
    /// Honest votes are none: the others can have the committee replaced, at the price of being away.
    pub(crate) blocked: f64,
    /// No vote is honest: nobody is there to show that the others are wrong.
    pub(crate) unopposed: f64,
}

/// How many votes of so many seats are a quorum.
pub(crate) fn quorum(seats: u32, share: Ppm) -> u32 {
    (0..=seats).find(|votes| is_share(*votes, seats, share)).unwrap_or(seats)
}

impl Chances {
    pub(crate) fn of(tail: &[f64], share: Ppm) -> Self {
        let seats = tail.len() as u32 - 1;
        let quorum = quorum(seats, share);
        let at_least = |votes: u32| tail[votes as usize];
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

/// How likely it is that so many of independent trials succeed: none, one, …, all of them.
fn successes(trials: &[f64]) -> Vec<f64> {
    let mut chances = vec![0.0; trials.len() + 1];
    chances[0] = 1.0;
    for (tried, chance) in trials.iter().enumerate() {
        for count in (0..=tried).rev() {
            chances[count + 1] += chances[count] * chance;
            chances[count] *= 1.0 - chance;
        }
    }
    chances
}

/// Of seats that each go to a colluding evaluator with the same chance. That is so where stakes are in very many hands, and it
/// is the most that can be, for every number of votes that is at least one above the mean, however stakes lie (Hoeffding 1956).
pub(crate) fn binomial(seats: u32, share: f64) -> Vec<f64> {
    tail(&successes(&vec![share; seats as usize]))
}

/// Of committees drawn from a line: a seat is a colluding evaluator's with the share of colluding stake in its part of the line,
/// whatever becomes of the others.
pub(crate) fn exact(line: &[Name], seats: u32) -> Vec<f64> {
    tail(&successes(&parts(line, seats)))
}

/// Cuts a line as the chain does, and says what share of each part is colluding stake. There are more units of stake than seats.
fn parts(line: &[Name], seats: u32) -> Vec<f64> {
    let all: u128 = line.iter().map(|name| name.stake).sum();
    let begins = |seat: usize| all * seat as u128 / u128::from(seats);
    let mut colluding = vec![0; seats as usize];
    let (mut seat, mut place) = (0, 0);
    for name in line {
        let mut left = name.stake;
        while left > 0 {
            let here = left.min(begins(seat + 1) - place);
            colluding[seat] += if name.colludes { here } else { 0 };
            (place, left) = (place + here, left - here);
            seat += usize::from(place == begins(seat + 1));
        }
    }
    (0..).zip(colluding).map(|(seat, stake)| stake as f64 / (begins(seat + 1) - begins(seat)) as f64).collect()
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

/// The same by drawing committees: of so many draws, the shares in which at least `m` votes are of colluders.
pub(crate) fn drawn(line: &[Name], seats: u32, draws: u32, numbers: &mut Numbers) -> Vec<f64> {
    let mut counts = vec![0.0; seats as usize + 1];
    draw(line, seats, draws, numbers, |committee| {
        let votes: u32 = committee.iter().map(|(_, votes)| votes).sum();
        counts[votes as usize] += 1.0;
    });
    tail(&counts).into_iter().map(|count| count / f64::from(draws)).collect()
}

/// Draws committees, and looks at the colluders in each of them.
fn draw(line: &[Name], seats: u32, draws: u32, numbers: &mut Numbers, mut look: impl FnMut(&[(u32, u32)])) {
    let tree = Tree::new(line.iter().map(|name| name.stake));
    for _ in 0..draws {
        let mut committee = draw_committee(&tree, seats, &mut Draw::new(&numbers.seed(), b"committee"));
        committee.retain(|(leaf, _)| line[*leaf as usize].colludes);
        look(&committee);
    }
}

/// What somebody comes to who has those names that are marked as colluding: means over so many committees.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Owner {
    pub(crate) votes: f64,
    /// Deviation of its votes.
    pub(crate) deviation: f64,
    /// Its names that are drawn, each of which evaluates.
    pub(crate) members: f64,
}

pub(crate) fn owner(line: &[Name], seats: u32, draws: u32, numbers: &mut Numbers) -> Owner {
    let (mut votes, mut squares, mut members) = (0, 0, 0);
    draw(line, seats, draws, numbers, |committee| {
        let own: u32 = committee.iter().map(|(_, votes)| votes).sum();
        votes += own;
        squares += own * own;
        members += committee.len() as u32;
    });
    let [votes, squares, members] = [votes, squares, members].map(|sum| f64::from(sum) / f64::from(draws));
    Owner { votes, deviation: (squares - votes * votes).max(0.0).sqrt(), members }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::pact::{NetworkKind, Pact};

    fn close(found: f64, expected: f64, by: f64) {
        assert!((found - expected).abs() <= by * expected.abs(), "{found:e} for {expected:e}");
    }

    fn line(names: impl IntoIterator<Item = (u128, bool)>) -> Vec<Name> {
        names.into_iter().map(|(stake, colludes)| Name { stake, colludes }).collect()
    }

    /// Names as nobody would choose them: few or many, of like stakes or of very different ones.
    fn any(numbers: &mut Numbers) -> Vec<Name> {
        let (count, share) = (1 + numbers.below(120), numbers.uniform());
        let spread = 3.0 * numbers.uniform();
        let name = |_| (numbers.log_normal(1e9, spread) as u128, numbers.uniform() < share);
        line((0..count).map(name).collect::<Vec<_>>())
    }

    fn share(line: &[Name]) -> f64 {
        let sum = |of: &dyn Fn(&&Name) -> bool| line.iter().filter(of).map(|name| name.stake).sum::<u128>() as f64;
        sum(&|name| name.colludes) / sum(&|_| true)
    }

    #[test]
    fn a_quorum_is_more_than_two_thirds() {
        let share = Pact::default_for(NetworkKind::Public).learning.quorum;
        assert_eq!([1, 2, 3, 21, 51, 101].map(|seats| quorum(seats, share)), [1, 2, 3, 15, 35, 68]);
    }

    #[test]
    fn seats_of_equal_chances_are_binomial() {
        let tail = binomial(4, 0.25);
        for (votes, expected) in [256.0, 175.0, 67.0, 13.0, 1.0].into_iter().enumerate() {
            close(tail[votes], expected / 256.0, 1e-12);
        }
        // In fractions, added by hand: 35 or more of 51.
        let chances = Chances::of(&binomial(51, 1.0 / 3.0), Ppm(666_667));
        assert!(chances.captured < 1e-6);
        let term = |votes: u32| {
            let ways = (0..votes).fold(1.0, |ways, i| ways * f64::from(51 - i) / f64::from(i + 1));
            ways * 2f64.powi(51 - votes as i32) / 3f64.powi(51)
        };
        close(chances.captured, (35..=51).map(term).sum(), 1e-9);
        close(chances.unopposed, 3f64.powi(-51), 1e-9);
    }

    #[test]
    fn a_seat_is_colluding_with_the_share_of_its_part() {
        // Parts of four: a quarter colludes, a half, all.
        let line = line([(3, false), (3, true), (2, false), (4, true)]);
        assert_eq!(parts(&line, 3), [0.25, 0.5, 1.0]);
        assert_eq!(exact(&line, 3), [1.0, 1.0, 0.625, 0.125]);
        // Eleven cannot be cut in three: the parts begin at 0, 3 and 7.
        assert_eq!(parts(&self::line([(3, true), (4, false), (2, true), (2, false)]), 3), [1.0, 0.0, 0.5]);
    }

    #[test]
    fn votes_are_by_stake_in_the_mean_however_names_lie() {
        let mut numbers = Numbers::new(4, "test");
        for _ in 0..200 {
            let (line, seats) = (any(&mut numbers), 1 + numbers.below(101) as u32);
            let mean: f64 = exact(&line, seats)[1..].iter().sum();
            assert!((mean - f64::from(seats) * share(&line)).abs() < 1e-3, "{mean}");
        }
    }

    #[test]
    fn no_line_is_captured_more_often_than_the_binomial_one() {
        let mut numbers = Numbers::new(5, "test");
        let mut tight = 0;
        for _ in 0..400 {
            let (line, seats) = (any(&mut numbers), 1 + numbers.below(101) as u32);
            // Parts differ by a unit of stake.
            let most = binomial(seats, (share(&line) * (1.0 + 1e-6)).min(1.0));
            let mean = f64::from(seats) * share(&line);
            for (votes, found) in exact(&line, seats).into_iter().enumerate() {
                if votes as f64 >= mean + 1.0 {
                    assert!(found <= most[votes] * (1.0 + 1e-9) + 1e-300, "{votes} of {seats}: {found:e}");
                    tight += usize::from(found > most[votes] / 10.0);
                }
            }
        }
        // Some of them come close, or the test would say little.
        assert!(tight > 500, "{tight}");
    }

    #[test]
    fn equal_stakes_are_binomial_when_they_alternate_and_nearly_so_when_many_are_shuffled() {
        let alternating = line((0..51 * 30).map(|name| (1_000, name % 3 == 0)));
        for (found, expected) in exact(&alternating, 51).into_iter().zip(binomial(51, 1.0 / 3.0)) {
            close(found, expected, 1e-9);
        }
        let mut shuffled = line((0..60_000).map(|name| (1_000, name % 3 == 0)));
        Numbers::new(6, "test").shuffle(&mut shuffled);
        close(exact(&shuffled, 51)[35], binomial(51, 1.0 / 3.0)[35], 0.05);
    }

    #[test]
    fn side_by_side_nobody_has_two_votes_more_than_their_share() {
        let line = line((0..1_000).map(|name| (1_000, (200..530).contains(&name))));
        let tail = exact(&line, 51);
        assert!(tail[16] > 0.0 && tail[19] == 0.0, "{tail:?}");
    }

    #[test]
    fn what_is_computed_is_what_the_chain_draws() {
        let mut numbers = Numbers::new(3, "test");
        let draws = 4_000;
        for seats in [9, 21, 51] {
            let line = any(&mut numbers);
            let found = drawn(&line, seats, draws, &mut numbers);
            for (found, exact) in found.into_iter().zip(exact(&line, seats)) {
                let error = (exact * (1.0 - exact) / f64::from(draws)).max(0.0).sqrt();
                assert!((found - exact).abs() < 4.5 * error + 1e-3, "{seats}: {found} for {exact}");
            }
        }
    }

    #[test]
    fn several_names_have_the_votes_of_one() {
        let mut numbers = Numbers::new(7, "test");
        let others = || std::iter::repeat_n((1_000, false), 900);
        let one = owner(&line(others().chain([(100_000, true)])), 51, 4_000, &mut numbers);
        let mut names = line(others().chain(std::iter::repeat_n((1_000, true), 100)));
        numbers.shuffle(&mut names);
        let many = owner(&names, 51, 4_000, &mut numbers);
        // 5.1, and a deviation of less than 2.2 in one draw.
        assert!((one.votes - 5.1).abs() < 0.15 && (many.votes - 5.1).abs() < 0.15, "{one:?} {many:?}");
        assert!(one.members == 1.0 && many.members > 4.0 && one.deviation < many.deviation, "{one:?} {many:?}");
    }
}
