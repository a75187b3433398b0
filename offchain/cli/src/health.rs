//! `blyan health`: whether a node or a worker is well, told by the exit code. Container images and supervisors ask it.

use crate::{api::Api, out};
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, Subcommand};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::timeout;

/// Whether a node or a worker is well: exit code 0, or 1 and the reason.
#[derive(Subcommand, Debug)]
pub enum HealthCommand {
    /// Ask a node: it is well while its RPC answers.
    Node(NodeArgs),
    /// Ask a worker: it is well unless only a restart can mend it.
    Worker(WorkerArgs),
}

/// Which node, and how much is asked of it.
#[derive(Args, Debug)]
pub struct NodeArgs {
    /// The node's RPC.
    #[arg(long, env = "BLYAN_RPC", default_value = "ws://127.0.0.1:9944")]
    rpc: String,
    /// Also demand that the node is synchronised, and has peers where its chain has other nodes.
    #[arg(long)]
    ready: bool,
    #[command(flatten)]
    wait: Wait,
}

/// Which worker, and how much is asked of it.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Where the worker answers.
    #[arg(long, env = "BLYAN_API", default_value = "http://127.0.0.1:8645")]
    api: String,
    /// Also demand that the worker answers requests.
    #[arg(long)]
    ready: bool,
    #[command(flatten)]
    wait: Wait,
}

/// How long an answer may take.
#[derive(Args, Debug)]
struct Wait {
    /// Seconds to wait for the answer.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

impl Wait {
    async fn of<T>(&self, whom: &str, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = Duration::from_secs(self.timeout);
        timeout(limit, answer).await.map_err(|_| anyhow!("{whom} does not answer within {limit:?}"))?
    }
}

/// What `system_health` answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeHealth {
    peers: u64,
    is_syncing: bool,
    should_have_peers: bool,
}

impl NodeHealth {
    fn ready(&self) -> Result<()> {
        ensure!(self.peers > 0 || !self.should_have_peers, "the node has no peers");
        ensure!(!self.is_syncing, "the node is still synchronising, with {} peers", self.peers);
        Ok(())
    }
}

/// Runs the command.
pub async fn run(command: HealthCommand) -> Result<()> {
    out::line(match command {
        HealthCommand::Node(args) => node(&args).await?,
        HealthCommand::Worker(args) => worker(&args).await?,
    })
}

async fn node(args: &NodeArgs) -> Result<String> {
    let health = args.wait.of(&args.rpc, ask_node(&args.rpc)).await?;
    if args.ready {
        health.ready()?;
    }
    let state = if health.is_syncing { "synchronising" } else { "in sync" };
    Ok(format!("ok: {state}, {} peers", health.peers))
}

async fn ask_node(rpc: &str) -> Result<NodeHealth> {
    #[derive(Deserialize)]
    struct Answer {
        result: Option<NodeHealth>,
        error: Option<serde_json::Value>,
    }
    let body = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "system_health", "params": [] });
    let response = reqwest::Client::new().post(http_url(rpc)?).json(&body).send().await;
    let response = response.with_context(|| format!("no node answers at {rpc}"))?.error_for_status()?;
    let answer: Answer = response.json().await.with_context(|| format!("{rpc} does not answer as a node does"))?;
    match answer.error {
        Some(error) => bail!("{rpc} refuses system_health: {error}"),
        None => answer.result.with_context(|| format!("{rpc} answers system_health with nothing")),
    }
}

/// The address of the same port for a single request: a node serves HTTP beside WebSocket.
fn http_url(rpc: &str) -> Result<String> {
    match rpc.split_once("://") {
        Some(("ws" | "http", host)) => Ok(format!("http://{host}")),
        _ => bail!("{rpc} is no ws:// or http:// address; health is asked beside the node, without TLS"),
    }
}

async fn worker(args: &WorkerArgs) -> Result<String> {
    let health = args.wait.of(&args.api, async { Api::new(&args.api, None)?.health().await }).await?;
    judge_worker(&health, args.ready)
}

fn judge_worker(health: &serde_json::Value, ready: bool) -> Result<String> {
    let said = |field: &str| health[field].as_bool().with_context(|| format!("the answer has no `{field}`"));
    let status = health["status"].as_str().unwrap_or("unknown");
    let reason = health["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
    ensure!(said("live")?, "the worker needs a restart{reason}");
    ensure!(said("ready")? || !ready, "the worker is {status}{reason}");
    Ok(format!("{status}{reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// Serves `body` to one request.
    fn serve(body: &'static str) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // All of the request, which is an object: closing before it was read would take the answer back.
            let (mut request, mut piece) = (Vec::new(), [0; 4096]);
            while !request.ends_with(b"}") {
                let length = stream.read(&mut piece).unwrap();
                assert_ne!(length, 0, "the request ended early");
                request.extend_from_slice(&piece[..length]);
            }
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
            stream.write_all(format!("{head}content-type: application/json\r\n\r\n{body}").as_bytes()).unwrap();
        });
        format!("ws://{address}")
    }

    fn args(rpc: String, ready: bool) -> NodeArgs {
        NodeArgs { rpc, ready, wait: Wait { timeout: 5 } }
    }

    async fn refused(rpc: String, ready: bool) -> String {
        format!("{:#}", node(&args(rpc, ready)).await.unwrap_err())
    }

    #[tokio::test]
    async fn a_node_is_alive_before_it_is_ready() {
        let syncing = r#"{"jsonrpc":"2.0","id":1,"result":{"peers":2,"isSyncing":true,"shouldHavePeers":true}}"#;
        let told = node(&args(serve(syncing), false)).await.unwrap();
        assert_eq!(told, "ok: synchronising, 2 peers");
        assert!(refused(serve(syncing), true).await.contains("synchronising"));
        let synced = r#"{"jsonrpc":"2.0","id":1,"result":{"peers":2,"isSyncing":false,"shouldHavePeers":true}}"#;
        assert_eq!(node(&args(serve(synced), true)).await.unwrap(), "ok: in sync, 2 peers");
    }

    #[test]
    fn a_node_needs_peers_only_where_its_chain_has_other_nodes() {
        let health = |should_have_peers| NodeHealth { peers: 0, is_syncing: false, should_have_peers };
        assert!(health(false).ready().is_ok());
        assert!(health(true).ready().unwrap_err().to_string().contains("no peers"));
    }

    #[tokio::test]
    async fn whoever_is_no_node_is_not_well() {
        assert!(refused(serve("{}"), false).await.contains("with nothing"));
        assert!(refused(serve("<html>"), false).await.contains("as a node does"));
        assert!(refused(serve(r#"{"error":{"code":-32601}}"#), false).await.contains("-32601"));
        // Port 9 (discard) on loopback has no listener.
        assert!(refused("ws://127.0.0.1:9".into(), false).await.contains("no node answers"));
        assert!(refused("wss://127.0.0.1:9".into(), false).await.contains("without TLS"));
    }

    #[tokio::test]
    async fn silence_is_no_health() {
        // It accepts connections and says nothing.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut args = args(format!("ws://{}", listener.local_addr().unwrap()), false);
        args.wait.timeout = 1;
        assert!(node(&args).await.unwrap_err().to_string().contains("within 1s"));
    }

    #[test]
    fn a_worker_is_alive_before_it_is_ready() {
        let health = |live: bool, ready: bool| serde_json::json!({ "status": "starting", "reason": "fetching", "live": live, "ready": ready });
        assert_eq!(judge_worker(&health(true, false), false).unwrap(), "starting: fetching");
        assert_eq!(
            judge_worker(&health(true, false), true).unwrap_err().to_string(),
            "the worker is starting: fetching"
        );
        assert!(judge_worker(&health(true, true), true).is_ok());
        assert!(judge_worker(&health(false, false), false).unwrap_err().to_string().contains("restart"));
        assert!(judge_worker(&serde_json::json!({}), false).unwrap_err().to_string().contains("`live`"));
    }
}
