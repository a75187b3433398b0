//! Adding, finding, verifying and serving blocks.

mod common;

use blyan_primitives::ids::ContentHash;
use blyan_store::{Config, Part, Store, StoreError};
use blyan_tensorblock::{BlockError, Outline};
use common::{block_of, block_path, damage, files, leaves_path, metric, open, three_tiles};
use prometheus::Registry;
use std::{fs, sync::Barrier};

#[test]
fn a_stored_block_is_found_verified_and_shared() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let store = Store::open(Config::new(folder.path()), &registry).unwrap();
    let block = three_tiles(1);
    let hash = block.hash();
    assert!(matches!(store.get(&hash).unwrap_err(), StoreError::NotFound { hash: h } if h == hash));
    assert!(store.put(&block).unwrap());
    assert!(!store.put(&block).unwrap(), "equal content is stored once");

    let first = store.get(&hash).unwrap();
    let second = store.get(&hash).unwrap();
    assert_eq!(first.data().as_ptr(), second.data().as_ptr(), "one mapping serves all");
    assert_eq!(first.path(), Some(block_path(folder.path(), &hash).as_path()));
    for (outcome, expected) in [("miss", 1.0), ("load", 1.0), ("hit", 1.0)] {
        assert_eq!(metric(&registry, "blyan_store_lookups_total", Some(outcome)), expected, "{outcome}");
    }
    assert!((metric(&registry, "blyan_store_hit_ratio", None) - 2.0 / 3.0).abs() < 1e-9);
    assert_eq!(metric(&registry, "blyan_store_verified_bytes_total", None), block.file_len() as f64);
    assert_eq!(metric(&registry, "blyan_store_stored_bytes", None), common::stored_len(&block) as f64);

    let [listed] = &store.list().unwrap()[..] else { panic!("one block") };
    assert_eq!((listed.hash, listed.bytes, listed.verified), (hash, common::stored_len(&block), true));
}

#[test]
fn blocks_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let block = three_tiles(1);
    open(folder.path()).put(&block).unwrap();
    let store = open(folder.path());
    assert!(store.contains(&block.hash()).unwrap());
    assert_eq!(store.get(&block.hash()).unwrap().header(), block.header());
}

#[test]
fn many_threads_verify_a_block_once() {
    const THREADS: usize = 16;
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let store = Store::open(Config::new(folder.path()), &registry).unwrap();
    let block = three_tiles(1);
    store.put(&block).unwrap();
    let barrier = Barrier::new(THREADS);
    let pointers: Vec<usize> = std::thread::scope(|scope| {
        let get = || {
            barrier.wait();
            store.get(&block.hash()).unwrap().data().as_ptr() as usize
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(get)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(pointers.iter().all(|pointer| *pointer == pointers[0]));
    assert_eq!(metric(&registry, "blyan_store_lookups_total", Some("load")), 1.0);
    assert_eq!(metric(&registry, "blyan_store_verified_bytes_total", None), block.file_len() as f64);
}

#[test]
fn what_another_process_adds_or_removes_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (open(folder.path()), open(folder.path()));
    let block = block_of(1000, 1);
    theirs.put(&block).unwrap();
    let held = ours.get(&block.hash()).unwrap();
    assert_eq!(ours.list().unwrap().len(), 1);
    theirs.remove(&block.hash()).unwrap();
    assert!(matches!(ours.get(&block.hash()).unwrap_err(), StoreError::NotFound { .. }));
    assert!(ours.list().unwrap().is_empty());
    held.verify_again(1).expect("a mapping outlives its file");
}

#[test]
fn a_file_that_was_edited_is_verified_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let block = block_of(1000, 1);
    store.put(&block).unwrap();
    drop(store.get(&block.hash()).unwrap());
    damage(folder.path(), &block, 0);
    assert!(matches!(store.get(&block.hash()).unwrap_err(), StoreError::Corrupt { .. }));
}

#[test]
fn files_are_imported_after_verification() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let block = three_tiles(4);
    let path = elsewhere.path().join("any name");
    block.write_file(&path).unwrap();
    assert_eq!(store.import_file(&path).unwrap(), block.hash());
    assert_eq!(store.get(&block.hash()).unwrap().header_bytes(), block.header_bytes());

    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let bad = elsewhere.path().join("bad");
    fs::write(&bad, bytes).unwrap();
    assert!(matches!(store.import_file(&bad).unwrap_err(), StoreError::Block(BlockError::Corrupt { .. })));
    assert!(bad.exists(), "a file that is not ours is left alone");
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn blocks_in_use_are_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let block = block_of(1000, 1);
    let hash = block.hash();
    store.put(&block).unwrap();
    let held = store.get(&hash).unwrap();
    assert!(matches!(store.remove(&hash).unwrap_err(), StoreError::InUse { .. }));
    drop(held);
    store.pin(&hash);
    assert!(matches!(store.remove(&hash).unwrap_err(), StoreError::InUse { .. }));
    store.unpin(&hash);
    assert!(store.remove(&hash).unwrap());
    assert!(!store.remove(&hash).unwrap());
    assert!(files(folder.path()).is_empty());
}

#[test]
fn parts_are_served_without_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let block = three_tiles(1);
    store.put(&block).unwrap();
    let mapped = store.get(&block.hash()).unwrap();
    let serve = |part, range| store.serve(&block.hash(), part, range);

    let header = serve(Part::Header, None).unwrap();
    let leaves = serve(Part::Leaves, None).unwrap();
    let outline = Outline::new(&block.hash(), header.as_ref(), leaves.as_ref()).unwrap();
    let tile = serve(Part::Data, outline.tile_range(2)).unwrap();
    assert!(outline.verify_tile(2, tile.clone()).is_ok());
    assert!(mapped.data().as_ptr_range().contains(&tile.as_ref().as_ptr()));
    assert_eq!(Some(tile.range()), outline.tile_range(2));
    assert_eq!(tile.total_len(), block.header().data_len);

    let end = block.header().data_len;
    #[allow(clippy::reversed_empty_ranges)]
    for range in [0..end + 1, u64::MAX..u64::MAX, 3..2] {
        assert!(matches!(serve(Part::Data, Some(range)).unwrap_err(), StoreError::Range { .. }));
    }
    assert!(serve(Part::Data, Some(end..end)).unwrap().as_ref().is_empty());
    assert!(matches!(
        store.serve(&ContentHash::default(), Part::Header, None).unwrap_err(),
        StoreError::NotFound { .. }
    ));
}

#[test]
fn lost_or_wrong_leaf_hashes_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let block = three_tiles(1);
    open(folder.path()).put(&block).unwrap();
    let path = leaves_path(folder.path(), &block.hash());
    let good = fs::read(&path).unwrap();
    assert_eq!(good, block.tree().leaves().as_flattened());
    fs::remove_file(&path).unwrap();
    open(folder.path()).get(&block.hash()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), good);
    for bad in [vec![1; good.len()], vec![1; 5]] {
        fs::write(&path, bad).unwrap();
        open(folder.path()).get(&block.hash()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), good);
    }
}

#[test]
fn two_stores_on_one_registry_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let _store = Store::open(Config::new(folder.path()), &registry).unwrap();
    assert!(matches!(Store::open(Config::new(folder.path()), &registry).unwrap_err(), StoreError::Metrics(_)));
}

#[test]
fn a_root_that_is_no_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, b"x").unwrap();
    let refused = Store::open(Config::new(&path), &Registry::new()).unwrap_err();
    assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
}
