//! Semantic versions of specs, and the ranges with which a spec says what it can stand in for.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::{fmt, str::FromStr};
use scale_info::TypeInfo;

/// `major.minor.patch`, ordered as SemVer orders releases. Pre-release tags do not exist here.
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
pub struct SemVer {
    /// Changes that break whoever relies on the former behaviour.
    pub major: u16,
    /// Compatible additions.
    pub minor: u16,
    /// Compatible corrections.
    pub patch: u16,
}

impl SemVer {
    /// `major.minor.patch`.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Whether `self` follows `parent`: strictly newer.
    pub fn succeeds(self, parent: Self) -> bool {
        self > parent
    }
}

impl fmt::Display for SemVer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A text that is no `major.minor.patch` of three 16-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseVersionError;

impl fmt::Display for ParseVersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected major.minor.patch, three numbers up to 65535")
    }
}

impl core::error::Error for ParseVersionError {}

impl FromStr for SemVer {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.').map(|part| {
            // SemVer forbids signs and leading zeros, which `u16::from_str` would accept.
            let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            let leading_zero = part.len() > 1 && part.starts_with('0');
            if plain && !leading_zero {
                part.parse::<u16>().ok()
            } else {
                None
            }
        });
        let mut next = || parts.next().flatten().ok_or(ParseVersionError);
        let version = Self::new(next()?, next()?, next()?);
        if parts.next().is_some() {
            Err(ParseVersionError)
        } else {
            Ok(version)
        }
    }
}

/// Versions from `min` on, below `below`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct VersionRange {
    /// The first version inside.
    pub min: SemVer,
    /// The first version above, outside.
    pub below: SemVer,
}

impl VersionRange {
    /// What SemVer promises for `version`: the same major from it on, or the same minor while the major is 0.
    pub const fn caret(version: SemVer) -> Self {
        let below = if version.major > 0 {
            SemVer::new(version.major.saturating_add(1), 0, 0)
        } else {
            SemVer::new(0, version.minor.saturating_add(1), 0)
        };
        Self { min: version, below }
    }

    /// Whether the range is not empty.
    pub fn is_valid(&self) -> bool {
        self.min < self.below
    }

    /// Whether `version` is inside.
    pub fn contains(&self, version: SemVer) -> bool {
        self.min <= version && version < self.below
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ">={}, <{}", self.min, self.below)
    }
}

#[cfg(feature = "serde")]
mod serde_impl {
    use super::SemVer;
    use alloc::string::String;

    impl serde::Serialize for SemVer {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de> serde::Deserialize<'de> for SemVer {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = <String as serde::Deserialize>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn caret_follows_semver() {
        let range = VersionRange::caret(SemVer::new(1, 2, 3));
        assert!(range.contains(SemVer::new(1, 9, 0)) && !range.contains(SemVer::new(2, 0, 0)));
        assert!(!range.contains(SemVer::new(1, 2, 2)));
        let zero = VersionRange::caret(SemVer::new(0, 2, 3));
        assert!(zero.contains(SemVer::new(0, 2, 9)) && !zero.contains(SemVer::new(0, 3, 0)));
    }

    #[test]
    fn odd_texts_are_refused() {
        for text in ["", "1", "1.2", "1.2.3.4", "01.2.3", "+1.2.3", "1.2.65536", "1.2.x", "1..3"] {
            assert_eq!(text.parse::<SemVer>(), Err(ParseVersionError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(major: u16, minor: u16, patch: u16) {
            let version = SemVer::new(major, minor, patch);
            prop_assert_eq!(alloc::string::ToString::to_string(&version).parse(), Ok(version));
        }
    }
}
