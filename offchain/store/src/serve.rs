//! Parts of stored blocks, as peers fetch them: bodies of HTTP answers without a copy.

use crate::{Store, StoreError};
use blyan_primitives::ids::ContentHash;
use blyan_tensorblock::VerifiedBlock;
use std::ops::Range;

/// A part of a block that a peer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The SCALE-encoded header, which the block's name is the hash of.
    Header,
    /// The leaf hashes, one after the other.
    Leaves,
    /// The data region, whose tiles are 4 MiB each.
    Data,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Leaves => "leaf hashes",
            Self::Data => "data region",
        }
    }

    fn of(self, block: &VerifiedBlock) -> &[u8] {
        match self {
            Self::Header => block.header_bytes(),
            Self::Leaves => block.tree().leaves().as_flattened(),
            Self::Data => block.data(),
        }
    }
}

/// Bytes of a part of a verified block. Keeps the mapping alive, and the block from being evicted, while it is sent.
#[derive(Clone, Debug)]
pub struct ServedPart {
    block: VerifiedBlock,
    part: Part,
    range: Range<usize>,
}

impl ServedPart {
    /// Which bytes of the part these are.
    pub fn range(&self) -> Range<u64> {
        self.range.start as u64..self.range.end as u64
    }

    /// Bytes of the whole part.
    pub fn total_len(&self) -> u64 {
        self.part.of(&self.block).len() as u64
    }
}

impl AsRef<[u8]> for ServedPart {
    fn as_ref(&self) -> &[u8] {
        &self.part.of(&self.block)[self.range.clone()]
    }
}

impl Store {
    /// Bytes of a part of a block, all of them where `range` is `None`.
    ///
    /// # Errors
    /// As [`Self::get`]; [`StoreError::Range`] where the range is reversed or ends outside the part.
    pub fn serve(&self, hash: &ContentHash, part: Part, range: Option<Range<u64>>) -> Result<ServedPart, StoreError> {
        let block = self.get(hash)?;
        let len = part.of(&block).len();
        let Range { start, end } = range.unwrap_or(0..len as u64);
        if start > end || end > len as u64 {
            return Err(StoreError::Range { hash: *hash, part: part.name(), start, end, len: len as u64 });
        }
        Ok(ServedPart { block, part, range: start as usize..end as usize })
    }
}
