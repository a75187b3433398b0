//! Measures how fast tiles of 4 MiB come out of a store whose files are in the page cache: one JSON object a line and
//! operation, times in milliseconds a tile.
//!
//! ```text
//! tiles STORE [ROUNDS]
//! ```
//!
//! * `load`: a block that was verified before is asked for by name, and every cache line of a tile is read.
//! * `verify`: a tile is hashed by one thread, and compared with the leaf hashes of the block's name.
//! * `open`: a file is mapped and verified as a whole with every thread, as the first time a process asks for it.
//!
//! `bytes_copied_at_most` is what was allocated, a tile, which bounds what can have been copied: the weights are where the
//! file is mapped, so that it is thousands of times smaller than a tile. Allocations are counted thread by thread, so that
//! those of `open` are counted in a second pass, where one thread does all the work.

use allocation_counter::measure;
use blyan_primitives::merkle::TILE;
use blyan_store::{Config, Store};
use blyan_tensorblock::{Block, Outline, VerifiedBlock, default_threads};
use serde_json::json;
use std::{env, error::Error, hint::black_box, time::Instant};

type Fallible<T> = Result<T, Box<dyn Error>>;

const CACHE_LINE: usize = 64;

/// What an operation took, tile by tile.
#[derive(Default)]
struct Samples {
    ms_per_tile: Vec<f64>,
    counted_tiles: u64,
    heap_bytes: u64,
}

impl Samples {
    fn time(&mut self, tiles: u64, operation: impl FnOnce() -> Fallible<()>) -> Fallible<()> {
        let started = Instant::now();
        operation()?;
        self.ms_per_tile.push(started.elapsed().as_secs_f64() * 1e3 / tiles as f64);
        Ok(())
    }

    /// Counts what the operation allocates. It has to do all its work on this thread.
    fn count(&mut self, tiles: u64, operation: impl FnOnce() -> Fallible<()>) -> Fallible<()> {
        let mut result = Ok(());
        self.heap_bytes += measure(|| result = operation()).bytes_total;
        self.counted_tiles += tiles;
        result
    }

    fn print(mut self, operation: &str) {
        self.ms_per_tile.sort_by(f64::total_cmp);
        let quantile = |q: f64| self.ms_per_tile.get((self.ms_per_tile.len() as f64 * q) as usize);
        println!(
            "{}",
            json!({
                "operation": operation,
                "samples": self.ms_per_tile.len(),
                "p50_ms": quantile(0.50),
                "p95_ms": quantile(0.95),
                "bytes_copied_at_most": self.heap_bytes / self.counted_tiles.max(1),
            })
        );
    }
}

/// Reads every cache line of `tile`.
fn touch(tile: &[u8]) {
    black_box(tile.iter().step_by(CACHE_LINE).fold(0u8, |sum, byte| sum ^ byte));
}

fn main() -> Fallible<()> {
    let usage = "usage: tiles STORE [ROUNDS]";
    let mut args = env::args().skip(1);
    let root = args.next().ok_or(usage)?;
    let rounds: usize = args.next().map_or(Ok(5), |rounds| rounds.parse())?;

    let store = Store::open(Config::new(root), &prometheus::Registry::new())?;
    let mut blocks: Vec<VerifiedBlock> = Vec::new();
    for stored in store.list()? {
        let block = store.get(&stored.hash)?;
        // The last tile of a block is shorter, and would flatter.
        if block.header().data_len >= TILE {
            blocks.push(block);
        }
    }
    if blocks.is_empty() {
        return Err("no block of this store has a whole tile".into());
    }

    let (mut load, mut verify, mut open) = (Samples::default(), Samples::default(), Samples::default());
    for round in 0..=rounds {
        for block in &blocks {
            let hash = block.hash();
            let outline = Outline::of(block);
            let path = block.path().ok_or("a block of the store is not in a file")?;
            let whole = block.header().data_len / TILE;
            let load_tile = |tile| -> Fallible<()> {
                touch(store.get(&hash)?.tile(tile)?);
                Ok(())
            };
            let verify_tile = |tile| -> Fallible<()> {
                black_box(outline.verify_tile(tile, block.tile(tile)?)?);
                Ok(())
            };
            let open_block = |threads| -> Fallible<()> {
                black_box(Block::open_as(path, &hash)?.verify(threads)?);
                Ok(())
            };
            // The first round warms the page cache, and is the one that counts.
            if round == 0 {
                for tile in 0..whole {
                    load.count(1, || load_tile(tile))?;
                    verify.count(1, || verify_tile(tile))?;
                }
                open.count(whole, || open_block(1))?;
                continue;
            }
            for tile in 0..whole {
                load.time(1, || load_tile(tile))?;
                verify.time(1, || verify_tile(tile))?;
            }
            open.time(whole, || open_block(default_threads()))?;
        }
    }
    load.print("load");
    verify.print("verify");
    open.print("open");
    Ok(())
}
