//! Submissions on disk.

use super::entry::{Entry, SubmissionId};
use crate::{AccountId, ChainError, Hash, Result};
use codec::{DecodeAll, Encode};
use redb::{Database, DatabaseError, ReadableTable, TableDefinition};
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};
use tokio::sync::watch;

const FORMAT: u32 = 1;
const FACTS: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("facts");
const SUBMISSIONS: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("submissions");

/// The journal of one key on one chain: a redb database whose commits are on disk when they return.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    database: Database,
    /// Held for as long as the journal is open.
    _lock: File,
    /// Dropped after everything above: whoever waits for it can open the journal.
    open: watch::Sender<()>,
}

impl Journal {
    /// Opens or makes the journal in `folder`.
    ///
    /// # Errors
    /// [`ChainError::JournalLocked`] when another manager has it, [`ChainError::JournalOfOtherKey`],
    /// [`ChainError::OtherChain`], [`ChainError::Corrupt`], [`ChainError::Io`], [`ChainError::Journal`].
    pub(crate) fn open(folder: &Path, genesis: Hash, account: AccountId) -> Result<Self> {
        let path = folder.join("transactions.redb");
        let io = |source| ChainError::Io { doing: "opening", path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("transactions.lock"));
        let lock = lock.map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {},
            Err(TryLockError::WouldBlock) => return Err(ChainError::JournalLocked { path }),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let database = Database::create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => ChainError::JournalLocked { path: path.clone() },
            error => ChainError::Journal { path: path.clone(), source: Box::new(error) },
        })?;
        let journal = Self { path, database, _lock: lock, open: watch::Sender::new(()) };
        journal.claim(genesis, account)?;
        Ok(journal)
    }

    /// Ends when the journal is closed and can be opened again.
    pub(crate) fn closed(&self) -> watch::Receiver<()> {
        self.open.subscribe()
    }

    /// Writes whose journal this is, or checks it.
    fn claim(&self, genesis: Hash, account: AccountId) -> Result<()> {
        let facts: [(&str, Vec<u8>); 3] =
            [("format", FORMAT.encode()), ("genesis", genesis.encode()), ("account", account.encode())];
        let write = self.database.begin_write().map_err(|error| self.failed(error))?;
        {
            let mut table = write.open_table(FACTS).map_err(|error| self.failed(error))?;
            for (name, ours) in facts {
                let stored = table.get(name).map_err(|error| self.failed(error))?.map(|value| value.value().to_vec());
                match stored {
                    None => {
                        table.insert(name, ours.as_slice()).map_err(|error| self.failed(error))?;
                    },
                    Some(stored) if stored == ours => {},
                    Some(stored) => return Err(self.foreign(name, &stored, genesis, account)),
                }
            }
            write.open_table(SUBMISSIONS).map_err(|error| self.failed(error))?;
        }
        write.commit().map_err(|error| self.failed(error))
    }

    fn foreign(&self, name: &str, stored: &[u8], genesis: Hash, account: AccountId) -> ChainError {
        let path = self.path.clone();
        match name {
            "genesis" => match Hash::decode_all(&mut &*stored) {
                Ok(expected) => ChainError::OtherChain {
                    expected,
                    found: genesis,
                    holder: format!("the journal {}", path.display()),
                },
                Err(error) => ChainError::Corrupt { path, reason: error.to_string() },
            },
            "account" => match AccountId::decode_all(&mut &*stored) {
                Ok(found) => ChainError::JournalOfOtherKey { path, expected: account, found },
                Err(error) => ChainError::Corrupt { path, reason: error.to_string() },
            },
            _ => ChainError::Corrupt { path, reason: "its format is not known to this program".to_owned() },
        }
    }

    /// Every submission.
    pub(crate) fn load(&self) -> Result<BTreeMap<SubmissionId, Entry>> {
        use redb::ReadableDatabase;
        let corrupt = |reason: String| ChainError::Corrupt { path: self.path.clone(), reason };
        let read = self.database.begin_read().map_err(|error| self.failed(error))?;
        let table = read.open_table(SUBMISSIONS).map_err(|error| self.failed(error))?;
        let mut entries = BTreeMap::new();
        for item in table.iter().map_err(|error| self.failed(error))? {
            let (id, bytes) = item.map_err(|error| self.failed(error))?;
            let id = SubmissionId::new(id.value()).map_err(|error| corrupt(error.to_string()))?;
            let entry = Entry::decode_all(&mut bytes.value())
                .map_err(|error| corrupt(format!("submission {id} cannot be decoded: {error}")))?;
            entries.insert(id, entry);
        }
        Ok(entries)
    }

    /// Writes `entries` and removes `gone` in one transaction: all of it is on disk when this returns, or nothing.
    pub(crate) fn save(&self, entries: &[(SubmissionId, Entry)], gone: &[SubmissionId]) -> Result<()> {
        let write = self.database.begin_write().map_err(|error| self.failed(error))?;
        {
            let mut table = write.open_table(SUBMISSIONS).map_err(|error| self.failed(error))?;
            for (id, entry) in entries {
                table.insert(id.as_str(), entry.encode().as_slice()).map_err(|error| self.failed(error))?;
            }
            for id in gone {
                table.remove(id.as_str()).map_err(|error| self.failed(error))?;
            }
        }
        write.commit().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl Into<redb::Error>) -> ChainError {
        ChainError::Journal { path: self.path.clone(), source: Box::new(error.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Call,
        tx::entry::{Attempt, NeverIncluded, Outcome},
    };

    const GENESIS: Hash = Hash([1; 32]);

    fn account(byte: u8) -> AccountId {
        AccountId::from([byte; 32])
    }

    fn id(text: &str) -> SubmissionId {
        SubmissionId::new(text).unwrap()
    }

    fn entry(order: u64) -> Entry {
        Entry {
            order,
            call: Call::Transfer { to: account(9), amount: order.into() },
            signed: 1,
            displaced: 0,
            live: Some(Attempt {
                nonce: Some(order),
                bytes: vec![1, 2, 3],
                hash: Hash([order as u8; 32]),
                first: 1,
                last: 64,
                spec_version: Some(1),
            }),
            refusal: None,
            outcome: None,
        }
    }

    #[test]
    fn what_was_saved_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let done = Entry {
            live: None,
            outcome: Some(Outcome::NeverIncluded(NeverIncluded::GaveUp { signed: 3, refusal: Some("no".into()) })),
            ..entry(1)
        };
        {
            let journal = Journal::open(folder.path(), GENESIS, account(1)).unwrap();
            journal.save(&[(id("a"), entry(0)), (id("b"), entry(1)), (id("c"), entry(2))], &[]).unwrap();
            journal.save(&[(id("b"), done.clone())], &[id("c")]).unwrap();
        }
        let journal = Journal::open(folder.path(), GENESIS, account(1)).unwrap();
        assert_eq!(journal.load().unwrap(), BTreeMap::from([(id("a"), entry(0)), (id("b"), done)]));
    }

    #[test]
    fn a_second_owner_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = Journal::open(folder.path(), GENESIS, account(1)).unwrap();
        let error = Journal::open(folder.path(), GENESIS, account(1)).unwrap_err();
        assert!(matches!(error, ChainError::JournalLocked { .. }), "{error}");
        drop(first);
        Journal::open(folder.path(), GENESIS, account(1)).unwrap();
    }

    #[test]
    fn a_journal_of_another_key_or_chain_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(Journal::open(folder.path(), GENESIS, account(1)).unwrap());
        let error = Journal::open(folder.path(), GENESIS, account(2)).unwrap_err();
        assert!(matches!(error, ChainError::JournalOfOtherKey { found, .. } if found == account(1)), "{error}");
        let error = Journal::open(folder.path(), Hash([2; 32]), account(1)).unwrap_err();
        assert!(matches!(error, ChainError::OtherChain { expected: GENESIS, .. }), "{error}");
        drop(Journal::open(folder.path(), GENESIS, account(1)).unwrap());
    }

    #[test]
    fn a_file_that_is_no_journal_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("transactions.redb"), b"not a database at all, but long enough to be read")
            .unwrap();
        let error = Journal::open(folder.path(), GENESIS, account(1)).unwrap_err();
        assert!(matches!(error, ChainError::Journal { .. }), "{error}");
    }

    #[test]
    fn an_entry_of_unknown_content_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), GENESIS, account(1)).unwrap();
        let write = journal.database.begin_write().unwrap();
        write.open_table(SUBMISSIONS).unwrap().insert("a", [7u8; 3].as_slice()).unwrap();
        write.commit().unwrap();
        assert!(matches!(journal.load(), Err(ChainError::Corrupt { .. })));
    }
}
