//! The HTTP API: OpenAI's for answers, ours for receipts, channels and blocks.

mod answer;
mod blocks;
mod error;
mod gate;
mod info;
mod params;
mod request;
pub mod serve;
mod shape;

pub use error::ApiError;
pub use request::{Kind, Prompt, Request};

use crate::{
    health::Health,
    metrics::Metrics,
    payment::{Cashier, Channels},
    receipts::journal::Journal,
    served::Current,
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, Method, StatusCode},
    middleware,
    routing::{get, post},
};
use blyan_chain::AccountId;
use blyan_primitives::ids::ContentHash;
use blyan_store::Store;
use serde::Serialize;
use std::{
    num::NonZeroU32,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

/// What of the configuration the API needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most bytes of a body.
    pub max_body: usize,
    /// Most tokens of an answer.
    pub max_tokens: u32,
    /// Requests that may wait for the engine.
    pub max_queue: usize,
    /// Transfers of blocks side by side.
    pub max_uploads: usize,
    /// Bearer tokens that may ask for answers; empty admits everybody.
    pub api_keys: Vec<String>,
    /// Requests a minute that one address may make.
    pub rate_limit: Option<NonZeroU32>,
    /// Whether requests for answers are taken: the role of a gateway.
    pub gateway: bool,
}

/// What is there once the chain has been reached.
pub struct ChainSide {
    /// Hash of the chain's first block.
    pub genesis: [u8; 32],
    /// Receipts.
    pub journal: Arc<Journal>,
    /// Takes vouchers, where the worker has a price.
    pub cashier: Option<Cashier>,
    /// Looks channels up.
    pub channels: Arc<dyn Channels>,
    /// How the node does.
    pub sight: Arc<dyn Fn() -> Sight + Send + Sync>,
}

/// How the node does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// Whether it answers.
    pub connected: bool,
    /// The last finalized block that was seen.
    pub finalized: Option<u32>,
    /// What it does not take, and why.
    pub refused: Vec<Refused>,
}

/// A transaction that the node does not take for now. It is sent again until it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// What it is for, such as `anchor/7/0x…`.
    pub submission: String,
    /// What the node says against it.
    pub reason: String,
}

/// Everything that requests share.
pub struct App {
    /// Limits.
    pub settings: Settings,
    /// The worker's account.
    pub account: AccountId,
    /// The worker's public key.
    pub key: [u8; 32],
    /// Whether requests are answered.
    pub health: Health,
    /// Measures.
    pub metrics: Arc<Metrics>,
    /// Blocks.
    pub store: Store,
    /// The model.
    pub current: Current,
    /// The chain, once it has been reached.
    pub chain: OnceLock<ChainSide>,
    /// Where blocks are named that turned out to be damaged, once there is somebody to heal them.
    pub damaged: OnceLock<mpsc::Sender<ContentHash>>,
    uploads: Arc<Semaphore>,
    gate: gate::Gate,
}

impl App {
    /// An app that is not ready yet.
    pub fn new(settings: Settings, key: [u8; 32], store: Store, health: Health, metrics: Arc<Metrics>) -> Self {
        Self {
            account: AccountId::from(key),
            key,
            health,
            metrics,
            store,
            current: Current::default(),
            chain: OnceLock::new(),
            damaged: OnceLock::new(),
            uploads: Arc::new(Semaphore::new(settings.max_uploads)),
            gate: gate::Gate::new(&settings.api_keys, settings.rate_limit),
            settings,
        }
    }

    fn chain(&self) -> Result<&ChainSide, ApiError> {
        self.chain.get().ok_or_else(|| ApiError::unavailable("not_ready", "The chain has not been reached yet.", 5))
    }
}

/// Longest wait for a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let answers = Router::new()
        .route("/v1/chat/completions", post(answer::chat))
        .route("/v1/completions", post(answer::text))
        .route("/v1/models", get(info::models))
        .route("/v1/models/{*id}", get(info::model))
        .route_layer(middleware::from_fn_with_state(app.clone(), gate::admit));
    let expose = [
        HeaderName::from_static("x-request-id"),
        HeaderName::from_static("x-blyan-receipt"),
        axum::http::header::RETRY_AFTER,
        axum::http::header::CONTENT_RANGE,
        axum::http::header::ETAG,
    ];
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        // Not `*`, which does not cover `Authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(expose)
        .max_age(Duration::from_secs(3600));
    Router::new()
        .merge(answers)
        .route("/v1/receipts/{id}", get(info::receipt))
        .route("/v1/channels/{id}", get(info::channel))
        .route("/v1/blocks/{hash}", get(blocks::whole))
        .route("/v1/blocks/{hash}/header", get(blocks::header))
        .route("/v1/blocks/{hash}/leaves", get(blocks::leaves))
        .route("/health", get(info::health))
        .route("/health/live", get(info::live))
        .route("/metrics", get(info::metrics))
        .fallback(|| async { ApiError::not_found("not_found", "There is nothing at this path.") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This path has other methods.")
        })
        // Bodies are read with our own limit, so that its error has the right shape.
        .layer(DefaultBodyLimit::disable())
        .layer(cors)
        .layer(middleware::from_fn_with_state(app.clone(), gate::frame))
        .with_state(app)
}
