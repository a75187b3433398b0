//! A real node for tests, with its own database and ports, that can be killed and started again.

use anyhow::{Context, Result, bail};
use blyan_chain::{ChainClient, ChainOptions};
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longest wait for a node to answer. The runtime is compiled at start.
const START: Duration = Duration::from_secs(90);

/// A node that makes blocks alone, on the tiny chain. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Node {
    arguments: Vec<&'static str>,
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Node {
    /// Starts a node on a chain of its own.
    pub(crate) async fn start() -> Result<Self> {
        Self::with_arguments(&[]).await
    }

    /// Starts a node on a chain of its own, with more arguments.
    pub(crate) async fn with_arguments(more: &[&'static str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("blyan-chain-").tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let arguments = ["--chain", "tiny"].iter().chain(more).copied().collect::<Vec<_>>();
        let process = spawn(&arguments, folder.path(), port)?;
        let mut node = Self { arguments, process, port, folder };
        node.wait_until_up().await?;
        Ok(node)
    }

    /// WebSocket address of its RPC, the same after a restart.
    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// A folder that lives as long as the node.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client of this node.
    pub(crate) async fn client(&self) -> Result<ChainClient> {
        Ok(ChainClient::connect(&self.url(), ChainOptions::default()).await?)
    }

    /// Ends the process at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Starts the process again, on its database.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.process = spawn(&self.arguments, self.folder.path(), self.port)?;
        Ok(())
    }

    /// Starts another chain's node at the same address.
    pub(crate) fn start_other_chain(&mut self) -> Result<()> {
        self.arguments = vec!["--chain", "dev"];
        self.start_again()
    }

    async fn wait_until_up(&mut self) -> Result<()> {
        let since = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            if let Some(status) = self.process.try_wait()? {
                bail!("the node ended with {status}:\n{}", self.log());
            }
            if since.elapsed() > START {
                bail!("the node was not up after {START:?}:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("node.log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot be killed.
        let _ = self.kill();
    }
}

fn spawn(arguments: &[&str], folder: &Path, port: u16) -> Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("node.log"))?;
    let binary = binary()?;
    Command::new(&binary)
        .args(arguments)
        .args(["--alice", "--force-authoring", "--no-prometheus", "--no-telemetry", "--port", "0"])
        .arg("--rpc-port")
        .arg(port.to_string())
        .arg("--base-path")
        .arg(folder.join("node"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {}", binary.display()))
}

/// `blyan-node` of the same build: beside this test's folder, or what `BLYAN_NODE` names.
fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("BLYAN_NODE") {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(Path::parent).context("the test has no folder")?;
    let path = folder.join("blyan-node");
    if !path.exists() {
        bail!("{} is missing; run: cargo build --release -p blyan-node", path.display());
    }
    Ok(path)
}
