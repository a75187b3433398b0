//! Mapped blocks: [`Block`] before, [`VerifiedBlock`] after its data was hashed.

use crate::{
    BlockError, Proof, TensorView,
    geometry::{subtile_range, tile_range, tile_subtiles},
    hashing::leaf_hashes_of,
    map::Mapping,
    quant::first_padding_rows16k4,
    tensor::TensorSlice,
};
use blyan_primitives::{
    block::{
        BlockHeader, DType, FORMAT_VERSION, HeaderError, Layout, MAGIC, MAX_HEADER_LEN, PREFIX_LEN, data_offset,
        header_hash,
    },
    ids::ContentHash,
    merkle::{Digest, Tree, subtile_count, tile_count},
};
use std::{
    fmt,
    fs::{self, File},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file in memory whose header was parsed and checked.
pub(crate) struct Mapped {
    pub(crate) map: Mapping,
    pub(crate) header: BlockHeader,
    pub(crate) header_len: usize,
    pub(crate) hash: ContentHash,
    pub(crate) path: Option<PathBuf>,
}

impl Mapped {
    fn open(path: &Path) -> Result<Self, BlockError> {
        // Asked before opening: to open a pipe would wait for its other end.
        let found = fs::metadata(path).map_err(BlockError::io("open", path))?;
        let not_a_block = || BlockError::NotABlock { path: path.into() };
        if !found.is_file() {
            return Err(not_a_block());
        }
        let file = File::open(path).map_err(BlockError::io("open", path))?;
        let found = file.metadata().map_err(BlockError::io("open", path))?.len();
        if found < PREFIX_LEN {
            return Err(BlockError::Truncated { path: path.into(), expected: PREFIX_LEN, found });
        }
        let map = Mapping::of_file(&file).map_err(BlockError::io("map", path))?;
        let bad_header = |source| BlockError::Header { path: path.into(), source };

        let (magic, rest) = map.split_first_chunk::<8>().ok_or_else(not_a_block)?;
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(not_a_block)?;
        let (header_len, rest) = rest.split_first_chunk::<4>().ok_or_else(not_a_block)?;
        if *magic != MAGIC {
            return Err(not_a_block());
        }
        let version = u32::from_le_bytes(*version);
        if version != FORMAT_VERSION {
            return Err(BlockError::Version { path: path.into(), found: version });
        }
        let header_len = u32::from_le_bytes(*header_len);
        if header_len > MAX_HEADER_LEN {
            return Err(bad_header(HeaderError::TooLong));
        }
        let start = data_offset(header_len);
        let header_len = header_len as usize;
        let bytes =
            rest.get(..header_len).ok_or(BlockError::Truncated { path: path.into(), expected: start, found })?;
        let header = BlockHeader::decode_checked(bytes, MAX_HEADER_LEN).map_err(bad_header)?;
        if header.tensors.is_empty() {
            return Err(bad_header(HeaderError::Shape));
        }
        let hash = header_hash(bytes);
        let expected = start + header.data_len;
        if found < expected {
            return Err(BlockError::Truncated { path: path.into(), expected, found });
        }
        if found > expected {
            return Err(BlockError::Oversized { path: path.into(), expected, found });
        }
        // Neither the name nor the root covers these bytes.
        let after_header = PREFIX_LEN as usize + header_len;
        let padding = map.get(after_header..start as usize).unwrap_or_default();
        if let Some(at) = padding.iter().position(|byte| *byte != 0) {
            return Err(BlockError::Padding { path: path.into(), at: (after_header + at) as u64 });
        }
        Ok(Self { map, header, header_len, hash, path: Some(path.into()) })
    }

    fn header_bytes(&self) -> &[u8] {
        &self.map[PREFIX_LEN as usize..][..self.header_len]
    }

    fn data(&self) -> &[u8] {
        // The length of the map was checked against the header when it was made.
        &self.map[data_offset(self.header_len as u32) as usize..]
    }

    fn tile(&self, index: u64) -> Result<&[u8], BlockError> {
        let len = self.header.data_len;
        self.part("tile", index, tile_count(len), tile_range(len, index))
    }

    fn subtile(&self, index: u64) -> Result<&[u8], BlockError> {
        let len = self.header.data_len;
        self.part("subtile", index, subtile_count(len), subtile_range(len, index))
    }

    fn part(&self, unit: &'static str, index: u64, count: u64, range: Option<Range<u64>>) -> Result<&[u8], BlockError> {
        range
            .and_then(|range| self.data().get(range.start as usize..range.end as usize))
            .ok_or(BlockError::OutOfRange { hash: self.hash, unit, index, count })
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").field("hash", &self.hash).field("path", &self.path).finish_non_exhaustive()
    }
}

/// A mapped file whose header was checked, and whose data was not.
///
/// It hands out bytes to hash or to compare, not tensors: those come from a [`VerifiedBlock`].
#[derive(Debug)]
pub struct Block {
    mapped: Mapped,
}

impl Block {
    /// Maps the file at `path`, whichever block it holds.
    ///
    /// Refuses, each by its own error, a file that is truncated, too long, not a TensorBlock, of another format version,
    /// or whose header breaks a rule.
    pub fn open(path: &Path) -> Result<Self, BlockError> {
        Mapped::open(path).map(|mapped| Self { mapped })
    }

    /// Maps the file at `path`, which has to hold the block called `hash`.
    pub fn open_as(path: &Path, hash: &ContentHash) -> Result<Self, BlockError> {
        let block = Self::open(path)?;
        if block.hash() != *hash {
            return Err(BlockError::WrongBlock { path: path.into(), expected: *hash, found: block.hash() });
        }
        Ok(block)
    }

    /// The block's name.
    pub fn hash(&self) -> ContentHash {
        self.mapped.hash
    }

    /// The header.
    pub fn header(&self) -> &BlockHeader {
        &self.mapped.header
    }

    /// The header's SCALE encoding, of which [`Self::hash`] is the hash.
    pub fn header_bytes(&self) -> &[u8] {
        self.mapped.header_bytes()
    }

    /// The data region.
    pub fn data(&self) -> &[u8] {
        self.mapped.data()
    }

    /// Bytes of the whole file.
    pub fn file_len(&self) -> u64 {
        self.mapped.map.len() as u64
    }

    /// The file.
    pub fn path(&self) -> Option<&Path> {
        self.mapped.path.as_deref()
    }

    /// Tile `index` of the data region.
    pub fn tile(&self, index: u64) -> Result<&[u8], BlockError> {
        self.mapped.tile(index)
    }

    /// Subtile `index` of the data region.
    pub fn subtile(&self, index: u64) -> Result<&[u8], BlockError> {
        self.mapped.subtile(index)
    }

    /// Hashes every subtile, on up to `threads` threads, and compares the root with the header's.
    pub fn verify(self, threads: usize) -> Result<VerifiedBlock, CorruptBlock> {
        self.verify_with(threads, None)
    }

    /// [`Self::verify`] with a list of leaf hashes that tells which subtiles are damaged, should any be. The list needs no
    /// trust: it is used only if it leads to the header's root, and never in place of hashing.
    pub fn verify_with(self, threads: usize, leaves: Option<&[Digest]>) -> Result<VerifiedBlock, CorruptBlock> {
        let tree = Tree::new(leaf_hashes_of(0, self.data(), threads));
        if tree.root() == self.header().root.0 {
            return Ok(VerifiedBlock::new(self.mapped, tree));
        }
        let subtiles = match leaves {
            Some(leaves) if Tree::new(leaves.to_vec()).root() == self.header().root.0 => {
                (0..).zip(tree.leaves().iter().zip(leaves)).filter(|(_, (a, b))| a != b).map(|(i, _)| i).collect()
            },
            _ => Vec::new(),
        };
        Err(CorruptBlock { block: Box::new(self), subtiles })
    }

    pub(crate) fn moved_to(mut self, path: PathBuf) -> Self {
        self.mapped.path = Some(path);
        self
    }
}

/// A block whose data does not belong to its header.
#[derive(Debug, thiserror::Error)]
#[error("the data of block {} is damaged{}; fetch the block again", block.hash(), crate::error::list(.subtiles))]
pub struct CorruptBlock {
    /// The block, for comparing its tiles with good ones.
    pub block: Box<Block>,
    /// The damaged subtiles, in order; empty where no list of leaf hashes was there to compare with.
    pub subtiles: Vec<u64>,
}

impl From<CorruptBlock> for BlockError {
    fn from(corrupt: CorruptBlock) -> Self {
        Self::Corrupt { hash: corrupt.block.hash(), subtiles: corrupt.subtiles }
    }
}

/// A mapped block whose every subtile was hashed against the root, which the block's name commits to.
///
/// Clones share the mapping.
#[derive(Clone, Debug)]
pub struct VerifiedBlock {
    inner: Arc<Verified>,
}

#[derive(Debug)]
struct Verified {
    mapped: Mapped,
    tree: Tree,
}

impl VerifiedBlock {
    pub(crate) fn new(mapped: Mapped, tree: Tree) -> Self {
        Self { inner: Arc::new(Verified { mapped, tree }) }
    }

    /// The block's name.
    pub fn hash(&self) -> ContentHash {
        self.inner.mapped.hash
    }

    /// The header.
    pub fn header(&self) -> &BlockHeader {
        &self.inner.mapped.header
    }

    /// The header's SCALE encoding, of which [`Self::hash`] is the hash.
    pub fn header_bytes(&self) -> &[u8] {
        self.inner.mapped.header_bytes()
    }

    /// The data region.
    pub fn data(&self) -> &[u8] {
        self.inner.mapped.data()
    }

    /// Bytes of the whole file.
    pub fn file_len(&self) -> u64 {
        self.inner.mapped.map.len() as u64
    }

    /// The file; `None` for a block that was built in memory. The file may have been moved or removed since.
    pub fn path(&self) -> Option<&Path> {
        self.inner.mapped.path.as_deref()
    }

    /// The tree over the data region: its leaves are what a fetching worker asks for first.
    pub fn tree(&self) -> &Tree {
        &self.inner.tree
    }

    /// Tile `index` of the data region.
    pub fn tile(&self, index: u64) -> Result<&[u8], BlockError> {
        self.inner.mapped.tile(index)
    }

    /// Subtile `index` of the data region.
    pub fn subtile(&self, index: u64) -> Result<&[u8], BlockError> {
        self.inner.mapped.subtile(index)
    }

    /// Proof that the subtiles of tile `index` belong to the block, for [`crate::verify_tile`].
    pub fn prove_tile(&self, index: u64) -> Result<Proof, BlockError> {
        let len = self.header().data_len;
        let missing = || BlockError::OutOfRange { hash: self.hash(), unit: "tile", index, count: tile_count(len) };
        let hashes = self.tree().prove(tile_subtiles(len, index).ok_or_else(missing)?).map_err(|_| missing())?;
        Ok(Proof::new(hashes))
    }

    /// Proof that subtile `index` belongs to the block, for [`blyan_primitives::merkle::verify`], on chain or off.
    pub fn prove_subtile(&self, index: u64) -> Result<Proof, BlockError> {
        let count = self.tree().leaf_count();
        let range = index..index.saturating_add(1);
        let missing = |_| BlockError::OutOfRange { hash: self.hash(), unit: "subtile", index, count };
        self.tree().prove(range).map(Proof::new).map_err(missing)
    }

    /// The tensor called `name`.
    pub fn tensor(&self, name: &str) -> Result<TensorView<'_>, BlockError> {
        let header = self.header();
        let info = header.tensor(name).ok_or_else(|| BlockError::NoTensor { hash: self.hash(), name: name.into() })?;
        let bytes = &self.data()[info.offset as usize..][..info.length as usize];
        Ok(TensorView { hash: self.hash(), info, bytes })
    }

    /// The tensor called `name`, which has to have this type, layout and shape, as a slice of `T` that keeps the mapping
    /// alive by itself.
    pub fn tensor_slice<T: bytemuck::AnyBitPattern>(
        &self,
        name: &str,
        dtype: DType,
        layout: Layout,
        shape: &[u32],
    ) -> Result<TensorSlice<T>, BlockError> {
        TensorSlice::new(self, name, dtype, layout, shape)
    }

    /// Bytes of the data region that keep the mapping alive by themselves: an HTTP body without a copy.
    ///
    /// Refuses a range that is reversed or ends outside the data region.
    pub fn slice(&self, range: Range<u64>) -> Result<BlockSlice, BlockError> {
        let count = self.header().data_len;
        if range.start > range.end || range.end > count {
            return Err(BlockError::OutOfRange { hash: self.hash(), unit: "byte", index: range.end, count });
        }
        Ok(BlockSlice { block: self.clone(), range: range.start as usize..range.end as usize })
    }

    /// The whole file: prefix, header, padding and data region.
    pub fn file_bytes(&self) -> &[u8] {
        &self.inner.mapped.map
    }

    /// Checks that every byte of the data region that belongs to no element is zero: those between tensors, and those that
    /// fill up a layout.
    ///
    /// The root covers them like all others, so that each other filling would give the same weights one more name, under
    /// which they could be stored, registered and paid once more.
    ///
    /// # Errors
    /// [`BlockError::TensorPadding`].
    pub fn check_padding(&self) -> Result<(), BlockError> {
        let data = self.data();
        let bad = |at: usize| BlockError::TensorPadding { hash: self.hash(), at: at as u64 };
        let mut end = 0;
        for tensor in &self.header().tensors {
            let start = tensor.offset as usize;
            if let Some(at) = data[end..start].iter().position(|byte| *byte != 0) {
                return Err(bad(end + at));
            }
            end = start + tensor.length as usize;
            if let (Layout::Rows16K4, &[rows, k]) = (tensor.layout, tensor.shape.as_slice()) {
                let packed = bytemuck::must_cast_slice(&data[start..end]);
                if let Some(at) = first_padding_rows16k4(packed, rows as usize, k as usize) {
                    return Err(bad(start + at));
                }
            }
        }
        Ok(())
    }

    /// Hashes the mapped bytes once more, on up to `threads` threads: a mapping shows what is written to its file.
    ///
    /// The file must be as long as it was: a page that it lost cannot be read, and ends the process.
    ///
    /// # Errors
    /// [`BlockError::Corrupt`], with the subtiles that changed; without any when the header did.
    pub fn verify_again(&self, threads: usize) -> Result<(), BlockError> {
        let hash = self.hash();
        if header_hash(self.header_bytes()) != hash {
            return Err(BlockError::Corrupt { hash, subtiles: Vec::new() });
        }
        let found = leaf_hashes_of(0, self.data(), threads);
        let changed = (0..).zip(found.iter().zip(self.tree().leaves())).filter(|(_, (found, good))| found != good);
        let subtiles: Vec<u64> = changed.map(|(subtile, _)| subtile).collect();
        if subtiles.is_empty() { Ok(()) } else { Err(BlockError::Corrupt { hash, subtiles }) }
    }

    /// Whether both are handles of one mapping, not of two mappings of the same block.
    pub fn shares_mapping(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// How many handles share this mapping, this one included. A store evicts only blocks whose last handle is its own.
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.inner)
    }
}

/// A part of a verified block's data region, with shared ownership of the mapping.
#[derive(Clone, Debug)]
pub struct BlockSlice {
    block: VerifiedBlock,
    range: Range<usize>,
}

impl AsRef<[u8]> for BlockSlice {
    fn as_ref(&self) -> &[u8] {
        &self.block.data()[self.range.clone()]
    }
}
