//! Losses of models that differ in one slot, on the same items.
//!
//! Up to the experts of that slot's layer they compute the same: this part of the way is gone once for an item, and the rest
//! for each of the models. The losses are those of [traces](blyan_primitives::trace), to the bit, also where weights lead to
//! what is no number.

use super::{
    KvCache,
    cpu::{Cpu, CpuError, check_floats},
    engine::{EngineConfig, EngineError},
    forward::{ATTENTION_INPUT, Executor, Failure, LOGIT_ROWS, Run, Workspace},
    model::Model,
    pool::{Chunks, Pool},
};
use blyan_primitives::{
    canonical,
    math::exp,
    trace::{DIVERGED, LEAF_WORDS, MAX_ITEM_TOKENS},
};
use core::ops::Range;
use std::sync::Arc;

/// Why there is no score.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// Threads or the code path cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The calling thread computes in another floating-point mode than canonical execution.
    #[error(transparent)]
    Cpu(#[from] CpuError),
    /// The model has no such slot.
    #[error("the model has no slot {layer}/{index}")]
    NoSlot {
        /// The layer.
        layer: u16,
        /// The expert in it.
        index: u16,
    },
    /// The item has too few or too many tokens, or one that the model does not know.
    #[error(
        "an item has 2 to {MAX_ITEM_TOKENS} tokens of the model's vocabulary, and at most one more than fit its context"
    )]
    Item,
    /// The model differs from the first one in another slot too, or in its specification.
    #[error("the model differs from the one it is compared with in more than slot {layer}/{index}")]
    OtherModel {
        /// Layer of the slot in which it may differ.
        layer: u16,
        /// The expert in it.
        index: u16,
    },
}

/// Scores models that differ in one slot.
pub struct Scorer {
    base: Arc<Model>,
    layer: u16,
    index: u16,
    cpu: Cpu,
    pool: Pool,
    work: Workspace,
    /// Keys and values of the item that is being scored.
    cache: KvCache,
}

impl Scorer {
    /// Starts threads and allocates the memory of a pass, for `base` and models that differ from it in a slot at most.
    ///
    /// # Errors
    /// When the model has no such slot, or the configuration cannot be had.
    pub fn new(base: Arc<Model>, layer: u16, index: u16, config: &EngineConfig) -> Result<Self, ScoreError> {
        base.block_of(layer, index).ok_or(ScoreError::NoSlot { layer, index })?;
        let (cpu, pool) = config.start()?;
        let blocks = base.layers.iter().map(|layer| layer.blocks.len()).max().unwrap_or(0);
        // A block that no other slot has can be one more.
        let work = Workspace::with_blocks(&base, config.pass_tokens, pool.workers(), blocks + 1);
        let cache = KvCache::new(base.dimensions());
        Ok(Self { base, layer, index, cpu, pool, work, cache })
    }

    /// Passes an item, all of its tokens but the last, through what the models have in common.
    ///
    /// # Errors
    /// When an item cannot have so many tokens, or one of them is not in the vocabulary.
    pub fn item<'a>(&'a mut self, tokens: &'a [u32]) -> Result<ItemScorer<'a>, ScoreError> {
        check_floats()?;
        let (base, layer) = (self.base.clone(), usize::from(self.layer));
        let d = base.dimensions();
        let (fits, known) = (2..=MAX_ITEM_TOKENS as usize, |token: &u32| *token < d.vocab);
        if !fits.contains(&tokens.len()) || tokens.len() - 1 > d.context as usize || !tokens.iter().all(known) {
            return Err(ScoreError::Item);
        }
        let (mut stream, mut failures) = (Vec::new(), Vec::new());
        for part in self.parts(tokens) {
            let mut executor = Executor { model: &base, cpu: self.cpu, pool: &mut self.pool, work: &mut self.work };
            let runs = &mut [Run { cache: &mut self.cache, tokens: &tokens[part.clone()], start: part.start }];
            executor.begin(runs);
            executor.embed(runs);
            for index in 0..layer {
                executor.attention(index, runs);
                executor.feed_forward(index);
            }
            executor.attention(layer, runs);
            let (own, failed) = executor.work.stream(part.len());
            stream.extend_from_slice(own);
            failures.extend_from_slice(failed);
        }
        Ok(ItemScorer { scorer: self, tokens, stream, failures })
    }

    /// An item's positions in passes.
    fn parts(&self, tokens: &[u32]) -> impl Iterator<Item = Range<usize>> + use<> {
        let (positions, step) = (tokens.len() - 1, self.work.tokens());
        (0..positions).step_by(step).map(move |start| start..positions.min(start + step))
    }
}

/// An item, passed through what models have in common.
pub struct ItemScorer<'a> {
    scorer: &'a mut Scorer,
    tokens: &'a [u32],
    /// The residual stream before the experts that differ, `[positions, hidden]`.
    stream: Vec<f32>,
    failures: Vec<Option<Failure>>,
}

impl ItemScorer<'_> {
    /// The losses of all positions for `model`, in parts of a nat: [`LOSS_UNITS`](blyan_primitives::trace::LOSS_UNITS).
    ///
    /// # Errors
    /// When the model differs in more than the slot.
    pub fn losses(&mut self, model: &Model) -> Result<Vec<u32>, ScoreError> {
        check_floats()?;
        let Self { scorer, tokens, stream, failures } = self;
        let (layer, index) = (scorer.layer, scorer.index);
        if !model.is_but_for(&scorer.base, layer, index) {
            return Err(ScoreError::OtherModel { layer, index });
        }
        let (layers, hidden) = (model.layers.len(), model.dimensions().hidden as usize);
        let mut losses = Vec::with_capacity(tokens.len() - 1);
        for part in scorer.parts(tokens) {
            let Scorer { cpu, pool, work, cache, .. } = &mut **scorer;
            let mut executor = Executor { model, cpu: *cpu, pool, work };
            let runs = &mut [Run { cache, tokens: &tokens[part.clone()], start: part.start }];
            executor.begin(runs);
            executor.turn();
            let (own, failed) = executor.work.stream(part.len());
            own.copy_from_slice(&stream[part.start * hidden..part.end * hidden]);
            failed.copy_from_slice(&failures[part.clone()]);
            executor.feed_forward(layer.into());
            for index in usize::from(layer) + 1..layers {
                executor.attention(index, runs);
                executor.feed_forward(index);
            }
            executor.leave();
            for first in (0..part.len()).step_by(LOGIT_ROWS) {
                let rows = first..part.len().min(first + LOGIT_ROWS);
                executor.logits(rows.clone());
                let mut found = vec![DIVERGED; rows.len()];
                let work = &*executor.work;
                executor.pool.each(Chunks::new(&mut found, 1), |row, found| {
                    let target = tokens[part.start + first + row + 1];
                    if work.check(first + row).is_ok() {
                        found.fill(loss(work.any_logits(row), target));
                    }
                });
                losses.extend(found);
            }
            let spreads = |token: &usize| work.check(*token).is_err_and(|failure| reaches_later(failure, layers));
            if let Some(token) = (0..part.len()).find(spreads) {
                losses.truncate(part.start + token);
                losses.resize(tokens.len() - 1, DIVERGED);
                break;
            }
        }
        Ok(losses)
    }
}

/// Whether what is no number gets into keys and values, and with them into all later positions.
fn reaches_later(failure: Failure, layers: usize) -> bool {
    failure.layer + 1 < layers || failure.what == ATTENTION_INPUT
}

/// The loss of a position, of which `target` is the token that follows.
fn loss(logits: &[f32], target: u32) -> u32 {
    let chunks = || logits.chunks(LEAF_WORDS as usize);
    let most = canonical::largest(&chunks().map(canonical::largest).collect::<Vec<_>>());
    let mut terms = [0.0; LEAF_WORDS as usize];
    let mut sum = |logits: &[f32]| {
        let terms = &mut terms[..logits.len()];
        terms.iter_mut().zip(logits).for_each(|(term, logit)| *term = exp(logit - most));
        canonical::sum(terms)
    };
    let sums: Vec<f32> = chunks().map(&mut sum).collect();
    canonical::loss(canonical::sum(&sums), most, logits[target as usize])
}
