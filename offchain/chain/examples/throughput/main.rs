//! How much a chain of one validator includes in its blocks a second.
//!
//! Starts a development node of its own, gives money to as many accounts as it needs, signs everything beforehand, and
//! keeps the node's pool filled until all of it is in blocks. Prints a JSON line for each kind of work. Transfers need
//! nothing but the SDK's balances pallet, so that any Substrate chain can be measured in the same way:
//!
//!     throughput --node target/release/blyan-node --label blyan transfers
//!     throughput --node target/release/solochain-node --label solochain transfers
//!     throughput --node target/release/blyan-node --label blyan workers

mod chain;
mod load;
mod node;
mod report;
mod sign;
mod work;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Measures what a node includes in its blocks a second.
#[derive(Debug, Parser)]
struct Arguments {
    /// The node's program.
    #[arg(long)]
    node: PathBuf,

    /// What the chain is called in the output.
    #[arg(long)]
    label: String,

    /// Number of the run, for the output.
    #[arg(long, default_value_t = 1)]
    round: u32,

    #[command(subcommand)]
    work: Work,
}

/// What is submitted.
#[derive(Debug, Subcommand)]
enum Work {
    /// Transfers between accounts that exist.
    Transfers {
        /// How many.
        #[arg(long, default_value_t = 20_000)]
        count: usize,

        /// By how many senders.
        #[arg(long, default_value_t = 2_000)]
        accounts: usize,
    },

    /// What workers and gateways submit: heartbeats, anchors and redemptions.
    Workers {
        /// Workers, each of which sends a heartbeat.
        #[arg(long, default_value_t = 16_000)]
        workers: usize,

        /// Anchors, each of another worker.
        #[arg(long, default_value_t = 2_560)]
        anchors: usize,

        /// Payment channels.
        #[arg(long, default_value_t = 1_000)]
        channels: usize,

        /// Redemptions, spread over the channels.
        #[arg(long, default_value_t = 12_000)]
        redemptions: usize,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { node, label, round, work } = Arguments::parse();
    let run = report::Run { label, round };
    let node = node::Node::start(&node).await?;
    match work {
        Work::Transfers { count, accounts } => work::transfers(&node, &run, count, accounts).await,
        Work::Workers { workers, anchors, channels, redemptions } => {
            work::workers(&node, &run, &work::Sizes { workers, anchors, channels, redemptions }).await
        },
    }
}
