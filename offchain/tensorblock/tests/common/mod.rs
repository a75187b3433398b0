//! Blocks for tests.

#![allow(dead_code, missing_docs, unreachable_pub)]

use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, Quantisation},
    merkle::SUBTILE,
};
use blyan_tensorblock::{BlockBuilder, UnwrittenBlock};

/// Bytes without a pattern that a shift would hide.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// A block with `len` bytes in one tensor, between two small ones.
pub fn block_of(len: usize, seed: u64) -> UnwrittenBlock<'static> {
    let mut builder = BlockBuilder::new(BlockKind::Expert, Form::Serving, Quantisation::PerChannel);
    builder.tensor("scales", DType::F32, Layout::RowMajor, &[3], vec![0.5f32, -1.0, seed as f32]).unwrap();
    builder.tensor("noise", DType::U8, Layout::RowMajor, &[len as u32], noise(len, seed)).unwrap();
    builder.tensor("packed", DType::Int8, Layout::Rows16K4, &[2, 3], vec![7i8; 64]).unwrap();
    builder.finish().unwrap()
}

/// A block of a few hundred bytes.
pub fn small() -> UnwrittenBlock<'static> {
    block_of(100, 1)
}

/// A block of three tiles, the last of which is short.
pub fn three_tiles(seed: u64) -> UnwrittenBlock<'static> {
    block_of(34 * SUBTILE as usize + 99, seed)
}

pub fn file_bytes(block: &UnwrittenBlock<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    block.write_to(&mut bytes).unwrap();
    bytes
}
