//! Assembling a block from tiles, in a file that survives crashes.
//!
//! Two files lie in a folder while a block arrives:
//!
//! - `<64 hex>.part`, laid out like the finished file, with holes where tiles are missing. Whoever writes it holds a lock on
//!   it, which ends with the process.
//! - `<64 hex>.outline`, the header, the leaf hashes, and a byte for each tile that was written.
//!
//! Nothing in them is trusted when a download resumes: the header has to hash to the block's name and the leaf hashes to
//! the header's root, and each tile that is marked as written is hashed against its leaves. Marks only save hashing
//! holes, so they need not be synchronised with the data.

use crate::{
    Block, BlockError, Outline, TileError, VerifiedBlock, VerifiedTile, atomic, builder::file_head,
    geometry::tile_range,
};
use blyan_primitives::{
    block::{MAX_HEADER_LEN, data_offset},
    ids::{ContentHash, TileRoot},
    merkle::TILE,
};
use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// End of the name of an unfinished block.
pub const PART_SUFFIX: &str = ".part";
/// End of the name of an unfinished block's header and leaf hashes.
pub const OUTLINE_SUFFIX: &str = ".outline";
const OUTLINE_MAGIC: [u8; 8] = *b"BLYANOL\n";
/// Bytes in front of the header in an outline file: magic and the header's length.
const OUTLINE_PREFIX: usize = 12;

/// Why a block could not be assembled.
#[derive(Debug, thiserror::Error)]
pub enum PartialError {
    /// Somebody else is assembling this block.
    #[error("block {hash} is being fetched by another task or process: wait for it")]
    Busy {
        /// The block.
        hash: ContentHash,
    },
    /// Tiles are missing.
    #[error("block {hash} still lacks {missing} tiles")]
    Incomplete {
        /// The block.
        hash: ContentHash,
        /// How many.
        missing: u64,
    },
    /// A tile of another block.
    #[error("a tile of the block with root {found} does not belong to block {hash}")]
    WrongBlock {
        /// The block.
        hash: ContentHash,
        /// The root that the tile was verified against.
        found: TileRoot,
    },
    /// What arrived is not part of the block.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// A file could not be read or written, or changed behind our back.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// A block of which some tiles are on disk. Tiles may be put from several threads.
#[derive(Debug)]
pub struct PartialBlock {
    outline: Outline,
    part: PathBuf,
    outline_path: PathBuf,
    /// Holds the lock.
    file: File,
    marks: File,
    have: Vec<AtomicBool>,
}

impl PartialBlock {
    /// Begins, or goes on with, assembling the block that `outline` describes, in `folder`. Tiles that are on disk already
    /// are hashed and kept where they are good.
    ///
    /// Refuses with [`PartialError::Busy`] when another handle has the block.
    pub fn start(folder: &Path, outline: Outline) -> Result<Self, PartialError> {
        let paths = Paths::new(folder, &outline.hash());
        let file = paths.lock(&outline.hash(), true)?;
        let file = file.ok_or(PartialError::Busy { hash: outline.hash() })?;
        let old = read_outline(&paths.outline, &outline.hash())?;
        let hints = old.map(|(_, hints)| hints);
        if hints.is_none() {
            write_outline(&paths.outline, &outline)?;
        }
        // Without readable marks, every tile of the file may be there.
        let hints = hints.unwrap_or_else(|| vec![1; outline.tile_count() as usize]);
        Self::open(paths, file, outline, &hints)
    }

    /// Goes on with assembling block `hash` in `folder`; `None` when nothing usable of it is there.
    ///
    /// Refuses with [`PartialError::Busy`] when another handle has the block.
    pub fn resume(folder: &Path, hash: &ContentHash) -> Result<Option<Self>, PartialError> {
        let paths = Paths::new(folder, hash);
        let Some(file) = paths.lock(hash, false)? else { return Ok(None) };
        let Some((outline, hints)) = read_outline(&paths.outline, hash)? else { return Ok(None) };
        Self::open(paths, file, outline, &hints).map(Some)
    }

    fn open(paths: Paths, file: File, outline: Outline, hints: &[u8]) -> Result<Self, PartialError> {
        let Paths { part, outline: outline_path } = paths;
        let head = file_head(outline.header_bytes());
        let old_len = file.metadata().map_err(BlockError::io("read", &part))?.len();
        file.set_len(head.len() as u64 + outline.header().data_len).map_err(BlockError::io("enlarge", &part))?;
        file.write_all_at(&head, 0).map_err(BlockError::io("write", &part))?;
        let marks = File::options().write(true).open(&outline_path).map_err(BlockError::io("open", &outline_path))?;
        let have = (0..outline.tile_count()).map(|_| AtomicBool::new(false)).collect();
        let this = Self { outline, part, outline_path, file, marks, have };
        if old_len > head.len() as u64 {
            this.keep_good_tiles(hints)?;
        }
        Ok(this)
    }

    fn keep_good_tiles(&self, hints: &[u8]) -> Result<(), PartialError> {
        let mut buffer = Vec::new();
        for (tile, _) in (0..).zip(hints).filter(|(_, hint)| **hint != 0) {
            let good = self
                .read_tile(&self.file, tile, &mut buffer)
                .map_err(BlockError::io("read", &self.part))?
                .is_some_and(|bytes| self.outline.verify_tile(tile, bytes).is_ok());
            if good {
                self.mark(tile)?;
            }
        }
        Ok(())
    }

    /// A tile from a file with this block's layout; `None` when the file is too short.
    fn read_tile<'b>(&self, file: &File, tile: u64, buffer: &'b mut Vec<u8>) -> io::Result<Option<&'b [u8]>> {
        let Some(range) = self.outline.tile_range(tile) else { return Ok(None) };
        buffer.resize((range.end - range.start) as usize, 0);
        match file.read_exact_at(buffer, self.data_offset() + range.start) {
            Ok(()) => Ok(Some(buffer)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn data_offset(&self) -> u64 {
        data_offset(self.outline.header_bytes().len() as u32)
    }

    fn mark(&self, tile: u64) -> Result<(), PartialError> {
        if let Some(have) = self.have.get(tile as usize) {
            have.store(true, Ordering::Release);
        }
        let outline = &self.outline;
        let at = OUTLINE_PREFIX + outline.header_bytes().len() + outline.leaves().as_flattened().len();
        self.marks
            .write_all_at(&[1], at as u64 + tile)
            .map_err(BlockError::io("write", &self.outline_path))
            .map_err(PartialError::from)
    }

    /// The block's header and leaf hashes.
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// The tiles that are still to be fetched, in order.
    pub fn missing(&self) -> Vec<u64> {
        (0..).zip(&self.have).filter(|(_, have)| !have.load(Ordering::Acquire)).map(|(tile, _)| tile).collect()
    }

    /// Bytes of tiles that are on disk: for a progress bar.
    pub fn bytes_present(&self) -> u64 {
        let present = (0..).zip(&self.have).filter(|(_, have)| have.load(Ordering::Acquire));
        present.filter_map(|(tile, _)| self.outline.tile_range(tile)).map(|range| range.end - range.start).sum()
    }

    /// Writes a tile to its place. Returns `false`, and writes nothing, when it was there.
    pub fn put<B: AsRef<[u8]>>(&self, tile: &VerifiedTile<B>) -> Result<bool, PartialError> {
        if tile.root() != self.outline.header().root {
            return Err(PartialError::WrongBlock { hash: self.outline.hash(), found: tile.root() });
        }
        let index = tile.index();
        if self.have.get(index as usize).is_some_and(|have| have.load(Ordering::Acquire)) {
            return Ok(false);
        }
        // Two threads may write the same tile at once: both write the same bytes.
        self.file
            .write_all_at(tile.bytes(), self.data_offset() + index * TILE)
            .map_err(BlockError::io("write", &self.part))?;
        self.mark(index)?;
        Ok(true)
    }

    /// Checks `bytes` against the leaf hashes of tile `tile` and writes them: see [`Self::put`].
    pub fn put_bytes(&self, tile: u64, bytes: &[u8]) -> Result<bool, PartialError> {
        self.put(&self.outline.verify_tile(tile, bytes)?)
    }

    /// Takes over the good tiles of a damaged copy of the block at `path`; returns how many.
    pub fn salvage(&self, path: &Path) -> Result<u64, PartialError> {
        let file = File::open(path).map_err(BlockError::io("open", path))?;
        let mut buffer = Vec::new();
        let mut taken = 0;
        for tile in self.missing() {
            let bytes = self.read_tile(&file, tile, &mut buffer).map_err(BlockError::io("read", path))?;
            if let Some(Ok(good)) = bytes.map(|bytes| self.outline.verify_tile(tile, bytes)) {
                taken += u64::from(self.put(&good)?);
            }
        }
        Ok(taken)
    }

    /// Makes the block appear at `to`, on the same file system: written out, hashed once more as it is mapped, renamed.
    ///
    /// Refuses while tiles are missing. When the file does not hold what was put into it, the damaged tiles are missing
    /// once the block is resumed.
    pub fn finish(self, to: &Path, threads: usize) -> Result<VerifiedBlock, PartialError> {
        let missing = self.missing().len() as u64;
        if missing > 0 {
            return Err(PartialError::Incomplete { hash: self.outline.hash(), missing });
        }
        self.file.sync_all().map_err(BlockError::io("write", &self.part))?;
        let block = Block::open_as(&self.part, &self.outline.hash())?;
        let block = block.moved_to(to.into()).verify_with(threads, Some(self.outline.leaves()));
        let block = block.map_err(BlockError::from)?;
        // Before the rename, while the lock keeps others out: after it, the outline could be that of a new download. Without
        // an outline the complete file is still worth its tiles.
        fs::remove_file(&self.outline_path).map_err(BlockError::io("remove", &self.outline_path))?;
        fs::rename(&self.part, to).map_err(BlockError::io("rename a finished block to", to))?;
        for folder in [atomic::parent(to), atomic::parent(&self.part)] {
            atomic::sync_folder(folder).map_err(BlockError::io("write", folder))?;
        }
        Ok(block)
    }

    /// Gives up and removes both files.
    pub fn discard(self) -> Result<(), PartialError> {
        // The part file last: until it is gone, its lock keeps others from beginning anew.
        for path in [&self.outline_path, &self.part] {
            fs::remove_file(path).map_err(BlockError::io("remove", path))?;
        }
        Ok(())
    }
}

struct Paths {
    part: PathBuf,
    outline: PathBuf,
}

impl Paths {
    fn new(folder: &Path, hash: &ContentHash) -> Self {
        let name = folder.join(hash.to_string().trim_start_matches("0x"));
        Self { part: atomic::with_suffix(&name, PART_SUFFIX), outline: atomic::with_suffix(&name, OUTLINE_SUFFIX) }
    }

    /// The locked part file; `None` when there is none and `create` is false.
    fn lock(&self, hash: &ContentHash, create: bool) -> Result<Option<File>, PartialError> {
        match atomic::lock(&self.part, create) {
            Ok(Some(file)) => Ok(Some(file)),
            Ok(None) => Err(PartialError::Busy { hash: *hash }),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !create => Ok(None),
            Err(source) => Err(BlockError::io("open", &self.part)(source).into()),
        }
    }
}

fn write_outline(path: &Path, outline: &Outline) -> Result<(), PartialError> {
    let header = outline.header_bytes();
    atomic::write(path, |to| {
        to.write_all(&OUTLINE_MAGIC)?;
        to.write_all(&(header.len() as u32).to_le_bytes())?;
        to.write_all(header)?;
        to.write_all(outline.leaves().as_flattened())?;
        to.write_all(&vec![0; outline.tile_count() as usize])
    })
    .map_err(BlockError::io("write", path))
    .map_err(PartialError::from)
}

/// The outline of an unfinished block in `folder`; `None` when there is no readable one.
pub fn stored_outline(folder: &Path, hash: &ContentHash) -> Result<Option<Outline>, PartialError> {
    Ok(read_outline(&Paths::new(folder, hash).outline, hash)?.map(|(outline, _)| outline))
}

/// The outline and the marks in a file; `None` when there is no file, or it is damaged or belongs to another block.
fn read_outline(path: &Path, hash: &ContentHash) -> Result<Option<(Outline, Vec<u8>)>, PartialError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(BlockError::io("read", path)(source).into()),
    };
    Ok(parse_outline(&bytes, hash))
}

fn parse_outline(bytes: &[u8], hash: &ContentHash) -> Option<(Outline, Vec<u8>)> {
    let rest = bytes.strip_prefix(&OUTLINE_MAGIC)?;
    let (header_len, rest) = rest.split_first_chunk::<4>()?;
    let header_len = u32::from_le_bytes(*header_len);
    if header_len > MAX_HEADER_LEN {
        return None;
    }
    let (header, rest) = rest.split_at_checked(header_len as usize)?;
    let parsed = crate::transfer::verify_header(hash, header).ok()?;
    let (leaves, marks) = rest.split_at_checked(crate::transfer::leaves_len(&parsed) as usize)?;
    let outline = Outline::new(hash, header, leaves).ok()?;
    debug_assert!(tile_range(outline.header().data_len, 0).is_some());
    (marks.len() as u64 == outline.tile_count()).then(|| (outline, marks.to_vec()))
}
