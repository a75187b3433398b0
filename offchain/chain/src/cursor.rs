//! Where a consumer of finalized blocks has got to, on disk.

use crate::{BlockRef, ChainError, Hash, Result, disk};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Longest cursor file that is read, in bytes.
const MAX_LEN: u64 = 4096;
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    genesis: Hash,
    number: u32,
    hash: Hash,
}

/// The last finalized block that a consumer is done with, kept in a file that survives crashes whole.
#[derive(Debug)]
pub(crate) struct Cursor {
    path: PathBuf,
    genesis: Hash,
    done: Option<BlockRef>,
}

impl Cursor {
    /// Reads the cursor at `path`; without a file the consumer has done nothing yet.
    ///
    /// # Errors
    /// [`ChainError::OtherChain`] when the file belongs to a chain with another genesis, [`ChainError::Corrupt`] when it
    /// is no cursor, [`ChainError::Io`].
    pub(crate) fn open(path: &Path, genesis: Hash) -> Result<Self> {
        let done = match disk::read_small(path, MAX_LEN)? {
            None => None,
            Some(content) => {
                let corrupt = |reason: String| ChainError::Corrupt { path: path.to_owned(), reason };
                let stored: Stored = serde_json::from_slice(&content).map_err(|error| corrupt(error.to_string()))?;
                if stored.format != FORMAT {
                    return Err(corrupt(format!("format {} is not known to this program", stored.format)));
                }
                if stored.genesis != genesis {
                    return Err(ChainError::OtherChain {
                        expected: stored.genesis,
                        found: genesis,
                        holder: format!("the cursor {}", path.display()),
                    });
                }
                Some(BlockRef { number: stored.number, hash: stored.hash })
            },
        };
        Ok(Self { path: path.to_owned(), genesis, done })
    }

    /// The last block that the consumer is done with.
    pub(crate) fn done(&self) -> Option<BlockRef> {
        self.done
    }

    /// Moves on to `block`; on disk when this returns.
    pub(crate) fn advance(&mut self, block: BlockRef) -> Result<()> {
        let stored = Stored { format: FORMAT, genesis: self.genesis, number: block.number, hash: block.hash };
        let text = serde_json::to_vec(&stored).map_err(|error| ChainError::Io {
            doing: "writing",
            path: self.path.clone(),
            source: error.into(),
        })?;
        disk::write_atomically(&self.path, &text)?;
        self.done = Some(block);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENESIS: Hash = Hash([1; 32]);

    fn block(number: u32) -> BlockRef {
        BlockRef { number, hash: Hash([number as u8; 32]) }
    }

    #[test]
    fn a_cursor_resumes_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/cursor.json");
        let mut cursor = Cursor::open(&path, GENESIS).unwrap();
        assert_eq!(cursor.done(), None);
        cursor.advance(block(7)).unwrap();
        cursor.advance(block(8)).unwrap();
        assert_eq!(Cursor::open(&path, GENESIS).unwrap().done(), Some(block(8)));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "temporary files are left behind");
    }

    #[test]
    fn a_cursor_of_another_chain_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor.json");
        Cursor::open(&path, GENESIS).unwrap().advance(block(7)).unwrap();
        let error = Cursor::open(&path, Hash([2; 32])).unwrap_err();
        assert!(matches!(error, ChainError::OtherChain { expected: GENESIS, found: Hash([2, ..]), .. }), "{error}");
    }

    #[test]
    fn damaged_cursors_are_refused_by_name_and_never_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor.json");
        Cursor::open(&path, GENESIS).unwrap().advance(block(7)).unwrap();
        let good = std::fs::read(&path).unwrap();
        let refused = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            matches!(Cursor::open(&path, GENESIS), Err(ChainError::Corrupt { .. }))
        };
        for cut in 0..good.len() {
            assert!(refused(&good[..cut]), "cut to {cut} bytes");
        }
        assert!(refused(&[&good[..], b"x"].concat()));
        assert!(refused(&vec![b' '; 5000]));
        assert!(refused(String::from_utf8(good).unwrap().replace("\"format\":1", "\"format\":2").as_bytes()));
    }
}
