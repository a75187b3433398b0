//! A worker with the tiny model behind real HTTP on loopback, without a chain.

#![allow(dead_code, missing_docs, unreachable_pub)]

use blyan_chain::{AccountId, BlockRef, Hash, Key};
use blyan_model::{
    chat::TextProcessor,
    exec::{Engine, EngineConfig, ExecError, Model, ModelBlocks},
    session::Session,
    tiny::{self, TinyModel},
};
use blyan_primitives::{
    ids::{Commitment, ContentHash},
    payment::ChannelId,
    receipt::Sampling,
};
use blyan_store::{Config, Store};
use blyan_worker::{
    canonical::{Canonical, Text},
    health::Health,
    http::{self, App, ChainSide, Settings, Sight},
    metrics::Metrics,
    payment::{Cashier, ChannelView, Channels, LookupError, Price},
    receipts::{journal::Journal, writer::Writer},
    scheduler::{self, Executor, Limits},
    served::Served,
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::Value;
use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::{CancellationToken, DropGuard};

pub const GENESIS: [u8; 32] = [7; 32];

pub fn tiny_model() -> TinyModel {
    tiny::build(tiny::GENESIS_SEED).unwrap()
}

pub fn fill(store: &Store, model: &TinyModel) {
    for block in &model.blocks {
        store.put(block).unwrap();
    }
}

/// The engine and text side of a model whose blocks are in `store`.
pub fn engine(store: &Store, model: &TinyModel) -> (Engine, Arc<TextProcessor>) {
    let get = |hash: &ContentHash| store.get(hash).unwrap();
    let spec = model.genesis.spec.clone();
    let blocks = ModelBlocks {
        trunk: get(&spec.trunk),
        router: get(&spec.router),
        experts: model.genesis.heads.iter().map(|layer| layer.iter().map(get).collect()).collect(),
        spec: spec.clone(),
    };
    let model = Arc::new(Model::load(blocks).unwrap());
    let config = EngineConfig { threads: 1, ..EngineConfig::default() };
    (Engine::new(model, config).unwrap(), Arc::new(TextProcessor::from_block(&get(&spec.tokenizer)).unwrap()))
}

/// Canonical execution that takes its time.
pub struct Slow {
    inner: Canonical,
    prefill: Duration,
    step: Duration,
}

impl Executor for Slow {
    type Session = Session;
    type Error = ExecError;
    type Text = Text;

    fn open(&mut self, prompt: &[u32], sampling: Sampling, max_output: u32) -> Result<Session, ExecError> {
        self.inner.open(prompt, sampling, max_output)
    }

    fn prefill(&mut self, session: &mut Session, tokens: usize) -> Result<bool, ExecError> {
        std::thread::sleep(self.prefill);
        self.inner.prefill(session, tokens)
    }

    fn decode(&mut self, sessions: &mut [&mut Session]) -> Vec<Result<(), ExecError>> {
        std::thread::sleep(self.step);
        self.inner.decode(sessions)
    }

    fn output<'a>(&self, session: &'a Session) -> &'a [u32] {
        self.inner.output(session)
    }

    fn commitments<'a>(&self, session: &'a Session) -> &'a [Commitment] {
        self.inner.commitments(session)
    }

    fn is_end(&self, token: u32) -> bool {
        self.inner.is_end(token)
    }

    fn text(&self) -> Text {
        self.inner.text()
    }
}

/// Channels as a test has them.
#[derive(Default)]
pub struct Table(pub Mutex<HashMap<ChannelId, ChannelView>>);

impl Channels for Table {
    fn channel(&self, id: ChannelId) -> BoxFuture<'_, Result<Option<ChannelView>, LookupError>> {
        Box::pin(async move { Ok(self.0.lock().get(&id).copied()) })
    }
}

pub struct Options {
    pub settings: Settings,
    pub limits: Limits,
    /// What a piece of a prompt takes.
    pub prefill: Duration,
    /// What a token takes.
    pub step: Duration,
    pub price: u128,
}

impl Default for Options {
    fn default() -> Self {
        let settings = Settings {
            max_body: 64 << 10,
            max_tokens: 200,
            max_queue: 16,
            max_uploads: 4,
            api_keys: vec![],
            rate_limit: None,
            gateway: true,
        };
        Self { settings, limits: Limits::new(4, 16), prefill: Duration::ZERO, step: Duration::ZERO, price: 0 }
    }
}

/// A running worker.
pub struct Worker {
    pub url: String,
    pub http: reqwest::Client,
    pub app: Arc<App>,
    pub journal: Arc<Journal>,
    pub channels: Arc<Table>,
    pub key: Key,
    pub store: Store,
    pub model: TinyModel,
    pub folder: TempDir,
    _close: DropGuard,
}

pub fn open_store(root: &Path) -> Store {
    Store::open(Config::new(root), &prometheus::Registry::new()).unwrap()
}

impl Worker {
    pub async fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(&folder.path().join("store"));
        let model = tiny_model();
        fill(&store, &model);
        let key = Key::from_uri("//Alice").unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let health = Health::default();
        let app = Arc::new(App::new(options.settings, key.public(), store.clone(), health.clone(), metrics.clone()));
        let journal = Arc::new(Journal::open(folder.path(), GENESIS, key.public(), 1).unwrap());
        let channels = Arc::new(Table::default());
        let price = Price { per_1k: options.price };
        let cashier = (options.price > 0).then(|| Cashier::new(journal.clone(), price, GENESIS, key.public()));
        let side = ChainSide {
            genesis: GENESIS,
            journal: journal.clone(),
            cashier,
            channels: channels.clone(),
            sight: Arc::new(|| Sight { connected: true, finalized: Some(5), refused: vec![] }),
        };
        assert!(app.chain.set(side).is_ok());
        let writer = Writer {
            journal: journal.clone(),
            key: key.clone(),
            appended: Arc::new(Notify::new()),
            health: health.clone(),
            metrics: metrics.clone(),
        };
        let (completions, _thread) = writer.start().unwrap();
        let (engine, text) = engine(&store, &model);
        let spec = model.genesis.spec.clone();
        let (id, weights) = (engine.model().spec_id(), engine.model().weights_id());
        let slow = Slow { inner: Canonical::new(engine, text.clone()), prefill: options.prefill, step: options.step };
        let handle =
            scheduler::start(slow, (id, weights), options.limits, completions, health.clone(), metrics).unwrap();
        app.current.set(Arc::new(Served { spec, id, weights, text, engine: handle, since: 1 }));
        health.ready();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let close = CancellationToken::new();
        tokio::spawn(http::serve::serve(listener, http::router(app.clone()), close.clone()));
        let http = reqwest::Client::new();
        Self { url, http, app, journal, channels, key, store, model, folder, _close: close.drop_guard() }
    }

    pub fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.url)).json(body)
    }

    pub async fn chat(&self, body: &Value) -> reqwest::Response {
        self.post("/v1/chat/completions", body).send().await.unwrap()
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    pub async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    /// The value of a metric's line.
    pub async fn metric(&self, line: &str) -> Option<f64> {
        let text = self.get("/metrics").await.text().await.unwrap();
        text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }
}

/// A chat with every field that a test may want to change.
pub fn hello(extra: Value) -> Value {
    let mut body = serde_json::json!({
        "model": "default", "messages": [{"role": "user", "content": "hello"}], "temperature": 0, "max_tokens": 24,
    });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

/// The data of each event in a stream.
pub async fn events(response: reqwest::Response) -> Vec<String> {
    let text = response.text().await.unwrap();
    text.split("\n\n").filter_map(|event| event.trim_start().strip_prefix("data: ")).map(str::to_owned).collect()
}

/// Waits until `done`, some seconds at most.
pub async fn until<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    for _ in 0..500 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {what}");
}

pub fn block_ref() -> BlockRef {
    BlockRef { number: 1, hash: Hash([1; 32]) }
}

pub fn account(key: &Key) -> AccountId {
    key.account()
}
