//! A node as a process, with ports that the system chooses.

use serde_json::{json, Value};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// The node's program.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_blyan-node");

/// How long anything that should happen may take, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A running node. It is killed when it is dropped.
pub(crate) struct Node {
    child: Child,
    url: String,
    client: reqwest::Client,
}

impl Node {
    /// Starts a node and waits until it listens. `args` choose the chain; ports need not be among them.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = Command::new(BINARY)
            .args(args)
            .args(["--port", "0", "--rpc-port", "0", "--no-prometheus", "--no-mdns"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (found, wanted) = mpsc::channel();
        // The pipe is read to its end: a node whose log nobody reads stands still.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                println!("{line}");
                if let Some((_, addresses)) = line.split_once("Running JSON-RPC server: addr=") {
                    let first = addresses.split(',').next().unwrap_or_default().trim().to_owned();
                    // Nobody listens any more when the test is over.
                    let _ = found.send(first);
                }
            }
        });
        let address = wanted.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let _ = child.kill();
            panic!("the node did not start to listen: see its log above");
        });
        Self { child, url: format!("http://{address}"), client: reqwest::Client::new() }
    }

    /// Calls a JSON-RPC method that is expected to succeed.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.client.post(&self.url).json(&request).send().await.unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Height of the last finalized block.
    pub(crate) async fn finalized(&self) -> u64 {
        let head = self.call("chain_getFinalizedHead", json!([])).await;
        let header = self.call("chain_getHeader", json!([head])).await;
        u64::from_str_radix(header["number"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    }

    /// Waits until block `height` is finalized.
    pub(crate) async fn wait_until_finalized(&self, height: u64) {
        let start = Instant::now();
        while self.finalized().await < height {
            assert!(start.elapsed() < PATIENCE, "block {height} was not finalized in time");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Asks the node to stop, as a service manager does, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the node did not stop");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have stopped by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end and returns what it printed to standard output; panics when it fails.
pub(crate) fn run(args: &[&str]) -> String {
    let output = Command::new(BINARY).args(args).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "blyan-node {args:?} failed:\n{log}");
    String::from_utf8(output.stdout).unwrap()
}

/// `path` as an argument.
pub(crate) fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}
