//! Model specifications: everything needed to know which tensors make a model, and how they compute.

use crate::{
    block::{BlockKind, BlockRecord, DType, ExpertShape, Layout, Quantisation, TensorInfo, MAX_DIMS},
    hash::{hash, Domain},
    ids::{ContentHash, SpecId, WeightsId},
    version::{SemVer, VersionRange},
};
use alloc::vec::Vec;
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
    /// Base of the rotary embedding's frequencies, at least 1: with a smaller one a position would turn by more than a
    /// radian, which is outside canonical execution.
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
            && (1.0..=f32::MAX).contains(&self.rope_theta.get())
            && self.rms_eps.get().is_finite()
            && self.rms_eps.get() > 0.0;
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

    /// Whether a spec of these dimensions can name the block with this record as its `kind`, as far as a record tells: it is
    /// a serving form that inference computes on, its principal tensor is the one that such a block of this model has, and
    /// it has enough tensors to be whole.
    pub fn suits(&self, kind: BlockKind, record: &BlockRecord) -> bool {
        if !record.is_serving(kind) {
            return false;
        }
        let principal = (record.dtype, record.layout, record.shape);
        let plain = record.quantisation == Quantisation::None;
        match kind {
            BlockKind::Expert => record.serves_as_expert(self.expert_shape()),
            BlockKind::Router => {
                let shape = [u32::from(self.experts), self.hidden, 0, 0];
                plain && principal == (DType::F32, Layout::RowMajor, shape) && record.tensors >= u32::from(self.layers)
            },
            BlockKind::Tokenizer => plain && (record.dtype, record.layout) == (DType::U8, Layout::RowMajor),
            BlockKind::Trunk => {
                record.quantisation == Quantisation::PerChannel
                    && self.largest_of_trunk().contains(&principal)
                    && record.tensors >= self.tensors_of_trunk()
            },
            // Parts of no model.
            BlockKind::Delta | BlockKind::Items => false,
        }
    }

    /// Type, layout and shape of the tensors of a trunk than which it has no larger one: mostly the embedding alone.
    fn largest_of_trunk(&self) -> Vec<(DType, Layout, [u32; MAX_DIMS])> {
        let width = |heads: u16| u32::from(heads).saturating_mul(u32::from(self.head_dim));
        let (queries, keys) = (width(self.heads), width(self.kv_heads));
        let matrices = [[self.vocab, self.hidden], [queries, self.hidden], [keys, self.hidden], [self.hidden, queries]];
        // The norms are no larger than the scales of the output projection or of the keys.
        let tensors = matrices.into_iter().flat_map(|[rows, k]| {
            [(DType::Int8, Layout::Rows16K4, [rows, k, 0, 0]), (DType::F32, Layout::RowMajor, [rows, 0, 0, 0])]
        });
        let sized = tensors.map(|(dtype, layout, shape)| {
            let dims: Vec<u32> = shape.into_iter().take_while(|dim| *dim != 0).collect();
            (TensorInfo::bytes(dtype, layout, &dims), (dtype, layout, shape))
        });
        let sized: Vec<_> = sized.collect();
        let most = sized.iter().map(|(bytes, _)| *bytes).max().flatten();
        sized.into_iter().filter(|(bytes, _)| *bytes == most).map(|(_, tensor)| tensor).collect()
    }

    /// Tensors that a trunk has: each matrix has its scales beside it.
    fn tensors_of_trunk(&self) -> u32 {
        let ends: u32 = if self.tied_embeddings { 3 } else { 5 };
        let layer: u32 = if self.qk_norm { 12 } else { 10 };
        layer.saturating_mul(u32::from(self.layers)).saturating_add(ends)
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
    let mut bytes = Vec::new();
    for head in heads {
        bytes.extend_from_slice(head.as_bytes());
    }
    WeightsId(hash(WEIGHTS, &[spec.as_bytes(), &bytes]))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        block::{Form, PayloadType},
        ids::TileRoot,
    };

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

    /// The record of a block that suits [`tiny`], with the tensor whose shape is given as its principal one.
    pub(crate) fn record(kind: BlockKind, shape: [u32; MAX_DIMS]) -> BlockRecord {
        let (quantisation, dtype, layout) = match kind {
            BlockKind::Trunk | BlockKind::Expert => (Quantisation::PerChannel, DType::Int8, Layout::Rows16K4),
            BlockKind::Router => (Quantisation::None, DType::F32, Layout::RowMajor),
            BlockKind::Tokenizer | BlockKind::Delta => (Quantisation::None, DType::U8, Layout::RowMajor),
            BlockKind::Items => (Quantisation::None, DType::U32, Layout::RowMajor),
        };
        BlockRecord {
            payload: PayloadType::TensorBlock,
            kind,
            form: Form::Serving,
            quantisation,
            dtype,
            layout,
            shape,
            tensors: 23,
            header_len: 100,
            data_len: 4096,
            root: TileRoot([9; 32]),
            engine: None,
            master: None,
            podl: None,
        }
    }

    #[test]
    fn a_sound_spec_passes() {
        assert_eq!(tiny().check(), Ok(()));
        let mut spec = tiny();
        spec.dimensions.rope_theta = F32Bits::new(1.0);
        assert_eq!(spec.check(), Ok(()));
    }

    #[test]
    fn a_block_suits_a_spec_by_kind_form_and_principal_tensor() {
        let d = tiny().dimensions;
        let trunk = record(BlockKind::Trunk, [259, 64, 0, 0]);
        let router = record(BlockKind::Router, [4, 64, 0, 0]);
        let expert = record(BlockKind::Expert, [128, 64, 0, 0]);
        let tokenizer = record(BlockKind::Tokenizer, [3000, 0, 0, 0]);
        for suitable in [&trunk, &router, &expert, &tokenizer] {
            assert!(d.suits(suitable.kind, suitable), "{suitable:?}");
            for kind in [BlockKind::Trunk, BlockKind::Router, BlockKind::Expert, BlockKind::Tokenizer] {
                assert!(kind == suitable.kind || !d.suits(kind, suitable), "{suitable:?} as {kind}");
            }
            for other in [
                BlockRecord { form: Form::Master, ..suitable.clone() },
                BlockRecord { payload: PayloadType::Eeb, ..suitable.clone() },
                BlockRecord { dtype: DType::Bf16, ..suitable.clone() },
                BlockRecord {
                    quantisation: match suitable.quantisation {
                        Quantisation::None => Quantisation::PerChannel,
                        Quantisation::PerChannel => Quantisation::None,
                    },
                    ..suitable.clone()
                },
            ] {
                assert!(!d.suits(other.kind, &other), "{other:?}");
            }
        }
        for other in [
            BlockRecord { shape: [64, 259, 0, 0], ..trunk.clone() },
            BlockRecord { shape: [259, 128, 0, 0], ..trunk.clone() },
            BlockRecord { layout: Layout::RowMajor, ..trunk.clone() },
            BlockRecord { tensors: 22, ..trunk },
            BlockRecord { shape: [8, 64, 0, 0], ..router.clone() },
            BlockRecord { tensors: 1, ..router },
            BlockRecord { shape: [64, 128, 0, 0], ..expert },
        ] {
            assert!(!d.suits(other.kind, &other), "{other:?}");
        }
    }

    #[test]
    fn the_largest_tensor_of_a_trunk_need_not_be_the_embedding() {
        let mut d = tiny().dimensions;
        (d.vocab, d.hidden, d.heads, d.kv_heads, d.head_dim) = (100, 64, 8, 8, 64);
        // Queries, keys and outputs have as many bytes: which of them a header has last decides.
        for shape in [[512, 64, 0, 0], [64, 512, 0, 0]] {
            assert!(d.suits(BlockKind::Trunk, &record(BlockKind::Trunk, shape)), "{shape:?}");
        }
        assert!(!d.suits(BlockKind::Trunk, &record(BlockKind::Trunk, [100, 64, 0, 0])));
        // Of so narrow a model the scales are as large as the matrix, which is padded.
        (d.vocab, d.hidden, d.heads, d.kv_heads, d.head_dim) = (96, 2, 1, 1, 2);
        assert!(d.suits(BlockKind::Trunk, &record(BlockKind::Trunk, [96, 2, 0, 0])));
        let scales = record(BlockKind::Trunk, [96, 0, 0, 0]);
        let scales = BlockRecord { dtype: DType::F32, layout: Layout::RowMajor, ..scales };
        assert!(d.suits(BlockKind::Trunk, &scales));
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
        for eps in [f32::NAN, f32::INFINITY, 0.0, -1e-5] {
            let mut spec = tiny();
            spec.dimensions.rms_eps = F32Bits::new(eps);
            assert_eq!(spec.check(), Err(SpecError::Dimensions), "{eps}");
        }
        for theta in [f32::NAN, f32::INFINITY, 0.999, 0.0, -1.0] {
            let mut spec = tiny();
            spec.dimensions.rope_theta = F32Bits::new(theta);
            assert_eq!(spec.check(), Err(SpecError::Dimensions), "{theta}");
        }
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
