//! The off-chain worker: serves the model that the chain names, and anchors a receipt of every answer.
//!
//! - [`run`]: the worker as a whole: start, service, drain.
//! - [`config`]: defaults, file, environment, flags.
//! - [`http`]: the OpenAI-compatible API, receipts, channels, blocks.
//! - [`scheduler`]: continuous batching on the canonical execution.
//! - [`receipts`]: the journal, the writer, and anchoring, exactly once over crashes.
//! - [`payment`]: prices and vouchers.
//! - [`learn`]: rounds of learning: committees, and new heads.
//! - [`loader`], [`fetch`], [`served`]: from a specification on chain to a model that is served.
//! - [`assignment`]: what the committee of a round is given to evaluate.
//! - [`onchain`], [`identity`], [`hardware`]: the worker's registration, heartbeats, anchors and vouchers.
//! - [`health`], [`metrics`]: what operators see.

pub mod assignment;
pub mod canonical;
pub mod clock;
pub mod config;
pub mod fetch;
pub mod hardware;
pub mod health;
pub mod http;
pub mod identity;
pub mod learn;
pub mod loader;
pub mod metrics;
pub mod onchain;
pub mod payment;
pub mod receipts;
pub mod retry;
pub mod run;
pub mod scheduler;
pub mod served;
pub mod stop;
