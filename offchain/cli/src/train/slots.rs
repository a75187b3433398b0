//! Which slot is worth training on some data.

use crate::slot::Place;
use std::{collections::BTreeSet, fmt};

/// A slot that was chosen, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) place: Place,
    /// Part of the data's tokens that its expert gets.
    pub(super) share: f64,
    /// The layers that it was chosen from.
    layers: [usize; 2],
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, last] = self.layers;
        write!(
            f,
            "slot {}: its expert gets {:.0} % of the data's tokens, the most of all free slots in layers {first} to {last}, \
             the upper half, whose experts change what is said most directly",
            self.place,
            self.share * 100.0
        )
    }
}

/// The slot whose expert gets most of the tokens, `[layer][index]` their shares, in the upper half of the layers: only tokens
/// that an expert gets teach it. Slots that are `busy` are left out.
pub(super) fn choose(shares: &[Vec<f64>], busy: &BTreeSet<Place>) -> Option<Choice> {
    let first = shares.len() / 2;
    let layers = [first, shares.len().saturating_sub(1)];
    let slots = (0u16..).zip(shares).skip(first).flat_map(|(layer, shares)| {
        (0u16..).zip(shares).map(move |(index, share)| Choice { place: Place { layer, index }, share: *share, layers })
    });
    let free = slots.filter(|choice| !busy.contains(&choice.place));
    // Of equal ones the first.
    free.reduce(|best, next| if next.share.total_cmp(&best.share).is_gt() { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_expert_of_the_upper_layers_is_chosen() {
        let shares = [[2.0, 0.0], [1.9, 0.1], [1.0, 1.0], [0.7, 1.3]].map(|layer| layer.to_vec());
        let place = |layer, index| Place { layer, index };
        let chosen = choose(&shares, &BTreeSet::new()).unwrap();
        assert_eq!((chosen.place, chosen.share), (place(3, 1), 1.3));
        assert!(chosen.to_string().contains("130 %") && chosen.to_string().contains("layers 2 to 3"), "{chosen}");
        // One that is in a round is left out; of equal ones the first is taken.
        let chosen = choose(&shares, &BTreeSet::from([place(3, 1)])).unwrap();
        assert_eq!(chosen.place, place(2, 0));
        let all = (0..4).flat_map(|layer| (0..2).map(move |index| place(layer, index))).collect();
        assert_eq!(choose(&shares, &all), None);
        assert_eq!(choose(&[], &BTreeSet::new()), None);
    }
}
