//! Writes `metadata.scale`, from which the client is generated, anew from a running node:
//!
//! ```text
//! blyan-node --chain tiny
//! cargo run --release -p blyan-chain --example update-metadata [-- ws://127.0.0.1:9944]
//! ```

#[path = "../tests/node/restricted.rs"]
mod restricted;

use anyhow::{Context, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9944".to_owned());
    let metadata = restricted::fetch(&url).await?;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/metadata.scale");
    std::fs::write(path, &metadata).with_context(|| format!("writing {path}"))?;
    println!("{path}: {} bytes", metadata.len());
    Ok(())
}
