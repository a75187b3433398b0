//! What a committee measures, and the sums that it comes to.
//!
//! An evaluator has a score for each *cell*: the loss of one target on one item, in units of 2^-20 nats over all positions.
//! Every target is compared with the base on the same items, so that what items have in common falls out:
//!
//! | target | items |
//! |---|---|
//! | base | trial, final, general, then those that each delta was trained on |
//! | each delta by itself | trial, general, its own |
//! | the merged candidate | final, general |
//!
//! *Trial* items decide which deltas are merged, and *final* ones, which nobody has chosen anything by, whether the candidate
//! is taken. *General* items are of what the model could do before. *Own* items are of the data that a learner has declared.

use crate::{
    hash::{hash, Domain},
    trace::LOSS_UNITS,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::ops::Range;
use scale_info::TypeInfo;

const SCORES: Domain = Domain("blyan/scores/1");

/// Most items of a set.
pub const MAX_ITEMS: u32 = 512;
/// Most deltas of a round.
pub const MAX_DELTAS: u32 = 32;
/// Most nats a token that are counted: a guess among all tokens of the largest vocabulary is at 22.
pub const MAX_LOSS: u32 = 32;

/// How many items and deltas there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Layout {
    /// Items that deltas are chosen by.
    pub trial: u32,
    /// Items that the candidate is judged by.
    pub last: u32,
    /// Items of what the model could do before.
    pub general: u32,
    /// Items of each delta's own data.
    pub own: u32,
    /// Deltas.
    pub deltas: u32,
    /// Positions of an item.
    pub positions: u32,
}

/// What is measured.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub enum Target {
    /// The head.
    #[codec(index = 0)]
    Base,
    /// The head and a delta.
    #[codec(index = 1)]
    Delta(u32),
    /// The head and all deltas that are merged.
    #[codec(index = 2)]
    Candidate,
}

/// What it is measured on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub enum Set {
    /// Unseen data that deltas are chosen by.
    #[codec(index = 0)]
    Trial,
    /// Unseen data that the candidate is judged by.
    #[codec(index = 1)]
    Final,
    /// What the model could do before.
    #[codec(index = 2)]
    General,
    /// What a delta was trained on.
    #[codec(index = 3)]
    Own(u32),
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Cell {
    /// Of what.
    pub target: Target,
    /// On which set.
    pub set: Set,
    /// Which of its items.
    pub item: u32,
}

impl Layout {
    /// Whether there is something to measure, and not too much.
    pub fn is_valid(&self) -> bool {
        let sets = [self.trial, self.last, self.general, self.own];
        let fits = sets.iter().all(|items| (2..=MAX_ITEMS).contains(items));
        fits && (1..=MAX_DELTAS).contains(&self.deltas) && self.positions > 0
    }

    fn items(&self, set: Set) -> u32 {
        match set {
            Set::Trial => self.trial,
            Set::Final => self.last,
            Set::General => self.general,
            Set::Own(_) => self.own,
        }
    }

    /// Targets and sets in the order of their cells.
    fn parts(&self) -> impl Iterator<Item = (Target, Set)> {
        let own = |delta| (Target::Base, Set::Own(delta));
        let base = [Set::Trial, Set::Final, Set::General].map(|set| (Target::Base, set));
        let delta = |delta| [Set::Trial, Set::General, Set::Own(delta)].map(|set| (Target::Delta(delta), set));
        let candidate = [Set::Final, Set::General].map(|set| (Target::Candidate, set));
        let deltas = 0..self.deltas;
        base.into_iter().chain(deltas.clone().map(own)).chain(deltas.flat_map(delta)).chain(candidate)
    }

    /// Places of the cells of a target on a set. `None` where the target is not measured on it.
    pub fn cells(&self, target: Target, set: Set) -> Option<Range<u32>> {
        let mut first = 0u32;
        for part in self.parts() {
            let end = first.saturating_add(self.items(part.1));
            if part == (target, set) {
                return Some(first..end);
            }
            first = end;
        }
        None
    }

    /// Cells without those of a candidate.
    pub fn without_candidate(&self) -> u32 {
        self.cells(Target::Candidate, Set::Final).map_or(0, |cells| cells.start)
    }

    /// All cells.
    pub fn all(&self) -> u32 {
        self.cells(Target::Candidate, Set::General).map_or(0, |cells| cells.end)
    }

    /// The cell at a place.
    pub fn cell(&self, place: u32) -> Option<Cell> {
        let mut first = 0u32;
        for (target, set) in self.parts() {
            let end = first.saturating_add(self.items(set));
            if place < end {
                return Some(Cell { target, set, item: place.saturating_sub(first) });
            }
            first = end;
        }
        None
    }

    /// The highest score that counts.
    pub fn cap(&self) -> u64 {
        u64::from(self.positions).saturating_mul(u64::from(MAX_LOSS)).saturating_mul(u64::from(LOSS_UNITS))
    }
}

/// What the differences of a paired comparison sum up to.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub struct Paired {
    /// By how much the loss is lower than the base's, over all items.
    pub gain: i64,
    /// The squares of that, item by item.
    pub squares: u128,
}

impl Paired {
    /// Of the base's scores and another's on the same items.
    pub fn new<'a>(
        base: impl IntoIterator<Item = &'a u64>,
        other: impl IntoIterator<Item = &'a u64>,
        cap: u64,
    ) -> Self {
        let mut sums = Self::default();
        for (base, other) in base.into_iter().zip(other) {
            // Caps of items of 1,024 positions are below 2^36, and there are at most 2^9 items.
            let gain = (*base.min(&cap) as i64).saturating_sub(*other.min(&cap) as i64);
            sums.gain = sums.gain.saturating_add(gain);
            sums.squares = sums.squares.saturating_add(u128::from(gain.unsigned_abs()).saturating_pow(2));
        }
        sums
    }
}

/// What is known of a delta by itself.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub struct DeltaSums {
    /// On trial items.
    pub trial: Paired,
    /// On general items.
    pub general: Paired,
    /// On items of its own data.
    pub own: Paired,
}

/// What is known of the candidate.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub struct CandidateSums {
    /// On final items.
    pub last: Paired,
    /// On general items.
    pub general: Paired,
}

/// All scores of an evaluation, cell by cell. Those of a candidate are left out when nothing is merged.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Scores(pub Vec<u64>);

impl Scores {
    /// Names them.
    pub fn hash(&self) -> [u8; 32] {
        hash(SCORES, &[&self.encode()])
    }

    fn of(&self, layout: &Layout, target: Target, set: Set) -> &[u64] {
        let cells = layout.cells(target, set).unwrap_or_default();
        self.0.get(cells.start as usize..cells.end as usize).unwrap_or_default()
    }

    fn paired(&self, layout: &Layout, target: Target, set: Set) -> Paired {
        Paired::new(self.of(layout, Target::Base, set), self.of(layout, target, set), layout.cap())
    }

    /// What each delta comes to. `None` when there are fewer scores than cells.
    pub fn deltas(&self, layout: &Layout) -> Option<Vec<DeltaSums>> {
        let sums = |delta| {
            let target = Target::Delta(delta);
            DeltaSums {
                trial: self.paired(layout, target, Set::Trial),
                general: self.paired(layout, target, Set::General),
                own: self.paired(layout, target, Set::Own(delta)),
            }
        };
        (self.0.len() as u64 >= u64::from(layout.without_candidate())).then(|| (0..layout.deltas).map(sums).collect())
    }

    /// What the candidate comes to. `None` when there are more or fewer scores than cells.
    pub fn candidate(&self, layout: &Layout) -> Option<CandidateSums> {
        let sums = || CandidateSums {
            last: self.paired(layout, Target::Candidate, Set::Final),
            general: self.paired(layout, Target::Candidate, Set::General),
        };
        (self.0.len() as u64 == u64::from(layout.all())).then(sums)
    }

    /// Whether all scores of a delta are zero.
    pub fn has_none_of(&self, layout: &Layout, delta: u32) -> bool {
        let sets = [Set::Trial, Set::General, Set::Own(delta)];
        sets.iter().all(|set| self.of(layout, Target::Delta(delta), *set).iter().all(|score| *score == 0))
    }

    /// The first cell in which two evaluations differ, among those that both have.
    pub fn first_difference(&self, other: &Self) -> Option<u32> {
        (0u32..).zip(self.0.iter().zip(&other.0)).find(|(_, (one, other))| one != other).map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layouts() -> impl Strategy<Value = Layout> {
        (2u32..9, 2u32..9, 2u32..9, 2u32..9, 1u32..5, 1u32..300).prop_map(
            |(trial, last, general, own, deltas, positions)| Layout { trial, last, general, own, deltas, positions },
        )
    }

    proptest! {
        #[test]
        fn each_place_is_one_cell(layout in layouts()) {
            prop_assert!(layout.is_valid());
            let mut places = 0;
            for place in 0..layout.all() {
                let Cell { target, set, item } = layout.cell(place).unwrap();
                let cells = layout.cells(target, set).unwrap();
                prop_assert_eq!(cells.start + item, place);
                prop_assert!(cells.contains(&place));
                places += 1;
            }
            prop_assert_eq!(layout.cell(layout.all()), None);
            let candidate = layout.last + layout.general;
            prop_assert_eq!(layout.without_candidate() + candidate, places);
            prop_assert_eq!(layout.cells(Target::Candidate, Set::Trial), None);
            prop_assert_eq!(layout.cells(Target::Delta(0), Set::Own(1)), None);
        }

        #[test]
        fn sums_are_of_differences_from_the_base(layout in layouts(), seed: u64) {
            let score = |place: u32| u64::from(place).wrapping_mul(seed | 1) % 1_000_000;
            let scores = Scores((0..layout.all()).map(score).collect());
            let deltas = scores.deltas(&layout).unwrap();
            let at = |target, set: Set, item| {
                let cells = layout.cells(target, set).unwrap();
                scores.0[(cells.start + item) as usize].min(layout.cap()) as i64
            };
            for (number, sums) in (0..).zip(deltas) {
                for (set, found) in [(Set::Trial, sums.trial), (Set::General, sums.general), (Set::Own(number), sums.own)] {
                    let gains = (0..layout.items(set))
                        .map(|item| at(Target::Base, set, item) - at(Target::Delta(number), set, item));
                    prop_assert_eq!(found.gain, gains.clone().sum::<i64>());
                    prop_assert_eq!(found.squares, gains.map(|gain| u128::from(gain.unsigned_abs().pow(2))).sum::<u128>());
                }
            }
            prop_assert!(scores.candidate(&layout).is_some());
            let less = Scores(scores.0[..layout.without_candidate() as usize].to_vec());
            prop_assert_eq!(less.candidate(&layout), None);
            prop_assert_eq!(less.deltas(&layout), scores.deltas(&layout));
            prop_assert_eq!(less.first_difference(&scores), None);
            prop_assert_eq!(Scores(less.0[1..].to_vec()).deltas(&layout), None);
        }
    }

    #[test]
    fn what_has_no_loss_counts_as_a_very_bad_guess() {
        let layout = Layout { trial: 2, last: 2, general: 2, own: 2, deltas: 1, positions: 3 };
        let cap = (3 * 32) << 20;
        assert_eq!(layout.cap(), cap);
        let paired = Paired::new(&[5, 5], &[u64::MAX, 4], layout.cap());
        assert_eq!(paired.gain, 6 - cap as i64);
    }

    #[test]
    fn layouts_without_or_with_too_many_items_are_none() {
        let layout = Layout { trial: 2, last: 2, general: 2, own: 2, deltas: 1, positions: 3 };
        for bad in [
            Layout { trial: 1, ..layout },
            Layout { general: MAX_ITEMS + 1, ..layout },
            Layout { deltas: 0, ..layout },
            Layout { deltas: MAX_DELTAS + 1, ..layout },
            Layout { positions: 0, ..layout },
        ] {
            assert!(!bad.is_valid(), "{bad:?}");
        }
    }

    #[test]
    fn the_first_difference_is_found() {
        let [one, other] = [[1, 2, 3], [1, 4, 5]].map(|scores| Scores(scores.to_vec()));
        assert_eq!(one.first_difference(&other), Some(1));
        assert_ne!(one.hash(), other.hash());
    }
}
