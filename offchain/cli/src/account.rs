//! `blyan account`: an account's money.

use crate::{
    out,
    submit::{Reading, Sender, Signing, key_source},
    units::{self, Bly},
};
use anyhow::{Context, Result};
use blyan_chain::{AccountId, Call, Key, KeySource};
use clap::{Args, Subcommand};
use serde_json::json;

/// An account's money.
#[derive(Subcommand, Debug)]
pub enum AccountCommand {
    /// Show what an account has, and its address.
    Show(ShowArgs),
    /// Send BLY to an account. The sender's account stays alive.
    #[command(
        after_help = "Example:\n  blyan account send 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty 12.5 --key my.key"
    )]
    Send(SendArgs),
}

/// Which account.
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

/// How much, and to whom.
#[derive(Args, Debug)]
pub struct SendArgs {
    /// Who gets it.
    #[arg(value_parser = units::account)]
    to: AccountId,
    /// How much, in BLY.
    #[arg(value_name = "BLY")]
    amount: Bly,
    #[command(flatten)]
    signing: Signing,
}

/// The account given, or that of the key given.
pub fn chosen(account: Option<AccountId>, key: Option<&KeySource>) -> Result<AccountId> {
    match (account, key) {
        (Some(account), _) => Ok(account),
        (None, Some(key)) => Ok(Key::load(key)?.account()),
        (None, None) => None.context("whose? Give an account, or --key for your own"),
    }
}

/// Runs the command.
pub async fn run(command: AccountCommand) -> Result<()> {
    match command {
        AccountCommand::Show(args) => show(&args).await,
        AccountCommand::Send(args) => send(args).await,
    }
}

async fn show(args: &ShowArgs) -> Result<()> {
    let account = chosen(args.account, args.key.as_ref())?;
    let state = args.reading.state().await?;
    let balance = state.balance(&account).await?;
    let public = format!("0x{}", hex::encode(account.0));
    if args.reading.json {
        let value = json!({
            "account": account.to_string(), "public_key": public, "free": balance.free.to_string(),
            "held": balance.reserved.to_string(), "frozen": balance.frozen.to_string(), "nonce": balance.nonce,
            "block": state.block().number,
        });
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    out::line(format_args!("account     {account}"))?;
    out::line(format_args!("public key  {public}"))?;
    out::line(format_args!("free        {}", Bly(balance.free)))?;
    out::line(format_args!("held        {}", Bly(balance.reserved)))
}

async fn send(args: SendArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let sent = sender.send(Call::Transfer { to: args.to, amount: args.amount.0 }).await?;
    let details = json!({ "to": args.to.to_string(), "amount": args.amount.0.to_string() });
    sender.report(&sent, format_args!("sent {} to {}", args.amount, args.to), details)
}
