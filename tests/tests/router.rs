//! A change of the router is folded, proposed, published, and served.

use blyan_e2e::{Node, START, Worker, blyan, folder};
use blyan_learning::router::{RouterDelta, Row};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use tokio::time::{sleep, timeout};

/// Hidden state of the tiny model.
const HIDDEN: usize = 64;

async fn run(args: &[&str]) -> Value {
    let said = blyan(args).await.unwrap();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Names the weights that a worker answers with.
async fn weights(worker: &Worker) -> String {
    let models = worker.api().unwrap().get("/v1/models").await.unwrap();
    models["data"][0]["blyan"]["weights"].as_str().unwrap().to_owned()
}

/// As a learner's run has it: what is to be added to the row of an expert of the first layer.
fn change(folder: &Path, index: u16) -> String {
    let change: Vec<f32> = (0..HIDDEN).map(|place| 0.05 * ((place + usize::from(index)) % 5) as f32 - 0.1).collect();
    let delta = RouterDelta::quantise(Row { layer: 0, index }, &change).unwrap();
    let file = folder.join(format!("router-{index}.block"));
    delta.to_block(&[1; 32]).unwrap().write_file(&file).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_router_is_published_and_served() {
    let base = folder();
    let node = Node::tiny(base.path()).await.unwrap();
    let worker = Worker::first(&node, base.path()).await.unwrap();
    let before = weights(&worker).await;
    let changes = [1, 2].map(|index| change(base.path(), index));
    let (store, rpc) = (worker.store.to_str().unwrap(), &node.rpc[..]);

    let fold = ["model", "router", "fold", &changes[0], &changes[1], "--store", store, "--rpc", rpc, "--json"];
    let folded = run(&fold).await;
    let row = |row| json!({ "row": row, "weight": 0.5 });
    assert_eq!(folded["changes"], json!([row("0/1"), row("0/2")]));
    // Whoever folds the same has the same.
    assert_eq!(run(&fold).await, folded);
    let router = folded["router"].as_str().unwrap();

    // Who has no rights is told what to propose.
    let publish = ["model", "router", "publish", router, "--store", store, "--rpc", rpc, "--json", "--key"];
    let proposed = run(&[&publish[..], &["//Bob"]].concat()).await;
    assert_eq!(proposed["proposals"].as_array().unwrap().len(), 2);
    assert_eq!((&proposed["spec"], &proposed["registered"]), (&folded["spec"], &json!(true)));
    assert_eq!(weights(&worker).await, before);

    let published = run(&[&publish[..], &["//Alice"]].concat()).await;
    assert_eq!((&published["spec"], &published["registered"]), (&folded["spec"], &json!(false)));
    // The worker serves what the chain names, by itself.
    timeout(START, async {
        while weights(&worker).await == before {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .unwrap();
    let error = blyan(&[&publish[..], &["//Alice"]].concat()).await.unwrap_err().to_string();
    assert!(error.contains("the router that the model has"), "{error}");
}
