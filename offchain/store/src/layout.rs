//! Where files lie in a store.

use blyan_primitives::ids::ContentHash;
use blyan_tensorblock::partial::{OUTLINE_SUFFIX, PART_SUFFIX};
use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

const BLOCK_SUFFIX: &str = ".block";
const LEAVES_SUFFIX: &str = ".leaves";

/// Names of the files of a store.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    incoming: PathBuf,
    quarantine: PathBuf,
}

/// What a file in a store is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Block,
    Partial,
    Quarantined,
}

/// A block's file, and what belongs to it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) hash: ContentHash,
    /// With the files next to it.
    pub(crate) bytes: u64,
    pub(crate) used: SystemTime,
}

/// 64 hexadecimal digits.
fn digits(hash: &ContentHash) -> String {
    hash.to_string().trim_start_matches("0x").into()
}

fn parse(name: &str, suffix: &str) -> Option<ContentHash> {
    let digits = name.strip_suffix(suffix)?;
    // One spelling for each hash.
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    digits.parse().ok().filter(|_| plain)
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.into(), incoming: root.join("incoming"), quarantine: root.join("quarantine") }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn incoming(&self) -> &Path {
        &self.incoming
    }

    pub(crate) fn quarantine(&self) -> &Path {
        &self.quarantine
    }

    pub(crate) fn shard(&self, hash: &ContentHash) -> PathBuf {
        self.root.join(&digits(hash)[..2])
    }

    pub(crate) fn block(&self, hash: &ContentHash) -> PathBuf {
        self.shard(hash).join(digits(hash) + BLOCK_SUFFIX)
    }

    pub(crate) fn leaves(&self, hash: &ContentHash) -> PathBuf {
        self.shard(hash).join(digits(hash) + LEAVES_SUFFIX)
    }

    pub(crate) fn part(&self, hash: &ContentHash) -> PathBuf {
        self.incoming.join(digits(hash) + PART_SUFFIX)
    }

    pub(crate) fn outline(&self, hash: &ContentHash) -> PathBuf {
        self.incoming.join(digits(hash) + OUTLINE_SUFFIX)
    }

    pub(crate) fn quarantined_block(&self, hash: &ContentHash) -> PathBuf {
        self.quarantine.join(digits(hash) + BLOCK_SUFFIX)
    }

    pub(crate) fn quarantined_leaves(&self, hash: &ContentHash) -> PathBuf {
        self.quarantine.join(digits(hash) + LEAVES_SUFFIX)
    }

    /// The two files of an entry, the main one last: as long as it is there, the other one is accounted for.
    pub(crate) fn files(&self, kind: Kind, hash: &ContentHash) -> [PathBuf; 2] {
        match kind {
            Kind::Block => [self.leaves(hash), self.block(hash)],
            Kind::Partial => [self.outline(hash), self.part(hash)],
            Kind::Quarantined => [self.quarantined_leaves(hash), self.quarantined_block(hash)],
        }
    }

    /// The folders that blocks lie in.
    pub(crate) fn shards(&self) -> io::Result<Vec<PathBuf>> {
        let is_shard = |name: &str| name.len() == 2 && name.bytes().all(|b| b.is_ascii_hexdigit());
        let mut shards = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(is_shard) && entry.file_type()?.is_dir() {
                shards.push(entry.path());
            }
        }
        Ok(shards)
    }

    /// Everything in the store. Files that vanish meanwhile are left out, files with other names are not looked at.
    pub(crate) fn scan(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for shard in self.shards()? {
            self.scan_folder(&shard, Kind::Block, BLOCK_SUFFIX, &mut found)?;
        }
        self.scan_folder(&self.incoming, Kind::Partial, PART_SUFFIX, &mut found)?;
        self.scan_folder(&self.quarantine, Kind::Quarantined, BLOCK_SUFFIX, &mut found)?;
        Ok(found)
    }

    fn scan_folder(&self, folder: &Path, kind: Kind, suffix: &str, found: &mut Vec<Found>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Some(hash) = entry.file_name().to_str().and_then(|name| parse(name, suffix)) else { continue };
            if kind == Kind::Block && folder != self.shard(&hash) {
                continue;
            }
            found.extend(self.look(kind, &hash)?);
        }
        Ok(())
    }

    /// An entry of the store; `None` when it is not there.
    pub(crate) fn look(&self, kind: Kind, hash: &ContentHash) -> io::Result<Option<Found>> {
        let [second, main] = self.files(kind, hash);
        let Some(main) = metadata(&main)?.filter(Metadata::is_file) else { return Ok(None) };
        let second = metadata(&second)?;
        let mut used = main.modified()?;
        if let Some(second) = &second {
            used = used.max(second.modified()?);
        }
        Ok(Some(Found { kind, hash: *hash, bytes: main.len() + second.map_or(0, |file| file.len()), used }))
    }

    /// Outlines in the incoming folder whose part file is gone.
    pub(crate) fn orphaned_outlines(&self) -> io::Result<Vec<PathBuf>> {
        let mut orphans = Vec::new();
        for entry in fs::read_dir(&self.incoming)? {
            let entry = entry?;
            let Some(hash) = entry.file_name().to_str().and_then(|name| parse(name, OUTLINE_SUFFIX)) else { continue };
            if metadata(&self.part(&hash))?.is_none() {
                orphans.push(entry.path());
            }
        }
        Ok(orphans)
    }
}

/// Metadata of a file that may be absent.
pub(crate) fn metadata(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file that may be absent.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Tells a file from one that replaced or changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    file: (u64, u64),
    len: u64,
    modified: (i64, i64),
    /// When the contents or the metadata changed last. Unlike the time of modification, nobody can set it back.
    changed: (i64, i64),
}

impl Fingerprint {
    /// Of the file at `path`; `None` when there is none.
    pub(crate) fn of(path: &Path) -> io::Result<Option<Self>> {
        Ok(metadata(path)?.map(|file| Self {
            file: (file.dev(), file.ino()),
            len: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }))
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }
}
