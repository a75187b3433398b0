//! Who evaluates: drawn by stake, without a look at everybody.
//!
//! Stakes lie in the leaves of a tree whose nodes have sixteen children each and know the sum of each child's. Changing one
//! stake changes [`LEVELS`] nodes, and drawing a seat reads as many, however many evaluators there are.

use super::Draw;
use crate::pact::Ppm;
use alloc::{collections::BTreeMap, vec::Vec};

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

/// Draws `seats` different leaves, each by its stake among those that are left, or all that have one.
pub fn draw(nodes: &impl StakeNodes, seats: u32, draw: &mut Draw) -> Vec<u32> {
    let mut left = Overlay { nodes, changed: BTreeMap::new() };
    let mut drawn = Vec::new();
    while (drawn.len() as u32) < seats {
        let stakes = all(&left);
        if stakes == 0 {
            break;
        }
        let leaf = left.find(draw.below(stakes));
        put(&mut left, leaf, 0);
        drawn.push(leaf);
    }
    drawn
}

/// Whether so many of all members are enough of them.
pub fn is_share(some: u32, all: u32, share: Ppm) -> bool {
    u64::from(some).saturating_mul(Ppm::ONE.0.into()) >= u64::from(all).saturating_mul(share.0.into())
}

/// Nodes, and what is changed of them here alone.
struct Overlay<'a, N> {
    nodes: &'a N,
    changed: BTreeMap<(u8, u16), Sums>,
}

impl<N: StakeNodes> StakeNodes for Overlay<'_, N> {
    fn get(&self, level: u8, index: u16) -> Sums {
        self.changed.get(&(level, index)).copied().unwrap_or_else(|| self.nodes.get(level, index))
    }

    fn set(&mut self, level: u8, index: u16, sums: Sums) {
        self.changed.insert((level, index), sums);
    }
}

impl<N: StakeNodes> Overlay<'_, N> {
    /// The leaf in whose part of all stakes a place lies.
    fn find(&self, place: u128) -> u32 {
        let (mut index, mut place) = (0u32, place);
        for level in (0..LEVELS).rev() {
            let sums = self.get(level, index as u16);
            let mut child = 0u32;
            for sum in sums {
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
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let overlay = Overlay { nodes: &nodes, changed: BTreeMap::new() };
            prop_assert_eq!(Some(overlay.find(place)), owner.map(|(leaf, _)| *leaf));
        }

        #[test]
        fn nobody_has_two_seats_or_one_without_a_stake(
            stakes in proptest::collection::btree_map(0u32..MAX_LEAVES, 0u128..5, 0..40), seats in 0u32..50, seed: [u8; 32],
        ) {
            let nodes = tree(&stakes);
            let mut drawn = draw(&nodes, seats, &mut Draw::new(&seed, b""));
            let staked = stakes.values().filter(|stake| **stake > 0).count() as u32;
            prop_assert_eq!(drawn.len() as u32, seats.min(staked));
            prop_assert!(drawn.iter().all(|leaf| stakes[leaf] > 0));
            drawn.sort_unstable();
            drawn.dedup();
            prop_assert_eq!(drawn.len() as u32, seats.min(staked));
            // The tree itself is as it was.
            prop_assert_eq!(all(&nodes), stakes.values().sum::<u128>());
        }
    }

    #[test]
    fn seats_are_by_stake() {
        let stakes = BTreeMap::from([(3, 1), (700, 2), (65_535, 5)]);
        let nodes = tree(&stakes);
        let mut numbers = Draw::new(&[9; 32], b"");
        let mut counts = BTreeMap::new();
        for _ in 0..8_000 {
            *counts.entry(draw(&nodes, 1, &mut numbers)[0]).or_insert(0i32) += 1;
        }
        for (leaf, stake) in stakes {
            assert!((counts[&leaf] - 1_000 * stake as i32).abs() < 225, "{counts:?}");
        }
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
