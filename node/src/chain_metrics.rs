//! What the chain says of itself, as metrics: whether it is closed or migrating, its era, validators, slashes and money.

use crate::service::Client;
use blyan_runtime::{
    constants::currency::BLY,
    query::{BlyanApi, ChainStatus},
    Balance, Hash,
};
use futures::StreamExt;
use polkadot_sdk::*;
use sc_client_api::BlockchainEvents;
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use std::sync::Arc;
use substrate_prometheus_endpoint::{register, Gauge, PrometheusError, Registry, F64, U64};

/// Blocks in between that are not final yet can still be undone, so that this is what the last finalized one says.
pub(crate) struct ChainMetrics {
    closed: Gauge<U64>,
    migrating: Gauge<U64>,
    era: Gauge<U64>,
    candidates: Gauge<U64>,
    validators: Gauge<U64>,
    disabled: Gauge<U64>,
    pending_slashes: Gauge<U64>,
    workers: Gauge<U64>,
    issuance: Gauge<F64>,
    treasury: Gauge<F64>,
}

impl ChainMetrics {
    /// Adds the metrics to those that the node shows.
    pub(crate) fn register(registry: &Registry) -> Result<Self, PrometheusError> {
        let number = |name: &str, help: &str| register(Gauge::<U64>::new(name, help)?, registry);
        let money = |name: &str, help: &str| register(Gauge::<F64>::new(name, help)?, registry);
        Ok(Self {
            closed: number("blyan_chain_closed", "1 while all but governing is refused")?,
            migrating: number("blyan_chain_migrating", "1 while a migration goes on or is stuck")?,
            era: number("blyan_staking_era", "The era whose stakes count")?,
            candidates: number("blyan_staking_candidates", "Accounts that can be elected")?,
            validators: number("blyan_staking_validators", "Validators of the session")?,
            disabled: number("blyan_staking_disabled_validators", "Validators that the session goes on without")?,
            pending_slashes: number("blyan_staking_pending_slashes", "Slashes that are announced and can be disputed")?,
            workers: number("blyan_workers_registered", "Registered workers")?,
            issuance: money("blyan_issuance_bly", "BLY that exist")?,
            treasury: money("blyan_treasury_bly", "BLY that the treasury can spend")?,
        })
    }

    fn set(&self, status: &ChainStatus) {
        self.closed.set(status.closed_until.is_some().into());
        self.migrating.set(status.is_migrating.into());
        self.era.set(status.era.into());
        self.candidates.set(status.candidates.into());
        self.validators.set(status.validators.into());
        self.disabled.set(status.disabled.into());
        self.pending_slashes.set(status.pending_slashes.into());
        self.workers.set(status.workers.into());
        self.issuance.set(in_bly(status.issuance));
        self.treasury.set(in_bly(status.treasury));
    }

    /// Keeps them at what the last finalized block says, for as long as there are blocks.
    pub(crate) async fn run(self, client: Arc<Client>) {
        // Before the state is read for the first time, so that no block is missed in between.
        let mut finalized = client.finality_notification_stream();
        self.read(&client, client.info().finalized_hash);
        while let Some(block) = finalized.next().await {
            self.read(&client, block.hash);
        }
    }

    fn read(&self, client: &Client, at: Hash) {
        match client.runtime_api().chain_status(at) {
            Ok(status) => self.set(&status),
            // A runtime of before this function, or, while the node synchronises by warp, no state yet.
            Err(error) => tracing::debug!(block = ?at, %error, "The chain's status could not be read"),
        }
    }
}

/// A figure to draw, not to reckon with.
fn in_bly(amount: Balance) -> f64 {
    amount as f64 / BLY as f64
}
