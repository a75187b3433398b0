//! From an evaluation on chain to what a member finds: the blocks it takes, the model of its height, and the run.

use super::{Cancel, Context, LearnError, memory::Found};
use crate::assignment::{Assignment, delta_info};
use blyan_chain::{Evaluation as OnChain, State};
use blyan_learning::evaluate::{Blocks, Evaluation, Outcome, Progress, ScoreCache, Stage, Task};
use blyan_model::exec::{EngineConfig, Model};
use blyan_primitives::learning::RoundId;
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

impl Context {
    /// Brings everything together.
    pub(super) async fn ground(
        &self,
        state: &State,
        round: RoundId,
        evaluation: &OnChain,
    ) -> Result<Ground, LearnError> {
        let assignment = Assignment::new(state, round, evaluation).await?;
        for delta in state.deltas(round).await? {
            if assignment.task.deltas.contains(&delta_info(&delta)) {
                self.delta(state, round, &delta).await?;
            }
        }
        let deltas = assignment.task.deltas.iter().map(|delta| delta.header.block);
        let names: Vec<_> = assignment.blocks().into_iter().chain(deltas).collect();
        // Until it is over they are needed again and again.
        names.iter().for_each(|name| self.store.pin(name));
        let blocks = self.blocks(&names).await?;
        Self::blocking(move || {
            let model = Arc::new(assignment.load(&blocks)?);
            Ok(Ground { task: assignment.task, blocks, model })
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
