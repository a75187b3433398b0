//! The stream of finalized blocks.

use crate::{BlockRef, ChainClient, ChainError, Hash, Result, backoff::Backoff, cursor::Cursor};
use std::{collections::VecDeque, time::Duration};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info};

/// Most blocks delivered and not yet acknowledged.
const MAX_UNACKNOWLEDGED: usize = 1024;

/// Where a stream without a cursor starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the finalized head: what happened before does not matter to the consumer.
    #[default]
    Head,
    /// At block 1: the consumer needs the whole history.
    Genesis,
    /// At this block.
    At(u32),
}

/// How to stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamOptions {
    /// Where to start without a cursor.
    pub start: Start,
    /// How long a node whose finalized head is behind the cursor is given to catch up (it may be syncing after a
    /// restart) before [`ChainError::NodeBehind`].
    pub catch_up: Duration,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { start: Start::Head, catch_up: Duration::from_secs(120) }
    }
}

/// A finalized block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FinalizedBlock {
    /// Number and hash.
    pub block: BlockRef,
    /// Hash of the block before.
    pub parent: Hash,
}

/// Finalized blocks without gaps or repetitions, in order, over restarts of the node and of this process.
///
/// Delivery is at least once over restarts of this process: what was delivered but not acknowledged by
/// [`ack`](Self::ack) is delivered again after a restart. Within one process each block is delivered once.
///
/// ```no_run
/// # async fn follow(client: blyan_chain::ChainClient) -> blyan_chain::Result<()> {
/// let mut blocks = client.finalized_blocks("data/blocks.cursor".into(), Default::default())?;
/// loop {
///     let next = blocks.next().await?;
///     // … do everything that the block asks for …
///     blocks.ack(next.block).await?;
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct FinalizedBlocks {
    client: ChainClient,
    cursor: Cursor,
    options: StreamOptions,
    /// The last block delivered; the cursor's block before the first.
    last: Option<BlockRef>,
    /// Whether `last` is known to be in the node's chain since the node last came back.
    confirmed: Option<u64>,
    /// Since when the node has been behind `last`.
    behind_since: Option<Instant>,
    unacknowledged: VecDeque<BlockRef>,
}

impl FinalizedBlocks {
    pub(crate) fn new(client: ChainClient, cursor: Cursor, options: StreamOptions) -> Self {
        let last = cursor.done();
        Self { client, cursor, options, last, confirmed: None, behind_since: None, unacknowledged: VecDeque::new() }
    }

    /// The last acknowledged block; `None` before the first.
    pub fn acknowledged(&self) -> Option<BlockRef> {
        self.cursor.done()
    }

    /// The next finalized block, as soon as there is one. Waits through restarts of the node.
    ///
    /// Dropping the future loses nothing: the next call returns the same block. After an error the call can be repeated.
    ///
    /// # Errors
    /// [`ChainError::ChainReset`] when a block that was delivered before is no longer part of the finalized chain,
    /// [`ChainError::NodeBehind`], [`ChainError::BlockUnavailable`], [`ChainError::OtherChain`], and
    /// [`ChainError::BadArgument`] when 1024 delivered blocks wait for their acknowledgement.
    pub async fn next(&mut self) -> Result<FinalizedBlock> {
        if self.unacknowledged.len() >= MAX_UNACKNOWLEDGED {
            return Err(ChainError::BadArgument {
                field: "ack",
                problem: format!(
                    "is missing for {MAX_UNACKNOWLEDGED} delivered blocks; acknowledge before taking more"
                ),
            });
        }
        let mut waits = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            match self.try_next().await {
                Err(error @ (ChainError::TimedOut { .. } | ChainError::Unreachable { .. })) => {
                    info!(%error, "the stream of finalized blocks waits for the node");
                    if let Some(wait) = waits.next() {
                        sleep(wait).await;
                    }
                },
                result => {
                    let next = result?;
                    self.last = Some(next.block);
                    self.unacknowledged.push_back(next.block);
                    self.client.metrics().delivered_number.set(i64::from(next.block.number));
                    debug!(number = next.block.number, hash = %next.block.hash, "finalized");
                    return Ok(next);
                },
            }
        }
    }

    /// Declares everything up to `block` done; on disk when this returns.
    ///
    /// # Errors
    /// [`ChainError::NotDelivered`] when `block` is not among the delivered blocks without acknowledgement,
    /// [`ChainError::Io`].
    pub async fn ack(&mut self, block: BlockRef) -> Result<()> {
        let place = self.unacknowledged.iter().position(|delivered| *delivered == block);
        let place = place.ok_or(ChainError::NotDelivered { number: block.number, hash: block.hash })?;
        // A few hundred bytes and two fsyncs: as short as handing it to another thread and back would be on most disks,
        // and dropping the future half-way could then leave memory and disk apart.
        self.cursor.advance(block)?;
        self.unacknowledged.drain(..=place);
        Ok(())
    }

    async fn try_next(&mut self) -> Result<FinalizedBlock> {
        let number = match self.last {
            Some(last) => last.number.saturating_add(1),
            None => match self.options.start {
                Start::Head => self.client.finalized()?.number,
                Start::Genesis => 1,
                Start::At(number) => number,
            },
        };
        let head = self.reach(number).await?;
        let rpc = self.client.rpc();
        let hash = if number == head.number {
            head.hash
        } else {
            rpc.hash_at(number).await?.ok_or(ChainError::BlockUnavailable { number })?
        };
        let header = match rpc.header(hash).await {
            Err(ChainError::UnknownBlock { .. }) => return Err(ChainError::BlockUnavailable { number }),
            header => header?,
        };
        // The parent's hash chains the blocks: a reset or replaced chain cannot continue what was delivered.
        if let Some(last) = self.last.filter(|last| last.hash != header.parent) {
            return Err(ChainError::ChainReset { number: last.number, expected: last.hash, found: header.parent });
        }
        Ok(FinalizedBlock { block: header.block, parent: header.parent })
    }

    /// Waits until `number` is finalized; on the way makes sure that the node still has the block delivered last.
    async fn reach(&mut self, number: u32) -> Result<BlockRef> {
        let mut sight = self.client.sight();
        loop {
            let (head, session) = self.client.head_of(*sight.borrow_and_update())?;
            let mut patience = Duration::MAX;
            match self.last {
                Some(last) if head.number < last.number => {
                    let since = *self.behind_since.get_or_insert_with(Instant::now);
                    patience = self.options.catch_up.saturating_sub(since.elapsed());
                    if patience.is_zero() {
                        return Err(ChainError::NodeBehind { head: head.number, cursor: last.number });
                    }
                },
                Some(last) if self.confirmed != Some(session) => {
                    let found = self.client.rpc().hash_at(last.number).await?;
                    let found = found.ok_or(ChainError::BlockUnavailable { number: last.number })?;
                    if found != last.hash {
                        return Err(ChainError::ChainReset { number: last.number, expected: last.hash, found });
                    }
                    (self.confirmed, self.behind_since) = (Some(session), None);
                },
                _ => self.behind_since = None,
            }
            if head.number >= number {
                return Ok(head);
            }
            match timeout(patience, sight.changed()).await {
                Ok(changed) => changed.map_err(|_| self.client.follower_ended())?,
                Err(_) => continue,
            }
        }
    }
}
