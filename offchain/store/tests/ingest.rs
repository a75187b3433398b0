//! Taking in blocks, over interruptions and in company.

mod common;

use blyan_store::StoreError;
use blyan_tensorblock::{PartialError, TileError, VerifiedBlock, verify_tile};
use common::{begin, block_path, digits, files, fill, open, three_tiles};
use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

fn peer() -> VerifiedBlock {
    three_tiles(1).into_block().unwrap()
}

#[test]
fn a_block_is_taken_in_tile_by_tile() {
    let folder = tempfile::tempdir().unwrap();
    let (store, peer) = (open(folder.path()), peer());
    let ingest = begin(&store, &peer).unwrap();
    assert_eq!((ingest.bytes_present(), ingest.bytes_total()), (0, peer.header().data_len));
    assert!(!store.contains(&peer.hash()).unwrap());
    let proof = peer.prove_tile(1).unwrap();
    assert!(ingest.put(&verify_tile(peer.header(), 1, peer.tile(1).unwrap(), &proof).unwrap()).unwrap());
    assert!(!ingest.put_tile(1, peer.tile(1).unwrap()).unwrap());
    assert_eq!(ingest.missing_tiles(), [0, 2]);
    fill(&ingest, &peer);
    let block = ingest.finish().unwrap();
    assert_eq!(block.path(), Some(block_path(folder.path(), &peer.hash()).as_path()));
    assert_eq!(store.get(&peer.hash()).unwrap().data().as_ptr(), block.data().as_ptr(), "it is verified already");
    assert_eq!(files(folder.path()).len(), 2);
    assert!(matches!(begin(&store, &peer).unwrap_err(), StoreError::AlreadyStored { .. }));
}

#[test]
fn bad_tiles_are_refused_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (store, peer) = (open(folder.path()), peer());
    let ingest = begin(&store, &peer).unwrap();
    ingest.put_tile(0, peer.tile(0).unwrap()).unwrap();
    let mut bad = peer.tile(2).unwrap().to_vec();
    bad[0] ^= 1;
    let refused = ingest.put_tile(2, &bad).unwrap_err();
    assert!(matches!(refused, StoreError::Tile(TileError::Subtile { tile: 2, subtile: 32, .. })), "{refused}");
    assert!(matches!(ingest.put_tile(7, &bad).unwrap_err(), StoreError::Tile(TileError::NoTile { .. })));
    assert!(matches!(ingest.put_tile(1, &bad).unwrap_err(), StoreError::Tile(TileError::Length { .. })));
    assert_eq!(ingest.missing_tiles(), [1, 2]);
    let refused = ingest.finish().unwrap_err();
    assert!(matches!(refused, StoreError::Partial(PartialError::Incomplete { missing: 2, .. })), "{refused}");
    assert!(!store.contains(&peer.hash()).unwrap());
    assert_eq!(store.resume(&peer.hash()).unwrap().unwrap().missing_tiles(), [1, 2]);
}

#[test]
fn a_second_ingest_of_a_block_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (store, peer) = (open(folder.path()), peer());
    let ingest = begin(&store, &peer).unwrap();
    for other in [&store, &open(folder.path())] {
        let busy = begin(other, &peer).unwrap_err();
        assert!(matches!(busy, StoreError::Busy { hash } if hash == peer.hash()), "{busy}");
        assert!(matches!(other.resume(&peer.hash()).unwrap_err(), StoreError::Busy { .. }));
    }
    ingest.discard().unwrap();
    assert!(files(folder.path()).is_empty());
    assert!(store.resume(&peer.hash()).unwrap().is_none());
    begin(&store, &peer).unwrap();
}

#[test]
fn a_block_that_arrived_by_another_way_meanwhile_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, peer) = (open(folder.path()), peer());
    drop(begin(&store, &peer).unwrap());
    store.put_verified(&peer).unwrap();
    assert!(matches!(begin(&store, &peer).unwrap_err(), StoreError::AlreadyStored { .. }));
}

const CHILD_ROOT: &str = "BLYAN_TEST_STORE_ROOT";

/// Not a test of its own: the process that `a_download_survives_kill_9` kills.
#[test]
fn child_that_downloads_two_tiles_and_hangs() {
    let Ok(root) = env::var(CHILD_ROOT) else { return };
    let ingest = begin(&open(Path::new(&root)), &peer()).unwrap();
    for tile in [2, 0] {
        ingest.put_tile(tile, peer().tile(tile).unwrap()).unwrap();
    }
    println!("\nready");
    sleep(Duration::from_secs(120));
}

fn child(root: &Path) -> Child {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child_that_downloads_two_tiles_and_hangs", "--nocapture"])
        .env(CHILD_ROOT, root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "ready"), "the child has put its tiles");
    child
}

#[test]
fn a_download_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let peer = peer();
    let mut child = child(folder.path());

    // While the child lives, its files are its own, for other handles and for the cleaning of a starting process.
    let store = open(folder.path());
    assert!(matches!(store.resume(&peer.hash()).unwrap_err(), StoreError::Busy { .. }));
    assert_eq!(files(&folder.path().join("incoming")).len(), 2);
    child.kill().unwrap();
    child.wait().unwrap();

    let store = open(folder.path());
    let ingest = store.resume(&peer.hash()).unwrap().unwrap();
    assert_eq!(ingest.missing_tiles(), [1]);
    fill(&ingest, &peer);
    ingest.finish().unwrap();
    assert_eq!(store.get(&peer.hash()).unwrap().data(), peer.data());
    assert!(files(&folder.path().join("incoming")).is_empty(), "{}", digits(&peer.hash()));
}
