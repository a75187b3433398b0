//! From one command to an answered prompt with a finalized receipt, and what anybody can check of it.

use blyan_e2e::{Node, Worker, blyan, folder};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn path(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

async fn answer(api: &str, prompt: &str) -> Value {
    json(&blyan(&["chat", prompt, "--api", api, "--json", "--max-tokens", "16"]).await.unwrap())
}

/// Asks until the receipt is anchored and final.
async fn finalized(api: &str, receipt: &str) -> Value {
    let api = blyan_cli::api::Api::new(api, None).unwrap();
    blyan_cli::receipt::wait_final(&api, receipt, blyan_e2e::START).await.unwrap();
    api.get(&format!("/v1/receipts/{receipt}")).await.unwrap()
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
async fn a_receipt_is_replayed_by_a_stranger_and_a_changed_one_is_refused_at_its_position() {
    let base = folder();
    let node = Node::tiny(base.path()).await.unwrap();
    let first = Worker::first(&node, base.path()).await.unwrap();
    // The second worker has nothing of its own: it fetches and verifies every block from the first.
    let second =
        Worker::start(&node, &base.path().join("second"), "//Charlie", &["--peers", &first.api]).await.unwrap();

    let receipt = answer(&first.api, "Hello").await["receipt"].as_str().unwrap().to_owned();
    let bundle = finalized(&first.api, &receipt).await;
    let verify = |subject: String| {
        let (rpc, api, store) = (node.rpc.clone(), first.api.clone(), path(&second.store).to_owned());
        async move {
            blyan(&["receipt", "verify", &subject, "--rpc", &rpc, "--api", &api, "--store", &store, "--json"]).await
        }
    };
    let report = json(&verify(receipt).await.unwrap());
    assert_eq!(report["valid"], true);

    let mut changed = bundle.clone();
    let place = changed["output"].as_array().unwrap().len() / 2;
    let token = changed["output"][place].as_u64().unwrap();
    changed["output"][place] = Value::from((token + 1) % 256);
    let file = base.path().join("changed.json");
    std::fs::write(&file, changed.to_string()).unwrap();
    let error = verify(path(&file).to_owned()).await.unwrap_err().to_string();
    let position = bundle["prompt"].as_array().unwrap().len() + place - 1;
    assert!(error.contains(&format!("position {position}")), "{error}");
}
