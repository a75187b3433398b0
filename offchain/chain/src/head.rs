//! Follows the finalized head of one node over broken connections and restarts.

use crate::{BlockRef, ChainError, Hash, Metrics, Result, backoff::Backoff, rpc::Rpc};
use futures::StreamExt;
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

/// Without news for this long the node is asked: subscriptions can die without a word.
const STALE: Duration = Duration::from_secs(15);

/// What is known of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The node answers, and this is its finalized head.
    Head {
        block: BlockRef,
        /// Counts connections: whoever keeps something in the node's memory must tell it again when this changes.
        session: u64,
    },
    /// The node at the address follows another chain than before.
    OtherChain { found: Hash },
}

/// Where a follower tells what it sees.
pub(crate) struct Seen {
    /// The head, which stays the last one seen while the node is away: what is finalized remains so.
    pub(crate) sight: watch::Sender<Sight>,
    /// Whether the node answers.
    pub(crate) connected: watch::Sender<bool>,
    pub(crate) metrics: Metrics,
}

impl Seen {
    fn connected(&self, connected: bool) {
        self.metrics.connected.set(i64::from(connected));
        self.connected.send_replace(connected);
    }
}

/// Keeps `seen` up to date until the receivers of its sight are gone.
pub(crate) async fn follow(rpc: Rpc, genesis: Hash, seen: Seen) {
    let (sight, metrics) = (&seen.sight, &seen.metrics);
    let mut session = 0;
    let mut waits = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    while !sight.is_closed() {
        let ended = one_session(&rpc, genesis, session, &seen).await;
        seen.connected(false);
        match ended {
            Ok(()) => return,
            Err(SessionEnd::OtherChain { found }) => {
                // Nothing that anybody waits for can come from this node; it may still be replaced by the right one.
                warn!(%found, expected = %genesis, "the node follows another chain");
                sight.send_replace(Sight::OtherChain { found });
                sleep(Duration::from_secs(5)).await;
            },
            Err(SessionEnd::Lost { reason, was_up }) => {
                info!(reason, "lost the node; reconnecting");
                if was_up {
                    waits = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
                    metrics.reconnects.inc();
                    session += 1;
                }
                if let Some(wait) = waits.next() {
                    sleep(wait).await;
                }
            },
        }
    }
}

enum SessionEnd {
    OtherChain { found: Hash },
    Lost { reason: String, was_up: bool },
}

/// Follows one connection until it breaks; `Ok` when nobody listens any more.
async fn one_session(rpc: &Rpc, genesis: Hash, session: u64, seen: &Seen) -> Result<(), SessionEnd> {
    let (sight, metrics) = (&seen.sight, &seen.metrics);
    let down = |error: ChainError| SessionEnd::Lost { reason: error.to_string(), was_up: false };
    let mut headers = rpc.finalized_headers().await.map_err(down)?;
    let found = rpc.genesis().await.map_err(down)?;
    if found != genesis {
        return Err(SessionEnd::OtherChain { found });
    }
    let publish = |block: BlockRef| {
        metrics.finalized_number.set(i64::from(block.number));
        sight.send_if_modified(|sight| {
            let next = Sight::Head { block, session };
            let news = *sight != next;
            *sight = next;
            news
        });
    };
    let head = rpc.finalized_head().await.map_err(down)?;
    seen.connected(true);
    publish(head.block);
    let lost = |reason: String| SessionEnd::Lost { reason, was_up: true };
    loop {
        let news = tokio::select! {
            news = timeout(STALE, headers.next()) => news,
            () = sight.closed() => return Ok(()),
        };
        match news {
            Ok(Some(Ok(header))) => publish(header.block),
            Ok(Some(Err(reason))) => return Err(lost(reason)),
            Ok(None) => return Err(lost("the subscription ended".to_owned())),
            Err(_) => {
                let head = rpc.finalized_head().await.map_err(|error| lost(error.to_string()))?;
                debug!(number = head.block.number, "no news of finality");
                publish(head.block);
            },
        }
    }
}
