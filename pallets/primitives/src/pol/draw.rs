//! Numbers drawn from randomness that nobody knew before.

use crate::hash::{hash, Domain};
use alloc::{collections::BTreeMap, vec::Vec};

const DRAW: Domain = Domain("blyan/draw/1");
const ITEMS: Domain = Domain("blyan/items/1");

/// Tries for a number without bias. One fails with a chance below a half, mostly far below, so that all of them do never.
const TRIES: u32 = 128;

/// What the items of a round are drawn from.
pub fn item_seed(randomness: &[u8; 32], round: u32) -> [u8; 32] {
    hash(ITEMS, &[randomness, &round.to_le_bytes()])
}

/// A row of numbers out of a seed.
#[derive(Clone, Debug)]
pub struct Draw {
    seed: [u8; 32],
    counter: u64,
}

impl Draw {
    /// The numbers for one purpose: `subject` tells it from others that are drawn from the same randomness.
    pub fn new(randomness: &[u8; 32], subject: &[u8]) -> Self {
        Self { seed: hash(DRAW, &[randomness, subject]), counter: 0 }
    }

    fn next(&mut self) -> u128 {
        let digest = hash(DRAW, &[&self.seed, &self.counter.to_le_bytes()]);
        self.counter = self.counter.wrapping_add(1);
        let (number, _) = digest.split_first_chunk().unwrap_or((&[0; 16], &[]));
        u128::from_le_bytes(*number)
    }

    /// A number below `limit`, each with the same chance; 0 when there is none.
    pub fn below(&mut self, limit: u128) -> u128 {
        // Above the largest multiple, the first few remainders would come once more than others.
        let Some(beyond) = u128::MAX.checked_rem(limit) else { return 0 };
        let most = u128::MAX.saturating_sub(beyond);
        let mut number = 0;
        for _ in 0..TRIES {
            number = self.next();
            if number < most {
                break;
            }
        }
        number.checked_rem(limit).unwrap_or(0)
    }

    /// `count` different numbers below `limit`, or all of them, in the order in which they are drawn.
    pub fn distinct(&mut self, count: u32, limit: u32) -> Vec<u32> {
        // A shuffle of which only the places that were touched are kept.
        let mut moved: BTreeMap<u32, u32> = BTreeMap::new();
        let mut drawn = Vec::new();
        for place in 0..count.min(limit) {
            let left = limit.saturating_sub(place);
            let other = place.saturating_add(self.below(left.into()) as u32);
            let own = moved.get(&place).copied().unwrap_or(place);
            drawn.push(moved.insert(other, own).unwrap_or(other));
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_pinned() {
        // Part of the protocol: other numbers draw other committees.
        let mut draw = Draw::new(&[7; 32], b"subject");
        let numbers: Vec<u128> = (0..4).map(|_| draw.below(1_000_000)).collect();
        assert_eq!(numbers, [393_592, 714_771, 352_498, 489_159]);
        assert_ne!(Draw::new(&[7; 32], b"other").below(1 << 100), Draw::new(&[7; 32], b"subject").below(1 << 100));
    }

    #[test]
    fn every_number_comes_as_often() {
        let mut draw = Draw::new(&[1; 32], b"");
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[draw.below(6) as usize] += 1;
        }
        // Five standard deviations are 456.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 460), "{counts:?}");
        // Just above the half of all, each second try is one too many.
        let limit = u128::MAX / 2 + 2;
        assert!((0..100).all(|_| draw.below(limit) < limit));
        assert_eq!((draw.below(0), draw.below(1)), (0, 0));
    }

    proptest! {
        #[test]
        fn distinct_numbers_are_distinct(seed: [u8; 32], count in 0u32..300, limit in 0u32..300) {
            let drawn = Draw::new(&seed, b"").distinct(count, limit);
            prop_assert_eq!(drawn.len() as u32, count.min(limit));
            let set: BTreeSet<u32> = drawn.iter().copied().collect();
            prop_assert_eq!(set.len(), drawn.len());
            prop_assert!(drawn.iter().all(|number| *number < limit));
        }
    }

    #[test]
    fn every_order_comes_as_often() {
        let mut counts: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
        let mut draw = Draw::new(&[2; 32], b"");
        for _ in 0..24_000 {
            *counts.entry(draw.distinct(3, 4)).or_default() += 1;
        }
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|count| count.abs_diff(1_000) < 160), "{counts:?}");
    }
}
