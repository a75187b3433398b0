//! Puts receipts on chain, each exactly once, whatever instant the worker is killed at.

use super::journal::{Batch, Journal, JournalError, Place};
use crate::{clock, metrics::Metrics};
use blyan_primitives::ids::BatchRoot;
use std::{future::Future, num::NonZeroU32, sync::Arc, time::Duration};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

/// First wait after a failed attempt; doubled each time up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_secs(1);
/// Longest wait between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// How often the chain is asked whether it still has the anchors that it had, while nothing else is to be done.
const CHECK_EVERY: Duration = Duration::from_secs(60);
/// Receipts forgotten at once, so that a prune is a short transaction.
const PRUNE_LIMIT: usize = 1024;

/// An anchor on the finalized chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchored {
    /// Root of its batch.
    pub root: BatchRoot,
    /// Where it is.
    pub place: Place,
}

/// The chain, as far as anchoring needs it. All answers are about finalized state.
pub trait AnchorSink: Send + Sync {
    /// Why the chain did not answer or did not take a batch.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The sequence number that the chain expects of this worker next.
    fn next_sequence(&self) -> impl Future<Output = Result<u64, Self::Error>> + Send;

    /// This worker's anchor number `sequence`, if there is one.
    fn anchored(&self, sequence: u64) -> impl Future<Output = Result<Option<Anchored>, Self::Error>> + Send;

    /// Whether the block at `place`, which was finalized once, still is; `None` while the finalized head is not that far.
    fn holds(&self, place: Place) -> impl Future<Output = Result<Option<bool>, Self::Error>> + Send;

    /// Submits `batch` and waits until it is finalized. Submitting the same batch again is harmless.
    fn submit(&self, batch: &Batch) -> impl Future<Output = Result<Place, Self::Error>> + Send;
}

/// Why a step did not succeed. The next attempt starts from the journal and the chain, not from memory.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError<E: std::error::Error + 'static> {
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The chain failed.
    #[error("the chain did not take the receipts: {0}")]
    Chain(#[source] E),
    /// The finalized chain expects an earlier sequence than the worker has come to.
    #[error("batch {ours} waits: the finalized chain is only at sequence {chain}")]
    ChainBehind {
        /// Sequence of the open batch, or of the next one.
        ours: u64,
        /// What the chain expects.
        chain: u64,
    },
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is pending and no batch is open.
    Idle,
    /// A batch was frozen.
    Frozen(u64),
    /// A batch was anchored by this step.
    Anchored(u64),
    /// A batch turned out to be anchored already, by a process that was killed before it wrote so.
    Found(u64),
    /// A batch was opened again: the chain lost the block with its anchor, or an earlier batch had to come first.
    Reopened(u64),
    /// A batch was released: its sequence number belongs to another one, or its anchor is pruned.
    Released(u64),
}

/// Why a step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// Receipts are to be anchored.
    Receipts,
    /// It is time to look whether the chain still has what it had.
    Check,
    /// Nothing is left, and the worker stops.
    Never,
}

/// When to anchor.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Anchor as soon as this many receipts wait.
    pub every: NonZeroU32,
    /// Anchor whatever waits after this time.
    pub interval: Duration,
    /// Forget anchored receipts after this time.
    pub retention: Option<Duration>,
}

/// Drives the journal against the chain.
#[derive(Debug)]
pub struct Anchorer<S> {
    journal: Arc<Journal>,
    sink: S,
    policy: Policy,
    metrics: Arc<Metrics>,
}

async fn blocking<T: Send + 'static>(
    journal: &Arc<Journal>,
    work: impl FnOnce(&Journal) -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    let journal = journal.clone();
    match tokio::task::spawn_blocking(move || work(&journal)).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl<S: AnchorSink> Anchorer<S> {
    /// Anchors what `journal` holds through `sink`.
    pub fn new(journal: Arc<Journal>, sink: S, policy: Policy, metrics: Arc<Metrics>) -> Self {
        Self { journal, sink, policy, metrics }
    }

    /// Takes one step from whatever state the journal and the finalized chain are in.
    pub async fn step(&self) -> Result<Step, AnchorError<S::Error>> {
        let open = blocking(&self.journal, Journal::open_batch).await?;
        // In this order: an anchor that is finalized between the two questions is found, not taken for pruned.
        let chain = self.sink.next_sequence().await.map_err(AnchorError::Chain)?;
        let Some(batch) = open else {
            if let Some(former) = blocking(&self.journal, move |journal| journal.batch(chain)).await? {
                return self.reopen(former, chain).await;
            }
            let frozen = blocking(&self.journal, move |journal| journal.freeze(chain)).await?;
            return Ok(frozen.map_or(Step::Idle, |batch| Step::Frozen(batch.sequence)));
        };
        let sequence = batch.sequence;
        match self.sink.anchored(sequence).await.map_err(AnchorError::Chain)? {
            Some(found) if found.root == batch.root => {
                blocking(&self.journal, move |journal| journal.settle(sequence, found.place)).await?;
                return Ok(Step::Found(sequence));
            },
            Some(_) => {
                blocking(&self.journal, move |journal| journal.release(sequence)).await?;
                return Ok(Step::Released(sequence));
            },
            // The chain has pruned the anchor, so that nothing under it can be proved any more.
            None if chain > sequence => {
                blocking(&self.journal, move |journal| journal.release(sequence)).await?;
                return Ok(Step::Released(sequence));
            },
            None => {},
        }
        if chain < sequence {
            return match blocking(&self.journal, move |journal| journal.batch(chain)).await? {
                Some(former) => self.reopen(former, sequence).await,
                None => Err(AnchorError::ChainBehind { ours: sequence, chain }),
            };
        }
        let place = self.sink.submit(&batch).await.map_err(AnchorError::Chain)?;
        blocking(&self.journal, move |journal| journal.settle(sequence, place)).await?;
        Ok(Step::Anchored(sequence))
    }

    /// Opens `former`, which the chain expects and which was anchored once, or frozen behind one that was lost. `ours` is where
    /// the worker had got to.
    ///
    /// A node that is only behind, as after a restart, will show the anchor yet: nothing is done until its finalized chain
    /// has another block in the anchor's place.
    async fn reopen(&self, former: Batch, ours: u64) -> Result<Step, AnchorError<S::Error>> {
        let sequence = former.sequence;
        if let Some(place) = former.place
            && self.sink.holds(place).await.map_err(AnchorError::Chain)? != Some(false)
        {
            return Err(AnchorError::ChainBehind { ours: ours.max(sequence.saturating_add(1)), chain: sequence });
        }
        blocking(&self.journal, move |journal| journal.reopen(sequence)).await?;
        Ok(Step::Reopened(sequence))
    }

    /// Anchors until `drain` is cancelled, then what is left, and returns. `appended` is notified of every new receipt.
    pub async fn run(self, appended: Arc<Notify>, drain: CancellationToken) {
        let mut backoff = MIN_BACKOFF;
        // What an earlier process left waiting has waited long enough; what it had anchored may be lost.
        let mut due = Some(Instant::now());
        let mut check = Instant::now();
        loop {
            let reason = self.wait_until_due(&appended, &drain, &mut due, check).await;
            if reason == Due::Never {
                return;
            }
            match self.step().await {
                Ok(step) => {
                    backoff = MIN_BACKOFF;
                    self.report(&step);
                    // After a batch the next one may have been lost with it, or wait behind it.
                    check = if step == Step::Idle { Instant::now() + CHECK_EVERY } else { Instant::now() };
                    if let Step::Anchored(_) | Step::Found(_) = step {
                        self.prune().await;
                    }
                },
                Err(error) if reason == Due::Check => {
                    tracing::debug!(%error, "the chain cannot be asked whether it still has the anchors");
                    check = Instant::now() + CHECK_EVERY;
                },
                Err(error) => {
                    let wait = crate::retry::jittered(backoff);
                    tracing::warn!(%error, retry_in = ?wait, "receipts are not anchored yet");
                    self.metrics.anchor_failures.inc();
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {},
                        // A worker that stops has little time left: it tries again at once.
                        () = drain.cancelled(), if !drain.is_cancelled() => backoff = MIN_BACKOFF,
                    }
                },
            }
            self.count().await;
        }
    }

    /// Waits until a step is due: for what waits, or at `check`.
    async fn wait_until_due(
        &self,
        appended: &Notify,
        drain: &CancellationToken,
        due: &mut Option<Instant>,
        check: Instant,
    ) -> Due {
        loop {
            let notified = appended.notified();
            // Asked first: what was appended before the end was asked for is counted then.
            let is_ending = drain.is_cancelled();
            let counts = match blocking(&self.journal, Journal::counts).await {
                Ok(counts) => counts,
                Err(error) => {
                    tracing::error!(%error, "cannot read the receipt journal");
                    tokio::select! {
                        () = drain.cancelled() => return Due::Never,
                        () = tokio::time::sleep(MAX_BACKOFF) => continue,
                    }
                },
            };
            if counts.open > 0 {
                return Due::Receipts;
            }
            if counts.pending == 0 {
                *due = None;
                // What was lost of a stopping worker's anchors, the next start finds.
                if is_ending {
                    return Due::Never;
                }
                tokio::select! {
                    () = notified => {},
                    () = drain.cancelled() => {},
                    () = tokio::time::sleep_until(check) => return Due::Check,
                }
                continue;
            }
            let deadline = *due.get_or_insert_with(|| Instant::now() + self.policy.interval);
            if counts.pending >= u64::from(self.policy.every.get())
                || drain.is_cancelled()
                || deadline <= Instant::now()
            {
                *due = None;
                return Due::Receipts;
            }
            tokio::select! {
                () = notified => {},
                () = drain.cancelled() => {},
                () = tokio::time::sleep_until(deadline) => {},
            }
        }
    }

    fn report(&self, step: &Step) {
        match step {
            Step::Idle => {},
            Step::Frozen(sequence) => tracing::debug!(sequence, "a batch of receipts is frozen"),
            Step::Anchored(sequence) => tracing::info!(sequence, "receipts are anchored and finalized"),
            Step::Found(sequence) => tracing::info!(sequence, "receipts were anchored before the last restart"),
            Step::Reopened(sequence) => {
                tracing::warn!(
                    sequence,
                    "the chain has lost the block with this anchor; its receipts are anchored again"
                );
            },
            Step::Released(sequence) => tracing::warn!(
                sequence,
                "the chain does not hold this batch under its sequence: is the same key used by another worker?"
            ),
        }
    }

    async fn prune(&self) {
        let Some(retention) = self.policy.retention else { return };
        match blocking(&self.journal, move |j| j.prune(clock::unix_millis(), retention, PRUNE_LIMIT)).await {
            Ok(0) => {},
            Ok(pruned) => tracing::debug!(pruned, "old receipts are forgotten"),
            Err(error) => tracing::warn!(%error, "old receipts are not forgotten"),
        }
    }

    async fn count(&self) {
        if let Ok(counts) = blocking(&self.journal, Journal::counts).await {
            self.metrics.set_receipts(counts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::journal::tests::answer, *};
    use blyan_primitives::ids::ReceiptId;
    use parking_lot::Mutex;
    use proptest::prelude::*;
    use std::{collections::BTreeMap, path::Path};

    /// A chain that takes anchors in sequence, each once, and fails where it is told to.
    #[derive(Default)]
    struct Chain {
        state: Mutex<State>,
    }

    #[derive(Default)]
    struct State {
        /// Included and finalized, by sequence.
        anchors: BTreeMap<u64, Included>,
        /// Names of the finalized blocks; none is ever used again.
        blocks: Vec<u64>,
        named: u64,
        /// In the pool.
        pool: Vec<Batch>,
    }

    struct Included {
        root: BatchRoot,
        receipts: Vec<ReceiptId>,
        block: usize,
    }

    impl State {
        fn place(&self, block: usize) -> Place {
            let mut block_hash = [0; 32];
            block_hash[..8].copy_from_slice(&self.blocks[block].to_le_bytes());
            Place { block_number: block as u32, block_hash }
        }
    }

    /// Where the process dies.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Crash {
        Never,
        BeforeSubmit,
        InPool,
        Included,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("killed")]
    struct Killed;

    struct Client<'a> {
        chain: &'a Chain,
        crash: Crash,
    }

    impl Chain {
        /// Finalizes one more block, with what fits from the pool.
        fn include(&self) {
            let mut state = self.state.lock();
            state.named += 1;
            let (name, block) = (state.named, state.blocks.len());
            state.blocks.push(name);
            for batch in std::mem::take(&mut state.pool) {
                let next = state.anchors.len() as u64;
                if batch.sequence == next {
                    state.anchors.insert(next, Included { root: batch.root, receipts: batch.receipts, block });
                }
            }
        }

        /// The only node is killed before its disk has the last `count` blocks.
        fn lose(&self, count: usize) {
            let mut state = self.state.lock();
            let kept = state.blocks.len().saturating_sub(count);
            state.blocks.truncate(kept);
            state.anchors.retain(|_, anchor| anchor.block < kept);
            state.pool.clear();
        }

        fn receipts(&self) -> Vec<ReceiptId> {
            self.state.lock().anchors.values().flat_map(|anchor| anchor.receipts.clone()).collect()
        }
    }

    impl AnchorSink for Client<'_> {
        type Error = Killed;

        async fn next_sequence(&self) -> Result<u64, Killed> {
            Ok(self.chain.state.lock().anchors.len() as u64)
        }

        async fn anchored(&self, sequence: u64) -> Result<Option<Anchored>, Killed> {
            let state = self.chain.state.lock();
            let found = state.anchors.get(&sequence);
            Ok(found.map(|anchor| Anchored { root: anchor.root, place: state.place(anchor.block) }))
        }

        async fn holds(&self, place: Place) -> Result<Option<bool>, Killed> {
            let (state, number) = (self.chain.state.lock(), place.block_number as usize);
            Ok((number < state.blocks.len()).then(|| state.place(number) == place))
        }

        async fn submit(&self, batch: &Batch) -> Result<Place, Killed> {
            if self.crash == Crash::BeforeSubmit {
                return Err(Killed);
            }
            self.chain.state.lock().pool.push(batch.clone());
            if self.crash == Crash::InPool {
                return Err(Killed);
            }
            self.chain.include();
            if self.crash == Crash::Included {
                return Err(Killed);
            }
            self.anchored(batch.sequence).await?.map(|anchored| anchored.place).ok_or(Killed)
        }
    }

    const POLICY: Policy = Policy { every: NonZeroU32::MIN, interval: Duration::from_millis(10), retention: None };

    fn journal(folder: &Path) -> Arc<Journal> {
        Arc::new(Journal::open(folder, [1; 32], [2; 32], 0).unwrap())
    }

    fn append(journal: &Journal, count: usize) -> Vec<ReceiptId> {
        let stored = journal.append((0..count).map(|_| answer(1)).collect(), 0, |_| [0; 64]).unwrap();
        stored.iter().map(|stored| stored.signed.receipt.id()).collect()
    }

    fn anchorer<'a>(journal: &Arc<Journal>, chain: &'a Chain, crash: Crash) -> Anchorer<Client<'a>> {
        Anchorer::new(journal.clone(), Client { chain, crash }, POLICY, Arc::new(Metrics::new().unwrap()))
    }

    #[derive(Clone, Debug)]
    enum Action {
        Append(usize),
        Step(Crash),
        Include,
        Lose(usize),
        Restart,
    }

    fn action() -> impl Strategy<Value = Action> {
        let crash =
            prop_oneof![Just(Crash::Never), Just(Crash::BeforeSubmit), Just(Crash::InPool), Just(Crash::Included)];
        prop_oneof![
            (1usize..4).prop_map(Action::Append),
            crash.prop_map(Action::Step),
            Just(Action::Include),
            (1usize..4).prop_map(Action::Lose),
            Just(Action::Restart),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_receipt_is_anchored_exactly_once_wherever_the_worker_or_the_node_is_killed(
            actions in proptest::collection::vec(action(), 1..30),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let folder = tempfile::tempdir().unwrap();
            let chain = Chain::default();
            let mut journal = journal(folder.path());
            let mut all = Vec::new();
            for action in actions {
                match action {
                    Action::Append(count) => all.extend(append(&journal, count)),
                    Action::Include => chain.include(),
                    Action::Lose(count) => chain.lose(count),
                    Action::Restart => {
                        drop(journal);
                        journal = self::journal(folder.path());
                    },
                    Action::Step(crash) => {
                        let result = runtime.block_on(anchorer(&journal, &chain, crash).step());
                        if result.is_err() {
                            drop(journal);
                            journal = self::journal(folder.path());
                        }
                    },
                }
            }
            let mut steps = 0;
            loop {
                match runtime.block_on(anchorer(&journal, &chain, Crash::Never).step()) {
                    Ok(Step::Idle) => break,
                    Ok(_) => {},
                    // The chain has to get to where it was before what it lost can be known as lost.
                    Err(_) => chain.include(),
                }
                steps += 1;
                prop_assert!(steps < 1000, "it never ends");
            }
            prop_assert_eq!(chain.receipts(), all);
        }
    }

    #[tokio::test]
    async fn a_batch_whose_sequence_was_taken_by_another_worker_is_anchored_under_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, journal) = (Chain::default(), journal(folder.path()));
        let ids = append(&journal, 2);
        let anchorer = anchorer(&journal, &chain, Crash::Never);
        assert_eq!(anchorer.step().await.unwrap(), Step::Frozen(0));
        let stranger = Batch { sequence: 0, root: BatchRoot([9; 32]), receipts: vec![], tokens: 0, place: None };
        chain.state.lock().pool.push(stranger);
        chain.include();
        assert_eq!(anchorer.step().await.unwrap(), Step::Released(0));
        assert_eq!(anchorer.step().await.unwrap(), Step::Frozen(1));
        assert_eq!(anchorer.step().await.unwrap(), Step::Anchored(1));
        assert_eq!(chain.receipts(), ids);
    }

    #[tokio::test]
    async fn anchors_that_the_chain_lost_are_made_again_under_their_sequences() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, journal) = (Chain::default(), journal(folder.path()));
        let anchorer = anchorer(&journal, &chain, Crash::Never);
        let mut ids = Vec::new();
        for sequence in 0..2 {
            ids.extend(append(&journal, 2));
            assert_eq!(anchorer.step().await.unwrap(), Step::Frozen(sequence));
            assert_eq!(anchorer.step().await.unwrap(), Step::Anchored(sequence));
        }
        ids.extend(append(&journal, 1));
        assert_eq!(anchorer.step().await.unwrap(), Step::Frozen(2));
        chain.lose(2);
        // The node may only be behind.
        let behind = anchorer.step().await.unwrap_err();
        assert!(matches!(behind, AnchorError::ChainBehind { ours: 2, chain: 0 }), "{behind}");
        chain.include();
        assert_eq!(anchorer.step().await.unwrap(), Step::Reopened(0));
        assert_eq!(anchorer.step().await.unwrap(), Step::Anchored(0));
        for sequence in [1, 2] {
            assert_eq!(anchorer.step().await.unwrap(), Step::Reopened(sequence));
            assert_eq!(anchorer.step().await.unwrap(), Step::Anchored(sequence));
        }
        assert_eq!(anchorer.step().await.unwrap(), Step::Idle);
        assert_eq!(chain.receipts(), ids);
    }

    #[tokio::test]
    async fn a_chain_that_lags_behind_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, journal) = (Chain::default(), journal(folder.path()));
        append(&journal, 1);
        journal.freeze(3).unwrap();
        let error = anchorer(&journal, &chain, Crash::Never).step().await.unwrap_err();
        assert!(matches!(error, AnchorError::ChainBehind { ours: 3, chain: 0 }));
    }

    #[tokio::test]
    async fn receipts_are_anchored_in_time_and_the_rest_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let chain: &'static Chain = Box::leak(Box::default());
        let journal = journal(folder.path());
        let policy = Policy { every: NonZeroU32::new(100).unwrap(), ..POLICY };
        let client = Client { chain, crash: Crash::Never };
        let anchorer = Anchorer::new(journal.clone(), client, policy, Arc::new(Metrics::new().unwrap()));
        let (appended, drain) = (Arc::new(Notify::new()), CancellationToken::new());
        let task = tokio::spawn(anchorer.run(appended.clone(), drain.clone()));
        append(&journal, 2);
        appended.notify_one();
        while chain.state.lock().anchors.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        append(&journal, 1);
        drain.cancel();
        task.await.unwrap();
        assert_eq!(chain.receipts().len(), 3);
    }
}
