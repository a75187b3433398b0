//! Looking after blocks that somebody computes on.
//!
//! A mapping shows what its file holds now, not what it held when it was verified. [`Store::get`] sees that a file was
//! changed, but only who asks again learns of it; an engine asks once and computes for days.

use crate::{Store, StoreError, layout::Fingerprint};
use blyan_tensorblock::{BlockError, VerifiedBlock};

/// A verified block whose mapped bytes are to stay what they were. Keeps the block from being evicted.
#[derive(Debug)]
pub struct Watched {
    store: Store,
    block: VerifiedBlock,
    /// What the file was like, or that there was none, when the mapped bytes were last known to be good; `None` where that
    /// is not known.
    good_with: Option<Option<Fingerprint>>,
}

impl Store {
    /// Looks after the mapping that `block` is a handle of, which came from this store.
    pub fn watch(&self, block: &VerifiedBlock) -> Watched {
        // Apart from the lock that follows: whoever holds the index only tries slots.
        let slot = self.shared.index.lock().entries.get(&block.hash()).map(|entry| entry.slot.clone());
        let file = slot.and_then(|slot| {
            let mapped = slot.0.lock();
            // The store may have mapped the block anew, of another file.
            mapped.as_ref().filter(|mapped| mapped.block.shares_mapping(block)).map(|mapped| mapped.file)
        });
        Watched { store: self.clone(), block: block.clone(), good_with: file.map(Some) }
    }
}

impl Watched {
    /// The block.
    pub fn block(&self) -> &VerifiedBlock {
        &self.block
    }

    /// Whether the mapped bytes are still the block's. Costs a look at the file's metadata; hashes the bytes where these
    /// changed, or where another file, or none, has the block's name.
    ///
    /// # Errors
    /// [`StoreError::Block`] with what [`BlockError::is_damage`] is true of: nothing that was computed on the mapping since
    /// the last look can be relied on. [`StoreError::Io`] where the file cannot be looked at.
    pub fn check_unchanged(&mut self) -> Result<(), StoreError> {
        let shared = &self.store.shared;
        let path = shared.layout.block(&self.block.hash());
        let now = Fingerprint::of(&path).map_err(StoreError::io("look at", &path))?;
        if self.good_with == Some(now) {
            return Ok(());
        }
        let expected = self.block.file_len();
        if let Some(found) = now.map(|file| file.len()).filter(|found| *found != expected) {
            // Its pages may be gone: they must not be touched.
            return Err(StoreError::Block(if found < expected {
                BlockError::Truncated { path, expected, found }
            } else {
                BlockError::Oversized { path, expected, found }
            }));
        }
        shared.metrics.verified_bytes.inc_by(expected);
        self.block.verify_again(shared.threads)?;
        tracing::info!(hash = %self.block.hash(), "a block's file was touched; what is mapped of it is good");
        self.good_with = Some(now);
        Ok(())
    }
}
