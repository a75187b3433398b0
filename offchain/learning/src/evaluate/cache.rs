//! Scores that were measured before: an evaluation that is interrupted does not begin anew.
//!
//! ```text
//! 0        8          12      16
//! ┌────────┬──────────┬───────┬─────────────────────────────────────────────────────────────────────┬────
//! │ magic  │ format   │ zeros │ weights 32 B   block 32 B   item u32   score u64   check 8 B        │ …
//! │ 8 bytes│ u32      │       │                                                                     │
//! └────────┴──────────┴───────┴─────────────────────────────────────────────────────────────────────┴────
//! ```
//!
//! Numbers are little-endian. A record is named by the weights of the whole model and the item, which decide the score to the
//! bit, so that it is true in any evaluation. Its check is the first bytes of a hash of what is before it: a record that a
//! crash has cut, and all after it, are measured again.

use blyan_primitives::{
    dispute::Item,
    hash::{Domain, hash},
    ids::{ContentHash, WeightsId},
};
use blyan_tensorblock::atomic;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

const MAGIC: [u8; 8] = *b"BLYANSC\n";
const FORMAT: u32 = 1;
const HEAD: usize = 16;
/// Bytes of a record without its check.
const PLAIN: usize = 32 + 32 + 4 + 8;
const CHECK: usize = 8;
const RECORD: usize = PLAIN + CHECK;
const RECORD_CHECK: Domain = Domain("blyan/learning/score/1");
/// Most scores of a file: several evaluations with as many as the chain takes.
pub const MAX_CACHED: usize = 1 << 16;

/// Why scores are not kept, or not had.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another evaluation uses the file.
    #[error("{} is used by another evaluation: wait until it is over, or name another file", .0.display())]
    InUse(PathBuf),
    /// The file is something else, or of another version.
    #[error("{} is not a file of scores of this version: name another file", .0.display())]
    Other(PathBuf),
    /// There are too many scores.
    #[error("{} has {MAX_CACHED} scores, the most it can have: remove it, or name another file", .0.display())]
    Full(PathBuf),
}

type Key = (WeightsId, ContentHash, u32);

/// Scores that are known, and a file that they are kept in.
#[derive(Debug)]
pub struct ScoreCache {
    file: Option<(PathBuf, File)>,
    known: BTreeMap<Key, u64>,
}

impl ScoreCache {
    /// Keeps scores for as long as it lives itself.
    pub fn in_memory() -> Self {
        Self { file: None, known: BTreeMap::new() }
    }

    /// Reads the scores that a file has, which is made if it is not there, and keeps those that come in it.
    ///
    /// # Errors
    /// When the file is used by somebody else, is another one, or has too many scores.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        let failed = |action| move |source| CacheError::Io { action, path: path.into(), source };
        let locked = atomic::lock(path, true).map_err(failed("open"))?;
        let mut file = locked.ok_or_else(|| CacheError::InUse(path.into()))?;
        let most = HEAD + MAX_CACHED * RECORD;
        let mut bytes = Vec::new();
        (&file).take(most as u64 + 1).read_to_end(&mut bytes).map_err(failed("read"))?;
        let head = [&MAGIC[..], &FORMAT.to_le_bytes(), &[0; 4]].concat();
        if bytes.len() < HEAD && head.starts_with(&bytes) {
            // New, or cut before anything was in it.
            file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&head)).map_err(failed("write"))?;
            return Ok(Self { file: Some((path.into(), file)), known: BTreeMap::new() });
        }
        let records = bytes.strip_prefix(&head[..]).ok_or_else(|| CacheError::Other(path.into()))?;
        if bytes.len() > most {
            return Err(CacheError::Full(path.into()));
        }
        let mut known = BTreeMap::new();
        let mut good = HEAD;
        for (key, score) in records.as_chunks::<RECORD>().0.iter().map_while(decode) {
            known.insert(key, score);
            good += RECORD;
        }
        file.set_len(good as u64).map_err(failed("cut"))?;
        file.seek(SeekFrom::Start(good as u64)).map_err(failed("read"))?;
        Ok(Self { file: Some((path.into(), file)), known })
    }

    /// The score of a model on an item, if it is known.
    pub fn get(&self, weights: WeightsId, item: Item) -> Option<u64> {
        self.known.get(&(weights, item.block, item.index)).copied()
    }

    /// Keeps the score of a model on an item.
    ///
    /// # Errors
    /// When the file cannot be written, or is full.
    pub fn put(&mut self, weights: WeightsId, item: Item, score: u64) -> Result<(), CacheError> {
        let key = (weights, item.block, item.index);
        if let Some((path, file)) = &mut self.file {
            if self.known.len() >= MAX_CACHED {
                return Err(CacheError::Full(path.clone()));
            }
            // One write: what a crash leaves of it is the beginning.
            file.write_all(&encode(key, score)).map_err(|source| CacheError::Io {
                action: "write",
                path: path.clone(),
                source,
            })?;
        }
        self.known.insert(key, score);
        Ok(())
    }

    /// How many scores are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

fn encode((weights, block, index): Key, score: u64) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD);
    record.extend(weights.0);
    record.extend(block.0);
    record.extend(index.to_le_bytes());
    record.extend(score.to_le_bytes());
    let check = hash(RECORD_CHECK, &[&record]);
    record.extend_from_slice(&check[..CHECK]);
    record
}

fn decode(record: &[u8; RECORD]) -> Option<(Key, u64)> {
    let (plain, check) = record.split_at(PLAIN);
    if hash(RECORD_CHECK, &[plain])[..CHECK] != *check {
        return None;
    }
    let (weights, rest) = plain.split_first_chunk::<32>()?;
    let (block, rest) = rest.split_first_chunk::<32>()?;
    let (index, rest) = rest.split_first_chunk::<4>()?;
    let (score, _) = rest.split_first_chunk::<8>()?;
    Some(((WeightsId(*weights), ContentHash(*block), u32::from_le_bytes(*index)), u64::from_le_bytes(*score)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn weights(number: u8) -> WeightsId {
        WeightsId([number; 32])
    }

    fn item(index: u32) -> Item {
        Item { block: ContentHash([9; 32]), index }
    }

    /// A file with five scores.
    fn file(folder: &Path) -> PathBuf {
        let path = folder.join("scores");
        let mut cache = ScoreCache::open(&path).unwrap();
        for index in 0..5 {
            cache.put(weights(index as u8), item(index), u64::MAX - u64::from(index)).unwrap();
        }
        path
    }

    fn known(cache: &ScoreCache) -> usize {
        let is_known = |index: &u32| match cache.get(weights(*index as u8), item(*index)) {
            Some(score) => {
                assert_eq!(score, u64::MAX - u64::from(*index));
                true
            },
            None => false,
        };
        (0..5).filter(is_known).count()
    }

    #[test]
    fn scores_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path());
        let mut cache = ScoreCache::open(&path).unwrap();
        assert_eq!((known(&cache), cache.len(), cache.is_empty()), (5, 5, false));
        assert_eq!(cache.get(weights(0), item(1)), None);
        cache.put(weights(7), item(7), 3).unwrap();
        assert!(matches!(ScoreCache::open(&path), Err(CacheError::InUse(_))));
        drop(cache);
        assert_eq!(ScoreCache::open(&path).unwrap().get(weights(7), item(7)), Some(3));
    }

    #[test]
    fn a_score_that_a_crash_has_cut_is_measured_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path());
        let whole = fs::read(&path).unwrap();
        for len in 0..=whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            let mut cache = ScoreCache::open(&path).unwrap();
            assert_eq!(known(&cache), len.saturating_sub(HEAD) / RECORD);
            // What comes then is kept.
            cache.put(weights(77), item(77), 5).unwrap();
            drop(cache);
            let cache = ScoreCache::open(&path).unwrap();
            assert_eq!((known(&cache), cache.get(weights(77), item(77))), (len.saturating_sub(HEAD) / RECORD, Some(5)));
        }
    }

    #[test]
    fn other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other");
        let next = [&MAGIC[..], &2u32.to_le_bytes(), &[0; 4]].concat();
        for bytes in [&b"precious"[..], &[7; 500], &next] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(ScoreCache::open(&path), Err(CacheError::Other(_))));
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert!(matches!(ScoreCache::open(folder.path()), Err(CacheError::Io { action: "open", .. })));
    }

    #[test]
    fn no_file_is_larger_than_it_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores");
        let mut bytes = [&MAGIC[..], &FORMAT.to_le_bytes(), &[0; 4]].concat();
        for index in 0..MAX_CACHED as u32 {
            bytes.extend(encode((weights(1), ContentHash([0; 32]), index), 1));
        }
        fs::write(&path, &bytes).unwrap();
        let mut cache = ScoreCache::open(&path).unwrap();
        assert_eq!(cache.len(), MAX_CACHED);
        assert!(matches!(cache.put(weights(2), item(0), 1), Err(CacheError::Full(_))));
        drop(cache);
        bytes.push(0);
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(ScoreCache::open(&path), Err(CacheError::Full(_))));
    }

    proptest! {
        #[test]
        fn a_damaged_score_is_none(at: prop::sample::Index, bit in 0u8..8) {
            let folder = tempfile::tempdir().unwrap();
            let path = file(folder.path());
            let mut bytes = fs::read(&path).unwrap();
            let at = HEAD + at.index(bytes.len() - HEAD);
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).unwrap();
            prop_assert_eq!(known(&ScoreCache::open(&path).unwrap()), (at - HEAD) / RECORD);
        }
    }
}
