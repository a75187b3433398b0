//! The worker as a whole: start, service, drain.

use crate::{
    clock,
    config::Config,
    fetch::{FetchError, Fetcher, Peers},
    hardware,
    health::Health,
    http::{self, App, ChainSide, Settings, Sight},
    identity::{self, IdentityError},
    loader::{Loader, LoaderError, Resolved, resolve},
    metrics::Metrics,
    onchain::Onchain,
    payment::{Cashier, Price},
    receipts::{
        anchor::{Anchorer, Policy},
        journal::{Journal, JournalError},
        writer::Writer,
    },
    retry,
    scheduler::Limits,
};
use blyan_chain::{
    ChainClient, ChainError, ChainOptions, Key, KeyError, KeySource,
    tx::{TxManager, TxOptions},
};
use blyan_primitives::worker::WorkerInfo;
use blyan_store::{Store, StoreError};
use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

/// Interval of the look at whether the chain names another model.
const FOLLOW_EVERY: Duration = Duration::from_secs(30);
/// Wait between attempts to start.
const START_PAUSE: Duration = Duration::from_secs(3);
/// Time for the last receipts to be anchored and the last vouchers to be redeemed.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval of the look at whether running answers have ended.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Why the worker does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The base folder.
    #[error("cannot use the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address for HTTP.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The block store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The model.
    #[error(transparent)]
    Model(#[from] LoaderError),
    /// The measures.
    #[error("the metrics could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The client for peers.
    #[error("the HTTP client could not be made: {0}")]
    Client(#[from] reqwest::Error),
    /// What the worker would register.
    #[error("the worker cannot be registered: {0}")]
    Info(&'static str),
    /// A thread.
    #[error("a thread did not start: {0}")]
    Thread(#[source] io::Error),
}

/// Runs a worker until `stop` is cancelled, then drains it.
///
/// Once requests are answered, `ready` is called with the address of the API.
pub async fn run(config: Config, stop: CancellationToken, ready: impl FnOnce(SocketAddr)) -> Result<(), RunError> {
    std::fs::create_dir_all(&config.base_path)
        .map_err(|source| RunError::Folder { path: config.base_path.clone(), source })?;
    let key = load_key(&config.key)?;
    let metrics = Arc::new(Metrics::new()?);
    let store = open_store(&config, &metrics)?;
    let health = Health::default();
    let app = Arc::new(App::new(settings(&config), key.public(), store.clone(), health.clone(), metrics.clone()));

    let listener = TcpListener::bind(config.http_listen)
        .await
        .map_err(|source| RunError::Listen { address: config.http_listen, source })?;
    let address = listener.local_addr().map_err(|source| RunError::Listen { address: config.http_listen, source })?;
    tracing::info!(%address, "answering HTTP");
    let close = CancellationToken::new();
    let server = tokio::spawn(http::serve::serve(listener, http::router(app.clone()), close.clone()));
    let _closes = close.clone().drop_guard();

    let chain = tokio::select! {
        chain = connect(&config, &health, &metrics) => chain?,
        () = stop.cancelled() => return Ok(()),
    };
    let service = Service::start(&config, key, chain, app.clone(), store, metrics, address).await?;
    let loaded = tokio::select! {
        loaded = service.load_first(&config) => Some(loaded?),
        () = stop.cancelled() => None,
    };
    let follower = loaded.map(|resolved| {
        health.ready();
        ready(address);
        tokio::spawn(service.clone().follow(config.spec, resolved, stop.clone()))
    });
    stop.cancelled().await;
    health.draining();
    tracing::info!("draining: no more requests are taken");
    if let Some(follower) = follower {
        join(follower, "following the chain").await;
    }
    service.drain(config.drain_timeout).await;
    close.cancel();
    join(server, "answering HTTP").await;
    tracing::info!("stopped");
    Ok(())
}

/// The key in a file, or of a secret URI.
fn load_key(text: &str) -> Result<Key, KeyError> {
    let path = PathBuf::from(text);
    if path.is_file() { Key::load(&KeySource::File(path)) } else { Key::load(&KeySource::Uri(text.to_owned())) }
}

fn open_store(config: &Config, metrics: &Metrics) -> Result<Store, StoreError> {
    let store = blyan_store::Config::new(&config.store);
    let store = match config.store_capacity {
        Some(bytes) => store.bounded(bytes),
        None => store,
    };
    Store::open(store, metrics.registry())
}

fn settings(config: &Config) -> Settings {
    Settings {
        max_body: config.max_body,
        max_tokens: config.max_tokens,
        max_queue: config.max_queue,
        max_uploads: config.max_uploads,
        api_keys: config.api_keys.clone(),
        rate_limit: config.rate_limit,
    }
}

async fn connect(config: &Config, health: &Health, metrics: &Metrics) -> Result<ChainClient, RunError> {
    health.starting(format!("waiting for the node at {}", config.rpc));
    let counted = blyan_chain::Metrics::register(metrics.registry())?;
    loop {
        let options = ChainOptions { metrics: Some(counted.clone()), ..ChainOptions::default() };
        match ChainClient::connect(&config.rpc, options).await {
            Ok(chain) => return Ok(chain),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the chain is not reached yet");
                tokio::time::sleep(retry::jittered(START_PAUSE)).await;
            },
            Err(error) => return Err(error.into()),
        }
    }
}

fn worker_info(config: &Config, key: &Key, address: SocketAddr) -> Result<WorkerInfo, RunError> {
    let pair = identity::load(&config.base_path)?;
    let peer_id = identity::peer_id(&pair);
    let url = match &config.public_url {
        Some(url) => Some(url.clone()),
        // An address that means all interfaces reaches nobody.
        None if address.ip().is_unspecified() => None,
        None => Some(format!("http://{address}")),
    };
    let mut addresses = Vec::new();
    if let Some(url) = url {
        addresses.push(url.into_bytes().try_into().map_err(|_| RunError::Info("--public-url is too long"))?);
    }
    Ok(WorkerInfo {
        key: key.public(),
        hardware_id: hardware::id(&peer_id),
        peer_id,
        addresses: addresses.try_into().map_err(|_| RunError::Info("it has too many addresses"))?,
        region: config.region,
        hardware: config.hardware,
        roles: config.roles,
    })
}

/// Everything that runs once the chain has been reached.
#[derive(Clone)]
struct Service {
    app: Arc<App>,
    chain: ChainClient,
    journal: Arc<Journal>,
    metrics: Arc<Metrics>,
    /// Taken when the worker drains: the last sender of completions goes with it.
    loader: Arc<parking_lot::Mutex<Option<Loader>>>,
    tasks: Arc<parking_lot::Mutex<Option<Tasks>>>,
}

struct Tasks {
    writer: thread::JoinHandle<()>,
    anchorer: JoinHandle<()>,
    online: JoinHandle<()>,
    redeemer: JoinHandle<()>,
    /// No more receipts will be written.
    written: CancellationToken,
    /// Nothing more is to be done on chain.
    leave: CancellationToken,
    registered: CancellationToken,
}

impl Service {
    async fn start(
        config: &Config,
        key: Key,
        chain: ChainClient,
        app: Arc<App>,
        store: Store,
        metrics: Arc<Metrics>,
        address: SocketAddr,
    ) -> Result<Self, RunError> {
        let (genesis, public) = (chain.genesis().0, key.public());
        let journal = Arc::new(Journal::open(&config.base_path, genesis, public, clock::unix_millis())?);
        let short = |bytes: &[u8; 32]| hex::encode(&bytes[..8]);
        let folder = config.base_path.join(format!("transactions-{}-{}", short(&genesis), short(&public)));
        let transactions = TxManager::open(&chain, key.clone(), &folder, TxOptions::default()).await?;
        let info = worker_info(config, &key, address)?;
        let onchain = Onchain::new(chain.clone(), transactions.clone(), key.clone(), metrics.clone());
        let price = Price { per_1k: config.price };
        let cashier = (price.per_1k > 0).then(|| Cashier::new(journal.clone(), price, genesis, public));
        let sight = {
            let chain = chain.clone();
            Arc::new(move || Sight {
                connected: transactions.trouble().is_none(),
                finalized: chain.finalized().map_or(0, |head| head.number),
            })
        };
        let side = ChainSide { genesis, journal: journal.clone(), cashier, channels: Arc::new(onchain.clone()), sight };
        if app.chain.set(side).is_err() {
            tracing::error!("the chain was reached twice");
        }

        let appended = Arc::new(Notify::new());
        let writer = Writer {
            journal: journal.clone(),
            key,
            appended: appended.clone(),
            health: app.health.clone(),
            metrics: metrics.clone(),
        };
        let (completions, writer) = writer.start().map_err(RunError::Thread)?;
        let (written, leave, registered) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let policy = Policy {
            every: config.anchor_every,
            interval: config.anchor_interval,
            retention: config.receipt_retention,
        };
        let anchorer = Anchorer::new(journal.clone(), onchain.clone(), policy, metrics.clone());
        let anchorer = {
            let (registered, written) = (registered.clone(), written.clone());
            tokio::spawn(async move {
                // The chain takes anchors of registered workers only.
                registered.cancelled().await;
                anchorer.run(appended, written).await;
            })
        };
        let online = {
            let (onchain, registered, leave) = (onchain.clone(), registered.clone(), leave.clone());
            tokio::spawn(async move { onchain.keep_online(info, registered, leave).await })
        };
        let redeemer = {
            let (onchain, journal, written) = (onchain.clone(), journal.clone(), written.clone());
            let above = config.redeem_above;
            tokio::spawn(async move { onchain.settle_accounts(journal, above, written).await })
        };
        let peers = Arc::new(Peers::new(&config.peers)?);
        let loader = Loader {
            fetcher: Fetcher::new(store.clone(), peers, metrics.clone()),
            store,
            threads: config.threads,
            limits: Limits::new(config.max_batch, config.max_queue),
            completions,
            health: app.health.clone(),
            metrics: metrics.clone(),
        };
        let tasks = Tasks { writer, anchorer, online, redeemer, written, leave, registered };
        Ok(Self {
            app,
            chain,
            journal,
            metrics,
            loader: Arc::new(parking_lot::Mutex::new(Some(loader))),
            tasks: Arc::new(parking_lot::Mutex::new(Some(tasks))),
        })
    }

    /// Loads what the chain names, waiting for the chain and for peers as long as it takes.
    async fn load_first(&self, config: &Config) -> Result<Resolved, RunError> {
        let Some(loader) = self.loader.lock().clone() else { return Err(RunError::Info("it is stopping")) };
        loop {
            self.app.health.starting("reading the model's specification from the chain");
            let result = async {
                let resolved = resolve(&self.chain, config.spec).await?;
                let count = resolved.blocks().len();
                self.app.health.starting(format!("loading {count} blocks of {}", resolved.spec.name));
                let served = loader.load(&resolved).await?;
                Ok::<_, LoaderError>((resolved, served))
            };
            match result.await {
                Ok((resolved, served)) => {
                    self.app.current.set(Arc::new(served));
                    return Ok(resolved);
                },
                Err(error) if may_pass(&error) => {
                    tracing::warn!(%error, "the model is not here yet");
                    tokio::time::sleep(retry::jittered(START_PAUSE)).await;
                },
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Serves another model as soon as the finalized chain names one. Answers that are running keep theirs.
    async fn follow(self, wanted: Option<blyan_primitives::ids::SpecId>, mut now: Resolved, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(retry::jittered(FOLLOW_EVERY)) => {},
            }
            let Some(loader) = self.loader.lock().clone() else { return };
            let change = async {
                let next = resolve(&self.chain, wanted).await?;
                self.metrics.finalized_height.set(i64::from(next.at.number));
                if next.weights == now.weights {
                    return Ok(None);
                }
                tracing::info!(spec = %next.id, weights = %next.weights, "the chain names another model");
                let served = loader.load(&next).await?;
                Ok::<_, LoaderError>(Some((next, served)))
            };
            let changed = tokio::select! {
                () = stop.cancelled() => return,
                changed = change => changed,
            };
            match changed {
                Ok(None) => {},
                Ok(Some((next, served))) => {
                    self.app.current.set(Arc::new(served));
                    loader.unpin(&now, &next);
                    now = next;
                },
                Err(error) => tracing::warn!(%error, "the model that the chain names cannot be served yet"),
            }
        }
    }

    /// Lets running answers end, stores their receipts, anchors them, and redeems vouchers.
    async fn drain(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        if let Some(served) = self.app.current.get() {
            while !served.engine.is_idle() && Instant::now() < deadline {
                tokio::time::sleep(DRAIN_POLL).await;
            }
            if !served.engine.is_idle() {
                tracing::warn!("some answers are cut short");
                served.engine.abort();
            }
        }
        self.app.current.clear();
        *self.loader.lock() = None;
        let Some(tasks) = self.tasks.lock().take() else { return };
        let writer = tokio::task::spawn_blocking(move || tasks.writer.join());
        match tokio::time::timeout(SETTLE_TIMEOUT, writer).await {
            Ok(Ok(Ok(()))) => {},
            _ => tracing::error!("the receipts' thread did not end as it should"),
        }
        tasks.written.cancel();
        let settled = async {
            // A worker that was never registered has nothing that the chain would take.
            if tasks.registered.is_cancelled() {
                join(tasks.anchorer, "anchoring").await;
            }
            join(tasks.redeemer, "redeeming").await;
        };
        if tokio::time::timeout(SETTLE_TIMEOUT, settled).await.is_err() {
            tracing::warn!("not everything could be settled on chain in time; the next start goes on with it");
        }
        tasks.leave.cancel();
        join(tasks.online, "heartbeats").await;
        if let Ok(counts) = self.journal.counts() {
            tracing::info!(pending = counts.pending, unfinalized = counts.open, "receipts left for the next start");
        }
    }
}

/// Whether waiting can help: the node or the peers may come back, or publish what is missing.
fn may_pass(error: &LoaderError) -> bool {
    match error {
        LoaderError::Chain(error) => error.is_transient(),
        LoaderError::NoSpec | LoaderError::EmptySlot { .. } => true,
        LoaderError::Fetch(FetchError::Exhausted { .. } | FetchError::Stuck(_)) => true,
        _ => false,
    }
}

async fn join(task: JoinHandle<()>, what: &str) {
    if let Err(error) = task.await
        && error.is_panic()
    {
        tracing::error!(%error, "{what} failed");
    }
}

/// Tells whoever started the process that requests are answered, in one line on standard output.
pub fn announce(address: SocketAddr) {
    let mut out = io::stdout().lock();
    if writeln!(out, "listening on http://{address}").and_then(|()| out.flush()).is_err() {
        tracing::debug!("nobody reads standard output");
    }
}
