//! Does what the command line asks for.

use crate::{
    cli::{Cli, Subcommand},
    service::{self, Backend, Client},
};
use blyan_runtime::OpaqueBlock as Block;
use polkadot_sdk::*;
use sc_cli::{Result, SubstrateCli};
use sc_network::{config::NetworkBackendType, Litep2pNetworkBackend, NetworkWorker};
use std::sync::Arc;

/// Reads the command line and does it.
pub(crate) fn run() -> Result<()> {
    let cli = Cli::from_process();
    match &cli.subcommand {
        Some(subcommand) => run_subcommand(&cli, subcommand),
        None => run_node(&cli),
    }
}

fn run_node(cli: &Cli) -> Result<()> {
    cli.create_runner(&cli.run)?.run_node_until_exit(|config| async move {
        match config.network.network_backend {
            NetworkBackendType::Litep2p => service::start::<Litep2pNetworkBackend>(config),
            NetworkBackendType::Libp2p => service::start::<NetworkWorker<Block, _>>(config),
        }
        .map_err(sc_cli::Error::Service)
    })
}

fn run_subcommand(cli: &Cli, subcommand: &Subcommand) -> Result<()> {
    match subcommand {
        Subcommand::Key(command) => command.run(cli),
        Subcommand::Sign(command) => command.run(),
        Subcommand::Verify(command) => command.run(),
        Subcommand::Vanity(command) => command.run(),
        Subcommand::ExportChainSpec(command) => command.run(cli.load_spec(&command.chain)?),
        Subcommand::BuildSpec(command) => {
            cli.create_runner(command)?.sync_run(|config| command.run(config.chain_spec, config.network))
        },
        Subcommand::CheckBlock(command) => cli.create_runner(command)?.async_run(|config| {
            let service::Parts { client, task_manager, import_queue, .. } = service::assemble(&config)?;
            Ok((command.run(client, import_queue), task_manager))
        }),
        Subcommand::ExportBlocks(command) => cli.create_runner(command)?.async_run(|config| {
            let service::Parts { client, task_manager, .. } = service::assemble(&config)?;
            Ok((command.run(client, config.database), task_manager))
        }),
        Subcommand::ImportBlocks(command) => cli.create_runner(command)?.async_run(|config| {
            let service::Parts { client, task_manager, import_queue, .. } = service::assemble(&config)?;
            Ok((command.run(client, import_queue), task_manager))
        }),
        Subcommand::ExportState(command) => cli.create_runner(command)?.async_run(|config| {
            let service::Parts { client, task_manager, .. } = service::assemble(&config)?;
            Ok((command.run(client, config.chain_spec), task_manager))
        }),
        Subcommand::PurgeChain(command) => cli.create_runner(command)?.sync_run(|config| command.run(config.database)),
        Subcommand::Revert(command) => cli.create_runner(command)?.async_run(|config| {
            let service::Parts { client, task_manager, backend, .. } = service::assemble(&config)?;
            // What consensus keeps beside the blocks goes back with them.
            let consensus = |client: Arc<Client>, backend: Arc<Backend>, blocks| -> Result<()> {
                sc_consensus_babe::revert(client.clone(), backend, blocks)?;
                sc_consensus_grandpa::revert(client, blocks)?;
                Ok(())
            };
            Ok((command.run(client, backend, Some(Box::new(consensus))), task_manager))
        }),
        Subcommand::ChainInfo(command) => cli.create_runner(command)?.sync_run(|config| command.run::<Block>(&config)),
    }
}
