//! Stores and blocks for tests.

#![allow(dead_code, missing_docs, unreachable_pub)]

use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, Quantisation, data_offset},
    ids::ContentHash,
    merkle::SUBTILE,
};
use blyan_store::{Config, Ingest, Store, StoreError};
use blyan_tensorblock::{BlockBuilder, Outline, UnwrittenBlock, VerifiedBlock};
use prometheus::Registry;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A block with `len` bytes of data that depend on `seed`.
pub fn block_of(len: usize, seed: u64) -> UnwrittenBlock<'static> {
    let bytes: Vec<u8> =
        (0..len as u64).map(|i| ((i ^ seed << 7).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let mut builder = BlockBuilder::new(BlockKind::Expert, Form::Serving, Quantisation::PerChannel);
    builder.tensor("noise", DType::U8, Layout::RowMajor, &[len as u32], bytes).unwrap();
    builder.finish().unwrap()
}

/// A block of three tiles and 35 subtiles.
pub fn three_tiles(seed: u64) -> UnwrittenBlock<'static> {
    block_of(34 * SUBTILE as usize + 99, seed)
}

pub fn open(root: &Path) -> Store {
    Store::open(Config::new(root), &Registry::new()).unwrap()
}

/// A bounded store, and where its metrics are.
pub fn bounded(root: &Path, max_bytes: u64) -> (Store, Registry) {
    let registry = Registry::new();
    (Store::open(Config::new(root).bounded(max_bytes), &registry).unwrap(), registry)
}

pub fn digits(hash: &ContentHash) -> String {
    hash.to_string()[2..].into()
}

pub fn block_path(root: &Path, hash: &ContentHash) -> PathBuf {
    root.join(&digits(hash)[..2]).join(format!("{}.block", digits(hash)))
}

pub fn leaves_path(root: &Path, hash: &ContentHash) -> PathBuf {
    block_path(root, hash).with_extension("leaves")
}

/// Bytes that a small block takes in a store.
pub fn stored_len(block: &UnwrittenBlock<'_>) -> u64 {
    block.file_len() + block.tree().leaves().as_flattened().len() as u64
}

/// Flips a bit of subtile `subtile` in the block's file.
pub fn damage(root: &Path, block: &UnwrittenBlock<'_>, subtile: u64) {
    let path = block_path(root, &block.hash());
    let mut bytes = fs::read(&path).unwrap();
    bytes[(data_offset(block.header_bytes().len() as u32) + subtile * SUBTILE + 5) as usize] ^= 0x10;
    // As an editor does it: a new file, so that mappings of the old one stay sound.
    let edited = path.with_extension("edited");
    fs::write(&edited, bytes).unwrap();
    fs::rename(edited, path).unwrap();
}

/// Begins to take in `peer`'s block over what would be the network.
pub fn begin(store: &Store, peer: &VerifiedBlock) -> Result<Ingest, StoreError> {
    store.begin(Outline::new(&peer.hash(), peer.header_bytes(), peer.tree().leaves().as_flattened()).unwrap())
}

/// Fetches the missing tiles of a block; returns how many there were.
pub fn fill(ingest: &Ingest, peer: &VerifiedBlock) -> usize {
    let missing = ingest.missing_tiles();
    for tile in &missing {
        assert!(ingest.put_tile(*tile, peer.tile(*tile).unwrap()).unwrap());
    }
    missing.len()
}

/// Value of a metric without labels, or the one whose label has the value `label`.
pub fn metric(registry: &Registry, name: &str, label: Option<&str>) -> f64 {
    let family = registry.gather().into_iter().find(|family| family.get_name() == name).expect(name);
    let metric = family
        .get_metric()
        .iter()
        .find(|metric| label.is_none_or(|label| metric.get_label().iter().any(|pair| pair.get_value() == label)));
    metric.map_or(0.0, |metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
}

/// Names of all files below `folder`, relative to it.
pub fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_string());
            }
        }
    }
    found.sort();
    found
}
