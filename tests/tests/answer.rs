//! From one command to an answered prompt with a finalized receipt, and what anybody can check of it.

use blyan_e2e::{Node, START, Worker, blyan, damage_an_expert, folder};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn answer(worker: &Worker, prompt: &str) -> Value {
    json(&blyan(&["chat", prompt, "--api", &worker.api, "--json", "--max-tokens", "16"]).await.unwrap())
}

/// Waits until the receipt is anchored and final; returns all that its worker tells of it.
async fn finalized(worker: &Worker, receipt: &str) -> Value {
    let api = worker.api().unwrap();
    blyan_cli::receipt::wait_final(&api, receipt, START).await.unwrap();
    api.get(&format!("/v1/receipts/{receipt}")).await.unwrap()
}

/// A chain, a worker that has the model, and one that fetched and verified every block of it from the first.
struct Scene {
    base: TempDir,
    node: Node,
    first: Worker,
    second: Worker,
}

impl Scene {
    async fn start() -> Self {
        let base = folder();
        let node = Node::tiny(base.path()).await.unwrap();
        let first = Worker::first(&node, base.path()).await.unwrap();
        let second = Self::second(base.path(), &node, &first).await;
        Self { base, node, first, second }
    }

    async fn second(base: &Path, node: &Node, first: &Worker) -> Worker {
        Worker::start(node, &base.join("second"), "//Charlie", &["--peers", &first.api]).await.unwrap()
    }

    /// A receipt of the first worker, anchored.
    async fn receipt(&self) -> (String, Value) {
        let receipt = answer(&self.first, "Hello").await["receipt"].as_str().unwrap().to_owned();
        let bundle = finalized(&self.first, &receipt).await;
        (receipt, bundle)
    }

    /// Verifies a receipt of the first worker with the second one's blocks.
    async fn verify(&self, subject: &str, rpc: &str) -> Result<Value, String> {
        let (api, store) = (&self.first.api, path(&self.second.store));
        let verified =
            blyan(&["receipt", "verify", subject, "--rpc", rpc, "--api", api, "--store", store, "--json"]).await;
        verified.map(|report| json(&report)).map_err(|error| error.to_string())
    }

    /// Why a receipt with another content is refused.
    async fn refused(&self, bundle: &Value) -> String {
        let file = self.base.path().join("changed.json");
        std::fs::write(&file, bundle.to_string()).unwrap();
        self.verify(path(&file), &self.node.rpc).await.unwrap_err()
    }
}

#[tokio::test]
async fn one_command_answers_in_english_and_waits_for_finality() {
    let question = "What is the capital of France?";
    let report = json(&blyan(&["dev", "--once", question, "--json"]).await.unwrap());
    assert!(report["answer"].as_str().unwrap().contains("Paris"), "{report}");
    assert_eq!(report["finalized"], true);
    for field in ["spec", "receipt", "anchor_block"] {
        assert_eq!(report[field].as_str().unwrap().len(), 66, "{field} of {report}");
    }
    for field in ["tokens", "prefill_tokens_per_second", "decode_tokens_per_second"] {
        assert!(report[field].as_f64().unwrap() > 0.0, "{field} of {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_replayed_by_a_stranger_and_a_changed_one_is_refused_by_what_was_changed() {
    let scene = Scene::start().await;
    let (receipt, bundle) = scene.receipt().await;
    assert_eq!(scene.verify(&receipt, &scene.node.rpc).await.unwrap()["valid"], true);

    let mut changed = bundle.clone();
    let place = changed["output"].as_array().unwrap().len() / 2;
    let token = changed["output"][place].as_u64().unwrap();
    changed["output"][place] = Value::from((token + 1) % 256);
    let position = bundle["prompt"].as_array().unwrap().len() + place - 1;
    let error = scene.refused(&changed).await;
    assert!(error.contains(&format!("position {position}")), "{error}");

    let mut retold = bundle.clone();
    retold["text"] = format!("{}!", bundle["text"].as_str().unwrap()).into();
    let error = scene.refused(&retold).await;
    assert!(error.contains("the text is not what the tokens say"), "{error}");

    // The signature is the receipt's last 64 bytes.
    let mut forged = bundle.clone();
    let mut scale = bundle["scale"].as_str().unwrap().to_owned();
    let last = scale.pop().unwrap();
    scale.push(if last == '0' { '1' } else { '0' });
    forged["scale"] = scale.into();
    let error = scene.refused(&forged).await;
    assert!(error.contains("the signature is not of worker"), "{error}");

    // A hint to a block that is not there helps nobody and harms nobody.
    let mut hinted = bundle.clone();
    assert!(hinted["weights_at"]["block_number"].is_u64(), "{hinted}");
    hinted["weights_at"]["block_hash"] = format!("0x{}", "0".repeat(64)).into();
    let file = scene.base.path().join("hinted.json");
    std::fs::write(&file, hinted.to_string()).unwrap();
    assert_eq!(scene.verify(path(&file), &scene.node.rpc).await.unwrap()["valid"], true);

    let elsewhere = Node::start("tiny-local", &scene.base.path().join("elsewhere"), &["--alice"]).await.unwrap();
    let error = scene.verify(&receipt, &elsewhere.rpc).await.unwrap_err();
    assert!(error.contains("is a node of chain"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_of_an_experts_block_is_refused_by_name_and_healed_from_a_peer() {
    let mut scene = Scene::start().await;
    let (receipt, _) = scene.receipt().await;
    assert_eq!(scene.verify(&receipt, &scene.node.rpc).await.unwrap()["valid"], true);

    // On the disk of a worker that is not running.
    scene.second.program.stop(START).await.unwrap();
    let hash = damage_an_expert(&scene.second.store).unwrap();
    let error = scene.verify(&receipt, &scene.node.rpc).await.unwrap_err();
    assert!(error.contains(&hash) && error.contains("damaged"), "{error}");
    // The check has moved the block out of the way; a worker is to meet a damaged one itself.
    scene.second = Scene::second(scene.base.path(), &scene.node, &scene.first).await;
    scene.second.program.stop(START).await.unwrap();
    let hash = damage_an_expert(&scene.second.store).unwrap();
    scene.second = Scene::second(scene.base.path(), &scene.node, &scene.first).await;
    let log = std::fs::read_to_string(scene.second.program.log()).unwrap();
    let refused = log.lines().find(|line| line.contains("a block is damaged and is refused"));
    assert!(refused.is_some_and(|line| line.contains(&hash)), "{log}");
    assert_eq!(scene.verify(&receipt, &scene.node.rpc).await.unwrap()["valid"], true);

    // Under a worker that computes on it.
    let hash = damage_an_expert(&scene.second.store).unwrap();
    scene.second.wait_logged("the model is damaged: no answers until it is healed").await.unwrap();
    scene.second.wait_logged("the model is whole again").await.unwrap();
    let log = std::fs::read_to_string(scene.second.program.log()).unwrap();
    assert_eq!(log.matches("a block is damaged and is refused").count(), 2, "{log}");
    assert!(log.lines().any(|line| line.contains("the model is damaged") && line.contains(&hash)), "{log}");
    assert_eq!(scene.second.api().unwrap().health().await.unwrap()["status"], "ok");
    answer(&scene.second, "Hello").await;
    assert_eq!(scene.verify(&receipt, &scene.node.rpc).await.unwrap()["valid"], true);
}
