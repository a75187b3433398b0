//! What can go wrong with a store.

use blyan_primitives::ids::ContentHash;
use blyan_tensorblock::{BlockError, PartialError, TileError};
use std::{io, path::PathBuf};

/// Why a store refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The block is not stored.
    #[error("block {hash} is not in the store: fetch it")]
    NotFound {
        /// The block.
        hash: ContentHash,
    },
    /// The file of a block is damaged. It is in quarantine now and the block counts as absent.
    #[error("block {hash} was damaged and is now at {}: fetch it again ({source})", path.display())]
    Corrupt {
        /// The block.
        hash: ContentHash,
        /// Where the damaged file is now.
        path: PathBuf,
        /// The damaged subtiles; empty when the damage is outside the data region, or could not be located.
        subtiles: Vec<u64>,
        /// What is wrong with the file.
        source: Box<BlockError>,
    },
    /// The block is being fetched or written by another task or process.
    #[error("block {hash} is being fetched or written by another task or process: wait for it")]
    Busy {
        /// The block.
        hash: ContentHash,
    },
    /// The block is stored: there is nothing to fetch.
    #[error("block {hash} is in the store already")]
    AlreadyStored {
        /// The block.
        hash: ContentHash,
    },
    /// The block is pinned, or somebody computes on it.
    #[error("block {hash} is in use: stop what uses it first")]
    InUse {
        /// The block.
        hash: ContentHash,
    },
    /// The bound leaves no room even without every block that is not in use.
    #[error("no room for {needed} bytes: the store may hold {max}, of which {kept} are in use; raise its bound")]
    Full {
        /// Bytes asked for.
        needed: u64,
        /// The bound, in bytes.
        max: u64,
        /// Bytes of blocks that are pinned, in use, or being fetched.
        kept: u64,
    },
    /// A range outside a part of a block.
    #[error("bytes {start}..{end} are outside the {part} of block {hash}, which has {len} bytes")]
    Range {
        /// The block.
        hash: ContentHash,
        /// Which part.
        part: &'static str,
        /// First byte asked for.
        start: u64,
        /// First byte after those asked for.
        end: u64,
        /// Bytes of the part.
        len: u64,
    },
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
    /// A block that was handed in, or its file, is not usable.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A tile that was handed in does not belong to the block.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// A block could not be assembled.
    #[error(transparent)]
    Partial(PartialError),
    /// The metrics could not be registered: another store has the names.
    #[error("cannot register the store's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl From<PartialError> for StoreError {
    fn from(error: PartialError) -> Self {
        match error {
            PartialError::Busy { hash } => Self::Busy { hash },
            PartialError::Tile(error) => Self::Tile(error),
            PartialError::Block(error) => Self::Block(error),
            error => Self::Partial(error),
        }
    }
}

impl StoreError {
    /// For `map_err`: attaches what was tried on which path.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Whether a block's bytes are not what they have to be.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Block(error) => error.is_damage(),
            _ => false,
        }
    }

    /// Whether the block is absent, so that fetching it helps.
    pub fn needs_fetch(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::Corrupt { .. })
    }
}
