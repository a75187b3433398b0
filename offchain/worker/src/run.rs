//! The worker as a whole: start, service, drain.

use crate::{
    clock,
    config::Config,
    fetch::{FetchError, Fetcher, Peers},
    hardware,
    health::Health,
    http::{self, App, ChainSide, Settings, Sight},
    identity::{self, IdentityError},
    learn::{Context, MAX_DIRECTORY, Memory, Rounds, urls},
    loader::{Loader, LoaderError, Resolved, resolve, watch::Watch},
    metrics::Metrics,
    onchain::{Onchain, place_of},
    payment::{Cashier, Price},
    receipts::{
        anchor::{Anchorer, Policy},
        journal::{Journal, JournalError},
        writer::Writer,
    },
    retry,
    scheduler::{Engines, Limits},
    served::Served,
};
use blyan_chain::{
    ChainClient, ChainError, ChainOptions, Hash, Key, KeyError, KeySource,
    tx::{TxManager, TxOptions},
};
use blyan_primitives::{
    ids::{ContentHash, SpecId},
    worker::{Roles, WorkerInfo},
};
use blyan_store::{Store, StoreError};
use futures::future::BoxFuture;
use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Wait between attempts to start.
const START_PAUSE: Duration = Duration::from_secs(3);
/// Wait after the chain named another model and it could not be loaded; also the longest between attempts to start, so that
/// blocks are found that somebody puts into the store.
const LONG_PAUSE: Duration = Duration::from_secs(30);
/// Blocks after which it is noted again that the chain still names the same weights. A node keeps states of some hundred
/// blocks: who checks a receipt should find one of them.
const NOTE_EVERY: u32 = 64;
/// Damaged blocks that wait to be healed.
const MAX_DAMAGED: usize = 16;
/// Time for the last receipts to be anchored and the last vouchers to be redeemed.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval of the look at whether running answers have ended.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// The longest that a worker takes to end after it was asked to, when its answers may take `drain_timeout`: then its
/// receipts are written, its business on chain is settled, and its connections are closed.
pub fn longest_stop(drain_timeout: Duration) -> Duration {
    const REST: Duration = Duration::from_secs(5);
    drain_timeout + 2 * SETTLE_TIMEOUT + http::serve::CLOSE_TIMEOUT + REST
}

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
    /// The chain's runtime and this program were compiled with other bounds of the Genesis Pact.
    #[error(
        "the chain's runtime and this program disagree on the bounds of the Genesis Pact (the runtime has {theirs}): install \
         the release that belongs to the runtime of this chain"
    )]
    OtherBounds {
        /// Commits to the bounds of the runtime.
        theirs: Hash,
    },
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
    let (service, damaged) = Service::start(&config, key, chain, app.clone(), store, metrics, address).await?;
    let loaded = tokio::select! {
        loaded = service.load(config.spec, Patience::WhileItCanHelp) => Some(loaded?),
        () = stop.cancelled() => None,
    };
    let follower = loaded.map(|serving| {
        health.ready();
        ready(address);
        tokio::spawn(service.clone().follow(config.spec, serving, damaged, stop.clone()))
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
        gateway: config.roles.contains(Roles::GATEWAY),
    }
}

async fn connect(config: &Config, health: &Health, metrics: &Metrics) -> Result<ChainClient, RunError> {
    health.starting(format!("waiting for the node at {}", config.rpc));
    let counted = blyan_chain::Metrics::register(metrics.registry())?;
    loop {
        let options = ChainOptions { metrics: Some(counted.clone()), ..ChainOptions::default() };
        match agreed(&config.rpc, options).await {
            Ok(Agreed::Yes(chain)) => return Ok(chain),
            Ok(Agreed::No(theirs)) => return Err(RunError::OtherBounds { theirs }),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the chain is not reached yet");
                tokio::time::sleep(retry::jittered(START_PAUSE)).await;
            },
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the chain has the bounds of the Genesis Pact that this program was compiled with.
enum Agreed {
    Yes(ChainClient),
    No(Hash),
}

async fn agreed(url: &str, options: ChainOptions) -> Result<Agreed, ChainError> {
    let chain = ChainClient::connect(url, options).await?;
    let pact = chain.at_finalized().await?.pact_status().await?;
    Ok(if pact.has_our_bounds() { Agreed::Yes(chain) } else { Agreed::No(pact.bounds_hash) })
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

/// How long to try to load a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// As long as the chain or peers may still help. What only the operator can mend ends the start.
    WhileItCanHelp,
    /// Whatever is wrong: the worker has receipts and blocks to serve meanwhile.
    Endless,
}

/// The model that is served.
struct Serving {
    resolved: Resolved,
    /// Ends when a block of it turns out to be damaged.
    damage: BoxFuture<'static, StoreError>,
}

impl Serving {
    fn new(resolved: Resolved, watch: Watch) -> Self {
        Self { resolved, damage: Box::pin(async move { watch.damage().await }) }
    }
}

/// Everything that runs once the chain has been reached.
#[derive(Clone)]
struct Service {
    app: Arc<App>,
    chain: ChainClient,
    journal: Arc<Journal>,
    engines: Arc<Engines>,
    /// Taken when the worker drains: the last sender of completions goes with it.
    loader: Arc<parking_lot::Mutex<Option<Loader>>>,
    tasks: Arc<parking_lot::Mutex<Option<Tasks>>>,
}

struct Tasks {
    writer: thread::JoinHandle<()>,
    anchorer: JoinHandle<()>,
    online: JoinHandle<()>,
    redeemer: JoinHandle<()>,
    /// Where the worker has a part in rounds of learning.
    rounds: Option<JoinHandle<()>>,
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
    ) -> Result<(Self, mpsc::Receiver<ContentHash>), RunError> {
        let (genesis, public, account) = (chain.genesis().0, key.public(), key.account());
        let journal = Arc::new(Journal::open(&config.base_path, genesis, public, clock::unix_millis())?);
        let short = |bytes: &[u8; 32]| hex::encode(&bytes[..8]);
        let folder = config.base_path.join(format!("transactions-{}-{}", short(&genesis), short(&public)));
        let transactions = TxManager::open(&chain, key.clone(), &folder, TxOptions::default()).await?;
        let info = worker_info(config, &key, address)?;
        let onchain = Onchain::new(chain.clone(), transactions, key.clone(), metrics.clone());
        let price = Price { per_1k: config.price };
        let cashier = (price.per_1k > 0).then(|| Cashier::new(journal.clone(), price, genesis, public));
        let sight = {
            let (chain, onchain) = (chain.clone(), onchain.clone());
            Arc::new(move || Sight {
                connected: chain.is_connected(),
                finalized: chain.finalized().ok().map(|head| head.number),
                refused: onchain.refused(),
            })
        };
        let side = ChainSide { genesis, journal: journal.clone(), cashier, channels: Arc::new(onchain.clone()), sight };
        if app.chain.set(side).is_err() {
            tracing::error!("the chain was reached twice");
        }
        let (damaged, heal) = mpsc::channel(MAX_DAMAGED);
        if app.damaged.set(damaged).is_err() {
            tracing::error!("somebody else heals damaged blocks");
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
        let fetcher = Fetcher::new(store.clone(), peers, metrics.clone());
        let rounds = match Rounds::has_part(config.roles) {
            false => None,
            true => {
                let folder = config.base_path.join(format!("rounds-{}-{}", short(&genesis), short(&public)));
                let memory = Memory::open(&folder).map_err(|source| RunError::Folder { path: folder, source })?;
                let context = Context {
                    chain: chain.clone(),
                    onchain: onchain.clone(),
                    account,
                    roles: config.roles,
                    fetcher: fetcher.clone(),
                    store: store.clone(),
                    memory,
                    threads: config.threads,
                };
                let (registered, written) = (registered.clone(), written.clone());
                Some(tokio::spawn(async move {
                    registered.cancelled().await;
                    Rounds::new(context).run(written).await;
                }))
            },
        };
        let loader = Loader {
            fetcher,
            store,
            threads: config.threads,
            limits: Limits::new(config.max_batch, config.max_queue),
            completions,
            health: app.health.clone(),
            metrics,
        };
        let tasks = Tasks { writer, anchorer, online, redeemer, rounds, written, leave, registered };
        let service = Self {
            app,
            chain,
            journal,
            engines: Arc::default(),
            loader: Arc::new(parking_lot::Mutex::new(Some(loader))),
            tasks: Arc::new(parking_lot::Mutex::new(Some(tasks))),
        };
        Ok((service, heal))
    }

    /// Loads what the chain names and serves it from then on; waits for the chain and for peers.
    async fn load(&self, wanted: Option<SpecId>, patience: Patience) -> Result<Serving, RunError> {
        let Some(loader) = self.loader.lock().clone() else { return Err(RunError::Info("it is stopping")) };
        let health = &self.app.health;
        loop {
            health.starting("reading the model's specification from the chain");
            let result = async {
                let resolved = resolve(&self.chain, wanted).await?;
                self.find_peers(&loader).await;
                let count = resolved.blocks().len();
                health.starting(format!("loading {count} blocks of {}", resolved.spec.name));
                let (served, watch) = loader.load_watched(&resolved).await?;
                Ok::<_, LoaderError>((resolved, served, watch))
            };
            match result.await {
                Ok((resolved, served, watch)) => {
                    self.serve(served, &resolved).await;
                    return Ok(Serving::new(resolved, watch));
                },
                Err(error) if patience == Patience::Endless || may_pass(&error) => {
                    let pause = retry::jittered(pause_after(&error));
                    tracing::warn!(%error, retry_in = ?pause, "the model is not here yet");
                    health.starting(error.to_string());
                    tokio::time::sleep(pause).await;
                },
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Lets blocks be fetched from workers that are on chain too, after those that the operator has named: a new head is with
    /// whoever published it.
    async fn find_peers(&self, loader: &Loader) {
        let own = self.app.key;
        let find = async {
            let workers = self.chain.at_finalized().await?.workers(MAX_DIRECTORY).await?;
            let others = workers.iter().map(|(_, worker)| worker).filter(|worker| worker.info.key != own);
            let serving = others.filter(|worker| worker.online && worker.info.roles.contains(Roles::SERVE));
            Ok::<_, ChainError>(serving.flat_map(urls).collect::<Vec<_>>())
        };
        match find.await {
            Ok(urls) => loader.fetcher.peers().add(&urls, MAX_DIRECTORY),
            Err(error) => tracing::debug!(%error, "the chain's workers cannot be asked for"),
        }
    }

    /// New requests go to `served` from now on. Answers that are running keep the engine they began with.
    async fn serve(&self, served: Served, resolved: &Resolved) {
        self.engines.watch(&served.engine);
        self.app.current.set(Arc::new(served));
        self.note(resolved).await;
    }

    /// Notes that the chain names these weights, for receipts of theirs that are anchored when it no longer does.
    async fn note(&self, resolved: &Resolved) {
        let (journal, weights, place) = (self.journal.clone(), resolved.weights, place_of(resolved.at));
        let noted = tokio::task::spawn_blocking(move || journal.note_weights(weights, place)).await;
        if let Ok(Err(error)) = noted {
            tracing::warn!(%error, "it is not noted when the chain named the weights");
        }
    }

    /// Serves another model as soon as the finalized chain names one, and heals blocks that turn out to be damaged.
    ///
    /// Only what the chain names now matters here, so that each finalized head is looked at as it comes, and blocks between
    /// two heads are not: a stream of every block is for tasks that owe something to each.
    async fn follow(
        self,
        wanted: Option<SpecId>,
        mut now: Serving,
        mut damaged: mpsc::Receiver<ContentHash>,
        stop: CancellationToken,
    ) {
        let mut noted = now.resolved.at.number;
        loop {
            let work = async {
                tokio::select! {
                    damage = &mut now.damage => {
                        self.heal(wanted, &damage, &mut now).await;
                        Ok(())
                    },
                    Some(hash) = damaged.recv() => {
                        self.fetch_again(wanted, hash, &mut now).await;
                        Ok(())
                    },
                    head = self.chain.wait_finalized(now.resolved.at.number.saturating_add(1)) => match head {
                        Ok(_) => self.look(wanted, &mut now).await,
                        Err(error) => Err(error.into()),
                    },
                }
            };
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = work => result,
            };
            match result {
                Ok(()) if now.resolved.at.number >= noted.saturating_add(NOTE_EVERY) => {
                    self.note(&now.resolved).await;
                    noted = now.resolved.at.number;
                },
                Ok(()) => {},
                Err(error) => {
                    tracing::warn!(%error, "the model that the chain names cannot be served yet");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(retry::jittered(LONG_PAUSE)) => {},
                    }
                },
            }
        }
    }

    /// Looks at what the chain names at its finalized head, and serves it if that is something else than `now`.
    async fn look(&self, wanted: Option<SpecId>, now: &mut Serving) -> Result<(), LoaderError> {
        let next = resolve(&self.chain, wanted).await?;
        if next.weights == now.resolved.weights {
            now.resolved.at = next.at;
            return Ok(());
        }
        let Some(loader) = self.loader.lock().clone() else { return Ok(()) };
        tracing::info!(spec = %next.id, weights = %next.weights, "the chain names another model");
        self.note(&now.resolved).await;
        self.find_peers(&loader).await;
        let (served, watch) = loader.load_watched(&next).await?;
        self.serve(served, &next).await;
        loader.unpin(&now.resolved, &next);
        *now = Serving::new(next, watch);
        Ok(())
    }

    /// Has a block fetched again that was found damaged when somebody asked for it.
    async fn fetch_again(&self, wanted: Option<SpecId>, hash: ContentHash, now: &mut Serving) {
        if now.resolved.blocks().contains(&hash) {
            return self.heal(wanted, &format!("block {hash} was damaged"), now).await;
        }
        let Some(loader) = self.loader.lock().clone() else { return };
        tokio::spawn(async move {
            match loader.fetcher.ensure(&[hash]).await {
                Ok(_) => tracing::info!(%hash, "a damaged block is healed"),
                Err(error) => tracing::error!(%hash, %error, "a damaged block is not healed"),
            }
        });
    }

    /// Makes the model anew of verified blocks, after one of them was damaged.
    ///
    /// A file that changed on disk has changed in memory too, where it is mapped: what was computed on it since then is worth
    /// nothing, and nothing more is computed until every block is verified again.
    async fn heal(&self, wanted: Option<SpecId>, damage: &impl std::fmt::Display, now: &mut Serving) {
        tracing::error!(%damage, "the model is damaged: no answers until it is healed");
        self.app.health.starting(format!("the model is being healed: {damage}"));
        self.engines.discard();
        match self.load(wanted, Patience::Endless).await {
            Ok(serving) => {
                if let Some(loader) = self.loader.lock().as_ref() {
                    loader.unpin(&now.resolved, &serving.resolved);
                }
                *now = serving;
                self.app.health.ready();
                tracing::info!("the model is whole again");
            },
            Err(error) => {
                tracing::error!(%error, "the model is not healed");
                now.damage = Box::pin(std::future::pending());
            },
        }
    }

    /// Lets running answers end, stores their receipts, anchors them, and redeems vouchers.
    async fn drain(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while !self.engines.are_idle() && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_POLL).await;
        }
        if !self.engines.are_idle() {
            tracing::warn!("some answers are cut short");
            self.engines.abort();
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
        if let Some(rounds) = tasks.rounds {
            join(rounds, "taking part in rounds").await;
        }
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
        LoaderError::Fetch(FetchError::Exhausted { .. } | FetchError::AllBarred { .. } | FetchError::Stuck(_)) => true,
        _ => false,
    }
}

/// How long to wait before the model is tried again.
fn pause_after(error: &LoaderError) -> Duration {
    match error {
        LoaderError::Fetch(FetchError::AllBarred { again_in, .. }) => (*again_in).clamp(START_PAUSE, LONG_PAUSE),
        _ => START_PAUSE,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::PeerError;

    fn fetch(error: FetchError) -> LoaderError {
        LoaderError::Fetch(error)
    }

    #[test]
    fn a_worker_whose_peers_lied_or_failed_waits_and_one_without_peers_does_not() {
        let hash = ContentHash([1; 32]);
        let barred = |again_in| fetch(FetchError::AllBarred { hash, again_in });
        assert!(may_pass(&barred(Duration::from_secs(600))));
        assert!(may_pass(&fetch(FetchError::Exhausted { hash, last: PeerError::Absent })));
        assert!(!may_pass(&fetch(FetchError::NoPeers { hash, damaged: None })));
        assert_eq!(pause_after(&barred(Duration::from_secs(600))), LONG_PAUSE);
        assert_eq!(pause_after(&barred(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(pause_after(&barred(Duration::ZERO)), START_PAUSE);
    }
}
