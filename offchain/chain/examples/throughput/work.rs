//! What is submitted, and what has to be on the chain before.

use crate::{
    chain::Chain,
    load::{self, Block, Lane},
    node::Node,
    report::{self, Run},
    sign::{self, Call},
};
use anyhow::{Context, Result, ensure};
use blyan_chain::{Key, hardware_id, sign_voucher};
use blyan_primitives::{
    hardware::HardwareProfile,
    ids::BatchRoot,
    payment::{ChannelId, Voucher},
    receipt::AnchorPayload,
    worker::{Heartbeat, Region, Roles, WorkerInfo},
};
use codec::{Compact, Decode};
use std::{collections::HashMap, time::Duration};

/// The accounts that a development chain begins with.
const RICH: [&str; 6] = ["//Alice", "//Bob", "//Charlie", "//Dave", "//Eve", "//Ferdie"];
/// What each account is given: all deposits, escrows and fees together stay far below.
const GIFT: u128 = 20_000_000_000_000_000_000;
/// What a transfer sends, what is put into a channel, and what each of its vouchers adds.
const AMOUNT: u128 = 1_000_000_000_000_000;
const ESCROW: u128 = 1_000_000_000_000_000_000;
/// Blocks for which an anchor waits at most.
const ANCHOR_VALIDITY: u32 = 150;
/// Receipts and tokens of an anchor.
const RECEIPTS: u32 = 64;
const TOKENS: u64 = 16_384;

/// How much of each there is.
pub(crate) struct Sizes {
    pub(crate) workers: usize,
    pub(crate) anchors: usize,
    pub(crate) channels: usize,
    pub(crate) redemptions: usize,
}

/// Transfers, each from an account to the next.
pub(crate) async fn transfers(node: &Node, run: &Run, count: usize, accounts: usize) -> Result<()> {
    ensure!(accounts > 1 && count >= accounts, "each of at least two accounts sends something");
    let chain = Chain::connect(&node.url()).await?;
    let keys = sign::keys(accounts)?;
    fund(node, &chain, &keys).await?;
    eprintln!("{}: signing {count} transfers", run.label);
    let lanes = keys.iter().enumerate().map(|(index, key)| {
        let call = Call::transfer(&keys[(index + 1) % accounts], AMOUNT);
        let turns = (count - index).div_ceil(accounts) as u64;
        (0..turns).map(|nonce| call.signed(&chain, key, nonce)).collect()
    });
    let lanes = lanes.collect::<Result<Vec<Lane>>>()?;
    eprintln!("{}: submitting them", run.label);
    let blocks = load::submit(&chain, &node.url(), lanes).await?;
    report::print(run, "transfers", node, &chain, &blocks, None).await
}

/// Heartbeats, anchors and redemptions.
pub(crate) async fn workers(node: &Node, run: &Run, sizes: &Sizes) -> Result<()> {
    let Sizes { workers, anchors, channels, redemptions } = *sizes;
    ensure!(anchors <= workers && channels < workers, "workers anchor, and those beside the first have channels to it");
    let chain = Chain::connect(&node.url()).await?;
    let (url, keys) = (node.url(), sign::keys(workers)?);
    fund(node, &chain, &keys).await?;

    eprintln!("{}: registering {workers} workers", run.label);
    let lanes = keys.iter().map(|key| Ok(vec![registration(&chain, key)?.signed(&chain, key, 0)?]));
    load::submit(&chain, &url, lanes.collect::<Result<_>>()?).await?;

    eprintln!("{}: {workers} heartbeats, from the next period on", run.label);
    let length = u32::try_from(chain.number("Workers", "HeartbeatPeriod")?)?;
    // One whole period to sign in.
    let period = best(&chain).await? / length + 2;
    let lanes = keys.iter().map(|key| Ok(vec![heartbeat(&chain, key, period, length)?]));
    let lanes = lanes.collect::<Result<_>>()?;
    // The pool looks at them as the block after the best one would.
    while best(&chain).await? + 1 < period * length {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let blocks = load::submit(&chain, &url, lanes).await?;
    report::print(run, "heartbeats", node, &chain, &blocks, None).await?;

    eprintln!("{}: {anchors} anchors", run.label);
    let most = chain.number("Inference", "MaxAnchorsPerBlock")?.try_into()?;
    let expires_at = best(&chain).await? + ANCHOR_VALIDITY;
    let lanes = keys.iter().take(anchors).map(|key| Ok(vec![anchor(&chain, key, expires_at)?]));
    let blocks = load::submit(&chain, &url, lanes.collect::<Result<_>>()?).await?;
    report::print(run, "anchors", node, &chain, &blocks, Some(most)).await?;

    eprintln!("{}: opening {channels} channels", run.label);
    let (gateway, payers) = keys.split_first().context("there is no worker")?;
    let payers = payers.get(..channels).context("there are too few workers")?;
    let duration = u32::try_from(chain.number("Inference", "MaxChannelLifetime")?)?;
    let open = Call::new("Inference", "open", &(gateway.public(), Compact(ESCROW), duration));
    let lanes = payers.iter().map(|key| Ok(vec![open.signed(&chain, key, 1)?]));
    let blocks = load::submit(&chain, &url, lanes.collect::<Result<_>>()?).await?;
    let opened = opened(&blocks)?;

    eprintln!("{}: {redemptions} redemptions", run.label);
    let lanes = payers.iter().enumerate().map(|(index, payer)| {
        let channel = *opened.get(&payer.public()).context("a channel is not open")?;
        let turns = redemptions.saturating_sub(index).div_ceil(channels) as u64;
        (1..=turns).map(|turn| redemption(&chain, payer, channel, turn)).collect()
    });
    let blocks = load::submit(&chain, &url, lanes.collect::<Result<_>>()?).await?;
    report::print(run, "redemptions", node, &chain, &blocks, None).await
}

async fn best(chain: &Chain) -> Result<u32> {
    Ok(u32::try_from(chain.best().await?)?)
}

/// Gives every account what it needs, from the accounts that the chain begins with.
async fn fund(node: &Node, chain: &Chain, keys: &[Key]) -> Result<()> {
    eprintln!("giving money to {} accounts", keys.len());
    let lanes = RICH.iter().enumerate().map(|(index, name)| {
        let rich = Key::from_uri(name)?;
        let share = keys.iter().skip(index).step_by(RICH.len()).zip(0..);
        share.map(|(to, nonce)| Call::transfer(to, GIFT).signed(chain, &rich, nonce)).collect()
    });
    load::submit(chain, &node.url(), lanes.collect::<Result<_>>()?).await?;
    Ok(())
}

/// Registers the worker of an account, whose key is the account's own, on a machine of its own.
fn registration(chain: &Chain, key: &Key) -> Result<Call> {
    let short = |problem: &str| format!("the {problem} is longer than the chain takes");
    // The multihash of an Ed25519 identity.
    let peer_id = [&[0x00, 36, 8, 1, 18, 32][..], &key.public()].concat();
    let address = b"/ip4/10.0.0.1/udp/4001/quic-v1".to_vec();
    let info = WorkerInfo {
        key: key.public(),
        peer_id: peer_id.try_into().ok().with_context(|| short("peer id"))?,
        addresses: vec![address.try_into().ok().with_context(|| short("address"))?]
            .try_into()
            .ok()
            .with_context(|| short("list of addresses"))?,
        region: Region::new("DE").context("the region is refused")?,
        hardware: HardwareProfile { ram_mib: 16_384, cpu_threads: 8, ..Default::default() },
        hardware_id: hardware_id(&key.public()),
        roles: Roles::SERVE.union(Roles::GATEWAY),
    };
    let signature = key.sign(&info.signing_hash(&chain.genesis.0, &key.account()));
    Ok(Call::new("Workers", "register", &(info, signature)))
}

fn heartbeat(chain: &Chain, key: &Key, period: u32, length: u32) -> Result<sign::Extrinsic> {
    let heartbeat = Heartbeat { worker: key.account(), period, expires_at: (period + 1) * length - 1 };
    let signature = key.sign(&heartbeat.signing_hash(&chain.genesis.0));
    Call::new("Workers", "heartbeat", &(heartbeat, signature)).general(chain)
}

fn anchor(chain: &Chain, key: &Key, expires_at: u32) -> Result<sign::Extrinsic> {
    let (root, count, tokens) = (BatchRoot(key.public()), RECEIPTS, TOKENS);
    let payload = AnchorPayload { worker: key.account(), sequence: 0, root, count, tokens, expires_at };
    let signature = key.sign(&payload.signing_hash(&chain.genesis.0));
    Call::new("Inference", "anchor", &(payload, signature)).general(chain)
}

/// The payer's own account sends the gateway's redemption: anyone can.
fn redemption(chain: &Chain, payer: &Key, channel: ChannelId, turn: u64) -> Result<sign::Extrinsic> {
    let voucher = Voucher { channel, cumulative: u128::from(turn) * AMOUNT };
    let signature = sign_voucher(blyan_chain::Hash(chain.genesis.0), &voucher, payer);
    // Its nonce 0 was for the registration and 1 for the channel.
    Call::new("Inference", "redeem", &(voucher, signature)).signed(chain, payer, turn + 1)
}

/// The channel that each payer has opened.
fn opened(blocks: &[Block]) -> Result<HashMap<[u8; 32], ChannelId>> {
    let events = blocks.iter().flat_map(|block| &block.events);
    let events = events.filter(|event| event.pallet == "Inference" && event.name == "ChannelOpened");
    events
        .map(|event| {
            let (channel, payer) = <(ChannelId, [u8; 32])>::decode(&mut &*event.fields)?;
            Ok((payer, channel))
        })
        .collect()
}
