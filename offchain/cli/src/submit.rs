//! How a command signs a call, sends it, and waits until it is final.

use crate::{
    out,
    process::Interrupts,
    progress::Steps,
    units::{Bly, shown},
};
use anyhow::{Context, Result, anyhow, bail};
use blyan_chain::{
    AccountId, BlockRef, Call, ChainClient, ChainOptions, DispatchError, Event, Hash, Key, KeySource, State,
    tx::{Dispatch, Inclusion, NeverIncluded, Outcome, Status, SubmissionError, SubmissionId, TxManager, TxOptions},
};
use clap::Args;
use serde_json::{Value, json};
use std::{fmt::Display, path::PathBuf, time::Duration};
use tempfile::TempDir;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often what is waited for is told anew.
const TELL: Duration = Duration::from_millis(500);

/// The Pact's limits that calls run into, by the errors of `Staking` that say so.
const LIMITS: [(&str, &str); 4] = [
    ("BelowMinSelfBond", "staking.min_self_bond"),
    ("BelowMinDelegation", "staking.min_delegation"),
    ("BelowMinWorkerBond", "staking.min_worker_bond"),
    ("CommissionTooHigh", "staking.max_commission"),
];

/// Which node to ask.
#[derive(Args, Debug)]
pub struct Reading {
    /// A node to ask.
    #[arg(long, env = "BLYAN_RPC", default_value = "ws://127.0.0.1:9944", value_name = "URL")]
    pub rpc: String,
    /// Print JSON; amounts are in the smallest unit of BLY, 10⁻¹⁸.
    #[arg(long)]
    pub json: bool,
}

impl Reading {
    /// The state after the node's finalized head.
    pub async fn state(&self) -> Result<State> {
        Ok(ChainClient::connect(&self.rpc, ChainOptions::default()).await?.at_finalized().await?)
    }
}

/// Which node to send to, and who signs.
// Nothing is flattened into it: what has other arguments in it cannot be optional.
#[derive(Args, Debug)]
pub struct Signing {
    /// A node to send to.
    #[arg(long, env = "BLYAN_RPC", default_value = "ws://127.0.0.1:9944", value_name = "URL")]
    rpc: String,
    /// Print JSON; amounts are in the smallest unit of BLY, 10⁻¹⁸.
    #[arg(long)]
    json: bool,
    /// Who signs: a secret URI (phrase, 0x-seed or //Dev), or a file that holds one and that nobody else can read.
    #[arg(long, env = "BLYAN_KEY", value_name = "URI|FILE", hide_env_values = true, value_parser = key_source)]
    key: KeySource,
    /// Longest wait for finality, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// The key in a file, or of a secret URI.
pub fn key_source(text: &str) -> Result<KeySource, String> {
    let path = PathBuf::from(text);
    Ok(if path.is_file() { KeySource::File(path) } else { KeySource::Uri(text.to_owned()) })
}

/// Signs and sends for one account, for the length of one command.
pub struct Sender {
    /// The node.
    pub client: ChainClient,
    /// What is shown meanwhile.
    pub steps: Steps,
    key: Key,
    interrupts: Interrupts,
    limit: Duration,
    json: bool,
    sent: u32,
    /// What a command has not finished is not taken up by the next one: a person decides anew.
    journal: TempDir,
}

/// A call that was made, in a finalized block.
#[derive(Debug)]
pub struct Sent {
    /// The account.
    pub account: AccountId,
    /// The block.
    pub block: BlockRef,
    /// Hash of the extrinsic.
    pub extrinsic: Hash,
    /// What it caused.
    pub events: Vec<Event>,
}

impl Sender {
    /// Connects to the node.
    pub async fn open(args: &Signing) -> Result<Self> {
        let key = Key::load(&args.key)?;
        let interrupts = Interrupts::new()?;
        let client = ChainClient::connect(&args.rpc, ChainOptions::default()).await?;
        let journal = tempfile::Builder::new().prefix("blyan-").tempdir()?;
        Ok(Self {
            client,
            steps: Steps::new(),
            key,
            interrupts,
            limit: Duration::from_secs(args.timeout),
            json: args.json,
            sent: 0,
            journal,
        })
    }

    /// Who signs.
    pub fn account(&self) -> AccountId {
        self.key.account()
    }

    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// The state after the node's finalized head.
    pub async fn state(&self) -> Result<State> {
        Ok(self.client.at_finalized().await?)
    }

    /// Awaits some work, unless it is interrupted.
    ///
    /// # Errors
    /// Those of the work; [`Interrupted`](crate::process::Interrupted).
    pub async fn unless_interrupted<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            result = work => result,
            interrupted = self.interrupts.next() => Err(interrupted.into()),
        }
    }

    /// Makes a call, and waits until it is final.
    ///
    /// # Errors
    /// What the chain has against it, by the chain's own name and words; [`Interrupted`](crate::process::Interrupted).
    pub async fn send(&mut self, call: impl Into<Call>) -> Result<Sent> {
        let id = SubmissionId::new(self.sent.to_string())?;
        self.sent = self.sent.saturating_add(1);
        let (key, folder) = (self.key.clone(), self.journal.path());
        let manager = TxManager::open(&self.client, key, folder, TxOptions::default()).await?;
        let outcome = self.carry_out(&manager, &id, call.into()).await;
        self.steps.finish();
        manager.close().await;
        let outcome = outcome?;
        let account = self.account();
        match outcome {
            Outcome::Included(Inclusion { block, extrinsic, dispatch: Dispatch::Ok(events), .. }) => {
                Ok(Sent { account, block, extrinsic, events })
            },
            other => match other.success() {
                // Only calls that are not signed as a whole end so, and no command makes any.
                Ok((block, _)) => bail!("the call's effect is in block {block} already"),
                Err(error) => Err(self.explained(error).await),
            },
        }
    }

    async fn carry_out(&mut self, manager: &TxManager, id: &SubmissionId, call: Call) -> Result<Outcome> {
        manager.submit(id, call).await?;
        let mut outcome = std::pin::pin!(manager.outcome(id));
        let mut deadline = std::pin::pin!(sleep(self.limit));
        let mut ticks = interval(TELL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = String::new();
        loop {
            tokio::select! {
                outcome = &mut outcome => return Ok(outcome?),
                _ = ticks.tick() => {
                    let now = progress(&manager.status(id)?, manager.trouble());
                    if now != told {
                        self.steps.begin(&now);
                        told = now;
                    }
                },
                () = &mut deadline => {
                    bail!("not final within {:?} ({told}){}", self.limit, loose(&manager.status(id)?));
                },
                interrupted = self.interrupts.next() => {
                    self.steps.finish();
                    eprintln!("{told}{}", loose(&manager.status(id)?));
                    return Err(interrupted.into());
                },
            }
        }
    }

    /// `error` with the numbers that it is about.
    async fn explained(&self, error: SubmissionError) -> anyhow::Error {
        let numbers = match &error {
            SubmissionError::Dispatch { error, .. } => match &**error {
                DispatchError::Pallet { pallet, name, .. } if pallet == "Staking" => self.limit_of(name).await,
                DispatchError::Runtime(said) if said.contains("Funds are unavailable") => self.funds().await,
                _ => Ok(None),
            },
            SubmissionError::NeverIncluded(NeverIncluded::Refused(said)) if said.contains("Inability to pay") => {
                self.funds().await
            },
            _ => Ok(None),
        };
        match numbers {
            Ok(Some(numbers)) => anyhow!("{error}; {numbers}"),
            Ok(None) => error.into(),
            Err(failed) => anyhow!("{error}; the numbers behind that could not be asked for: {failed:#}"),
        }
    }

    async fn limit_of(&self, error: &str) -> Result<Option<String>> {
        let Some((_, name)) = LIMITS.iter().find(|(limit, _)| *limit == error) else { return Ok(None) };
        let pact = self.state().await?.pact_status().await?;
        let entry = pact.entries.iter().find(|entry| entry.name == *name);
        Ok(entry.map(|entry| format!("{name} is {}", shown(entry.unit, entry.value))))
    }

    async fn funds(&self) -> Result<Option<String>> {
        let balance = self.state().await?.balance(&self.account()).await?;
        let free = balance.free.saturating_sub(balance.frozen);
        Ok(Some(format!("{} has {} that is not held", self.account(), Bly(free))))
    }

    /// Tells what was done: `text` to people, `details` beside the place in the chain to programs.
    pub fn report(&self, sent: &Sent, text: impl Display, details: Value) -> Result<()> {
        if self.json {
            return out::line(serde_json::to_string_pretty(&sent.with(details))?);
        }
        out::line(text)?;
        out::line(format_args!("in block {}, final", sent.block))
    }
}

impl Sent {
    /// The first event that `find` recognises.
    ///
    /// # Errors
    /// When there is none, which means that the chain's runtime is not the one that this program knows.
    pub fn event<T>(&self, find: impl FnMut(&Event) -> Option<T>) -> Result<T> {
        self.events
            .iter()
            .find_map(find)
            .with_context(|| format!("the call is in block {}, but the chain does not say what came of it", self.block))
    }

    fn with(&self, details: Value) -> Value {
        let mut all = json!({
            "account": self.account.to_string(), "block": self.block.number, "block_hash": self.block.hash,
            "extrinsic": self.extrinsic,
        });
        if let (Some(all), Value::Object(details)) = (all.as_object_mut(), details) {
            all.extend(details);
        }
        all
    }
}

/// What is being waited for.
fn progress(status: &Status, trouble: Option<String>) -> String {
    let what = match status {
        Status::Open { extrinsic: None, .. } | Status::Done(_) => "signing".to_owned(),
        Status::Open { refusal: Some(said), .. } => format!("the node does not take it yet: {said}"),
        Status::Open { extrinsic: Some(hash), .. } => format!("sent {hash}, waiting for finality"),
    };
    match trouble {
        Some(trouble) => format!("{what}; {trouble}"),
        None => what,
    }
}

/// What may still come of a call that nobody waits for any more.
fn loose(status: &Status) -> String {
    match status {
        Status::Open { extrinsic: Some(hash), .. } => {
            format!("; extrinsic {hash} may still be included, for three minutes: look before you send it again")
        },
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_file_where_there_is_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = key_source(file.path().to_str().unwrap()).unwrap();
        assert!(matches!(source, KeySource::File(path) if path == file.path()));
        assert!(matches!(key_source("//Alice").unwrap(), KeySource::Uri(uri) if uri == "//Alice"));
    }

    #[test]
    fn what_stands_in_the_way_is_told_while_waiting() {
        let open = |extrinsic, refusal| Status::Open { extrinsic, nonce: None, signed: 1, refusal };
        let hash = Some(Hash([1; 32]));
        assert_eq!(progress(&open(None, None), None), "signing");
        assert!(progress(&open(hash, None), None).contains("waiting for finality"));
        assert!(progress(&open(hash, Some("no funds".into())), None).contains("no funds"));
        assert!(progress(&open(hash, None), Some("the node is away".into())).ends_with("the node is away"));
        assert!(loose(&open(hash, None)).contains("may still be included") && loose(&open(None, None)).is_empty());
    }

    #[test]
    fn a_report_for_programs_has_place_and_details() {
        let sent = Sent {
            account: Key::from_uri("//Alice").unwrap().account(),
            block: BlockRef { number: 7, hash: Hash([2; 32]) },
            extrinsic: Hash([3; 32]),
            events: Vec::new(),
        };
        let value = sent.with(json!({ "amount": "5" }));
        assert_eq!((&value["block"], &value["amount"]), (&json!(7), &json!("5")));
        assert_eq!(value["extrinsic"], json!(Hash([3; 32]).to_string()));
        assert!(sent.event(|_| None::<()>).is_err());
    }
}
