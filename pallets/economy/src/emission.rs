//! How much may be minted: pure functions of what was minted so far.

use crate::Balance;

/// Halvings when nothing is left to emit: whatever the emission, no bit of it is left.
pub const MAX_HALVINGS: u32 = Balance::BITS;

/// What was minted, against the most that ever is.
///
/// With `E` = cap − allocated to emit in all, the emission is halved for the `k`-th time when E − E/2^k has been emitted: when
/// half is left of what was left at the halving before. It is bound to what was emitted, not to time: eras in which little
/// work was accepted do not bring a halving nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supply {
    /// The most that is ever minted, the genesis allocation included.
    pub cap: Balance,
    /// What there was at genesis.
    pub allocated: Balance,
    /// What was ever minted, with what there was at genesis.
    pub minted: Balance,
}

impl Supply {
    /// What can still be minted. Nothing, if the cap was lowered below what was.
    pub fn left(&self) -> Balance {
        self.cap.saturating_sub(self.minted)
    }

    /// How often the emission was halved: the greatest k with minted − allocated ≥ E − E/2^k.
    ///
    /// That is, the greatest k with left ≤ ⌊E/2^k⌋. Since shifting by one removes one bit, only two values come into question:
    /// the one that makes both sides equally long, and the one before.
    pub fn halvings(&self) -> u32 {
        let (total, left) = (self.cap.saturating_sub(self.allocated), self.left());
        let Some(left_log) = left.checked_ilog2() else { return MAX_HALVINGS };
        let k = total.checked_ilog2().unwrap_or(0).saturating_sub(left_log);
        if total.checked_shr(k).unwrap_or(0) >= left {
            k
        } else {
            k.saturating_sub(1)
        }
    }

    /// What all pools together may mint in an era, when `era_emission` is what they might before any halving.
    pub fn era_budget(&self, era_emission: Balance) -> Balance {
        era_emission.checked_shr(self.halvings()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLY: Balance = 1_000_000_000_000_000_000;
    /// As on a public network that allocates a fifth.
    const PUBLIC: Supply = Supply { cap: 1_000_000_000 * BLY, allocated: 200_000_000 * BLY, minted: 200_000_000 * BLY };

    fn emitted(emitted: Balance) -> Supply {
        Supply { minted: PUBLIC.allocated + emitted, ..PUBLIC }
    }

    #[test]
    fn the_emission_halves_when_half_of_what_was_left_is_emitted() {
        let total = 800_000_000 * BLY;
        let steps = [(0, 0), (total / 2 - 1, 0), (total / 2, 1), (total / 4 * 3 - 1, 1), (total / 4 * 3, 2)];
        for (minted, halvings) in steps {
            assert_eq!(emitted(minted).halvings(), halvings, "{minted}");
        }
        assert_eq!(emitted(total / 2).era_budget(68_000 * BLY), 34_000 * BLY);
        assert_eq!(emitted(total / 8 * 7).era_budget(68_000 * BLY), 8_500 * BLY);
    }

    #[test]
    fn when_all_is_emitted_nothing_is_minted() {
        let all = emitted(800_000_000 * BLY);
        assert_eq!((all.left(), all.halvings(), all.era_budget(Balance::MAX)), (0, MAX_HALVINGS, 0));
        let none = Supply { cap: 5, allocated: 5, minted: 5 };
        assert_eq!((none.halvings(), none.era_budget(100)), (MAX_HALVINGS, 0));
    }

    #[test]
    fn a_lowered_cap_stops_the_emission() {
        let supply = Supply { cap: 5, allocated: 3, minted: 7 };
        assert_eq!((supply.left(), supply.era_budget(100)), (0, 0));
    }

    fn supply() -> impl Strategy<Value = Supply> {
        (0..=1u128 << 100)
            .prop_flat_map(|cap| (Just(cap), 0..=cap))
            .prop_flat_map(|(cap, allocated)| (Just(cap), Just(allocated), allocated..=cap))
            .prop_map(|(cap, allocated, minted)| Supply { cap, allocated, minted })
    }

    proptest! {
        #[test]
        fn halvings_are_as_defined(supply in supply()) {
            let total = supply.cap - supply.allocated;
            // E − E/2^k is rounded up as E/2^k is rounded down: amounts are whole.
            let reached = |k: u32| (total - supply.left()) >= total - (total >> k);
            if supply.left() == 0 {
                prop_assert_eq!(supply.halvings(), MAX_HALVINGS);
            } else {
                let slow = (0..128).take_while(|k| reached(*k)).last().unwrap();
                prop_assert_eq!(supply.halvings(), slow);
            }
        }

        #[test]
        fn the_budget_never_rises_with_what_is_minted(supply in supply(), more: u128, era_emission: u128) {
            let later = Supply { minted: supply.minted + more % (supply.left() + 1), ..supply };
            prop_assert!(later.halvings() >= supply.halvings());
            prop_assert!(later.era_budget(era_emission) <= supply.era_budget(era_emission));
            prop_assert!(supply.era_budget(era_emission) <= era_emission);
        }

        #[test]
        fn however_much_is_paid_in_each_era_the_cap_holds(
            supply in supply(),
            eras in prop::collection::vec((0..=1u128 << 100, 0..=1_000_000u32), 0..300),
        ) {
            let mut supply = supply;
            for (era_emission, parts) in eras {
                let before = supply;
                let budget = supply.era_budget(era_emission).min(supply.left());
                supply.minted += blyan_primitives::pact::Ppm(parts).of(budget);
                prop_assert!(supply.minted <= supply.cap);
                prop_assert!(supply.halvings() >= before.halvings());
            }
        }

        #[test]
        fn nothing_overflows(cap: u128, allocated: u128, minted: u128, era_emission: u128) {
            let supply = Supply { cap, allocated, minted };
            prop_assert!(supply.era_budget(era_emission) <= era_emission);
            prop_assert!(supply.left() <= cap);
        }
    }
}
