//! Four validators on loopback.

use blyan_e2e::{Network, folder};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn four_validators_finalize_survive_one_and_take_it_back() {
    let base = folder();
    let mut network = Network::start(base.path()).await.unwrap();
    for node in &network.nodes {
        node.wait_finalized(2, LIMIT).await.unwrap();
    }

    let mut dave = network.nodes.pop().unwrap();
    dave.program.kill().await.unwrap();
    let first = &network.nodes[0];
    let reached = first.finalized().await.unwrap();
    first.wait_finalized(reached + 4, LIMIT).await.unwrap();

    let dave = network.join(&base.path().join("dave"), &["--dave"]).await.unwrap();
    let target = first.finalized().await.unwrap();
    dave.wait_finalized(target, LIMIT).await.unwrap();
}
