//! Which items a round is measured on.

use super::{Draw, Layout, Set};
use crate::{dispute::Item, ids::ContentHash, learning::ItemRange};
use alloc::vec::Vec;
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Most blocks of items of one purpose.
pub const MAX_SETS: u32 = 64;

/// A block of items, and how many it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ItemBlock {
    /// The block.
    pub block: ContentHash,
    /// Its items.
    pub items: u32,
}

/// Blocks of items.
pub type ItemBlocks = BoundedVec<ItemBlock, ConstU32<MAX_SETS>>;

/// What items are drawn from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Sources {
    /// Unseen data.
    pub held_out: ItemBlocks,
    /// Unseen data that nobody could read before the committee was drawn. Final items are of it, where there is any.
    pub hidden: Option<ItemBlock>,
    /// What the model could do before.
    pub general: ItemBlocks,
}

fn count(blocks: &[ItemBlock]) -> u32 {
    blocks.iter().fold(0, |sum, block| sum.saturating_add(block.items))
}

/// The item at a place in several blocks, one after the other.
fn at(blocks: &[ItemBlock], place: u32) -> Option<Item> {
    let mut index = place;
    for ItemBlock { block, items } in blocks {
        match index.checked_sub(*items) {
            Some(rest) => index = rest,
            None => return Some(Item { block: *block, index }),
        }
    }
    None
}

impl Sources {
    /// Whether there are as many items as a layout asks for.
    pub fn suffice(&self, layout: &Layout) -> bool {
        let unseen = count(&self.held_out);
        let (trial, last) = (layout.trial, layout.last);
        let enough = match self.hidden {
            Some(hidden) => unseen >= trial && hidden.items >= last,
            None => unseen >= trial.saturating_add(last),
        };
        enough && count(&self.general) >= layout.general
    }

    /// The items of a set, in order, drawn from `seed`. `own` says what each delta was trained on. Fewer where there are not
    /// enough.
    pub fn items(&self, layout: &Layout, seed: &[u8; 32], own: &[ItemRange], set: Set) -> Vec<Item> {
        let draw = |subject: &[u8], items, of| Draw::new(seed, subject).distinct(items, of);
        let from = |blocks: &[ItemBlock], places: &[u32]| -> Vec<Item> {
            places.iter().filter_map(|place| at(blocks, *place)).collect()
        };
        let unseen = || draw(b"unseen", layout.trial.saturating_add(layout.last), count(&self.held_out));
        match (set, self.hidden) {
            (Set::Trial, _) => from(&self.held_out, unseen().get(..layout.trial as usize).unwrap_or_default()),
            (Set::Final, None) => from(&self.held_out, unseen().get(layout.trial as usize..).unwrap_or_default()),
            (Set::Final, Some(hidden)) => from(&[hidden], &draw(b"hidden", layout.last, hidden.items)),
            (Set::General, _) => from(&self.general, &draw(b"general", layout.general, count(&self.general))),
            (Set::Own(delta), _) => {
                let Some(ItemRange { block, first, count }) = own.get(delta as usize) else { return Vec::new() };
                let subject = [&b"own"[..], &delta.to_le_bytes()].concat();
                let item = |place: u32| Item { block: *block, index: first.saturating_add(place) };
                draw(&subject, layout.own, *count).into_iter().map(item).collect()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeSet, vec};
    use proptest::prelude::*;

    const LAYOUT: Layout = Layout { trial: 6, last: 5, general: 4, own: 3, deltas: 2, positions: 8 };

    fn blocks(number: u8, items: &[u32]) -> ItemBlocks {
        let block =
            |(index, items): (usize, &u32)| ItemBlock { block: ContentHash([number + index as u8; 32]), items: *items };
        items.iter().enumerate().map(block).collect::<Vec<_>>().try_into().unwrap()
    }

    fn own() -> Vec<ItemRange> {
        let range = |number, first, count| ItemRange { block: ContentHash([number; 32]), first, count };
        vec![range(100, 5, 3), range(100, 8, 9)]
    }

    proptest! {
        #[test]
        fn items_are_distinct_and_there(
            held_out in prop::collection::vec(0u32..9, 1..6), general in prop::collection::vec(0u32..9, 1..6),
            hidden in prop::option::of(0u32..9), seed: [u8; 32],
        ) {
            let hidden = hidden.map(|items| ItemBlock { block: ContentHash([90; 32]), items });
            let sources = Sources { held_out: blocks(10, &held_out), hidden, general: blocks(50, &general) };
            let items = |set| sources.items(&LAYOUT, &seed, &own(), set);
            let sets = [Set::Trial, Set::Final, Set::General, Set::Own(0), Set::Own(1)];
            let counts = [6, 5, 4, 3, 3];
            let full = sets.iter().zip(counts).all(|(set, count)| items(*set).len() == count);
            prop_assert_eq!(full, sources.suffice(&LAYOUT));
            let all: Vec<Item> = sets.into_iter().flat_map(items).collect();
            let distinct: BTreeSet<_> = all.iter().map(|item| (item.block, item.index)).collect();
            prop_assert_eq!(distinct.len(), all.len());
            for Item { block, index } in all {
                let known = sources.held_out.iter().chain(&sources.general).chain(&sources.hidden);
                let is_there = known.into_iter().any(|known| known.block == block && index < known.items);
                let is_own = own().iter().any(|own| own.block == block && (own.first..own.first + own.count).contains(&index));
                prop_assert!(is_there || is_own);
            }
        }
    }

    #[test]
    fn another_seed_draws_other_items() {
        let sources = Sources { held_out: blocks(10, &[500]), hidden: None, general: blocks(50, &[500]) };
        let [one, other] = [[1; 32], [2; 32]].map(|seed| sources.items(&LAYOUT, &seed, &own(), Set::Trial));
        assert_ne!(one, other);
        assert_eq!(sources.items(&LAYOUT, &[1; 32], &own(), Set::Own(7)), vec![]);
    }

    #[test]
    fn hidden_items_are_final_ones() {
        let hidden = Some(ItemBlock { block: ContentHash([90; 32]), items: 5 });
        let sources = Sources { held_out: blocks(10, &[6]), hidden, general: blocks(50, &[4]) };
        assert!(sources.suffice(&LAYOUT));
        let last = sources.items(&LAYOUT, &[1; 32], &own(), Set::Final);
        assert!(last.len() == 5 && last.iter().all(|item| item.block == ContentHash([90; 32])));
    }
}
