//! `blyan stake`: bonds of validators and workers, and the keys that validators sign with.

use crate::{
    account::chosen,
    stakes,
    submit::{Reading, Sender, Signing, key_source},
    units::{self, Bly},
};
use anyhow::{Context, Result, anyhow, ensure};
use blyan_chain::{AccountId, ChainClient, ChainError, ChainOptions, KeySource, StakingCall};
use blyan_primitives::pact::Ppm;
use clap::{Args, Subcommand};
use serde_json::json;

const EXAMPLES: &str = "\
A validator from nothing, with a node of its own on this machine:
  blyan stake validator 1000 --commission 5% --key my.key
  blyan stake keys --key my.key
  blyan stake show --key my.key

BLYAN_KEY and BLYAN_RPC stand in for --key and --rpc. docs/validator.md goes through all of it.";

/// Bonds of validators and workers, and the keys that validators sign with.
#[derive(Subcommand, Debug)]
#[command(after_help = EXAMPLES)]
pub enum StakeCommand {
    /// Become a candidate with a bond of your own.
    ///
    /// Validators are elected once an era, a session ahead: the candidates with the most stake, their own and delegated. A
    /// candidate can be elected once it has session keys, see `blyan stake keys`.
    Validator(ValidatorArgs),
    /// Add to your own bond as a validator.
    More(AmountArgs),
    /// Put something, or more, at stake as a worker.
    Worker(AmountArgs),
    /// Have your node make session keys, and register them with the proof that they are yours.
    ///
    /// The secrets stay in the node's keystore, and whoever runs the node can sign with them: so --node is to be your own,
    /// on this machine or through a tunnel, as nodes make keys for nobody else. New keys are used two sessions later. A
    /// deposit is held while keys are registered.
    Keys(KeysArgs),
    /// Take no part in the coming elections. Bond and delegations stay.
    Chill(SignArgs),
    /// Take part in elections again.
    Activate(SignArgs),
    /// Set what you keep of your delegators' rewards, from the next election on.
    Commission(CommissionArgs),
    /// End your candidacy: bond and delegations are sent on their way back.
    Leave(SignArgs),
    /// Show what an account has bonded and delegated, and what is due when.
    Show(ShowArgs),
    /// Show slashes that are announced and can still be cancelled.
    Slashes(Reading),
}

/// The bond and the commission.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blyan stake validator 1000 --commission 5% --key my.key")]
pub struct ValidatorArgs {
    /// Your own bond, in BLY.
    #[arg(value_name = "BLY")]
    bond: Bly,
    /// What you keep of your delegators' rewards.
    #[arg(long, default_value = "0%", value_name = "SHARE", value_parser = units::share)]
    commission: Ppm,
    #[command(flatten)]
    signing: Signing,
}

/// How much.
#[derive(Args, Debug)]
pub struct AmountArgs {
    /// How much, in BLY.
    #[arg(value_name = "BLY")]
    amount: Bly,
    #[command(flatten)]
    signing: Signing,
}

/// Who makes the keys.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  blyan stake keys --key my.key\n  \
    blyan stake keys --key my.key --node ws://127.0.0.1:9948 --rpc wss://rpc.example\n  \
    blyan stake keys --key my.key --purge")]
pub struct KeysArgs {
    /// Your own node, which is to validate [default: the node of --rpc]
    #[arg(long, value_name = "URL", conflicts_with = "purge")]
    node: Option<String>,
    /// Remove your keys from the chain instead; their deposit returns.
    #[arg(long)]
    purge: bool,
    #[command(flatten)]
    signing: Signing,
}

/// The commission.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blyan stake commission 2.5% --key my.key")]
pub struct CommissionArgs {
    /// What you keep of your delegators' rewards.
    #[arg(value_name = "SHARE", value_parser = units::share)]
    commission: Ppm,
    #[command(flatten)]
    signing: Signing,
}

/// Who signs.
#[derive(Args, Debug)]
pub struct SignArgs {
    #[command(flatten)]
    signing: Signing,
}

/// Whose.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The account; without it, that of --key.
    #[arg(value_parser = units::account)]
    account: Option<AccountId>,
    /// A secret URI, or a file that holds one.
    #[arg(long, env = "BLYAN_KEY", value_name = "URI|FILE", hide_env_values = true, value_parser = key_source)]
    key: Option<KeySource>,
    #[command(flatten)]
    reading: Reading,
}

/// Runs the command.
pub async fn run(command: StakeCommand) -> Result<()> {
    match command {
        StakeCommand::Validator(args) => validator(args).await,
        StakeCommand::More(args) => more(args).await,
        StakeCommand::Worker(args) => worker(args).await,
        StakeCommand::Keys(args) if args.purge => purge(args).await,
        StakeCommand::Keys(args) => keys(args).await,
        StakeCommand::Chill(args) => {
            simple(args, StakingCall::Chill, "takes no part in the coming elections", "chill").await
        },
        StakeCommand::Activate(args) => {
            simple(args, StakingCall::Activate, "takes part in elections again", "activate").await
        },
        StakeCommand::Commission(args) => commission(args).await,
        StakeCommand::Leave(args) => leave(args).await,
        StakeCommand::Show(args) => stakes::show(&chosen(args.account, args.key.as_ref())?, &args.reading).await,
        StakeCommand::Slashes(reading) => stakes::slashes(&reading).await,
    }
}

async fn validator(args: ValidatorArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let (bond, commission) = (args.bond.0, args.commission);
    let sent = sender.send(StakingCall::Validate { commission, bond }).await?;
    let state = sender.client.at(sent.block).await?;
    let status = state.validator(&sent.account).await?;
    let era = state.era().await?;
    let has_keys = status.is_some_and(|status| status.has_keys);
    let next = if has_keys {
        format!("it can be elected for era {} and later", era.planned.saturating_add(1))
    } else {
        "it cannot be elected before it has session keys: blyan stake keys".to_owned()
    };
    let text = format!("{} is a candidate with {}, commission {commission}; {next}", sent.account, args.bond);
    let details = json!({
        "bond": bond.to_string(), "commission_ppm": commission.0, "has_keys": has_keys,
        "first_era": era.planned.saturating_add(1),
    });
    sender.report(&sent, text, details)
}

async fn more(args: AmountArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let sent = sender.send(StakingCall::BondMore { amount: args.amount.0 }).await?;
    let details = json!({ "amount": args.amount.0.to_string() });
    sender.report(&sent, format_args!("{} more is bonded as a validator", args.amount), details)
}

async fn worker(args: AmountArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let sent = sender.send(StakingCall::BondWorker { amount: args.amount.0 }).await?;
    let active = sender.client.at(sent.block).await?.ledger(&sent.account).await?.worker.active;
    let text = format!("{} more is at stake as a worker, {} in all", args.amount, Bly(active));
    sender.report(&sent, text, json!({ "amount": args.amount.0.to_string(), "active": active.to_string() }))
}

async fn keys(args: KeysArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let owner = sender.account();
    let other = match &args.node {
        Some(url) => {
            let options = ChainOptions { genesis: Some(sender.client.genesis()), ..Default::default() };
            Some(ChainClient::connect(url, options).await?)
        },
        None => None,
    };
    let node = other.as_ref().unwrap_or(&sender.client);
    sender.steps.begin(&format!("having {} make session keys", node.url()));
    let made = node.rotate_session_keys(&owner).await.map_err(|error| refused(error, node.url()))?;
    ensure!(
        node.has_session_keys(&made.keys).await?,
        "{} made session keys but does not have them: look at its keystore and its log",
        node.url()
    );
    let (url, public) = (node.url().to_owned(), format!("0x{}", hex::encode(&made.keys)));
    let sent = sender.send(made.register()).await?;
    let text = format!("session keys {public}\nof the node at {url} are those of {owner}");
    sender.report(&sent, text, json!({ "keys": public, "node": url }))
}

/// Why a node does not make keys, and what to do.
fn refused(error: ChainError, node: &str) -> anyhow::Error {
    match error {
        ChainError::Refused { .. } => anyhow!(
            "{error:#}; {node} is to be your own node, asked from its own machine or through a tunnel to its loopback: \
             for others nodes make no keys"
        ),
        error => error.into(),
    }
}

async fn purge(args: KeysArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let sent = sender.send(StakingCall::PurgeKeys).await?;
    sender.report(&sent, format_args!("{} has no session keys any more", sent.account), json!({}))
}

async fn simple(args: SignArgs, call: StakingCall, what: &str, action: &str) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let sent = sender.send(call).await?;
    sender.report(&sent, format_args!("{} {what}", sent.account), json!({ "action": action }))
}

async fn commission(args: CommissionArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let commission = args.commission;
    let sent = sender.send(StakingCall::SetCommission { commission }).await?;
    let text = format!("{} keeps {commission} of its delegators' rewards from the next election on", sent.account);
    sender.report(&sent, text, json!({ "commission_ppm": commission.0 }))
}

async fn leave(args: SignArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let sent = sender.send(StakingCall::Leave).await?;
    let (amount, due) = sent.event(stakes::unbonded).context("leaving")?;
    let text = format!("{} is no candidate any more; {} is due in era {due}", sent.account, Bly(amount));
    sender.report(&sent, text, json!({ "amount": amount.to_string(), "due": due }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(subcommand)]
        command: StakeCommand,
    }

    fn parse(words: &[&str]) -> Result<StakeCommand, clap::Error> {
        Line::try_parse_from([&["blyan"], words, &["--key", "//Alice"]].concat()).map(|line| line.command)
    }

    #[test]
    fn a_validator_is_made_of_bond_and_commission() {
        let Ok(StakeCommand::Validator(args)) = parse(&["validator", "1000", "--commission", "2.5%"]) else {
            panic!("it is not understood")
        };
        assert_eq!((args.bond, args.commission), (Bly(1_000 * 10u128.pow(18)), Ppm(25_000)));
        assert!(
            matches!(parse(&["validator", "1000"]), Ok(StakeCommand::Validator(args)) if args.commission == Ppm(0))
        );
        assert!(parse(&["validator"]).is_err() && parse(&["validator", "1000", "--commission", "2.5"]).is_err());
    }

    #[test]
    fn keys_are_made_by_a_node_or_removed() {
        let node = "ws://127.0.0.1:9948";
        assert!(
            matches!(parse(&["keys", "--node", node]), Ok(StakeCommand::Keys(args)) if args.node.as_deref() == Some(node))
        );
        assert!(matches!(parse(&["keys", "--purge"]), Ok(StakeCommand::Keys(args)) if args.purge));
        assert!(parse(&["keys", "--purge", "--node", node]).is_err());
    }

    #[test]
    fn a_key_is_never_printed_with_what_was_understood() {
        let command = Line::try_parse_from(["blyan", "chill", "--key", "//Secret"]).unwrap();
        assert!(!format!("{command:?}").contains("Secret"), "{command:?}");
    }

    #[test]
    fn a_node_that_makes_no_keys_is_explained() {
        let error = ChainError::Refused { what: "new session keys", source: "unsafe".into() };
        let text = refused(error, "wss://rpc.example").to_string();
        assert!(text.contains("your own node") && text.contains("wss://rpc.example"), "{text}");
    }
}
