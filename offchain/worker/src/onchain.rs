//! What the worker does on chain: its registration, its heartbeats, its anchors, and the vouchers it redeems.

use crate::{
    metrics::Metrics,
    payment::{ChannelView, Channels, LookupError},
    receipts::{
        anchor::{AnchorSink, Anchored},
        journal::{Batch, Journal, JournalError, Place},
    },
    retry,
};
use blyan_chain::{
    AccountId, BlockNumber, BlockRef, Call, ChainClient, ChainError, Hash, Key, VoucherSignature,
    tx::{Status, SubmissionError, SubmissionId, TxManager},
};
use blyan_primitives::{payment::ChannelId, worker::WorkerInfo};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
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
/// Interval of the look at anchors whose time is over.
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
}

impl Onchain {
    /// Acts with `key`, the owner of `transactions`.
    pub fn new(chain: ChainClient, transactions: TxManager, key: Key, metrics: Arc<Metrics>) -> Self {
        let account = key.account();
        Self { chain, transactions, key, account, metrics, looked_up: Arc::default() }
    }

    /// Carries `call` out, once. An id whose call ended without effect is forgotten first: the chain is asked anew.
    async fn carry_out(&self, id: &SubmissionId, call: Call) -> Result<BlockRef, OnchainError> {
        if let Ok(Status::Done(outcome)) = self.transactions.status(id) {
            match outcome.success() {
                Ok((block, _)) => return Ok(block),
                Err(_) => self.transactions.forget(id).await?,
            }
        }
        let outcome = self.transactions.submit_and_wait(id, call).await?;
        match outcome.success() {
            Ok((block, _)) => Ok(block),
            Err(source) => Err(OnchainError::Refused { what: id.to_string(), source }),
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
            if let Err(error) = self.redeem_all(&journal, above, last).await {
                tracing::warn!(%error, "vouchers are not redeemed yet");
            }
            if last {
                return;
            }
            if pruned.elapsed() >= PRUNE_EVERY {
                pruned = Instant::now();
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

    async fn redeem_all(&self, journal: &Arc<Journal>, above: u128, all: bool) -> Result<(), OnchainError> {
        let read = journal.clone();
        let channels = tokio::task::spawn_blocking(move || read.channels());
        let channels = channels.await.map_err(|error| OnchainError::Cut(error.to_string()))??;
        for (id, ledger) in channels {
            let Some((voucher, signature)) = ledger.voucher else { continue };
            // What was promised and not used is not asked for.
            if voucher.cumulative <= ledger.redeemed || ledger.spent <= ledger.redeemed {
                continue;
            }
            let state = self.chain.at_finalized().await?;
            let Some(channel) = state.channel(id).await? else { continue };
            let now = state.block().number;
            let end = channel.closes_at.map_or(channel.expires_at, |end| end.min(channel.expires_at));
            let redeemed = channel.redeemed;
            if redeemed >= voucher.cumulative {
                self.note_redeemed(journal, id, redeemed).await?;
                continue;
            }
            let earned = ledger.spent.min(voucher.cumulative).saturating_sub(redeemed);
            let ends = end <= now.saturating_add(REDEEM_MARGIN);
            if end <= now || earned == 0 || !(all || ends || earned >= above.max(1)) {
                continue;
            }
            let submission = SubmissionId::new(format!("redeem/{id}/{}", voucher.cumulative))?;
            let call = Call::RedeemVoucher { voucher, signature: VoucherSignature::Sr25519(signature) };
            self.carry_out(&submission, call).await?;
            self.note_redeemed(journal, id, voucher.cumulative).await?;
            tracing::info!(channel = id, cumulative = %voucher.cumulative, "a voucher is redeemed");
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
        let Hash(block_hash) = block.hash;
        Ok(Place { block_number: number, block_hash })
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
