//! `blyan worker`: what the chain and a worker say of it.

use crate::{api::Api, out, units::Bly};
use anyhow::{Context, Result, anyhow};
use blyan_chain::{AccountId, ChainClient, ChainOptions};
use blyan_primitives::worker::Roles;
use clap::{Args, Subcommand};

/// What the chain and a worker say of it.
#[derive(Subcommand, Debug)]
pub enum WorkerCommand {
    /// Show a worker's registration, its last heartbeat, and how it feels.
    Status(StatusArgs),
}

/// Which worker.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// The worker's account; without it, that of the worker at --api.
    account: Option<String>,
    /// Where the worker answers.
    #[arg(long, env = "BLYAN_API", default_value = "http://127.0.0.1:8645")]
    api: String,
    /// A node to ask.
    #[arg(long, env = "BLYAN_RPC", default_value = "ws://127.0.0.1:9944")]
    rpc: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(command: WorkerCommand) -> Result<()> {
    let WorkerCommand::Status(args) = command;
    status(&args).await
}

async fn status(args: &StatusArgs) -> Result<()> {
    let health = Api::new(&args.api, None)?.health().await;
    let account = match (&args.account, &health) {
        (Some(account), _) => account.clone(),
        (None, Ok(health)) => {
            let account = health["worker"].as_str();
            account.with_context(|| format!("{} does not tell its account yet; give it", args.api))?.to_owned()
        },
        (None, Err(error)) => return Err(anyhow!("{error:#}; to ask the chain alone, give the worker's account")),
    };
    let account: AccountId = account.parse().map_err(|_| anyhow!("{account} is no account"))?;
    let state = ChainClient::connect(&args.rpc, ChainOptions::default()).await?.at_finalized().await?;
    let worker = state.worker(&account).await?;
    let worker = worker.with_context(|| format!("{account} has no worker at finalized block {}", state.block()))?;
    let (served, balance) = (state.served(&account).await?, state.balance(&account).await?);
    let addresses: Vec<_> =
        worker.info.addresses.iter().map(|address| String::from_utf8_lossy(address).into_owned()).collect();
    let roles = role_names(worker.info.roles);

    if args.json {
        let value = serde_json::json!({
            "account": account.to_string(), "key": format!("0x{}", hex::encode(worker.info.key)), "online": worker.online,
            "tier": worker.tier.0, "roles": roles, "region": worker.info.region, "addresses": addresses,
            "last_heartbeat": worker.last_heartbeat, "bond": worker.bond.to_string(), "anchors": served.next,
            "receipts": served.receipts, "tokens": served.tokens.to_string(), "free": balance.free.to_string(),
            "block": state.block().number, "health": health.ok(),
        });
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    let health = match health {
        Ok(health) => health["status"].as_str().unwrap_or("unknown").to_owned(),
        Err(error) => format!("{error:#}"),
    };
    let online = if worker.online { "online" } else { "offline" };
    out::line(format_args!("worker      {account}, {online}"))?;
    out::line(format_args!("tier        {}, roles {}, region {}", worker.tier, roles.join(", "), worker.info.region))?;
    out::line(format_args!("addresses   {}", addresses.join(", ")))?;
    out::line(format_args!(
        "anchored    {} receipts in {} anchors, {} tokens",
        served.receipts, served.next, served.tokens
    ))?;
    out::line(format_args!(
        "balance     {} BLY free, {} BLY at stake",
        Bly(balance.free).rounded(),
        Bly(worker.bond).rounded()
    ))?;
    out::line(format_args!("health      {health}"))
}

fn role_names(roles: Roles) -> Vec<&'static str> {
    let named = [
        (Roles::SERVE, "serve"),
        (Roles::GATEWAY, "gateway"),
        (Roles::TRAIN, "train"),
        (Roles::EVALUATE, "evaluate"),
        (Roles::AUDIT, "audit"),
        (Roles::AGGREGATE, "aggregate"),
    ];
    named.into_iter().filter(|(role, _)| roles.contains(*role)).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named() {
        assert_eq!(role_names(Roles::SERVE.union(Roles::GATEWAY)), ["serve", "gateway"]);
        assert_eq!(role_names(Roles::ALL).len(), 6);
    }
}
