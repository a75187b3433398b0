//! 32-byte names. Each kind of thing has its own type, so that a spec's id cannot be passed for a block's hash.

use alloc::string::String;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::{fmt, str::FromStr};
use scale_info::TypeInfo;

/// Why a textual id was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseIdError {
    /// Not 64 hexadecimal digits after an optional `0x`.
    Length,
    /// A character that is no hexadecimal digit.
    Digit,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("expected 64 hexadecimal digits, with or without 0x in front"),
            Self::Digit => f.write_str("a character is not a hexadecimal digit"),
        }
    }
}

impl core::error::Error for ParseIdError {}

fn parse_hex32(text: &str) -> Result<[u8; 32], ParseIdError> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    if digits.len() != 64 {
        return Err(ParseIdError::Length);
    }
    let mut out = [0u8; 32];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let mut value = 0u8;
        for digit in pair {
            let nibble = (*digit as char).to_digit(16).ok_or(ParseIdError::Digit)? as u8;
            value = value << 4 | nibble;
        }
        *byte = value;
    }
    Ok(out)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
        )]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        /// `0x` and 64 lower-case hexadecimal digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex32(text).map(Self)
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// Names a TensorBlock: BLAKE2b-256 of its header's bytes, which hold the root of its data.
    ContentHash;
    /// Root of the tile tree over a block's data region.
    TileRoot;
    /// Names a model specification: hash of its SCALE encoding.
    SpecId;
    /// Names the exact set of weights an answer was computed with: see [`crate::spec::weights_id`].
    WeightsId;
    /// Names a receipt: hash of its SCALE encoding without the signature.
    ReceiptId;
    /// Merkle root of a batch of receipt ids.
    BatchRoot;
    /// Names a piece of hardware: hash of what identifies it physically. Unique across accounts.
    HardwareId;
    /// A step of the rolling commitment over an answer.
    Commitment;
}

/// A place for an expert in every spec of one lineage.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    DecodeWithMemTracking,
    TypeInfo,
    MaxEncodedLen,
)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SlotId {
    /// The first spec of the lineage.
    pub lineage: SpecId,
    /// Layer, from 0.
    pub layer: u16,
    /// Expert within the layer, from 0.
    pub index: u16,
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.lineage, self.layer, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_round_trips() {
        let id = SpecId(core::array::from_fn(|i| i as u8 * 7));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().trim_start_matches("0x").to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn bad_text_is_refused() {
        assert_eq!("0x12".parse::<SpecId>(), Err(ParseIdError::Length));
        assert_eq!("g".repeat(64).parse::<SpecId>(), Err(ParseIdError::Digit));
        assert_eq!("é".repeat(32).parse::<SpecId>(), Err(ParseIdError::Digit));
    }
}
