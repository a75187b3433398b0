//! Crashes: whatever is killed, every receipt is anchored exactly once.

use blyan_chain::{ChainClient, ChainOptions, Key};
use blyan_cli::api::{Api, ChatRequest, Message};
use blyan_e2e::{Node, START, Worker, folder, free_port, put_tiny};
use serde_json::Value;
use std::{path::Path, time::Duration};
use tokio::time::{sleep, timeout};

/// Never anchors within a test.
const LATER: [&str; 4] = ["--anchor-every", "1000", "--anchor-interval", "3600"];
const AT_ONCE: [&str; 4] = ["--anchor-every", "1", "--anchor-interval", "1"];
const KEY: &str = "//Bob";

async fn ask(worker: &Worker) -> String {
    let api = Api::new(&worker.api, None).unwrap();
    let request = ChatRequest::new("default", vec![Message::new("user", "Hello")], 8);
    api.chat(&request, |_| ()).await.unwrap().blyan.receipt
}

async fn status(worker: &Worker, receipt: &str) -> Value {
    Api::new(&worker.api, None).unwrap().get(&format!("/v1/receipts/{receipt}")).await.unwrap()
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
    let client = ChainClient::connect(&node.rpc, ChainOptions::default()).await.unwrap();
    let account = Key::from_uri(KEY).unwrap().account();
    let served = client.at_finalized().await.unwrap().served(&account).await.unwrap();
    (served.next, served.receipts)
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
    let mut first = worker(&node, base.path(), &AT_ONCE).await;
    let receipt = ask(&first).await;
    wait_status(&first, &receipt, &["submitted", "finalized"]).await;
    first.program.kill().await.unwrap();

    let second = worker(&node, base.path(), &AT_ONCE).await;
    let bundle = wait_status(&second, &receipt, &["finalized"]).await;
    assert_eq!(bundle["anchor"]["sequence"], 0);
    assert_eq!(anchored(&node).await, (1, 1));
    // The next one continues the sequence.
    let next = ask(&second).await;
    wait_status(&second, &next, &["finalized"]).await;
    assert_eq!(anchored(&node).await, (2, 2));
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
    // Answers do not need the chain; their receipts wait for it.
    let during = ask(&worker).await;
    let node = Node::start("tiny", base.path(), &args).await.unwrap();
    wait_status(&worker, &during, &["finalized"]).await;
    assert_eq!(anchored(&node).await.1, 2);
}
