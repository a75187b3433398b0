//! Submits extrinsics so that the pool is never empty and never overflows, and follows them into blocks.

use crate::{
    chain::{Chain, Happened},
    sign::Extrinsic,
};
use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt, future, stream};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};
use subxt::{
    rpcs::{RpcClient, client::rpc_params},
    utils::H256,
};
use tokio::sync::Semaphore;

/// Connections that submit at a time.
const CONNECTIONS: usize = 4;
/// Requests that a connection has open at a time.
const OPEN: usize = 32;
/// Most that is submitted and not yet in a block: several blocks full, so that each finds enough.
const WAITING: usize = 8_000;
/// How often the chain is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait for another extrinsic to be included, or another block to be finalized.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one who submits has to say, in this order.
pub(crate) type Lane = Vec<Extrinsic>;

/// A block with some of the extrinsics.
pub(crate) struct Block {
    pub(crate) number: u64,
    pub(crate) hash: H256,
    /// How many of ours it has.
    pub(crate) included: usize,
    /// Bytes of all of its extrinsics.
    pub(crate) bytes: usize,
    /// What happened in ours.
    pub(crate) events: Vec<Happened>,
    /// From its import to its finality.
    pub(crate) finality: Duration,
}

struct Sight {
    number: u64,
    hash: H256,
    ours: Vec<usize>,
    bytes: usize,
    seen: Instant,
    finalized: Option<Instant>,
}

/// Submits everything and returns the blocks that took it, all of them finalized.
///
/// # Errors
/// When an extrinsic is refused, fails, or is not included.
pub(crate) async fn submit(chain: &Chain, url: &str, lanes: Vec<Lane>) -> Result<Vec<Block>> {
    let all: HashSet<Extrinsic> = lanes.iter().flatten().cloned().collect();
    let from = chain.best().await?;
    let room = Semaphore::new(WAITING);
    let (_, sights) = future::try_join(send(url, lanes, &room), follow(chain, &all, from, &room)).await?;
    stream::iter(sights).then(|sight| examine(chain, sight)).try_collect().await
}

/// Sends the first of each lane, then the second of each, and so on.
async fn send(url: &str, lanes: Vec<Lane>, room: &Semaphore) -> Result<()> {
    let mut connections: Vec<Vec<Lane>> = (0..CONNECTIONS).map(|_| Vec::new()).collect();
    for (index, lane) in lanes.into_iter().enumerate() {
        connections[index % CONNECTIONS].push(lane);
    }
    future::try_join_all(connections.into_iter().map(|lanes| async move {
        let rpc = RpcClient::from_insecure_url(url).await?;
        let longest = lanes.iter().map(Vec::len).max().unwrap_or_default();
        let order = (0..longest).flat_map(|turn| lanes.iter().filter_map(move |lane| lane.get(turn)));
        let rpc = &rpc;
        let requests = stream::iter(order).map(|extrinsic| async move {
            room.acquire().await?.forget();
            let hash: H256 = rpc.request("author_submitExtrinsic", rpc_params![extrinsic]).await?;
            Ok::<_, anyhow::Error>(hash)
        });
        requests.buffer_unordered(OPEN).try_for_each(|_| future::ready(Ok(()))).await
    }))
    .await
    .context("an extrinsic was refused")?;
    Ok(())
}

/// Follows the best chain from the block after `from` until all are included and finalized.
async fn follow(chain: &Chain, all: &HashSet<Extrinsic>, from: u64, room: &Semaphore) -> Result<Vec<Sight>> {
    let (mut last, mut included, mut progress) = (from, 0, Instant::now());
    let mut sights: Vec<Sight> = Vec::new();
    loop {
        while last < chain.best().await? {
            last += 1;
            let (seen, hash) = (Instant::now(), chain.hash(last).await?);
            let extrinsics = chain.extrinsics(hash).await?;
            let ours: Vec<_> = (0..extrinsics.len()).filter(|index| all.contains(&extrinsics[*index])).collect();
            let bytes = extrinsics.iter().map(|text| text.len() / 2 - 1).sum();
            if !ours.is_empty() {
                included += ours.len();
                room.add_permits(ours.len());
                progress = seen;
                sights.push(Sight { number: last, hash, ours, bytes, seen, finalized: None });
            }
        }
        let head = chain.finalized().await?;
        for sight in sights.iter_mut().filter(|sight| sight.number <= head && sight.finalized.is_none()) {
            sight.finalized = Some(Instant::now());
            progress = Instant::now();
        }
        if included == all.len() && sights.iter().all(|sight| sight.finalized.is_some()) {
            return Ok(sights);
        }
        if progress.elapsed() > PATIENCE {
            bail!("{included} of {} extrinsics are in blocks, {head} is finalized, and no more came", all.len());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn examine(chain: &Chain, sight: Sight) -> Result<Block> {
    let Sight { number, hash, ours, bytes, seen, finalized } = sight;
    // A block that another took the place of would be asked for by a hash that is not on the chain.
    ensure!(chain.hash(number).await? == hash, "block {number} was replaced by another");
    let of_ours = |event: &Happened| event.extrinsic.is_some_and(|index| ours.binary_search(&index).is_ok());
    let events: Vec<_> = chain.events(hash).await?.into_iter().filter(of_ours).collect();
    let succeeded = events.iter().filter(|event| event.pallet == "System" && event.name == "ExtrinsicSuccess").count();
    ensure!(
        succeeded == ours.len(),
        "{} of {} extrinsics failed in block {number}",
        ours.len() - succeeded,
        ours.len()
    );
    let finality = finalized.context("the block is not finalized")?.duration_since(seen);
    Ok(Block { number, hash, included: ours.len(), bytes, events, finality })
}
