//! Taking in a block, tile by tile.

use crate::{
    Store, StoreError,
    layout::{Fingerprint, Kind, metadata},
    space::Reservation,
    store::Mapped,
};
use blyan_primitives::{
    block::{MAX_HEADER_LEN, PREFIX_LEN, data_offset},
    ids::ContentHash,
};
use blyan_tensorblock::{Outline, PartialBlock, VerifiedBlock, VerifiedTile, partial::stored_outline};
use std::{
    fs::{self, File},
    io::{self, Read},
};

/// A block on its way into a store. Tiles may be put from several threads, in any order.
///
/// Dropping it keeps what has arrived, for [`Store::resume`].
#[derive(Debug)]
pub struct Ingest {
    store: Store,
    partial: PartialBlock,
    // Last: the room is given back after the part file is closed.
    reservation: Reservation,
}

impl Store {
    /// Begins, or goes on with, taking in the block that `outline` describes. Good tiles of an earlier attempt and of
    /// a copy in quarantine are taken over.
    ///
    /// # Errors
    /// [`StoreError::AlreadyStored`], [`StoreError::Busy`] where another task or process takes the block in,
    /// [`StoreError::Full`].
    pub fn begin(&self, outline: Outline) -> Result<Ingest, StoreError> {
        let hash = outline.hash();
        if self.contains(&hash)? {
            return Err(StoreError::AlreadyStored { hash });
        }
        let file_len = data_offset(outline.header_bytes().len() as u32) + outline.header().data_len;
        let reservation = Reservation::new(self, &hash, file_len + outline.leaves().as_flattened().len() as u64)?;
        let layout = &self.shared.layout;
        let partial = PartialBlock::start(layout.incoming(), outline)?;
        // Asked again with the part file locked: whoever finishes a block renames it while holding that lock.
        if self.contains(&hash)? {
            partial.discard()?;
            return Err(StoreError::AlreadyStored { hash });
        }
        let damaged = layout.quarantined_block(&hash);
        if metadata(&damaged).map_err(StoreError::io("look at", &damaged))?.is_some() {
            let tiles = partial.salvage(&damaged)?;
            tracing::info!(%hash, tiles, missing = partial.missing().len(), "took over good tiles of a damaged block");
        }
        Ok(Ingest { store: self.clone(), partial, reservation })
    }

    /// Goes on with a block of which enough is here to know its outline: an earlier attempt, or a copy in quarantine whose
    /// header and leaf hashes are good. `None` where there is nothing of the kind.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn resume(&self, hash: &ContentHash) -> Result<Option<Ingest>, StoreError> {
        let outline = match stored_outline(self.shared.layout.incoming(), hash)? {
            Some(outline) => Some(outline),
            None => self.quarantined_outline(hash)?,
        };
        outline.map(|outline| self.begin(outline)).transpose()
    }

    fn quarantined_outline(&self, hash: &ContentHash) -> Result<Option<Outline>, StoreError> {
        let layout = &self.shared.layout;
        let (block, leaves) = (layout.quarantined_block(hash), layout.quarantined_leaves(hash));
        let read = || -> io::Result<(Vec<u8>, Vec<u8>)> {
            let mut prefix = [0; PREFIX_LEN as usize];
            let mut file = File::open(&block)?;
            file.read_exact(&mut prefix)?;
            let [.., a, b, c, d] = prefix;
            let len = u32::from_le_bytes([a, b, c, d]).min(MAX_HEADER_LEN);
            let mut header = Vec::new();
            file.take(u64::from(len)).read_to_end(&mut header)?;
            Ok((header, fs::read(&leaves)?))
        };
        match read() {
            // Damaged as it is, it may be damaged here.
            Ok((header, leaves)) => Ok(Outline::new(hash, &header, &leaves).ok()),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => Ok(None),
            Err(source) => Err(StoreError::io("read", block)(source)),
        }
    }
}

impl Ingest {
    /// The block.
    pub fn hash(&self) -> ContentHash {
        self.partial.outline().hash()
    }

    /// The block's header and leaf hashes.
    pub fn outline(&self) -> &Outline {
        self.partial.outline()
    }

    /// The tiles that are still to be fetched, in order. Tile `i` is bytes `outline().tile_range(i)` of the data region.
    pub fn missing_tiles(&self) -> Vec<u64> {
        self.partial.missing()
    }

    /// Bytes of the data region that are here.
    pub fn bytes_present(&self) -> u64 {
        self.partial.bytes_present()
    }

    /// Bytes of the data region.
    pub fn bytes_total(&self) -> u64 {
        self.outline().header().data_len
    }

    /// Checks `bytes` against the leaf hashes and writes them as tile `tile`; `false` when it was here.
    ///
    /// # Errors
    /// [`StoreError::Tile`] where the bytes are not that tile: whoever sent them is at fault, nothing was written.
    pub fn put_tile(&self, tile: u64, bytes: &[u8]) -> Result<bool, StoreError> {
        self.put(&self.outline().verify_tile(tile, bytes)?)
    }

    /// Writes a tile that was verified elsewhere; `false` when it was here.
    pub fn put<B: AsRef<[u8]>>(&self, tile: &VerifiedTile<B>) -> Result<bool, StoreError> {
        let new = self.partial.put(tile)?;
        if new {
            self.store.shared.metrics.ingested_bytes.inc_by(tile.bytes().len() as u64);
        }
        Ok(new)
    }

    /// Puts the block into the store, durable and verified.
    ///
    /// # Errors
    /// [`StoreError::Partial`] while tiles are missing. On every error what has arrived is kept for [`Store::resume`].
    pub fn finish(self) -> Result<VerifiedBlock, StoreError> {
        let Self { store, partial, reservation } = self;
        let shared = &store.shared;
        let hash = partial.outline().hash();
        let leaves = partial.outline().leaves().to_vec();
        let path = shared.layout.block(&hash);
        store.make_shard(&hash)?;
        let block = partial.finish(&path, shared.threads)?;
        store.write_leaves(&hash, leaves.as_flattened())?;
        let slot = store.enter(&mut shared.index.lock(), &hash)?;
        let file = Fingerprint::of(&path).map_err(StoreError::io("look at", &path))?;
        *slot.0.lock() = file.map(|file| Mapped { block: block.clone(), file });
        shared.metrics.ingested_blocks.inc();
        // A damaged copy was kept for its good tiles. Without a bound nothing else would ever remove it.
        if let Err(error) = store.remove_files(Kind::Quarantined, &hash) {
            tracing::debug!(%hash, %error, "cannot remove the damaged copy of a block");
        }
        drop(reservation);
        Ok(block)
    }

    /// Gives up and removes what has arrived.
    pub fn discard(self) -> Result<(), StoreError> {
        self.partial.discard().map_err(StoreError::from)
    }
}
