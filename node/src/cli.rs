//! The command line.

use crate::chain_spec::CHAINS;
use clap::{CommandFactory, FromArgMatches, Parser};
use polkadot_sdk::*;
use sc_cli::{
    BuildSpecCmd, ChainInfoCmd, CheckBlockCmd, ExportBlocksCmd, ExportChainSpecCmd, ExportStateCmd, ImportBlocksCmd,
    KeySubcommand, PurgeChainCmd, RevertCmd, RunCmd, SignCmd, SubstrateCli, VanityCmd, VerifyCmd,
};

/// What the node was asked to do.
#[derive(Debug, Parser)]
pub(crate) struct Cli {
    /// Something other than running the node.
    #[command(subcommand)]
    pub(crate) subcommand: Option<Subcommand>,

    /// How to run the node.
    #[command(flatten)]
    pub(crate) run: RunCmd,
}

/// Everything but running the node.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    /// Make, show and keep keys: of accounts, of validators and of the node itself.
    #[command(subcommand)]
    Key(KeySubcommand),

    /// Sign a message with a key.
    Sign(SignCmd),

    /// Check a signature of a message.
    Verify(VerifyCmd),

    /// Find a key whose address contains a text.
    Vanity(VanityCmd),

    /// Print a chain's spec, plain or raw.
    ExportChainSpec(ExportChainSpecCmd),

    /// Print a chain's spec; also with a boot node of this node's key.
    BuildSpec(BuildSpecCmd),

    /// Execute a block of the database again and check the result.
    CheckBlock(CheckBlockCmd),

    /// Write blocks of the database to a file.
    ExportBlocks(ExportBlocksCmd),

    /// Read blocks from a file, execute and keep them.
    ImportBlocks(ImportBlocksCmd),

    /// Write the state after a block as a chain spec that starts from it.
    ExportState(ExportStateCmd),

    /// Delete a chain's database. Keys stay.
    PurgeChain(PurgeChainCmd),

    /// Undo the latest blocks that are not finalized.
    Revert(RevertCmd),

    /// Show how far the database's chain has come.
    ChainInfo(ChainInfoCmd),
}

const EXAMPLES: &str = "Examples:
  A chain of its own, gone when the node stops:
      blyan-node --dev
  The same with the tiny model, at ports that the system chooses:
      blyan-node --chain tiny --port 0 --rpc-port 0 --prometheus-port 0
  A local network: in four terminals, one name each of alice, bob, charlie, dave:
      blyan-node --chain local --alice --base-path /tmp/alice --port 30333 --rpc-port 9944
      blyan-node --chain local --bob --base-path /tmp/bob --port 30334 --rpc-port 9945
  A full node that others can query, keeping all states:
      blyan-node --chain spec.json --name me --rpc-external --rpc-methods safe --state-pruning archive
  A new node that skips history:
      blyan-node --chain spec.json --sync warp
  A validator: make its identity, start it, make its keys in it, then register them for its account:
      blyan-node key generate-node-key --chain spec.json
      blyan-node --chain spec.json --validator
      curl -H 'Content-Type: application/json' -d \
'{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"author_rotateKeysWithOwner\",\"params\":[\"0x<account, SCALE encoded>\"]}' \
localhost:9944
      then submit session.setKeys(keys, proof) from that account
  The chain as a file, for others to join:
      blyan-node export-chain-spec --chain local --raw --output local.raw.json

The methods of the JSON-RPC server are in docs/api.md, how to operate a node in docs/.";

impl Cli {
    /// Reads the process's arguments; ends the process when they make no sense, or ask for help.
    pub(crate) fn from_process() -> Self {
        Self::read(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn read<A: Into<std::ffi::OsString> + Clone>(args: impl IntoIterator<Item = A>) -> clap::error::Result<Self> {
        let command = Self::setup_command(Self::command()).after_long_help(format!("{}\n\n{EXAMPLES}", chains()));
        let mut cli = Self::from_arg_matches(&command.try_get_matches_from(args)?)?;
        // A chain with a single well-known validator stands still unless that validator is this node.
        let shared = &mut cli.run.shared_params;
        if shared.chain.as_deref().and_then(crate::chain_spec::named).is_some_and(|chain| chain.is_development()) {
            shared.dev = true;
        }
        // Validators must not change their identity on the network by accident, so that the SDK wants them to make it
        // beforehand. Whoever runs with a key that everybody knows has no identity to lose.
        if cli.run.get_keyring().is_some() {
            cli.run.network_params.node_key_params.unsafe_force_node_key_generation = true;
        }
        Ok(cli)
    }
}

fn chains() -> String {
    let lines: Vec<_> = CHAINS.iter().map(|chain| format!("  {:<12}{}", chain.name, chain.about)).collect();
    format!(
        "Chains, by name or as a file:\n{}\nWithout --chain it is local. --chain dev and --chain tiny run as --dev does: \
         as Alice, alone, in a temporary folder unless --base-path is given.",
        lines.join("\n")
    )
}

impl SubstrateCli for Cli {
    fn impl_name() -> String {
        "Blyan Node".into()
    }

    fn impl_version() -> String {
        env!("SUBSTRATE_CLI_IMPL_VERSION").into()
    }

    fn description() -> String {
        "Node of the Blyan network, whose chain keeps the record of an open mixture-of-experts model: its specification, \
         its blocks of weights, the workers that execute it, and the receipts of their answers."
            .into()
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

    fn load_spec(&self, id: &str) -> Result<Box<dyn sc_service::ChainSpec>, String> {
        crate::chain_spec::load(id).map(|spec| Box::new(spec) as Box<_>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Cli {
        Cli::read(std::iter::once("blyan-node").chain(args.iter().copied())).unwrap()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::setup_command(Cli::command()).debug_assert();
    }

    #[test]
    fn development_chains_run_alone() {
        assert!(read(&["--dev"]).run.shared_params.dev);
        assert!(read(&["--chain", "tiny"]).run.shared_params.dev);
        assert!(!read(&["--chain", "tiny-local"]).run.shared_params.dev);
        assert!(!read(&[]).run.shared_params.dev);
    }

    #[test]
    fn well_known_validators_need_no_preparation() {
        let forced = |args| read(args).run.network_params.node_key_params.unsafe_force_node_key_generation;
        assert!(forced(&["--chain", "local", "--bob"]));
        assert!(!forced(&["--chain", "local", "--validator"]));
    }

    #[test]
    fn help_names_every_chain() {
        let help = Cli::read(["blyan-node", "--help"]).map(|_| ()).unwrap_err().to_string();
        for chain in &CHAINS {
            assert!(help.contains(chain.about), "{}", chain.name);
        }
    }
}
