//! The client is generated from what the node's runtime says of itself.

use crate::{node::Node, restricted};
use anyhow::Result;

#[tokio::test]
async fn the_checked_in_metadata_is_that_of_the_node() -> Result<()> {
    let node = Node::start().await?;
    let found = restricted::fetch(&node.url()).await?;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/metadata.scale");
    assert!(
        found == std::fs::read(path)?,
        "the runtime has changed since offchain/chain/metadata.scale was made; start `blyan-node --chain tiny` and run: \
         cargo run --release -p blyan-chain --example update-metadata"
    );
    Ok(())
}
