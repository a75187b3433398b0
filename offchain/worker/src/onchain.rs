//! What the worker does on chain: its registration, its heartbeats, its anchors, and the vouchers it redeems.

use crate::{
    http::Refused,
    metrics::Metrics,
    payment::{ChannelView, Channels, LookupError},
    receipts::{
        anchor::{AnchorSink, Anchored},
        journal::{Batch, ChannelLedger, Journal, JournalError, Place},
    },
    retry,
};
use blyan_chain::{
    AccountId, BlockNumber, BlockRef, Call, ChainClient, ChainError, Hash, Key, VoucherSignature,
    tx::{Status, SubmissionError, SubmissionId, TxManager},
};
use blyan_primitives::{
    payment::{ChannelId, Voucher},
    worker::WorkerInfo,
};
use futures::{StreamExt, future::BoxFuture, stream};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How long a channel that was looked up is believed: about two blocks.
const CHANNEL_AGE: Duration = Duration::from_secs(6);
/// Channels that are remembered.
const MAX_CHANNELS: usize = 4096;
/// Blocks before a channel's end in which no new answer is begun: time to compute it, to redeem and to be included.
const CLOSING_MARGIN: BlockNumber = 100;
/// Blocks before a channel's end in which its voucher is redeemed whatever it is worth.
const REDEEM_MARGIN: BlockNumber = 200;
/// Interval of the look at what could be redeemed.
const REDEEM_EVERY: Duration = Duration::from_secs(30);
/// Channels that are redeemed or looked at side by side.
const PARALLEL_CHANNELS: usize = 8;
/// Interval of the look at what the node says against what it does not take.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Interval of the look at anchors whose time is over, and at channels that are closed.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// Anchors pruned by one call.
const PRUNE_LIMIT: u32 = 64;
/// Wait after the chain did not answer.
const PAUSE: Duration = Duration::from_secs(5);

/// Why something was not done on chain.
#[derive(Debug, thiserror::Error)]
pub enum OnchainError {
    /// The chain did not answer, or the call makes no sense.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The chain refused the call.
    #[error("the chain refused {what}: {source}")]
    Refused {
        /// What was asked of it.
        what: String,
        /// Its reason.
        source: SubmissionError,
    },
    /// A block that holds an anchor is not known to the node.
    #[error("the node does not know finalized block {0}")]
    NoBlock(BlockNumber),
    /// An anchor is finalized, but the state that was asked does not show it yet.
    #[error("anchor {0} is finalized and not visible yet")]
    NotVisible(u64),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A task was cut short.
    #[error("the task was cut short: {0}")]
    Cut(String),
}

/// What the node does not take for now, and why, by submission.
#[derive(Clone, Debug, Default)]
struct Refusals {
    said: Arc<Mutex<BTreeMap<String, String>>>,
}

/// A submission that is waited for. When the wait is over, nothing is said against it any more.
#[derive(Debug)]
struct Waiting<'a> {
    refusals: &'a Refusals,
    submission: String,
}

impl Refusals {
    fn wait(&self, submission: &SubmissionId) -> Waiting<'_> {
        Waiting { refusals: self, submission: submission.to_string() }
    }

    fn list(&self) -> Vec<Refused> {
        let refused = |(submission, reason): (&String, &String)| Refused {
            submission: submission.clone(),
            reason: reason.clone(),
        };
        self.said.lock().iter().map(refused).collect()
    }
}

impl Waiting<'_> {
    /// Takes note of what the node says now; true when it is something else than before.
    fn note(&self, reason: Option<String>) -> bool {
        let mut said = self.refusals.said.lock();
        let before = match &reason {
            Some(reason) => said.insert(self.submission.clone(), reason.clone()),
            None => said.remove(&self.submission),
        };
        before != reason
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.note(None);
    }
}

/// What is to be done about a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// Nothing now.
    Nothing,
    /// So much is redeemed on chain already.
    Note(u128),
    /// This voucher is to be redeemed.
    Redeem(Voucher, [u8; 64]),
}

/// When a channel was looked up, and what was found.
type LookedUp = (Instant, Option<ChannelView>);

/// The worker's hand on the chain.
#[derive(Clone, Debug)]
pub struct Onchain {
    chain: ChainClient,
    transactions: TxManager,
    key: Key,
    account: AccountId,
    metrics: Arc<Metrics>,
    looked_up: Arc<Mutex<HashMap<ChannelId, LookedUp>>>,
    refusals: Refusals,
}

impl Onchain {
    /// Acts with `key`, the owner of `transactions`.
    pub fn new(chain: ChainClient, transactions: TxManager, key: Key, metrics: Arc<Metrics>) -> Self {
        let account = key.account();
        Self { chain, transactions, key, account, metrics, looked_up: Arc::default(), refusals: Refusals::default() }
    }

    /// What the node does not take for now, and why.
    pub fn refused(&self) -> Vec<Refused> {
        self.refusals.list()
    }

    /// Carries `call` out, once. An id whose call ended without effect, or whose block the chain has lost, is forgotten first:
    /// the chain is asked anew.
    async fn carry_out(&self, id: &SubmissionId, call: Call) -> Result<BlockRef, OnchainError> {
        if let Ok(Status::Done(outcome)) = self.transactions.status(id) {
            match outcome.success() {
                Ok((block, _)) => {
                    if self.is_final(block).await? != Some(false) {
                        return Ok(block);
                    }
                    tracing::warn!(submission = %id, %block, "the chain has lost a block; what was in it is submitted again");
                    self.transactions.forget(id).await?;
                },
                Err(_) => self.transactions.forget(id).await?,
            }
        }
        self.transactions.submit(id, call).await?;
        let waiting = self.refusals.wait(id);
        let mut outcome = std::pin::pin!(self.transactions.outcome(id));
        let outcome = loop {
            tokio::select! {
                outcome = &mut outcome => break outcome?,
                () = tokio::time::sleep(LOOK_EVERY) => self.look_at(id, &waiting),
            }
        };
        match outcome.success() {
            Ok((block, _)) => Ok(block),
            Err(source) => Err(OnchainError::Refused { what: id.to_string(), source }),
        }
    }

    /// Carries `call` out, once under this name.
    ///
    /// # Errors
    /// When the chain does not answer, or refuses it.
    pub async fn carry_out_named(&self, name: String, call: Call) -> Result<BlockRef, OnchainError> {
        self.carry_out(&SubmissionId::new(name)?, call).await
    }

    /// Tells once what stands against a submission, and again when it is something else.
    fn look_at(&self, id: &SubmissionId, waiting: &Waiting<'_>) {
        let Ok(Status::Open { refusal, .. }) = self.transactions.status(id) else { return };
        if waiting.note(refusal.clone())
            && let Some(reason) = refusal
        {
            tracing::warn!(submission = %id, reason, "the node does not take a transaction; it is sent again until it does");
        }
    }

    /// Whether a block that was finalized once still is; `None` while that cannot be told: the finalized head is not that far,
    /// or the node does not have blocks of then.
    async fn is_final(&self, block: BlockRef) -> Result<Option<bool>, ChainError> {
        match self.chain.finalized_block(block.number).await {
            Ok(found) => Ok(found.map(|found| found.hash == block.hash)),
            Err(ChainError::BlockUnavailable { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Registers the worker, or corrects what is registered, where `info` is not on chain yet.
    pub async fn register(&self, info: &WorkerInfo) -> Result<(), OnchainError> {
        let state = self.chain.at_finalized().await?;
        let genesis = self.chain.genesis();
        let call = match state.worker(&self.account).await? {
            Some(worker) if worker.info == *info => return Ok(()),
            Some(_) => Call::update_worker(genesis, &self.account, info.clone(), &self.key)?,
            None => Call::register_worker(genesis, &self.account, info.clone(), &self.key)?,
        };
        // The same intention may come again after another one: the block tells them apart.
        let id = SubmissionId::new(format!("worker/{}", state.block().number))?;
        let block = self.carry_out(&id, call).await?;
        tracing::info!(account = %self.account, block = block.number, "the worker is registered");
        Ok(())
    }

    /// Keeps the worker registered as `info` says and online, until `leave` is cancelled. Cancels `registered` when it is
    /// registered for the first time.
    pub async fn keep_online(&self, info: WorkerInfo, registered: CancellationToken, leave: CancellationToken) {
        let keep = async {
            loop {
                let next = async {
                    self.register(&info).await?;
                    registered.cancel();
                    Ok::<_, OnchainError>(self.chain.wait_finalized(self.beat().await?).await?)
                };
                if let Err(error) = next.await {
                    self.metrics.heartbeats.with_label_values(&["failed"]).inc();
                    tracing::warn!(%error, "the worker is not kept online");
                    tokio::time::sleep(retry::jittered(PAUSE)).await;
                }
            }
        };
        tokio::select! {
            () = leave.cancelled() => {},
            () = keep => {},
        }
    }

    /// Sends this period's heartbeat where it is missing. Returns the block at which the next one is due.
    async fn beat(&self) -> Result<BlockNumber, OnchainError> {
        let state = self.chain.at_finalized().await?;
        let (period, length) = (state.heartbeat_period()?, state.parameters()?.heartbeat_period);
        if state.last_heartbeat(&self.account).await?.is_none_or(|last| last < period) {
            let id = SubmissionId::new(format!("heartbeat/{period}"))?;
            let call = Call::Heartbeat { worker: self.account, period };
            self.carry_out(&id, call).await?;
            self.metrics.heartbeats.with_label_values(&["ok"]).inc();
            tracing::debug!(period, "a heartbeat is finalized");
        }
        Ok(period.saturating_add(1).saturating_mul(length))
    }

    fn view(channel: &blyan_chain::Channel, now: BlockNumber) -> ChannelView {
        let end = channel.closes_at.map_or(channel.expires_at, |end| end.min(channel.expires_at));
        ChannelView {
            payer: channel.payer.0,
            gateway: channel.gateway.0,
            escrow: channel.escrow,
            redeemed: channel.redeemed,
            closing: channel.closes_at.is_some() || end <= now.saturating_add(CLOSING_MARGIN),
        }
    }

    async fn look_up(&self, id: ChannelId) -> Result<Option<ChannelView>, ChainError> {
        if let Some((at, view)) = self.looked_up.lock().get(&id)
            && at.elapsed() < CHANNEL_AGE
        {
            return Ok(*view);
        }
        let state = self.chain.at_finalized().await?;
        let now = state.block().number;
        let view = state.channel(id).await?.map(|channel| Self::view(&channel, now));
        let mut known = self.looked_up.lock();
        if known.len() >= MAX_CHANNELS {
            known.retain(|_, (at, _)| at.elapsed() < CHANNEL_AGE);
        }
        // Channels that are not there are asked for again: theirs may be finalized in the next second.
        if view.is_some() && known.len() < MAX_CHANNELS {
            known.insert(id, (Instant::now(), view));
        }
        Ok(view)
    }

    /// Redeems vouchers as they become worth it, and takes back the deposits of anchors whose time is over, until `stop` is
    /// cancelled; then redeems once more, whatever it is worth.
    pub async fn settle_accounts(&self, journal: Arc<Journal>, above: u128, stop: CancellationToken) {
        let mut pruned = Instant::now();
        loop {
            let last = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(retry::jittered(REDEEM_EVERY)) => false,
            };
            let redeem = |id, ledger| self.redeem(&journal, id, ledger, above, last);
            self.for_channels(&journal, "its voucher is not redeemed yet", redeem).await;
            if last {
                return;
            }
            if pruned.elapsed() >= PRUNE_EVERY {
                pruned = Instant::now();
                let forget = |id, _| self.forget_if_closed(&journal, id);
                self.for_channels(&journal, "it cannot be looked up", forget).await;
                if let Err(error) = self.prune_anchors().await {
                    tracing::warn!(%error, "old anchors are not pruned");
                }
            }
        }
    }

    async fn prune_anchors(&self) -> Result<(), OnchainError> {
        let state = self.chain.at_finalized().await?;
        let served = state.served(&self.account).await?;
        let Some(oldest) = state.anchor(&self.account, served.oldest).await? else { return Ok(()) };
        let (now, life) = (state.block().number, state.parameters()?.anchor_lifetime);
        // A fee is paid for each call: wait until there are some to prune.
        let due = oldest.anchored_at.saturating_add(life).saturating_add(life / 30);
        if due >= now {
            return Ok(());
        }
        let id = SubmissionId::new(format!("prune/{}/{now}", served.oldest))?;
        self.carry_out(&id, Call::PruneAnchors { worker: self.account, limit: PRUNE_LIMIT }).await?;
        Ok(())
    }

    /// Does `work` for every channel, some side by side; what goes wrong with one is told and stops no other.
    async fn for_channels<F: Future<Output = Result<(), OnchainError>>>(
        &self,
        journal: &Arc<Journal>,
        trouble: &str,
        work: impl Fn(ChannelId, ChannelLedger) -> F,
    ) {
        let read = journal.clone();
        let channels = match tokio::task::spawn_blocking(move || read.channels()).await {
            Ok(Ok(channels)) => channels,
            Ok(Err(error)) => return tracing::error!(%error, "the channels' ledgers cannot be read"),
            Err(error) => return tracing::error!(%error, "the channels' ledgers cannot be read"),
        };
        for_each(channels, trouble, work).await;
    }

    /// Redeems a channel's voucher, if that is due.
    async fn redeem(
        &self,
        journal: &Arc<Journal>,
        id: ChannelId,
        ledger: ChannelLedger,
        above: u128,
        all: bool,
    ) -> Result<(), OnchainError> {
        // What was promised and not used is not asked for.
        let promised = ledger.voucher.map_or(0, |(voucher, _)| voucher.cumulative);
        if promised <= ledger.redeemed || ledger.spent <= ledger.redeemed {
            return Ok(());
        }
        let state = self.chain.at_finalized().await?;
        let Some(channel) = state.channel(id).await? else { return self.forget_if_closed(journal, id).await };
        match due(&ledger, &channel, state.block().number, above, all) {
            Due::Nothing => Ok(()),
            Due::Note(redeemed) => self.note_redeemed(journal, id, redeemed).await,
            Due::Redeem(voucher, signature) => {
                let submission = SubmissionId::new(format!("redeem/{id}/{}", voucher.cumulative))?;
                let call = Call::RedeemVoucher { voucher, signature: VoucherSignature::Sr25519(signature) };
                self.carry_out(&submission, call).await?;
                self.note_redeemed(journal, id, voucher.cumulative).await?;
                tracing::info!(channel = id, cumulative = %voucher.cumulative, "a voucher is redeemed");
                Ok(())
            },
        }
    }

    /// Forgets what a channel has used once it is closed on chain: nothing can be redeemed of it, and it never comes back.
    async fn forget_if_closed(&self, journal: &Arc<Journal>, id: ChannelId) -> Result<(), OnchainError> {
        if !self.chain.at_finalized().await?.is_channel_closed(id).await? {
            return Ok(());
        }
        let journal = journal.clone();
        let forgotten = tokio::task::spawn_blocking(move || journal.forget_channel(id));
        let forgotten = forgotten.await.map_err(|error| OnchainError::Cut(error.to_string()))??;
        match forgotten.map(|ledger| ledger.spent.saturating_sub(ledger.redeemed)) {
            Some(lost @ 1..) => {
                tracing::warn!(channel = id, %lost, "a channel was closed before all that it owed was redeemed");
            },
            _ => tracing::debug!(channel = id, "a closed channel is forgotten"),
        }
        Ok(())
    }

    async fn note_redeemed(&self, journal: &Arc<Journal>, id: ChannelId, amount: u128) -> Result<(), OnchainError> {
        let journal = journal.clone();
        let noted = tokio::task::spawn_blocking(move || {
            journal.update_channel(id, |ledger| ledger.redeemed = ledger.redeemed.max(amount))
        });
        noted.await.map_err(|error| OnchainError::Cut(error.to_string()))??;
        Ok(())
    }

    async fn place(&self, number: BlockNumber) -> Result<Place, OnchainError> {
        let block = self.chain.finalized_block(number).await?.ok_or(OnchainError::NoBlock(number))?;
        Ok(place_of(block))
    }
}

/// A block as the journal writes it down.
pub fn place_of(block: BlockRef) -> Place {
    let Hash(block_hash) = block.hash;
    Place { block_number: block.number, block_hash }
}

/// Does `work` for every channel, [`PARALLEL_CHANNELS`] side by side; failures are told as `trouble`.
async fn for_each<F: Future<Output = Result<(), OnchainError>>>(
    channels: Vec<(ChannelId, ChannelLedger)>,
    trouble: &str,
    work: impl Fn(ChannelId, ChannelLedger) -> F,
) {
    let work = &work;
    stream::iter(channels)
        .for_each_concurrent(PARALLEL_CHANNELS, |(id, ledger)| async move {
            if let Err(error) = work(id, ledger).await {
                tracing::warn!(channel = id, %error, "{trouble}");
            }
        })
        .await;
}

/// What is to be done about `channel` at block `now`, of which the worker has `ledger`.
fn due(ledger: &ChannelLedger, channel: &blyan_chain::Channel, now: BlockNumber, above: u128, all: bool) -> Due {
    let Some((voucher, signature)) = ledger.voucher else { return Due::Nothing };
    if channel.redeemed >= voucher.cumulative {
        return Due::Note(channel.redeemed);
    }
    let end = channel.closes_at.map_or(channel.expires_at, |end| end.min(channel.expires_at));
    let earned = ledger.spent.min(voucher.cumulative).saturating_sub(channel.redeemed);
    let ends = end <= now.saturating_add(REDEEM_MARGIN);
    if end > now && earned > 0 && (all || ends || earned >= above.max(1)) {
        Due::Redeem(voucher, signature)
    } else {
        Due::Nothing
    }
}

impl Channels for Onchain {
    fn channel(&self, id: ChannelId) -> BoxFuture<'_, Result<Option<ChannelView>, LookupError>> {
        Box::pin(async move { self.look_up(id).await.map_err(Into::into) })
    }
}

impl AnchorSink for Onchain {
    type Error = OnchainError;

    async fn next_sequence(&self) -> Result<u64, OnchainError> {
        Ok(self.chain.at_finalized().await?.served(&self.account).await?.next)
    }

    async fn anchored(&self, sequence: u64) -> Result<Option<Anchored>, OnchainError> {
        let state = self.chain.at_finalized().await?;
        match state.anchor(&self.account, sequence).await? {
            Some(anchor) => Ok(Some(Anchored { root: anchor.root, place: self.place(anchor.anchored_at).await? })),
            None => Ok(None),
        }
    }

    async fn holds(&self, place: Place) -> Result<Option<bool>, OnchainError> {
        Ok(self.is_final(BlockRef { number: place.block_number, hash: Hash(place.block_hash) }).await?)
    }

    async fn submit(&self, batch: &Batch) -> Result<Place, OnchainError> {
        let id = SubmissionId::new(format!("anchor/{}/{}", batch.sequence, batch.root))?;
        let call = Call::Anchor {
            worker: self.account,
            sequence: batch.sequence,
            root: batch.root,
            count: batch.count(),
            tokens: batch.tokens,
        };
        self.carry_out(&id, call).await?;
        // The block in which it is, which for an anchor that was on chain already is not the one it was seen at.
        match self.anchored(batch.sequence).await? {
            Some(anchored) => Ok(anchored.place),
            None => Err(OnchainError::NotVisible(batch.sequence)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOVE: u128 = 50;

    fn ledger(spent: u128, promised: u128) -> ChannelLedger {
        let voucher = Voucher { channel: 1, cumulative: promised };
        ChannelLedger { spent, voucher: Some((voucher, [1; 64])), redeemed: 0 }
    }

    fn channel(redeemed: u128, closes_at: Option<BlockNumber>) -> blyan_chain::Channel {
        let account = AccountId::from([1; 32]);
        blyan_chain::Channel {
            payer: account,
            gateway: account,
            escrow: 1000,
            redeemed,
            deposit: 0,
            expires_at: 10_000,
            closes_at,
        }
    }

    #[test]
    fn a_voucher_is_redeemed_when_it_is_worth_it_or_its_time_runs_out() {
        let redeem = |ledger: &ChannelLedger| {
            let (voucher, signature) = ledger.voucher.unwrap();
            Due::Redeem(voucher, signature)
        };
        let (little, enough) = (ledger(10, 100), ledger(60, 100));
        assert_eq!(due(&little, &channel(0, None), 1, ABOVE, false), Due::Nothing);
        assert_eq!(due(&enough, &channel(0, None), 1, ABOVE, false), redeem(&enough));
        assert_eq!(due(&enough, &channel(20, None), 1, ABOVE, false), Due::Nothing);
        assert_eq!(due(&little, &channel(0, None), 1, ABOVE, true), redeem(&little), "the worker stops");
        assert_eq!(due(&little, &channel(0, None), 9_900, ABOVE, false), redeem(&little), "the channel expires");
        assert_eq!(due(&little, &channel(0, Some(100)), 1, ABOVE, false), redeem(&little), "the payer ends it");
        assert_eq!(due(&enough, &channel(0, Some(100)), 100, ABOVE, true), Due::Nothing, "it is too late");
        assert_eq!(due(&enough, &channel(100, None), 1, ABOVE, true), Due::Note(100));
        assert_eq!(due(&ledger(0, 100), &channel(0, None), 1, ABOVE, true), Due::Nothing, "nothing was used");
    }

    #[tokio::test]
    async fn a_redemption_that_fails_or_takes_long_does_not_stop_the_others() {
        let (done, all) = (Mutex::new(Vec::new()), tokio::sync::Barrier::new(PARALLEL_CHANNELS));
        let work = |id: ChannelId, _| {
            let (done, all) = (&done, &all);
            async move {
                // Nobody gets on before so many are under way.
                all.wait().await;
                done.lock().push(id);
                if id.is_multiple_of(2) { Err(OnchainError::NoBlock(0)) } else { Ok(()) }
            }
        };
        let channels = (0..2 * PARALLEL_CHANNELS as u64).map(|id| (id, ledger(1, 1))).collect();
        for_each(channels, "not redeemed", work).await;
        done.lock().sort_unstable();
        assert_eq!(*done.lock(), (0..2 * PARALLEL_CHANNELS as u64).collect::<Vec<_>>());
    }

    #[test]
    fn what_stands_against_a_submission_is_told_once_and_until_it_is_over() {
        let refusals = Refusals::default();
        let waiting = refusals.wait(&SubmissionId::new("anchor/0").unwrap());
        assert!(!waiting.note(None));
        assert!(waiting.note(Some("no funds".into())) && !waiting.note(Some("no funds".into())));
        let refused = Refused { submission: "anchor/0".into(), reason: "no funds".into() };
        assert_eq!(refusals.list(), [refused]);
        assert!(waiting.note(Some("no worker".into())) && waiting.note(None));
        waiting.note(Some("no funds".into()));
        drop(waiting);
        assert!(refusals.list().is_empty());
    }
}
