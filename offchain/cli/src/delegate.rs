//! `blyan delegate`: putting money behind a validator.

use crate::{
    submit::{Sender, Signing},
    units::{self, Bly, Portion},
};
use anyhow::{Context, Result, bail};
use blyan_chain::{AccountId, StakingCall};
use clap::Args;
use serde_json::json;

/// Put money behind a validator, move it to another, or set what becomes of its rewards.
///
/// A delegation raises its validator's chance to be elected, and earns with it: what is left after the validator's
/// commission is shared by stake. It is slashed with its validator, too. A second delegation to the same validator adds to
/// the first. To take it back: `blyan unbond delegation`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  blyan delegate 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty 500 --key my.key
  blyan delegate 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty 500 --auto-compound 100% --key my.key
  blyan delegate 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty --auto-compound 50% --key my.key
  blyan delegate 5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy all \\
      --from 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty --key my.key")]
pub struct DelegateArgs {
    /// The validator.
    #[arg(value_parser = units::account)]
    validator: AccountId,
    /// How much, in BLY; with --from also `all`. Can be left out with --auto-compound, for a delegation there is.
    #[arg(value_name = "BLY", required_unless_present = "auto_compound")]
    amount: Option<Portion>,
    /// Move it from this validator, at once. What it was exposed to before it still answers for.
    #[arg(long, value_name = "VALIDATOR", value_parser = units::account, requires = "amount")]
    from: Option<AccountId>,
    /// How much of what the delegation earns is added to it, from the next election on [default: 0% for a new one]
    #[arg(long, value_name = "SHARE", value_parser = units::percent)]
    auto_compound: Option<u8>,
    #[command(flatten)]
    signing: Signing,
}

/// Runs the command.
pub async fn run(args: DelegateArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let delegations = sender.state().await?.delegations(&sender.account()).await?;
    let of = |validator: &AccountId| delegations.iter().find(|one| one.validator == *validator).map(|one| one.amount);
    let validator = args.validator;
    let mut done = Vec::new();
    let mut share = args.auto_compound;
    let mut moved = 0;
    let mut sent = None;
    if let Some(portion) = args.amount {
        let (call, amount, text) = match (args.from, portion) {
            (Some(from), portion) => {
                let all = of(&from).with_context(|| format!("{} delegates nothing to {from}", sender.account()))?;
                let amount = portion.of(all);
                (
                    StakingCall::Redelegate { from, to: validator, amount },
                    amount,
                    format!("{} is delegated to {validator} instead of {from}", Bly(amount)),
                )
            },
            (None, Portion::All) => bail!("how much? `all` is for --from; give an amount in BLY"),
            (None, Portion::Part(Bly(amount))) => match of(&validator) {
                Some(_) => (
                    StakingCall::DelegateMore { validator, amount },
                    amount,
                    format!("{} more is delegated to {validator}", Bly(amount)),
                ),
                None => (
                    StakingCall::Delegate { validator, amount, auto_compound: share.take().unwrap_or(0) },
                    amount,
                    format!("{} is delegated to {validator}", Bly(amount)),
                ),
            },
        };
        sent = Some(sender.send(call).await?);
        moved = amount;
        done.push(text);
    }
    if let Some(share) = share {
        sent = Some(sender.send(StakingCall::SetAutoCompound { validator, share }).await?);
        done.push(format!("{share} % of what it earns is added to it"));
    }
    let sent = sent.context("nothing to do; give an amount or --auto-compound")?;
    let now = sender.client.at(sent.block).await?.delegations(&sent.account).await?;
    let now = now.into_iter().find(|one| one.validator == validator);
    let details = json!({
        "validator": validator.to_string(), "amount": moved.to_string(), "from": args.from.map(|from| from.to_string()),
        "delegated": now.map_or(0, |one| one.amount).to_string(),
        "auto_compound_percent": now.map_or(0, |one| one.auto_compound),
    });
    sender.report(&sent, done.join("\n"), details)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(flatten)]
        args: DelegateArgs,
    }

    const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
    const DAVE: &str = "5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy";

    fn parse(words: &[&str]) -> Result<DelegateArgs, clap::Error> {
        Line::try_parse_from([&["blyan", "--key", "//Alice"], words].concat()).map(|line| line.args)
    }

    #[test]
    fn a_delegation_is_made_moved_or_changed() {
        let made = parse(&[BOB, "12.5", "--auto-compound", "100%"]).unwrap();
        assert_eq!(
            (made.amount.map(|amount| amount.of(0)), made.auto_compound),
            (Some(12_500_000_000_000_000_000), Some(100))
        );
        let moved = parse(&[BOB, "all", "--from", DAVE]).unwrap();
        assert_eq!((moved.from, moved.amount), (Some(DAVE.parse().unwrap()), Some(Portion::All)));
        assert_eq!(parse(&[BOB, "--auto-compound", "50%"]).unwrap().amount, None);
    }

    #[test]
    fn what_makes_no_delegation_is_refused() {
        for words in
            [&[BOB][..], &["//Bob", "5"], &[BOB, "five"], &[BOB, "--from", DAVE], &[BOB, "5", "--auto-compound", "5"]]
        {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
