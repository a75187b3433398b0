//! IEEE 754 binary32 and binary64 in integers: round to nearest even, subnormals honoured.
//!
//! The runtime re-computes disputed operations of the model, some of which are on floats. It does so in integers: what a
//! WebAssembly executor makes of floats is its own affair, and a runtime has none. Results are those of any processor, bit for
//! bit, except that whatever is no number is one and the same here, [`F32::NAN`] or [`F64::NAN`]; the model's execution ends
//! where one appears.
//!
//! A finite number is an integer of 24 or 53 bits times a power of two. Operations are done on those in twice the width or
//! more, exactly but for a last bit that stands for all that is below it, and rounded once, in `pack`.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "exponents and widths are bounded by the formats; tests compare all operations with the processor's"
)]

use core::{
    cmp::Ordering,
    ops::{Add, Div, Mul, Neg, Sub},
};

macro_rules! soft_float {
    ($(#[$doc:meta])* $name:ident, $bits:ident, $wide:ident, $int:ident, mantissa: $mantissa:literal, exponent: $exponent:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name($bits);

        impl $name {
            /// +0.
            pub const ZERO: Self = Self(0);
            /// +∞.
            pub const INFINITY: Self = Self(((1 << $exponent) - 1) << $mantissa);
            /// What is no number: the positive quiet one without a payload.
            pub const NAN: Self = Self(Self::INFINITY.0 | 1 << ($mantissa - 1));

            const SIGN: $bits = 1 << ($mantissa + $exponent);
            /// Of the unit in the last place of subnormal numbers, as a power of two.
            const LOWEST: i32 = 2 - (1 << ($exponent - 1)) - $mantissa;
            /// Bits that a significand can be shifted left by in the wide type, with one more to spare for a sum.
            const ROOM: u32 = $wide::BITS - 2 - ($mantissa + 1);

            /// From the bits of the format.
            pub const fn from_bits(bits: $bits) -> Self {
                Self(bits)
            }

            /// The bits of the format.
            pub const fn to_bits(self) -> $bits {
                self.0
            }

            /// Whether this is no number.
            pub const fn is_nan(self) -> bool {
                self.magnitude() > Self::INFINITY.0
            }

            /// Whether this is a number, and no infinity.
            pub const fn is_finite(self) -> bool {
                self.magnitude() < Self::INFINITY.0
            }

            const fn magnitude(self) -> $bits {
                self.0 & !Self::SIGN
            }

            const fn is_negative(self) -> bool {
                self.0 & Self::SIGN != 0
            }

            const fn is_zero(self) -> bool {
                self.magnitude() == 0
            }

            const fn with_sign(self, is_negative: bool) -> Self {
                if is_negative { Self(self.0 | Self::SIGN) } else { Self(self.magnitude()) }
            }

            /// A finite number's magnitude: an integer, and the power of two that it is times.
            const fn unpack(self) -> ($wide, i32) {
                let (field, fraction) = (self.magnitude() >> $mantissa, self.0 & ((1 << $mantissa) - 1));
                match field {
                    0 => (fraction as $wide, Self::LOWEST),
                    field => ((fraction | 1 << $mantissa) as $wide, Self::LOWEST + field as i32 - 1),
                }
            }

            /// A finite number's magnitude as above, other than zero, with an integer of full width.
            const fn unpack_full(self) -> ($wide, i32) {
                let (significand, exponent) = self.unpack();
                let shift = significand.leading_zeros() - ($wide::BITS - ($mantissa + 1));
                (significand << shift, exponent - shift as i32)
            }

            /// `significand · 2^exponent`, rounded. A last bit of one may stand for anything more than zero and less than two
            /// in that place, if there are at least two bits more than a significand has.
            const fn pack(is_negative: bool, significand: $wide, exponent: i32) -> Self {
                if significand == 0 {
                    return Self::ZERO.with_sign(is_negative);
                }
                let top = $wide::BITS as i32 - 1 - significand.leading_zeros() as i32;
                let normal = top + exponent - $mantissa;
                let unit = if normal > Self::LOWEST { normal } else { Self::LOWEST };
                let shift = unit - exponent;
                let rounded = if shift <= 0 {
                    significand << -shift
                } else if shift >= $wide::BITS as i32 {
                    // Less than half of the smallest unit.
                    0
                } else {
                    let (kept, rest) = (significand >> shift, significand & ((1 << shift) - 1));
                    let half = 1 << (shift - 1);
                    kept + (rest > half || rest == half && kept & 1 == 1) as $wide
                };
                // The leading bit of a normal number adds one to the exponent's field, as does a carry out of the significand.
                let bits = (((unit - Self::LOWEST) as $wide) << $mantissa) + rounded;
                let bits = if bits >= Self::INFINITY.0 as $wide { Self::INFINITY.0 } else { bits as $bits };
                Self(bits).with_sign(is_negative)
            }

            /// The nearest to an integer.
            pub const fn from_int(value: $int) -> Self {
                Self::pack(value < 0, value.unsigned_abs() as $wide, 0)
            }

            /// The square root, rounded.
            pub fn sqrt(self) -> Self {
                match (self.is_zero(), self.is_nan() || self.is_negative(), self.is_finite()) {
                    (true, _, _) | (_, false, false) => self,
                    (_, true, _) => Self::NAN,
                    _ => {
                        let (significand, exponent) = self.unpack_full();
                        // An even exponent.
                        let shift = Self::ROOM - (Self::ROOM as i32 + exponent).rem_euclid(2) as u32;
                        let square = significand << shift;
                        let root = square.isqrt();
                        let is_inexact = root * root != square;
                        // One more bit, for what is below.
                        Self::pack(false, root << 1 | <$wide>::from(is_inexact), (exponent - shift as i32) / 2 - 1)
                    },
                }
            }
        }

        impl Neg for $name {
            type Output = Self;

            fn neg(self) -> Self {
                if self.is_nan() { Self::NAN } else { Self(self.0 ^ Self::SIGN) }
            }
        }

        impl Add for $name {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                if self.is_nan() || other.is_nan() {
                    return Self::NAN;
                }
                match (self.is_finite(), other.is_finite()) {
                    (false, false) => return if self == other { self } else { Self::NAN },
                    (false, true) => return self,
                    (true, false) => return other,
                    (true, true) => {},
                }
                let (large, small) = if self.magnitude() >= other.magnitude() { (self, other) } else { (other, self) };
                if large.is_zero() {
                    return Self::ZERO.with_sign(large.is_negative() && small.is_negative());
                }
                let ((a, exponent), (b, below)) = (large.unpack(), small.unpack());
                let (a, b) = (a << Self::ROOM, b << Self::ROOM);
                let distance = exponent.abs_diff(below);
                let (shifted, lost) = match distance < $wide::BITS {
                    true => (b >> distance, b & ((1 << distance) - 1) != 0),
                    false => (0, b != 0),
                };
                let b = shifted | <$wide>::from(lost);
                let sum = if large.is_negative() == small.is_negative() { a + b } else { a - b };
                // What cancels is +0.
                Self::pack(large.is_negative() && sum != 0, sum, exponent - Self::ROOM as i32)
            }
        }

        impl Sub for $name {
            type Output = Self;

            fn sub(self, other: Self) -> Self {
                self + -other
            }
        }

        impl Mul for $name {
            type Output = Self;

            fn mul(self, other: Self) -> Self {
                let is_negative = self.is_negative() != other.is_negative();
                if self.is_nan() || other.is_nan() {
                    return Self::NAN;
                }
                if !self.is_finite() || !other.is_finite() {
                    let is_number = !self.is_zero() && !other.is_zero();
                    return if is_number { Self::INFINITY.with_sign(is_negative) } else { Self::NAN };
                }
                let ((a, at), (b, bt)) = (self.unpack(), other.unpack());
                Self::pack(is_negative, a * b, at + bt)
            }
        }

        impl Div for $name {
            type Output = Self;

            fn div(self, other: Self) -> Self {
                let is_negative = self.is_negative() != other.is_negative();
                if self.is_nan() || other.is_nan() {
                    return Self::NAN;
                }
                match (self.is_finite(), other.is_finite(), self.is_zero(), other.is_zero()) {
                    (false, false, _, _) | (_, _, true, true) => return Self::NAN,
                    (false, true, _, _) | (_, _, false, true) => return Self::INFINITY.with_sign(is_negative),
                    (true, false, _, _) | (_, _, true, false) => return Self::ZERO.with_sign(is_negative),
                    (true, true, false, false) => {},
                }
                let ((a, at), (b, bt)) = (self.unpack_full(), other.unpack_full());
                let dividend = a << Self::ROOM;
                let quotient = dividend / b;
                let is_inexact = quotient * b != dividend;
                let exponent = at - bt - Self::ROOM as i32 - 1;
                Self::pack(is_negative, quotient << 1 | <$wide>::from(is_inexact), exponent)
            }
        }

        impl PartialOrd for $name {
            /// As numbers: zeros are equal, and what is no number is neither less nor more than anything.
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                if self.is_nan() || other.is_nan() {
                    return None;
                }
                if self.is_zero() && other.is_zero() {
                    return Some(Ordering::Equal);
                }
                Some(match (self.is_negative(), other.is_negative()) {
                    (false, false) => self.0.cmp(&other.0),
                    (true, true) => other.0.cmp(&self.0),
                    (false, true) => Ordering::Greater,
                    (true, false) => Ordering::Less,
                })
            }
        }
    };
}

soft_float! {
    /// A binary32. Equality is that of bits; order is that of numbers.
    F32, u32, u64, i64, mantissa: 23, exponent: 8
}

soft_float! {
    /// A binary64. Equality is that of bits; order is that of numbers.
    F64, u64, u128, i64, mantissa: 52, exponent: 11
}

impl F64 {
    /// The integer part, or the nearest that there is; zero of what is no number. As the processor's floats are converted.
    pub fn to_int(self) -> i64 {
        if self.is_nan() {
            return 0;
        }
        let (significand, exponent) = self.unpack();
        let whole = match exponent {
            ..=-64 => 0,
            -63..=-1 => significand >> -exponent,
            0..=10 => significand << exponent,
            // From 2^63 on, infinity among them.
            11.. if self.is_negative() => return i64::MIN,
            11.. => return i64::MAX,
        } as i64;
        if self.is_negative() {
            -whole
        } else {
            whole
        }
    }

    /// The nearest binary32.
    pub fn to_f32(self) -> F32 {
        if self.is_nan() {
            return F32::NAN;
        }
        if !self.is_finite() {
            return F32::INFINITY.with_sign(self.is_negative());
        }
        let (significand, exponent) = self.unpack();
        F32::pack(self.is_negative(), significand as u64, exponent)
    }
}

impl From<F32> for F64 {
    fn from(value: F32) -> Self {
        if value.is_nan() {
            return Self::NAN;
        }
        if !value.is_finite() {
            return Self::INFINITY.with_sign(value.is_negative());
        }
        let (significand, exponent) = value.unpack();
        Self::pack(value.is_negative(), significand.into(), exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    macro_rules! against_the_processor {
        ($module:ident, $soft:ident, $hard:ident, $bits:ident) => {
            mod $module {
                use super::*;

                /// Values at the edges of the format.
                const EDGES: [$hard; 14] = [
                    0.0,
                    1.0,
                    0.5,
                    3.0,
                    $hard::MIN_POSITIVE,
                    $hard::MIN_POSITIVE / 2.0,
                    $hard::MAX,
                    $hard::MAX / 2.0,
                    $hard::EPSILON,
                    1.0 + $hard::EPSILON,
                    1.0 - $hard::EPSILON / 2.0,
                    $hard::INFINITY,
                    $hard::NAN,
                    8_388_609.0,
                ];

                fn is(found: $soft, expected: $hard) -> bool {
                    if expected.is_nan() {
                        found == $soft::NAN
                    } else {
                        found.to_bits() == expected.to_bits()
                    }
                }

                fn check(a: $hard, b: $hard) {
                    let (x, y) = ($soft::from_bits(a.to_bits()), $soft::from_bits(b.to_bits()));
                    assert!(is(x + y, a + b), "{a:e} + {b:e} is {:e}", a + b);
                    assert!(is(x - y, a - b), "{a:e} - {b:e} is {:e}", a - b);
                    assert!(is(x * y, a * b), "{a:e} · {b:e} is {:e}", a * b);
                    assert!(is(x / y, a / b), "{a:e} / {b:e} is {:e}", a / b);
                    assert!(is(x.sqrt(), a.sqrt()), "√{a:e} is {:e}", a.sqrt());
                    assert!(is(-x, -a), "-{a:e}");
                    assert_eq!(x.partial_cmp(&y), a.partial_cmp(&b), "{a:e} and {b:e}");
                    assert_eq!((x.is_nan(), x.is_finite()), (a.is_nan(), a.is_finite()), "{a:e}");
                }

                #[test]
                fn edges_meet_each_other() {
                    for a in EDGES {
                        for b in EDGES {
                            for (a, b) in [(a, b), (-a, b), (a, -b), (-a, -b)] {
                                check(a, b);
                            }
                        }
                        for step in 1..4 {
                            check(a, $hard::from_bits(a.to_bits().wrapping_add(step)));
                            check($hard::from_bits(step), a);
                        }
                    }
                }

                proptest! {
                    #![proptest_config(ProptestConfig::with_cases(20_000))]
                    #[test]
                    fn any_bits(a: $bits, b: $bits) {
                        check($hard::from_bits(a), $hard::from_bits(b));
                    }

                    // Numbers of similar size, whose bits cancel and whose products are no infinities.
                    #[test]
                    fn similar_numbers(a: $bits, b: $bits, distance in 0..60i32) {
                        let one = (1.0 as $hard).to_bits();
                        let fraction = ((1 as $bits) << ($hard::MANTISSA_DIGITS - 1)) - 1;
                        let sign = (1 as $bits) << ($bits::BITS - 1);
                        let [a, b] = [a, b].map(|bits| $hard::from_bits(one | bits & (fraction | sign)));
                        let b = b * (distance as $hard - 30.0).exp2();
                        check(a, b);
                        check($hard::from_bits(a.to_bits() & !0xff), b);
                    }

                    #[test]
                    fn integers(value: i64, shift in 0..64u32) {
                        let value = value >> shift;
                        prop_assert!(is($soft::from_int(value), value as $hard));
                    }
                }
            }
        };
    }

    against_the_processor!(binary32, F32, f32, u32);
    against_the_processor!(binary64, F64, f64, u64);

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn formats_convert(bits: u64, short: u32, exponent in 850..1200u64) {
            let near = f64::from_bits(bits & !(0x7ff << 52) | exponent << 52);
            for wide in [f64::from_bits(bits), near] {
                let (soft, hard) = (F64::from_bits(wide.to_bits()).to_f32(), wide as f32);
                prop_assert_eq!(soft.to_bits(), if hard.is_nan() { F32::NAN.to_bits() } else { hard.to_bits() });
            }
            let size = f64::from_bits(bits & !(0x7ff << 52) | (exponent + 173) << 52);
            for wide in [f64::from_bits(bits), near, size] {
                prop_assert_eq!(F64::from_bits(wide.to_bits()).to_int(), wide as i64);
            }
            let (soft, hard) = (F64::from(F32::from_bits(short)), f64::from(f32::from_bits(short)));
            prop_assert_eq!(soft.to_bits(), if hard.is_nan() { F64::NAN.to_bits() } else { hard.to_bits() });
        }
    }
}
