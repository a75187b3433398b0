//! Metadata values, read from their place in the file when they are asked for.

use super::{GgufError, MAX_DEPTH, cursor::Cursor};
use std::fmt;

/// Longest string value, in bytes; the file's length bounds it further.
const MAX_STRING: u64 = 1 << 30;
/// Most items of an array; the file's length bounds it further.
const MAX_ITEMS: u64 = 1 << 30;

macro_rules! value_types {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal,)*) => {
        /// Type of a metadata value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ValueType {
            $($(#[$doc])* $name = $number,)*
        }

        impl ValueType {
            fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for ValueType {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }
    };
}

value_types! {
    /// Unsigned, 8 bits.
    U8 = 0 "u8",
    /// Signed, 8 bits.
    I8 = 1 "i8",
    /// Unsigned, 16 bits.
    U16 = 2 "u16",
    /// Signed, 16 bits.
    I16 = 3 "i16",
    /// Unsigned, 32 bits.
    U32 = 4 "u32",
    /// Signed, 32 bits.
    I32 = 5 "i32",
    /// IEEE 754 binary32.
    F32 = 6 "f32",
    /// One byte, 0 or 1.
    Bool = 7 "bool",
    /// UTF-8.
    String = 8 "string",
    /// Items of one type.
    Array = 9 "array",
    /// Unsigned, 64 bits.
    U64 = 10 "u64",
    /// Signed, 64 bits.
    I64 = 11 "i64",
    /// IEEE 754 binary64.
    F64 = 12 "f64",
}

impl ValueType {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, GgufError> {
        let at = cursor.at() as u64;
        let found = cursor.u32("a value's type")?;
        Self::from_number(found).ok_or(GgufError::ValueType { at, found })
    }

    /// Bytes of the shortest value of this type.
    fn min_bytes(self) -> u64 {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::String => 8,
            Self::Array => 12,
        }
    }

    /// Whether every value of this type has [`Self::min_bytes`] bytes and every pattern of them is one.
    fn is_plain(self) -> bool {
        !matches!(self, Self::Bool | Self::String | Self::Array)
    }
}

/// A metadata value; strings and arrays are borrowed from the file.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// An integer of any width and sign: none of them is wider than this.
    Int(i128),
    /// A float; binary32 values are exact in it.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A string.
    String(&'a str),
    /// An array.
    Array(Array<'a>),
}

/// An array of metadata values in place.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    file: &'a [u8],
    at: usize,
    count: u64,
    ty: ValueType,
    depth: u32,
}

impl<'a> Value<'a> {
    /// Reads, and so checks, a value; arrays are walked to their end.
    pub(super) fn read(cursor: &mut Cursor<'a>, ty: ValueType, depth: u32) -> Result<Self, GgufError> {
        const WHAT: &str = "a metadata value";
        Ok(match ty {
            ValueType::U8 => Self::Int(cursor.array(WHAT).map(u8::from_le_bytes)?.into()),
            ValueType::I8 => Self::Int(cursor.array(WHAT).map(i8::from_le_bytes)?.into()),
            ValueType::U16 => Self::Int(cursor.array(WHAT).map(u16::from_le_bytes)?.into()),
            ValueType::I16 => Self::Int(cursor.array(WHAT).map(i16::from_le_bytes)?.into()),
            ValueType::U32 => Self::Int(cursor.array(WHAT).map(u32::from_le_bytes)?.into()),
            ValueType::I32 => Self::Int(cursor.array(WHAT).map(i32::from_le_bytes)?.into()),
            ValueType::U64 => Self::Int(cursor.array(WHAT).map(u64::from_le_bytes)?.into()),
            ValueType::I64 => Self::Int(cursor.array(WHAT).map(i64::from_le_bytes)?.into()),
            ValueType::F32 => Self::Float(cursor.array(WHAT).map(f32::from_le_bytes)?.into()),
            ValueType::F64 => Self::Float(cursor.array(WHAT).map(f64::from_le_bytes)?),
            ValueType::Bool => {
                let at = cursor.at() as u64;
                match cursor.array::<1>(WHAT)? {
                    [0] => Self::Bool(false),
                    [1] => Self::Bool(true),
                    [found] => return Err(GgufError::Bool { at, found }),
                }
            },
            ValueType::String => Self::String(cursor.string("a string value", MAX_STRING)?),
            ValueType::Array => Self::Array(Array::read(cursor, depth)?),
        })
    }

    fn describe(&self) -> String {
        match self {
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::String(text) => format!("a string of {} bytes", text.len()),
            Self::Array(array) => format!("an array of {} {}", array.count, array.ty),
        }
    }
}

impl<'a> Array<'a> {
    fn read(cursor: &mut Cursor<'a>, depth: u32) -> Result<Self, GgufError> {
        let at = cursor.at() as u64;
        if depth >= MAX_DEPTH {
            let (found, limit) = (u64::from(depth) + 1, u64::from(MAX_DEPTH));
            return Err(GgufError::TooMany { what: "the nesting of arrays", at, found, limit });
        }
        let ty = ValueType::read(cursor)?;
        let count = cursor.count("the length of an array", MAX_ITEMS, ty.min_bytes())?;
        let array = Self { file: cursor.file(), at: cursor.at(), count, ty, depth };
        if ty.is_plain() {
            cursor.take(count.saturating_mul(ty.min_bytes()), "an array")?;
        } else {
            for _ in 0..count {
                Value::read(cursor, ty, depth + 1)?;
            }
        }
        Ok(array)
    }

    /// Number of items.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Type of the items.
    pub fn ty(&self) -> ValueType {
        self.ty
    }

    /// The items in order.
    pub fn values(&self) -> impl Iterator<Item = Result<Value<'a>, GgufError>> + use<'a> {
        let mut cursor = Cursor::new(self.file, self.at);
        let (ty, depth) = (self.ty, self.depth + 1);
        (0..self.count).map(move |_| Value::read(&mut cursor, ty, depth))
    }

    /// The items of an array called `key`, each read as `T`.
    pub fn items<T: FromValue<'a>>(
        &self,
        key: &'static str,
    ) -> impl Iterator<Item = Result<T, GgufError>> + use<'a, T> {
        self.values().map(move |value| {
            T::from_value(value?).map_err(|found| super::wrong_type(key, T::EXPECTED, format!("an array with {found}")))
        })
    }
}

/// What a metadata value can be read as.
pub trait FromValue<'a>: Sized {
    /// For messages: what is expected.
    const EXPECTED: &'static str;

    /// The value, or a description of what it is instead.
    fn from_value(value: Value<'a>) -> Result<Self, String>;
}

macro_rules! from_value {
    ($($ty:ty, $expected:literal, $pattern:pat => $value:expr;)*) => {$(
        impl<'a> FromValue<'a> for $ty {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: Value<'a>) -> Result<Self, String> {
                match value {
                    $pattern => $value.ok_or_else(|| value.describe()),
                    other => Err(other.describe()),
                }
            }
        }
    )*};
}

from_value! {
    u16, "an integer from 0 to 2^16 - 1", Value::Int(n) => u16::try_from(n).ok();
    u32, "an integer from 0 to 2^32 - 1", Value::Int(n) => u32::try_from(n).ok();
    u64, "an integer from 0 to 2^64 - 1", Value::Int(n) => u64::try_from(n).ok();
    i64, "a 64-bit integer", Value::Int(n) => i64::try_from(n).ok();
    f64, "a number", Value::Float(x) => Some(x);
    bool, "a boolean", Value::Bool(b) => Some(b);
    &'a str, "a string", Value::String(text) => Some(text);
    Array<'a>, "an array", Value::Array(array) => Some(array);
}
