//! A network that nobody has the key of, governed by its members.

use blyan_e2e::{Network, START, Script, Worker, blyan, folder};
use std::time::Duration;

/// Longest time until two referenda are decided and enacted: two heartbeat periods of a minute until machines can vote, and
/// vote again; a minute of votes; and the blocks in which four nodes compile another runtime.
const LIMIT: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn members_change_the_pact_and_upgrade_the_runtime_with_one_vote_a_machine() {
    let base = folder();
    let next =
        blyan_next_runtime::WASM_BINARY_PATH.expect("the next runtime was not compiled: build without SKIP_WASM_BUILD");
    let network = Network::start(base.path()).await.unwrap();
    let node = &network.nodes[0];
    let worker = Worker::first(node, base.path()).await.unwrap();
    let mut members = Script::start("governing.mjs", &[&node.rpc, next], base.path()).await.unwrap();
    members.wait_line("ok", LIMIT).await.unwrap();

    // The worker that was there before the upgrade answers and anchors after it.
    let anchored = node.served("//Bob").await.unwrap().next;
    let answer = blyan(&["chat", "Hello", "--api", &worker.api, "--json", "--max-tokens", "16"]).await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let receipt = answer["receipt"].as_str().unwrap();
    blyan_cli::receipt::wait_final(&worker.api().unwrap(), receipt, START).await.unwrap();
    assert_eq!(node.served("//Bob").await.unwrap().next, anchored + 1);
}
