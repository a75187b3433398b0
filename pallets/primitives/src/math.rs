//! The transcendental functions and reductions of canonical execution, the same bits on every machine.
//!
//! Everything here is IEEE 754 addition, subtraction, multiplication, division, square root and comparison in the order
//! written, with round to nearest even and subnormals honoured. Rust neither contracts `a * b + c` to a fused operation nor
//! reorders floats, so the compiler may vectorise these functions but cannot change what they return. No function of the
//! platform's mathematical library is called: those differ between systems in the last bit.
//!
//! They are generic: executed on the processor's floats by workers, and on [`soft_float`](crate::soft_float)'s by the
//! runtime, which settles disputes about them.
//!
//! The f32 functions are on the path of every token and are written without branches. The f64 functions make the tables
//! of the rotary embedding.

#![allow(clippy::arithmetic_side_effects, reason = "floats do not overflow, and exponents are bounded")]

use crate::real::{Double, Real, Single};
use alloc::vec::Vec;

/// Lanes of a reduction, see [`tree`].
pub const LANES: usize = 16;

/// Adds 16 lanes in the fixed order of canonical execution: halves of 8, 4, 2 and 1.
///
/// A sum over `n` elements first adds element `i` to lane `i mod 16`, in ascending order of `i`, each lane starting at
/// +0.0, and then folds the lanes: lane `j` takes lane `j + 8` for `j < 8`, then `j + 4`, `j + 2`, `j + 1`. Where `n` is no
/// multiple of 16 the lanes without an element keep their value; adding +0.0 to them gives the same bits.
#[inline(always)]
pub fn tree<F: Real>(lanes: [F; LANES]) -> F {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = lanes;
    let eight = [a + i, b + j, c + k, d + l, e + m, f + n, g + o, h + p];
    let [a, b, c, d, e, f, g, h] = eight;
    let [a, b, c, d] = [a + e, b + f, c + g, d + h];
    (a + c) + (b + d)
}

/// Sum of the products of two slices of equal length, in the order of [`tree`]; each product is rounded before it is added.
///
/// Where lengths differ the longer one's rest is ignored.
#[inline(always)]
pub fn dot<S: Single>(a: &[S], b: &[S]) -> S {
    let mut lanes = [S::literal(0.0); LANES];
    let (a_blocks, a_rest) = a.split_at(a.len().min(b.len())).0.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.split_at(a.len().min(b.len())).0.as_chunks::<LANES>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane = *lane + *x * *y;
        }
    }
    for ((lane, x), y) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane = *lane + *x * *y;
    }
    tree(lanes)
}

/// Smallest argument for which [`exp`] is not zero.
pub const EXP_MIN: f32 = -87.0;
/// Largest argument for which [`exp`] is finite.
pub const EXP_MAX: f32 = 88.0;

/// `e^x`, within 2 units in the last place for `x` in [[`EXP_MIN`], [`EXP_MAX`]].
///
/// Below that range +0.0, above it +∞, so that no result is subnormal; NaN gives NaN. `x = n ln 2 + r` by Cody and Waite's
/// two-part constant, and a minimax polynomial of degree 6 for `e^r`.
#[inline(always)]
pub fn exp<S: Single>(x: S) -> S {
    /// 1.5 · 2^23: adding it rounds to an integer and leaves that integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// The upper 10 bits of ln 2: its product with `n` is exact.
    const LN2_HI: f32 = 0.693_359_4;
    const LN2_LO: f32 = -2.121_944_4e-4;
    let c = S::literal;
    let clamped = if x < c(EXP_MIN) { c(EXP_MIN) } else { x };
    let clamped = if clamped > c(EXP_MAX) { c(EXP_MAX) } else { clamped };
    let shifted = clamped * c(core::f32::consts::LOG2_E) + c(ROUND);
    let n = shifted - c(ROUND);
    let r = (clamped - n * c(LN2_HI)) - n * c(LN2_LO);
    let p = c(1.381_446_7e-3);
    let p = p * r + c(8.368_781e-3);
    let p = p * r + c(4.166_839_3e-2);
    let p = p * r + c(0.166_665_2);
    let p = p * r + c(0.499_999_94);
    let p = (p * (r * r) + r) + c(1.0);
    // n is in [-126, 127]: the scale is a normal number, and so is the product.
    let scale = S::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let y = p * scale;
    let y = if x < c(EXP_MIN) { c(0.0) } else { y };
    if x > c(EXP_MAX) {
        c(f32::INFINITY)
    } else {
        y
    }
}

/// `x / (1 + e^-x)`, the gate of a SwiGLU feed-forward layer.
#[inline(always)]
pub fn silu<S: Single>(x: S) -> S {
    x / (S::literal(1.0) + exp(-x))
}

/// `1 / sqrt(x)`: IEEE square root, then IEEE division.
#[inline(always)]
pub fn rsqrt<S: Single>(x: S) -> S {
    S::literal(1.0) / x.sqrt()
}

/// `2^e` for `e` in [-126, 127].
#[inline(always)]
pub fn pow2<S: Single>(e: i32) -> S {
    debug_assert!((-126..=127).contains(&e));
    S::from_bits(((e + 127) as u32) << 23)
}

/// Adding and subtracting it rounds an f64 below 2^51 to an integer, half to even.
const ROUND64: f64 = 6_755_399_441_055_744.0;

/// Largest argument of [`sin_cos`]: 2^21, above any position that a spec allows.
pub const SIN_COS_MAX: f64 = 2_097_152.0;

/// Sine and cosine of `x` radians with |x| ≤ [`SIN_COS_MAX`], within 2^-50.
///
/// Reduces by multiples of π/2 held in three parts of 33 bits, so that products with a 20-bit multiple are exact, then sums
/// Taylor polynomials up to x^17.
pub fn sin_cos<D: Double>(x: D) -> (D, D) {
    const PIO2_1: u64 = 0x3ff9_21fb_5440_0000;
    const PIO2_2: u64 = 0x3dd0_b461_1a60_0000;
    const PIO2_3: u64 = 0x3ba3_198a_2e03_7073;
    let n = (x * D::literal(core::f64::consts::FRAC_2_PI) + D::literal(ROUND64)) - D::literal(ROUND64);
    let r = ((x - n * D::from_bits(PIO2_1)) - n * D::from_bits(PIO2_2)) - n * D::from_bits(PIO2_3);
    let z = r * r;
    // 1/17!, -1/15!, … and 1/16!, -1/14!, …: quotients of integers below 2^53, so each is one rounding.
    let sin = taylor(
        z,
        &[
            1.0 / 355_687_428_096_000.0,
            -1.0 / 1_307_674_368_000.0,
            1.0 / 6_227_020_800.0,
            -1.0 / 39_916_800.0,
            1.0 / 362_880.0,
            -1.0 / 5_040.0,
            1.0 / 120.0,
            -1.0 / 6.0,
        ],
    );
    let sin = r + r * (z * sin);
    let cos = taylor(
        z,
        &[
            1.0 / 20_922_789_888_000.0,
            -1.0 / 87_178_291_200.0,
            1.0 / 479_001_600.0,
            -1.0 / 3_628_800.0,
            1.0 / 40_320.0,
            -1.0 / 720.0,
            1.0 / 24.0,
            -0.5,
        ],
    );
    let cos = D::literal(1.0) + z * cos;
    match n.to_int().rem_euclid(4) {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// Horner's rule, highest coefficient first.
fn taylor<D: Double>(x: D, coefficients: &[f64]) -> D {
    coefficients.iter().fold(D::literal(0.0), |sum, c| sum * x + D::literal(*c))
}

/// Natural logarithm of a positive, finite, normal `x`, within 2 units in the last place.
pub fn ln64<D: Double>(x: D) -> D {
    let mut exponent = D::from_int((x.to_bits() >> 52) as i64 - 1023);
    let mut m = D::from_bits(x.to_bits() & ((1 << 52) - 1) | 1023 << 52);
    if m > D::literal(core::f64::consts::SQRT_2) {
        m = m * D::literal(0.5);
        exponent = exponent + D::literal(1.0);
    }
    // ln m = 2 atanh(s) = 2 (s + s^3/3 + s^5/5 + …), |s| < 0.172.
    let (one, two) = (D::literal(1.0), D::literal(2.0));
    let s = (m - one) / (m + one);
    let z = s * s;
    let series = (1..=11).rev().fold(D::literal(0.0), |sum, i| (sum + one / D::from_int(2 * i + 1)) * z);
    let ln_m = two * s + two * s * series;
    exponent * D::from_bits(LN2_HI64) + (exponent * D::from_bits(LN2_LO64) + ln_m)
}

/// The upper 32 bits of ln 2.
const LN2_HI64: u64 = 0x3fe6_2e42_fee0_0000;
const LN2_LO64: u64 = 0x3dea_39ef_3579_3c76;

/// `e^x` for |x| ≤ 700, within 2 units in the last place.
pub fn exp64<D: Double>(x: D) -> D {
    let one = D::literal(1.0);
    let n = (x * D::literal(core::f64::consts::LOG2_E) + D::literal(ROUND64)) - D::literal(ROUND64);
    let r = (x - n * D::from_bits(LN2_HI64)) - n * D::from_bits(LN2_LO64);
    let tail = (2..=14).rev().fold(D::literal(0.0), |sum, i| (sum + one) * (r / D::from_int(i)));
    let y = one + (r + r * tail);
    y * D::from_bits((n.to_int().wrapping_add(1023) as u64) << 52)
}

/// Frequencies of the rotary embedding: element `i` is `theta^(-2 i / head_dim)` for `i < head_dim / 2`, in radians a
/// position.
pub fn rope_frequencies<S: Single>(theta: S, head_dim: usize) -> Vec<S::Double> {
    (0..head_dim / 2).map(|i| rope_frequency(theta, head_dim, i)).collect()
}

/// Element `i` of [`rope_frequencies`].
pub fn rope_frequency<S: Single>(theta: S, head_dim: usize, i: usize) -> S::Double {
    let [step, len] = [2 * i, head_dim].map(|count| S::Double::from_int(count as i64));
    exp64(-(step / len) * ln64(theta.widen()))
}

/// Cosine and sine of `position · frequency`, computed in f64 and rounded once.
pub fn rope_angle<D: Double>(position: u32, frequency: D) -> (D::Single, D::Single) {
    let (sine, cosine) = sin_cos(D::from_int(position.into()) * frequency);
    (cosine.narrow(), sine.narrow())
}

/// Cosines and sines that turn the pairs of a head at `position`, see [`rope_angle`].
///
/// `cos` and `sin` have the length of `frequencies`.
pub fn rope_row<D: Double>(position: u32, frequencies: &[D], cos: &mut [D::Single], sin: &mut [D::Single]) {
    for ((f, c), s) in frequencies.iter().zip(cos).zip(sin) {
        (*c, *s) = rope_angle(position, *f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft_float::{F32, F64};
    use proptest::prelude::*;

    /// Distance of `y` from `exact` in units in the last place of an f32 of `exact`'s size.
    fn ulps(y: f32, exact: f64) -> f64 {
        let unit =
            f64::from(f32::from_bits(((exact.abs() as f32).to_bits() & 0x7f80_0000).max(1 << 23))) * 2f64.powi(-23);
        (f64::from(y) - exact).abs() / unit
    }

    #[test]
    fn exp_is_within_two_ulp_of_the_exact_value() {
        let mut worst = 0f64;
        for sign in [0u32, 1 << 31] {
            // Every 97th float from 2^-40 up to the range's ends.
            for bits in (0x2b80_0000..=88f32.to_bits()).step_by(97) {
                let x = f32::from_bits(bits | sign);
                if (EXP_MIN..=EXP_MAX).contains(&x) {
                    worst = worst.max(ulps(exp(x), f64::from(x).exp()));
                }
            }
        }
        assert!(worst <= 2.0, "{worst} ulp");
    }

    #[test]
    fn exp_is_defined_everywhere() {
        assert_eq!(exp(0f32).to_bits(), 1f32.to_bits());
        assert_eq!(exp(-0f32).to_bits(), 1f32.to_bits());
        assert!(exp(EXP_MIN) >= f32::MIN_POSITIVE);
        assert!(exp(EXP_MAX).is_finite());
        for x in [-87.000_01f32, -1e30, f32::NEG_INFINITY] {
            assert_eq!(exp(x).to_bits(), 0);
        }
        for x in [88.000_01f32, 1e30, f32::INFINITY] {
            assert_eq!(exp(x), f32::INFINITY);
        }
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn silu_has_the_limits_of_its_definition() {
        assert_eq!(silu(0f32), 0.0);
        assert_eq!(silu(100f32), 100.0);
        assert_eq!(silu(-100f32), 0.0);
        assert!((f64::from(silu(1f32)) - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-6);
    }

    #[test]
    fn sin_cos_agree_with_the_exact_values_over_all_positions() {
        for i in 0..400_000u32 {
            let x = f64::from(i) * 2.618_033_988_749_895;
            let (s, c) = sin_cos(x);
            assert!((s - x.sin()).abs() < 1e-15 && (c - x.cos()).abs() < 1e-15, "at {x}");
            let (s, c) = sin_cos(-x);
            assert!((s + x.sin()).abs() < 1e-15 && (c - x.cos()).abs() < 1e-15, "at -{x}");
        }
    }

    #[test]
    fn rotations_are_pinned() {
        // Any change of these bits is a change of the protocol.
        let frequencies = rope_frequencies(100_000f32, 64);
        let (mut cos, mut sin) = ([0.0; 32], [0.0; 32]);
        rope_row(1_048_575, &frequencies, &mut cos, &mut sin);
        let mut digest = 0u64;
        for (c, s) in cos.iter().zip(&sin) {
            digest = digest.rotate_left(7) ^ u64::from(c.to_bits()) << 32 ^ u64::from(s.to_bits());
        }
        assert_eq!(digest, PINNED_ROTATIONS);
    }

    const PINNED_ROTATIONS: u64 = 5_943_614_639_612_898_332;

    #[test]
    fn the_tree_is_the_documented_one() {
        let lanes: [f32; 16] = core::array::from_fn(|i| (i as f32 + 0.1) * 1e3f32.powi(i as i32 % 5));
        let mut fold = lanes.to_vec();
        for half in [8, 4, 2, 1] {
            for j in 0..half {
                fold[j] += fold[j + half];
            }
        }
        assert_eq!(tree(lanes).to_bits(), fold[0].to_bits());
    }

    proptest! {
        #[test]
        fn ln_and_exp_are_within_rounding_of_the_exact_values(x in 1e-30f64..1e30) {
            let y = ln64(x);
            prop_assert!((y - x.ln()).abs() <= 4.0 * f64::EPSILON * x.ln().abs().max(0.5));
            prop_assert!((exp64(y) / x - 1.0).abs() < 1e-13);
            prop_assert!((exp64(y / 2.0) / (y / 2.0).exp() - 1.0).abs() < 4.0 * f64::EPSILON);
        }

        #[test]
        fn dot_follows_the_documented_order(a in proptest::collection::vec(-1e3f32..1e3, 0..100)) {
            let b: Vec<f32> = a.iter().rev().copied().collect();
            let mut lanes = [0f32; 16];
            for (i, (x, y)) in a.iter().zip(&b).enumerate() {
                lanes[i % 16] += x * y;
            }
            prop_assert_eq!(dot(&a, &b).to_bits(), tree(lanes).to_bits());
        }

        #[test]
        fn a_missing_lane_is_a_lane_of_zeros(a in proptest::collection::vec(-1e3f32..1e3, 1..100)) {
            let mut padded = a.clone();
            padded.resize(a.len().next_multiple_of(16), 0.0);
            prop_assert_eq!(dot(&a, &a).to_bits(), dot(&padded, &padded).to_bits());
        }

        #[test]
        fn integers_compute_what_processors_do(bits: u32, x in -90f32..90.0, len in 0usize..70, position in 0u32..1 << 20, theta in 1e3f32..1e7) {
            let soft = |x: f32| F32::from_bits(x.to_bits());
            for x in [f32::from_bits(bits), x] {
                for (found, expected) in [(exp(soft(x)), exp(x)), (silu(soft(x)), silu(x)), (rsqrt(soft(x)), rsqrt(x))] {
                    prop_assert_eq!(found.to_bits(), if expected.is_nan() { F32::NAN.to_bits() } else { expected.to_bits() });
                }
            }
            let values: Vec<f32> = (0..len).map(|i| x * (i as f32 + 0.3) / 7.0).collect();
            let softs: Vec<F32> = values.iter().map(|x| soft(*x)).collect();
            prop_assert_eq!(dot(&softs, &softs).to_bits(), dot(&values, &values).to_bits());
            for (hard, soft) in rope_frequencies(theta, 64).into_iter().zip(rope_frequencies(soft(theta), 64)) {
                prop_assert_eq!(soft.to_bits(), hard.to_bits());
                let ((c, s), (soft_c, soft_s)) = (rope_angle(position, hard), rope_angle(position, soft));
                prop_assert_eq!((soft_c.to_bits(), soft_s.to_bits()), (c.to_bits(), s.to_bits()));
            }
            let n = F64::from_int(i64::from(position));
            prop_assert_eq!(n.to_int(), i64::from(position));
        }
    }
}
