//! What a value was computed from, proved.

use super::Access;
use crate::{
    block::{header_hash, BlockHeader, HeaderError, MAX_ONCHAIN_HEADER_LEN},
    ids::ContentHash,
    merkle::{self, Digest, ProofError, SUBTILE},
    trace::{Part, Trace, Word},
};
use alloc::{borrow::Cow, collections::BTreeMap, rc::Rc, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode};
use core::fmt;
use scale_info::TypeInfo;

/// Most runs of leaves. Of two values of each expert that a token can be sent to, and a few more.
pub const MAX_RUNS: usize = 160;
/// Most blocks. Tokens are of one, scores of experts of another, weights of a third.
pub const MAX_BLOCKS: usize = 4;
/// Most runs of subtiles of a block: a matrix, and its scales.
pub const MAX_SUBTILE_RUNS: usize = 4;

/// Leaves of the trace that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct LeafRun {
    /// The first.
    pub first: u64,
    /// The words of all of them.
    pub words: Vec<u32>,
    /// That they lie there.
    pub proof: Vec<Digest>,
}

/// Subtiles of a block that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Subtiles {
    /// The first.
    pub first: u64,
    /// Their bytes.
    pub data: Vec<u8>,
    /// That they lie there.
    pub proof: Vec<Digest>,
}

/// Part of a block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct BlockPart {
    /// The header's bytes, whose hash is the block's name.
    pub header: Vec<u8>,
    /// Of its data.
    pub runs: Vec<Subtiles>,
}

/// All that a value is computed from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Evidence {
    /// Of the trace, all of it before the leaf that the value is in.
    pub leaves: Vec<LeafRun>,
    /// Of weights and tokens.
    pub blocks: Vec<BlockPart>,
}

/// Why evidence is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum EvidenceError {
    /// There are more runs or blocks than any value is computed from.
    TooMuch,
    /// Leaves are empty, have more or fewer words than the trace, or are not before the value.
    Leaves,
    /// Leaves are not those of the trace that was named.
    LeafProof(ProofError),
    /// A header is none.
    Header(HeaderError),
    /// Subtiles are empty, or have more or fewer bytes than the block.
    Subtiles,
    /// Subtiles are not those of the block.
    SubtileProof(ProofError),
    /// The value is computed from more.
    Missing(Missing),
}

/// What evidence lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Missing {
    /// A value that the trace does not have.
    Word(Word),
    /// A leaf of the trace.
    Leaf(u64),
    /// Which block a part of the model is. Nobody can bring that.
    Part(Part),
    /// The header of a block, or one in which a tensor is as the specification says.
    Header(ContentHash),
    /// A subtile of a block.
    Subtile(ContentHash, u64),
}

impl From<Missing> for EvidenceError {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(Word { step, row, column }) => {
                write!(f, "the trace has no value of {step:?} in row {row}, column {column}")
            },
            Self::Leaf(index) => write!(f, "the evidence lacks leaf {index} of the trace"),
            Self::Part(part) => write!(f, "the model has no block for {part:?}"),
            Self::Header(block) => {
                write!(f, "the evidence lacks the header of block {block}, or a tensor is not in it")
            },
            Self::Subtile(block, index) => write!(f, "the evidence lacks subtile {index} of block {block}"),
        }
    }
}

impl fmt::Display for EvidenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMuch => f.write_str("there are more runs or blocks than any value is computed from"),
            Self::Leaves => f.write_str("leaves have the wrong number of words, or are not before the value"),
            Self::LeafProof(error) => write!(f, "leaves are not of the trace: {error}"),
            Self::Header(error) => write!(f, "a header of a block is none: {error}"),
            Self::Subtiles => f.write_str("subtiles have the wrong number of bytes"),
            Self::SubtileProof(error) => write!(f, "subtiles are not of the block: {error}"),
            Self::Missing(missing) => missing.fmt(f),
        }
    }
}

impl core::error::Error for Missing {}
impl core::error::Error for EvidenceError {}

/// A block of which some is proved.
struct Proved {
    header: Rc<BlockHeader>,
    subtiles: BTreeMap<u64, Vec<u8>>,
}

/// Evidence that was checked.
pub struct Proven<'a> {
    shape: &'a Trace,
    leaves: BTreeMap<u64, Vec<u32>>,
    blocks: BTreeMap<ContentHash, Proved>,
}

impl fmt::Debug for Proven<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proven({} leaves, {} blocks)", self.leaves.len(), self.blocks.len())
    }
}

impl<'a> Proven<'a> {
    /// Checks evidence for a value in leaf `before` of the trace with this root.
    ///
    /// # Errors
    /// When it is more than it can be, or not what it says.
    pub fn new(evidence: Evidence, shape: &'a Trace, root: &Digest, before: u64) -> Result<Self, EvidenceError> {
        let Evidence { leaves, blocks } = evidence;
        let is_too_much = |block: &BlockPart| block.runs.len() > MAX_SUBTILE_RUNS;
        if leaves.len() > MAX_RUNS || blocks.len() > MAX_BLOCKS || blocks.iter().any(is_too_much) {
            return Err(EvidenceError::TooMuch);
        }
        let mut proven = Self { shape, leaves: BTreeMap::new(), blocks: BTreeMap::new() };
        for run in leaves {
            proven.add_leaves(&run, root, before)?;
        }
        for block in blocks {
            proven.add_block(block)?;
        }
        Ok(proven)
    }

    fn add_leaves(&mut self, run: &LeafRun, root: &Digest, before: u64) -> Result<(), EvidenceError> {
        let mut words = run.words.as_slice();
        let (mut index, mut hashes) = (run.first, Vec::new());
        while !words.is_empty() {
            let leaf = self.shape.leaf(index).filter(|_| index < before).ok_or(EvidenceError::Leaves)?;
            let (own, rest) = words.split_at_checked(leaf.columns.len()).ok_or(EvidenceError::Leaves)?;
            let bytes: Vec<u8> = own.iter().flat_map(|word| word.to_le_bytes()).collect();
            hashes.push(merkle::leaf_hash(index, &bytes));
            self.leaves.insert(index, own.to_vec());
            (words, index) = (rest, index.saturating_add(1));
        }
        merkle::verify(root, self.shape.leaves(), run.first, &hashes, &run.proof).map_err(EvidenceError::LeafProof)
    }

    fn add_block(&mut self, block: BlockPart) -> Result<(), EvidenceError> {
        let header =
            BlockHeader::decode_checked(&block.header, MAX_ONCHAIN_HEADER_LEN).map_err(EvidenceError::Header)?;
        let count = merkle::subtile_count(header.data_len);
        let mut subtiles = BTreeMap::new();
        for run in block.runs {
            let start = run.first.checked_mul(SUBTILE).ok_or(EvidenceError::Subtiles)?;
            let end = start.saturating_add(run.data.len() as u64);
            // Whole ones, but for the block's last.
            if end > header.data_len || (!end.is_multiple_of(SUBTILE) && end != header.data_len) {
                return Err(EvidenceError::Subtiles);
            }
            let numbered = || (run.first..).zip(run.data.chunks(SUBTILE as usize));
            let hashes: Vec<Digest> = numbered().map(|(index, data)| merkle::leaf_hash(index, data)).collect();
            merkle::verify(&header.root.0, count, run.first, &hashes, &run.proof)
                .map_err(EvidenceError::SubtileProof)?;
            subtiles.extend(numbered().map(|(index, data)| (index, data.to_vec())));
        }
        self.blocks.insert(header_hash(&block.header), Proved { header: header.into(), subtiles });
        Ok(())
    }
}

impl Access for Proven<'_> {
    type Error = Missing;

    fn header(&mut self, block: ContentHash) -> Result<Rc<BlockHeader>, Missing> {
        Ok(self.blocks.get(&block).ok_or(Missing::Header(block))?.header.clone())
    }

    fn subtile(&mut self, block: ContentHash, index: u64) -> Result<Cow<'_, [u8]>, Missing> {
        let subtile = self.blocks.get(&block).and_then(|proved| proved.subtiles.get(&index));
        Ok(Cow::Borrowed(subtile.ok_or(Missing::Subtile(block, index))?))
    }

    fn leaf(&mut self, index: u64) -> Result<Cow<'_, [u32]>, Missing> {
        Ok(Cow::Borrowed(self.leaves.get(&index).ok_or(Missing::Leaf(index))?))
    }
}
