//! Validators that come and go.

use blyan_e2e::{Network, Script, folder};
use std::time::Duration;

/// Longest time until a validator has joined, earned and left with its bond: eight eras of half a minute, and the start.
const LIMIT: Duration = Duration::from_secs(330);

#[tokio::test(flavor = "multi_thread")]
async fn a_fifth_account_joins_the_set_earns_and_leaves_with_its_bond() {
    let base = folder();
    let network = Network::start(base.path()).await.unwrap();
    let fifth = network.join_as_validator(&base.path().join("eve")).await.unwrap();
    // Until it knows the chain it passes no transactions on.
    network.nodes[0].wait_finalized(1, LIMIT).await.unwrap();
    fifth.wait_finalized(network.nodes[0].finalized().await.unwrap(), LIMIT).await.unwrap();
    let mut wallet = Script::start("validator.mjs", &[&fifth.rpc], base.path()).await.unwrap();
    wallet.wait_line("ok", LIMIT).await.unwrap();
}
