//! Floats that canonical execution is written for once: the processor's, and those of [`soft_float`](crate::soft_float).

use crate::soft_float::{F32, F64};
use core::ops::{Add, Div, Mul, Neg, Sub};

/// An IEEE 754 format: operations round to nearest even, subnormals are honoured.
pub trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The type of its bits.
    type Bits;
    /// The type that constants are written in.
    type Literal;

    /// A constant.
    fn literal(value: Self::Literal) -> Self;

    /// From the bits of the format.
    fn from_bits(bits: Self::Bits) -> Self;

    /// The bits of the format.
    fn to_bits(self) -> Self::Bits;

    /// The nearest to an integer.
    fn from_int(value: i64) -> Self;

    /// The square root, rounded.
    fn sqrt(self) -> Self;
}

/// A binary32.
pub trait Single: Real<Bits = u32, Literal = f32> {
    /// The wider format beside it.
    type Double: Double<Single = Self>;

    /// The same number in the wider format.
    fn widen(self) -> Self::Double;
}

/// A binary64.
pub trait Double: Real<Bits = u64, Literal = f64> {
    /// The narrower format beside it.
    type Single: Single<Double = Self>;

    /// The nearest number of the narrower format.
    fn narrow(self) -> Self::Single;

    /// The integer part, or the nearest that 64 bits hold; zero of what is no number.
    fn to_int(self) -> i64;
}

macro_rules! soft {
    ($type:ident, $bits:ident, $literal:ident) => {
        impl Real for $type {
            type Bits = $bits;
            type Literal = $literal;

            fn literal(value: $literal) -> Self {
                Self::from_bits(value.to_bits())
            }

            fn from_bits(bits: $bits) -> Self {
                Self::from_bits(bits)
            }

            fn to_bits(self) -> $bits {
                self.to_bits()
            }

            fn from_int(value: i64) -> Self {
                Self::from_int(value)
            }

            fn sqrt(self) -> Self {
                self.sqrt()
            }
        }
    };
}

soft!(F32, u32, f32);
soft!(F64, u64, f64);

impl Single for F32 {
    type Double = F64;

    fn widen(self) -> F64 {
        self.into()
    }
}

impl Double for F64 {
    type Single = F32;

    fn narrow(self) -> F32 {
        self.to_f32()
    }

    fn to_int(self) -> i64 {
        self.to_int()
    }
}

// Without the standard library there is no square root.
#[cfg(feature = "std")]
mod hard {
    use super::{Double, Real, Single};

    macro_rules! hard {
        ($type:ident, $bits:ident) => {
            impl Real for $type {
                type Bits = $bits;
                type Literal = $type;

                #[inline(always)]
                fn literal(value: $type) -> Self {
                    value
                }

                #[inline(always)]
                fn from_bits(bits: $bits) -> Self {
                    Self::from_bits(bits)
                }

                #[inline(always)]
                fn to_bits(self) -> $bits {
                    self.to_bits()
                }

                #[inline(always)]
                fn from_int(value: i64) -> Self {
                    value as Self
                }

                #[inline(always)]
                fn sqrt(self) -> Self {
                    self.sqrt()
                }
            }
        };
    }

    hard!(f32, u32);
    hard!(f64, u64);

    impl Single for f32 {
        type Double = f64;

        #[inline(always)]
        fn widen(self) -> f64 {
            self.into()
        }
    }

    impl Double for f64 {
        type Single = f32;

        #[inline(always)]
        fn narrow(self) -> f32 {
            self as f32
        }

        #[inline(always)]
        fn to_int(self) -> i64 {
            self as i64
        }
    }
}
