//! The OpenAI-compatible API, from HTTP to receipts.

mod common;

use blyan_model::replay::{Claim, Claimed, replay};
use blyan_primitives::{
    ids::Commitment,
    receipt::{SignedReceipt, tokens_hash},
};
use blyan_worker::scheduler::Limits;
use codec::DecodeAll;
use common::{Options, Worker, engine, events, hello, until};
use serde_json::{Value, json};
use std::{num::NonZeroU32, time::Duration};

fn content(body: &Value) -> &str {
    body["choices"][0]["message"]["content"].as_str().unwrap()
}

#[tokio::test]
async fn a_chat_is_answered_in_openais_shape_with_a_receipt_that_replays() {
    let worker = Worker::start(Options::default()).await;
    let response = worker.chat(&hello(json!({"seed": 7, "temperature": 0.8}))).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(response.headers()["access-control-expose-headers"].to_str().unwrap().matches("x-blyan").count(), 1);
    let receipt = response.headers()["x-blyan-receipt"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["role"], "assistant");
    assert_eq!(body["blyan"]["receipt"], receipt.as_str());
    assert_eq!(body["blyan"]["seed"], 7);
    assert_eq!(body["system_fingerprint"], body["blyan"]["weights"]);
    let (prompt, output) =
        (body["usage"]["prompt_tokens"].as_u64().unwrap(), body["usage"]["completion_tokens"].as_u64().unwrap());
    assert_eq!(body["usage"]["total_tokens"], prompt + output);

    let bundle = worker.json(&format!("/v1/receipts/{receipt}")).await;
    assert_eq!((bundle["status"].as_str(), &bundle["anchor"]), (Some("pending"), &Value::Null));
    assert_eq!(bundle["text"].as_str().unwrap(), content(&body));
    let scale = hex::decode(bundle["scale"].as_str().unwrap().trim_start_matches("0x")).unwrap();
    let signed = SignedReceipt::decode_all(&mut &*scale).unwrap();
    let id = signed.receipt.id();
    assert_eq!(id.to_string(), receipt);
    assert!(blyan_chain::keys::verify(&signed.signature, id.as_bytes(), &worker.key.public()));
    let tokens = |name: &str| -> Vec<u32> { serde_json::from_value(bundle[name].clone()).unwrap() };
    let commitments: Vec<Commitment> = serde_json::from_value(bundle["commitments"].clone()).unwrap();
    let (prompt, output) = (tokens("prompt"), tokens("output"));
    assert_eq!(signed.receipt.prompt_hash, tokens_hash(&prompt));
    assert_eq!(signed.receipt.output_hash, tokens_hash(&output));
    assert_eq!(commitments.len(), prompt.len() + output.len() - 1);
    assert_eq!(commitments.last(), Some(&signed.receipt.commitment));
    let (engine, _) = engine(&worker.store, &worker.model);
    let claim = Claim {
        prompt: &prompt,
        output: &output,
        sampling: signed.receipt.sampling,
        commitments: Claimed::Every(&commitments),
    };
    replay(&engine, &claim).unwrap();
}

#[tokio::test]
async fn a_stream_says_the_same_as_an_answer_in_one_piece() {
    let worker = Worker::start(Options::default()).await;
    let whole: Value = worker.chat(&hello(json!({}))).await.json().await.unwrap();
    let response = worker.chat(&hello(json!({"stream": true, "stream_options": {"include_usage": true}}))).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let events = events(response).await;
    assert_eq!(events.last().unwrap(), "[DONE]");
    let chunks: Vec<Value> =
        events[..events.len() - 1].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, content(&whole));
    let (last, finish) = (&chunks[chunks.len() - 1], &chunks[chunks.len() - 2]);
    assert_eq!(finish["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"]);
    assert_eq!(last["usage"], whole["usage"]);
    assert!(last["choices"].as_array().unwrap().is_empty());
    assert!(last["blyan"]["receipt"].as_str().unwrap().starts_with("0x"));
    assert!(last["blyan"]["decode_tokens_per_second"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn without_usage_the_piece_that_ends_a_stream_has_the_receipt() {
    let worker = Worker::start(Options::default()).await;
    let events = events(worker.chat(&hello(json!({"stream": true}))).await).await;
    let last: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert!(last["choices"][0]["finish_reason"].is_string());
    assert!(last["blyan"]["receipt"].is_string() && last.get("usage").is_none());
}

#[tokio::test]
async fn answers_do_not_depend_on_who_shares_their_batch() {
    let worker = Worker::start(Options::default()).await;
    let alone: Value = worker.chat(&hello(json!({"seed": 3, "temperature": 1.0}))).await.json().await.unwrap();
    let bodies = (0..8).map(|i| {
        let extra = json!({"seed": 3 + i % 2, "temperature": 1.0, "max_tokens": 24 + i % 2 * 8});
        let worker = &worker;
        async move { worker.chat(&hello(extra)).await.json::<Value>().await.unwrap() }
    });
    let together = futures::future::join_all(bodies).await;
    assert!(together.iter().step_by(2).all(|body| content(body) == content(&alone)));
}

#[tokio::test]
async fn limits_and_stop_sequences_end_an_answer() {
    let worker = Worker::start(Options::default()).await;
    let complete = |extra: Value| {
        let worker = &worker;
        async move {
            let mut body = json!({"model": "tiny", "prompt": "abc", "temperature": 0});
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            worker.post("/v1/completions", &body).send().await.unwrap().json::<Value>().await.unwrap()
        }
    };
    let long = complete(json!({"max_tokens": 64})).await;
    assert_eq!(long["object"], "text_completion");
    let text = long["choices"][0]["text"].as_str().unwrap();
    if long["usage"]["completion_tokens"] == 64 {
        assert_eq!(long["choices"][0]["finish_reason"], "length");
    }
    let default = complete(json!({})).await;
    assert!(default["usage"]["completion_tokens"].as_u64().unwrap() <= 16);
    // A piece from the middle of the text is a stop sequence that is met for certain.
    let middle: String = text.chars().skip(5).take(2).collect();
    assert_eq!(middle.chars().count(), 2, "the tiny model said too little: {text:?}");
    let stopped = complete(json!({"max_tokens": 64, "stop": [middle.clone(), "\u{1}never"]})).await;
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    let cut = stopped["choices"][0]["text"].as_str().unwrap();
    assert_eq!(cut, &text[..text.find(&middle).unwrap()]);
    let bundle = worker.json(&format!("/v1/receipts/{}", long["blyan"]["receipt"].as_str().unwrap())).await;
    let tokens = complete(json!({"prompt": bundle["prompt"], "max_tokens": 64})).await;
    assert_eq!(tokens["choices"][0]["text"].as_str().unwrap(), text);
}

#[tokio::test]
async fn the_model_is_listed_and_answers_to_its_names_and_compatible_versions() {
    let worker = Worker::start(Options::default()).await;
    let list = worker.json("/v1/models").await;
    let model = &list["data"][0];
    assert_eq!((list["object"].as_str(), model["id"].as_str()), (Some("list"), Some("tiny")));
    let version = model["blyan"]["version"].as_str().unwrap().to_owned();
    assert!(model["blyan"]["supported_versions"].as_str().unwrap().contains(&version));
    for name in ["tiny", "default", &format!("tiny@{version}")] {
        assert_eq!(worker.json(&format!("/v1/models/{name}")).await["id"], "tiny");
        assert_eq!(worker.chat(&hello(json!({"model": name, "max_tokens": 1}))).await.status(), 200);
    }
    for name in ["gpt-4", "tiny@9.0.0", "tiny@x", "tiny@"] {
        assert_eq!(worker.get(&format!("/v1/models/{name}")).await.status(), 404);
        let response = worker.chat(&hello(json!({ "model": name }))).await;
        assert_eq!(response.status(), 404);
        let error: Value = response.json().await.unwrap();
        assert_eq!((&error["error"]["code"], &error["error"]["param"]), (&json!("model_not_found"), &json!("model")));
    }
}

async fn refused(response: reqwest::Response) -> (u16, String, Value) {
    let status = response.status().as_u16();
    assert!(response.headers().contains_key("x-request-id"));
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    assert!(!error["message"].as_str().unwrap().is_empty() && error["type"].is_string());
    (status, error["code"].as_str().unwrap().to_owned(), error["param"].clone())
}

#[tokio::test]
async fn every_refusal_has_openais_shape_and_its_own_code() {
    let worker = Worker::start(Options::default()).await;
    let chat = |body: Value| {
        let worker = &worker;
        async move { refused(worker.chat(&body).await).await }
    };
    let raw = |content_type: &'static str, body: String| {
        let request = worker.http.post(format!("{}/v1/chat/completions", worker.url));
        async move { refused(request.header("content-type", content_type).body(body).send().await.unwrap()).await }
    };
    assert_eq!(raw("application/json", "{".into()).await, (400, "invalid_json".into(), Value::Null));
    assert_eq!(raw("text/plain", "{}".into()).await.1, "unsupported_media_type");
    assert_eq!(raw("application/json", "x".repeat(70_000)).await, (413, "request_too_large".into(), Value::Null));
    assert_eq!(chat(json!({"model": "tiny"})).await, (400, "missing_required_parameter".into(), json!("messages")));
    assert_eq!(chat(hello(json!({"n": 2}))).await, (400, "unsupported_parameter".into(), json!("n")));
    assert_eq!(chat(hello(json!({"max_tokens": 201}))).await, (400, "invalid_value".into(), json!("max_tokens")));
    assert_eq!(chat(hello(json!({"top_p": 2}))).await, (400, "invalid_value".into(), json!("top_p")));
    let long = hello(json!({"messages": [{"role": "user", "content": "x".repeat(300)}]}));
    assert_eq!(chat(long).await.1, "context_length_exceeded");
    let full = hello(json!({"messages": [{"role": "user", "content": "x".repeat(150)}], "max_tokens": 150}));
    assert_eq!(chat(full).await.1, "context_length_exceeded");
    let outside = json!({"model": "tiny", "prompt": [1, 5000]});
    let outside = refused(worker.post("/v1/completions", &outside).send().await.unwrap()).await;
    assert_eq!(outside, (400, "invalid_value".into(), json!("prompt")));
    assert_eq!(refused(worker.get("/v1/nothing").await).await.1, "not_found");
    assert_eq!(
        refused(worker.get("/v1/chat/completions").await).await,
        (405, "method_not_allowed".into(), Value::Null)
    );
    assert_eq!(refused(worker.get("/v1/receipts/xyz").await).await.0, 400);
    let unknown = format!("/v1/receipts/0x{}", "0".repeat(64));
    assert_eq!(refused(worker.get(&unknown).await).await, (404, "receipt_not_found".into(), Value::Null));
    assert_eq!(refused(worker.get("/v1/channels/1").await).await.1, "channel_not_found");
    let unknown = format!("/v1/blocks/0x{}", "0".repeat(64));
    assert_eq!(refused(worker.get(&unknown).await).await.1, "block_not_found");
    assert_eq!(worker.journal.counts().unwrap().pending, 0);
}

#[tokio::test]
async fn a_prompt_that_leaves_little_room_gets_what_fits() {
    let worker = Worker::start(Options::default()).await;
    let mut body = hello(json!({"messages": [{"role": "user", "content": "x".repeat(200)}]}));
    body.as_object_mut().unwrap().remove("max_tokens");
    let body: Value = worker.chat(&body).await.json().await.unwrap();
    assert!(body["usage"]["total_tokens"].as_u64().unwrap() <= 256, "{body}");
}

#[tokio::test]
async fn a_worker_without_the_role_of_a_gateway_serves_blocks_and_no_answers() {
    let mut options = Options::default();
    options.settings.gateway = false;
    let worker = Worker::start(options).await;
    assert_eq!(refused(worker.chat(&hello(json!({}))).await).await, (403, "not_a_gateway".into(), Value::Null));
    let plain = json!({"model": "tiny", "prompt": "a"});
    let response = worker.post("/v1/completions", &plain).send().await.unwrap();
    assert_eq!(refused(response).await.1, "not_a_gateway");
    let block = worker.model.genesis.spec.tokenizer;
    assert_eq!(worker.get(&format!("/v1/blocks/{block}")).await.status(), 200);
}

#[tokio::test]
async fn health_tells_how_the_chain_does() {
    let worker = Worker::start(Options::default()).await;
    let health = worker.json("/health").await;
    assert_eq!(health["chain"], json!({"connected": true, "finalized": 5, "refused": []}));
    assert_eq!(worker.metric("blyan_worker_finalized_height_blocks").await, Some(5.0));
}

#[tokio::test]
async fn api_keys_are_asked_for_where_there_are_some() {
    let mut options = Options::default();
    options.settings.api_keys = vec!["sk-test-12345".into()];
    let worker = Worker::start(options).await;
    assert_eq!(refused(worker.chat(&hello(json!({}))).await).await, (401, "invalid_api_key".into(), Value::Null));
    assert_eq!(worker.get("/health").await.status(), 200);
    let request = worker.post("/v1/chat/completions", &hello(json!({}))).bearer_auth("sk-test-12345");
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_when_to_come_back() {
    let mut options = Options::default();
    options.settings.rate_limit = NonZeroU32::new(2);
    let worker = Worker::start(options).await;
    for _ in 0..2 {
        assert_eq!(worker.get("/v1/models").await.status(), 200);
    }
    let response = worker.get("/v1/models").await;
    assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(refused(response).await.1, "rate_limit_exceeded");
}

fn slow(max_batch: usize, max_queue: usize) -> Options {
    let mut options = Options { limits: Limits::new(max_batch, max_queue), ..Options::default() };
    options.settings.max_queue = max_queue;
    options.step = Duration::from_millis(20);
    options
}

#[tokio::test]
async fn a_full_queue_is_answered_with_429_and_when_to_come_back() {
    let worker = Worker::start(slow(1, 1)).await;
    let running = worker.chat(&hello(json!({"stream": true, "max_tokens": 200}))).await;
    until("it runs", || async { worker.json("/health").await["batch"] == 1 }).await;
    let waiting = worker.chat(&hello(json!({"stream": true, "max_tokens": 200}))).await;
    assert_eq!(worker.json("/health").await["queue"], 1);
    let response = worker.chat(&hello(json!({}))).await;
    assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(refused(response).await, (429, "queue_full".into(), Value::Null));
    assert_eq!(worker.metric("blyan_worker_queue_refused_total").await, Some(1.0));
    drop((running, waiting));
    until("places are free", || async { worker.json("/health").await["batch"] == 0 }).await;
    assert_eq!(worker.chat(&hello(json!({"max_tokens": 2}))).await.status(), 200);
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_answer() {
    let worker = Worker::start(slow(1, 4)).await;
    // In the middle of a stream.
    let mut response = worker.chat(&hello(json!({"stream": true, "max_tokens": 200}))).await;
    while response.chunk().await.unwrap().is_some_and(|chunk| !chunk.windows(9).any(|w| w == b"\"content\"")) {}
    response.chunk().await.unwrap();
    drop(response);
    until("the stream's place is free", || async { worker.json("/health").await["batch"] == 0 }).await;
    // Waiting for an answer in one piece.
    let request = worker.post("/v1/chat/completions", &hello(json!({"max_tokens": 200})));
    assert!(request.timeout(Duration::from_millis(200)).send().await.is_err());
    until("the other place is free", || async { worker.json("/health").await["batch"] == 0 }).await;
    assert_eq!(worker.metric("blyan_worker_answers_total{reason=\"cancelled\"}").await, Some(2.0));
    until("what was computed has its receipts", || async { worker.journal.counts().unwrap().pending == 2 }).await;
}

#[tokio::test]
async fn a_worker_that_drains_takes_no_more_requests_and_says_so() {
    let worker = Worker::start(Options::default()).await;
    assert_eq!(worker.get("/health").await.status(), 200);
    worker.app.health.draining();
    let response = worker.get("/health").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.json::<Value>().await.unwrap()["status"], "draining");
    assert_eq!(worker.get("/health/live").await.status(), 200);
    assert_eq!(refused(worker.chat(&hello(json!({}))).await).await.1, "draining");
    worker.app.health.unhealthy("the disk is full");
    assert_eq!(worker.get("/health/live").await.status(), 503);
    assert_eq!(refused(worker.chat(&hello(json!({}))).await).await.1, "unhealthy");
}

#[tokio::test]
async fn browsers_may_ask() {
    let worker = Worker::start(Options::default()).await;
    let request = worker.http.request(reqwest::Method::OPTIONS, format!("{}/v1/chat/completions", worker.url));
    let request = request.header("origin", "https://app.example").header("access-control-request-method", "POST");
    let asked = "authorization,content-type,x-blyan-voucher";
    let response = request.header("access-control-request-headers", asked).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    // By name: `*` would not cover the first.
    assert_eq!(response.headers()["access-control-allow-headers"], asked);
    let response = worker.get("/health").await;
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.headers()["cache-control"], "no-store");
}
