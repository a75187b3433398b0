//! Paid answers, over HTTP.

mod common;

use blyan_chain::Key;
use blyan_primitives::payment::Voucher;
use blyan_worker::{payment::ChannelView, scheduler::Limits};
use common::{GENESIS, Options, Worker, hello, until};
use serde_json::{Value, json};
use std::time::Duration;

const CHANNEL: u64 = 9;

struct Client {
    worker: Worker,
    payer: Key,
}

impl Client {
    async fn new() -> Self {
        Self::of(Options { price: 1000, ..Options::default() }).await
    }

    async fn of(options: Options) -> Self {
        let worker = Worker::start(options).await;
        let payer = Key::from_uri("//Bob").unwrap();
        let view = ChannelView {
            payer: payer.public(),
            gateway: worker.key.public(),
            escrow: 1000,
            redeemed: 0,
            closing: false,
        };
        worker.channels.0.lock().insert(CHANNEL, view);
        Self { worker, payer }
    }

    fn voucher(&self, key: &Key, genesis: [u8; 32], cumulative: u128) -> Value {
        let voucher = Voucher { channel: CHANNEL, cumulative };
        let signature = format!("0x{}", hex::encode(key.sign(&voucher.signing_hash(&genesis))));
        json!({"channel": CHANNEL, "cumulative": cumulative.to_string(), "signature": signature})
    }

    fn request(&self, voucher: &Value, extra: Value) -> reqwest::RequestBuilder {
        let request = self.worker.post("/v1/chat/completions", &hello(extra));
        let request = request.header("x-blyan-channel", CHANNEL.to_string());
        request.header("x-blyan-voucher", voucher.to_string())
    }

    async fn ask(&self, voucher: &Value, extra: Value) -> (u16, Value) {
        let response = self.request(voucher, extra).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn refused(&self, voucher: &Value) -> (u16, String) {
        let (status, body) = self.ask(voucher, json!({})).await;
        (status, body["error"]["code"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn a_request_without_a_voucher_is_told_the_price() {
    let client = Client::new().await;
    let response = client.worker.chat(&hello(json!({}))).await;
    assert_eq!(response.status(), 402);
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    assert_eq!((error["code"].as_str(), error["type"].as_str()), (Some("payment_required"), Some("payment_required")));
    assert_eq!(error["blyan"]["price_per_1k_tokens"], "1000");
    assert_eq!(error["blyan"]["worker"], client.worker.key.account().to_string());
    let required: u128 = error["blyan"]["required"].as_str().unwrap().parse().unwrap();
    let voucher = client.voucher(&client.payer, GENESIS, required);
    assert_eq!(client.ask(&voucher, json!({})).await.0, 200);
}

#[tokio::test]
async fn what_was_computed_is_charged_and_not_a_token_more() {
    let client = Client::new().await;
    let (status, body) = client.ask(&client.voucher(&client.payer, GENESIS, 200), json!({})).await;
    assert_eq!(status, 200, "{body}");
    // A thousand units for a thousand tokens.
    let first = body["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(body["blyan"]["price"], first.to_string());
    assert_eq!(body["blyan"]["channel_spent"], first.to_string());
    let (_, body) = client.ask(&client.voucher(&client.payer, GENESIS, 400), json!({"max_tokens": 1})).await;
    let total = first + body["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(body["blyan"]["channel_spent"], total.to_string());
    let channel = client.worker.json(&format!("/v1/channels/{CHANNEL}")).await;
    assert_eq!((channel["spent"].as_str(), channel["reserved"].as_str()), (Some(&*total.to_string()), Some("0")));
    assert_eq!(channel["voucher"], "400");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_token_pays_for_what_was_computed_of_its_prompt() {
    let limits = Limits { alone_chunk: 16, ..Limits::new(4, 16) };
    let prefill = Duration::from_millis(100);
    let client = Client::of(Options { price: 1000, limits, prefill, ..Options::default() }).await;
    let prompt = json!({"messages": [{"role": "user", "content": "x".repeat(200)}], "max_tokens": 8});
    let request = client.request(&client.voucher(&client.payer, GENESIS, 300), prompt);
    // Some pieces of the prompt are computed by then, not all.
    assert!(request.timeout(Duration::from_millis(600)).send().await.is_err());
    let spent = || async { client.worker.journal.channel(CHANNEL).unwrap().unwrap().spent };
    until("the prompt is charged", || async { spent().await > 0 }).await;
    let paid = spent().await;
    assert!(paid.is_multiple_of(16) && paid < 200, "{paid}");
    assert_eq!(client.worker.journal.counts().unwrap().pending, 0, "there is nothing to sign");
    let channel = client.worker.json(&format!("/v1/channels/{CHANNEL}")).await;
    assert_eq!((channel["spent"].as_str(), channel["reserved"].as_str()), (Some(&*paid.to_string()), Some("0")));
    // What it did not use counts for its next answer.
    let (status, body) = client.ask(&client.voucher(&client.payer, GENESIS, 400), json!({"max_tokens": 1})).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn bad_vouchers_are_refused_each_by_its_name() {
    let client = Client::new().await;
    let good = client.voucher(&client.payer, GENESIS, 300);
    let eve = Key::from_uri("//Eve").unwrap();
    assert_eq!(client.refused(&client.voucher(&eve, GENESIS, 300)).await, (400, "voucher_wrong_signer".into()));
    let mut elsewhere = client.voucher(&client.payer, [1; 32], 300);
    elsewhere["genesis"] = format!("0x{}", hex::encode([1; 32])).into();
    assert_eq!(client.refused(&elsewhere).await, (400, "voucher_wrong_genesis".into()));
    assert_eq!(
        client.refused(&client.voucher(&client.payer, GENESIS, 1001)).await,
        (402, "voucher_over_escrow".into())
    );
    assert_eq!(client.refused(&client.voucher(&client.payer, GENESIS, 5)).await, (402, "voucher_insufficient".into()));
    assert_eq!(client.refused(&json!("nonsense")).await, (400, "voucher_malformed".into()));
    let mut other = good.clone();
    other["channel"] = 8.into();
    assert_eq!(client.refused(&other).await, (400, "voucher_malformed".into()));
    assert_eq!(client.ask(&good, json!({})).await.0, 200);
    assert_eq!(client.refused(&good).await, (400, "voucher_replayed".into()));
    client.worker.channels.0.lock().get_mut(&CHANNEL).unwrap().closing = true;
    assert_eq!(client.refused(&client.voucher(&client.payer, GENESIS, 600)).await, (402, "channel_closing".into()));
    client.worker.channels.0.lock().clear();
    assert_eq!(client.refused(&client.voucher(&client.payer, GENESIS, 700)).await, (402, "channel_unknown".into()));
}
