//! Who evaluates: drawn by stake, without a look at everybody.
//!
//! Stakes lie in the leaves of a tree whose nodes have sixteen children each and know the sum of each child's. Changing one
//! stake changes [`LEVELS`] nodes, and drawing a seat reads as many, however many evaluators there are.

use super::Draw;
use crate::pact::Ppm;
use alloc::vec::Vec;

/// Children of a node.
pub const FANOUT: usize = 16;
/// Levels of nodes.
pub const LEVELS: u8 = 4;
/// Most leaves.
pub const MAX_LEAVES: u32 = 1 << 16;

/// The sums below each child of a node.
pub type Sums = [u128; FANOUT];

/// Who keeps the nodes of a tree of stakes. What was never set is zeros.
pub trait StakeNodes {
    /// A node: level 0 has the leaves.
    fn get(&self, level: u8, index: u16) -> Sums;

    /// Changes a node.
    fn set(&mut self, level: u8, index: u16, sums: Sums);
}

/// The node of a level above a leaf, and which child of it leads there.
fn above(leaf: u32, level: u8) -> (u16, usize) {
    let at = |level: u32| leaf.checked_shr(level.saturating_mul(4)).unwrap_or(0);
    (at(u32::from(level).saturating_add(1)) as u16, (at(level.into()) & 0xf) as usize)
}

/// Puts a stake into a leaf. A leaf that there cannot be is left alone.
pub fn put(nodes: &mut impl StakeNodes, leaf: u32, stake: u128) {
    if leaf >= MAX_LEAVES {
        return;
    }
    let mut sum = stake;
    for level in 0..LEVELS {
        let (index, child) = above(leaf, level);
        let mut sums = nodes.get(level, index);
        if let Some(place) = sums.get_mut(child) {
            *place = sum;
        }
        nodes.set(level, index, sums);
        sum = total(&sums);
    }
}

fn total(sums: &Sums) -> u128 {
    sums.iter().fold(0u128, |sum, child| sum.saturating_add(*child))
}

/// All stakes together.
pub fn all(nodes: &impl StakeNodes) -> u128 {
    total(&nodes.get(LEVELS.saturating_sub(1), 0))
}

/// Draws `seats` seats, and says which leaves have them and how many each: its votes.
///
/// Stakes lie on a line, one after the other, which is cut into as many parts as there are seats, as equal as whole numbers
/// are. In each part a place is drawn, and the seat is whose stake it lies in. So whoever has the stake of three seats has two
/// to four, and what one has under several names, or beside whom it lies, gains nothing: seats do not depend on each other, and
/// a sum of independent chances exceeds a number that is more than one above its mean the most often when they are all equal
/// (Hoeffding 1956), that is when it is binomial. No arrangement of stakes makes it likelier to have a quorum than that.
pub fn draw(nodes: &impl StakeNodes, seats: u32, draw: &mut Draw) -> Vec<(u32, u32)> {
    let stakes = all(nodes);
    // Split so that nothing overflows: stakes = whole · seats + rest.
    let (whole, rest) = match (stakes.checked_div(seats.into()), stakes.checked_rem(seats.into())) {
        (Some(whole), Some(rest)) => (whole, rest),
        _ => return Vec::new(),
    };
    let begins = |seat: u32| {
        let extra = rest.saturating_mul(seat.into()).checked_div(seats.into()).unwrap_or(0);
        whole.saturating_mul(seat.into()).saturating_add(extra)
    };
    let mut drawn: Vec<(u32, u32)> = Vec::new();
    for seat in 0..seats {
        let first = begins(seat);
        let width = begins(seat.saturating_add(1)).saturating_sub(first);
        // Fewer units of stake than seats: this one has none.
        if width == 0 {
            continue;
        }
        let leaf = find(nodes, first.saturating_add(draw.below(width)));
        match drawn.last_mut() {
            Some((last, votes)) if *last == leaf => *votes = votes.saturating_add(1),
            _ => drawn.push((leaf, 1)),
        }
    }
    drawn
}

/// The leaf in whose part of all stakes a place lies.
fn find(nodes: &impl StakeNodes, place: u128) -> u32 {
    let (mut index, mut place) = (0u32, place);
    for level in (0..LEVELS).rev() {
        let mut child = 0u32;
        for sum in nodes.get(level, index as u16) {
            match place.checked_sub(sum) {
                Some(rest) => (place, child) = (rest, child.saturating_add(1)),
                None => break,
            }
        }
        // A place is below the sum of all, so that it is in one of them.
        index = index.saturating_mul(FANOUT as u32).saturating_add(child);
    }
    index
}

/// Whether so many of all votes are enough of them.
pub fn is_share(some: u32, all: u32, share: Ppm) -> bool {
    u64::from(some).saturating_mul(Ppm::ONE.0.into()) >= u64::from(all).saturating_mul(share.0.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Nodes(BTreeMap<(u8, u16), Sums>);

    impl StakeNodes for Nodes {
        fn get(&self, level: u8, index: u16) -> Sums {
            self.0.get(&(level, index)).copied().unwrap_or_default()
        }

        fn set(&mut self, level: u8, index: u16, sums: Sums) {
            self.0.insert((level, index), sums);
        }
    }

    fn tree(stakes: &BTreeMap<u32, u128>) -> Nodes {
        let mut nodes = Nodes::default();
        for (leaf, stake) in stakes {
            put(&mut nodes, *leaf, *stake);
        }
        nodes
    }

    proptest! {
        #[test]
        fn a_place_belongs_to_the_leaf_that_it_lies_in(
            stakes in proptest::collection::btree_map(0u32..MAX_LEAVES, 0u128..1 << 90, 1..40), place: u128,
        ) {
            let nodes = tree(&stakes);
            let sum: u128 = stakes.values().sum();
            prop_assert_eq!(all(&nodes), sum);
            prop_assume!(sum > 0);
            let place = place % sum;
            let mut before = 0;
            let owner = stakes.iter().find(|(_, stake)| {
                before += **stake;
                place < before
            });
            prop_assert_eq!(Some(find(&nodes, place)), owner.map(|(leaf, _)| *leaf));
        }

        #[test]
        fn everybody_has_the_seats_of_their_stake_but_two(
            stakes in proptest::collection::btree_map(0u32..MAX_LEAVES, 0u128..1 << 90, 1..40), seats in 1u32..202, seed: [u8; 32],
        ) {
            let nodes = tree(&stakes);
            let all: u128 = stakes.values().sum();
            prop_assume!(all >= seats.into());
            let drawn = draw(&nodes, seats, &mut Draw::new(&seed, b""));
            prop_assert_eq!(drawn.iter().map(|(_, votes)| votes).sum::<u32>(), seats);
            // In order, and each once.
            prop_assert!(drawn.windows(2).all(|pair| pair[0].0 < pair[1].0));
            let votes: BTreeMap<u32, u32> = drawn.into_iter().collect();
            for (leaf, stake) in &stakes {
                // Of two parts it can have a piece, all others it has whole or not at all.
                let fair = *stake as f64 * f64::from(seats) / all as f64;
                let votes = f64::from(votes.get(leaf).copied().unwrap_or(0));
                prop_assert!((votes - fair).abs() < 2.0, "{votes} seats for {fair}");
                prop_assert!(*stake > 0 || votes == 0.0);
            }
        }

        #[test]
        fn nobody_has_a_seat_without_a_stake(
            stakes in proptest::collection::btree_map(0u32..MAX_LEAVES, 0u128..5, 0..40), seats in 0u32..50, seed: [u8; 32],
        ) {
            let nodes = tree(&stakes);
            let drawn = draw(&nodes, seats, &mut Draw::new(&seed, b""));
            prop_assert!(drawn.iter().all(|(leaf, votes)| stakes[leaf] > 0 && *votes > 0));
            // With fewer units than seats each unit has one.
            let all = stakes.values().sum::<u128>() as u32;
            prop_assert_eq!(drawn.iter().map(|(_, votes)| votes).sum::<u32>(), seats.min(all));
        }
    }

    #[test]
    fn equal_stakes_as_many_as_seats_have_one_each() {
        let nodes = tree(&(0..51).map(|number| (number * 1_000, 1_000_000_007)).collect());
        let drawn = draw(&nodes, 51, &mut Draw::new(&[1; 32], b""));
        assert_eq!(drawn, (0..51).map(|number| (number * 1_000, 1)).collect::<Vec<_>>());
    }

    #[test]
    fn seats_are_by_stake() {
        let stakes = BTreeMap::from([(3, 1), (700, 2), (65_535, 5)]);
        let nodes = tree(&stakes);
        let mut numbers = Draw::new(&[9; 32], b"");
        let mut counts = BTreeMap::new();
        for _ in 0..8_000 {
            let [(leaf, 1)] = draw(&nodes, 1, &mut numbers)[..] else { panic!("one seat is one leaf's") };
            *counts.entry(leaf).or_insert(0i32) += 1;
        }
        for (leaf, stake) in stakes {
            assert!((counts[&leaf] - 1_000 * stake as i32).abs() < 225, "{counts:?}");
        }
    }

    // Names that lie so that each part of the line begins with one of them: with one place for all parts, a third of the stake
    // would have every seat in a third of all draws.
    #[test]
    fn nobody_gains_by_where_its_names_lie() {
        let stakes: BTreeMap<u32, u128> = (0..51).flat_map(|part| [(2 * part, 1_000), (2 * part + 1, 2_000)]).collect();
        let nodes = tree(&stakes);
        let mut numbers = Draw::new(&[7; 32], b"");
        let (draws, mut sum, mut most) = (4_000u32, 0, 0);
        for _ in 0..draws {
            let theirs = draw(&nodes, 51, &mut numbers).iter().filter(|(leaf, _)| leaf % 2 == 0).count() as u32;
            (sum, most) = (sum + theirs, most.max(theirs));
        }
        let mean = f64::from(sum) / f64::from(draws);
        // 17, and a deviation of 3.4 in one draw.
        assert!((mean - 17.0).abs() < 0.25, "{mean}");
        assert!(most < 35, "{most}");
    }

    #[test]
    fn a_share_of_members_is_reached_or_it_is_not() {
        let two_thirds = Ppm(666_667);
        assert!(is_share(35, 51, two_thirds) && !is_share(34, 51, two_thirds));
        // Just above two thirds: two of three are less.
        assert!(is_share(3, 3, two_thirds) && !is_share(2, 3, two_thirds));
        assert!(is_share(0, 0, two_thirds) && is_share(u32::MAX, u32::MAX, Ppm::ONE));
    }

    #[test]
    fn there_is_no_leaf_beyond_the_last() {
        let mut nodes = Nodes::default();
        put(&mut nodes, MAX_LEAVES, 5);
        assert_eq!(all(&nodes), 0);
    }
}
