//! The bound, and who has to go.

mod common;

use blyan_store::{Config, Store, StoreError};
use blyan_tensorblock::UnwrittenBlock;
use common::{begin, block_of, block_path, bounded, damage, files, metric, open, stored_len};
use prometheus::Registry;
use std::{fs, thread::sleep, time::Duration};

/// Blocks of one size.
fn blocks(count: u64) -> Vec<UnwrittenBlock<'static>> {
    (0..count).map(|seed| block_of(5000, seed)).collect()
}

/// Long enough for two uses to differ on every file system.
fn later() {
    sleep(Duration::from_millis(20));
}

fn stored(store: &Store, blocks: &[UnwrittenBlock<'_>]) -> Vec<bool> {
    blocks.iter().map(|block| store.contains(&block.hash()).unwrap()).collect()
}

#[test]
fn the_least_recently_used_block_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks(4);
    let size = stored_len(&blocks[0]);
    let (store, registry) = bounded(folder.path(), 3 * size);
    for block in &blocks[..3] {
        store.put(block).unwrap();
        later();
    }
    store.get(&blocks[0].hash()).unwrap();
    later();
    store.put(&blocks[3]).unwrap();
    assert_eq!(stored(&store, &blocks), [true, false, true, true]);
    assert_eq!(metric(&registry, "blyan_store_evictions_total", None), 1.0);
    assert_eq!(metric(&registry, "blyan_store_evicted_bytes_total", None), size as f64);
    assert_eq!(metric(&registry, "blyan_store_stored_bytes", None), 3.0 * size as f64);
    assert_eq!(metric(&registry, "blyan_store_capacity_bytes", None), 3.0 * size as f64);
    assert_eq!(metric(&registry, "blyan_store_stored_blocks", None), 3.0);
}

#[test]
fn the_order_of_use_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks(3);
    let store = open(folder.path());
    for block in &blocks {
        store.put(block).unwrap();
        later();
    }
    drop(store.get(&blocks[0].hash()).unwrap());
    drop(store);
    // Opening with a bound evicts down to it.
    let (store, _) = bounded(folder.path(), 2 * stored_len(&blocks[0]));
    assert_eq!(stored(&store, &blocks), [true, false, true]);
}

#[test]
fn blocks_in_use_and_pinned_blocks_stay() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks(4);
    let size = stored_len(&blocks[0]);
    let (store, _) = bounded(folder.path(), 2 * size);
    store.pin(&blocks[0].hash());
    store.put(&blocks[0]).unwrap();
    later();
    store.put(&blocks[1]).unwrap();
    let held = store.get(&blocks[1].hash()).unwrap();
    let error = store.put(&blocks[2]).unwrap_err();
    assert!(
        matches!(error, StoreError::Full { needed, max, kept } if (needed, max, kept) == (size, 2 * size, 2 * size)),
        "{error}"
    );
    drop(held);
    store.put(&blocks[2]).unwrap();
    assert_eq!(stored(&store, &blocks), [true, false, true, false]);
    store.unpin(&blocks[0].hash());
    store.put(&blocks[3]).unwrap();
    assert_eq!(stored(&store, &blocks), [false, false, true, true]);
}

#[test]
fn a_block_above_the_bound_is_refused_and_evicts_in_vain_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let block = block_of(50_000, 1);
    let (store, _) = bounded(folder.path(), 1000);
    assert!(matches!(store.put(&block).unwrap_err(), StoreError::Full { .. }));
    let peer = block_of(50_000, 1).into_block().unwrap();
    assert!(matches!(begin(&store, &peer).unwrap_err(), StoreError::Full { .. }));
    assert!(files(folder.path()).is_empty());
}

#[test]
fn downloads_in_progress_count_and_abandoned_ones_go() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks(3);
    let (store, _) = bounded(folder.path(), 2 * stored_len(&blocks[0]));
    let peer = block_of(5000, 0).into_block().unwrap();
    let ingest = begin(&store, &peer).unwrap();
    later();
    store.put(&blocks[1]).unwrap();
    let held = store.get(&blocks[1].hash()).unwrap();
    // The room of the download is taken although it is empty so far.
    assert!(matches!(store.put(&blocks[2]).unwrap_err(), StoreError::Full { .. }));
    drop(ingest);
    store.put(&blocks[2]).unwrap();
    assert!(store.resume(&peer.hash()).unwrap().is_none(), "the abandoned download made room");
    drop(held);
}

#[test]
fn quarantined_files_go_before_their_turn_comes_for_newer_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks(3);
    let (store, _) = bounded(folder.path(), 2 * stored_len(&blocks[0]));
    store.put(&blocks[0]).unwrap();
    damage(folder.path(), &blocks[0], 0);
    store.get(&blocks[0].hash()).unwrap_err();
    later();
    store.put(&blocks[1]).unwrap();
    store.put(&blocks[2]).unwrap();
    assert_eq!(stored(&store, &blocks), [false, true, true]);
    assert!(files(folder.path()).iter().all(|file| !file.starts_with("quarantine")));
}

#[test]
fn healing_needs_no_room_for_the_damaged_copy_twice() {
    let folder = tempfile::tempdir().unwrap();
    let block = block_of(5000, 1);
    let size = stored_len(&block);
    let (store, _) = bounded(folder.path(), 2 * size);
    store.put(&block).unwrap();
    damage(folder.path(), &block, 0);
    store.get(&block.hash()).unwrap_err();
    let ingest = store.resume(&block.hash()).unwrap().unwrap();
    common::fill(&ingest, &block_of(5000, 1).into_block().unwrap());
    ingest.finish().unwrap();
    store.get(&block.hash()).unwrap();
}

#[test]
fn the_bound_holds_under_concurrent_use() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks(12);
    let size = stored_len(&blocks[0]);
    let (store, _) = bounded(folder.path(), 5 * size);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, blocks) = (&store, &blocks);
            scope.spawn(move || {
                for i in 0..60 {
                    let block = &blocks[(i * 7 + thread * 3) % blocks.len()];
                    match store.put(block) {
                        Ok(_) | Err(StoreError::Busy { .. } | StoreError::Full { .. }) => {},
                        Err(error) => panic!("{error}"),
                    }
                    match store.get(&block.hash()) {
                        Ok(found) => assert_eq!(found.hash(), block.hash()),
                        Err(StoreError::NotFound { .. }) => {},
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let total: u64 = store.list().unwrap().iter().map(|block| block.bytes).sum();
    assert!(total <= 5 * size, "{total}");
    assert!(files(folder.path()).iter().all(|name| !name.ends_with(".tmp")));
}

#[test]
fn leftovers_of_crashes_are_cleaned_on_opening() {
    let folder = tempfile::tempdir().unwrap();
    let block = block_of(5000, 1);
    let store = open(folder.path());
    store.put(&block).unwrap();
    let path = block_path(folder.path(), &block.hash());
    // A temporary file of a writer that died, a download whose block was finished elsewhere, an outline without a file.
    fs::write(path.with_file_name(".abc.tmp"), b"x").unwrap();
    let incoming = folder.path().join("incoming");
    fs::write(incoming.join(format!("{}.part", common::digits(&block.hash()))), b"x").unwrap();
    fs::write(incoming.join(format!("{}.outline", "a".repeat(64))), b"x").unwrap();
    // A file that is none of ours.
    fs::write(folder.path().join("notes.txt"), b"x").unwrap();

    let _ = Store::open(Config::new(folder.path()), &Registry::new()).unwrap();
    let mut expected = vec!["notes.txt".to_string()];
    for name in [path.clone(), path.with_extension("leaves")] {
        expected.push(name.strip_prefix(folder.path()).unwrap().to_str().unwrap().into());
    }
    expected.sort();
    assert_eq!(files(folder.path()), expected);
}
