//! Blocks served by one worker and fetched by another.

mod common;

use axum::{Router, extract::Path as UrlPath, routing::get};
use blyan_primitives::{block::data_offset, ids::ContentHash, merkle::TILE};
use blyan_store::{Store, StoreError};
use blyan_worker::{
    fetch::{FetchError, Fetcher, Peers},
    metrics::Metrics,
};
use common::{Options, Worker, open_store};
use std::{fs, os::unix::fs::FileExt, path::PathBuf, sync::Arc, time::SystemTime};
use tokio::{net::TcpListener, sync::mpsc};

fn fetcher(store: &Store, peers: &[String]) -> Fetcher {
    Fetcher::new(store.clone(), Arc::new(Peers::new(peers).unwrap()), Arc::new(Metrics::new().unwrap()))
}

fn all(worker: &Worker) -> Vec<ContentHash> {
    worker.model.blocks.iter().map(|block| block.hash()).collect()
}

/// A block of more than one tile in the worker's store.
fn large(worker: &Worker) -> ContentHash {
    use blyan_primitives::block::{BlockKind, DType, Form, Layout, Quantisation};
    let len = TILE as u32 + 300_000;
    let bytes: Vec<u8> = (0..len).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    let mut builder = blyan_tensorblock::BlockBuilder::new(BlockKind::Expert, Form::Serving, Quantisation::PerChannel);
    builder.tensor("noise", DType::U8, Layout::RowMajor, &[len], bytes).unwrap();
    let block = builder.finish().unwrap();
    worker.store.put(&block).unwrap();
    block.hash()
}

fn file(root: &std::path::Path, hash: &ContentHash) -> PathBuf {
    let digits = hash.to_string()[2..].to_owned();
    root.join(&digits[..2]).join(format!("{digits}.block"))
}

#[tokio::test]
async fn a_worker_without_blocks_gets_them_all_from_a_peer() {
    let worker = Worker::start(Options::default()).await;
    let mut hashes = all(&worker);
    hashes.push(large(&worker));
    let folder = tempfile::tempdir().unwrap();
    let store = open_store(folder.path());
    let blocks = fetcher(&store, std::slice::from_ref(&worker.url)).ensure(&hashes).await.unwrap();
    for (block, hash) in blocks.iter().zip(&hashes) {
        assert_eq!(block.hash(), *hash);
        assert_eq!(block.data(), worker.store.get(hash).unwrap().data());
    }
    // Now they are here.
    fetcher(&store, &[]).ensure(&hashes).await.unwrap();
}

#[tokio::test]
async fn a_damaged_block_is_refused_by_name_and_healed_from_a_peer() {
    let worker = Worker::start(Options::default()).await;
    let hash = large(&worker);
    let folder = tempfile::tempdir().unwrap();
    fetcher(&open_store(folder.path()), std::slice::from_ref(&worker.url)).ensure(&[hash]).await.unwrap();
    let path = file(folder.path(), &hash);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 1000;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();

    let store = open_store(folder.path());
    match fetcher(&store, &[]).ensure(&[hash]).await {
        Err(FetchError::NoPeers { hash: named, damaged: Some(damaged) }) => {
            assert_eq!(named, hash);
            assert!(matches!(*damaged, StoreError::Corrupt { .. }));
        },
        other => panic!("{other:?}"),
    }
    assert!(!path.exists(), "the damaged file is out of the way");
    let metrics = Arc::new(Metrics::new().unwrap());
    let peers = Arc::new(Peers::new(std::slice::from_ref(&worker.url)).unwrap());
    let healed = Fetcher::new(store, peers, metrics.clone()).ensure(&[hash]).await.unwrap();
    assert_eq!(healed[0].data(), worker.store.get(&hash).unwrap().data());
    // The first tile was good: only the damaged one had to travel.
    assert!(metrics.fetched_bytes.get() < TILE);
}

#[tokio::test]
async fn a_block_that_is_damaged_while_the_worker_runs_is_refused_and_named_to_be_healed() {
    let worker = Worker::start(Options::default()).await;
    let hash = large(&worker);
    let (sender, mut damaged) = mpsc::channel(4);
    worker.app.damaged.set(sender).unwrap();
    let path = format!("/v1/blocks/{hash}/header");
    assert_eq!(worker.get(&path).await.status(), 200);
    let disk = fs::File::options().read(true).write(true).open(file(worker.store.root(), &hash)).unwrap();
    let (mut byte, at) = ([0], disk.metadata().unwrap().len() - 1000);
    disk.read_exact_at(&mut byte, at).unwrap();
    disk.write_all_at(&[byte[0] ^ 1], at).unwrap();
    disk.set_modified(SystemTime::now()).unwrap();
    for _ in 0..2 {
        assert_eq!(worker.get(&path).await.status(), 404);
    }
    assert_eq!(damaged.recv().await, Some(hash));
    assert!(damaged.try_recv().is_err(), "it is named once");
}

#[tokio::test]
async fn a_peer_that_lies_is_caught_and_an_honest_one_is_asked() {
    let worker = Worker::start(Options::default()).await;
    let hash = large(&worker);
    let block = worker.store.get(&hash).unwrap();
    let (header, leaves) = (block.header_bytes().to_vec(), block.tree().leaves().as_flattened().to_vec());
    let offset = data_offset(header.len() as u32);
    // Says the truth about the block's outline, and sends zeros for its data.
    let liar = Router::new()
        .route("/v1/blocks/{hash}/header", get(move |UrlPath(_): UrlPath<String>| async move { header.clone() }))
        .route("/v1/blocks/{hash}/leaves", get(move |UrlPath(_): UrlPath<String>| async move { leaves.clone() }))
        .route(
            "/v1/blocks/{hash}",
            get(move |headers: axum::http::HeaderMap| async move {
                let range = headers["range"].to_str().unwrap().trim_start_matches("bytes=").to_owned();
                let (first, last) = range.split_once('-').unwrap();
                let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
                assert!(first >= offset);
                (axum::http::StatusCode::PARTIAL_CONTENT, vec![0u8; (last + 1 - first) as usize])
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, liar).await.unwrap() });

    let folder = tempfile::tempdir().unwrap();
    let store = open_store(folder.path());
    match fetcher(&store, std::slice::from_ref(&url)).ensure(&[hash]).await {
        Err(FetchError::Exhausted { hash: named, last }) => {
            assert_eq!(named, hash);
            assert!(last.to_string().contains("subtile"), "{last}");
        },
        other => panic!("{other:?}"),
    }
    // Its only peer having lied, a worker waits until it may ask it again: a disk can be repaired.
    let alone = fetcher(&store, std::slice::from_ref(&url));
    assert!(matches!(alone.ensure(&[hash]).await, Err(FetchError::Exhausted { .. })));
    match alone.ensure(&[hash]).await {
        Err(FetchError::AllBarred { hash: named, again_in }) => {
            assert_eq!(named, hash);
            assert!(!again_in.is_zero());
        },
        other => panic!("{other:?}"),
    }
    let metrics = Arc::new(Metrics::new().unwrap());
    let peers = Arc::new(Peers::new(&[url, worker.url.clone()]).unwrap());
    let blocks = Fetcher::new(store, peers.clone(), metrics.clone()).ensure(&[hash]).await.unwrap();
    assert_eq!(blocks[0].data(), block.data());
    assert!(metrics.fetch_corrupt.get() >= 1);
    assert_eq!(peers.ranked().len(), 1, "the liar is not asked again");
}

#[tokio::test]
async fn a_block_that_nobody_has_is_named() {
    let worker = Worker::start(Options::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let hash = ContentHash([9; 32]);
    let error =
        fetcher(&open_store(folder.path()), std::slice::from_ref(&worker.url)).ensure(&[hash]).await.unwrap_err();
    assert!(matches!(error, FetchError::Exhausted { .. }) && error.to_string().contains(&hash.to_string()), "{error}");
}

#[tokio::test]
async fn parts_of_a_block_are_served_as_http_has_them() {
    let worker = Worker::start(Options::default()).await;
    let hash = large(&worker);
    let expected = fs::read(file(worker.store.root(), &hash)).unwrap();
    let path = format!("/v1/blocks/{hash}");
    let whole = worker.get(&path).await;
    assert_eq!(whole.headers()["etag"], format!("\"{hash}\""));
    assert!(whole.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    assert_eq!(whole.bytes().await.unwrap(), expected);
    let part = |range: &'static str| worker.http.get(format!("{}{path}", worker.url)).header("range", range).send();
    for (range, bytes) in
        [("bytes=0-15", 0..16), ("bytes=10-5000", 10..5001), ("bytes=-7", expected.len() - 7..expected.len())]
    {
        let response = part(range).await.unwrap();
        assert_eq!(response.status(), 206);
        let content_range = format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, expected.len());
        assert_eq!(response.headers()["content-range"], content_range);
        assert_eq!(response.bytes().await.unwrap(), expected[bytes]);
    }
    let past = part("bytes=999999999-").await.unwrap();
    assert_eq!(past.status(), 416);
    assert_eq!(past.headers()["content-range"], format!("bytes */{}", expected.len()));
    let head = worker.http.head(format!("{}{path}", worker.url)).send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()),
        (200, &*expected.len().to_string())
    );
    let block = worker.store.get(&hash).unwrap();
    assert_eq!(worker.get(&format!("{path}/header")).await.bytes().await.unwrap(), block.header_bytes());
    assert_eq!(
        worker.get(&format!("{path}/leaves")).await.bytes().await.unwrap(),
        block.tree().leaves().as_flattened()
    );
}

#[tokio::test]
async fn transfers_are_bounded() {
    let worker = Worker::start(Options::default()).await;
    let hash = large(&worker);
    let path = format!("/v1/blocks/{hash}");
    // Nobody reads these: they keep their places.
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(worker.get(&path).await);
    }
    let refused = worker.get(&path).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    drop(held);
    common::until("a place is free", || async { worker.get(&path).await.status() == 200 }).await;
}
