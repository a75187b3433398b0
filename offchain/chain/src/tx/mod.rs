//! The transaction manager: the one owner of a key's transactions.
//!
//! What a caller submits is named by a [`SubmissionId`], written to a journal on disk, signed, written again, submitted,
//! and submitted again until it is in a finalized block or provably never will be. The rules are in `machine.rs`, the
//! order of the steps in `turn.rs`; both are tested on a simulated chain that forks, forgets and fails at every point.
//!
//! After a crash the caller opens the manager on the same directory and asks with the same id: [`TxManager::submit`]
//! again changes nothing, [`TxManager::status`] says what became of it.

mod entry;
mod journal;
mod machine;
mod port;
#[cfg(test)]
mod simulation;
mod turn;

pub(crate) use entry::Attempt;
pub use entry::{Dispatch, Inclusion, NeverIncluded, Outcome, Status, SubmissionError, SubmissionId};
pub(crate) use turn::Signing;

use crate::{AccountId, Call, ChainClient, ChainError, Key, Result, backoff::Backoff, client::TaskGuard};
use journal::Journal;
use machine::{Accept, Limits, Machine};
use port::ChainPort;
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use tracing::{debug, info, warn};
use turn::lock;

/// Longest wait for a journal to be closed.
const CLOSE: Duration = Duration::from_secs(10);

/// Bounds and intervals of a manager.
#[derive(Clone, Copy, Debug)]
pub struct TxOptions {
    /// Most submissions without outcome.
    pub max_open: usize,
    /// Most times that one submission is signed: each signature lives for 64 blocks. Heartbeats and anchors, which cost
    /// nothing and are unique on chain, are signed as often as it takes.
    pub max_signed: u32,
    /// Most times that extrinsics of other programs with the same key may take a submission's nonce.
    pub max_displaced: u32,
    /// Finished submissions that are remembered; the oldest are forgotten first, and their ids can be used again.
    pub keep_finished: usize,
    /// Interval at which everything open is submitted again, lest a pool dropped it.
    pub resubmit_every: Duration,
}

impl Default for TxOptions {
    fn default() -> Self {
        Self {
            max_open: 64,
            max_signed: 5,
            max_displaced: 3,
            keep_finished: 4096,
            resubmit_every: Duration::from_secs(12),
        }
    }
}

/// The one owner of a key's transactions on one chain. Cloning is cheap and shares it.
///
/// Dropping the last clone stops the work; the journal goes on where it was when it is opened again.
#[derive(Clone, Debug)]
pub struct TxManager {
    shared: Arc<Shared>,
    driver: Arc<Driver>,
}

#[derive(Debug)]
struct Driver {
    guard: TaskGuard,
    ended: watch::Receiver<bool>,
}

/// What the handles and the driver share.
#[derive(Debug)]
struct Shared {
    client: ChainClient,
    key: Key,
    journal: Arc<Journal>,
    machine: Mutex<Machine>,
    /// Submissions are written one after the other.
    accepting: tokio::sync::Mutex<()>,
    /// There is something new to do.
    wake: Notify,
    /// Counts outcomes.
    outcomes: watch::Sender<u64>,
    /// What keeps the driver from making progress.
    trouble: watch::Sender<Option<String>>,
}

impl TxManager {
    /// Takes possession of `key`'s transactions, journalled in `folder`, and goes on with what is open there.
    ///
    /// # Errors
    /// [`ChainError::JournalLocked`] when another manager has the folder, [`ChainError::JournalOfOtherKey`],
    /// [`ChainError::OtherChain`] when the journal belongs to another chain, [`ChainError::Corrupt`],
    /// [`ChainError::Journal`], [`ChainError::Io`].
    pub async fn open(client: &ChainClient, key: Key, folder: &Path, options: TxOptions) -> Result<Self> {
        let (genesis, account, path) = (client.genesis(), key.account(), folder.to_owned());
        let opened = blocking(move || {
            let journal = Journal::open(&path, genesis, account)?;
            let entries = journal.load()?;
            Ok((journal, entries))
        });
        let (journal, entries) = opened.await?;
        let limits = Limits {
            open: options.max_open,
            signed: options.max_signed,
            displaced: options.max_displaced,
            finished: options.keep_finished,
        };
        let machine = Machine::restore(limits, entries);
        let open = machine.open_count();
        info!(%account, open, folder = %folder.display(), "opened the transaction journal");
        let shared = Arc::new(Shared {
            client: client.clone(),
            key,
            journal: Arc::new(journal),
            machine: Mutex::new(machine),
            accepting: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            outcomes: watch::Sender::new(0),
            trouble: watch::Sender::new(None),
        });
        let (running, ended) = watch::channel(false);
        let task = tokio::spawn(drive(shared.clone(), options.resubmit_every, running));
        Ok(Self { shared, driver: Arc::new(Driver { guard: TaskGuard(task.abort_handle()), ended }) })
    }

    /// The account whose transactions these are.
    pub fn account(&self) -> AccountId {
        self.shared.key.account()
    }

    /// The client through which they go.
    pub fn client(&self) -> &ChainClient {
        &self.shared.client
    }

    /// Accepts a submission: when this returns, it is on disk and will be carried out, once, whatever crashes.
    ///
    /// Submitting the same call under the same id again changes nothing.
    ///
    /// # Errors
    /// [`ChainError::IdReused`], [`ChainError::TooManyOpen`], [`ChainError::BadArgument`] for a call that the chain cannot
    /// accept, [`ChainError::Journal`].
    pub async fn submit(&self, id: &SubmissionId, call: Call) -> Result<Status> {
        call.check()?;
        let (shared, id) = (self.shared.clone(), id.clone());
        // A task of its own: the caller's future may be dropped half-way.
        let accepted = tokio::spawn(async move { shared.accept(id, call).await });
        accepted.await.map_err(|error| stopped(&error))?
    }

    /// Where a submission stands.
    ///
    /// # Errors
    /// [`ChainError::UnknownSubmission`].
    pub fn status(&self, id: &SubmissionId) -> Result<Status> {
        let machine = lock(&self.shared.machine);
        machine.get(id).map(|entry| entry.status()).ok_or_else(|| ChainError::UnknownSubmission { id: id.clone() })
    }

    /// Waits for the end of a submission. Dropping the future changes nothing for the submission.
    ///
    /// # Errors
    /// [`ChainError::UnknownSubmission`], [`ChainError::Stopped`].
    pub async fn outcome(&self, id: &SubmissionId) -> Result<Outcome> {
        let mut outcomes = self.shared.outcomes.subscribe();
        let mut ended = self.driver.ended.clone();
        loop {
            outcomes.mark_unchanged();
            if let Status::Done(outcome) = self.status(id)? {
                return Ok(outcome);
            }
            tokio::select! {
                changed = outcomes.changed() => changed.map_err(|_| self.has_stopped())?,
                _ = ended.changed() => return Err(self.has_stopped()),
            }
        }
    }

    /// [`Self::submit`], then [`Self::outcome`].
    ///
    /// # Errors
    /// Of both.
    pub async fn submit_and_wait(&self, id: &SubmissionId, call: Call) -> Result<Outcome> {
        self.submit(id, call).await?;
        self.outcome(id).await
    }

    /// Every submission that is remembered, in no order.
    pub fn submissions(&self) -> Vec<(SubmissionId, Status)> {
        lock(&self.shared.machine).entries().map(|(id, entry)| (id.clone(), entry.status())).collect()
    }

    /// Forgets a finished submission; its id can be used again.
    ///
    /// # Errors
    /// [`ChainError::UnknownSubmission`], [`ChainError::StillOpen`], [`ChainError::Journal`].
    pub async fn forget(&self, id: &SubmissionId) -> Result<()> {
        let (shared, id) = (self.shared.clone(), id.clone());
        let forgotten = tokio::spawn(async move {
            let _turn = shared.accepting.lock().await;
            let finished = lock(&shared.machine).get(&id).map(|entry| entry.outcome.is_some());
            match finished {
                None => Err(ChainError::UnknownSubmission { id }),
                Some(false) => Err(ChainError::StillOpen { id }),
                Some(true) => {
                    let (journal, gone) = (shared.journal.clone(), id.clone());
                    blocking(move || journal.save(&[], &[gone])).await?;
                    lock(&shared.machine).forget(&id);
                    Ok(())
                },
            }
        });
        forgotten.await.map_err(|error| stopped(&error))?
    }

    /// What keeps the manager from making progress, such as a node that does not answer; `None` while all is well.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble.borrow().clone()
    }

    /// Stops the work and waits until the journal can be opened again: at most ten seconds, which are over in vain when
    /// other clones are left.
    pub async fn close(self) {
        let mut closed = self.shared.journal.closed();
        self.driver.guard.0.abort();
        drop(self);
        // A write that was under way runs to its end and holds the journal until then. Nothing is ever sent: the wait ends
        // when the sender is dropped.
        let _ = tokio::time::timeout(CLOSE, closed.changed()).await;
    }

    fn has_stopped(&self) -> ChainError {
        let reason = self.trouble().unwrap_or_else(|| "it was closed".to_owned());
        ChainError::Stopped { what: "transaction manager", reason }
    }
}

impl Shared {
    async fn accept(&self, id: SubmissionId, call: Call) -> Result<Status> {
        let _turn = self.accepting.lock().await;
        let decision = lock(&self.machine).accept(&id, &call);
        match decision {
            Accept::Reused => Err(ChainError::IdReused { id }),
            Accept::Full => Err(ChainError::TooManyOpen { limit: lock(&self.machine).open_count() }),
            Accept::Known => {
                let status = lock(&self.machine).get(&id).map(|entry| entry.status());
                status.ok_or(ChainError::UnknownSubmission { id })
            },
            Accept::New(entry) => {
                let (journal, item) = (self.journal.clone(), [(id.clone(), (*entry).clone())]);
                blocking(move || journal.save(&item, &[])).await?;
                debug!(%id, "accepted a submission");
                let status = entry.status();
                lock(&self.machine).insert(id, *entry);
                self.client.metrics().tx_accepted.inc();
                self.wake.notify_one();
                Ok(status)
            },
        }
    }
}

/// Takes a turn whenever there is a reason to.
async fn drive(shared: Arc<Shared>, resubmit_every: Duration, _running: watch::Sender<bool>) {
    let port = ChainPort::new(shared.clone());
    let open = shared.client.metrics().tx_open.with_label_values(&[&shared.key.account().to_string()]);
    let mut sight = shared.client.sight();
    let mut waits = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
    let mut highest = 0;
    let mut told = None;
    let mut tell_again = Instant::now();
    loop {
        let seen = *sight.borrow_and_update();
        let turned = match shared.client.head_of(seen) {
            // A node that came back with an older head has nothing to add to what is known.
            Ok((head, _)) if head.number < highest => {
                Err(ChainError::NodeBehind { head: head.number, cursor: highest })
            },
            Ok((head, session)) => {
                let again = told != Some(session) || Instant::now() >= tell_again;
                let turned = turn::turn(&shared.machine, &port, head, again).await;
                if turned.is_ok() {
                    highest = head.number;
                    if again {
                        told = Some(session);
                        tell_again = Instant::now() + resubmit_every;
                    }
                }
                turned
            },
            Err(error) => Err(error),
        };
        open.set(i64::try_from(lock(&shared.machine).open_count()).unwrap_or(i64::MAX));
        let wake_at = match turned {
            Ok(()) => {
                shared.trouble.send_replace(None);
                waits = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
                tell_again
            },
            Err(error) => {
                if error.is_transient() {
                    info!(%error, "the transaction manager waits");
                } else {
                    warn!(%error, "the transaction manager makes no progress");
                }
                shared.trouble.send_replace(Some(error.to_string()));
                Instant::now() + waits.next().unwrap_or(resubmit_every)
            },
        };
        tokio::select! {
            changed = sight.changed() => if changed.is_err() {
                shared.trouble.send_replace(Some(shared.client.follower_ended().to_string()));
                return;
            },
            () = shared.wake.notified() => {},
            () = sleep_until(wake_at) => {},
        }
    }
}

/// Runs what waits for a disk on a thread that may wait. It runs to its end even when the caller is gone.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| stopped(&error))?
}

fn stopped(error: &tokio::task::JoinError) -> ChainError {
    ChainError::Stopped { what: "transaction manager's work", reason: error.to_string() }
}
