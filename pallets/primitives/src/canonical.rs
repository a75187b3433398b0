//! One element of each operation of canonical execution.
//!
//! The model crate's `exec` defines what a model computes, and computes it fast. Here is the same, an element at a time, for
//! whoever has to check one: tests of the fast paths, and the runtime, which settles what two evaluators disagree about. Like
//! [`math`](crate::math), it is written once for the processor's floats and for [`soft_float`](crate::soft_float)'s.

#![allow(clippy::arithmetic_side_effects, reason = "floats do not overflow, and integers are bounded as documented")]

use crate::{
    math::{dot, exp, ln64, pow2, rsqrt, silu, tree, LANES},
    real::{Double, Real, Single},
    trace::{DIVERGED, LOSS_UNITS},
};
use alloc::vec::Vec;

/// An input is infinite, or no number: the sequence ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFinite;

/// Bias of a binary32's exponent field, and the bits of a quantised value's magnitude.
const EXPONENT_BIAS: i32 = 127 + 6;
/// Smallest exponent of a block's unit: its power of two, and the power that undoes it, are normal numbers.
const MIN_EXPONENT: i32 = -126;
/// A block's unit is at most this many powers of two below the token's largest.
const MAX_SPREAD: i32 = 24;
const INFINITY: u32 = 0x7f80_0000;

/// A token's activations as a linear layer takes them: each a signed byte times its block's power of two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantised {
    /// `[k]`, each in ±127.
    pub values: Vec<i8>,
    /// `[ceil(k / block)]`: how much larger a block's unit is than the smallest, as a power of two; at most 24.
    pub shifts: Vec<u32>,
    /// Power of two of the smallest unit.
    pub least: i32,
    block: usize,
}

impl Quantised {
    /// Quantises `x`, `[k]`, in blocks of `block`: steps 1 to 4 of a linear layer.
    ///
    /// # Errors
    /// When an element is not finite.
    pub fn new<S: Single>(x: &[S], block: usize) -> Result<Self, NotFinite> {
        let block = block.max(1);
        // Magnitudes order as their bits do.
        let largest = |block: &[S]| block.iter().map(|x| x.to_bits() & !(1 << 31)).max().unwrap_or(0);
        let exponent = |magnitude: u32| ((magnitude >> 23) as i32 - EXPONENT_BIAS).max(MIN_EXPONENT);
        let magnitudes: Vec<u32> = x.chunks(block).map(largest).collect();
        let most = magnitudes.iter().copied().max().unwrap_or(0);
        if most >= INFINITY {
            return Err(NotFinite);
        }
        let floor = exponent(most) - MAX_SPREAD;
        let units =
            magnitudes.iter().filter(|magnitude| **magnitude > 0).map(|magnitude| exponent(*magnitude).max(floor));
        let least = units.min().unwrap_or(0);
        let (mut values, mut shifts) = (Vec::with_capacity(x.len()), Vec::with_capacity(magnitudes.len()));
        for (x, magnitude) in x.chunks(block).zip(magnitudes) {
            let unit = if magnitude == 0 { least } else { exponent(magnitude).max(floor) };
            let inverse: S = pow2(-unit);
            values.extend(x.iter().map(|x| round(*x * inverse)));
            shifts.push((unit - least) as u32);
        }
        Ok(Self { values, shifts, least, block })
    }

    /// `y[r]` for a row of weights, `[k]`, and its scale: steps 5 and 6. Weights beyond `k` do not count.
    pub fn linear<S: Single>(&self, weights: impl IntoIterator<Item = i8>, scale: S) -> S {
        let mut sum = 0i64;
        let mut weights = weights.into_iter();
        for (values, shift) in self.values.chunks(self.block).zip(&self.shifts) {
            let products = values.iter().zip(&mut weights).map(|(value, weight)| i64::from(*value) * i64::from(weight));
            sum += products.sum::<i64>() << shift;
        }
        S::from_int(sum) * pow2(self.least) * scale
    }
}

/// `x` rounded to an integer, half to even, and limited to ±127; |x| < 2^22.
fn round<S: Single>(x: S) -> i8 {
    /// 1.5 · 2^23: adding it rounds, and leaves the integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let integer = ((x + S::literal(ROUND)).to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    integer.clamp(-127, 127) as i8
}

/// An element of an embedding: a weight and its row's scale.
pub fn embedding<S: Single>(weight: i8, scale: S) -> S {
    S::from_int(weight.into()) * scale
}

/// `1 / sqrt(mean(x²) + eps)`, what a norm multiplies its input `x` by.
pub fn norm_factor<S: Single>(x: &[S], eps: S) -> S {
    rsqrt(dot(x, x) / S::from_int(x.len() as i64) + eps)
}

/// An element of a norm: its input, the [`norm_factor`], and the gain.
pub fn norm<S: Single>(x: S, factor: S, gain: S) -> S {
    (x * factor) * gain
}

/// Both elements of a pair, turned by the angle with this cosine and sine.
pub fn rotate<S: Single>((a, b): (S, S), (cos, sin): (S, S)) -> (S, S) {
    (a * cos - b * sin, b * cos + a * sin)
}

/// The score of a query for a key, both `[head_dim]`.
pub fn score<S: Single>(query: &[S], key: &[S]) -> S {
    dot(query, key) * rsqrt(S::from_int(query.len() as i64))
}

/// The largest of some numbers.
pub fn largest<S: Single>(values: &[S]) -> S {
    values.iter().fold(S::literal(f32::NEG_INFINITY), |most, value| if *value > most { *value } else { most })
}

/// What a score becomes in softmax before it is divided by the sum of all: `largest` is the largest of them.
pub fn softmax_numerator<S: Single>(score: S, largest: S) -> S {
    exp(score - largest)
}

/// The sum of some numbers in the order of [`tree`].
pub fn sum<S: Single>(values: &[S]) -> S {
    let mut lanes = [S::literal(0.0); LANES];
    for chunk in values.chunks(LANES) {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = *lane + *value;
        }
    }
    tree(lanes)
}

/// An element of what a query attended to: numerators of softmax, the values of that element at as many positions, and the
/// numerators' sum.
pub fn attended<S: Single>(numerators: &[S], values: &[S], total: S) -> S {
    let weighted = numerators.iter().zip(values).fold(S::literal(0.0), |sum, (weight, value)| sum + *weight * *value);
    weighted / total
}

/// The experts with the highest scores, highest first and the lower index where scores are equal, and their weights: softmax
/// over the chosen, whose sum is added in order of rank.
///
/// # Errors
/// When a score is not finite.
pub fn choose<S: Single>(scores: &[S], top_k: usize) -> Result<Vec<(usize, S)>, NotFinite> {
    if scores.iter().any(|score| score.to_bits() & !(1 << 31) >= INFINITY) {
        return Err(NotFinite);
    }
    let mut chosen: Vec<(usize, S)> = Vec::with_capacity(top_k);
    for _ in 0..top_k.min(scores.len()) {
        let mut best: Option<(usize, S)> = None;
        for (index, score) in scores.iter().copied().enumerate() {
            let is_free = chosen.iter().all(|(taken, _)| *taken != index);
            if is_free && best.is_none_or(|(_, most)| score > most) {
                best = Some((index, score));
            }
        }
        chosen.extend(best);
    }
    let highest = chosen.first().map_or(S::literal(0.0), |(_, score)| *score);
    let mut sum = S::literal(0.0);
    for (_, weight) in &mut chosen {
        *weight = exp(*weight - highest);
        sum = sum + *weight;
    }
    for (_, weight) in &mut chosen {
        *weight = *weight / sum;
    }
    Ok(chosen)
}

/// An element between the two halves of a feed-forward network.
pub fn gated<S: Single>(gate: S, up: S) -> S {
    silu(gate) * up
}

/// An element of what the experts say together: the first one's output, and weight and output of the others in order of rank,
/// without those whose block is the first one's.
pub fn mixture<S: Single>(first: S, others: impl IntoIterator<Item = (S, S)>) -> S {
    others.into_iter().fold(first, |sum, (weight, output)| sum + weight * (output - first))
}

/// The loss of a position, in units of 1 / [`LOSS_UNITS`] nats and rounded: from the sum of `exp(logit - largest)` over its
/// logits, the largest of them, and that of the token that follows. [`DIVERGED`] when one of these is not finite.
pub fn loss<S: Single>(sum: S, largest: S, logit: S) -> u32 {
    if [sum, largest, logit].iter().any(|value| value.to_bits() & !(1 << 31) >= INFINITY) {
        return DIVERGED;
    }
    // The sum has the term of the largest logit, which is one.
    let nats = ln64(sum.widen()) + (largest.widen() - logit.widen());
    let units = nats * S::Double::from_int(LOSS_UNITS.into()) + S::Double::literal(0.5);
    units.to_int().clamp(0, i64::from(DIVERGED) - 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft_float::F32;
    use proptest::prelude::*;

    /// Numbers of very different sizes, zeros among them.
    fn numbers(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<f32>> {
        let number = prop_oneof![
            4 => -2f32..2.0,
            1 => Just(0.0),
            1 => (-1f32..1.0, -40i32..40).prop_map(|(value, size)| value * (size as f32).exp2()),
        ];
        prop::collection::vec(number, count)
    }

    fn soft(x: &[f32]) -> Vec<F32> {
        x.iter().map(|x| F32::from_bits(x.to_bits())).collect()
    }

    fn bits<S: Single>(values: &[S]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    /// Every operation on some numbers.
    fn everything<S: Single>(x: &[S], y: &[S], weights: &[i8], block: usize) -> Vec<u32> {
        let (a, b, c, d) = (x[0], x[1], y[0], y[1]);
        let quantised = Quantised::new(x, block).unwrap();
        let factor = norm_factor(x, S::literal(1e-5));
        let scores: Vec<S> = x.iter().map(|x| if *x > S::literal(60.0) { S::literal(60.0) } else { *x }).collect();
        let most = largest(&scores);
        let numerators: Vec<S> = scores.iter().map(|score| softmax_numerator(*score, most)).collect();
        let total = sum(&numerators);
        let chosen = choose(&scores, 3).unwrap();
        let turned = rotate((a, b), (c, d));
        let mut all = vec![
            quantised.linear(weights.iter().copied(), c),
            embedding(weights[0], c),
            factor,
            norm(a, factor, c),
            turned.0,
            turned.1,
            score(x, y),
            most,
            total,
            attended(&numerators, y, total),
            gated(if a < S::literal(-80.0) { b } else { a }, c),
            mixture(a, [(c, b), (d, a)]),
        ];
        all.extend(numerators);
        all.extend(chosen.iter().map(|(_, weight)| *weight));
        let mut all = bits(&all);
        all.extend(chosen.iter().map(|(index, _)| *index as u32));
        all
    }

    proptest! {
        #[test]
        fn integers_compute_what_processors_do(
            (x, y, weights) in (3usize..90).prop_flat_map(|k| (numbers(k), numbers(k), prop::collection::vec(any::<i8>(), k))),
            block in prop::sample::select(vec![16usize, 32, 64]),
        ) {
            prop_assert_eq!(everything(&soft(&x), &soft(&y), &weights, block), everything(&x, &y, &weights, block));
            prop_assert_eq!(Quantised::new(&soft(&x), block), Quantised::new(&x, block));
        }

        #[test]
        fn losses_are_the_same_in_integers(sum in 1f32..1e9, bits: [u32; 3], most in -1e3f32..1e3, below in 0f32..1e3) {
            let soft = |x: f32| F32::from_bits(x.to_bits());
            let any = bits.map(f32::from_bits);
            for [sum, largest, logit] in [[sum, most, most - below], any, [sum, f32::MAX, any[2]]] {
                let found = loss(sum, largest, logit);
                prop_assert_eq!(loss(soft(sum), soft(largest), soft(logit)), found);
            }
            let nats = f64::from(sum).ln() + f64::from(most) - f64::from(most - below);
            let found = f64::from(loss(sum, most, most - below)) / f64::from(LOSS_UNITS);
            prop_assert!((found - nats).abs() < 1e-5, "{} for {}", found, nats);
        }

        #[test]
        fn quantised_values_are_the_nearest(x in numbers(1..100), block in prop::sample::select(vec![16usize, 32, 64])) {
            let quantised = Quantised::new(&x, block).unwrap();
            prop_assert!(quantised.shifts.iter().all(|shift| *shift <= 24));
            for (i, (x, q)) in x.iter().zip(&quantised.values).enumerate() {
                let unit = f64::from(quantised.least + quantised.shifts[i / block] as i32).exp2();
                let exact = f64::from(*x) / unit;
                prop_assert_eq!(f64::from(*q), exact.round_ties_even().clamp(-127.0, 127.0));
            }
            // A block's largest value takes seven bits, unless its unit would be too far below the token's largest, or no number.
            let power = |x: f64| (x.log2().floor() as i32 - 6).max(-126);
            let most = |x: &[f32]| x.iter().fold(0f64, |most, x| most.max(f64::from(x.abs())));
            let floor = power(most(&x)) - 24;
            let units: Vec<i32> = x.chunks(block).map(|x| power(most(x)).max(floor)).collect();
            let used = || x.chunks(block).zip(&units).zip(&quantised.shifts).filter(|((x, _), _)| most(x) > 0.0);
            let least = used().map(|((_, unit), _)| *unit).min();
            prop_assert_eq!(quantised.least, least.unwrap_or(0));
            prop_assert!(used().all(|((_, unit), shift)| unit - quantised.least == *shift as i32));
        }

        #[test]
        fn the_highest_scores_are_chosen(scores in prop::collection::vec(-3i8..3, 1..20), top_k in 1usize..6) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let chosen = choose(&scores, top_k).unwrap();
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
            order.truncate(top_k);
            prop_assert_eq!(chosen.iter().map(|(index, _)| *index).collect::<Vec<_>>(), order);
            prop_assert!((chosen.iter().map(|(_, weight)| weight).sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(Quantised::new(&[1.0, bad], 16), Err(NotFinite));
            assert_eq!(choose(&[1.0, bad], 1), Err(NotFinite));
        }
        let nothing = Quantised::new::<f32>(&[], 32).unwrap();
        assert_eq!(nothing.linear([1, 2], 1.0f32).to_bits(), 0);
        assert_eq!(choose::<f32>(&[], 2), Ok(vec![]));
    }
}
