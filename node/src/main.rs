//! The Blyan node: makes, checks and finalizes blocks, and answers wallets and workers over JSON-RPC.

#![recursion_limit = "512"]
#![allow(clippy::result_large_err, reason = "the SDK's own error, which its traits ask for")]

mod chain_metrics;
mod chain_spec;
mod cli;
mod command;
mod equivocation;
mod pact;
mod rpc;
mod service;

fn main() -> polkadot_sdk::sc_cli::Result<()> {
    command::run()
}
