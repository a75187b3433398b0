//! A chain of hours, written in a minute: how new nodes catch up with it, and what each kind of node still knows.

mod history;
mod script;

use anyhow::{Context, Result, ensure};
use blyan_cli::process::sibling;
use blyan_e2e::{Node, START, folder, free_port};
use blyan_runtime::BlockNumber;
use history::Validators;
use polkadot_sdk::*;
use script::{Script, WORKERS, proved};
use serde_json::{Value, json};
use sp_keyring::Sr25519Keyring::Ferdie;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::{process::Command, time::timeout};

const CHAIN: &str = "tiny-local";
/// Blocks of the history, at least: as many more as it takes slots to write it.
const BLOCKS: BlockNumber = 2_100;
/// A block of the history that no node with pruning keeps.
const OLD: BlockNumber = 100;
/// The first validators. Three of the four are enough, and a node asks for three peers before it starts a warp sync.
const SEEDS: [&str; 4] = ["//Alice", "//Bob", "//Charlie", "//Dave"];
const RUNNING: [&str; 3] = ["alice", "bob", "charlie"];
/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn a_long_chain_is_synced_by_warp_and_in_full_with_the_answers_of_its_archive() {
    let base = folder();
    let (history, script) = write_history(base.path()).await.unwrap();
    println!("{history:?}");
    assert_eq!(
        history.ends_of_sets.len(),
        script::CHANGES_OF_SET,
        "GRANDPA's set has not changed as the script has it"
    );

    let validators = start_validators(base.path()).await.unwrap();
    let archive = &validators[0];
    // They find each other, finalize what their predecessors have left, and go on with it.
    archive.wait_finalized(u64::from(history.blocks) + 2, LIMIT).await.unwrap();

    let began = Instant::now();
    let mut warped = newcomer("warped", base.path(), &validators, &["--sync", "warp"]).await.unwrap();
    warped.wait_finalized(u64::from(history.blocks), LIMIT).await.unwrap();
    println!("warp sync took {:?}", began.elapsed());
    knows_the_same(&warped, archive).await.unwrap();
    for worker in WORKERS {
        let served = warped.served(&format!("//{worker}")).await.unwrap();
        assert_eq!(served.next, script.anchors_of(worker));
    }
    shows_receipts(&warped, &script).await.unwrap();
    pays_out_what_was_redeemed(&warped).await.unwrap();

    let began = Instant::now();
    let pruning = ["--state-pruning", "256", "--blocks-pruning", "256"];
    let pruned = newcomer("pruned", base.path(), &validators, &pruning).await.unwrap();
    pruned.wait_finalized(u64::from(history.blocks), LIMIT).await.unwrap();
    println!("full sync took {:?}", began.elapsed());
    knows_the_same(&pruned, archive).await.unwrap();
    shows_receipts(&pruned, &script).await.unwrap();

    let old = archive.call("chain_getBlockHash", json!([OLD])).await.unwrap();
    answers_at_an_old_block(archive, &old).await.unwrap();
    for node in [&pruned, &warped] {
        // The warped node first downloads the history that it has skipped.
        has_header(node, OLD, &old).await.unwrap();
        names_what_it_lacks(node, &old).await.unwrap();
    }
    let ask = json!([old]);
    let whole = archive.call("chain_getBlock", ask.clone()).await.unwrap();
    assert!(whole["block"].is_object());
    assert_eq!(warped.call("chain_getBlock", ask.clone()).await.unwrap()["block"], whole["block"]);
    assert_eq!(pruned.call("chain_getBlock", ask).await.unwrap(), Value::Null);
    // What a newcomer needs to believe in the present validators nobody throws away that had it: of blocks that came with the
    // proof of a warp sync, the SDK does not keep it.
    for number in &history.ends_of_sets {
        let hash = pruned.call("chain_getBlockHash", json!([number])).await.unwrap();
        let block = pruned.call("chain_getBlock", json!([hash])).await.unwrap();
        assert!(block["justifications"].is_array(), "{number}: {block}");
    }

    // Both go on with the chain, also after they were away.
    warped.program.stop(START).await.unwrap();
    let restarted = newcomer("warped", base.path(), &validators, &["--sync", "warp"]).await.unwrap();
    let reached = archive.finalized().await.unwrap();
    for node in [&restarted, &pruned] {
        node.wait_finalized(reached + 2, LIMIT).await.unwrap();
        knows_the_same(node, archive).await.unwrap();
    }
    let archive = validators.into_iter().next().unwrap();
    for (name, mut node) in [("alice", archive), ("pruned", pruned), ("warped", restarted)] {
        // What was written last is in the tables when the node has ended.
        node.program.stop(START).await.unwrap();
        println!("database of {name}: {} kB", disk_usage(&database(&base.path().join(name))).unwrap() / 1000);
    }
}

/// What was written.
#[derive(Debug)]
#[allow(dead_code, reason = "shown")]
struct History {
    blocks: BlockNumber,
    ends_of_sets: Vec<BlockNumber>,
    took: Duration,
}

/// Writes the history into the database of the first validator.
async fn write_history(base: &Path) -> Result<(History, Script)> {
    let began = Instant::now();
    let spec = base.join("spec.json");
    let mut export = Command::new(sibling("blyan-node")?);
    export.args(["export-chain-spec", "--raw", "--chain", CHAIN, "--output"]).arg(&spec).kill_on_drop(true);
    let output = timeout(START, export.output()).await??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let database = database(&base.join(RUNNING[0]));
    fs::create_dir_all(&database)?;
    let mut chain = Validators::new(&spec, &database, &SEEDS, BLOCKS.into())?;
    let mut script = Script::new(chain.genesis());
    // The last block is one of now, so that the validators go on where it ends.
    while chain.next() <= BLOCKS || chain.behind() > 0 {
        chain.write(script.transactions(&chain)?).await?;
    }
    let ends_of_sets = chain.ends_of_sets().to_vec();
    let history = History { blocks: chain.next() - 1, ends_of_sets, took: began.elapsed() };
    Ok((history, script))
}

/// Starts validators on the history, archives all of them.
async fn start_validators(base: &Path) -> Result<Vec<Node>> {
    let first = database(&base.join(RUNNING[0]));
    for name in &RUNNING[1..] {
        copy(&first, &database(&base.join(name)))?;
    }
    let mut nodes: Vec<Node> = Vec::new();
    for name in RUNNING {
        let (flag, port) = (format!("--{name}"), free_port());
        let mut args = vec![flag.as_str(), "--no-mdns", "--port", &port];
        args.extend(["--state-pruning", "archive", "--blocks-pruning", "archive"]);
        if let Some(boot) = nodes.first() {
            args.extend(["--bootnodes", &boot.multiaddr]);
        }
        nodes.push(Node::start(CHAIN, &base.join(name), &args).await?);
    }
    Ok(nodes)
}

/// Starts a node that has nothing.
async fn newcomer(name: &str, base: &Path, peers: &[Node], args: &[&str]) -> Result<Node> {
    let mut all = vec!["--name", name, "--no-mdns", "--bootnodes"];
    all.extend(peers.iter().map(|peer| peer.multiaddr.as_str()));
    all.extend(args);
    Node::start(CHAIN, &base.join(name), &all).await
}

/// Compares all that can be asked of the state after the finalized block of `node` with what the archive says.
async fn knows_the_same(node: &Node, archive: &Node) -> Result<()> {
    let at = node.call("chain_getFinalizedHead", json!([])).await?;
    let spec = archive.call("blyan_activeSpec", json!([at])).await?;
    let heads = archive.call("blyan_slotHeads", json!([spec["id"], null, at])).await?;
    let mut questions = vec![
        ("blyan_activeSpec", json!([at])),
        ("blyan_activeSpecs", json!([at])),
        ("blyan_spec", json!([spec["id"], at])),
        ("blyan_slotHeads", json!([spec["id"], null, at])),
        ("blyan_workers", json!([null, null, at])),
        ("blyan_channel", json!([0, at])),
        ("blyan_channel", json!([1, at])),
        ("blyan_pact", json!([at])),
        ("blyan_block", json!([spec["trunk"], at])),
    ];
    let layers = heads["layers"].as_array().context("no layers")?;
    for head in layers.iter().filter_map(|layer| layer["heads"].as_array()).flatten() {
        questions.push(("blyan_block", json!([head["block"], at])));
    }
    for worker in WORKERS {
        questions.push(("blyan_worker", json!([worker.to_account_id(), at])));
    }
    for (method, params) in questions {
        let (theirs, ours) = (node.call(method, params.clone()).await?, archive.call(method, params.clone()).await?);
        ensure!(theirs == ours, "{method} {params}: {theirs} instead of {ours}");
    }
    Ok(())
}

/// Receipts of the whole history are proved by the state alone.
async fn shows_receipts(node: &Node, script: &Script) -> Result<()> {
    for worker in WORKERS {
        let last = script.anchors_of(worker) - 1;
        for sequence in [0, last / 2, last] {
            let (index, receipt, proof) = proved(worker, sequence);
            let proof: Vec<_> = proof.iter().map(hex).collect();
            let params = json!([worker.to_account_id(), sequence, index, receipt.to_string(), proof]);
            let status = node.call("blyan_receiptStatus", params).await?;
            ensure!(status["state"] == "finalized" && status["valid"] == true, "{worker} {sequence}: {status}");
        }
    }
    Ok(())
}

/// The channel of the script is as it was left, and the one that was closed is not there.
async fn pays_out_what_was_redeemed(node: &Node) -> Result<()> {
    let channel = node.call("blyan_channel", json!([0])).await?;
    ensure!(channel["redeemed"] == "16000000000000000000" && channel["escrow"] == "55000000000000000000", "{channel}");
    ensure!(node.call("blyan_channel", json!([1])).await? == Value::Null);
    Ok(())
}

/// Nothing was redeemed yet in the old block, the other channel was open, and the block has its events.
async fn answers_at_an_old_block(node: &Node, old: &Value) -> Result<()> {
    let channel = node.call("blyan_channel", json!([0, old])).await?;
    ensure!(channel["redeemed"] == "0" && channel["escrow"] == "50000000000000000000", "{channel}");
    ensure!(node.call("blyan_channel", json!([1, old])).await?["id"] == 1);
    ensure!(node.call("state_getStorage", json!([events_key(), old])).await?.is_string());
    Ok(())
}

/// What a node does not keep it refuses by name, and says where it is kept.
async fn names_what_it_lacks(node: &Node, old: &Value) -> Result<()> {
    let worker = Ferdie.to_account_id();
    for (method, params) in [
        ("blyan_channel", json!([0, old])),
        ("blyan_worker", json!([worker, old])),
        ("blyan_activeSpec", json!([old])),
        ("blyan_pact", json!([old])),
    ] {
        let error = refusal(node, method, params).await?;
        let message = error["message"].as_str().context("an error without a message")?;
        ensure!(error["code"] == 10_008 && error["data"]["name"] == "StatePruned", "{method}: {error}");
        ensure!(message.contains("--state-pruning archive") && message.contains(&OLD.to_string()), "{message}");
    }
    // The SDK's own methods have the SDK's own words for it.
    let error = refusal(node, "state_getStorage", json!([events_key(), old])).await?;
    ensure!(error["code"] == 4_003 && error.to_string().contains("State already discarded"), "{error}");
    Ok(())
}

/// Waits until the node has the header of block `number`, which is `hash`.
async fn has_header(node: &Node, number: BlockNumber, hash: &Value) -> Result<()> {
    timeout(LIMIT, async {
        while node.call("chain_getBlockHash", json!([number])).await? != *hash {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    })
    .await
    .with_context(|| format!("the node has no header of block {number} after {LIMIT:?}"))?
}

/// Calls a method that has to fail, and returns the error.
async fn refusal(node: &Node, method: &str, params: Value) -> Result<Value> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let url = node.rpc.replacen("ws://", "http://", 1);
    let answer: Value = reqwest::Client::new().post(url).json(&body).send().await?.json().await?;
    answer.get("error").cloned().with_context(|| format!("{method} has an answer: {answer}"))
}

/// Where the events of a block are.
fn events_key() -> String {
    let hash = sp_io::hashing::twox_128;
    hex([hash(b"System"), hash(b"Events")].concat())
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold("0x".into(), |text: String, byte| format!("{text}{byte:02x}"))
}

/// The database of a node that was started in `base`.
fn database(base: &Path) -> PathBuf {
    base.join("node/chains/blyan_tiny_local/paritydb/full")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Bytes that the files in a folder take on disk.
fn disk_usage(folder: &Path) -> Result<u64> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.blocks() * 512)).sum()
}
