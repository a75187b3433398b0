//! `blyan dev`: a chain and its workers on this machine, from nothing to a finalized receipt.

mod school;

use crate::{
    api::{Answer, Api, ChatRequest, Message},
    chat::SYSTEM,
    data::Made,
    genesis::{self, Wanted},
    out,
    process::{Interrupted, Interrupts, Program, sibling},
    progress::Steps,
    receipt::wait_final,
};
use anyhow::{Context, Result, ensure};
use blyan_worker::{receipts::bundle::Anchor, run::longest_stop};
use clap::Args;
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

/// Longest wait for a program to be ready. A worker verifies every tile of the model before it is.
const START: Duration = Duration::from_secs(180);
/// Longest wait for an anchor to be finalized: a few blocks, and room for a slow machine.
const FINALITY: Duration = Duration::from_secs(180);
/// Time for running answers at the end: whoever presses Ctrl-C does not want to wait for them for long.
const DRAIN: Duration = Duration::from_secs(10);
/// Time for a node to end after it was asked to, and for workers that have lost theirs.
const GRACE: Duration = Duration::from_secs(20);
/// Accounts that development chains endow, beside the validator's.
const ACCOUNTS: [&str; 5] = ["//Bob", "//Charlie", "//Dave", "//Eve", "//Ferdie"];

/// Roles of a learner's worker, and of those that evaluate deltas and publish what is accepted.
const LEARNER: &str = "serve,gateway,train";
const EVALUATOR: &str = "serve,gateway,evaluate,aggregate";
/// Workers of a network that learns: a learner, and a committee of local networks.
const LEARNING: u8 = 4;

/// Run a chain and its workers on this machine.
///
/// Starts one validator and some workers on a new chain, loads the genesis model into the block store (once; later runs
/// find it there), and stays up until Ctrl-C. With --once, answers one prompt, waits until the receipt's anchor is
/// finalized, and exits. With --learn, the network can be taught: `blyan train` then needs nothing but the first worker's
/// account.
#[derive(Args, Debug)]
pub struct DevArgs {
    /// Answer this prompt, wait for its receipt's finality, and exit.
    #[arg(long, value_name = "PROMPT")]
    once: Option<String>,
    /// With --once: print one JSON object on standard output.
    #[arg(long, requires = "once")]
    json: bool,
    /// Workers to start. Each but the first fetches the model from the first, verifying every tile [default: 1; with --learn 4]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=5))]
    workers: Option<u8>,
    /// Make data sets of these texts, and let all workers but the first evaluate deltas that are trained on them.
    ///
    /// A file or folder as `blyan data pack` takes them; can be given more than once. Of ten documents seven are trained on, two
    /// are held out, and one stands for what the model could do before; with --general eight are trained on.
    #[arg(long, value_name = "FILE|FOLDER", conflicts_with = "once")]
    learn: Vec<PathBuf>,
    /// With --learn: let these texts, of another kind, stand for what the model could do before and is not to lose.
    ///
    /// As --learn; none of their documents is trained on. Without it these are of the same kind as what is trained on, so that
    /// a delta that harms everything else is not found harmful.
    #[arg(long, value_name = "FILE|FOLDER", requires = "learn")]
    general: Vec<PathBuf>,
    /// Use the tiny test model, which answers nonsense at once.
    #[arg(long)]
    tiny: bool,
    /// The genesis model's GGUF file; needed until its blocks are in the store.
    #[arg(long, env = "BLYAN_GENESIS_MODEL", value_name = "FILE")]
    model: Option<PathBuf>,
    /// Folder of the block store, kept between runs.
    #[arg(long, env = "BLYAN_STORE", value_name = "DIR")]
    store: Option<PathBuf>,
    /// Folder of the chain and the workers' receipts. Without it they are temporary.
    #[arg(long, value_name = "DIR")]
    base_path: Option<PathBuf>,
    /// Port of the node's RPC [default: 9944; with --once any free port]
    #[arg(long, value_name = "PORT")]
    rpc_port: Option<u16>,
    /// Port of the first worker's API; the others take those after it [default: 8645; with --once any free port]
    #[arg(long, value_name = "PORT")]
    api_port: Option<u16>,
    /// Longest answer, in tokens, with --once.
    #[arg(long, default_value_t = 128)]
    max_tokens: u32,
}

/// What `--once --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// The text.
    answer: String,
    /// Specification that was executed.
    spec: String,
    /// The receipt's id.
    receipt: String,
    /// Hash of the block that holds the receipt's anchor.
    anchor_block: String,
    /// Its number.
    anchor_block_number: u32,
    /// Whether that block is finalized.
    finalized: bool,
    /// Tokens of the answer.
    tokens: u32,
    /// Tokens of the prompt.
    prompt_tokens: u32,
    /// `stop` or `length`.
    finish_reason: String,
    /// Prompt tokens a second.
    prefill_tokens_per_second: f64,
    /// Answer tokens a second.
    decode_tokens_per_second: f64,
}

impl DevArgs {
    /// How many workers there are to be.
    fn workers(&self) -> Result<u8> {
        let workers = self.workers.unwrap_or(if self.learn.is_empty() { 1 } else { LEARNING });
        ensure!(
            self.learn.is_empty() || workers >= LEARNING,
            "a network that learns has {LEARNING} workers at least: one that trains, and a committee of three"
        );
        Ok(workers)
    }
}

/// A development network. Its processes end with it.
struct Network {
    node: Option<Program>,
    workers: Vec<Program>,
    rpc: String,
    apis: Vec<String>,
    folder: Folder,
    /// Sets of texts that it learns with.
    sets: Vec<Made>,
    /// Whether everything is started.
    up: bool,
}

/// Where the chain and the workers keep things.
enum Folder {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// Runs the command.
pub async fn run(args: DevArgs) -> Result<()> {
    // Taken over before anything starts, so that Ctrl-C at any time stops what is running, in order.
    let mut interrupts = Interrupts::new()?;
    let steps = Steps::new();
    let mut network = Network::new(&args)?;
    let result = tokio::select! {
        result = network.run(&args, &steps) => result,
        interrupted = interrupts.next() => Err(interrupted.into()),
    };
    let result = match result {
        // So a network that is up is meant to end.
        Err(error) if network.up && args.once.is_none() && error.is::<Interrupted>() => Ok(()),
        other => other,
    };
    steps.begin("stopping (Ctrl-C ends everything at once)");
    let stopped = tokio::select! {
        stopped = network.stop() => stopped,
        // What still runs is killed with the network.
        interrupted = interrupts.next() => Err(interrupted.into()),
    };
    steps.finish();
    result.and(stopped)
}

impl Network {
    /// A network of which nothing runs yet.
    fn new(args: &DevArgs) -> Result<Self> {
        let folder = match &args.base_path {
            Some(path) => {
                std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
                Folder::Kept(path.clone())
            },
            None => Folder::Temporary(tempfile::Builder::new().prefix("blyan-dev-").tempdir()?),
        };
        Ok(Self {
            node: None,
            workers: Vec::new(),
            rpc: String::new(),
            apis: Vec::new(),
            folder,
            sets: Vec::new(),
            up: false,
        })
    }

    async fn run(&mut self, args: &DevArgs, steps: &Steps) -> Result<()> {
        // Before anything is started.
        args.workers()?;
        self.start(args, steps).await?;
        self.up = true;
        self.serve(args, steps).await
    }

    async fn start(&mut self, args: &DevArgs, steps: &Steps) -> Result<()> {
        let store = args.store.clone().map_or_else(genesis::default_store, Ok)?;
        steps.begin("starting the node");
        self.start_node(args).await?;
        let wanted = if args.learn.is_empty() { Wanted::Serving } else { Wanted::Masters };
        genesis::ensure_in_store(&self.rpc, &store, args.model.as_deref(), args.tiny, wanted, steps).await?;
        let workers = args.workers()?;
        let accounts = ACCOUNTS.get(..workers.into()).context("there are not so many accounts")?;
        for (index, account) in (0..workers).zip(accounts) {
            steps.begin(&format!("starting worker {} of {workers}", index + 1));
            self.start_worker(args, index, account, &store).await?;
        }
        if let [_, evaluators @ ..] = accounts
            && !args.learn.is_empty()
        {
            self.sets = school::open(&self.rpc, &store, &args.learn, &args.general, evaluators, steps).await?;
        }
        Ok(())
    }

    async fn start_node(&mut self, args: &DevArgs) -> Result<()> {
        let folder = self.folder.path();
        let base = path_text(&folder.join("node"))?;
        let rpc_port = args.rpc_port.unwrap_or(if args.once.is_some() { 0 } else { 9944 }).to_string();
        let chain = if args.tiny { "tiny" } else { "dev" };
        let arguments = [
            ["--chain", chain].as_slice(),
            &["--alice", "--force-authoring", "--base-path", &base],
            &["--rpc-port", &rpc_port, "--port", "0", "--no-mdns", "--no-telemetry", "--no-prometheus"],
        ]
        .concat();
        let log = folder.join("node.log");
        // Kept before it is waited for, so that it is stopped in order should the wait be interrupted.
        let node = self.node.insert(Program::start("the node", &sibling("blyan-node")?, arguments, &log).await?);
        let port = node.wait_for(START, rpc_port_of).await?;
        self.rpc = format!("ws://127.0.0.1:{port}");
        Ok(())
    }

    async fn start_worker(&mut self, args: &DevArgs, index: u8, account: &str, store: &Path) -> Result<()> {
        let base = self.folder.path().join(format!("worker-{index}"));
        std::fs::create_dir_all(&base)?;
        // The first worker uses the common store; the others show that a worker needs nothing but a peer.
        let store = if index == 0 { store.to_owned() } else { base.join("store") };
        let port = match args.api_port {
            Some(port) => port.checked_add(index.into()).context("--api-port leaves no ports for the workers")?,
            None if args.once.is_some() => 0,
            None => 8645 + u16::from(index),
        };
        let listen = format!("127.0.0.1:{port}");
        let mut arguments = vec!["--rpc".into(), self.rpc.clone(), "--key".into(), account.into()];
        arguments.extend(["--http-listen".into(), listen, "--base-path".into(), path_text(&base)?]);
        arguments.extend(["--store".into(), path_text(&store)?]);
        // A person waits for the anchor: one receipt is a batch.
        arguments.extend(["--anchor-every", "1", "--anchor-interval", "1"].map(String::from));
        arguments.extend(["--drain-timeout".into(), DRAIN.as_secs().to_string()]);
        if !args.learn.is_empty() {
            let roles = if index == 0 { LEARNER } else { EVALUATOR };
            arguments.extend(["--roles", roles].map(String::from));
        }
        if let Some(first) = self.apis.first() {
            arguments.extend(["--peers".into(), first.clone()]);
        }
        let log = self.folder.path().join(format!("worker-{index}.log"));
        let name = format!("worker {}", index + 1);
        let worker = Program::start(&name, &sibling("blyan-worker")?, &arguments, &log).await?;
        let worker = self.workers.push_mut(worker);
        let api = worker.wait_for(START, worker_url).await?;
        self.apis.push(api);
        Ok(())
    }

    async fn serve(&mut self, args: &DevArgs, steps: &Steps) -> Result<()> {
        let Some(prompt) = &args.once else {
            steps.finish();
            self.print_guide(args)?;
            return Err(self.first_end().await);
        };
        let api = self.apis.first().context("no worker was started")?.clone();
        tokio::select! {
            result = once(&api, prompt, args, steps) => result,
            error = self.first_end() => Err(error),
        }
    }

    /// Waits until any of the programs ends, which none should.
    async fn first_end(&mut self) -> anyhow::Error {
        let workers = self.workers.iter_mut().map(|worker| Box::pin(worker.ended()));
        let any_worker = async {
            match workers.collect::<Vec<_>>() {
                none if none.is_empty() => std::future::pending().await,
                some => futures::future::select_all(some).await.0,
            }
        };
        let node = async {
            match &mut self.node {
                Some(node) => node.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            error = node => error,
            error = any_worker => error,
        }
    }

    fn print_guide(&self, args: &DevArgs) -> Result<()> {
        let folder = self.folder.path().display();
        let kept = if args.base_path.is_some() { "" } else { " (removed at the end; --base-path keeps it)" };
        out::line("Blyan is up. Ctrl-C stops it.\n")?;
        out::line(format_args!("  chain RPC     {}", self.rpc))?;
        out::line(format_args!("  wallet        https://polkadot.js.org/apps/?rpc={}", self.rpc))?;
        for api in &self.apis {
            out::line(format_args!("  API           {api}/v1        metrics {api}/metrics"))?;
        }
        out::line(format_args!("  logs, data    {folder}{kept}\n"))?;
        if let Some(api) = self.apis.first() {
            // Where it lies, for a shell that does not look there.
            let blyan = std::env::current_exe().context("cannot find this program's own file")?;
            out::line(format_args!("  {} chat --api {api}", blyan.display()))?;
            out::line(format_args!("  curl {api}/v1/chat/completions -H 'content-type: application/json' \\"))?;
            out::line(r#"    -d '{"model":"default","messages":[{"role":"user","content":"Hello"}]}'"#)?;
            if let Some(learner) = ACCOUNTS.first().filter(|_| !self.sets.is_empty()) {
                let store = args.store.clone().map_or_else(genesis::default_store, Ok)?;
                let (program, store) = (blyan.display(), store.display());
                out::line("")?;
                for set in &self.sets {
                    out::line(format_args!("  {:13} {} items   {}", set.purpose.text(), set.items, set.block))?;
                }
                out::line(format_args!("\n  {program} train --key {learner} --store {store} --rpc {}", self.rpc))?;
            }
        }
        Ok(())
    }

    /// Workers first, so that they can anchor what is pending; then the node.
    async fn stop(&mut self) -> Result<()> {
        let grace = match &self.node {
            Some(node) if node.id().is_some() => longest_stop(DRAIN),
            // Nothing can be anchored any more.
            _ => GRACE,
        };
        let stopping = self.workers.iter_mut().map(|worker| worker.stop(grace));
        let mut ended = futures::future::join_all(stopping).await;
        if let Some(node) = &mut self.node {
            ended.push(node.stop(GRACE).await);
        }
        ended.into_iter().try_for_each(|status| status.map(drop))
    }
}

fn path_text(path: &Path) -> Result<String> {
    path.to_str().map(String::from).with_context(|| format!("{} is not UTF-8", path.display()))
}

/// The port in the node's line about its RPC server.
fn rpc_port_of(line: &str) -> Option<u16> {
    let addresses = line.split_once("Running JSON-RPC server: addr=")?.1;
    addresses.split([',', ' ']).next()?.rsplit(':').next()?.parse().ok()
}

/// The address in a worker's line that it is ready.
pub fn worker_url(line: &str) -> Option<String> {
    let url = line.split_once("listening on ")?.1.split_whitespace().next()?;
    url.starts_with("http://").then(|| url.to_owned())
}

async fn once(api: &str, prompt: &str, args: &DevArgs, steps: &Steps) -> Result<()> {
    let api = Api::new(api, None)?;
    steps.begin("answering");
    let messages = vec![Message::new("system", SYSTEM), Message::new("user", prompt)];
    let request = ChatRequest::new("default", messages, args.max_tokens);
    let answer = api.chat(&request, |_| Ok(())).await?;
    if !args.json {
        steps.pause(|| out::line(&answer.text))?;
    }
    steps.begin("waiting for finality");
    let anchor = wait_final(&api, &answer.blyan.receipt, FINALITY).await?;
    steps.finish();
    let report = report(answer, anchor);
    if args.json {
        out::line(serde_json::to_string(&report)?)
    } else {
        out::line(format_args!(
            "\nreceipt {}\nanchored in block {} ({}), finalized; {} tokens at {:.0} a second",
            report.receipt,
            report.anchor_block_number,
            report.anchor_block,
            report.tokens,
            report.decode_tokens_per_second
        ))
    }
}

fn report(answer: Answer, anchor: Anchor) -> Report {
    Report {
        answer: answer.text,
        spec: answer.blyan.spec,
        receipt: answer.blyan.receipt,
        anchor_block: anchor.block_hash,
        anchor_block_number: anchor.block_number,
        finalized: anchor.finalized,
        tokens: answer.usage.completion_tokens,
        prompt_tokens: answer.usage.prompt_tokens,
        finish_reason: answer.finish_reason,
        prefill_tokens_per_second: answer.blyan.prefill_tokens_per_second,
        decode_tokens_per_second: answer.blyan.decode_tokens_per_second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Words {
        #[command(flatten)]
        args: DevArgs,
    }

    #[test]
    fn a_network_that_learns_has_texts_and_enough_workers() {
        let parse = |words: &[&str]| Words::try_parse_from([&["blyan"], words].concat()).map(|words| words.args);
        let args = parse(&["--learn", "a", "--learn", "b", "--general", "c"]).unwrap();
        assert_eq!((args.learn.len(), args.general, args.workers.is_none()), (2, vec![PathBuf::from("c")], true));
        let workers = |words: &[&str]| parse(words).unwrap().workers().map_err(|error| error.to_string());
        assert_eq!((workers(&[]), workers(&["--learn", "a"])), (Ok(1), Ok(LEARNING)));
        assert!(workers(&["--learn", "a", "--workers", "2"]).is_err_and(|error| error.contains("4 workers")));
        // General items are of no use to a network that does not learn.
        assert!(parse(&["--general", "c"]).is_err_and(|error| error.to_string().contains("--learn")));
        assert!(parse(&["--learn", "a", "--once", "Hello"]).is_err());
    }

    #[test]
    fn ready_lines_are_recognised() {
        let line = "2026-01-01 00:00:00 Running JSON-RPC server: addr=127.0.0.1:40123,[::1]:40123";
        assert_eq!(rpc_port_of(line), Some(40123));
        assert_eq!(rpc_port_of("Running something else"), None);
        assert_eq!(worker_url("INFO listening on http://127.0.0.1:1234 for"), Some("http://127.0.0.1:1234".into()));
        assert_eq!(worker_url("listening on /ip4/127.0.0.1"), None);
    }
}
