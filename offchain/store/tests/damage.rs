//! Damaged files: found, named, moved aside, healed.

mod common;

use blyan_primitives::{
    block::data_offset,
    merkle::{SUBTILE, TILE},
};
use blyan_store::{Config, Store, StoreError};
use blyan_tensorblock::BlockError;
use common::{begin, block_of, block_path, damage, digits, fill, leaves_path, metric, open, three_tiles};
use prometheus::Registry;
use std::{fs, os::unix::fs::FileExt, path::Path};

#[test]
fn one_flipped_byte_is_named_quarantined_and_healed_by_one_tile() {
    let folder = tempfile::tempdir().unwrap();
    let block = three_tiles(1);
    let hash = block.hash();
    open(folder.path()).put(&block).unwrap();
    damage(folder.path(), &block, 21);

    let registry = Registry::new();
    let store = Store::open(Config::new(folder.path()), &registry).unwrap();
    let error = store.get(&hash).unwrap_err();
    assert!(error.needs_fetch());
    let text = error.to_string();
    assert!(text.contains(&hash.to_string()) && text.contains("subtile 21"), "{text}");
    let StoreError::Corrupt { path, subtiles, .. } = error else { panic!("{error}") };
    assert_eq!(subtiles, [21]);
    assert_eq!(path, folder.path().join("quarantine").join(format!("{}.block", digits(&hash))));
    assert!(path.exists() && !store.contains(&hash).unwrap());
    assert_eq!(metric(&registry, "blyan_store_corruptions_total", None), 1.0);
    assert!(matches!(store.get(&hash).unwrap_err(), StoreError::NotFound { .. }));

    // The copy in quarantine has the outline and two of three tiles.
    let peer = three_tiles(1).into_block().unwrap();
    let ingest = store.resume(&hash).unwrap().unwrap();
    assert_eq!(ingest.missing_tiles(), [1]);
    assert_eq!(fill(&ingest, &peer), 1);
    assert_eq!(ingest.finish().unwrap().data(), peer.data());
    assert_eq!(store.get(&hash).unwrap().data(), peer.data());
    assert_eq!(metric(&registry, "blyan_store_ingested_bytes_total", None), TILE as f64);
    assert_eq!(metric(&registry, "blyan_store_ingested_blocks_total", None), 1.0);

    assert!(!path.exists(), "the damaged copy has no more use");
}

#[test]
fn damage_is_located_by_a_peers_list_when_ours_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let block = three_tiles(1);
    open(folder.path()).put(&block).unwrap();
    damage(folder.path(), &block, 0);
    fs::remove_file(leaves_path(folder.path(), &block.hash())).unwrap();
    let store = open(folder.path());
    let error = store.get(&block.hash()).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { subtiles, .. } if subtiles.is_empty()), "{error}");
    assert!(store.resume(&block.hash()).unwrap().is_none());
    let peer = three_tiles(1).into_block().unwrap();
    let ingest = begin(&store, &peer).unwrap();
    assert_eq!(ingest.missing_tiles(), [0]);
    fill(&ingest, &peer);
    ingest.finish().unwrap();
}

#[test]
fn every_kind_of_damage_is_named_and_healed() {
    let block = three_tiles(1);
    let hash = block.hash();
    let peer = three_tiles(1).into_block().unwrap();
    let data = data_offset(block.header_bytes().len() as u32) as usize;
    let mut good = Vec::new();
    block.write_to(&mut good).unwrap();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let mut other = Vec::new();
    block_of(1000, 9).write_to(&mut other).unwrap();
    let cases: [(&str, Vec<u8>, usize); 8] = [
        ("empty", Vec::new(), 3),
        ("truncated in the data", changed(&|b| b.truncate(data + TILE as usize + 9)), 2),
        ("truncated in the header", changed(&|b| b.truncate(30)), 3),
        ("too long", changed(&|b| b.push(0)), 0),
        ("another magic", changed(&|b| b[0] = 0), 0),
        ("a changed header", changed(&|b| b[20] ^= 1), 0),
        ("padding that is not zero", changed(&|b| b[data - 1] = 1), 0),
        ("another block", other, 3),
    ];
    for (case, bytes, to_fetch) in cases {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        store.put(&block).unwrap();
        fs::remove_file(block_path(folder.path(), &hash)).unwrap();
        fs::write(block_path(folder.path(), &hash), bytes).unwrap();
        let error = store.get(&hash).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { hash: h, .. } if *h == hash), "{case}: {error}");
        let ingest = begin(&store, &peer).unwrap();
        assert_eq!(fill(&ingest, &peer), to_fetch, "{case}");
        ingest.finish().unwrap();
        assert_eq!(store.get(&hash).unwrap().data(), peer.data(), "{case}");
    }
}

#[test]
fn a_block_under_a_wrong_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (a, b) = (block_of(100, 1), block_of(100, 2));
    store.put(&a).unwrap();
    store.put(&b).unwrap();
    let path = block_path(folder.path(), &b.hash());
    fs::rename(block_path(folder.path(), &a.hash()), &path).unwrap();
    let error = store.get(&b.hash()).unwrap_err();
    let StoreError::Corrupt { source, .. } = error else { panic!("{error}") };
    let BlockError::WrongBlock { expected, found, .. } = *source else { panic!("{source}") };
    assert_eq!((expected, found), (b.hash(), a.hash()));
}

#[test]
fn verification_reads_the_file_again_and_reports_all_damage() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let blocks = [three_tiles(1), three_tiles(2), block_of(10, 3)];
    for block in &blocks {
        store.put(block).unwrap();
        store.get(&block.hash()).unwrap();
    }
    store.verify(&blocks[1].hash()).unwrap();
    damage(folder.path(), &blocks[1], 3);

    let mut seen = Vec::new();
    let report = store
        .verify_all(|progress| {
            assert!(progress.bytes <= progress.total_bytes && progress.total_blocks == 3);
            seen.push((progress.blocks, progress.last.hash));
        })
        .unwrap();
    assert_eq!(seen.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(report.blocks, 3);
    assert_eq!(report.bytes, blocks.iter().map(common::stored_len).sum::<u64>());
    let [failed] = &report.failed[..] else { panic!("{report:?}") };
    assert_eq!(failed.hash, blocks[1].hash());
    assert!(matches!(&failed.result, Err(StoreError::Corrupt { subtiles, .. }) if *subtiles == [3]));
    assert!(!store.contains(&blocks[1].hash()).unwrap());
    assert!(matches!(store.verify(&blocks[1].hash()).unwrap_err(), StoreError::NotFound { .. }));
    // Those that are good are as they were, and nothing is reported twice.
    assert!(store.verify_all(|_| {}).unwrap().failed.is_empty());
}

#[test]
fn a_block_that_was_healed_by_another_process_is_not_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let block = three_tiles(1);
    let (ours, theirs) = (open(folder.path()), open(folder.path()));
    theirs.put(&block).unwrap();
    ours.get(&block.hash()).unwrap();
    damage(folder.path(), &block, 2);
    assert!(theirs.get(&block.hash()).is_err());
    let ingest = theirs.resume(&block.hash()).unwrap().unwrap();
    fill(&ingest, &three_tiles(1).into_block().unwrap());
    ingest.finish().unwrap();
    assert_eq!(ours.get(&block.hash()).unwrap().header(), block.header());
}

/// Writes to a block's file in place, so that mappings of it show the change.
fn edit(path: &Path, at: u64, change: impl Fn(u8) -> u8) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[change(byte[0])], at).unwrap();
}

#[test]
fn a_byte_that_is_flipped_under_a_mapping_is_noticed_and_located() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let block = three_tiles(1);
    store.put(&block).unwrap();
    let held = store.get(&block.hash()).unwrap();
    let mut watched = store.watch(&held);
    watched.check_unchanged().unwrap();

    let path = block_path(folder.path(), &block.hash());
    let data = data_offset(block.header_bytes().len() as u32);
    let at = data + 21 * SUBTILE + 5;
    edit(&path, at, |byte| byte ^ 0x10);
    assert_ne!(held.data(), three_tiles(1).into_block().unwrap().data(), "the mapping shows the change");
    for _ in 0..2 {
        let error = watched.check_unchanged().unwrap_err();
        assert!(error.is_damage() && error.to_string().contains("subtile 21"), "{error}");
    }
    // Whoever asks anew is refused too, and the block is healed beside the mapping.
    assert!(matches!(store.get(&block.hash()).unwrap_err(), StoreError::Corrupt { .. }));
    assert!(watched.check_unchanged().unwrap_err().is_damage(), "also once the file is out of the way");
    let ingest = store.resume(&block.hash()).unwrap().unwrap();
    fill(&ingest, &three_tiles(1).into_block().unwrap());
    let healed = ingest.finish().unwrap();
    assert!(watched.check_unchanged().unwrap_err().is_damage(), "also once another file is good");
    store.watch(&healed).check_unchanged().unwrap();
    store.watch(&store.get(&block.hash()).unwrap()).check_unchanged().unwrap();
}

#[test]
fn a_file_that_was_touched_and_holds_what_it_held_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let store = Store::open(Config::new(folder.path()), &registry).unwrap();
    let block = three_tiles(1);
    store.put(&block).unwrap();
    let held = store.get(&block.hash()).unwrap();
    let mut watched = store.watch(&held);
    let hashed = || metric(&registry, "blyan_store_verified_bytes_total", None);
    let before = hashed();
    watched.check_unchanged().unwrap();
    assert_eq!(hashed(), before, "a look costs no hashing");

    let path = block_path(folder.path(), &block.hash());
    edit(&path, 5000, |byte| byte);
    watched.check_unchanged().unwrap();
    assert_eq!(hashed() - before, block.file_len() as f64);
    watched.check_unchanged().unwrap();
    assert_eq!(hashed() - before, block.file_len() as f64, "once is enough");

    // A name that is gone, or means another file, says nothing of the mapping.
    let copy = folder.path().join("copy");
    fs::copy(&path, &copy).unwrap();
    fs::remove_file(&path).unwrap();
    watched.check_unchanged().unwrap();
    fs::rename(copy, &path).unwrap();
    watched.check_unchanged().unwrap();
    // A header that was edited is damage as well.
    store.get(&block.hash()).unwrap();
    let again = store.get(&block.hash()).unwrap();
    let mut watched = store.watch(&again);
    edit(&path, 20, |byte| byte ^ 1);
    assert!(watched.check_unchanged().unwrap_err().is_damage());
}

#[test]
fn a_file_that_was_cut_is_noticed_without_touching_its_pages() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let block = three_tiles(1);
    store.put(&block).unwrap();
    let mut watched = store.watch(&store.get(&block.hash()).unwrap());
    let file = fs::OpenOptions::new().write(true).open(block_path(folder.path(), &block.hash())).unwrap();
    file.set_len(9000).unwrap();
    let error = watched.check_unchanged().unwrap_err();
    assert!(matches!(error, StoreError::Block(BlockError::Truncated { found: 9000, .. })), "{error}");
    file.set_len(block.file_len() + 1).unwrap();
    let error = watched.check_unchanged().unwrap_err();
    assert!(matches!(error, StoreError::Block(BlockError::Oversized { .. })), "{error}");
}
