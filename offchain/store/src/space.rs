//! Keeping the folder below its bound, and clean.

use crate::{
    Store, StoreError,
    layout::{Found, Kind, remove_if_there},
    store::{Entry, Index},
};
use blyan_primitives::ids::ContentHash;
use blyan_tensorblock::atomic;
use std::{collections::hash_map::Entry as Place, io, sync::Arc};

/// Room for a block that is being written, and the right to write it. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    store: Store,
    hash: ContentHash,
}

impl Reservation {
    /// Evicts what is needed for `bytes` more bytes.
    pub(crate) fn new(store: &Store, hash: &ContentHash, bytes: u64) -> Result<Self, StoreError> {
        let mut index = store.shared.index.lock();
        if index.reserved.contains_key(hash) {
            return Err(StoreError::Busy { hash: *hash });
        }
        store.make_room(&mut index, bytes, Some(hash))?;
        index.reserved.insert(*hash, bytes);
        drop(index);
        Ok(Self { store: store.clone(), hash: *hash })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.store.shared.index.lock().reserved.remove(&self.hash);
    }
}

impl Store {
    /// Removes what dead processes left: temporary files, and unfinished downloads of blocks that are stored. What
    /// a living process works on is locked, and stays.
    pub(crate) fn clean(&self) -> Result<(), StoreError> {
        let layout = &self.shared.layout;
        let scan = |source| StoreError::io("clean", layout.root())(source);
        for folder in layout.shards().map_err(scan)?.iter().map(|shard| shard.as_path()).chain([layout.incoming()]) {
            let removed = atomic::remove_stale(folder).map_err(StoreError::io("clean", folder))?;
            if removed > 0 {
                tracing::info!(removed, folder = %folder.display(), "removed unfinished files of dead processes");
            }
        }
        // A part file is made before its outline and removed after it: an outline alone belongs to nobody.
        for orphan in layout.orphaned_outlines().map_err(scan)? {
            remove_if_there(&orphan).map_err(StoreError::io("remove", orphan))?;
        }
        for partial in layout.scan().map_err(scan)?.iter().filter(|found| found.kind == Kind::Partial) {
            if self.contains(&partial.hash)? {
                self.evict_partial(&partial.hash)?;
            }
        }
        Ok(())
    }

    /// Brings the index up to date with the folder.
    pub(crate) fn refresh(&self, index: &mut Index) -> Result<Vec<Found>, StoreError> {
        let layout = &self.shared.layout;
        let found = layout.scan().map_err(StoreError::io("list", layout.root()))?;
        let mut old = std::mem::take(&mut index.entries);
        for Found { hash, bytes, used, .. } in found.iter().filter(|found| found.kind == Kind::Block) {
            let known = old.remove(hash);
            let (bytes, used) = (*bytes, known.as_ref().map_or(*used, |entry| entry.used.max(*used)));
            let slot = known.map_or_else(Arc::default, |entry| entry.slot);
            index.entries.insert(*hash, Entry { bytes, used, slot });
        }
        self.count(index);
        Ok(found)
    }

    /// Evicts blocks, abandoned downloads and quarantined files, the least recently used first, until `needed` more bytes
    /// fit. `incoming` is the block that they are for: what is here of it already is neither evicted nor counted twice.
    pub(crate) fn make_room(
        &self,
        index: &mut Index,
        needed: u64,
        incoming: Option<&ContentHash>,
    ) -> Result<(), StoreError> {
        let Some(max) = self.shared.max_bytes else { return Ok(()) };
        let mut found = self.refresh(index)?;
        // What is being written is counted by the room that was made for it.
        found.retain(|found| {
            let reserved = incoming == Some(&found.hash) || index.reserved.contains_key(&found.hash);
            !reserved || found.kind == Kind::Quarantined
        });
        let mut total = found.iter().map(|found| found.bytes).sum::<u64>() + index.reserved.values().sum::<u64>();
        for found in &mut found {
            if let (Kind::Block, Some(entry)) = (found.kind, index.entries.get(&found.hash)) {
                found.used = entry.used;
            }
        }
        found.sort_unstable_by_key(|found| (found.used, found.hash));
        for Found { kind, hash, bytes, .. } in &found {
            if total.saturating_add(needed) <= max {
                break;
            }
            let evicted = match kind {
                _ if incoming == Some(hash) => false,
                Kind::Block => self.evict_block(index, hash)?,
                Kind::Partial => self.evict_partial(hash)?,
                Kind::Quarantined => self.remove_files(*kind, hash).map(|()| true)?,
            };
            if evicted {
                tracing::info!(%hash, bytes, ?kind, "evicted to make room");
                total -= bytes;
                self.shared.metrics.evictions.inc();
                self.shared.metrics.evicted_bytes.inc_by(*bytes);
            }
        }
        self.count(index);
        if total.saturating_add(needed) > max {
            return Err(StoreError::Full { needed, max, kept: total });
        }
        Ok(())
    }

    /// Removes a stored block unless it is pinned, held by somebody, or being verified or written.
    pub(crate) fn evict_block(&self, index: &mut Index, hash: &ContentHash) -> Result<bool, StoreError> {
        if index.pinned.contains(hash) || index.reserved.contains_key(hash) {
            return Ok(false);
        }
        if let Place::Occupied(entry) = index.entries.entry(*hash) {
            // Handles are given out under the slot's lock only: nobody can take one between the look and the removal.
            let slot = entry.get().slot.clone();
            let Some(mut mapped) = slot.0.try_lock() else { return Ok(false) };
            if mapped.as_ref().is_some_and(|mapped| mapped.block.handles() > 1) {
                return Ok(false);
            }
            self.remove_files(Kind::Block, hash)?;
            *mapped = None;
            entry.remove();
        } else {
            self.remove_files(Kind::Block, hash)?;
        }
        Ok(true)
    }

    /// Removes an unfinished download unless somebody works on it.
    fn evict_partial(&self, hash: &ContentHash) -> Result<bool, StoreError> {
        let part = self.shared.layout.part(hash);
        match atomic::lock(&part, false) {
            // The lock lasts until the files are gone.
            Ok(Some(_locked)) => self.remove_files(Kind::Partial, hash).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(source) => Err(StoreError::io("open", part)(source)),
        }
    }

    pub(crate) fn remove_files(&self, kind: Kind, hash: &ContentHash) -> Result<(), StoreError> {
        for path in self.shared.layout.files(kind, hash) {
            remove_if_there(&path).map_err(StoreError::io("remove", path))?;
        }
        Ok(())
    }
}
