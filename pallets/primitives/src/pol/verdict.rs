//! What follows from the sums: which deltas are merged, whether the candidate is taken, and why not.
//!
//! The tests are one-sided and on paired differences. With `n` items, a mean `m` of the gains and their sample deviation `s`,
//! a gain is *sure* when `m ≥ c · s / √n`. Both sides are squared and multiplied out, so that it is decided on integers.

use super::{CandidateSums, DeltaSums, Layout, Paired};
use crate::{pact::Learning as Rules, trace::LOSS_UNITS};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::fmt;
use scale_info::TypeInfo;

/// Micro-nats of a nat.
const MICRO: i128 = 1_000_000;
/// Squares of `MilliSigma` to one.
const MILLI_SQUARED: u128 = 1_000_000;
/// As many times what it gains on its own data can a delta gain on unseen items and be honest. Own data can be harder than what
/// is asked for, and more mixed: a learner of two languages gained 1.8 nats on both, and 2.5 on the one that was asked for. Who
/// has trained on what is measured, and declares other data, gains next to nothing on that.
const LEAK: u32 = 2;

/// Why a delta is not merged, or a candidate not taken.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Refusal {
    /// Its bytes are not of its codec, or not for this slot.
    #[codec(index = 0)]
    Malformed,
    /// It changes the same as a delta that was submitted before.
    #[codec(index = 1)]
    Copied,
    /// The loss on unseen data does not fall by as much as the Pact asks for.
    #[codec(index = 2)]
    NoGain,
    /// It falls, but not on enough items to be sure.
    #[codec(index = 3)]
    Unsure,
    /// The loss on general data rises by more than the Pact allows.
    #[codec(index = 4)]
    Harmful,
    /// It gains more on what is evaluated than on what it was trained on: it was trained on something else.
    #[codec(index = 5)]
    Leaked,
    /// No delta was good enough to be merged.
    #[codec(index = 6)]
    NothingMerged,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "its bytes are not of its codec, or not for this slot",
            Self::Copied => "it changes the same as a delta that was submitted before",
            Self::NoGain => "the loss on unseen data does not fall by as much as the Pact asks for",
            Self::Unsure => "the loss falls, but not on enough items to be sure",
            Self::Harmful => "the loss on general data rises by more than the Pact allows",
            Self::Leaked => "it gains more on what is evaluated than on the data that it declares",
            Self::NothingMerged => "no delta was good enough to be merged",
        })
    }
}

/// A paired comparison of a known number of items.
#[derive(Clone, Copy)]
struct Test {
    sums: Paired,
    items: u32,
    positions: u32,
}

impl Test {
    /// Whether the mean gain a position is at least `least` micro-nats.
    fn gains(&self, least: i128) -> bool {
        let positions = i128::from(self.items).saturating_mul(self.positions.into());
        let least = least.saturating_mul(positions).saturating_mul(LOSS_UNITS.into());
        i128::from(self.sums.gain).saturating_mul(MICRO) >= least
    }

    /// `n Σx² - (Σx)²`: the sample variance, `n (n - 1)` times. Moving all values does not change it.
    fn spread(&self) -> u128 {
        let squared = u128::from(self.sums.gain.unsigned_abs()).saturating_pow(2);
        u128::from(self.items).saturating_mul(self.sums.squares).saturating_sub(squared)
    }

    /// Whether a sum of gains is `confidence` thousandths of its standard error above zero.
    fn is_sure(&self, gain: i128, confidence: u32) -> bool {
        // (Σx)² (n - 1) ≥ c² (n Σx² - (Σx)²), with n Σx² below 2^90.
        let squared = gain.unsigned_abs().saturating_pow(2);
        let left = squared.saturating_mul(u128::from(self.items.saturating_sub(1))).saturating_mul(MILLI_SQUARED);
        let right = u128::from(confidence).saturating_pow(2).saturating_mul(self.spread());
        gain > 0 && left >= right
    }

    /// Whether the mean loss a position has surely risen by more than `most` micro-nats.
    fn is_worse_by(&self, most: u32, confidence: u32) -> bool {
        let positions = i128::from(self.items).saturating_mul(self.positions.into());
        let allowed = i128::from(most).saturating_mul(positions).saturating_mul(LOSS_UNITS.into());
        let allowed = allowed.checked_div(MICRO).unwrap_or(0);
        let beyond = i128::from(self.sums.gain).saturating_neg().saturating_sub(allowed);
        self.is_sure(beyond, confidence)
    }

    /// Whether the mean gain is surely above [`LEAK`] times that of another comparison, on items of its own.
    fn is_leaked(&self, other: &Self, confidence: u32) -> bool {
        // With sums a of n and b of m, spreads A and B, and q times: (a m - q b n)² ≥ c² (A m² / (n - 1) + q² B n² / (m - 1)). A
        // unit of loss is far below any noise: without the last 12 bits of sums everything fits.
        let scaled = |test: &Self| {
            let items = u128::from(test.items);
            let spread = test.spread() >> 24;
            (i128::from(test.sums.gain) >> 12, items, spread)
        };
        let ((a, n, spread_a), (b, m, spread_b)) = (scaled(self), scaled(other));
        let times = b.saturating_mul(LEAK.into());
        let difference = a.saturating_mul(m as i128).saturating_sub(times.saturating_mul(n as i128));
        if difference <= 0 {
            return false;
        }
        let part = |spread: u128, own: u128, other: u128| {
            spread.checked_div(own.saturating_sub(1)).unwrap_or(0).saturating_mul(other.saturating_pow(2))
        };
        let left = difference.unsigned_abs().saturating_pow(2).saturating_mul(MILLI_SQUARED);
        let others = part(spread_b, m, n).saturating_mul(u128::from(LEAK).saturating_pow(2));
        let variance = part(spread_a, n, m).saturating_add(others);
        left >= u128::from(confidence).saturating_pow(2).saturating_mul(variance)
    }
}

/// Whether a delta is good enough to be merged.
///
/// # Errors
/// Why it is not.
pub fn judge_delta(sums: &DeltaSums, layout: &Layout, rules: &Rules) -> Result<(), Refusal> {
    let test = |sums, items| Test { sums, items, positions: layout.positions };
    let (trial, own) = (test(sums.trial, layout.trial), test(sums.own, layout.own));
    judge(trial, test(sums.general, layout.general), rules)?;
    if trial.is_leaked(&own, rules.confidence) {
        return Err(Refusal::Leaked);
    }
    Ok(())
}

/// Whether the candidate becomes the head.
///
/// # Errors
/// Why it does not.
pub fn judge_candidate(sums: &CandidateSums, layout: &Layout, rules: &Rules) -> Result<(), Refusal> {
    let test = |sums, items| Test { sums, items, positions: layout.positions };
    judge(test(sums.last, layout.last), test(sums.general, layout.general), rules)
}

fn judge(unseen: Test, general: Test, rules: &Rules) -> Result<(), Refusal> {
    if !unseen.gains(rules.min_gain.into()) {
        return Err(Refusal::NoGain);
    }
    if !unseen.is_sure(unseen.sums.gain.into(), rules.confidence) {
        return Err(Refusal::Unsure);
    }
    if general.is_worse_by(rules.max_regression, rules.confidence) {
        return Err(Refusal::Harmful);
    }
    Ok(())
}

/// What each delta counts for in the candidate, in parts of 2^16: by its gain among those that are merged, and nothing for
/// the others. All of them together are 2^16, or nothing when none is merged.
pub fn merge_weights(gains: &[Option<i64>]) -> Vec<u32> {
    const ONE: u128 = 1 << 16;
    let gain = |gain: &Option<i64>| gain.and_then(|gain| u128::try_from(gain).ok()).unwrap_or(0);
    let all = gains.iter().map(gain).fold(0u128, u128::saturating_add);
    let (mut before, mut given) = (0u128, 0u128);
    let mut weights = Vec::new();
    for own in gains.iter().map(gain) {
        before = before.saturating_add(own);
        // What rounding takes from one is given to the next.
        let until = before.saturating_mul(ONE).checked_div(all).unwrap_or(0);
        weights.push(until.saturating_sub(given) as u32);
        given = until;
    }
    weights
}

/// A gain as it is made known: rounded down to a step of half a standard error, so that whoever submits again and again
/// learns no more of the items than that (the Ladder mechanism, Blum and Hardt 2015). In micro-nats a position.
pub fn released_gain(sums: &Paired, items: u32, positions: u32) -> i64 {
    let test = Test { sums: *sums, items, positions };
    let all = i128::from(items).saturating_mul(positions.into()).saturating_mul(LOSS_UNITS.into());
    // The standard error of the sum: √(spread / (n - 1)).
    let error = test.spread().checked_div(u128::from(items.saturating_sub(1))).unwrap_or(0).isqrt();
    let step = i128::try_from(error / 2).unwrap_or(i128::MAX).max(1);
    let steps = i128::from(sums.gain).checked_div_euclid(step).unwrap_or(0);
    let rounded = steps.saturating_mul(step).saturating_mul(MICRO).checked_div(all).unwrap_or(0);
    i64::try_from(rounded).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pact::{NetworkKind, Pact};
    use proptest::prelude::*;

    const LAYOUT: Layout = Layout { trial: 40, last: 40, general: 40, own: 40, deltas: 1, positions: 256 };

    fn rules() -> Rules {
        Pact::default_for(NetworkKind::Public).learning
    }

    /// Items with this mean gain a position, in nats, and this deviation from item to item.
    fn sums(mean: f64, deviation: f64, items: u32, seed: u32) -> Paired {
        let mut state = seed;
        let mut noise = || {
            // The sum of twelve uniform numbers is nearly normal.
            let uniform = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(state >> 8) / f64::from(1 << 24)
            };
            (0..12).map(uniform).sum::<f64>() - 6.0
        };
        let unit = 256.0 * f64::from(LOSS_UNITS);
        let gains: Vec<i64> = (0..items).map(|_| ((mean + deviation * noise()) * unit) as i64).collect();
        let squares = gains.iter().map(|gain| u128::from(gain.unsigned_abs()).pow(2)).sum();
        Paired { gain: gains.iter().sum(), squares }
    }

    fn delta(trial: f64, general: f64, own: f64, seed: u32) -> Result<(), Refusal> {
        let of = |mean, seed| sums(mean, 0.026, 40, seed);
        let sums = DeltaSums { trial: of(trial, seed), general: of(general, seed + 1), own: of(own, seed + 2) };
        judge_delta(&sums, &LAYOUT, &rules())
    }

    #[test]
    fn deltas_are_judged_by_what_they_change() {
        for seed in 0..50 {
            assert_eq!(delta(0.2, 0.1, 0.22, seed), Ok(()));
            assert_eq!(delta(0.2, 0.0, 0.2, seed), Ok(()));
            // Its own data is harder than what is asked for.
            assert_eq!(delta(0.2, 0.0, 0.11, seed), Ok(()));
            assert_eq!(delta(-0.2, 0.1, 0.2, seed), Err(Refusal::NoGain));
            assert_eq!(delta(0.2, -0.1, 0.2, seed), Err(Refusal::Harmful));
            assert_eq!(delta(0.2, 0.1, 0.05, seed), Err(Refusal::Leaked));
        }
        // Noise is taken for a gain once in a thousand times.
        let noise = (0..1000).filter(|seed| delta(0.0, 0.0, 0.0, seed * 3).is_ok()).count();
        assert!(noise < 6, "{noise}");
        let small: Vec<_> = (0..50).map(|seed| delta(0.005, 0.0, 0.005, seed)).collect();
        assert!(small.iter().filter(|found| **found == Err(Refusal::Unsure)).count() > 30, "{small:?}");
    }

    #[test]
    fn a_candidate_is_judged_by_final_items() {
        let of = |last, general| CandidateSums { last: sums(last, 0.026, 40, 3), general: sums(general, 0.026, 40, 4) };
        assert_eq!(judge_candidate(&of(0.1, 0.0), &LAYOUT, &rules()), Ok(()));
        assert_eq!(judge_candidate(&of(0.0, 0.0), &LAYOUT, &rules()), Err(Refusal::NoGain));
        assert_eq!(judge_candidate(&of(0.1, -0.1), &LAYOUT, &rules()), Err(Refusal::Harmful));
    }

    #[test]
    fn one_lucky_item_is_not_enough() {
        let gain = 40 * 256 * i64::from(LOSS_UNITS);
        let lucky = Paired { gain, squares: u128::from(gain.unsigned_abs()).pow(2) };
        let sums = DeltaSums { trial: lucky, general: Paired::default(), own: lucky };
        assert_eq!(judge_delta(&sums, &LAYOUT, &rules()), Err(Refusal::Unsure));
    }

    proptest! {
        /// Integers decide as the textbook does, but where it is a matter of rounding.
        #[test]
        fn tests_are_those_of_the_textbook(
            x in prop::collection::vec(-1_000_000i64..1_000_000, 2..60),
            y in prop::collection::vec(-1_000_000i64..1_000_000, 2..60),
            shift in -300_000i64..300_000, confidence in 1_000u32..6_000, most in 0u32..20_000,
        ) {
            let test = |values: &[i64]| {
                let gains: Vec<i64> = values.iter().map(|value| (value + shift) * 4096).collect();
                let squares = gains.iter().map(|gain| u128::from(gain.unsigned_abs()).pow(2)).sum();
                Test { sums: Paired { gain: gains.iter().sum(), squares }, items: gains.len() as u32, positions: 256 }
            };
            let moments = |values: &[i64]| {
                let n = values.len() as f64;
                let mean = values.iter().map(|value| ((value + shift) * 4096) as f64).sum::<f64>() / n;
                let square = |value: &i64| (((value + shift) * 4096) as f64 - mean).powi(2);
                (mean, values.iter().map(square).sum::<f64>() / (n - 1.0) / n)
            };
            let ((a, va), (b, vb)) = (moments(&x), moments(&y));
            let c = f64::from(confidence) / 1000.0;
            let check = |found: bool, t: f64| (t - c).abs() < 1e-3 * c.abs() || found == (t >= c);
            prop_assert!(check(test(&x).is_sure(test(&x).sums.gain.into(), confidence), a / va.sqrt()));
            prop_assert!(check(test(&x).is_leaked(&test(&y), confidence), (a - 2.0 * b) / (va + 4.0 * vb).sqrt()));
            let allowed = f64::from(most) * 256.0 * f64::from(LOSS_UNITS) / 1e6;
            prop_assert!(check(test(&x).is_worse_by(most, confidence), (-a - allowed) / va.sqrt()));
        }

        #[test]
        fn the_largest_sums_do_not_overflow(gain: i64, squares: u128, items in 2u32..=512, positions in 1u32..=1024) {
            let test = Test { sums: Paired { gain, squares }, items, positions };
            let _ = (test.gains(1), test.is_sure(gain.into(), 6000), test.is_worse_by(9, 6000), test.is_leaked(&test, 6000));
            let _ = released_gain(&test.sums, items, positions);
        }

        #[test]
        fn weights_are_by_gain_and_sum_to_one(gains in prop::collection::vec(prop::option::of(-5i64..1_000_000_000), 0..33)) {
            let weights = merge_weights(&gains);
            let merged = gains.iter().flatten().any(|gain| *gain > 0);
            prop_assert_eq!(weights.iter().sum::<u32>(), if merged { 1 << 16 } else { 0 });
            let all: f64 = gains.iter().flatten().filter(|gain| **gain > 0).map(|gain| *gain as f64).sum();
            for (gain, weight) in gains.iter().zip(&weights) {
                let exact = gain.filter(|gain| *gain > 0).map_or(0.0, |gain| gain as f64 / all * 65_536.0);
                prop_assert!((f64::from(*weight) - exact).abs() <= 1.0);
            }
        }

        #[test]
        fn released_gains_are_rounded_down_by_less_than_half_an_error(seed in 0u32..1000, mean in -0.2f64..0.2) {
            let sums = sums(mean, 0.026, 40, seed);
            let exact = sums.gain as f64 / (40.0 * 256.0 * f64::from(LOSS_UNITS)) * 1e6;
            let test = Test { sums, items: 40, positions: 256 };
            let error = (test.spread() as f64 / 39.0).sqrt() / (40.0 * 256.0 * f64::from(LOSS_UNITS)) * 1e6;
            let released = released_gain(&sums, 40, 256) as f64;
            prop_assert!(released <= exact + 1.0 && exact - released <= error / 2.0 + 2.0, "{} {} {}", released, exact, error);
        }
    }
}
