//! Checking the parts of a block as they arrive from a machine that is not trusted.
//!
//! Two ways lead from bytes to a [`VerifiedTile`]:
//!
//! - [`verify_tile`] needs the header and a [`Proof`] sent along with the tile. Good for single tiles.
//! - An [`Outline`], the header and all leaf hashes, checks every tile without proofs. Good for whole blocks: the list is
//!   32 bytes for each 256 KiB of data, is fetched once and proves itself against the root.

use crate::{
    geometry::{tile_range, tile_subtiles},
    hashing::leaf_hashes_of,
};
use blyan_primitives::{
    block::{BlockHeader, HeaderError, MAX_HEADER_LEN, header_hash},
    hash::HASH_LEN,
    ids::{ContentHash, TileRoot},
    merkle::{self, Digest, MAX_PROOF, ProofError, Tree, subtile_count, tile_count},
};
use codec::{Compact, Decode, Encode};

/// Why bytes from elsewhere were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// The header is not the one that the block is named after.
    #[error("the header sent for block {expected} belongs to {found}")]
    WrongHeader {
        /// The block asked for.
        expected: ContentHash,
        /// The block that these header bytes name.
        found: ContentHash,
    },
    /// The header breaks a rule of the format.
    #[error("the header of block {hash} is bad: {source}")]
    Header {
        /// The block.
        hash: ContentHash,
        /// The rule.
        source: HeaderError,
    },
    /// A list of leaf hashes has the wrong length.
    #[error("the list of leaf hashes of block {hash} has {found} bytes instead of {expected}")]
    LeavesLength {
        /// The block.
        hash: ContentHash,
        /// Bytes it needs.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// A list of leaf hashes does not lead to the root in the header.
    #[error("the list of leaf hashes sent for block {hash} does not lead to its root")]
    LeavesRoot {
        /// The block.
        hash: ContentHash,
    },
    /// There is no such tile.
    #[error("there is no tile {tile} in the block with root {root}, which has {tiles}")]
    NoTile {
        /// Root of the block's data.
        root: TileRoot,
        /// The tile asked for.
        tile: u64,
        /// How many there are.
        tiles: u64,
    },
    /// A tile has the wrong length.
    #[error("tile {tile} of the block with root {root} has {found} bytes instead of {expected}")]
    Length {
        /// Root of the block's data.
        root: TileRoot,
        /// The tile.
        tile: u64,
        /// Its length.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// A tile does not belong to the block: it or its proof was damaged or forged.
    #[error("tile {tile} is no part of the block with root {root}: {source}")]
    Proof {
        /// Root of the block's data.
        root: TileRoot,
        /// The tile.
        tile: u64,
        /// What the proof lacks.
        source: ProofError,
    },
    /// A subtile does not have the hash that the list of leaf hashes has for it.
    #[error("subtile {subtile}, in tile {tile} of the block with root {root}, is damaged")]
    Subtile {
        /// Root of the block's data.
        root: TileRoot,
        /// The tile.
        tile: u64,
        /// The first damaged subtile, counted from the beginning of the block.
        subtile: u64,
    },
    /// Bytes that are not an encoded proof.
    #[error("{len} bytes are not an encoded proof of at most {MAX_PROOF} hashes")]
    Malformed {
        /// How many bytes.
        len: usize,
    },
}

/// A merkle proof on its way between machines.
///
/// Encoded as SCALE encodes `Vec<[u8; 32]>`: the compact number of hashes, then the hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    hashes: Vec<Digest>,
}

impl Proof {
    pub(crate) fn new(hashes: Vec<Digest>) -> Self {
        Self { hashes }
    }

    /// Sibling hashes in the order that [`merkle::verify`] takes them.
    pub fn hashes(&self) -> &[Digest] {
        &self.hashes
    }

    /// The bytes to send.
    pub fn encode(&self) -> Vec<u8> {
        self.hashes.encode()
    }

    /// Reads what [`Self::encode`] wrote. Work and memory are bounded by [`MAX_PROOF`], whatever the bytes say; bytes left
    /// over are refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, TileError> {
        let malformed = TileError::Malformed { len: bytes.len() };
        let mut rest = bytes;
        let Ok(Compact(count)) = Compact::<u32>::decode(&mut rest) else { return Err(malformed) };
        if count as usize > MAX_PROOF || rest.len() != count as usize * HASH_LEN {
            return Err(malformed);
        }
        Ok(Self { hashes: rest.as_chunks().0.to_vec() })
    }
}

/// A tile that belongs to the block with root [`Self::root`].
#[derive(Clone, Debug)]
pub struct VerifiedTile<B> {
    root: TileRoot,
    index: u64,
    bytes: B,
}

impl<B: AsRef<[u8]>> VerifiedTile<B> {
    /// Root of the block's data.
    pub fn root(&self) -> TileRoot {
        self.root
    }

    /// Which tile of the block.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The tile's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The bytes, as they were handed in.
    pub fn into_bytes(self) -> B {
        self.bytes
    }
}

/// Leaf hashes of a tile whose length is right.
fn tile_leaves(header: &BlockHeader, tile: u64, bytes: &[u8]) -> Result<(u64, Vec<Digest>), TileError> {
    let (root, found) = (header.root, bytes.len() as u64);
    let (Some(range), Some(subtiles)) = (tile_range(header.data_len, tile), tile_subtiles(header.data_len, tile))
    else {
        return Err(TileError::NoTile { root, tile, tiles: tile_count(header.data_len) });
    };
    let expected = range.end - range.start;
    if found != expected {
        return Err(TileError::Length { root, tile, expected, found });
    }
    Ok((subtiles.start, leaf_hashes_of(subtiles.start, bytes, 1)))
}

/// Checks that `bytes` are tile `tile` of the block with this header, by a proof for the tile's subtiles.
pub fn verify_tile<B: AsRef<[u8]>>(
    header: &BlockHeader,
    tile: u64,
    bytes: B,
    proof: &Proof,
) -> Result<VerifiedTile<B>, TileError> {
    let (first, leaves) = tile_leaves(header, tile, bytes.as_ref())?;
    merkle::verify(&header.root.0, subtile_count(header.data_len), first, &leaves, proof.hashes())
        .map_err(|source| TileError::Proof { root: header.root, tile, source })?;
    Ok(VerifiedTile { root: header.root, index: tile, bytes })
}

/// Checks that `bytes` are the header of block `hash`.
pub fn verify_header(hash: &ContentHash, bytes: &[u8]) -> Result<BlockHeader, TileError> {
    let bad = |source| TileError::Header { hash: *hash, source };
    // Before hashing: what is too long for a header is not worth it.
    if bytes.len() as u64 > u64::from(MAX_HEADER_LEN) {
        return Err(bad(HeaderError::TooLong));
    }
    let found = header_hash(bytes);
    if found != *hash {
        return Err(TileError::WrongHeader { expected: *hash, found });
    }
    let header = BlockHeader::decode_checked(bytes, MAX_HEADER_LEN).map_err(bad)?;
    if header.tensors.is_empty() {
        return Err(bad(HeaderError::Shape));
    }
    Ok(header)
}

/// Bytes of the list of leaf hashes of a block with this header: a bound for whoever fetches it.
pub fn leaves_len(header: &BlockHeader) -> u64 {
    subtile_count(header.data_len) * HASH_LEN as u64
}

/// A block's header and leaf hashes, proved against its name: enough to check any of its tiles.
#[derive(Clone, Debug)]
pub struct Outline {
    hash: ContentHash,
    header: BlockHeader,
    header_bytes: Vec<u8>,
    tree: Tree,
}

impl Outline {
    /// Checks `header` against the block's name, and `leaves`, the leaf hashes one after the other, against the root in
    /// the header.
    pub fn new(hash: &ContentHash, header: &[u8], leaves: &[u8]) -> Result<Self, TileError> {
        let parsed = verify_header(hash, header)?;
        let (expected, found) = (leaves_len(&parsed), leaves.len() as u64);
        if found != expected {
            return Err(TileError::LeavesLength { hash: *hash, expected, found });
        }
        let tree = Tree::new(leaves.as_chunks().0.to_vec());
        if tree.root() != parsed.root.0 {
            return Err(TileError::LeavesRoot { hash: *hash });
        }
        Ok(Self { hash: *hash, header: parsed, header_bytes: header.to_vec(), tree })
    }

    /// The outline of a block that is here.
    pub fn of(block: &crate::VerifiedBlock) -> Self {
        Self {
            hash: block.hash(),
            header: block.header().clone(),
            header_bytes: block.header_bytes().to_vec(),
            tree: block.tree().clone(),
        }
    }

    /// The block's name.
    pub fn hash(&self) -> ContentHash {
        self.hash
    }

    /// The header.
    pub fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// The header's SCALE encoding.
    pub fn header_bytes(&self) -> &[u8] {
        &self.header_bytes
    }

    /// The leaf hashes.
    pub fn leaves(&self) -> &[Digest] {
        self.tree.leaves()
    }

    /// Number of tiles.
    pub fn tile_count(&self) -> u64 {
        tile_count(self.header.data_len)
    }

    /// Bytes of tile `tile` in the data region; `None` past the end.
    pub fn tile_range(&self, tile: u64) -> Option<std::ops::Range<u64>> {
        tile_range(self.header.data_len, tile)
    }

    /// Checks that `bytes` are tile `tile`, and names the first subtile that is not.
    pub fn verify_tile<B: AsRef<[u8]>>(&self, tile: u64, bytes: B) -> Result<VerifiedTile<B>, TileError> {
        let root = self.header.root;
        let (first, found) = tile_leaves(&self.header, tile, bytes.as_ref())?;
        let expected = self.leaves().get(first as usize..).unwrap_or_default();
        match (first..).zip(found.iter().zip(expected)).find(|(_, (found, expected))| found != expected) {
            Some((subtile, _)) => Err(TileError::Subtile { root, tile, subtile }),
            None => Ok(VerifiedTile { root, index: tile, bytes }),
        }
    }
}
