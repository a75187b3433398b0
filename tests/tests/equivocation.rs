//! Validators that run twice.

use blyan_e2e::{Network, Script, VALIDATORS, folder};
use std::{path::Path, time::Duration};

/// Longest wait for the script's next step: the eras of half a minute until a delegation counts, or until a slash is applied.
const STEP: Duration = Duration::from_secs(300);
/// Longest time until both nodes of a validator have written a block in one slot: every fourth is its.
const SOON: Duration = Duration::from_secs(90);
/// Second nodes that are tried. On a machine with much else to do, one can stay so far behind the first that nobody asks for its
/// blocks any more.
const TRIES: u32 = 3;
/// What a node logs that has seen it.
const SEEN: &str = "A validator wrote two blocks in one slot";

/// Runs a second node with the keys of a validator until the first validator's node has seen it equivocate.
async fn run_twice(network: &Network, name: &str, base: &Path) {
    let witness = &network.nodes[0];
    let known = witness.count_logged(SEEN).await.unwrap();
    let mut seen = Ok(());
    for number in 1..=TRIES {
        let folder = base.join(format!("{name}-again-{number}"));
        let mut second = network.join(&folder, &[&format!("--{name}")]).await.unwrap();
        seen = witness.wait_logged(SEEN, known, SOON).await;
        second.program.kill().await.unwrap();
        if seen.is_ok() {
            break;
        }
    }
    seen.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn equivocators_are_reported_slashed_and_removed_and_the_dao_cancels_a_slash() {
    let base = folder();
    let network = Network::start(base.path()).await.unwrap();
    let mut people = Script::start("equivocation.mjs", &[&network.nodes[0].rpc], base.path()).await.unwrap();
    for name in &VALIDATORS[1..3] {
        people.wait_line(&format!("second {name}"), STEP).await.unwrap();
        run_twice(&network, name, base.path()).await;
    }
    people.wait_line("ok", STEP).await.unwrap();
}
