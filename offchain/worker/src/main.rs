//! `blyan-worker`: serves the model that the chain names, and anchors a receipt of every answer.

use anyhow::{Context, Result};
use blyan_worker::{
    config::{Cli, Config},
    run,
};
use clap::Parser;
use std::{io::IsTerminal, process::ExitCode, thread, time::Duration};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{EnvFilter, fmt};

/// Exit code after a second signal: as a shell reports an interrupted program.
const INTERRUPTED: i32 = 130;
/// How much is logged unless RUST_LOG says otherwise.
const DEFAULT_LOG: &str = "info,subxt=warn,jsonrpsee=warn";
/// Longest wait for tasks that still hold a thread at the end.
const SHUTDOWN: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let print_config = cli.print_config;
    match start(cli, print_config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        },
    }
}

fn start(cli: Cli, print_config: bool) -> Result<()> {
    let config = cli.layers()?.resolve()?;
    if print_config {
        print!("{}", config.to_toml()?);
        return Ok(());
    }
    log(&config);
    let threads = thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        watch_signals(stop.clone())?;
        run::run(config, stop, run::announce).await?;
        Ok(())
    });
    runtime.shutdown_timeout(SHUTDOWN);
    result
}

fn log(config: &Config) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if config.log_json {
        builder.json().init();
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).init();
    }
}

/// The first Ctrl-C or SIGTERM drains the worker, the second ends it at once.
fn watch_signals(stop: CancellationToken) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    tokio::spawn(async move {
        for count in 0.. {
            tokio::select! {
                _ = interrupt.recv() => {},
                _ = terminate.recv() => {},
            }
            if count > 0 {
                std::process::exit(INTERRUPTED);
            }
            stop.cancel();
        }
    });
    Ok(())
}
