//! `blyan validators`: who validates, and who wants to.

use crate::{
    out, stakes,
    submit::Reading,
    units::{self, Bly},
};
use anyhow::{Context, Result};
use blyan_chain::{AccountId, State, ValidatorStatus};
use clap::Args;
use serde_json::json;

/// Most candidates that are shown.
const MAX_CANDIDATES: usize = 10_000;
/// Most delegators of one validator that are shown.
const MAX_DELEGATORS: usize = 10_000;

/// Show who validates and who wants to: every candidate, those with the most stake first.
///
/// `elected` is `yes` for the present era, `next` for the one after it, `no keys` where session keys are missing. With an
/// account: that candidate and its delegators.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blyan validators\n  blyan validators --json | jq -r '.validators[] | select(.elected).account'\n  \
    blyan validators 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
)]
pub struct ValidatorsArgs {
    /// Show this candidate and who delegates to it.
    #[arg(value_parser = units::account)]
    account: Option<AccountId>,
    #[command(flatten)]
    reading: Reading,
}

/// Runs the command.
pub async fn run(args: ValidatorsArgs) -> Result<()> {
    let state = args.reading.state().await?;
    match &args.account {
        Some(account) => one(account, &state, args.reading.json).await,
        None => all(&state, args.reading.json).await,
    }
}

async fn all(state: &State, as_json: bool) -> Result<()> {
    let mut validators = state.validators(MAX_CANDIDATES).await?;
    validators.sort_by_key(|(account, status)| (std::cmp::Reverse((status.elected, status.stake())), account.0));
    let era = state.era().await?;
    if as_json {
        let all: Vec<_> = validators.iter().map(|(account, status)| stakes::validator_json(account, status)).collect();
        let value = json!({ "block": state.block().number, "era": stakes::era_json(&era), "validators": all });
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    out::line(format_args!(
        "era {}, {} blocks so far; validators are elected up to era {}\n",
        era.active, era.blocks, era.planned
    ))?;
    let rows: Vec<_> = validators.iter().map(row).collect();
    let headings = ["account", " own", " delegated", " delegators", " commission", "standing", "elected", " blocks"];
    out::table(headings, &rows)
}

fn row((account, status): &(AccountId, ValidatorStatus)) -> [String; 8] {
    let mut standing = stakes::standing(status).to_owned();
    if status.slashes > 0 {
        standing.push_str(", to be slashed");
    }
    [
        account.to_string(),
        Bly(status.own).rounded(),
        Bly(status.delegated).rounded(),
        status.delegators.to_string(),
        status.commission.to_string(),
        standing,
        stakes::elected(status).to_owned(),
        status.blocks.to_string(),
    ]
}

async fn one(account: &AccountId, state: &State, as_json: bool) -> Result<()> {
    let status = state.validator(account).await?;
    let status =
        status.with_context(|| format!("{account} is no candidate; `blyan validators` lists those who are"))?;
    let mut delegators = state.delegators(account, MAX_DELEGATORS).await?;
    delegators.sort_by_key(|(who, amount)| (std::cmp::Reverse(*amount), who.0));
    if as_json {
        let mut value = stakes::validator_json(account, &status);
        let all: Vec<_> = delegators
            .iter()
            .map(|(who, amount)| json!({ "account": who.to_string(), "amount": amount.to_string() }))
            .collect();
        if let Some(value) = value.as_object_mut() {
            value.insert("delegations".to_owned(), json!(all));
            value.insert("block".to_owned(), json!(state.block().number));
        }
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    out::line(format_args!("validator   {account}"))?;
    out::line(format_args!("bond        {}, commission {}", Bly(status.own).short(), status.commission))?;
    out::line(format_args!(
        "state       {}, elected: {}, blocks in this era: {}",
        stakes::standing(&status),
        stakes::elected(&status),
        status.blocks
    ))?;
    out::line(format_args!("delegated   {} by {}", Bly(status.delegated).short(), status.delegators))?;
    delegators
        .iter()
        .try_for_each(|(who, amount)| out::line(format_args!("            {} by {who}", Bly(*amount).short())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::pact::Ppm;

    #[test]
    fn a_row_says_all_there_is() {
        let status = ValidatorStatus {
            own: 10u128.pow(21),
            delegated: 5 * 10u128.pow(17),
            delegators: 3,
            commission: Ppm(25_000),
            active: false,
            has_keys: true,
            elected: true,
            elected_next: false,
            blocks: 9,
            slashes: 1,
        };
        let cells = row(&(AccountId::from([1; 32]), status));
        assert_eq!(cells[1..], ["1000.0000", "0.5000", "3", "2.5 %", "chilled, to be slashed", "yes", "9"]);
    }
}
