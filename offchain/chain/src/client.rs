//! The connection to one node of one chain.

use crate::{
    BlockRef, ChainError, FinalizedBlocks, Hash, Metrics, Result,
    blocks::StreamOptions,
    cursor::Cursor,
    disk,
    head::{self, Seen, Sight},
    rpc::Rpc,
    runtime::{Runtime, Runtimes},
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{sync::watch, task::AbortHandle};
use tracing::info;

/// Longest file that pins a genesis hash, in bytes.
const MAX_PIN: u64 = 256;

/// How to connect.
#[derive(Clone, Debug)]
pub struct ChainOptions {
    /// Time to find a node at the address.
    pub connect_timeout: Duration,
    /// Time for the node to answer one request, reconnecting included.
    pub request_timeout: Duration,
    /// Genesis hash that the chain must have; `None` takes the chain that is there.
    pub genesis: Option<Hash>,
    /// A file that remembers the genesis hash of the first connection: another chain is refused ever after.
    pub pin_file: Option<PathBuf>,
    /// Where to count; `None` counts nowhere.
    pub metrics: Option<Metrics>,
}

impl Default for ChainOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            genesis: None,
            pin_file: None,
            metrics: None,
        }
    }
}

/// Ends a task when the last handle to it is dropped.
#[derive(Debug)]
pub(crate) struct TaskGuard(pub(crate) AbortHandle);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A client of one chain through one node. Cloning is cheap and shares the connection.
///
/// The connection heals itself: requests wait for it up to their time-out and fail by name after that.
#[derive(Clone, Debug)]
pub struct ChainClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    url: String,
    rpc: Rpc,
    genesis: Hash,
    runtimes: Runtimes,
    sight: watch::Receiver<Sight>,
    connected: watch::Receiver<bool>,
    metrics: Metrics,
    _follower: TaskGuard,
}

impl ChainClient {
    /// Connects to the node at `url` (`ws://…` or `wss://…`) and checks that it serves a Blyan chain whose runtime this
    /// program understands.
    ///
    /// # Errors
    /// [`ChainError::BadUrl`], [`ChainError::Unreachable`], [`ChainError::NotBlyan`],
    /// [`ChainError::IncompatibleRuntime`], [`ChainError::OtherChain`] when the genesis hash is not the one asked for or
    /// pinned, [`ChainError::Io`] and [`ChainError::Corrupt`] for the pin file.
    pub async fn connect(url: &str, options: ChainOptions) -> Result<Self> {
        let metrics = match options.metrics {
            Some(metrics) => metrics,
            None => Metrics::new()
                .map_err(|error| ChainError::BadArgument { field: "metrics", problem: error.to_string() })?,
        };
        let rpc = Rpc::connect(url, options.connect_timeout, options.request_timeout).await?;
        let genesis = rpc.genesis().await?;
        if let Some(expected) = options.genesis.filter(|expected| *expected != genesis) {
            return Err(ChainError::OtherChain { expected, found: genesis, holder: "the configuration".to_owned() });
        }
        if let Some(path) = &options.pin_file {
            pin(path, genesis)?;
        }
        let head = rpc.finalized_head().await?.block;
        let runtimes = Runtimes::new(genesis);
        let runtime = runtimes.at(&rpc, head).await?;
        runtime.check(url)?;
        metrics.finalized_number.set(i64::from(head.number));
        info!(url, %genesis, finalized = head.number, spec_version = runtime.spec_version, "connected to the chain");
        let (sight_sender, sight) = watch::channel(Sight::Head { block: head, session: 0 });
        // It has just answered.
        let (connected_sender, connected) = watch::channel(true);
        metrics.connected.set(1);
        let seen = Seen { sight: sight_sender, connected: connected_sender, metrics: metrics.clone() };
        let follower = tokio::spawn(head::follow(rpc.clone(), genesis, seen));
        Ok(Self {
            inner: Arc::new(Inner {
                url: url.to_owned(),
                rpc,
                genesis,
                runtimes,
                sight,
                connected,
                metrics,
                _follower: TaskGuard(follower.abort_handle()),
            }),
        })
    }

    /// The address of the node.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// Hash of the chain's first block: everything that is signed is bound to it.
    pub fn genesis(&self) -> Hash {
        self.inner.genesis
    }

    /// The finalized head as last seen; it may be some seconds old.
    ///
    /// # Errors
    /// [`ChainError::OtherChain`] when the node at the address was replaced by one of another chain.
    pub fn finalized(&self) -> Result<BlockRef> {
        Ok(self.head_of(*self.inner.sight.borrow())?.0)
    }

    /// Whether the node answers, as far as this client has noticed: a broken connection is seen at once, a node that has
    /// become silent within some forty seconds. False also while another chain's node is at the address.
    pub fn is_connected(&self) -> bool {
        *self.inner.connected.borrow()
    }

    /// Waits until the finalized head is at least at block `number`, and returns it.
    ///
    /// # Errors
    /// As [`Self::finalized`]. Waits for ever while the node is away or finality stands still: put a time-out around it
    /// where that matters.
    pub async fn wait_finalized(&self, number: u32) -> Result<BlockRef> {
        let mut sight = self.inner.sight.clone();
        loop {
            let (head, _) = self.head_of(*sight.borrow_and_update())?;
            if head.number >= number {
                return Ok(head);
            }
            sight.changed().await.map_err(|_| self.follower_ended())?;
        }
    }

    /// Finalized blocks, each one, in order, from where the consumer that owns the file `cursor` has got to.
    ///
    /// A consumer without a cursor starts as `options` say. See [`FinalizedBlocks`].
    ///
    /// # Errors
    /// [`ChainError::OtherChain`], [`ChainError::Corrupt`] and [`ChainError::Io`] for the cursor file.
    pub fn finalized_blocks(&self, cursor: PathBuf, options: StreamOptions) -> Result<FinalizedBlocks> {
        let cursor = Cursor::open(&cursor, self.genesis())?;
        Ok(FinalizedBlocks::new(self.clone(), cursor, options))
    }

    pub(crate) fn rpc(&self) -> &Rpc {
        &self.inner.rpc
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub(crate) fn sight(&self) -> watch::Receiver<Sight> {
        self.inner.sight.clone()
    }

    /// The head and the session in which it was seen.
    pub(crate) fn head_of(&self, sight: Sight) -> Result<(BlockRef, u64)> {
        match sight {
            Sight::Head { block, session } => Ok((block, session)),
            Sight::OtherChain { found } => {
                Err(ChainError::OtherChain { expected: self.genesis(), found, holder: "this connection".to_owned() })
            },
        }
    }

    pub(crate) fn follower_ended(&self) -> ChainError {
        ChainError::Stopped {
            what: "follower of the finalized head",
            reason: "its runtime is shutting down".to_owned(),
        }
    }

    /// The runtime after `block`.
    pub(crate) async fn runtime(&self, block: BlockRef) -> Result<Arc<Runtime>> {
        self.inner.runtimes.at(&self.inner.rpc, block).await
    }
}

/// Writes `genesis` to `path`, or checks that it is what `path` holds.
fn pin(path: &std::path::Path, genesis: Hash) -> Result<()> {
    let Some(content) = disk::read_small(path, MAX_PIN)? else {
        return disk::write_atomically(path, format!("{genesis}\n").as_bytes());
    };
    let corrupt = || ChainError::Corrupt { path: path.to_owned(), reason: "it is no genesis hash".to_owned() };
    let text = std::str::from_utf8(&content).map_err(|_| corrupt())?;
    let expected: Hash = text.trim().parse().map_err(|_| corrupt())?;
    if expected == genesis {
        Ok(())
    } else {
        Err(ChainError::OtherChain { expected, found: genesis, holder: path.display().to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_chain_is_the_only_one_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("genesis");
        pin(&path, Hash([1; 32])).unwrap();
        pin(&path, Hash([1; 32])).unwrap();
        assert!(matches!(pin(&path, Hash([2; 32])), Err(ChainError::OtherChain { .. })));
        std::fs::write(&path, "0x12").unwrap();
        assert!(matches!(pin(&path, Hash([1; 32])), Err(ChainError::Corrupt { .. })));
    }

    #[tokio::test]
    async fn addresses_that_cannot_be_a_node_are_refused_at_once() {
        for url in ["http://127.0.0.1:9944", "127.0.0.1:9944", "ws://", "ws:// x"] {
            let error = ChainClient::connect(url, ChainOptions::default()).await.unwrap_err();
            assert!(matches!(error, ChainError::BadUrl { .. }), "{url}: {error}");
        }
    }

    #[tokio::test]
    async fn a_silent_address_fails_by_name_in_time() {
        let options = ChainOptions { connect_timeout: Duration::from_millis(300), ..Default::default() };
        let error = ChainClient::connect("ws://127.0.0.1:1", options.clone()).await.unwrap_err();
        assert!(matches!(error, ChainError::Unreachable { .. }) && error.is_transient(), "{error}");
        // Somebody listens there, and says nothing.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let error = ChainClient::connect(&url, options).await.unwrap_err();
        assert!(matches!(error, ChainError::Unreachable { .. }), "{error}");
    }
}
