//! The node that Blyan's is compared with by `scripts/bench throughput`: the SDK's plain one, with Aura and GRANDPA.

#![recursion_limit = "512"]
#![allow(clippy::result_large_err, reason = "the SDK's own error, which its traits ask for")]

mod command;
mod rpc;
mod service;

fn main() -> polkadot_sdk::sc_cli::Result<()> {
    command::run()
}
