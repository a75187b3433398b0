//! A development node with a database of its own, gone when it is dropped.

use anyhow::{Context, Result, bail};
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longest wait for a node to answer. The runtime is compiled at start.
const START: Duration = Duration::from_secs(90);
/// What the pool may hold: more than is ever submitted at a time, so that it never decides what is dropped.
const POOL: [&str; 4] = ["--pool-limit", "65536", "--pool-kbytes", "131072"];

pub(crate) struct Node {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Node {
    /// Starts `program` as the only validator of its development chain. Every chain is started with the same arguments.
    pub(crate) async fn start(program: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("throughput-").tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = std::fs::File::create(folder.path().join("node.log"))?;
        let process = Command::new(program)
            .args(["--dev", "--database", "paritydb", "--no-mdns", "--no-prometheus", "--no-telemetry", "--port", "0"])
            .args(POOL)
            .arg("--rpc-port")
            .arg(port.to_string())
            .arg("--base-path")
            .arg(folder.path().join("node"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut node = Self { process, port, folder };
        node.wait_until_up().await?;
        Ok(node)
    }

    /// WebSocket address of its RPC.
    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> Result<String> {
        let path: PathBuf = self.folder.path().join("node.log");
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    }

    async fn wait_until_up(&mut self) -> Result<()> {
        let since = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            if let Some(status) = self.process.try_wait()? {
                bail!("the node ended with {status}:\n{}", self.log()?);
            }
            if since.elapsed() > START {
                bail!("the node was not up after {START:?}:\n{}", self.log()?);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
