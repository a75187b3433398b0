//! Scores of models on items, cell by cell.

use super::{EvaluateError, Evaluation, Progress, ScoreCache, Stage};
use blyan_model::exec::{EngineConfig, Model, Scorer};
use blyan_primitives::pol::{Scores, Set, Target};
use std::sync::Arc;

/// Fills in the scores of an evaluation.
pub(super) struct Meter<'a, 'b> {
    evaluation: &'a Evaluation<'b>,
    scorer: Scorer,
    cache: &'a mut ScoreCache,
    is_cancelled: &'a dyn Fn() -> bool,
    filled: Filled<'a>,
}

/// Scores, cell by cell.
struct Filled<'a> {
    scores: Vec<u64>,
    done: u32,
    total: u32,
    progress: &'a mut dyn FnMut(Progress),
}

impl Filled<'_> {
    fn put(&mut self, cell: usize, score: u64) -> Result<(), EvaluateError> {
        *self.scores.get_mut(cell).ok_or(EvaluateError::Inconsistent)? = score;
        self.done += 1;
        (self.progress)(Progress { stage: Stage::Cells, done: self.done, total: self.total });
        Ok(())
    }
}

impl<'a, 'b> Meter<'a, 'b> {
    pub(super) fn new(
        evaluation: &'a Evaluation<'b>,
        config: &EngineConfig,
        cache: &'a mut ScoreCache,
        progress: &'a mut dyn FnMut(Progress),
        is_cancelled: &'a dyn Fn() -> bool,
    ) -> Result<Self, EvaluateError> {
        let (slot, layout) = (evaluation.task.slot, &evaluation.task.layout);
        let scorer = Scorer::new(evaluation.model.clone(), slot.layer, slot.index, config)?;
        let malformed = evaluation.deltas.iter().filter(|delta| delta.applied.is_err()).count() as u32;
        let total = layout.all() - malformed * (layout.trial + layout.general + layout.own);
        let filled = Filled { scores: vec![0; layout.all() as usize], done: 0, total, progress };
        Ok(Self { evaluation, scorer, cache, is_cancelled, filled })
    }

    /// Scores of models on all items of a set.
    pub(super) fn measure(&mut self, set: Set, models: &[(Target, Arc<Model>)]) -> Result<(), EvaluateError> {
        let Self { evaluation, scorer, cache, is_cancelled, filled } = self;
        let mut firsts = Vec::with_capacity(models.len());
        for (target, _) in models {
            let cells = evaluation.task.layout.cells(*target, set).ok_or(EvaluateError::Inconsistent)?;
            firsts.push(cells.start as usize);
        }
        for (number, item) in evaluation.items_of(set).into_iter().enumerate() {
            let mut missing = Vec::new();
            for (first, (_, model)) in firsts.iter().zip(models) {
                match cache.get(model.weights_id(), item) {
                    Some(score) => filled.put(first + number, score)?,
                    None => missing.push((first + number, model)),
                }
            }
            if missing.is_empty() {
                continue;
            }
            if is_cancelled() {
                return Err(EvaluateError::Cancelled);
            }
            let mut scored = scorer.item(evaluation.tokens(item)?)?;
            for (cell, model) in missing {
                if is_cancelled() {
                    return Err(EvaluateError::Cancelled);
                }
                let losses = scored.losses(model)?;
                let score = losses.iter().fold(0u64, |sum, loss| sum.saturating_add(u64::from(*loss)));
                cache.put(model.weights_id(), item, score)?;
                filled.put(cell, score)?;
            }
        }
        Ok(())
    }

    /// Nothing is merged: a candidate has no cells.
    pub(super) fn leave_out_candidate(&mut self) {
        let layout = &self.evaluation.task.layout;
        self.filled.total -= layout.all() - layout.without_candidate();
        self.filled.scores.truncate(layout.without_candidate() as usize);
    }

    /// Scores so far; those that are missing are zero.
    pub(super) fn scores(&self) -> Scores {
        Scores(self.filled.scores.clone())
    }

    pub(super) fn finish(self) -> Scores {
        Scores(self.filled.scores)
    }
}
