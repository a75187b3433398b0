//! From blocks to figures.

use crate::{
    chain::{Chain, Limits},
    load::Block,
    node::Node,
};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::collections::HashMap;

/// What the author's log says of a block.
const PREPARED: &str = "Prepared block for proposing at ";
/// Why an author ends a block into which more would have fitted.
const NOTHING_LEFT: &str = "NoMoreTransactions";

/// Names the run in the output.
pub(crate) struct Run {
    pub(crate) label: String,
    pub(crate) round: u32,
}

/// How an author made a block.
struct Making {
    milliseconds: u64,
    end: String,
}

#[derive(Serialize)]
struct Row<'a> {
    work: &'a str,
    chain: &'a str,
    round: u32,
    included_per_second: f64,
    included_per_block: f64,
    blocks: usize,
    seconds: f64,
    weight_fullness: f64,
    length_fullness: f64,
    authoring_ms_p50: u64,
    finality_seconds_p50: f64,
    ended_by: String,
    limits: &'a Limits,
}

/// Prints what the blocks from the first full one to the last full one included a second.
///
/// A block is full when its author left something for later: because of the block's limits, of the time to make it in, or,
/// where the runtime limits the work itself, because it has `most` of it. The first only says when the time begins.
pub(crate) async fn print(
    run: &Run,
    work: &str,
    node: &Node,
    chain: &Chain,
    blocks: &[Block],
    most: Option<usize>,
) -> Result<()> {
    let made = makings(&node.log()?);
    let making = |block: &Block| made.get(&block.number).with_context(|| format!("{} is not in the log", block.number));
    let full = |block: &&Block| {
        let left = made.get(&block.number).is_some_and(|making| making.end != NOTHING_LEFT);
        left || most.is_some_and(|most| block.included >= most)
    };
    let first = blocks.iter().position(|block| full(&block));
    let last = blocks.iter().rposition(|block| full(&block));
    let (first, last) = first.zip(last).with_context(|| format!("no block was full of {work}: submit more"))?;
    let (begin, counted) = (&blocks[first], &blocks[first + 1..=last]);
    ensure!(!counted.is_empty(), "only one block was full of {work}: submit more");

    let limits = chain.limits()?;
    let since = chain.measures(begin.hash).await?.timestamp;
    let (mut until, mut weight) = (since, 0u128);
    for block in counted {
        let measures = chain.measures(block.hash).await?;
        until = measures.timestamp;
        weight += u128::from(measures.ref_time);
    }
    let included: usize = counted.iter().map(|block| block.included).sum();
    let bytes: usize = counted.iter().map(|block| block.bytes).sum();
    let seconds = (until - since) as f64 / 1000.0;
    let share = |found: f64, of: u64| found / (counted.len() as f64 * of as f64);
    let mut reasons: HashMap<&str, usize> = HashMap::new();
    let mut times = Vec::new();
    for block in counted {
        let making = making(block)?;
        *reasons.entry(&making.end).or_default() += 1;
        times.push(making.milliseconds);
    }
    let mut ended_by: Vec<_> = reasons.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    ended_by.sort_unstable();
    let row = Row {
        work,
        chain: &run.label,
        round: run.round,
        included_per_second: included as f64 / seconds,
        included_per_block: included as f64 / counted.len() as f64,
        blocks: counted.len(),
        seconds,
        weight_fullness: share(weight as f64, limits.ref_time),
        length_fullness: share(bytes as f64, limits.bytes),
        authoring_ms_p50: median(times).unwrap_or_default(),
        finality_seconds_p50: median(counted.iter().map(|block| block.finality).collect())
            .unwrap_or_default()
            .as_secs_f64(),
        ended_by: ended_by.join(", "),
        limits: &limits,
    };
    println!("{}", serde_json::to_string(&row)?);
    eprintln!(
        "{}, {work}: {:.1} a second, {:.0} in each of {} blocks",
        run.label,
        row.included_per_second,
        row.included_per_block,
        counted.len()
    );
    Ok(())
}

/// Reads lines such as `Prepared block for proposing at 7 (412 ms) hash: …; …; end: HitBlockWeightLimit; …`.
fn makings(log: &str) -> HashMap<u64, Making> {
    let read = |line: &str| {
        let (number, rest) = line.split_once(PREPARED)?.1.split_once(" (")?;
        let (milliseconds, rest) = rest.split_once(" ms)")?;
        let end = rest.split_once("end: ")?.1.split(';').next()?;
        Some((number.parse().ok()?, Making { milliseconds: milliseconds.parse().ok()?, end: end.to_owned() }))
    };
    log.lines().filter_map(read).collect()
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
