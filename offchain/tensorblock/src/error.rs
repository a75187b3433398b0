//! What can be wrong with a block.

use blyan_primitives::{
    block::{DType, HeaderError, Layout},
    ids::ContentHash,
};
use std::{io, path::PathBuf};

/// Why a block could not be built, written, read or used.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Memory for a block could not be mapped.
    #[error("cannot map {bytes} bytes for block {hash}: {source}")]
    Memory {
        /// The block.
        hash: ContentHash,
        /// Size asked for.
        bytes: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not begin with the magic bytes, or is no regular file.
    #[error("{} is not a TensorBlock file", path.display())]
    NotABlock {
        /// The file.
        path: PathBuf,
    },
    /// The file has a format version that this program does not know.
    #[error("{} has format version {found}, this program reads version {}: update it", path.display(),
        blyan_primitives::block::FORMAT_VERSION)]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
    },
    /// The header in a file breaks a rule of the format.
    #[error("{} has a bad header: {source}; fetch the block again", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The rule.
        source: HeaderError,
    },
    /// The tensors given to a builder cannot make a block.
    #[error("these tensors cannot make a block: {0}")]
    Unbuildable(HeaderError),
    /// The file ends early.
    #[error("{} is truncated: {found} of {expected} bytes; fetch the block again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Length that the header asks for, in bytes.
        expected: u64,
        /// Length of the file, in bytes.
        found: u64,
    },
    /// The file goes on after the data region.
    #[error("{} is too long: {found} bytes instead of {expected}; fetch the block again", path.display())]
    Oversized {
        /// The file.
        path: PathBuf,
        /// Length that the header asks for, in bytes.
        expected: u64,
        /// Length of the file, in bytes.
        found: u64,
    },
    /// The bytes between the header and the data region are not all zero.
    #[error("{} has a non-zero byte at {at} between header and data; fetch the block again", path.display())]
    Padding {
        /// The file.
        path: PathBuf,
        /// Position in the file, in bytes.
        at: u64,
    },
    /// The file holds another block than its name or the caller says.
    #[error("{} holds block {found}, not {expected}", path.display())]
    WrongBlock {
        /// The file.
        path: PathBuf,
        /// The block asked for.
        expected: ContentHash,
        /// The block in the file.
        found: ContentHash,
    },
    /// The data region does not belong to the root in the header.
    #[error("the data of block {hash} is damaged{}; fetch the block again", list(.subtiles))]
    Corrupt {
        /// The block.
        hash: ContentHash,
        /// The damaged subtiles; empty where no list of leaf hashes was there to compare with.
        subtiles: Vec<u64>,
    },
    /// A byte of the data region that belongs to no element is not zero. The block's name commits to it, so that fetching
    /// the block again does not help.
    #[error(
        "byte {at} of the data of block {hash} is padding and not zero: no block that is built by the rules has that"
    )]
    TensorPadding {
        /// The block.
        hash: ContentHash,
        /// Position in the data region, in bytes.
        at: u64,
    },
    /// A block needs at least one tensor.
    #[error("a block without tensors has no use")]
    Empty,
    /// A tensor's type, layout and shape do not go together, or make it larger than a block can be.
    #[error("tensor `{name}` cannot be {dtype} in {layout} order with shape {shape:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its type.
        dtype: DType,
        /// Its layout.
        layout: Layout,
        /// Its shape.
        shape: Vec<u32>,
    },
    /// A tensor was given with more or fewer bytes than its shape has.
    #[error("tensor `{name}` has {found} bytes, its shape has {expected}")]
    Length {
        /// The tensor.
        name: String,
        /// Bytes that type, layout and shape make.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// The block has no tensor of this name.
    #[error("block {hash} has no tensor `{name}`: it is not the kind of block that was expected")]
    NoTensor {
        /// The block.
        hash: ContentHash,
        /// The name asked for.
        name: String,
    },
    /// A tensor has another type, layout or shape than its user needs.
    #[error("tensor `{name}` of block {hash} is {found}, expected {expected}")]
    Mismatch {
        /// The block.
        hash: ContentHash,
        /// The tensor.
        name: String,
        /// Type, layout and shape in the header.
        found: String,
        /// Type, layout and shape asked for.
        expected: String,
    },
    /// A tile or subtile past the end of the block.
    #[error("block {hash} has {count} {unit}s, there is no {unit} {index}")]
    OutOfRange {
        /// The block.
        hash: ContentHash,
        /// `tile`, `subtile` or `byte`.
        unit: &'static str,
        /// The index asked for.
        index: u64,
        /// How many there are.
        count: u64,
    },
}

impl BlockError {
    /// For `map_err`: attaches what was tried on which path.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Whether a file has the wrong content, so that fetching the block again helps. A refusal by the file system, or a
    /// wrong request, is not that.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::NotABlock { .. }
                | Self::Version { .. }
                | Self::Header { .. }
                | Self::Truncated { .. }
                | Self::Oversized { .. }
                | Self::Padding { .. }
                | Self::WrongBlock { .. }
                | Self::Corrupt { .. }
        )
    }
}

/// ` in subtiles 1, 2, 3 and 7 more`, or nothing.
pub(crate) fn list(subtiles: &[u64]) -> String {
    const SHOWN: usize = 8;
    if subtiles.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = subtiles.iter().take(SHOWN).map(u64::to_string).collect();
    let noun = if subtiles.len() == 1 { "subtile" } else { "subtiles" };
    match subtiles.len().saturating_sub(SHOWN) {
        0 => format!(" in {noun} {}", shown.join(", ")),
        more => format!(" in {noun} {} and {more} more", shown.join(", ")),
    }
}
