//! Tiles that arrive from elsewhere, and assembling them over crashes.

mod common;

use blyan_primitives::{
    block::{HeaderError, data_offset, header_hash},
    ids::ContentHash,
    merkle::{MAX_PROOF, ProofError, SUBTILE, TILE},
};
use blyan_tensorblock::{
    Block, BlockError, Outline, PartialBlock, PartialError, Proof, TileError, VerifiedBlock, atomic,
    transfer::verify_header, verify_tile,
};
use common::{file_bytes, three_tiles};
use proptest::prelude::*;
use std::{fs, path::Path};

fn block() -> VerifiedBlock {
    three_tiles(7).into_block().unwrap()
}

fn leaves(block: &VerifiedBlock) -> Vec<u8> {
    block.tree().leaves().as_flattened().to_vec()
}

fn outline(block: &VerifiedBlock) -> Outline {
    Outline::new(&block.hash(), block.header_bytes(), &leaves(block)).unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_tile_is_proved_by_its_own() {
    let block = block();
    for tile in 0..3 {
        let proof = Proof::decode(&block.prove_tile(tile).unwrap().encode()).unwrap();
        let verified = verify_tile(block.header(), tile, block.tile(tile).unwrap(), &proof).unwrap();
        assert_eq!((verified.index(), verified.root()), (tile, block.header().root));
        assert_eq!(verified.bytes(), block.tile(tile).unwrap());
    }
}

#[test]
fn tiles_that_do_not_belong_are_refused_by_name() {
    let block = block();
    let header = block.header();
    let (tile, proof) = (block.tile(1).unwrap(), block.prove_tile(1).unwrap());
    let refused =
        |index, bytes: &[u8], proof: &Proof| verify_tile(header, index, bytes, proof).map(|_| ()).unwrap_err();

    let mut flipped = tile.to_vec();
    flipped[3 * SUBTILE as usize] ^= 0x40;
    assert!(matches!(refused(1, &flipped, &proof), TileError::Proof { tile: 1, source: ProofError::Mismatch, .. }));
    assert!(matches!(refused(0, tile, &proof), TileError::Proof { tile: 0, .. }));
    assert!(matches!(refused(3, tile, &proof), TileError::NoTile { tile: 3, tiles: 3, .. }));
    assert!(matches!(refused(2, tile, &proof), TileError::Length { tile: 2, .. }));
    assert!(matches!(refused(1, &tile[1..], &proof), TileError::Length { .. }));
    assert!(matches!(refused(1, tile, &Proof::default()), TileError::Proof { source: ProofError::Length, .. }));
    let other = three_tiles(8).into_block().unwrap().prove_tile(1).unwrap();
    assert!(matches!(refused(1, tile, &other), TileError::Proof { source: ProofError::Mismatch, .. }));

    let outline = outline(&block);
    // The list of leaf hashes tells which subtile it is: the fourth of the second tile.
    assert!(matches!(outline.verify_tile(1, &flipped).unwrap_err(), TileError::Subtile { tile: 1, subtile: 19, .. }));
    assert!(outline.verify_tile(1, tile).is_ok());
    assert!(matches!(outline.verify_tile(9, tile).unwrap_err(), TileError::NoTile { .. }));
}

#[test]
fn outlines_prove_themselves() {
    let block = block();
    let (hash, header, list) = (block.hash(), block.header_bytes(), leaves(&block));
    let refused =
        |hash: &ContentHash, header: &[u8], list: &[u8]| Outline::new(hash, header, list).map(|_| ()).unwrap_err();

    let mut changed = header.to_vec();
    changed[3] ^= 1;
    assert!(matches!(refused(&hash, &changed, &list), TileError::WrongHeader { .. }));
    assert!(matches!(refused(&hash, &vec![0; 2 << 20], &list), TileError::Header { source: HeaderError::TooLong, .. }));
    assert!(matches!(
        refused(&header_hash(b"junk"), b"junk", &list),
        TileError::Header { source: HeaderError::Malformed, .. }
    ));
    assert!(matches!(refused(&hash, header, &list[32..]), TileError::LeavesLength { .. }));
    assert!(matches!(refused(&hash, header, &list[1..]), TileError::LeavesLength { .. }));
    let mut changed = list.clone();
    changed[40] ^= 1;
    assert!(matches!(refused(&hash, header, &changed), TileError::LeavesRoot { .. }));
    assert_eq!(outline(&block).leaves(), Outline::of(&block).leaves());
}

#[test]
fn a_block_is_assembled_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let block = block();
    let to = folder.path().join("done.block");
    let partial = PartialBlock::start(folder.path(), outline(&block)).unwrap();
    assert_eq!((partial.missing(), partial.bytes_present()), (vec![0, 1, 2], 0));
    assert!(partial.put_bytes(2, block.tile(2).unwrap()).unwrap());
    assert!(!partial.put_bytes(2, block.tile(2).unwrap()).unwrap());
    assert!(partial.put_bytes(0, block.tile(0).unwrap()).unwrap());
    assert_eq!(partial.missing(), [1]);

    let proof = block.prove_tile(1).unwrap();
    partial.put(&verify_tile(block.header(), 1, block.tile(1).unwrap(), &proof).unwrap()).unwrap();
    assert_eq!(partial.bytes_present(), block.header().data_len);
    let finished = partial.finish(&to, 2).unwrap();
    assert_eq!(finished.path(), Some(to.as_path()));
    assert_eq!(finished.data(), block.data());
    assert_eq!(fs::read(&to).unwrap(), file_bytes(&three_tiles(7)));
    assert_eq!(files(folder.path()), ["done.block"]);
}

#[test]
fn tiles_may_be_put_from_many_threads() {
    let folder = tempfile::tempdir().unwrap();
    let block = block();
    let partial = PartialBlock::start(folder.path(), outline(&block)).unwrap();
    std::thread::scope(|scope| {
        for tile in (0..3).cycle().take(12) {
            let (partial, block) = (&partial, &block);
            scope.spawn(move || partial.put_bytes(tile, block.tile(tile).unwrap()).unwrap());
        }
    });
    partial.finish(&folder.path().join("b"), 1).unwrap();
}

#[test]
fn an_interrupted_download_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let block = block();
    let partial = PartialBlock::start(folder.path(), outline(&block)).unwrap();
    partial.put_bytes(1, block.tile(1).unwrap()).unwrap();
    drop(partial);

    // With the outline from disk, and with one that was fetched again.
    let partial = PartialBlock::resume(folder.path(), &block.hash()).unwrap().unwrap();
    assert_eq!(partial.missing(), [0, 2]);
    partial.put_bytes(0, block.tile(0).unwrap()).unwrap();
    drop(partial);
    let partial = PartialBlock::start(folder.path(), outline(&block)).unwrap();
    assert_eq!(partial.missing(), [2]);
    partial.put_bytes(2, block.tile(2).unwrap()).unwrap();
    drop(partial);
    // All tiles were there, only the last step was not done.
    let partial = PartialBlock::resume(folder.path(), &block.hash()).unwrap().unwrap();
    assert!(partial.missing().is_empty());
    partial.finish(&folder.path().join("b"), 1).unwrap();
    assert!(PartialBlock::resume(folder.path(), &block.hash()).unwrap().is_none());
}

#[test]
fn what_a_crash_spoilt_is_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let block = block();
    let partial = PartialBlock::start(folder.path(), outline(&block)).unwrap();
    for tile in 0..3 {
        partial.put_bytes(tile, block.tile(tile).unwrap()).unwrap();
    }
    drop(partial);
    let name = block.hash().to_string()[2..].to_string();
    let part = folder.path().join(format!("{name}.part"));
    let good = fs::read(&part).unwrap();

    // A tile that was marked and never reached the disk.
    let mut bytes = good.clone();
    let data = data_offset(block.header_bytes().len() as u32) as usize;
    bytes[data + TILE as usize..][..TILE as usize].fill(0);
    fs::write(&part, &bytes).unwrap();
    assert_eq!(resumed(folder.path(), &block.hash()).missing(), [1]);
    // A file that was cut short.
    fs::write(&part, &good[..data + TILE as usize + 5]).unwrap();
    assert_eq!(resumed(folder.path(), &block.hash()).missing(), [1, 2]);
    // A prefix that was overwritten is written again.
    bytes = good.clone();
    bytes[..100].fill(9);
    fs::write(&part, &bytes).unwrap();
    resumed(folder.path(), &block.hash()).finish(&folder.path().join("b"), 1).unwrap();
    assert_eq!(fs::read(folder.path().join("b")).unwrap(), good);
}

fn resumed(folder: &Path, hash: &ContentHash) -> PartialBlock {
    PartialBlock::resume(folder, hash).unwrap().unwrap()
}

#[test]
fn a_damaged_outline_costs_no_tile() {
    let folder = tempfile::tempdir().unwrap();
    let block = block();
    let partial = PartialBlock::start(folder.path(), outline(&block)).unwrap();
    partial.put_bytes(1, block.tile(1).unwrap()).unwrap();
    drop(partial);
    let name = block.hash().to_string()[2..].to_string();
    let path = folder.path().join(format!("{name}.outline"));
    let good = fs::read(&path).unwrap();
    for at in [0, 9, 20, 300, good.len() - 1 - 3] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(PartialBlock::resume(folder.path(), &block.hash()).unwrap().is_none(), "byte {at}");
    }
    fs::write(&path, &good[..50]).unwrap();
    assert!(PartialBlock::resume(folder.path(), &block.hash()).unwrap().is_none());
    let partial = PartialBlock::start(folder.path(), outline(&block)).unwrap();
    assert_eq!(partial.missing(), [0, 2]);
}

#[test]
fn only_one_assembles_a_block() {
    let folder = tempfile::tempdir().unwrap();
    let block = block();
    let partial = PartialBlock::start(folder.path(), outline(&block)).unwrap();
    let busy = PartialBlock::start(folder.path(), outline(&block)).unwrap_err();
    assert!(matches!(busy, PartialError::Busy { hash } if hash == block.hash()));
    assert!(matches!(PartialBlock::resume(folder.path(), &block.hash()), Err(PartialError::Busy { .. })));
    partial.discard().unwrap();
    assert!(files(folder.path()).is_empty());
    PartialBlock::start(folder.path(), outline(&block)).unwrap();
}

#[test]
fn unfinished_blocks_and_foreign_tiles_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let block = block();
    let partial = PartialBlock::start(folder.path(), outline(&block)).unwrap();
    let other = three_tiles(8).into_block().unwrap();
    let tile = Outline::of(&other).verify_tile(0, other.tile(0).unwrap().to_vec()).unwrap();
    assert!(matches!(partial.put(&tile).unwrap_err(), PartialError::WrongBlock { .. }));
    assert!(matches!(partial.put_bytes(0, &tile.into_bytes()).unwrap_err(), PartialError::Tile(_)));
    let refused = partial.finish(&folder.path().join("b"), 1).unwrap_err();
    assert!(matches!(refused, PartialError::Incomplete { missing: 3, .. }));
    assert!(!folder.path().join("b").exists());
}

#[test]
fn a_file_that_changed_before_the_end_never_gets_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let block = block();
    let partial = PartialBlock::start(folder.path(), outline(&block)).unwrap();
    for tile in 0..3 {
        partial.put_bytes(tile, block.tile(tile).unwrap()).unwrap();
    }
    let part = folder.path().join(format!("{}.part", &block.hash().to_string()[2..]));
    let mut bytes = fs::read(&part).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&part, bytes).unwrap();
    let refused = partial.finish(&folder.path().join("b"), 1).unwrap_err();
    assert!(matches!(refused, PartialError::Block(BlockError::Corrupt { ref subtiles, .. }) if *subtiles == [34]));
    assert!(!folder.path().join("b").exists());
    assert_eq!(resumed(folder.path(), &block.hash()).missing(), [2]);
}

#[test]
fn good_tiles_of_a_damaged_copy_are_salvaged() {
    let folder = tempfile::tempdir().unwrap();
    let block = block();
    let mut bytes = file_bytes(&three_tiles(7));
    let data = data_offset(block.header_bytes().len() as u32) as usize;
    bytes[0] = 0;
    bytes[data + TILE as usize] ^= 1;
    let copy = folder.path().join("damaged");
    fs::write(&copy, &bytes).unwrap();
    let partial = PartialBlock::start(folder.path(), outline(&block)).unwrap();
    assert_eq!(partial.salvage(&copy).unwrap(), 2);
    assert_eq!(partial.missing(), [1]);
    fs::write(&copy, &bytes[..data + 9]).unwrap();
    assert_eq!(partial.salvage(&copy).unwrap(), 0);
}

#[test]
fn only_files_of_dead_writers_are_stale() {
    let folder = tempfile::tempdir().unwrap();
    let (dead, other, kept) = (folder.path().join(".a.tmp"), folder.path().join("b"), folder.path().join(".c.tmp"));
    for path in [&dead, &other, &kept] {
        fs::write(path, b"x").unwrap();
    }
    let held = atomic::lock(&kept, false).unwrap().unwrap();
    assert!(atomic::lock(&kept, false).unwrap().is_none());
    assert_eq!(atomic::remove_stale(folder.path()).unwrap(), 1);
    assert_eq!(files(folder.path()), [".c.tmp", "b"]);
    drop(held);
    assert_eq!(atomic::remove_stale(folder.path()).unwrap(), 1);
}

#[test]
fn a_write_in_progress_is_not_stale() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b");
    atomic::write(&path, |to| {
        assert_eq!(atomic::remove_stale(folder.path()).unwrap(), 0);
        std::io::Write::write_all(to, b"content")
    })
    .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"content");
    // A failed one leaves what was there.
    atomic::write(&path, |_| Err(std::io::Error::other("no"))).unwrap_err();
    assert_eq!(files(folder.path()), ["b"]);
    assert_eq!(fs::read(&path).unwrap(), b"content");
}

#[test]
fn finished_blocks_open_like_written_ones() {
    let folder = tempfile::tempdir().unwrap();
    let block = block();
    let partial = PartialBlock::start(folder.path(), outline(&block)).unwrap();
    for tile in partial.missing() {
        partial.put_bytes(tile, block.tile(tile).unwrap()).unwrap();
    }
    let to = folder.path().join("b");
    partial.finish(&to, 1).unwrap();
    assert!(Block::open_as(&to, &block.hash()).unwrap().verify(1).is_ok());
}

proptest! {
    #[test]
    fn proofs_round_trip(count in 0usize..=MAX_PROOF, cut in 1usize..40) {
        let hashes: Vec<[u8; 32]> = (0..count).map(|i| [i as u8; 32]).collect();
        let bytes = codec::Encode::encode(&hashes);
        let proof = Proof::decode(&bytes).unwrap();
        prop_assert_eq!(proof.hashes(), hashes);
        prop_assert_eq!(proof.encode(), bytes.clone());
        prop_assert!(Proof::decode(&bytes[..bytes.len().saturating_sub(cut)]).is_err());
        prop_assert!(Proof::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn garbage_is_no_proof_or_a_bounded_one(bytes: Vec<u8>) {
        if let Ok(proof) = Proof::decode(&bytes) {
            prop_assert!(proof.hashes().len() <= MAX_PROOF);
            prop_assert_eq!(proof.encode().len(), bytes.len());
        }
    }

    #[test]
    fn garbage_is_no_header(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(verify_header(&header_hash(b"other"), &bytes).is_err());
        // Even with the right name, what it decodes to was checked.
        let _ = verify_header(&header_hash(&bytes), &bytes);
    }

    #[test]
    fn garbage_outline_files_are_ignored(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let folder = tempfile::tempdir().unwrap();
        let hash = ContentHash([9; 32]);
        let name = folder.path().join(&hash.to_string()[2..]);
        fs::write(name.with_extension("part"), b"x").unwrap();
        fs::write(name.with_extension("outline"), [b"BLYANOL\n", &bytes[..]].concat()).unwrap();
        prop_assert!(PartialBlock::resume(folder.path(), &hash).unwrap().is_none());
    }
}

#[test]
fn too_long_a_proof_is_refused_before_it_is_read() {
    let hashes = vec![[0u8; 32]; MAX_PROOF + 1];
    assert!(matches!(Proof::decode(&codec::Encode::encode(&hashes)), Err(TileError::Malformed { .. })));
    assert!(Proof::decode(&[0xfe, 0xff, 0xff, 0xff]).is_err());
}
