//! What operators rely on: docker/ and docs/operations.md, judged by tools that others keep, and by a network that runs.

use anyhow::Result;
use blyan_cli::{
    api::{Api, ChatRequest, Message},
    process::Program,
};
use blyan_e2e::{Node, START, Worker, debian, folder, free_port, operation};
use std::{path::Path, time::Duration};

const NAMES: [&str; 4] = ["alice", "bob", "charlie", "dave"];
/// What stands for Grafana's `$__rate_interval` where measurements come every second.
const RATE: &str = "10s";
/// Longest wait until every panel shows something, in seconds: measurements of an hour need two scrapes, finality a few blocks.
const PATIENCE: &str = "60";

#[tokio::test]
async fn dockers_and_prometheus_files_dashboards_and_runbooks_are_valid() {
    assert_eq!(operation("check.py", &[]).await.unwrap().trim(), "ok");
}

/// A validator whose metrics are at the port that is returned.
async fn validator(name: &str, base: &Path, boot: Option<&str>, port: &str) -> (Node, String) {
    let metrics = free_port();
    let flag = format!("--{name}");
    let mut args = vec![flag.as_str(), "--no-mdns", "--port", port, "--prometheus-port", &metrics];
    if let Some(boot) = boot {
        args.extend(["--bootnodes", boot]);
    }
    (Node::start("tiny-local", &base.join(name), &args).await.unwrap(), metrics)
}

/// Prometheus as docker/prometheus configures it, but for where its targets are.
async fn prometheus(base: &Path, port: &str, places: &[String]) -> Result<Program> {
    let places: Vec<_> = places.iter().map(String::as_str).collect();
    let config = base.join("prometheus.yml");
    std::fs::write(&config, operation("watch.py", &places).await?)?;
    let args = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", base.join("measurements").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let mut program = Program::start("prometheus", &debian("prometheus")?, &args, &base.join("prometheus.log")).await?;
    program.wait_for(START, |line| line.contains("ready to receive web requests").then_some(())).await?;
    Ok(program)
}

async fn exporter(base: &Path, port: &str) -> Result<Program> {
    let args = [
        "--collector.disable-defaults".to_owned(),
        "--collector.filesystem".to_owned(),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    Program::start("exporter", &debian("prometheus-node-exporter")?, &args, &base.join("exporter.log")).await
}

/// Asks both workers for answers, without end.
async fn ask(workers: &[&Worker]) -> Result<()> {
    loop {
        for worker in workers {
            let request = ChatRequest::new("default", vec![Message::new("user", "Hello")], 8);
            Api::new(&worker.api, None)?.chat(&request, |_| Ok(())).await?;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_shows_data_and_every_alert_watches_something() {
    let base = folder();
    let ports: Vec<_> = NAMES.iter().map(|_| free_port()).collect();
    let (first, metrics) = validator(NAMES[0], base.path(), None, &ports[0]).await;
    let boot = first.multiaddr.clone();
    let (mut nodes, mut places) = (vec![first], vec![format!("validator-1:9615=127.0.0.1:{metrics}")]);
    for (index, (name, port)) in NAMES.iter().zip(&ports).enumerate().skip(1) {
        let (node, metrics) = validator(name, base.path(), Some(&boot), port).await;
        nodes.push(node);
        places.push(format!("validator-{}:9615=127.0.0.1:{metrics}", index + 1));
    }
    let one = Worker::first(&nodes[0], base.path()).await.unwrap();
    // It fetches the model, so that something crosses the network, and it has a bounded store, so that the bound is told.
    let args = ["--peers", &one.api, "--store-capacity", "1000000000"];
    let two = Worker::start(&nodes[1], &base.path().join("second"), "//Eve", &args).await.unwrap();
    for (index, worker) in [&one, &two].into_iter().enumerate() {
        places.push(format!("worker-{}:8645={}", index + 1, worker.api.trim_start_matches("http://")));
    }
    let (machine, own) = (free_port(), free_port());
    let _exporter = exporter(base.path(), &machine).await.unwrap();
    places.extend([format!("machine:9100=127.0.0.1:{machine}"), format!("localhost:9090=127.0.0.1:{own}")]);
    let _prometheus = prometheus(base.path(), &own, &places).await.unwrap();

    let (url, workers) = (format!("http://127.0.0.1:{own}"), [&one, &two]);
    let arguments = [url.as_str(), RATE, PATIENCE];
    tokio::select! {
        looked = operation("queries.py", &arguments) => assert_eq!(looked.unwrap().trim(), "ok"),
        asked = ask(&workers) => asked.unwrap(),
    }
}
