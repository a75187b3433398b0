//! From an evaluation on chain to what a member finds: the blocks it takes, the model of its height, and the run.

use super::{Cancel, Context, LearnError, memory::Found};
use blyan_chain::{Delta, Evaluation as OnChain, Measured, State};
use blyan_learning::evaluate::{Blocks, Evaluation, Outcome, Progress, ScoreCache, Stage, Task};
use blyan_model::exec::{EngineConfig, Model, ModelBlocks};
use blyan_primitives::{
    ids::ContentHash,
    learning::{DeltaInfo, RoundId},
    spec::ModelSpec,
};
use std::{sync::Arc, time::Instant};

/// All that an evaluation is computed from.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) task: Task,
    pub(super) blocks: Blocks,
    pub(super) model: Arc<Model>,
}

impl std::fmt::Debug for Ground {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ground({} blocks)", self.blocks.len())
    }
}

/// A delta, for who measures or merges it.
pub(super) fn info(delta: &Delta) -> DeltaInfo<[u8; 32]> {
    DeltaInfo { learner: delta.learner.0, header: delta.header.clone() }
}

/// Deltas that are measured, in their order.
fn measured(evaluation: &OnChain, deltas: &[Delta]) -> Result<Vec<DeltaInfo<[u8; 32]>>, LearnError> {
    let info = |measured: &Measured| deltas.get(measured.index as usize).map(info);
    evaluation.deltas.iter().map(info).collect::<Option<_>>().ok_or(LearnError::Gone("delta"))
}

impl Context {
    /// Brings everything together.
    pub(super) async fn ground(
        &self,
        state: &State,
        round: RoundId,
        evaluation: &OnChain,
    ) -> Result<Ground, LearnError> {
        let known = state.round(round).await?.ok_or(LearnError::Gone("round"))?;
        let submitted = state.deltas(round).await?;
        let spec = state.spec(evaluation.spec).await?.ok_or(LearnError::Gone("spec"))?.spec;
        let mut experts = Vec::new();
        for layer in 0..spec.dimensions.layers {
            let heads = state.heads_of_layer_at(evaluation.spec, layer, evaluation.at).await?;
            experts.push(heads.into_iter().collect::<Option<Vec<_>>>().ok_or(LearnError::Gone("head"))?);
        }
        let task = Task {
            slot: evaluation.slot,
            base: evaluation.base,
            master: known.master,
            layout: evaluation.layout,
            rules: evaluation.learning.clone(),
            sources: evaluation.sources.clone(),
            seed: evaluation.seed,
            deltas: measured(evaluation, &submitted)?,
        };
        for measured in &evaluation.deltas {
            if let Some(delta) = submitted.get(measured.index as usize) {
                self.delta(state, &delta.learner, &delta.header).await?;
            }
        }
        let sources = &task.sources;
        let sets = sources.held_out.iter().chain(&sources.hidden).chain(&sources.general).map(|set| set.block);
        let data = task.deltas.iter().flat_map(|delta| [delta.header.block, delta.header.data.block]);
        let names: Vec<ContentHash> = [spec.trunk, spec.router, task.master]
            .into_iter()
            .chain(experts.iter().flatten().copied())
            .chain(sets)
            .chain(data)
            .collect();
        // Until it is over they are needed again and again.
        names.iter().for_each(|name| self.store.pin(name));
        let blocks = self.blocks(&names).await?;
        Self::blocking(move || {
            let model = Arc::new(load(spec, &experts, &blocks)?);
            Ok(Ground { task, blocks, model })
        })
        .await
    }

    /// Lets the store evict what only this evaluation needed.
    pub(super) fn leave(&self, ground: &Ground) {
        ground.blocks.keys().for_each(|name| self.store.unpin(name));
    }

    /// Evaluates, and keeps what was found.
    pub(super) async fn evaluate(&self, ground: Ground, round: RoundId, attempt: u8) -> Result<Found, LearnError> {
        let cancel = Cancel::default();
        let (is_cancelled, memory, store, threads) =
            (cancel.flag(), self.memory.clone(), self.store.clone(), self.threads);
        Self::blocking(move || {
            let began = Instant::now();
            let mut told = 0;
            let mut progress = |progress: Progress| {
                let tenth = progress.done.saturating_mul(10).checked_div(progress.total).unwrap_or(0);
                if progress.stage == Stage::Cells && tenth > told {
                    told = tenth;
                    tracing::info!(round, done = progress.done, total = progress.total, "evaluating");
                }
            };
            let evaluation = Evaluation::new(ground.task, ground.model, &ground.blocks, &mut progress, &is_cancelled)?;
            for (number, delta) in evaluation.deltas().iter().enumerate() {
                if let Some(fault) = delta.fault() {
                    tracing::info!(round, delta = number, %fault, "a delta is malformed");
                }
            }
            let mut cache = ScoreCache::open(&memory.scores(round, attempt))
                .map_err(blyan_learning::evaluate::EvaluateError::from)?;
            let config = EngineConfig { threads, ..EngineConfig::default() };
            let outcome = evaluation.run(&config, &mut cache, &mut progress, &is_cancelled)?;
            let Outcome { scores, reveal, candidate, verdict } = outcome;
            if let Some(blocks) = candidate {
                // Others will ask for them.
                for block in [&blocks.master, &blocks.serving] {
                    store.put_verified(block)?;
                }
            }
            let mut salt = [0; 32];
            getrandom::fill(&mut salt).map_err(LearnError::Random)?;
            let found = Found { salt, reveal, scores };
            memory.keep(round, attempt, &found)?;
            let seconds = began.elapsed().as_secs_f64();
            tracing::info!(round, attempt, seconds, accepted = verdict.is_ok(), "a round is evaluated");
            Ok(found)
        })
        .await
    }
}

fn load(spec: ModelSpec, experts: &[Vec<ContentHash>], blocks: &Blocks) -> Result<Model, LearnError> {
    let find = |hash: &ContentHash| blocks.get(hash).cloned().ok_or(LearnError::Gone("block"));
    let layer = |layer: &Vec<ContentHash>| layer.iter().map(find).collect::<Result<Vec<_>, _>>();
    let experts = experts.iter().map(layer).collect::<Result<Vec<_>, _>>()?;
    let (trunk, router) = (find(&spec.trunk)?, find(&spec.router)?);
    Ok(Model::load(ModelBlocks { spec, trunk, router, experts })?)
}
