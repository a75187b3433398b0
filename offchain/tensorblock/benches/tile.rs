//! Loading and verifying one 4 MiB tile of a mapped block.
//!
//! - `verify/warm`: hash a tile in the page cache against its leaf hashes: done once per process.
//! - `load/warm`: read a tile of a verified block, a byte of each cache line: what serving does for ever after.
//!
//! Nothing is copied in either; the test `a_written_block_is_read_back_without_a_copy` proves it.

#![allow(missing_docs)]

use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, Quantisation},
    merkle::TILE,
};
use blyan_tensorblock::{Block, BlockBuilder, Outline};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn tile(c: &mut Criterion) {
    const TILES: u64 = 8;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("b.block");
    let bytes: Vec<u8> = (0..TILES * TILE).map(|i| ((i * 2_654_435_761) >> 13) as u8).collect();
    let mut builder = BlockBuilder::new(BlockKind::Expert, Form::Serving, Quantisation::None);
    builder.tensor("t", DType::U8, Layout::RowMajor, &[bytes.len() as u32], &bytes[..]).expect("a valid tensor");
    builder.finish().expect("a valid block").write_file(&path).expect("a written block");
    let block = Block::open(&path).expect("a good file").verify(2).expect("good data");
    let outline = Outline::of(&block);

    let mut group = c.benchmark_group("tile");
    group.throughput(Throughput::Bytes(TILE));
    let mut next = (0..TILES).cycle();
    group.bench_function("verify/warm", |b| {
        b.iter(|| {
            let tile = next.next().unwrap_or_default();
            black_box(outline.verify_tile(tile, block.tile(tile).expect("in range")).expect("good"));
        })
    });
    group.bench_function("load/warm", |b| {
        b.iter(|| {
            let tile = block.tile(next.next().unwrap_or_default()).expect("in range");
            black_box(tile.iter().step_by(64).fold(0u8, |sum, byte| sum.wrapping_add(*byte)))
        })
    });
    group.finish();
}

criterion_group!(benches, tile);
criterion_main!(benches);
