//! Verifying files, and moving damaged ones out of the way.

use crate::{
    Store, StoreError,
    layout::{Fingerprint, Kind, metadata},
};
use blyan_primitives::{ids::ContentHash, merkle::Digest};
use blyan_tensorblock::{Block, BlockError, VerifiedBlock, atomic, transfer::leaves_len};
use std::{
    fs, io,
    time::{Duration, Instant},
};

/// How often a file is loaded anew because it was replaced while it was hashed.
const MAX_RELOADS: usize = 3;

/// What hashing one stored block found.
#[derive(Debug)]
pub struct Verification {
    /// The block.
    pub hash: ContentHash,
    /// Bytes of its file.
    pub bytes: u64,
    /// Time that it took.
    pub time: Duration,
    /// `Ok`, or what is wrong; a damaged file is in quarantine now.
    pub result: Result<(), StoreError>,
}

/// How far [`Store::verify_all`] is.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Blocks done.
    pub blocks: usize,
    /// Blocks in all.
    pub total_blocks: usize,
    /// Bytes done.
    pub bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
    /// The block that was done last.
    pub last: &'a Verification,
}

/// What [`Store::verify_all`] found.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Blocks hashed.
    pub blocks: usize,
    /// Bytes hashed.
    pub bytes: u64,
    /// Time that it took.
    pub time: Duration,
    /// Blocks that are damaged or could not be read.
    pub failed: Vec<Verification>,
}

impl Store {
    /// Maps and hashes a block's file; moves it into quarantine where it is damaged. The caller holds the block's slot.
    pub(crate) fn load(&self, hash: &ContentHash) -> Result<(VerifiedBlock, Fingerprint), StoreError> {
        let path = self.shared.layout.block(hash);
        let look = || Fingerprint::of(&path).map_err(StoreError::io("look at", &path));
        let mut file = look()?.ok_or(StoreError::NotFound { hash: *hash })?;
        for _ in 0..MAX_RELOADS {
            let damage = match self.open_and_hash(hash) {
                Ok(block) => return Ok((block, file)),
                Err(damage) if damage.is_damage() => damage,
                Err(BlockError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    self.forget(hash);
                    return Err(StoreError::NotFound { hash: *hash });
                },
                Err(error) => return Err(error.into()),
            };
            // Another process may have healed the block meanwhile: then it is another file, and not to be moved away.
            match look()? {
                Some(now) if now == file => return Err(self.quarantine(hash, damage)),
                Some(now) => file = now,
                None => return Err(StoreError::NotFound { hash: *hash }),
            }
        }
        Err(StoreError::Busy { hash: *hash })
    }

    fn open_and_hash(&self, hash: &ContentHash) -> Result<VerifiedBlock, BlockError> {
        let metrics = &self.shared.metrics;
        let block = Block::open_as(&self.shared.layout.block(hash), hash)?;
        let leaves = self.read_leaves(&block);
        metrics.verified_bytes.inc_by(block.file_len());
        let timer = metrics.verification_seconds.start_timer();
        let block = block.verify_with(self.shared.threads, leaves.as_deref());
        timer.observe_duration();
        let block = block?;
        // Absent after a crash, or changed: it is made from what was just hashed.
        if leaves.as_deref() != Some(block.tree().leaves())
            && let Err(error) = self.write_leaves(hash, block.tree().leaves().as_flattened())
        {
            tracing::debug!(%hash, %error, "cannot keep the leaf hashes of a block");
        }
        Ok(block)
    }

    /// The list of leaf hashes beside a block; `None` when it is absent or unreadable. It need not be right: it only helps
    /// to locate damage.
    fn read_leaves(&self, block: &Block) -> Option<Vec<Digest>> {
        let path = self.shared.layout.leaves(&block.hash());
        let expected = leaves_len(block.header());
        let bytes = metadata(&path).ok()?.filter(|file| file.len() == expected).and_then(|_| fs::read(&path).ok())?;
        Some(bytes.as_chunks().0.to_vec())
    }

    /// Moves the damaged file of a block aside; returns the error that tells of it.
    fn quarantine(&self, hash: &ContentHash, damage: BlockError) -> StoreError {
        let layout = &self.shared.layout;
        let moved = layout.files(Kind::Block, hash).into_iter().zip(layout.files(Kind::Quarantined, hash));
        for (from, to) in moved {
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return StoreError::io("move a damaged block away from", from)(error);
                },
                _ => {},
            }
        }
        for folder in [layout.shard(hash), layout.quarantine().into()] {
            if let Err(error) = atomic::sync_folder(&folder) {
                return StoreError::io("write", folder)(error);
            }
        }
        self.forget(hash);
        self.shared.metrics.corruptions.inc();
        let path = layout.quarantined_block(hash);
        tracing::warn!(%hash, path = %path.display(), error = %damage, "damaged block moved into quarantine");
        let subtiles = match &damage {
            BlockError::Corrupt { subtiles, .. } => subtiles.clone(),
            _ => Vec::new(),
        };
        StoreError::Corrupt { hash: *hash, path, subtiles, source: Box::new(damage) }
    }

    /// Hashes the file of a block, whether or not this process has verified it before.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn verify(&self, hash: &ContentHash) -> Result<(), StoreError> {
        let slot = self.enter(&mut self.shared.index.lock(), hash)?;
        let mut mapped = slot.0.lock();
        self.load(hash).map(|_| ()).inspect_err(|_| *mapped = None)
    }

    /// Hashes every stored block, telling `progress` after each. Damaged files are moved into quarantine and reported;
    /// blocks that are evicted meanwhile are left out.
    pub fn verify_all(&self, mut progress: impl FnMut(Progress<'_>)) -> Result<VerifyReport, StoreError> {
        let blocks = self.list()?;
        let started = Instant::now();
        let total_bytes = blocks.iter().map(|block| block.bytes).sum();
        let mut report = VerifyReport::default();
        for (done, block) in (1..).zip(&blocks) {
            let begun = Instant::now();
            let result = self.verify(&block.hash);
            let last = Verification { hash: block.hash, bytes: block.bytes, time: begun.elapsed(), result };
            report.bytes += block.bytes;
            progress(Progress {
                blocks: done,
                total_blocks: blocks.len(),
                bytes: report.bytes,
                total_bytes,
                last: &last,
            });
            match last.result {
                Err(StoreError::NotFound { .. }) => {},
                Err(_) => report.failed.push(last),
                Ok(()) => report.blocks += 1,
            }
        }
        report.blocks += report.failed.len();
        report.time = started.elapsed();
        Ok(report)
    }
}
