//! Crashes and orderly ends: whatever is killed or stopped, every receipt is anchored exactly once.

use blyan_chain::Key;
use blyan_cli::api::{ChatRequest, Message};
use blyan_e2e::{Node, START, Worker, folder, free_port, put_tiny};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use tokio::time::{sleep, timeout};

/// Never anchors within a test.
const LATER: [&str; 4] = ["--anchor-every", "1000", "--anchor-interval", "3600"];
const AT_ONCE: [&str; 4] = ["--anchor-every", "1", "--anchor-interval", "1"];
const KEY: &str = "//Bob";

async fn ask(worker: &Worker) -> String {
    let request = ChatRequest::new("default", vec![Message::new("user", "Hello")], 8);
    worker.api().unwrap().chat(&request, |_| Ok(())).await.unwrap().blyan.receipt
}

async fn status(worker: &Worker, receipt: &str) -> Value {
    worker.api().unwrap().get(&format!("/v1/receipts/{receipt}")).await.unwrap()
}

/// Waits until `receipt` has this status.
async fn wait_status(worker: &Worker, receipt: &str, wanted: &[&str]) -> Value {
    let wait = async {
        loop {
            let bundle = status(worker, receipt).await;
            if wanted.contains(&bundle["status"].as_str().unwrap()) {
                return bundle;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(START, wait).await.unwrap_or_else(|_| panic!("{receipt} did not become {wanted:?}"))
}

/// The worker's anchors, and the receipts under them, as the finalized chain counts them.
async fn anchored(node: &Node) -> (u64, u64) {
    let served = node.served(KEY).await.unwrap();
    (served.next, served.receipts)
}

/// Whether the node's pool holds the worker's anchor number `sequence`.
async fn is_in_pool(node: &Node, sequence: u64) -> bool {
    // An anchor begins with its worker and its sequence; a heartbeat continues with two other numbers.
    let mark: String = Key::from_uri(KEY).unwrap().public().iter().chain(&sequence.to_le_bytes()).map(hex).collect();
    let pool = node.call("author_pendingExtrinsics", json!([])).await.unwrap();
    pool.as_array().unwrap().iter().any(|extrinsic| extrinsic.as_str().unwrap().contains(&mark))
}

fn hex(byte: &u8) -> String {
    format!("{byte:02x}")
}

async fn worker(node: &Node, base: &Path, args: &[&str]) -> Worker {
    let base = base.join("worker");
    put_tiny(&base.join("store")).unwrap();
    Worker::start(node, &base, KEY, args).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_between_answer_and_anchor_anchors_once_after_its_restart() {
    let base = folder();
    let node = Node::tiny(base.path()).await.unwrap();
    let mut first = worker(&node, base.path(), &LATER).await;
    let receipts = [ask(&first).await, ask(&first).await];
    first.program.kill().await.unwrap();

    let second = worker(&node, base.path(), &AT_ONCE).await;
    for receipt in &receipts {
        wait_status(&second, receipt, &["finalized"]).await;
    }
    assert_eq!(anchored(&node).await.1, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_between_submission_and_inclusion_anchors_once_after_its_restart() {
    let base = folder();
    let node = Node::tiny(base.path()).await.unwrap();
    let mut running = worker(&node, base.path(), &AT_ONCE).await;
    node.wait_online(KEY).await.unwrap();
    // A block may come just between a look at the pool and the end of the worker: then once more.
    for sequence in 0..5 {
        let receipt = ask(&running).await;
        let submitted = async {
            while !is_in_pool(&node, sequence).await {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(START, submitted).await.expect("the anchor is submitted");
        running.program.kill().await.unwrap();
        let hit = is_in_pool(&node, sequence).await;

        running = worker(&node, base.path(), &AT_ONCE).await;
        let bundle = wait_status(&running, &receipt, &["finalized"]).await;
        assert_eq!(bundle["anchor"]["sequence"], sequence);
        assert_eq!(anchored(&node).await, (sequence + 1, sequence + 1));
        if hit {
            // The next one continues the sequence.
            let next = ask(&running).await;
            let bundle = wait_status(&running, &next, &["finalized"]).await;
            assert_eq!(bundle["anchor"]["sequence"], sequence + 1);
            assert_eq!(anchored(&node).await, (sequence + 2, sequence + 2));
            return;
        }
    }
    panic!("the worker was never killed while its anchor was in the pool");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_resumes_when_its_node_comes_back() {
    let base = folder();
    let port = free_port();
    let args = ["--alice", "--force-authoring", "--rpc-port", &port];
    let mut node = Node::start("tiny", base.path(), &args).await.unwrap();
    let worker = worker(&node, base.path(), &AT_ONCE).await;
    let before = ask(&worker).await;
    wait_status(&worker, &before, &["finalized"]).await;

    node.program.kill().await.unwrap();
    let connected = async |wanted: bool| {
        let api = worker.api().unwrap();
        while api.health().await.unwrap()["chain"]["connected"] != wanted {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(START, connected(false)).await.expect("health tells that the node is away");
    // Answers do not need the chain; their receipts wait for it.
    let during = ask(&worker).await;
    let node = Node::start("tiny", base.path(), &args).await.unwrap();
    wait_status(&worker, &during, &["finalized"]).await;
    timeout(START, connected(true)).await.expect("health tells that the node is back");
    assert_eq!(anchored(&node).await.1, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_asked_to_stop_finishes_its_answers_and_anchors_their_receipts() {
    const ANSWERS: u64 = 48;
    let base = folder();
    let node = Node::tiny(base.path()).await.unwrap();
    let args = [LATER.as_slice(), &["--max-batch", "1"]].concat();
    let mut worker = worker(&node, base.path(), &args).await;
    node.wait_online(KEY).await.unwrap();
    let api = worker.api().unwrap();
    let answers: Vec<_> = (0..ANSWERS)
        .map(|_| {
            let api = api.clone();
            let request = ChatRequest::new("default", vec![Message::new("user", "Hello")], 200);
            tokio::spawn(async move { api.chat(&request, |_| Ok(())).await })
        })
        .collect();
    // All have arrived, and not all are answered.
    let busy = async {
        loop {
            let health = api.health().await.unwrap();
            let count = |value: &Value| value.as_u64().unwrap();
            let (waiting, running) = (count(&health["queue"]), count(&health["batch"]));
            let written = count(&health["receipts"]["pending"]);
            assert!(written < ANSWERS, "the model is too fast for this test");
            if waiting > 0 && waiting + running + written >= ANSWERS {
                return;
            }
        }
    };
    timeout(START, busy).await.expect("the worker is busy");
    let ended = worker.program.stop(2 * START).await.unwrap();
    for answer in answers {
        let answer = answer.await.unwrap().unwrap();
        assert!(["stop", "length"].contains(&&*answer.finish_reason), "{answer:?}");
    }
    assert!(ended.success(), "{ended}");
    assert_eq!(anchored(&node).await.1, ANSWERS);
}
