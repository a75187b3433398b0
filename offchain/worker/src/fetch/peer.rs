//! The workers that blocks are fetched from, and how well they do.

use blyan_primitives::{block::MAX_HEADER_LEN, ids::ContentHash, merkle::TILE};
use blyan_tensorblock::TileError;
use parking_lot::Mutex;
use reqwest::{Client, Response, StatusCode, header};
use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence in the middle of a transfer.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest time for one piece: a tile over a line of 40 kB/s.
const PIECE_TIMEOUT: Duration = Duration::from_secs(120);
/// How much of the latest time enters a peer's average.
const WEIGHT: f64 = 0.3;
/// What a failure adds to a peer's average, in seconds.
const FAILURE: f64 = 10.0;
/// How long a peer that lied is not asked: long enough to cost others nothing, short enough for a repaired disk.
const BARRED: Duration = Duration::from_secs(600);
/// What a peer is thought to need before it was asked, in seconds a piece.
const UNKNOWN: f64 = 0.5;

/// Most bytes of the answer to whether a peer lives.
const MAX_LIVE: u64 = 1 << 10;

/// Why a peer did not help.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It did not answer, or broke off.
    #[error("it does not answer: {0}")]
    Unreachable(String),
    /// It does not have the block.
    #[error("it does not have the block")]
    Absent,
    /// It is busy.
    #[error("it is busy")]
    Busy,
    /// It answered something else than was asked.
    #[error("it answered with {0}")]
    Unexpected(String),
    /// It sent bytes that are not the block's.
    #[error("{0}")]
    Lied(TileError),
    /// Our own task was cut short.
    #[error("the transfer was cut short: {0}")]
    Cut(String),
}

/// Another worker.
#[derive(Clone, Debug)]
pub struct Peer {
    url: Arc<str>,
    client: Client,
}

#[derive(Debug)]
struct Rated {
    peer: Peer,
    /// Average seconds a piece, failures counted as long ones.
    score: f64,
    /// Until when it is not asked, because it sent bytes that were not what it said.
    barred: Option<Instant>,
}

/// All peers, with what is known of them.
#[derive(Debug)]
pub struct Peers {
    client: Client,
    rated: Mutex<Vec<Rated>>,
}

impl Peers {
    /// The workers with these base URLs.
    pub fn new(urls: &[String]) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .user_agent(concat!("blyan-worker/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let peers = Self { client, rated: Mutex::default() };
        peers.add(urls, usize::MAX);
        Ok(peers)
    }

    /// Adds workers with these base URLs that are not there yet, while there are fewer than `most` peers.
    pub fn add(&self, urls: &[String], most: usize) {
        let mut rated = self.rated.lock();
        for url in urls.iter().map(|url| url.trim_end_matches('/')) {
            if rated.len() < most && rated.iter().all(|rated| &*rated.peer.url != url) {
                let peer = Peer { url: url.into(), client: self.client.clone() };
                rated.push(Rated { peer, score: UNKNOWN, barred: None });
            }
        }
    }

    /// The workers with these base URLs before all of these.
    pub fn after(&self, urls: &[String]) -> Self {
        let peers = Self { client: self.client.clone(), rated: Mutex::default() };
        peers.add(urls, usize::MAX);
        let first = peers.rated.lock().len();
        let known = self.rated.lock();
        let others = known.iter().map(|Rated { peer, score, barred }| Rated {
            peer: peer.clone(),
            score: *score,
            barred: *barred,
        });
        peers.rated.lock().extend(others.collect::<Vec<_>>());
        // Those that are asked for this block are the first to be asked.
        peers.rated.lock().iter_mut().take(first).for_each(|rated| rated.score = 0.0);
        drop(known);
        peers
    }

    /// Whether there is nobody to ask.
    pub fn is_empty(&self) -> bool {
        self.rated.lock().is_empty()
    }

    /// Until one may be asked again, where there are peers and all have lied lately.
    pub fn barred_for(&self) -> Option<Duration> {
        let rated = self.rated.lock();
        let now = Instant::now();
        // `None` sorts first: as soon as one is not barred, there is nothing to wait for.
        rated.iter().map(|rated| rated.barred.filter(|until| *until >= now)).min()?.map(|until| until - now)
    }

    /// The peers to ask, the quickest first; those that lied lately are left out.
    pub fn ranked(&self) -> Vec<Peer> {
        let rated = self.rated.lock();
        let now = Instant::now();
        let mut honest: Vec<&Rated> =
            rated.iter().filter(|rated| rated.barred.is_none_or(|until| until < now)).collect();
        honest.sort_by(|a, b| a.score.total_cmp(&b.score));
        honest.into_iter().map(|rated| rated.peer.clone()).collect()
    }

    /// Awaits what `peer` was asked for, and remembers how it did.
    pub async fn time<T>(
        &self,
        peer: &Peer,
        answer: impl Future<Output = Result<T, PeerError>>,
    ) -> Result<T, PeerError> {
        let started = Instant::now();
        let result = match tokio::time::timeout(PIECE_TIMEOUT, answer).await {
            Ok(result) => result,
            Err(_) => Err(PeerError::Unreachable(format!("nothing within {PIECE_TIMEOUT:?}"))),
        };
        let mut rated = self.rated.lock();
        if let Some(rated) = rated.iter_mut().find(|rated| Arc::ptr_eq(&rated.peer.url, &peer.url)) {
            let took = match &result {
                Ok(_) => started.elapsed().as_secs_f64(),
                Err(PeerError::Lied(_)) => {
                    rated.barred = Some(Instant::now() + BARRED);
                    FAILURE
                },
                // An honest answer.
                Err(PeerError::Absent | PeerError::Cut(_)) => rated.score,
                Err(_) => FAILURE,
            };
            rated.score = rated.score * (1.0 - WEIGHT) + took * WEIGHT;
        }
        result
    }
}

impl Peer {
    /// Its base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it answers that it lives.
    pub async fn is_live(&self) -> bool {
        self.get("/health/live", None, MAX_LIVE).await.is_ok()
    }

    /// A block's header.
    pub async fn header(&self, hash: &ContentHash) -> Result<Vec<u8>, PeerError> {
        self.get(&format!("/v1/blocks/{hash}/header"), None, u64::from(MAX_HEADER_LEN)).await
    }

    /// A block's leaf hashes, of which there should be `length` bytes.
    pub async fn leaves(&self, hash: &ContentHash, length: u64) -> Result<Vec<u8>, PeerError> {
        self.get(&format!("/v1/blocks/{hash}/leaves"), None, length).await
    }

    /// A part of a block's file, at most a tile.
    pub async fn range(&self, hash: &ContentHash, range: Range<u64>) -> Result<Vec<u8>, PeerError> {
        self.get(&format!("/v1/blocks/{hash}"), Some(range), TILE).await
    }

    async fn get(&self, path: &str, range: Option<Range<u64>>, most: u64) -> Result<Vec<u8>, PeerError> {
        let mut request = self.client.get(format!("{}{path}", self.url));
        if let Some(range) = &range {
            request = request.header(header::RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        }
        let response = request.send().await.map_err(unreachable)?;
        let expected = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        match response.status() {
            status if status == expected => {},
            StatusCode::NOT_FOUND => return Err(PeerError::Absent),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => return Err(PeerError::Busy),
            status => return Err(PeerError::Unexpected(status.to_string())),
        }
        let most = range.map_or(most, |range| (range.end - range.start).min(most));
        collect(response, most).await
    }
}

fn unreachable(error: reqwest::Error) -> PeerError {
    PeerError::Unreachable(error.to_string())
}

/// Reads a body of at most `most` bytes, whatever its length says.
async fn collect(mut response: Response, most: u64) -> Result<Vec<u8>, PeerError> {
    let too_long = || PeerError::Unexpected(format!("more than {most} bytes"));
    if response.content_length().is_some_and(|length| length > most) {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        if (bytes.len() + piece.len()) as u64 > most {
            return Err(too_long());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::ids::TileRoot;

    fn urls(peers: &Peers) -> Vec<String> {
        peers.ranked().iter().map(|peer| peer.url().to_owned()).collect()
    }

    #[tokio::test]
    async fn slow_and_failing_peers_are_asked_later_and_liars_not_at_all() {
        let peers = Peers::new(&["http://a/".into(), "http://b".into(), "http://c".into()]).unwrap();
        let [a, b, _] = <[Peer; 3]>::try_from(peers.ranked()).unwrap();
        assert!(peers.time(&a, async { Err::<(), _>(PeerError::Busy) }).await.is_err());
        assert_eq!(urls(&peers), ["http://b", "http://c", "http://a"]);
        let lie = TileError::Length { root: TileRoot([0; 32]), tile: 0, expected: 1, found: 2 };
        assert!(peers.time(&b, async { Err::<(), _>(PeerError::Lied(lie)) }).await.is_err());
        assert_eq!(urls(&peers), ["http://c", "http://a"]);
        assert_eq!(peers.barred_for(), None, "others can be asked");
        for _ in 0..20 {
            peers.time(&a, async { Ok(()) }).await.unwrap();
        }
        assert_eq!(urls(&peers), ["http://a", "http://c"]);
    }

    #[tokio::test]
    async fn when_all_have_lied_it_is_known_for_how_long() {
        assert_eq!(Peers::new(&[]).unwrap().barred_for(), None);
        let peers = Peers::new(&["http://a".into()]).unwrap();
        let [a] = <[Peer; 1]>::try_from(peers.ranked()).unwrap();
        let lie = TileError::Length { root: TileRoot([0; 32]), tile: 0, expected: 1, found: 2 };
        assert!(peers.time(&a, async { Err::<(), _>(PeerError::Lied(lie)) }).await.is_err());
        assert!(peers.ranked().is_empty());
        assert!(peers.barred_for().is_some_and(|left| left > BARRED / 2 && left <= BARRED));
    }
}
