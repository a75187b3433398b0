//! `blyan unbond`: taking bonds and delegations back.

use crate::{
    stakes,
    submit::{Sender, Signing},
    units::{self, Bly, Portion},
};
use anyhow::{Context, Result, bail};
use blyan_chain::{AccountId, BondKind, Event, StakingCall, StakingEvent};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

/// Take bonds and delegations back.
///
/// What is unbonded stays held, and is slashed like the rest, until it is due: `blyan stake show` says when. Then `blyan
/// unbond withdraw` returns it.
#[derive(Subcommand, Debug)]
#[command(after_help = "Examples:
  blyan unbond validator 500 --key my.key
  blyan unbond delegation 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty all --key my.key
  blyan unbond worker all --key my.key
  blyan unbond withdraw --key my.key")]
pub enum UnbondCommand {
    /// Send a part of your own bond as a validator on its way back; `all` means to leave.
    Validator(AmountArgs),
    /// Send a part of a delegation, or all of it, on its way back.
    Delegation(DelegationArgs),
    /// Send a part of what you have at stake as a worker, or all of it, on its way back.
    Worker(AmountArgs),
    /// Take back what is due, of every kind of bond or of one.
    Withdraw(WithdrawArgs),
}

/// How much.
#[derive(Args, Debug)]
pub struct AmountArgs {
    /// How much, in BLY, or `all`.
    #[arg(value_name = "BLY|all")]
    amount: Portion,
    #[command(flatten)]
    signing: Signing,
}

/// How much of which delegation.
#[derive(Args, Debug)]
pub struct DelegationArgs {
    /// The validator.
    #[arg(value_parser = units::account)]
    validator: AccountId,
    /// How much, in BLY, or `all`.
    #[arg(value_name = "BLY|all")]
    amount: Portion,
    #[command(flatten)]
    signing: Signing,
}

/// Which bonds.
#[derive(Args, Debug)]
pub struct WithdrawArgs {
    /// Which kind of bond [default: each of which something is due]
    #[arg(value_enum)]
    kind: Option<Kind>,
    #[command(flatten)]
    signing: Signing,
}

/// A kind of bond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A validator's own.
    Validator,
    /// Delegated to validators.
    Delegation,
    /// A worker's.
    Worker,
}

impl From<Kind> for BondKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Validator => Self::Validator,
            Kind::Delegation => Self::Delegation,
            Kind::Worker => Self::Worker,
        }
    }
}

/// Runs the command.
pub async fn run(command: UnbondCommand) -> Result<()> {
    match command {
        UnbondCommand::Validator(args) => {
            let mut sender = Sender::open(&args.signing).await?;
            let all = sender.state().await?.ledger(&sender.account()).await?.validator.active;
            unbond(&mut sender, StakingCall::Unbond { amount: args.amount.of(all) }).await
        },
        UnbondCommand::Worker(args) => {
            let mut sender = Sender::open(&args.signing).await?;
            let all = sender.state().await?.ledger(&sender.account()).await?.worker.active;
            unbond(&mut sender, StakingCall::UnbondWorker { amount: args.amount.of(all) }).await
        },
        UnbondCommand::Delegation(args) => {
            let mut sender = Sender::open(&args.signing).await?;
            let (account, validator) = (sender.account(), args.validator);
            let delegations = sender.state().await?.delegations(&account).await?;
            let found = delegations.iter().find(|one| one.validator == validator);
            let all = found.with_context(|| format!("{account} delegates nothing to {validator}"))?.amount;
            unbond(&mut sender, StakingCall::Undelegate { validator, amount: args.amount.of(all) }).await
        },
        UnbondCommand::Withdraw(args) => withdraw(args).await,
    }
}

async fn unbond(sender: &mut Sender, call: StakingCall) -> Result<()> {
    let sent = sender.send(call).await?;
    let (amount, due) = sent.event(stakes::unbonded)?;
    let state = sender.client.at(sent.block).await?;
    let (era, network) = (state.era().await?, state.pact_status().await?.network);
    let text = format!("{} is on its way back, {}", Bly(amount), stakes::when(due, era.active, &network));
    sender.report(&sent, text, json!({ "amount": amount.to_string(), "due": due, "era": era.active }))
}

async fn withdraw(args: WithdrawArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let kinds = match args.kind {
        // Asked for by name, the chain says why it cannot be.
        Some(kind) => vec![kind.into()],
        None => due(&sender).await?,
    };
    let mut total = 0u128;
    let mut last = None;
    for kind in kinds {
        let sent = sender.send(StakingCall::Withdraw { kind }).await?;
        let amount = sent.event(|event| match event {
            Event::Staking(StakingEvent::Withdrawn { amount, .. }) => Some(*amount),
            _ => None,
        })?;
        total = total.saturating_add(amount);
        last = Some(sent);
    }
    let sent = last.context("nothing was withdrawn")?;
    sender.report(&sent, format_args!("{} is back", Bly(total)), json!({ "amount": total.to_string() }))
}

/// The kinds of bond of which something is due.
async fn due(sender: &Sender) -> Result<Vec<BondKind>> {
    let (account, state) = (sender.account(), sender.state().await?);
    let (ledger, era) = (state.ledger(&account).await?, state.era().await?);
    let due: Vec<_> =
        ledger.bonds().into_iter().filter(|(_, bond)| bond.due(era.active) > 0).map(|(kind, _)| kind).collect();
    if due.is_empty() {
        let next = ledger.bonds().into_iter().flat_map(|(_, bond)| &bond.unbonding).map(|part| part.due).min();
        match next {
            Some(next) => {
                let network = state.pact_status().await?.network;
                bail!("nothing of {account} is due yet; the next part is {}", stakes::when(next, era.active, &network))
            },
            None => bail!("nothing of {account} is on its way back; `blyan unbond` sends it"),
        }
    }
    Ok(due)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(subcommand)]
        command: UnbondCommand,
    }

    fn parse(words: &[&str]) -> Result<UnbondCommand, clap::Error> {
        Line::try_parse_from([&["blyan"], words, &["--key", "//Alice"]].concat()).map(|line| line.command)
    }

    #[test]
    fn every_kind_of_bond_can_be_taken_back() {
        let bob = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
        assert!(
            matches!(parse(&["validator", "all"]), Ok(UnbondCommand::Validator(args)) if args.amount == Portion::All)
        );
        assert!(matches!(parse(&["worker", "2.5"]), Ok(UnbondCommand::Worker(args)) if args.amount != Portion::All));
        assert!(matches!(parse(&["delegation", bob, "5"]), Ok(UnbondCommand::Delegation(_))));
        assert!(matches!(parse(&["withdraw"]), Ok(UnbondCommand::Withdraw(args)) if args.kind.is_none()));
        assert!(
            matches!(parse(&["withdraw", "worker"]), Ok(UnbondCommand::Withdraw(args)) if args.kind == Some(Kind::Worker))
        );
        assert!(parse(&["delegation", "all"]).is_err() && parse(&["validator"]).is_err());
    }
}
