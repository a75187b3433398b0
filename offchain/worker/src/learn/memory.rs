//! What a member of a committee has found, on disk: whoever was ended between commitment and reveal still has what it committed
//! to.

use blyan_primitives::{
    hash::blake2_256,
    learning::RoundId,
    pol::{Reveal, Scores},
};
use codec::{Decode, DecodeAll, Encode};
use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

/// What was found in an evaluation, and the salt that its commitment was made with.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Found {
    /// The salt.
    pub salt: [u8; 32],
    /// What is revealed.
    pub reveal: Reveal,
    /// What it follows from.
    pub scores: Scores,
}

/// A folder with what was found in evaluations that may go on.
#[derive(Clone, Debug)]
pub struct Memory {
    folder: PathBuf,
}

impl Memory {
    /// In this folder, which is made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn path(&self, round: RoundId, attempt: u8, ending: &str) -> PathBuf {
        self.folder.join(format!("{round}-{attempt}.{ending}"))
    }

    /// Where the scores of an evaluation are kept while it goes on.
    pub fn scores(&self, round: RoundId, attempt: u8) -> PathBuf {
        self.path(round, attempt, "scores")
    }

    /// What was found by a round's committee of this attempt. What is damaged was not found.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn load(&self, round: RoundId, attempt: u8) -> io::Result<Option<Found>> {
        let bytes = match fs::read(self.path(round, attempt, "found")) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some((body, sum)) = bytes.split_last_chunk::<32>() else { return Ok(None) };
        Ok(Found::decode_all(&mut &*body).ok().filter(|_| blake2_256(body) == *sum))
    }

    /// Keeps it: once this returns it survives a loss of power.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep(&self, round: RoundId, attempt: u8, found: &Found) -> io::Result<()> {
        let body = found.encode();
        let path = self.path(round, attempt, "found");
        let unfinished = self.path(round, attempt, "unfinished");
        let mut file = fs::File::create(&unfinished)?;
        file.write_all(&body)?;
        file.write_all(&blake2_256(&body))?;
        file.sync_all()?;
        fs::rename(unfinished, path)?;
        fs::File::open(&self.folder)?.sync_all()
    }

    /// Forgets what was found in rounds that do not go on.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn retain(&self, goes_on: impl Fn(RoundId) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let round = path.file_name().and_then(|name| name.to_str()?.split('-').next()?.parse().ok());
            if round.is_some_and(|round| !goes_on(round)) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(salt: u8) -> Found {
        let reveal = Reveal { scores: [salt; 32], deltas: Default::default(), candidate: None };
        Found { salt: [salt; 32], reveal, scores: Scores(vec![1, 2, u64::MAX]) }
    }

    #[test]
    fn what_was_kept_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::open(folder.path()).unwrap();
        assert_eq!(memory.load(7, 0).unwrap(), None);
        memory.keep(7, 0, &found(1)).unwrap();
        memory.keep(7, 1, &found(2)).unwrap();
        let memory = Memory::open(folder.path()).unwrap();
        assert_eq!(memory.load(7, 0).unwrap(), Some(found(1)));
        assert_eq!(memory.load(7, 1).unwrap(), Some(found(2)));
        memory.keep(7, 0, &found(3)).unwrap();
        assert_eq!(memory.load(7, 0).unwrap(), Some(found(3)));
    }

    #[test]
    fn what_is_damaged_was_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::open(folder.path()).unwrap();
        memory.keep(7, 0, &found(1)).unwrap();
        let path = memory.path(7, 0, "found");
        let bytes = fs::read(&path).unwrap();
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert_eq!(memory.load(7, 0).unwrap(), None, "byte {at}");
        }
        for length in [0, 31, bytes.len() - 1] {
            fs::write(&path, &bytes[..length]).unwrap();
            assert_eq!(memory.load(7, 0).unwrap(), None, "{length} bytes");
        }
    }

    #[test]
    fn rounds_that_do_not_go_on_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::open(folder.path()).unwrap();
        memory.keep(7, 0, &found(1)).unwrap();
        memory.keep(8, 0, &found(2)).unwrap();
        fs::write(memory.scores(7, 0), b"scores").unwrap();
        fs::write(folder.path().join("notes"), b"somebody else's").unwrap();
        memory.retain(|round| round == 8).unwrap();
        let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut left: Vec<_> = left.collect();
        left.sort();
        assert_eq!(left, ["8-0.found", "notes"]);
    }
}
