//! Model specifications: everything needed to know which tensors make a model, and how they compute.

use crate::{
    block::ExpertShape,
    hash::{hash, Domain},
    ids::{ContentHash, SpecId, WeightsId},
    version::{SemVer, VersionRange},
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::fmt;
use scale_info::TypeInfo;

const SPEC: Domain = Domain("blyan/spec/1");
const WEIGHTS: Domain = Domain("blyan/weights/1");

/// Most layers of a model.
pub const MAX_LAYERS: u16 = 512;
/// Most experts a layer.
pub const MAX_EXPERTS: u16 = 1024;
/// Most experts that a token can be sent to.
pub const MAX_TOP_K: u16 = 64;

/// An IEEE 754 binary32 by its bits, so that equality, hashing and encoding are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct F32Bits(pub u32);

impl F32Bits {
    /// The bits of `value`.
    pub const fn new(value: f32) -> Self {
        Self(value.to_bits())
    }

    /// The value.
    pub const fn get(self) -> f32 {
        f32::from_bits(self.0)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for F32Bits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f32(self.get())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for F32Bits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f32::deserialize(deserializer).map(Self::new)
    }
}

/// A name of 1 to 64 printable ASCII characters, zero-padded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Name([u8; 64]);

impl Name {
    /// `text` as a name; `None` when it is empty, too long, or has characters that are not printable ASCII.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; 64];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self(bytes)).filter(Self::is_valid)
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(self.0.len());
        self.0.get(..len).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    /// Whether the bytes, which may come from a stranger, are a name.
    pub fn is_valid(&self) -> bool {
        let len = self.as_str().len();
        let (text, padding) = self.0.split_at(len);
        !text.is_empty() && text.iter().all(u8::is_ascii_graphic) && padding.iter().all(|b| *b == 0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <alloc::string::String as serde::Deserialize>::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| serde::de::Error::custom("expected 1 to 64 printable ASCII characters"))
    }
}

/// Dimensions and constants of a decoder-only transformer whose feed-forward layers are mixtures of experts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Dimensions {
    /// Transformer layers.
    pub layers: u16,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Query heads.
    pub heads: u16,
    /// Key and value heads; divides `heads`.
    pub kv_heads: u16,
    /// Width of a head; even, because rotary embedding turns pairs.
    pub head_dim: u16,
    /// Inner width of an expert.
    pub ffn: u32,
    /// Tokens in the vocabulary.
    pub vocab: u32,
    /// Longest sequence, in tokens.
    pub context: u32,
    /// Experts a layer.
    pub experts: u16,
    /// Experts that a token is sent to.
    pub top_k: u16,
    /// Elements of an activation that share a power-of-two scale.
    pub activation_block: u16,
    /// Base of the rotary embedding's frequencies.
    pub rope_theta: F32Bits,
    /// Added to the mean square in RMSNorm.
    pub rms_eps: F32Bits,
    /// Whether the output matrix is the embedding.
    pub tied_embeddings: bool,
    /// Whether queries and keys are normalised per head, as in Qwen3.
    pub qk_norm: bool,
    /// Layers between two checkpoints of the rolling commitment; the final hidden state is always one.
    pub checkpoint_every: u16,
}

/// Why dimensions or a spec were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum SpecError {
    /// A dimension is zero or beyond its bound, or two contradict each other.
    Dimensions,
    /// The name is not 1 to 64 printable ASCII characters.
    Name,
    /// The compatibility range is empty or does not contain the spec's own version.
    Range,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dimensions => "a dimension is zero, out of bounds, or contradicts another",
            Self::Name => "the name is not 1 to 64 printable ASCII characters",
            Self::Range => "the compatibility range is empty or leaves out the spec's own version",
        })
    }
}

impl core::error::Error for SpecError {}

impl Dimensions {
    /// Checks bounds and divisibility.
    pub fn check(&self) -> Result<(), SpecError> {
        let positive = |f: F32Bits| f.get().is_finite() && f.get() > 0.0;
        let sound = (1..=MAX_LAYERS).contains(&self.layers)
            && (1..=1 << 16).contains(&self.hidden)
            && (1..=1 << 10).contains(&self.heads)
            && (1..=self.heads).contains(&self.kv_heads)
            && self.heads.checked_rem(self.kv_heads) == Some(0)
            && (2..=1 << 10).contains(&self.head_dim)
            && self.head_dim.is_multiple_of(2)
            && (1..=1 << 18).contains(&self.ffn)
            && (2..=1 << 20).contains(&self.vocab)
            && (1..=1 << 20).contains(&self.context)
            && (1..=MAX_EXPERTS).contains(&self.experts)
            && (1..=self.experts.min(MAX_TOP_K)).contains(&self.top_k)
            && [16, 32, 64].contains(&self.activation_block)
            && (1..=MAX_LAYERS).contains(&self.checkpoint_every)
            && positive(self.rope_theta)
            && positive(self.rms_eps);
        if sound {
            Ok(())
        } else {
            Err(SpecError::Dimensions)
        }
    }

    /// Shape that every expert of the model has.
    pub fn expert_shape(&self) -> ExpertShape {
        ExpertShape { ffn: self.ffn, hidden: self.hidden }
    }

    /// Number of expert slots.
    pub fn slots(&self) -> u32 {
        u32::from(self.layers).saturating_mul(u32::from(self.experts))
    }
}

/// A meta block: the shape of a model and the blocks that every expert of it shares.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ModelSpec {
    /// What people call the model.
    pub name: Name,
    /// This spec's version.
    pub version: SemVer,
    /// Versions whose requests this spec can answer; contains `version`.
    pub compatible: VersionRange,
    /// The spec that this one succeeds; `None` starts a lineage.
    pub parent: Option<SpecId>,
    /// Shape and constants.
    pub dimensions: Dimensions,
    /// Tokenizer and chat template.
    pub tokenizer: ContentHash,
    /// Embeddings, attention and norms.
    pub trunk: ContentHash,
    /// The routers of all layers.
    pub router: ContentHash,
}

impl ModelSpec {
    /// The spec's name on chain: it depends on every field, the parent among them.
    pub fn id(&self) -> SpecId {
        SpecId(hash(SPEC, &[&self.encode()]))
    }

    /// Checks everything that can be checked without a chain.
    pub fn check(&self) -> Result<(), SpecError> {
        self.dimensions.check()?;
        if !self.name.is_valid() {
            return Err(SpecError::Name);
        }
        if !self.compatible.is_valid() || !self.compatible.contains(self.version) {
            return Err(SpecError::Range);
        }
        Ok(())
    }
}

/// Names a spec together with the expert blocks in its slots, layer by layer: all that decides what an answer is.
pub fn weights_id<'a>(spec: SpecId, heads: impl Iterator<Item = &'a ContentHash>) -> WeightsId {
    let mut bytes = alloc::vec::Vec::new();
    for head in heads {
        bytes.extend_from_slice(head.as_bytes());
    }
    WeightsId(hash(WEIGHTS, &[spec.as_bytes(), &bytes]))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn tiny() -> ModelSpec {
        ModelSpec {
            name: Name::new("tiny").unwrap(),
            version: SemVer::new(0, 1, 0),
            compatible: VersionRange::caret(SemVer::new(0, 1, 0)),
            parent: None,
            dimensions: Dimensions {
                layers: 2,
                hidden: 64,
                heads: 4,
                kv_heads: 2,
                head_dim: 16,
                ffn: 128,
                vocab: 259,
                context: 256,
                experts: 4,
                top_k: 2,
                activation_block: 32,
                rope_theta: F32Bits::new(10_000.0),
                rms_eps: F32Bits::new(1e-5),
                tied_embeddings: true,
                qk_norm: false,
                checkpoint_every: 1,
            },
            tokenizer: ContentHash([1; 32]),
            trunk: ContentHash([2; 32]),
            router: ContentHash([3; 32]),
        }
    }

    #[test]
    fn a_sound_spec_passes() {
        assert_eq!(tiny().check(), Ok(()));
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = |change: fn(&mut ModelSpec)| {
            let mut spec = tiny();
            change(&mut spec);
            spec.check().unwrap_err()
        };
        assert_eq!(refused(|s| s.dimensions.kv_heads = 3), SpecError::Dimensions);
        assert_eq!(refused(|s| s.dimensions.top_k = 5), SpecError::Dimensions);
        assert_eq!(refused(|s| s.dimensions.kv_heads = 0), SpecError::Dimensions);
        assert_eq!(refused(|s| s.dimensions.head_dim = 15), SpecError::Dimensions);
        assert_eq!(refused(|s| s.dimensions.rms_eps = F32Bits::new(f32::NAN)), SpecError::Dimensions);
        assert_eq!(refused(|s| s.dimensions.layers = MAX_LAYERS + 1), SpecError::Dimensions);
        assert_eq!(refused(|s| s.compatible.min = SemVer::new(0, 1, 1)), SpecError::Range);
        assert_eq!(refused(|s| s.name = Name([0; 64])), SpecError::Name);
        assert_eq!(refused(|s| s.name.0[63] = b'x'), SpecError::Name);
    }

    #[test]
    fn every_field_is_in_the_id() {
        let mut other = tiny();
        other.dimensions.checkpoint_every = 2;
        assert_ne!(other.id(), tiny().id());
    }

    #[test]
    fn names_are_checked() {
        assert!(Name::new("").is_none());
        assert!(Name::new("a b").is_none());
        assert!(Name::new(&"x".repeat(65)).is_none());
        assert_eq!(Name::new(&"x".repeat(64)).unwrap().as_str().len(), 64);
    }
}
