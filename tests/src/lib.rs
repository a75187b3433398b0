//! Starts real nodes and workers for end-to-end tests, each with its own ports, folders and keys.

pub mod learning;

use anyhow::{Context, Result, ensure};
use blyan_chain::{ChainClient, ChainOptions, Key, Served};
use blyan_cli::{
    api::Api,
    dev::worker_url,
    genesis,
    process::{Program, sibling},
};
use std::{
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

/// Longest wait for a program to be ready. Two tests share two cores, and a cold runtime is compiled at start.
pub const START: Duration = Duration::from_secs(90);

/// Longest run of one `blyan` command.
pub const COMMAND: Duration = Duration::from_secs(180);

/// The validators of the local network, by the flags that give each its keys.
pub const VALIDATORS: [&str; 4] = ["alice", "bob", "charlie", "dave"];

/// The chain of the local network with the tiny model.
const LOCAL: &str = "tiny-local";

/// A running node.
#[derive(Debug)]
pub struct Node {
    /// The process.
    pub program: Program,
    /// WebSocket URL of its RPC.
    pub rpc: String,
    /// Its address for other nodes.
    pub multiaddr: String,
}

impl Node {
    /// Starts a node of `chain` with its database in `base`; `args` are added. Ports are chosen by the system, but for
    /// those in `args`.
    pub async fn start(chain: &str, base: &Path, args: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(base)?;
        let base_path = base.join("node");
        let base_path = base_path.to_str().context("the folder's name is not UTF-8")?;
        let mut all = vec!["--chain", chain, "--base-path", base_path, "--no-telemetry"];
        if !args.contains(&"--prometheus-port") {
            all.push("--no-prometheus");
        }
        for (flag, free) in [("--rpc-port", "0"), ("--port", "0")] {
            if !args.contains(&flag) {
                all.extend([flag, free]);
            }
        }
        all.extend(args);
        let mut program = Program::start("blyan-node", &sibling("blyan-node")?, &all, &base.join("node.log")).await?;
        let (mut identity, mut port) = (None, None);
        let (identity, port) = program
            .wait_for(START, |line| {
                identity = after(line, "Local node identity is: ").or(identity.take());
                port = after(line, "Running JSON-RPC server: addr=").and_then(port_of).or(port.take());
                identity.clone().zip(port.clone())
            })
            .await?;
        let p2p = args.iter().skip_while(|arg| **arg != "--port").nth(1).copied().unwrap_or("0");
        Ok(Self {
            program,
            rpc: format!("ws://127.0.0.1:{port}"),
            multiaddr: format!("/ip4/127.0.0.1/tcp/{p2p}/p2p/{identity}"),
        })
    }

    /// A node that makes blocks alone, with the tiny model.
    pub async fn tiny(base: &Path) -> Result<Self> {
        Self::start("tiny", base, &["--alice", "--force-authoring"]).await
    }

    /// How many lines of its log have `text`.
    pub async fn count_logged(&self, text: &str) -> Result<usize> {
        let log = tokio::fs::read_to_string(self.program.log()).await?;
        Ok(log.lines().filter(|line| line.contains(text)).count())
    }

    /// Waits until more than `known` lines of its log have `text`.
    pub async fn wait_logged(&self, text: &str, known: usize, limit: Duration) -> Result<()> {
        timeout(limit, async {
            while self.count_logged(text).await? <= known {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        })
        .await
        .with_context(|| format!("{} has no further {text:?} after {limit:?}", self.program.log().display()))?
    }

    /// Calls an RPC method over HTTP, which the same port serves.
    pub async fn call(&self, method: &str, params: serde_json::Value) -> Result<serde_json::Value> {
        let body = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let url = self.rpc.replacen("ws://", "http://", 1);
        let answer: serde_json::Value = reqwest::Client::new().post(url).json(&body).send().await?.json().await?;
        match answer.get("error") {
            Some(error) => anyhow::bail!("{method}: {error}"),
            None => Ok(answer.get("result").cloned().unwrap_or_default()),
        }
    }

    /// Number of the finalized head.
    pub async fn finalized(&self) -> Result<u64> {
        let hash = self.call("chain_getFinalizedHead", serde_json::json!([])).await?;
        let header = self.call("chain_getHeader", serde_json::json!([hash])).await?;
        let number = header["number"].as_str().context("a header without a number")?;
        Ok(u64::from_str_radix(number.trim_start_matches("0x"), 16)?)
    }

    /// What the worker with `key` has anchored, in finalized blocks.
    pub async fn served(&self, key: &str) -> Result<Served> {
        let client = ChainClient::connect(&self.rpc, ChainOptions::default()).await?;
        Ok(client.at_finalized().await?.served(&Key::from_uri(key)?.account()).await?)
    }

    /// Waits until the worker with `key` is registered and has sent its first heartbeat: until then it anchors nothing.
    pub async fn wait_online(&self, key: &str) -> Result<()> {
        let client = ChainClient::connect(&self.rpc, ChainOptions::default()).await?;
        let account = Key::from_uri(key)?.account();
        timeout(START, async {
            while !client.at_finalized().await?.worker(&account).await?.is_some_and(|worker| worker.online) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok(())
        })
        .await
        .with_context(|| format!("the worker {key} was not online within {START:?}"))?
    }

    /// Waits until block `number` is finalized.
    pub async fn wait_finalized(&self, number: u64, limit: Duration) -> Result<()> {
        tokio::time::timeout(limit, async {
            while self.finalized().await? < number {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok(())
        })
        .await
        .with_context(|| format!("block {number} was not finalized within {limit:?}"))?
    }
}

/// The local network with the tiny model: four validators, on loopback.
#[derive(Debug)]
pub struct Network {
    /// Its nodes, in the order of [`VALIDATORS`].
    pub nodes: Vec<Node>,
}

impl Network {
    /// Starts the validators, with all that they keep in `base`.
    pub async fn start(base: &Path) -> Result<Self> {
        // The others are told its address, so that its port has to be known.
        let first =
            Node::start(LOCAL, &base.join(VALIDATORS[0]), &["--alice", "--no-mdns", "--port", &free_port()]).await?;
        let mut network = Self { nodes: vec![first] };
        for name in &VALIDATORS[1..] {
            let node = network.join(&base.join(name), &[&format!("--{name}")]).await?;
            network.nodes.push(node);
        }
        Ok(network)
    }

    /// Starts another node of the network with all that it keeps in `base`; `args` are added.
    pub async fn join(&self, base: &Path, args: &[&str]) -> Result<Node> {
        let boot = &self.nodes.first().context("the network has no node")?.multiaddr;
        let mut all = vec!["--no-mdns", "--bootnodes", boot];
        all.extend(args);
        Node::start(LOCAL, base, &all).await
    }

    /// Starts another node that validates with the session keys which it is asked to make. It has none yet.
    pub async fn join_as_validator(&self, base: &Path) -> Result<Node> {
        let folder = base.join("node");
        let folder = folder.to_str().context("the folder's name is not UTF-8")?;
        let make = ["key", "generate-node-key", "--chain", LOCAL, "--base-path", folder];
        run_program("blyan-node", &make).await?;
        self.join(base, &["--validator", "--rpc-methods", "unsafe"]).await
    }
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    /// The process.
    pub program: Program,
    /// Base URL of its API.
    pub api: String,
    /// Folder of its block store.
    pub store: PathBuf,
}

impl Worker {
    /// A worker in `base`, with the tiny model in its own store; anchors each receipt at once.
    pub async fn first(node: &Node, base: &Path) -> Result<Self> {
        let store = base.join("worker").join("store");
        put_tiny(&store)?;
        Self::start(node, &base.join("worker"), "//Bob", &["--anchor-every", "1", "--anchor-interval", "1"]).await
    }

    /// Starts a worker with all it keeps in `base`, the store among it; `args` are added.
    pub async fn start(node: &Node, base: &Path, key: &str, args: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(base)?;
        let text = base.to_str().context("the folder's name is not UTF-8")?;
        let mut all = vec!["--rpc", &node.rpc, "--key", key, "--base-path", text];
        if !args.contains(&"--http-listen") {
            all.extend(["--http-listen", "127.0.0.1:0"]);
        }
        all.extend(args);
        let binary = sibling("blyan-worker")?;
        let mut program = Program::start("blyan-worker", &binary, &all, &base.join("worker.log")).await?;
        let api = program.wait_for(START, worker_url).await?;
        Ok(Self { program, api, store: base.join("store") })
    }

    /// Its API.
    pub fn api(&self) -> Result<Api> {
        Api::new(&self.api, None)
    }

    /// Waits until its log has a line with `text`.
    pub async fn wait_logged(&self, text: &str) -> Result<()> {
        let log = self.program.log();
        timeout(START, async {
            while !tokio::fs::read_to_string(log).await?.contains(text) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        })
        .await
        .with_context(|| format!("{} has no {text:?} after {START:?}", log.display()))?
    }
}

/// Flips a bit of an expert's block in the store in `folder`, whether or not a worker computes on it. Returns its hash.
pub fn damage_an_expert(folder: &Path) -> Result<String> {
    let store = genesis::open_store(folder)?;
    for listed in store.list()? {
        let block = store.get(&listed.hash)?;
        if block.header().kind.to_string() != "expert" {
            continue;
        }
        let file = std::fs::File::options().read(true).write(true).open(block.path().context("it is in no file")?)?;
        let (mut byte, at) = ([0], block.file_len() - 100);
        file.read_exact_at(&mut byte, at)?;
        file.write_all_at(&[byte[0] ^ 1], at)?;
        file.sync_all()?;
        return Ok(listed.hash.to_string());
    }
    anyhow::bail!("{} has no expert", folder.display())
}

/// Puts the tiny model's blocks into the store in `folder`.
pub fn put_tiny(folder: &Path) -> Result<()> {
    let store = genesis::open_store(folder)?;
    genesis::import_tiny(&store)?;
    Ok(())
}

/// Runs one of the scripts in `tests/clients` with `program`; scripts/test has installed what they need.
pub async fn client(program: &str, script: &str, args: &[&str]) -> Result<()> {
    let out = run_script("BLYAN_CLIENTS", program, script, args).await?;
    ensure!(out.trim().ends_with("ok"), "{script} did not say that it is content:\n{out}");
    Ok(())
}

/// One of the scripts in `tests/clients` that runs beside a test, which hears by lines how far it is.
#[derive(Debug)]
pub struct Script {
    program: Program,
}

impl Script {
    /// Starts `script` with Node.js. What it prints goes to a file in `base`.
    pub async fn start(script: &str, args: &[&str], base: &Path) -> Result<Self> {
        let mut all = vec![installed("BLYAN_CLIENTS")?.join(script)];
        all.extend(args.iter().map(PathBuf::from));
        let log = base.join(script).with_extension("log");
        Ok(Self { program: Program::start(script, Path::new("node"), &all, &log).await? })
    }

    /// Waits until it prints `line`. Otherwise the error is with all that it has printed.
    pub async fn wait_line(&mut self, line: &str, limit: Duration) -> Result<()> {
        let found = self.program.wait_for(limit, |printed| (printed == line).then_some(())).await;
        let Err(error) = found else { return Ok(()) };
        let printed = tokio::fs::read_to_string(self.program.log()).await?;
        Err(error.context(format!("no line {line:?}:\n{printed}")))
    }
}

/// Runs one of the scripts in `tests/operation` and returns what it printed.
pub async fn operation(script: &str, args: &[&str]) -> Result<String> {
    run_script("BLYAN_OPERATION", "python3", script, args).await
}

/// A program that scripts/lib/operation.sh took from Debian's packages.
pub fn debian(program: &str) -> Result<PathBuf> {
    Ok(installed("BLYAN_OPERATION")?.join("debian/usr/bin").join(program))
}

/// The folder that `variable` names, into which scripts/test installs what tests speak with.
fn installed(variable: &str) -> Result<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    folder
        .with_context(|| format!("{variable} is not set: run the tests by scripts/test, which installs what they need"))
}

async fn run_script(variable: &str, program: &str, script: &str, args: &[&str]) -> Result<String> {
    let folder = installed(variable)?;
    let run = Command::new(program)
        .arg(folder.join(script))
        .args(args)
        .env("PYTHONPATH", folder.join("python"))
        .kill_on_drop(true)
        .output();
    let output = timeout(START, run).await.with_context(|| format!("{script} did not end within {START:?}"))??;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{script}: {}\n{out}\n{err}", output.status);
    Ok(out.into_owned())
}

/// Runs `blyan` and returns what it printed on standard output; fails with its standard error.
pub async fn blyan(args: &[&str]) -> Result<String> {
    run_program("blyan", args).await
}

async fn run_program(name: &str, args: &[&str]) -> Result<String> {
    let run = Command::new(sibling(name)?).args(args).kill_on_drop(true).output();
    let output =
        timeout(COMMAND, run).await.with_context(|| format!("{name} {args:?} took longer than {COMMAND:?}"))??;
    let err = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} {args:?}: {}\n{err}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn after(line: &str, mark: &str) -> Option<String> {
    let rest = line.split_once(mark)?.1;
    rest.split([' ', ',']).next().map(str::to_owned)
}

fn port_of(address: String) -> Option<String> {
    address.rsplit(':').next().map(str::to_owned)
}

/// A TCP port that was free a moment ago, for programs that come back and have to have the address they had.
pub fn free_port() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    port.expect("loopback has a free port").port().to_string()
}

/// A folder that is removed at the end of a test.
pub fn folder() -> TempDir {
    tempfile::Builder::new().prefix("blyan-e2e-").tempdir().expect("a temporary folder can be made")
}
