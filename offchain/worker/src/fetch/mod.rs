//! Fetching blocks of weights from other workers.
//!
//! Nothing that arrives is believed: the header has to hash to the block's name, the leaf hashes to the header's root, and
//! every subtile to its leaf, before a byte counts. What is verified is on disk at once and is not fetched again after a
//! restart. A peer that fails is asked later than those that do not; one that lies is not asked again.

mod peer;

pub use peer::{Peer, PeerError, Peers};

use crate::{metrics::Metrics, retry};
use blyan_primitives::{block::data_offset, ids::ContentHash};
use blyan_store::{Ingest, Store, StoreError};
use blyan_tensorblock::{Outline, VerifiedBlock, transfer};
use futures::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{io::IsTerminal, sync::Arc, time::Duration};

/// Blocks fetched side by side.
const PARALLEL_BLOCKS: usize = 2;
/// Tiles of one block fetched side by side.
const PARALLEL_TILES: usize = 2;
/// Attempts at one piece, over all peers.
const ATTEMPTS: u32 = 8;
/// First wait after an attempt failed with every peer; doubled each time.
const MIN_BACKOFF: Duration = Duration::from_millis(250);
/// Longest wait.
const MAX_BACKOFF: Duration = Duration::from_secs(8);

/// Why a block is not here.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The store refused, or a block in it is damaged and there is nobody to ask.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nobody to ask.
    #[error("block {hash} is not here{}, and there is no peer to fetch it from: name one with --peers", damage(.damaged))]
    NoPeers {
        /// The block.
        hash: ContentHash,
        /// What was wrong with the copy that was here.
        damaged: Option<Box<StoreError>>,
    },
    /// All peers have sent wrong bytes lately, and are not asked for a while.
    #[error(
        "block {hash} is not here, and every peer has sent bytes that were not what they said; the first is asked again in \
         {again_in:?}"
    )]
    AllBarred {
        /// The block.
        hash: ContentHash,
        /// When the first of them is asked again.
        again_in: Duration,
    },
    /// Every peer failed.
    #[error("block {hash} could not be fetched from any peer; the last one failed: {last}")]
    Exhausted {
        /// The block.
        hash: ContentHash,
        /// What the last one did wrong.
        last: PeerError,
    },
    /// It is larger than it may be.
    #[error("block {hash} has {bytes} bytes of data, more than the {most} that are fetched of such a block")]
    TooLarge {
        /// The block.
        hash: ContentHash,
        /// What its header says.
        bytes: u64,
        /// What is fetched at most.
        most: u64,
    },
    /// Another task or process has been fetching the block for too long.
    #[error("block {0} is being fetched by another process, which does not finish: stop it")]
    Stuck(ContentHash),
    /// A task was cut short.
    #[error("fetching was cut short: {0}")]
    Cut(String),
}

fn damage(error: &Option<Box<StoreError>>) -> String {
    error.as_ref().map_or_else(String::new, |error| format!(" ({error})"))
}

/// Brings blocks into a store.
#[derive(Clone, Debug)]
pub struct Fetcher {
    store: Store,
    peers: Arc<Peers>,
    metrics: Arc<Metrics>,
    /// Most bytes of a block's data.
    most: u64,
}

/// What a person sees meanwhile.
#[derive(Clone, Debug)]
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let template = "{spinner} {bytes} of {total_bytes} [{bar:32}] {bytes_per_sec}, {eta} left  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { bar }
    }

    /// Of a block that is too small to be watched.
    fn hidden() -> Self {
        Self { bar: ProgressBar::hidden() }
    }
}

impl Fetcher {
    /// Fetches into `store` from `peers`.
    pub fn new(store: Store, peers: Arc<Peers>, metrics: Arc<Metrics>) -> Self {
        Self { store, peers, metrics, most: u64::MAX }
    }

    /// Whom blocks are fetched from.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Fetches from workers with these base URLs too, which are asked before all others.
    pub fn asking(&self, urls: &[String]) -> Self {
        Self { peers: Arc::new(self.peers.after(urls)), ..self.clone() }
    }

    /// Fetches no block with more than `most` bytes of data: for blocks that nobody has approved.
    pub fn at_most(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// All of `hashes`, verified, in order; those that are not in the store are fetched, damaged ones are healed.
    pub async fn ensure(&self, hashes: &[ContentHash]) -> Result<Vec<VerifiedBlock>, FetchError> {
        let progress = Progress::new();
        let blocks = stream::iter(hashes.to_vec())
            .map(|hash| self.bring(hash, &progress))
            .buffered(PARALLEL_BLOCKS)
            .collect::<Vec<_>>()
            .await;
        progress.bar.finish_and_clear();
        blocks.into_iter().collect()
    }

    /// One block, verified; fetched if it is not in the store.
    pub async fn ensure_one(&self, hash: ContentHash) -> Result<VerifiedBlock, FetchError> {
        self.bring(hash, &Progress::hidden()).await
    }

    async fn bring(&self, hash: ContentHash, progress: &Progress) -> Result<VerifiedBlock, FetchError> {
        let damaged = match self.blocking(move |store| store.get(&hash)).await? {
            Ok(block) => return Ok(block),
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%hash, %error, "a block is damaged and is refused; it is healed from a peer");
                Some(Box::new(error))
            },
            Err(error) if error.needs_fetch() => None,
            Err(error) => return Err(error.into()),
        };
        if self.peers.is_empty() {
            return Err(FetchError::NoPeers { hash, damaged });
        }
        for attempt in 0..ATTEMPTS {
            let ingest = match self.ingest(hash).await {
                Ok(ingest) => ingest,
                // Somebody else fetched it, or is at it.
                Err(FetchError::Store(StoreError::AlreadyStored { .. })) => {
                    return Ok(self.blocking(move |store| store.get(&hash)).await??);
                },
                Err(FetchError::Store(StoreError::Busy { .. })) => {
                    tokio::time::sleep(backoff(attempt)).await;
                    match self.blocking(move |store| store.get(&hash)).await? {
                        Ok(block) => return Ok(block),
                        Err(error) if error.needs_fetch() => continue,
                        Err(error) => return Err(error.into()),
                    }
                },
                Err(error) => return Err(error),
            };
            self.fill(&ingest, progress).await?;
            // Every tile is here: what is missing now was damaged by the disk after it was written.
            match self.blocking(move |_| ingest.finish()).await? {
                Ok(block) => {
                    tracing::info!(%hash, bytes = block.file_len(), "fetched and verified a block");
                    return Ok(block);
                },
                Err(error @ (StoreError::Block(_) | StoreError::Partial(_))) => {
                    tracing::warn!(%hash, %error, "a fetched block did not survive the disk; trying again");
                },
                Err(error) => return Err(error.into()),
            }
        }
        Err(FetchError::Stuck(hash))
    }

    /// The unfinished block, with an outline from disk or from a peer.
    async fn ingest(&self, hash: ContentHash) -> Result<Arc<Unfinished>, FetchError> {
        if let Some(ingest) = self.blocking(move |store| store.resume(&hash)).await?? {
            return Ok(Unfinished::new(ingest));
        }
        let (header, length) = self.ask_peers(hash, |peer| async move { header(&peer, hash).await }).await?;
        // Before as many leaves are fetched as it says it has.
        let (bytes, most) = (length.data, self.most);
        if bytes > most {
            return Err(FetchError::TooLarge { hash, bytes, most });
        }
        let header = &header;
        let leaves = |peer: Peer| async move {
            let leaves = peer.leaves(&hash, length.leaves).await?;
            Outline::new(&hash, header, &leaves).map_err(PeerError::Lied)
        };
        let outline = self.ask_peers(hash, leaves).await?;
        let ingest = self.blocking(move |store| store.begin(outline)).await??;
        Ok(Unfinished::new(ingest))
    }

    async fn fill(&self, ingest: &Arc<Unfinished>, progress: &Progress) -> Result<(), FetchError> {
        let hash = ingest.hash();
        let missing = ingest.with(Ingest::missing_tiles)?;
        progress.bar.inc_length(ingest.with(Ingest::bytes_total)?);
        progress.bar.inc(ingest.with(Ingest::bytes_present)?);
        progress.bar.set_message(format!("block {}", short(&hash)));
        let mut tiles =
            stream::iter(missing).map(|tile| self.fetch_tile(ingest, tile, progress)).buffer_unordered(PARALLEL_TILES);
        while let Some(result) = tiles.next().await {
            result?;
        }
        Ok(())
    }

    async fn fetch_tile(&self, ingest: &Arc<Unfinished>, tile: u64, progress: &Progress) -> Result<(), FetchError> {
        let hash = ingest.hash();
        let outline = ingest.with(|ingest| ingest.outline().clone())?;
        let Some(range) = outline.tile_range(tile) else { return Ok(()) };
        let offset = data_offset(outline.header_bytes().len() as u32);
        let (start, end) = (offset + range.start, offset + range.end);
        let outline = Arc::new(outline);
        let verified = self
            .ask_peers(hash, |peer| {
                let outline = outline.clone();
                async move {
                    let bytes = peer.range(&hash, start..end).await?;
                    // Hashing 4 MiB takes a few milliseconds of a processor.
                    let verified = tokio::task::spawn_blocking(move || outline.verify_tile(tile, bytes)).await;
                    verified.map_err(|error| PeerError::Cut(error.to_string()))?.map_err(PeerError::Lied)
                }
            })
            .await?;
        let length = verified.bytes().len() as u64;
        let ingest = ingest.clone();
        self.blocking(move |_| ingest.with(|ingest| ingest.put(&verified))).await???;
        self.metrics.fetched_bytes.inc_by(length);
        progress.bar.inc(length);
        Ok(())
    }

    /// Asks peers, the best first, until one answers well.
    async fn ask_peers<T, F: Future<Output = Result<T, PeerError>>>(
        &self,
        hash: ContentHash,
        ask: impl Fn(Peer) -> F,
    ) -> Result<T, FetchError> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            for peer in self.peers.ranked() {
                match self.peers.time(&peer, ask(peer.clone())).await {
                    Ok(found) => return Ok(found),
                    Err(error) => {
                        if matches!(error, PeerError::Lied(_)) {
                            self.metrics.fetch_corrupt.inc();
                            tracing::warn!(%hash, peer = peer.url(), %error, "a peer sent bytes that are not the block's");
                        } else {
                            tracing::debug!(%hash, peer = peer.url(), %error, "a peer did not send a block");
                        }
                        last = Some(error);
                    },
                }
            }
            if let (None, Some(again_in)) = (&last, self.peers.barred_for()) {
                return Err(FetchError::AllBarred { hash, again_in });
            }
            // When all say that they do not have it, they will not have it in a second.
            if matches!(last, Some(PeerError::Absent | PeerError::Lied(_)) | None) && attempt > 0 {
                break;
            }
            tokio::time::sleep(backoff(attempt)).await;
        }
        match last {
            Some(last) => Err(FetchError::Exhausted { hash, last }),
            None => Err(FetchError::NoPeers { hash, damaged: None }),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Result<T, FetchError> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(|error| FetchError::Cut(error.to_string()))
    }
}

/// An ingest that several tasks share until it is finished.
#[derive(Debug)]
struct Unfinished {
    hash: ContentHash,
    ingest: parking_lot::RwLock<Option<Ingest>>,
}

impl Unfinished {
    fn new(ingest: Ingest) -> Arc<Self> {
        Arc::new(Self { hash: ingest.hash(), ingest: parking_lot::RwLock::new(Some(ingest)) })
    }

    fn hash(&self) -> ContentHash {
        self.hash
    }

    fn with<T>(&self, work: impl FnOnce(&Ingest) -> T) -> Result<T, FetchError> {
        match &*self.ingest.read() {
            Some(ingest) => Ok(work(ingest)),
            None => Err(FetchError::Cut("the block was finished already".into())),
        }
    }

    fn finish(&self) -> Result<VerifiedBlock, StoreError> {
        match self.ingest.write().take() {
            Some(ingest) => ingest.finish(),
            None => Err(StoreError::Busy { hash: self.hash }),
        }
    }
}

/// Bytes of a block's data, and of its leaves.
#[derive(Clone, Copy)]
struct Length {
    data: u64,
    leaves: u64,
}

async fn header(peer: &Peer, hash: ContentHash) -> Result<(Vec<u8>, Length), PeerError> {
    let header = peer.header(&hash).await?;
    let parsed = transfer::verify_header(&hash, &header).map_err(PeerError::Lied)?;
    let length = Length { data: parsed.data_len, leaves: transfer::leaves_len(&parsed) };
    Ok((header.to_vec(), length))
}

fn backoff(attempt: u32) -> Duration {
    retry::jittered(MIN_BACKOFF.saturating_mul(1 << attempt.min(16)).min(MAX_BACKOFF))
}

fn short(hash: &ContentHash) -> String {
    hash.to_string().chars().take(10).collect()
}
