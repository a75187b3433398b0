//! Four validators on loopback.

use blyan_e2e::{Node, folder, free_port};
use std::{path::Path, time::Duration};

const LIMIT: Duration = Duration::from_secs(120);
const NAMES: [&str; 4] = ["alice", "bob", "charlie", "dave"];

async fn validator(name: &str, base: &Path, boot: Option<&str>, port: &str) -> Node {
    let flag = format!("--{name}");
    let mut args = vec![flag.as_str(), "--no-mdns", "--port", port];
    if let Some(boot) = boot {
        args.extend(["--bootnodes", boot]);
    }
    Node::start("tiny-local", &base.join(name), &args).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn four_validators_finalize_survive_one_and_take_it_back() {
    let base = folder();
    let ports: Vec<_> = NAMES.iter().map(|_| free_port()).collect();
    let mut nodes = vec![validator(NAMES[0], base.path(), None, &ports[0]).await];
    let boot = nodes[0].multiaddr.clone();
    for (name, port) in NAMES.iter().zip(&ports).skip(1) {
        nodes.push(validator(name, base.path(), Some(&boot), port).await);
    }
    for node in &nodes {
        node.wait_finalized(2, LIMIT).await.unwrap();
    }

    let mut dave = nodes.pop().unwrap();
    dave.program.kill().await.unwrap();
    let reached = nodes[0].finalized().await.unwrap();
    nodes[0].wait_finalized(reached + 4, LIMIT).await.unwrap();

    let dave = validator(NAMES[3], base.path(), Some(&boot), &ports[3]).await;
    let target = nodes[0].finalized().await.unwrap();
    dave.wait_finalized(target, LIMIT).await.unwrap();
}
