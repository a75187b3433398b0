//! Programs that a command starts, watches and stops: the node and the workers of a development network.

use anyhow::{Context, Result, bail};
use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, Command},
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

/// Lines of a program's output that are kept to explain why it ended.
const TAIL: usize = 12;

/// The command was interrupted before it had done what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted {
    signal: SignalKind,
}

impl Interrupted {
    /// The exit code by which shells know it: 130 after Ctrl-C, 143 after SIGTERM.
    pub fn exit_code(self) -> u8 {
        const BY_SIGNAL: u8 = 128;
        BY_SIGNAL.saturating_add(u8::try_from(self.signal.as_raw_value()).unwrap_or_default())
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = if self.signal == SignalKind::terminate() { "SIGTERM" } else { "Ctrl-C" };
        write!(f, "interrupted by {by} before it was done")
    }
}

impl std::error::Error for Interrupted {}

/// Ctrl-C and SIGTERM, which end the process no more from when this is made.
#[derive(Debug)]
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Takes the signals over.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn new() -> Result<Self> {
        let take = |kind| signal(kind).context("cannot watch for Ctrl-C and SIGTERM");
        Ok(Self { interrupt: take(SignalKind::interrupt())?, terminate: take(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Interrupted {
        tokio::select! {
            _ = self.interrupt.recv() => Interrupted { signal: SignalKind::interrupt() },
            _ = self.terminate.recv() => Interrupted { signal: SignalKind::terminate() },
        }
    }
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
    lines: mpsc::Receiver<String>,
}

impl Program {
    /// Starts `binary`; what it prints goes to the file `log`.
    ///
    /// The program gets a process group of its own, so that Ctrl-C in the terminal reaches the caller alone, which then
    /// stops its programs in order. It is killed with the caller should the caller itself be killed.
    pub async fn start<A: AsRef<OsStr>>(
        name: &str,
        binary: &Path,
        args: impl IntoIterator<Item = A>,
        log: &Path,
    ) -> Result<Self> {
        let mut command = Command::new(binary);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        die_with_parent(&mut command);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .await
            .with_context(|| format!("cannot write {}", log.display()))?;
        // Wide enough for a program's start; when nobody reads on, lines go to the file alone.
        let (sender, lines) = mpsc::channel(1024);
        if let Some(out) = stdout {
            tokio::spawn(pump(out, file.try_clone().await?, sender.clone()));
        }
        if let Some(err) = stderr {
            tokio::spawn(pump(err, file, sender));
        }
        Ok(Self { name: name.into(), child, log: log.into(), lines })
    }

    /// Reads output until `find` recognises a line. Fails when the program ends or `limit` passes before that.
    pub async fn wait_for<T>(&mut self, limit: Duration, mut find: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            match timeout_at(deadline, self.lines.recv()).await {
                Ok(Some(line)) => {
                    if let Some(found) = find(&line) {
                        return Ok(found);
                    }
                },
                Ok(None) => {
                    let status = self.child.wait().await?;
                    bail!("{} ended with {status}\n{}", self.name, self.tail().await);
                },
                Err(_) => bail!("{} was not ready after {limit:?}\n{}", self.name, self.tail().await),
            }
        }
    }

    /// Waits until the program ends of itself, which for a server is a failure; says how it ended.
    pub async fn ended(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => anyhow::anyhow!("{} ended with {status}\n{}", self.name, self.tail().await),
            Err(error) => anyhow::anyhow!("cannot wait for {}: {error}", self.name),
        }
    }

    /// Process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks the program to end, and kills it when it has not done so in time. Tells how it ended.
    pub async fn stop(&mut self, grace: Duration) -> Result<ExitStatus> {
        if let Some(pid) = self.child.id().and_then(|id| rustix::process::Pid::from_raw(id as i32)) {
            // It may end between the two calls; then there is nothing left to ask.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if let Ok(ended) = timeout(grace, self.child.wait()).await {
            return Ok(ended?);
        }
        tracing::warn!("{} did not end within {grace:?} and is killed", self.name);
        self.child.kill().await?;
        Ok(self.child.wait().await?)
    }

    /// Ends the program at once, as a crash would.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Where the program's output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    async fn tail(&self) -> String {
        let text = tokio::fs::read_to_string(&self.log).await.unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default();
        format!("its last lines ({}):\n{}", self.log.display(), last.join("\n"))
    }
}

async fn pump(output: impl AsyncRead + Unpin, mut log: File, lines: mpsc::Sender<String>) {
    let mut reader = BufReader::new(output).split(b'\n');
    while let Ok(Some(mut line)) = reader.next_segment().await {
        let text = String::from_utf8_lossy(&line).trim_end().to_string();
        line.push(b'\n');
        if let Err(error) = log.write_all(&line).await.and(log.flush().await) {
            tracing::warn!("cannot write a log: {error}");
        }
        // Full or closed: nobody waits for a line any more.
        let _ = lines.try_send(text);
    }
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn die_with_parent(command: &mut Command) {
    // SAFETY: the closure runs in the forked child before exec and makes one async-signal-safe system call; it allocates
    // nothing and takes no lock.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            Ok(())
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}

/// A program that was built beside this one.
pub fn sibling(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("cannot find this program's own file")?;
    // Tests run from `deps/`, one folder further down.
    let found = here.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not beside {}; build the whole workspace: scripts/run", here.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str) -> (Program, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let program =
            Program::start("sh", Path::new("/bin/sh"), ["-c", script], &dir.path().join("log")).await.unwrap();
        (program, dir)
    }

    #[tokio::test]
    async fn a_line_is_awaited_and_kept_in_the_log() {
        let (mut program, dir) = shell("echo one; echo port 7 >&2; sleep 60").await;
        let port = program.wait_for(Duration::from_secs(5), |line| line.strip_prefix("port ").map(str::to_owned)).await;
        assert_eq!(port.unwrap(), "7");
        program.stop(Duration::from_secs(5)).await.unwrap();
        assert!(std::fs::read_to_string(dir.path().join("log")).unwrap().contains("port 7"));
    }

    #[tokio::test]
    async fn an_early_end_is_explained_by_the_last_lines() {
        let (mut program, _dir) = shell("echo no database >&2; exit 3").await;
        let error = program.wait_for(Duration::from_secs(5), |_| None::<()>).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no database"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_ignores_the_request_is_killed() {
        let (mut program, _dir) = shell("trap '' TERM; echo ready; while :; do sleep 1; done").await;
        program.wait_for(Duration::from_secs(5), |line| (line == "ready").then_some(())).await.unwrap();
        let status = program.stop(Duration::from_millis(200)).await.unwrap();
        assert_eq!((program.id(), status.code()), (None, None));
    }

    #[tokio::test]
    async fn how_a_program_ended_is_told_also_when_it_had_ended_before() {
        let (mut program, _dir) = shell("trap 'exit 4' TERM; echo ready; while :; do sleep 0.1; done").await;
        program.wait_for(Duration::from_secs(5), |line| (line == "ready").then_some(())).await.unwrap();
        for _ in 0..2 {
            assert_eq!(program.stop(Duration::from_secs(5)).await.unwrap().code(), Some(4));
        }
    }

    #[test]
    fn an_interruption_has_the_exit_code_that_shells_expect() {
        let by = |signal| Interrupted { signal };
        assert_eq!(by(SignalKind::interrupt()).exit_code(), 130);
        assert_eq!(by(SignalKind::terminate()).exit_code(), 143);
    }
}
