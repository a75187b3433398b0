//! TensorBlocks: the immutable files that hold weights, as far as the chain needs to know them.
//!
//! ```text
//! 0        8        12             16                      16 + header length    aligned up to 4096
//! ┌────────┬────────┬──────────────┬──────────────────────┬─────────────────────┬───────────────────┐
//! │ magic  │ format │ header length│ header (SCALE)       │ zeros               │ data region       │
//! │ 8 bytes│ u32 LE │ u32 LE       │                      │                     │ tensors at 64 B   │
//! └────────┴────────┴──────────────┴──────────────────────┴─────────────────────┴───────────────────┘
//! ```
//!
//! The block's name, its [`ContentHash`], is BLAKE2b-256 of the header's bytes. The header holds the root of the
//! [tile tree](crate::merkle) over the data region, so the name commits to every byte of weights. Nothing in a header says
//! where a block is used: equal weights have equal headers and are stored once.
//!
//! The chain decodes headers itself, so that a block's record cannot contradict its name.

use crate::{
    hash::blake2_256,
    ids::{ContentHash, TileRoot},
};
use alloc::{format, string::String, vec::Vec};
use codec::{Decode, DecodeAll, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::fmt;
use scale_info::TypeInfo;

/// First bytes of every TensorBlock file.
pub const MAGIC: [u8; 8] = *b"BLYANTB\n";
/// Version of the layout described above.
pub const FORMAT_VERSION: u32 = 1;
/// Bytes in front of the header.
pub const PREFIX_LEN: u64 = 16;
/// Alignment of the data region in the file, in bytes: a page.
pub const DATA_ALIGN: u64 = 4096;
/// Alignment of each tensor in the data region, in bytes: a cache line, and the widest vector register.
pub const TENSOR_ALIGN: u64 = 64;
/// Longest header off chain, in bytes.
pub const MAX_HEADER_LEN: u32 = 1 << 20;
/// Longest header that the chain decodes, in bytes: about 1,400 tensors, the trunk of a model of more than 100 layers.
pub const MAX_ONCHAIN_HEADER_LEN: u32 = 1 << 16;
/// Most tensors in a block.
pub const MAX_TENSORS: usize = 16_384;
/// Longest tensor name, in bytes.
pub const MAX_NAME_LEN: usize = 96;
/// Most dimensions of a tensor.
pub const MAX_DIMS: usize = 4;
/// Most bytes of engine metadata.
pub const MAX_ENGINE_LEN: usize = 4096;
/// Largest data region, in bytes: 1 TiB.
pub const MAX_DATA_LEN: u64 = 1 << 40;

macro_rules! plain_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $index:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, DecodeWithMemTracking, TypeInfo,
            MaxEncodedLen,
        )]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
        pub enum $name {
            $($(#[$vdoc])* #[codec(index = $index)] $variant,)*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)* })
            }
        }
    };
}

plain_enum! {
    /// How the bytes of a block are to be used.
    PayloadType {
        /// Tensors that are mapped and computed on.
        TensorBlock = 0 "tensorblock",
        /// An executable engine for one architecture.
        Eeb = 1 "eeb",
        /// Tensors in compressed tiles, streamed through memory.
        TileStream = 2 "tile_stream",
    }
}

plain_enum! {
    /// What part of a model a block is.
    BlockKind {
        /// Everything that is no expert and no router: embeddings, attention, norms.
        Trunk = 0 "trunk",
        /// The routers of all layers.
        Router = 1 "router",
        /// One expert's feed-forward network.
        Expert = 2 "expert",
        /// Tokenizer and chat template.
        Tokenizer = 3 "tokenizer",
        /// A change to an expert.
        Delta = 4 "delta",
        /// Token sequences that a model is measured on.
        Items = 5 "items",
    }
}

plain_enum! {
    /// Which of the two forms of the same weights.
    Form {
        /// What deltas apply to, in 32-bit floats.
        Master = 0 "master",
        /// What inference computes on, derived from the master.
        Serving = 1 "serving",
    }
}

plain_enum! {
    /// Element type of a tensor.
    DType {
        /// IEEE 754 binary32, little endian.
        F32 = 0 "f32",
        /// IEEE 754 binary16, little endian.
        F16 = 1 "f16",
        /// bfloat16, little endian.
        Bf16 = 2 "bf16",
        /// Two's complement, 8 bits.
        Int8 = 3 "int8",
        /// OCP 8-bit float, 4 exponent bits.
        Fp8E4m3 = 4 "fp8_e4m3",
        /// OCP 8-bit float, 5 exponent bits.
        Fp8E5m2 = 5 "fp8_e5m2",
        /// Plain bytes.
        U8 = 6 "u8",
        /// Unsigned, 32 bits, little endian.
        U32 = 7 "u32",
    }
}

plain_enum! {
    /// Order of a tensor's elements in memory.
    Layout {
        /// Last dimension contiguous.
        RowMajor = 0 "row_major",
        /// For int8 matrices `[rows, k]`: groups of 16 rows; within a group, runs of 4 consecutive `k` of each of the
        /// 16 rows in turn. Rows are padded to 16 and `k` to 4 with zeros. One 64-byte line feeds one dot-product
        /// instruction.
        Rows16K4 = 1 "rows16_k4",
    }
}

plain_enum! {
    /// How a block's matrices were quantised.
    Quantisation {
        /// Not at all.
        None = 0 "none",
        /// Symmetric, one f32 scale an output channel: scale = absmax / 127, round half to even.
        PerChannel = 1 "per_channel",
    }
}

impl DType {
    /// Bytes of one element.
    pub const fn size(self) -> u64 {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Int8 | Self::Fp8E4m3 | Self::Fp8E5m2 | Self::U8 => 1,
        }
    }
}

/// A tensor of a block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TensorInfo {
    /// Name, unique in the block, in ASCII.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Order of elements.
    pub layout: Layout,
    /// Logical shape, outermost dimension first, without padding.
    pub shape: Vec<u32>,
    /// First byte in the data region; a multiple of [`TENSOR_ALIGN`].
    pub offset: u64,
    /// Bytes in the data region, padding of the layout included.
    pub length: u64,
}

impl TensorInfo {
    /// Bytes that a tensor of this type, layout and shape takes, or `None` where the combination has no meaning or is
    /// larger than a block can be.
    pub fn bytes(dtype: DType, layout: Layout, shape: &[u32]) -> Option<u64> {
        let elements = match layout {
            Layout::RowMajor => shape.iter().try_fold(1u64, |n, d| n.checked_mul(u64::from(*d)))?,
            Layout::Rows16K4 => {
                let (&[rows, k], DType::Int8) = (shape, dtype) else { return None };
                u64::from(rows).next_multiple_of(16).checked_mul(u64::from(k).next_multiple_of(4))?
            },
        };
        elements.checked_mul(dtype.size()).filter(|bytes| *bytes <= MAX_DATA_LEN)
    }
}

/// Header of a TensorBlock.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BlockHeader {
    /// How to use the data.
    pub payload: PayloadType,
    /// Part of the model.
    pub kind: BlockKind,
    /// Master or serving form.
    pub form: Form,
    /// How matrices were quantised.
    pub quantisation: Quantisation,
    /// Architecture that the payload was built for; empty when any can use it.
    pub arch: String,
    /// Metadata of the engine that executes the payload; empty for plain tensors.
    pub engine: Vec<u8>,
    /// Tensors in order of their offsets.
    pub tensors: Vec<TensorInfo>,
    /// Bytes of the data region.
    pub data_len: u64,
    /// Root of the tile tree over the data region.
    pub root: TileRoot,
}

/// Why a header was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum HeaderError {
    /// Longer than allowed.
    TooLong,
    /// Not the SCALE encoding of a header, or bytes follow it.
    Malformed,
    /// Too many tensors, dimensions, or bytes in a name, the architecture or the engine metadata.
    TooMany,
    /// A name is empty, not printable ASCII, or used twice.
    Name,
    /// A tensor's length does not follow from its type, layout and shape, or its shape has a zero.
    Shape,
    /// A tensor is not aligned, overlaps another, leaves a gap wider than the alignment, or ends outside the data.
    Offset,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the header is longer than allowed",
            Self::Malformed => "the header is not a SCALE-encoded block header",
            Self::TooMany => "the header has too many tensors, dimensions or metadata bytes",
            Self::Name => "a tensor's name is empty, not printable ASCII, or used twice",
            Self::Shape => "a tensor's length does not follow from its type, layout and shape",
            Self::Offset => "a tensor is misplaced in the data region",
        })
    }
}

impl core::error::Error for HeaderError {}

impl BlockHeader {
    /// Decodes and checks a header of at most `max_len` bytes. Every header that this accepts is consistent: tensors lie
    /// in order inside the data region, aligned, without overlaps, each as long as its shape says.
    pub fn decode_checked(bytes: &[u8], max_len: u32) -> Result<Self, HeaderError> {
        if bytes.len() as u64 > u64::from(max_len) {
            return Err(HeaderError::TooLong);
        }
        let header = Self::decode_all(&mut &*bytes).map_err(|_| HeaderError::Malformed)?;
        header.check()?;
        Ok(header)
    }

    /// Checks what [`Self::decode_checked`] promises.
    pub fn check(&self) -> Result<(), HeaderError> {
        let printable = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if self.tensors.len() > MAX_TENSORS
            || self.arch.len() > MAX_NAME_LEN
            || self.engine.len() > MAX_ENGINE_LEN
            || self.data_len > MAX_DATA_LEN
        {
            return Err(HeaderError::TooMany);
        }
        if !printable(&self.arch) {
            return Err(HeaderError::Name);
        }
        let mut names: Vec<&str> = self.tensors.iter().map(|t| t.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(HeaderError::Name);
        }
        let mut end = 0u64;
        for tensor in &self.tensors {
            if tensor.name.len() > MAX_NAME_LEN || tensor.shape.len() > MAX_DIMS {
                return Err(HeaderError::TooMany);
            }
            if tensor.name.is_empty() || !printable(&tensor.name) {
                return Err(HeaderError::Name);
            }
            if tensor.shape.is_empty() || tensor.shape.contains(&0) {
                return Err(HeaderError::Shape);
            }
            let length = TensorInfo::bytes(tensor.dtype, tensor.layout, &tensor.shape).ok_or(HeaderError::Shape)?;
            if length != tensor.length {
                return Err(HeaderError::Shape);
            }
            if tensor.offset != end.next_multiple_of(TENSOR_ALIGN) {
                return Err(HeaderError::Offset);
            }
            end = tensor.offset.saturating_add(tensor.length);
        }
        if end == self.data_len {
            Ok(())
        } else {
            Err(HeaderError::Offset)
        }
    }

    /// The block's name.
    pub fn content_hash(&self) -> ContentHash {
        header_hash(&self.encode())
    }

    /// The tensor called `name`.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|t| t.name == name)
    }

    /// The tensor whose type, layout and shape a block's record on chain tells: an expert's `gate`, so that the record
    /// says the expert's shape without doubt; the largest tensor of any other block.
    pub fn principal(&self) -> Option<&TensorInfo> {
        let gate = if self.kind == BlockKind::Expert { self.tensor("gate") } else { None };
        gate.or_else(|| self.tensors.iter().max_by_key(|t| t.length))
    }

    /// Shape of the expert that this header describes: its matrices are `gate` and `up` `[ffn, hidden]` and `down`
    /// `[hidden, ffn]`. `None` when it is no expert, or its matrices do not fit each other.
    pub fn expert_shape(&self) -> Option<ExpertShape> {
        let matrix = |name: &str| match self.tensor(name)?.shape.as_slice() {
            &[rows, k] => Some((rows, k)),
            _ => None,
        };
        let (ffn, hidden) = matrix("gate")?;
        let fits = matrix("up")? == (ffn, hidden) && matrix("down")? == (hidden, ffn);
        (self.kind == BlockKind::Expert && fits).then_some(ExpertShape { ffn, hidden })
    }

    /// Shape of the expert that this header describes, if inference can compute on it: the matrices of
    /// [`Self::expert_shape`] are int8 in [`Layout::Rows16K4`], quantised per output channel, and each has its scales
    /// beside it, `NAME.scale`, f32 `[rows]`.
    pub fn served_expert_shape(&self) -> Option<ExpertShape> {
        let quantised = |name: &str| {
            let (matrix, scale) = (self.tensor(name)?, self.tensor(&format!("{name}.scale"))?);
            let served = matrix.dtype == DType::Int8
                && matrix.layout == Layout::Rows16K4
                && scale.dtype == DType::F32
                && scale.layout == Layout::RowMajor
                && Some(scale.shape.as_slice()) == matrix.shape.get(..1);
            served.then_some(())
        };
        let shape = self.expert_shape()?;
        for name in ["gate", "up", "down"] {
            quantised(name)?;
        }
        (self.quantisation == Quantisation::PerChannel).then_some(shape)
    }
}

/// Name of the block that has these header bytes.
pub fn header_hash(header: &[u8]) -> ContentHash {
    ContentHash(blake2_256(header))
}

/// First byte of the data region in a file whose header is `header_len` bytes long.
pub const fn data_offset(header_len: u32) -> u64 {
    PREFIX_LEN.saturating_add(header_len as u64).next_multiple_of(DATA_ALIGN)
}

/// Widths that decide whether an expert fits a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct ExpertShape {
    /// Inner width.
    pub ffn: u32,
    /// Width of the residual stream.
    pub hidden: u32,
}

/// What the chain keeps of a block, all of it but `master` and `podl` read from its header.
///
/// A header says nothing of where weights come from, and whoever sends it can be anybody who saw it: the chain itself vouches
/// for `master` and `podl` where they stand here, as it does for the blocks of its genesis. What the accounts that register a
/// block say of its origin is kept with each account, beside this record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BlockRecord {
    /// How to use the data.
    pub payload: PayloadType,
    /// Part of the model.
    pub kind: BlockKind,
    /// Master or serving form.
    pub form: Form,
    /// How matrices were quantised.
    pub quantisation: Quantisation,
    /// Element type of the [principal](BlockHeader::principal) tensor.
    pub dtype: DType,
    /// Layout of the principal tensor.
    pub layout: Layout,
    /// Shape of the principal tensor, outermost first; unused dimensions are 0.
    pub shape: [u32; MAX_DIMS],
    /// Number of tensors.
    pub tensors: u32,
    /// Bytes of the header.
    pub header_len: u32,
    /// Bytes of the data region.
    pub data_len: u64,
    /// Root of the tile tree over the data region.
    pub root: TileRoot,
    /// BLAKE2b-256 of the architecture's name and the engine metadata; `None` when both are empty.
    pub engine: Option<[u8; 32]>,
    /// For a serving form: the master that the chain vouches it was derived from.
    pub master: Option<ContentHash>,
    /// Proof of data lineage: hash of the training manifest that the chain vouches led to these weights; `None` for
    /// imported weights.
    pub podl: Option<[u8; 32]>,
}

impl BlockRecord {
    /// The record of the block with this header.
    ///
    /// Refuses a header without tensors.
    pub fn new(
        header: &BlockHeader,
        header_len: u32,
        master: Option<ContentHash>,
        podl: Option<[u8; 32]>,
    ) -> Result<Self, HeaderError> {
        let principal = header.principal().ok_or(HeaderError::Shape)?;
        let mut shape = [0; MAX_DIMS];
        for (to, from) in shape.iter_mut().zip(&principal.shape) {
            *to = *from;
        }
        let engine = if header.arch.is_empty() && header.engine.is_empty() {
            None
        } else {
            Some(blake2_256(&(&header.arch, &header.engine).encode()))
        };
        Ok(Self {
            payload: header.payload,
            kind: header.kind,
            form: header.form,
            quantisation: header.quantisation,
            dtype: principal.dtype,
            layout: principal.layout,
            shape,
            tensors: header.tensors.len() as u32,
            header_len,
            data_len: header.data_len,
            root: header.root,
            engine,
            master,
            podl,
        })
    }

    /// Whether a slot can hold this block: a serving form of an expert of `shape` that inference maps and computes on.
    pub fn serves_as_expert(&self, shape: ExpertShape) -> bool {
        self.is_served_expert() && self.shape == [shape.ffn, shape.hidden, 0, 0]
    }

    /// Whether inference can compute on this block as an expert of some shape. What the record does not tell, that the
    /// other matrices and the scales are there, [`BlockHeader::served_expert_shape`] checked before it was made.
    pub fn is_served_expert(&self) -> bool {
        self.is_serving(BlockKind::Expert) && self.is_quantised()
    }

    /// Whether the principal tensor is an int8 matrix in the layout that kernels read, with a scale for each channel.
    pub fn is_quantised(&self) -> bool {
        self.quantisation == Quantisation::PerChannel && self.dtype == DType::Int8 && self.layout == Layout::Rows16K4
    }

    /// Whether inference can use this block as `kind`.
    pub fn is_serving(&self, kind: BlockKind) -> bool {
        self.kind == kind && self.form == Form::Serving && self.payload == PayloadType::TensorBlock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn tensor(name: &str, offset: u64, shape: &[u32]) -> TensorInfo {
        let length = TensorInfo::bytes(DType::F32, Layout::RowMajor, shape).unwrap();
        TensorInfo {
            name: name.into(),
            dtype: DType::F32,
            layout: Layout::RowMajor,
            shape: shape.to_vec(),
            offset,
            length,
        }
    }

    fn header() -> BlockHeader {
        BlockHeader {
            payload: PayloadType::TensorBlock,
            kind: BlockKind::Expert,
            form: Form::Master,
            quantisation: Quantisation::None,
            arch: String::new(),
            engine: Vec::new(),
            tensors: vec![tensor("gate", 0, &[3, 5]), tensor("up", 64, &[4])],
            data_len: 80,
            root: TileRoot([7; 32]),
        }
    }

    fn refused(change: impl FnOnce(&mut BlockHeader)) -> HeaderError {
        let mut bad = header();
        change(&mut bad);
        BlockHeader::decode_checked(&bad.encode(), MAX_HEADER_LEN).unwrap_err()
    }

    #[test]
    fn a_consistent_header_round_trips() {
        let bytes = header().encode();
        assert_eq!(BlockHeader::decode_checked(&bytes, MAX_HEADER_LEN), Ok(header()));
        assert_eq!(BlockHeader::decode_checked(&bytes, 10), Err(HeaderError::TooLong));
    }

    #[test]
    fn inconsistent_headers_are_refused_by_name() {
        assert_eq!(refused(|h| h.tensors[1].offset = 60), HeaderError::Offset);
        assert_eq!(refused(|h| h.tensors[1].offset = 128), HeaderError::Offset);
        assert_eq!(refused(|h| h.data_len = 81), HeaderError::Offset);
        assert_eq!(refused(|h| h.tensors[0].length = 61), HeaderError::Shape);
        assert_eq!(refused(|h| h.tensors[0].shape = vec![]), HeaderError::Shape);
        assert_eq!(refused(|h| h.tensors[0].shape = vec![0, 5]), HeaderError::Shape);
        assert_eq!(refused(|h| h.tensors[0].shape = vec![u32::MAX; 4]), HeaderError::Shape);
        assert_eq!(refused(|h| h.tensors[0].layout = Layout::Rows16K4), HeaderError::Shape);
        assert_eq!(refused(|h| h.tensors[1].name = "gate".into()), HeaderError::Name);
        assert_eq!(refused(|h| h.tensors[1].name = "a\n".into()), HeaderError::Name);
        assert_eq!(refused(|h| h.arch = "é".into()), HeaderError::Name);
        assert_eq!(refused(|h| h.engine = vec![0; MAX_ENGINE_LEN + 1]), HeaderError::TooMany);
    }

    #[test]
    fn a_trailing_byte_is_refused() {
        let mut bytes = header().encode();
        bytes.push(0);
        assert_eq!(BlockHeader::decode_checked(&bytes, MAX_HEADER_LEN), Err(HeaderError::Malformed));
    }

    #[test]
    fn an_experts_record_tells_its_shape() {
        let mut expert = header();
        // `down` is the largest tensor where padding is uneven, and has the shape of `gate` turned round.
        let down = tensor("down", 192, &[16, 3]);
        expert.tensors = vec![tensor("gate", 0, &[3, 16]), tensor("up", 192, &[3, 16]), down];
        for (i, tensor) in (0u64..).zip(&mut expert.tensors) {
            tensor.offset = i * 192;
        }
        expert.data_len = 576;
        let shape = ExpertShape { ffn: 3, hidden: 16 };
        assert_eq!(expert.check(), Ok(()));
        assert_eq!(expert.expert_shape(), Some(shape));
        assert_eq!(BlockRecord::new(&expert, 100, None, None).unwrap().shape, [3, 16, 0, 0]);

        let mut other = expert.clone();
        other.tensors[2].shape = vec![3, 16];
        assert_eq!(other.expert_shape(), None);
        other = expert;
        other.kind = BlockKind::Router;
        assert_eq!(other.expert_shape(), None);
    }

    /// The serving form of an expert with `ffn` 3 and `hidden` 16.
    fn served() -> BlockHeader {
        let mut served = BlockHeader {
            form: Form::Serving,
            quantisation: Quantisation::PerChannel,
            tensors: Vec::new(),
            data_len: 0,
            ..header()
        };
        for (name, rows, k) in [("gate", 3, 16), ("up", 3, 16), ("down", 16, 3)] {
            let scale = tensor(&format!("{name}.scale"), 0, &[rows]);
            let length = TensorInfo::bytes(DType::Int8, Layout::Rows16K4, &[rows, k]).unwrap();
            let matrix =
                TensorInfo { dtype: DType::Int8, layout: Layout::Rows16K4, length, ..tensor(name, 0, &[rows, k]) };
            for tensor in [matrix, scale] {
                let offset = served.data_len.next_multiple_of(TENSOR_ALIGN);
                served.data_len = offset + tensor.length;
                served.tensors.push(TensorInfo { offset, ..tensor });
            }
        }
        served
    }

    #[test]
    fn an_expert_is_served_with_int8_matrices_and_their_scales_alone() {
        let shape = ExpertShape { ffn: 3, hidden: 16 };
        assert_eq!(served().check(), Ok(()));
        assert_eq!(served().served_expert_shape(), Some(shape));
        let record = BlockRecord::new(&served(), 100, None, None).unwrap();
        assert!(record.serves_as_expert(shape));
        assert!(!record.serves_as_expert(ExpertShape { ffn: 16, hidden: 3 }));
        for other in [
            BlockRecord { form: Form::Master, ..record.clone() },
            BlockRecord { payload: PayloadType::TileStream, ..record.clone() },
            BlockRecord { kind: BlockKind::Trunk, ..record.clone() },
            BlockRecord { dtype: DType::F32, ..record.clone() },
            BlockRecord { layout: Layout::RowMajor, ..record.clone() },
            BlockRecord { quantisation: Quantisation::None, ..record.clone() },
        ] {
            assert!(!other.serves_as_expert(shape), "{other:?}");
        }

        let refused = |change: fn(&mut BlockHeader)| {
            let mut bad = served();
            change(&mut bad);
            assert_eq!(bad.served_expert_shape(), None, "{bad:?}");
        };
        refused(|h| h.quantisation = Quantisation::None);
        refused(|h| h.tensors[0].dtype = DType::F32);
        refused(|h| h.tensors[2].layout = Layout::RowMajor);
        refused(|h| h.tensors[5].name = "down.scales".into());
        refused(|h| h.tensors[1].shape = vec![16]);
        refused(|h| h.tensors[3].dtype = DType::F16);
        refused(|h| h.kind = BlockKind::Trunk);
    }

    #[test]
    fn layouts_pad() {
        assert_eq!(TensorInfo::bytes(DType::Int8, Layout::Rows16K4, &[17, 5]), Some(32 * 8));
        assert_eq!(TensorInfo::bytes(DType::F32, Layout::Rows16K4, &[17, 5]), None);
        assert_eq!(TensorInfo::bytes(DType::Int8, Layout::Rows16K4, &[17]), None);
    }

    /// A change of one field of a header, as an attacker who knows the format makes it.
    #[derive(Clone, Debug)]
    enum Change {
        Name(String),
        DType(DType),
        Layout(Layout),
        Shape(Vec<u32>),
        Offset(u64),
        Length(u64),
        /// The length that the type, layout and shape ask for.
        RightLength,
        Remove,
        Swap(usize),
        Duplicate,
        DataLen(u64),
        /// The end of the last tensor.
        RightDataLen,
        Kind(BlockKind),
        Arch(String),
        Engine(usize),
    }

    fn near(value: u64) -> impl Strategy<Value = u64> {
        prop_oneof![
            Just(value),
            (0u64..200).prop_map(move |d| value.saturating_add(d)),
            (0u64..200).prop_map(move |d| value.saturating_sub(d)),
            (0u32..64).prop_map(|shift| 1 << shift),
            Just(u64::MAX),
        ]
    }

    fn change() -> impl Strategy<Value = Change> {
        let dtype = prop_oneof![
            Just(DType::F32),
            Just(DType::F16),
            Just(DType::Bf16),
            Just(DType::Int8),
            Just(DType::Fp8E4m3),
            Just(DType::U8)
        ];
        let dim = prop_oneof![0u32..70, Just(u32::MAX), Just(1 << 20)];
        let kind = prop_oneof![Just(BlockKind::Expert), Just(BlockKind::Trunk), Just(BlockKind::Router)];
        prop_oneof![
            "[ -~]{0,3}|gate|up|down|gate.scale".prop_map(Change::Name),
            dtype.prop_map(Change::DType),
            prop_oneof![Just(Layout::RowMajor), Just(Layout::Rows16K4)].prop_map(Change::Layout),
            proptest::collection::vec(dim, 0..6).prop_map(Change::Shape),
            near(256).prop_map(Change::Offset),
            near(256).prop_map(Change::Length),
            Just(Change::RightLength),
            Just(Change::Remove),
            any::<usize>().prop_map(Change::Swap),
            Just(Change::Duplicate),
            near(1024).prop_map(Change::DataLen),
            Just(Change::RightDataLen),
            kind.prop_map(Change::Kind),
            "[ -~]{0,4}".prop_map(Change::Arch),
            (0usize..2 * MAX_ENGINE_LEN).prop_map(Change::Engine),
        ]
    }

    fn apply(header: &mut BlockHeader, at: usize, change: Change) {
        let count = header.tensors.len();
        match change {
            Change::DataLen(len) => header.data_len = len,
            Change::RightDataLen => {
                header.data_len = header.tensors.last().map_or(0, |t| t.offset.saturating_add(t.length));
            },
            Change::Kind(kind) => header.kind = kind,
            Change::Arch(arch) => header.arch = arch,
            Change::Engine(len) => header.engine = vec![7; len],
            _ if count == 0 => {},
            Change::Remove => _ = header.tensors.remove(at % count),
            Change::Swap(other) => header.tensors.swap(at % count, other % count),
            Change::Duplicate => header.tensors.push(header.tensors[at % count].clone()),
            change => {
                let tensor = &mut header.tensors[at % count];
                match change {
                    Change::Name(name) => tensor.name = name,
                    Change::DType(dtype) => tensor.dtype = dtype,
                    Change::Layout(layout) => tensor.layout = layout,
                    Change::Shape(shape) => tensor.shape = shape,
                    Change::Offset(offset) => tensor.offset = offset,
                    Change::Length(length) => tensor.length = length,
                    _ => {
                        if let Some(bytes) = TensorInfo::bytes(tensor.dtype, tensor.layout, &tensor.shape) {
                            tensor.length = bytes;
                        }
                    },
                }
            },
        }
    }

    /// What [`BlockHeader::decode_checked`] promises of a header that it accepts.
    fn is_consistent(header: &BlockHeader) -> bool {
        let mut ends = header.tensors.iter().scan(0u64, |end, tensor| {
            let apart = tensor.offset >= *end && tensor.offset % TENSOR_ALIGN == 0;
            *end = tensor.offset + tensor.length;
            Some(apart && *end <= header.data_len)
        });
        let names: alloc::collections::BTreeSet<_> = header.tensors.iter().map(|t| &t.name).collect();
        let sized = |t: &TensorInfo| TensorInfo::bytes(t.dtype, t.layout, &t.shape) == Some(t.length) && t.length > 0;
        ends.all(|placed| placed)
            && names.len() == header.tensors.len()
            && header.tensors.iter().all(sized)
            && header.data_len <= MAX_DATA_LEN
    }

    proptest! {
        #[test]
        fn changed_headers_never_panic_and_are_consistent_where_they_are_accepted(
            master: bool,
            changes in proptest::collection::vec((any::<usize>(), change()), 0..5),
            cut in prop_oneof![3 => Just(None), 1 => any::<usize>().prop_map(Some)],
        ) {
            let mut changed = if master { header() } else { served() };
            for (at, change) in changes {
                apply(&mut changed, at, change);
            }
            let mut bytes = changed.encode();
            if let Some(cut) = cut {
                bytes.truncate(cut % (bytes.len() + 1));
            }
            if let Ok(accepted) = BlockHeader::decode_checked(&bytes, MAX_HEADER_LEN) {
                prop_assert!(is_consistent(&accepted), "{accepted:?}");
                prop_assert_eq!(&accepted.encode(), &bytes);
                // Whatever is accepted, what is read from it does not panic either.
                let _ = BlockRecord::new(&accepted, bytes.len() as u32, None, None);
                let _ = accepted.served_expert_shape();
            }
        }

        #[test]
        fn flipped_headers_never_panic_and_never_keep_their_name(master: bool, at: usize, bit in 0u8..8) {
            let good = if master { header() } else { served() }.encode();
            let mut bytes = good.clone();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert_ne!(header_hash(&bytes), header_hash(&good));
            if let Ok(accepted) = BlockHeader::decode_checked(&bytes, MAX_HEADER_LEN) {
                prop_assert!(is_consistent(&accepted), "{accepted:?}");
            }
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = BlockHeader::decode_checked(&bytes, MAX_HEADER_LEN);
        }
    }
}
