//! The command line: running the node, and printing its chain's spec.

use crate::service;
use clap::Parser;
use polkadot_sdk::*;
use sc_chain_spec::{ChainType, GenericChainSpec, NoExtension};
use sc_cli::{ExportChainSpecCmd, Result, RunCmd, SubstrateCli};
use sc_network::{Litep2pNetworkBackend, NetworkWorker, config::NetworkBackendType};
use solochain_runtime::{OpaqueBlock as Block, wasm::WASM_BINARY};
use std::path::PathBuf;

/// What the node was asked to do.
#[derive(Debug, Parser)]
struct Cli {
    /// Something other than running the node.
    #[command(subcommand)]
    subcommand: Option<Subcommand>,

    /// How to run the node.
    #[command(flatten)]
    run: RunCmd,
}

/// Everything but running the node.
#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Print a chain's spec, plain or raw.
    ExportChainSpec(ExportChainSpecCmd),
}

/// Reads the command line and does it.
pub(crate) fn run() -> Result<()> {
    let cli = Cli::from_args();
    match &cli.subcommand {
        Some(Subcommand::ExportChainSpec(command)) => command.run(cli.load_spec(&command.chain)?),
        None => cli.create_runner(&cli.run)?.run_node_until_exit(|config| async move {
            match config.network.network_backend {
                NetworkBackendType::Litep2p => service::start::<Litep2pNetworkBackend>(config),
                NetworkBackendType::Libp2p => service::start::<NetworkWorker<Block, _>>(config),
            }
            .map_err(sc_cli::Error::Service)
        }),
    }
}

impl SubstrateCli for Cli {
    fn impl_name() -> String {
        "Plain Solochain Node".into()
    }

    fn impl_version() -> String {
        env!("SUBSTRATE_CLI_IMPL_VERSION").into()
    }

    fn description() -> String {
        "A plain Substrate chain, to compare others with.".into()
    }

    fn author() -> String {
        env!("CARGO_PKG_AUTHORS").into()
    }

    fn support_url() -> String {
        concat!(env!("CARGO_PKG_REPOSITORY"), "/issues").into()
    }

    fn copyright_start_year() -> i32 {
        2026
    }

    fn load_spec(&self, id: &str) -> std::result::Result<Box<dyn sc_service::ChainSpec>, String> {
        if !matches!(id, "dev" | "") {
            return Ok(Box::new(GenericChainSpec::<NoExtension>::from_json_file(PathBuf::from(id))?));
        }
        let code = WASM_BINARY.ok_or("this node was built without its runtime: build it without SKIP_WASM_BUILD")?;
        let spec = GenericChainSpec::<NoExtension>::builder(code, None)
            .with_name("Plain Solochain")
            .with_id("solochain_dev")
            .with_chain_type(ChainType::Development)
            .with_genesis_config_preset_name(sp_genesis_builder::DEV_RUNTIME_PRESET)
            .build();
        Ok(Box::new(spec))
    }
}
