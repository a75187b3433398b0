//! The store: opening, looking up, adding and removing blocks.

use crate::{
    StoreError,
    layout::{Fingerprint, Kind, Layout, metadata},
    metrics::{Lookup, Metrics},
    space::Reservation,
};
use blyan_primitives::ids::ContentHash;
use blyan_tensorblock::{Block, BlockError, UnwrittenBlock, VerifiedBlock, atomic, default_threads};
use parking_lot::Mutex;
use prometheus::Registry;
use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

/// How a store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder; made where absent.
    pub root: PathBuf,
    /// Most bytes in the folder; `None` for no bound. Tools that open a worker's store leave it unbounded.
    pub max_bytes: Option<u64>,
    /// Threads that hash one block.
    pub threads: usize,
}

impl Config {
    /// An unbounded store in `root` that hashes on all processors.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), max_bytes: None, threads: default_threads() }
    }

    /// The same with a bound.
    pub fn bounded(self, max_bytes: u64) -> Self {
        Self { max_bytes: Some(max_bytes), ..self }
    }
}

/// A block in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// The block.
    pub hash: ContentHash,
    /// Bytes of its file and its leaf hashes.
    pub bytes: u64,
    /// When it was last asked for.
    pub last_used: SystemTime,
    /// Whether this process has verified it.
    pub verified: bool,
}

/// A content-addressed folder of blocks. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) layout: Layout,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) threads: usize,
    pub(crate) metrics: Metrics,
    /// Never held while a block is hashed. Whoever holds a slot may take it; whoever holds it only tries slots.
    pub(crate) index: Mutex<Index>,
}

/// What this process knows of the folder. The folder is the truth: another process may have changed it.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) entries: HashMap<ContentHash, Entry>,
    pub(crate) pinned: HashSet<ContentHash>,
    /// Blocks that are being written, with the room that was made for them.
    pub(crate) reserved: HashMap<ContentHash, u64>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) bytes: u64,
    pub(crate) used: SystemTime,
    pub(crate) slot: Arc<Slot>,
}

/// The mapping of one block, once it was verified. Locked while a thread verifies it, so that others wait for the result.
#[derive(Debug, Default)]
pub(crate) struct Slot(pub(crate) Mutex<Option<Mapped>>);

#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) block: VerifiedBlock,
    /// Of the file, when it was verified.
    pub(crate) file: Fingerprint,
}

impl Store {
    /// Opens the store in `config.root` and registers its metrics.
    ///
    /// Removes what processes that died while writing left behind, except blocks that can be resumed; evicts down to the
    /// bound.
    pub fn open(config: Config, registry: &Registry) -> Result<Self, StoreError> {
        let Config { root, max_bytes, threads } = config;
        let layout = Layout::new(&root);
        for folder in [layout.root(), layout.incoming(), layout.quarantine()] {
            fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
        }
        let metrics = Metrics::new(registry, max_bytes)?;
        let store = Self { shared: Arc::new(Shared { layout, max_bytes, threads, metrics, index: Mutex::default() }) };
        store.clean()?;
        store.refresh(&mut store.shared.index.lock())?;
        store.make_room(&mut store.shared.index.lock(), 0, None)?;
        Ok(store)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        self.shared.layout.root()
    }

    /// The block called `hash`, verified.
    ///
    /// The first call in a process hashes the whole file; concurrent calls wait for it. Later calls cost a look at the
    /// file's metadata.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the block is absent, [`StoreError::Corrupt`] where its file was damaged: it is in
    /// quarantine then, and the block is absent.
    pub fn get(&self, hash: &ContentHash) -> Result<VerifiedBlock, StoreError> {
        let result = self.find(hash);
        self.shared.metrics.lookup(match &result {
            Ok((_, lookup)) => *lookup,
            Err(StoreError::Corrupt { .. }) => Lookup::Corrupt,
            Err(_) => Lookup::Miss,
        });
        result.map(|(block, _)| block)
    }

    fn find(&self, hash: &ContentHash) -> Result<(VerifiedBlock, Lookup), StoreError> {
        let path = self.shared.layout.block(hash);
        let look = || Fingerprint::of(&path).map_err(StoreError::io("look at", &path));
        if look()?.is_none() {
            self.forget(hash);
            return Err(StoreError::NotFound { hash: *hash });
        }
        let slot = self.used(hash)?;
        let mut mapped = slot.0.lock();
        // Looked at again: the file may have changed while this thread waited for the slot.
        let file = look()?;
        if let Some(known) = mapped.as_ref().filter(|known| Some(known.file) == file) {
            return Ok((known.block.clone(), Lookup::Hit));
        }
        *mapped = None;
        let (block, file) = self.load(hash)?;
        *mapped = Some(Mapped { block: block.clone(), file });
        Ok((block, Lookup::Load))
    }

    /// Notes that a block was used, in memory and on disk, and returns its slot.
    fn used(&self, hash: &ContentHash) -> Result<Arc<Slot>, StoreError> {
        let now = SystemTime::now();
        let leaves = self.shared.layout.leaves(hash);
        // The order of use is a hint, and the folder of a tool may be read-only.
        if let Err(error) = File::open(&leaves).and_then(|file| file.set_modified(now))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%hash, %error, "cannot note the use of a block");
        }
        let mut index = self.shared.index.lock();
        if let Some(entry) = index.entries.get_mut(hash) {
            entry.used = now;
            return Ok(entry.slot.clone());
        }
        self.enter(&mut index, hash)
    }

    /// Brings the entry of a block that has just appeared up to date; returns its slot.
    pub(crate) fn enter(&self, index: &mut Index, hash: &ContentHash) -> Result<Arc<Slot>, StoreError> {
        let layout = &self.shared.layout;
        let found = layout.look(Kind::Block, hash).map_err(StoreError::io("look at", layout.block(hash)))?;
        let found = found.ok_or(StoreError::NotFound { hash: *hash })?;
        let entry =
            index.entries.entry(*hash).or_insert_with(|| Entry { bytes: 0, used: found.used, slot: Arc::default() });
        entry.bytes = found.bytes;
        entry.used = entry.used.max(found.used);
        let slot = entry.slot.clone();
        self.count(index);
        Ok(slot)
    }

    pub(crate) fn forget(&self, hash: &ContentHash) {
        let mut index = self.shared.index.lock();
        if index.entries.remove(hash).is_some() {
            self.count(&index);
        }
    }

    /// Updates the gauges.
    pub(crate) fn count(&self, index: &Index) {
        let bytes: u64 = index.entries.values().map(|entry| entry.bytes).sum();
        self.shared.metrics.stored_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.shared.metrics.stored_blocks.set(index.entries.len() as i64);
    }

    /// Whether the block is stored; it was not necessarily verified.
    pub fn contains(&self, hash: &ContentHash) -> Result<bool, StoreError> {
        let path = self.shared.layout.block(hash);
        Ok(metadata(&path).map_err(StoreError::io("look at", &path))?.is_some_and(|file| file.is_file()))
    }

    /// Every stored block, in the order of their hashes.
    pub fn list(&self) -> Result<Vec<StoredBlock>, StoreError> {
        let mut index = self.shared.index.lock();
        self.refresh(&mut index)?;
        let verified = |slot: &Slot| slot.0.try_lock().is_some_and(|mapped| mapped.is_some());
        let mut blocks: Vec<StoredBlock> = index
            .entries
            .iter()
            .map(|(hash, Entry { bytes, used, slot })| StoredBlock {
                hash: *hash,
                bytes: *bytes,
                last_used: *used,
                verified: verified(slot),
            })
            .collect();
        blocks.sort_unstable_by_key(|block| block.hash);
        Ok(blocks)
    }

    /// Keeps a block from being evicted or removed, whether it is stored already or not, until [`Self::unpin`] or the end
    /// of the process. Blocks that somebody holds are safe without.
    pub fn pin(&self, hash: &ContentHash) {
        self.shared.index.lock().pinned.insert(*hash);
    }

    /// Undoes [`Self::pin`].
    pub fn unpin(&self, hash: &ContentHash) {
        self.shared.index.lock().pinned.remove(hash);
    }

    /// Stores a block that was built here; returns `false` when it was stored already.
    pub fn put(&self, block: &UnwrittenBlock<'_>) -> Result<bool, StoreError> {
        let leaves = block.tree().leaves().as_flattened();
        self.add(&block.hash(), block.file_len(), leaves, |path| block.write_file(path))
    }

    /// Stores a copy of a verified block that lies elsewhere; returns `false` when it was stored already.
    pub fn put_verified(&self, block: &VerifiedBlock) -> Result<bool, StoreError> {
        let leaves = block.tree().leaves().as_flattened();
        self.add(&block.hash(), block.file_len(), leaves, |path| {
            atomic::write(path, |to| to.write_all(block.file_bytes())).map_err(|source| BlockError::Io {
                action: "write",
                path: path.into(),
                source,
            })
        })
    }

    /// Verifies the TensorBlock file at `path` and stores a copy of it. Returns its name.
    pub fn import_file(&self, path: &Path) -> Result<ContentHash, StoreError> {
        let block = Block::open(path)?.verify(self.shared.threads).map_err(BlockError::from)?;
        self.put_verified(&block)?;
        Ok(block.hash())
    }

    fn add(
        &self,
        hash: &ContentHash,
        file_len: u64,
        leaves: &[u8],
        write: impl FnOnce(&Path) -> Result<(), BlockError>,
    ) -> Result<bool, StoreError> {
        if self.contains(hash)? {
            return Ok(false);
        }
        let reservation = Reservation::new(self, hash, file_len + leaves.len() as u64)?;
        self.make_shard(hash)?;
        write(&self.shared.layout.block(hash))?;
        self.write_leaves(hash, leaves)?;
        self.enter(&mut self.shared.index.lock(), hash)?;
        drop(reservation);
        Ok(true)
    }

    /// The folder for a block, durable before anything is in it.
    pub(crate) fn make_shard(&self, hash: &ContentHash) -> Result<(), StoreError> {
        let shard = self.shared.layout.shard(hash);
        match fs::create_dir(&shard) {
            Ok(()) => atomic::sync_folder(self.root()).map_err(StoreError::io("write", self.root())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(source) => Err(StoreError::io("create", shard)(source)),
        }
    }

    pub(crate) fn write_leaves(&self, hash: &ContentHash, leaves: &[u8]) -> Result<(), StoreError> {
        let path = self.shared.layout.leaves(hash);
        atomic::write(&path, |to| to.write_all(leaves)).map_err(StoreError::io("write", path))
    }

    /// Removes a block; `false` when it was not stored.
    ///
    /// Refuses with [`StoreError::InUse`] while it is pinned or somebody holds it.
    pub fn remove(&self, hash: &ContentHash) -> Result<bool, StoreError> {
        let mut index = self.shared.index.lock();
        if !self.contains(hash)? {
            return Ok(false);
        }
        if !self.evict_block(&mut index, hash)? {
            return Err(StoreError::InUse { hash: *hash });
        }
        self.count(&index);
        Ok(true)
    }
}
