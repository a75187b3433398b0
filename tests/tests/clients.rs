//! Clients that others wrote: Polkadot.js for the chain, OpenAI's for the model.

use blyan_e2e::{Node, Worker, client, folder};

#[tokio::test]
async fn a_wallet_reads_pays_and_registers_a_worker() {
    let base = folder();
    let node = Node::tiny(base.path()).await.unwrap();
    client("node", "wallet.mjs", &[&node.rpc]).await.unwrap();
}

#[tokio::test]
async fn openais_client_streams_a_chat() {
    let base = folder();
    let node = Node::tiny(base.path()).await.unwrap();
    let worker = Worker::first(&node, base.path()).await.unwrap();
    client("python3", "chat.py", &[&worker.api]).await.unwrap();
}
