//! Runs the node as a process.

mod support;

use serde_json::json;
use support::{arg, run, Node};
use tempfile::tempdir;

#[tokio::test]
async fn a_development_node_finalizes_answers_and_stops() {
    let node = Node::start(&["--chain", "tiny"]);
    node.wait_until_finalized(1).await;

    let properties = node.call("system_properties", json!([])).await;
    assert_eq!(properties, json!({ "tokenSymbol": "BLY", "tokenDecimals": 18, "ss58Format": 42 }));

    let spec = node.call("blyan_activeSpec", json!([])).await;
    assert_eq!((&spec["status"], &spec["publishedAt"]), (&json!("active"), &json!(0)));
    let dimensions = &spec["dimensions"];

    let heads = node.call("blyan_slotHeads", json!([spec["id"]])).await;
    let layers = heads["layers"].as_array().unwrap();
    assert_eq!(json!(layers.len()), dimensions["layers"]);
    let head = &layers[0]["heads"][0]["block"];
    let block = node.call("blyan_block", json!([head])).await;
    assert_eq!((&block["kind"], &block["form"]), (&json!("expert"), &json!("serving")));
    assert_eq!(block["shape"], json!([dimensions["ffn"], dimensions["hidden"]]));

    assert_eq!(node.call("blyan_workers", json!([])).await, json!({ "workers": [], "next": null }));
    let methods = node.call("rpc_methods", json!([])).await["methods"].to_string();
    for method in [
        "chainHead_v1_follow",
        "transaction_v1_broadcast",
        "grandpa_proveFinality",
        "payment_queryInfo",
        "system_dryRun",
    ] {
        assert!(methods.contains(method), "{method}");
    }

    assert!(node.stop().success());
}

#[tokio::test]
async fn blocks_survive_export_import_and_a_restart() {
    let (first, second, files) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let at = |base: &tempfile::TempDir| arg(base.path()).to_owned();

    let node = Node::start(&["--chain", "tiny", "--base-path", &at(&first)]);
    node.wait_until_finalized(2).await;
    assert!(node.stop().success());

    let again = Node::start(&["--chain", "tiny", "--base-path", &at(&first)]);
    let height = again.finalized().await;
    assert!(height >= 2, "the node forgot what it had finalized");
    again.wait_until_finalized(height + 1).await;
    let hash = again.call("chain_getBlockHash", json!([2])).await;
    assert!(again.stop().success());

    let blocks = files.path().join("blocks");
    run(&["export-blocks", "--chain", "tiny", "--base-path", &at(&first), "--to", "2", arg(&blocks)]);
    assert!(std::fs::metadata(&blocks).unwrap().len() > 0);
    run(&["import-blocks", "--chain", "tiny", "--base-path", &at(&second), arg(&blocks)]);
    run(&["check-block", "--chain", "tiny", "--base-path", &at(&second), hash.as_str().unwrap()]);

    let database = second.path().join("chains/blyan_tiny");
    assert!(database.join("paritydb").exists());
    run(&["purge-chain", "--chain", "tiny", "--base-path", &at(&second), "-y"]);
    assert!(!database.join("paritydb").exists());
}

#[test]
fn chain_specs_are_written_plain_and_raw() {
    let folder = tempdir().unwrap();
    for raw in [false, true] {
        let file = folder.path().join(if raw { "raw.json" } else { "plain.json" });
        let mut args = vec!["export-chain-spec", "--chain", "tiny-local", "--output", arg(&file)];
        args.extend(raw.then_some("--raw"));
        run(&args);
        let spec: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(spec["properties"]["tokenSymbol"], "BLY");
        assert_eq!(spec["genesis"].get("raw").is_some(), raw);
        // A file is a chain like any other.
        run(&["export-chain-spec", "--raw", "--chain", arg(&file)]);
    }
}

#[test]
fn keys_are_made_and_read_back() {
    let key = run(&["key", "generate", "--scheme", "sr25519", "--output-type", "json"]);
    let key: serde_json::Value = serde_json::from_str(&key).unwrap();
    let inspected = run(&["key", "inspect", "--output-type", "json", key["secretPhrase"].as_str().unwrap()]);
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["ss58Address"], key["ss58Address"]);

    let folder = tempdir().unwrap();
    let file = folder.path().join("node-key");
    run(&["key", "generate-node-key", "--file", arg(&file)]);
    assert!(run(&["key", "inspect-node-key", "--file", arg(&file)]).starts_with("12D3KooW"));
}
