//! From a specification on chain to a model that is served.

pub mod watch;

use crate::{
    canonical::Canonical,
    clock,
    fetch::{FetchError, Fetcher},
    health::Health,
    metrics::Metrics,
    scheduler::{self, Finished, Limits},
    served::Served,
};
use blyan_chain::{BlockRef, ChainClient, ChainError, SpecStatus, State};
use blyan_model::{
    chat::{ChatError, TextProcessor},
    exec::{Engine, EngineConfig, EngineError, LoadError, Model, ModelBlocks},
};
use blyan_primitives::{
    ids::{ContentHash, SpecId, WeightsId},
    spec::{ModelSpec, weights_id},
};
use blyan_store::Store;
use std::{collections::HashMap, io, sync::Arc};
use tokio::sync::mpsc;
use watch::Watch;

/// Why no model is served.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// No spec is active.
    #[error("the chain has no active model specification")]
    NoSpec,
    /// The spec asked for does not exist or is not active.
    #[error("spec {0} is not active on this chain")]
    NotActive(SpecId),
    /// A slot has no expert yet.
    #[error("slot {layer}/{index} of spec {spec} holds no expert yet")]
    EmptySlot {
        /// The spec.
        spec: SpecId,
        /// The layer.
        layer: usize,
        /// The expert in the layer.
        index: usize,
    },
    /// Blocks are missing.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The blocks make no model.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The tokenizer block is not usable.
    #[error(transparent)]
    Text(#[from] ChatError),
    /// The engine did not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine's thread did not start.
    #[error("the engine's thread did not start: {0}")]
    Thread(#[source] io::Error),
    /// A task was cut short.
    #[error("loading was cut short: {0}")]
    Cut(String),
}

/// A specification with the block in each slot, as a block of the chain has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The block that says so.
    pub at: BlockRef,
    /// The specification's name.
    pub id: SpecId,
    /// The specification.
    pub spec: ModelSpec,
    /// `heads[layer][index]`: the expert block in each slot.
    pub heads: Vec<Vec<ContentHash>>,
    /// Names the specification and every expert block.
    pub weights: WeightsId,
}

impl Resolved {
    /// Every block that the model needs, each once: tokenizer, trunk, router, experts.
    pub fn blocks(&self) -> Vec<ContentHash> {
        let mut all = vec![self.spec.tokenizer, self.spec.trunk, self.spec.router];
        for hash in self.heads.iter().flatten() {
            if !all.contains(hash) {
                all.push(*hash);
            }
        }
        all
    }
}

/// What the finalized chain says is to be served: `wanted`, or the default among the active specs.
pub async fn resolve(chain: &ChainClient, wanted: Option<SpecId>) -> Result<Resolved, LoaderError> {
    resolve_at(&chain.at_finalized().await?, wanted).await
}

/// What `state` says is to be served: `wanted`, or the default among the active specs.
pub async fn resolve_at(state: &State, wanted: Option<SpecId>) -> Result<Resolved, LoaderError> {
    let record = match wanted {
        Some(id) => state
            .spec(id)
            .await?
            .filter(|record| record.status == SpecStatus::Active)
            .ok_or(LoaderError::NotActive(id))?,
        None => state.active_specs().await?.into_iter().next().ok_or(LoaderError::NoSpec)?,
    };
    let mut heads = Vec::new();
    for (layer, slots) in state.slot_heads(&record).await?.into_iter().enumerate() {
        let slots = slots.into_iter().enumerate().map(|(index, head)| match head {
            Some(head) => Ok(head.block),
            None => Err(LoaderError::EmptySlot { spec: record.id, layer, index }),
        });
        heads.push(slots.collect::<Result<Vec<_>, _>>()?);
    }
    let weights = weights_id(record.id, heads.iter().flatten());
    Ok(Resolved { at: state.block(), id: record.id, spec: record.spec, heads, weights })
}

/// What loading needs beside the model.
#[derive(Clone, Debug)]
pub struct Loader {
    /// Brings blocks here.
    pub fetcher: Fetcher,
    /// Where they are.
    pub store: Store,
    /// Threads of the engine.
    pub threads: usize,
    /// How the batch is run.
    pub limits: Limits,
    /// Where finished answers go.
    pub completions: mpsc::Sender<Finished>,
    /// Told when an engine breaks.
    pub health: Health,
    /// Measures.
    pub metrics: Arc<Metrics>,
}

impl Loader {
    /// Fetches what is missing of `resolved`, verifies all of it, and starts its engine. The [`Watch`] tells when a block of
    /// it was changed on disk.
    pub async fn load_watched(&self, resolved: &Resolved) -> Result<(Served, Watch), LoaderError> {
        let hashes = resolved.blocks();
        for hash in &hashes {
            self.store.pin(hash);
        }
        let blocks: HashMap<ContentHash, _> = hashes.iter().copied().zip(self.fetcher.ensure(&hashes).await?).collect();
        let watch = Watch::new(&self.store, blocks.values());
        let (resolved, config) = (resolved.clone(), EngineConfig { threads: self.threads, ..EngineConfig::default() });
        // Checks every float of the model.
        let loaded = tokio::task::spawn_blocking(move || {
            let find = |hash: &ContentHash| {
                let found = blocks.get(hash).cloned();
                found.ok_or_else(|| LoaderError::Cut(format!("block {hash} was not fetched")))
            };
            let experts = resolved
                .heads
                .iter()
                .map(|layer| layer.iter().map(find).collect::<Result<Vec<_>, _>>())
                .collect::<Result<Vec<_>, _>>()?;
            let text = TextProcessor::from_block(&find(&resolved.spec.tokenizer)?)?;
            let (trunk, router) = (find(&resolved.spec.trunk)?, find(&resolved.spec.router)?);
            let spec = resolved.spec.clone();
            let model = Model::load(ModelBlocks { spec, trunk, router, experts })?;
            let engine = Engine::new(Arc::new(model), config)?;
            Ok::<_, LoaderError>((resolved, engine, Arc::new(text)))
        });
        let (resolved, engine, text) = loaded.await.map_err(|error| LoaderError::Cut(error.to_string()))??;
        tracing::info!(
            spec = %resolved.id,
            weights = %resolved.weights,
            cpu = %engine.cpu(),
            threads = engine.threads(),
            "the model is loaded"
        );
        let ids = (resolved.id, resolved.weights);
        let handle = scheduler::start(
            Canonical::new(engine, text.clone()),
            ids,
            self.limits,
            self.completions.clone(),
            self.health.clone(),
            self.metrics.clone(),
        )
        .map_err(LoaderError::Thread)?;
        let served = Served {
            spec: resolved.spec,
            id: resolved.id,
            weights: resolved.weights,
            text,
            engine: handle,
            since: clock::unix_millis() / 1000,
        };
        Ok((served, watch))
    }

    /// Lets the store evict what only `former` needed.
    pub fn unpin(&self, former: &Resolved, now: &Resolved) {
        let needed = now.blocks();
        for hash in former.blocks().iter().filter(|hash| !needed.contains(hash)) {
            self.store.unpin(hash);
        }
    }
}
