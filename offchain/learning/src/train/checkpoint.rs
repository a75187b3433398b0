//! Where a run is, on disk.
//!
//! One file that is replaced as a whole: the hash of what follows, then SCALE. The order of data follows from the manifest
//! and the number of steps, so nothing of it is kept. The losses of the steps so far are: they are the run's loss curve.

use blyan_primitives::hash::{Domain, HASH_LEN, hash};
use blyan_tensorblock::atomic;
use codec::{Decode, DecodeAll, Encode};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

const CHECKPOINT: Domain = Domain("blyan/learning/checkpoint/1");
const FILE: &str = "checkpoint";

/// Why a checkpoint cannot be written, read or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system said no.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not those that were written.
    #[error("the checkpoint {0} is damaged: remove it to train from the start")]
    Damaged(PathBuf),
    /// It is another run's.
    #[error("the checkpoint {0} belongs to another run: give each run a folder of its own")]
    OtherRun(PathBuf),
    /// It is this run's, and has other parameters than this program trains.
    #[error(
        "the checkpoint {0} was written by another version: go on with that one, or remove it to train from the start"
    )]
    OtherVersion(PathBuf),
}

/// A parameter and what the optimiser knows of it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Saved {
    pub(super) name: String,
    pub(super) values: Vec<f32>,
    pub(super) first: Vec<f32>,
    pub(super) second: Vec<f32>,
}

/// A run between two steps.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Checkpoint {
    /// The manifest's name.
    pub(super) run: [u8; HASH_LEN],
    /// The loss of each step that is taken.
    pub(super) losses: Vec<f32>,
    pub(super) parameters: Vec<Saved>,
}

/// The checkpoint of a folder.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    move |source| CheckpointError::Io { what, path: path.into(), source }
}

impl Checkpoint {
    /// Replaces the folder's checkpoint; makes the folder where there is none.
    pub(super) fn write(&self, folder: &Path) -> Result<(), CheckpointError> {
        fs::create_dir_all(folder).map_err(failed("create", folder))?;
        // What an earlier process left half-written.
        atomic::remove_stale(folder).map_err(failed("tidy", folder))?;
        let path = path(folder);
        let body = self.encode();
        let digest = hash(CHECKPOINT, &[&body]);
        let content = |file: &mut io::BufWriter<&fs::File>| {
            file.write_all(&digest)?;
            file.write_all(&body)
        };
        atomic::write(&path, content).map_err(failed("write", &path))
    }

    /// The folder's checkpoint; `None` where there is none.
    pub(super) fn read(folder: &Path, run: &[u8; HASH_LEN]) -> Result<Option<Self>, CheckpointError> {
        let path = path(folder);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let whole = bytes.split_first_chunk().filter(|(digest, body)| **digest == hash(CHECKPOINT, &[body]));
        match whole.and_then(|(_, mut body)| Self::decode_all(&mut body).ok()) {
            None => Err(CheckpointError::Damaged(path)),
            Some(checkpoint) if checkpoint.run != *run => Err(CheckpointError::OtherRun(path)),
            Some(checkpoint) => Ok(Some(checkpoint)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let values = vec![1.0, f32::MIN_POSITIVE, -3.5];
        let saved = Saved { name: "gate.a".into(), first: values.clone(), second: vec![0.0; 3], values };
        Checkpoint { run: [7; 32], losses: vec![3.5, 3.25], parameters: vec![saved] }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("run");
        assert!(Checkpoint::read(&folder, &[7; 32]).unwrap().is_none());
        for losses in [vec![2.5], vec![2.5, 2.25]] {
            let checkpoint = Checkpoint { losses, ..checkpoint() };
            checkpoint.write(&folder).unwrap();
            assert_eq!(Checkpoint::read(&folder, &[7; 32]).unwrap(), Some(checkpoint));
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn another_runs_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        checkpoint().write(folder.path()).unwrap();
        assert!(matches!(Checkpoint::read(folder.path(), &[8; 32]), Err(CheckpointError::OtherRun(_))));
    }

    #[test]
    fn a_folder_that_is_none_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = checkpoint().write(file.path()).unwrap_err();
        assert!(matches!(&error, CheckpointError::Io { what: "create", path, .. } if path == file.path()), "{error}");
    }

    #[test]
    fn damage_is_noticed_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        checkpoint().write(folder.path()).unwrap();
        let path = path(folder.path());
        let good = fs::read(&path).unwrap();
        let refused = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            matches!(Checkpoint::read(folder.path(), &[7; 32]), Err(CheckpointError::Damaged(_)))
        };
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1;
            assert!(refused(&bad), "{place}");
        }
        assert!(refused(&good[..good.len() - 1]) && refused(&[]));
    }
}
