//! The trace of an evaluation: every value on the way from an item's tokens to its loss, in an order that all share.
//!
//! An evaluator who measures a model on an item can commit to each step of that with one hash, the root of the
//! [tile tree](crate::merkle) over the trace. Of two that differ, the first leaf in which they do is found by walking down
//! both trees; everything before it is the same in both, so that what it was computed from can be proved against either.
//! Then one word decides, and [`Trace::compute`] computes it: the runtime on [`soft_float`](crate::soft_float)'s floats, an
//! evaluator that makes or checks a trace on the processor's.
//!
//! A trace is a row of [`Step`]s. A step is a matrix of 32-bit words, bits of floats unless it says otherwise, and lies in the
//! trace row by row, each row in leaves of [`LEAF_WORDS`] words of which the last may have fewer. `P` positions predict the
//! token after theirs; the item has `P + 1` tokens. What is no number is the quiet one without sign or payload.
//!
//! The loss of a position is in units of 2^-20 nats, rounded, and that of an item is the sum of its positions': integers,
//! which add up in any order.

#![allow(clippy::arithmetic_side_effects, reason = "shapes are products of dimensions that `ModelSpec::check` bounds")]

mod compute;
mod place;
#[cfg(test)]
mod tests;

pub use place::{Part, Place};

use crate::spec::Dimensions;
use alloc::{vec, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::{fmt, ops::Range};
use scale_info::TypeInfo;

/// Words of a leaf.
pub const LEAF_WORDS: u32 = 256;
/// Most tokens of an item.
pub const MAX_ITEM_TOKENS: u32 = 1025;
/// Parts of a nat that losses are counted in.
pub const LOSS_UNITS: u32 = 1 << 20;
/// The loss of a position whose logits are not all finite.
pub const DIVERGED: u32 = u32::MAX;
/// The expert of a rank when router scores are not all finite.
pub const NO_EXPERT: u32 = u32::MAX;

/// A step of an evaluation. Shapes are rows by columns.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub enum Step {
    /// The embedding, `[P, hidden]`.
    Embedding,
    /// A step of a layer.
    Layer(u16, LayerStep),
    /// What the final norm multiplies by, `[P, 1]`.
    FinalFactor,
    /// The final norm, `[P, hidden]`.
    FinalNorm,
    /// Logits, `[P, vocab]`.
    Logits,
    /// The largest logit of each [`LEAF_WORDS`], `[P, ceil(vocab / 256)]`.
    LogitMaxima,
    /// The largest logit, `[P, 1]`.
    LogitMaximum,
    /// Sums of `exp(logit - largest)` over each [`LEAF_WORDS`], in the order of [`canonical::sum`].
    ExpSums,
    /// The sum of those, in the same order, `[P, 1]`.
    ExpSum,
    /// Losses, integers, `[P, 1]`.
    Loss,
}

/// A step of a layer. `T` is the turn of a query head: position times heads plus head.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub enum LayerStep {
    /// What the norm before attention multiplies by, `[P, 1]`.
    AttnFactor,
    /// That norm, `[P, hidden]`.
    AttnNorm,
    /// Queries, `[P, heads · head_dim]`.
    Query,
    /// Keys, `[P, kv_heads · head_dim]`.
    Key,
    /// Values, transposed: `[kv_heads · head_dim, P]`.
    Value,
    /// Where queries are normalised: what by, `[P, heads]`.
    QueryFactor,
    /// Where keys are normalised: what by, `[P, kv_heads]`.
    KeyFactor,
    /// Queries, normalised where they are, and turned, `[P, heads · head_dim]`.
    QueryTurned,
    /// Keys, the same, `[P, kv_heads · head_dim]`.
    KeyTurned,
    /// Scores, `[T, P]`; zero for positions to come.
    Scores,
    /// The largest score, `[T, 1]`.
    ScoreMaximum,
    /// Numerators of softmax, `[T, P]`; zero for positions to come.
    Numerators,
    /// Their sum, `[T, 1]`.
    Total,
    /// What was attended to, `[P, heads · head_dim]`.
    Attended,
    /// The residual stream after attention, `[P, hidden]`.
    AttnOutput,
    /// What the norm before the experts multiplies by, `[P, 1]`.
    FfnFactor,
    /// That norm, `[P, hidden]`.
    FfnNorm,
    /// Scores of experts, `[P, experts]`.
    RouterScores,
    /// Experts that are chosen, integers, `[P, top_k]`; [`NO_EXPERT`] when a score is not finite.
    Chosen,
    /// Their weights, `[P, top_k]`.
    Weights,
    /// The gate of the expert of a rank, `[P, ffn]`. This and the following are zeros where the expert's block is that of
    /// rank 0 again.
    Gate(u8),
    /// Its other input, `[P, ffn]`.
    Up(u8),
    /// Both together, `[P, ffn]`.
    Gated(u8),
    /// Its output, `[P, hidden]`.
    Down(u8),
    /// The residual stream after the layer, `[P, hidden]`.
    Output,
}

/// A tensor of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tensor {
    /// `[vocab, hidden]`, int8.
    Embed,
    /// `[vocab, hidden]`, int8.
    Head,
    /// `[hidden]`, f32.
    FinalNorm,
    /// `[hidden]`, f32.
    AttnNorm(u16),
    /// `[hidden]`, f32.
    FfnNorm(u16),
    /// `[head_dim]`, f32.
    QueryNorm(u16),
    /// `[head_dim]`, f32.
    KeyNorm(u16),
    /// `[heads · head_dim, hidden]`, int8.
    Query(u16),
    /// `[kv_heads · head_dim, hidden]`, int8.
    Key(u16),
    /// `[kv_heads · head_dim, hidden]`, int8.
    Value(u16),
    /// `[hidden, heads · head_dim]`, int8.
    Output(u16),
    /// `[experts, hidden]`, f32.
    Router(u16),
    /// `[ffn, hidden]` of an expert of a layer, int8.
    Gate(u16, u16),
    /// `[ffn, hidden]` of an expert of a layer, int8.
    Up(u16, u16),
    /// `[hidden, ffn]` of an expert of a layer, int8.
    Down(u16, u16),
}

/// What words are computed from. An implementation that lacks something says so with its error.
pub trait Inputs {
    /// Why something cannot be had.
    type Error;

    /// Words `columns` of a row of an earlier step.
    fn words(&mut self, step: Step, row: u32, columns: Range<u32>) -> Result<Vec<u32>, Self::Error>;

    /// Elements of an f32 tensor, row by row, as bits.
    fn floats(&mut self, tensor: Tensor, elements: Range<u32>) -> Result<Vec<u32>, Self::Error>;

    /// A row of an int8 tensor, and the bits of its scale.
    fn row(&mut self, tensor: Tensor, row: u32) -> Result<(Vec<i8>, u32), Self::Error>;

    /// Token `index` of the item.
    fn token(&mut self, index: u32) -> Result<u32, Self::Error>;

    /// Whether two experts of a layer are the same block.
    fn is_same_block(&mut self, layer: u16, one: u16, other: u16) -> Result<bool, Self::Error>;
}

/// A word of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Word {
    /// The step.
    pub step: Step,
    /// Row in it.
    pub row: u32,
    /// Column in it.
    pub column: u32,
}

/// Words of one row that are a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The step.
    pub step: Step,
    /// Row in it.
    pub row: u32,
    /// Columns in it.
    pub columns: Range<u32>,
}

/// The shape of the trace of items of some length.
#[derive(Clone)]
pub struct Trace {
    dimensions: Dimensions,
    positions: u32,
    /// Every step, and the leaf that it begins with.
    steps: Vec<(Step, u64)>,
    leaves: u64,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({} positions, {} steps, {} leaves)", self.positions, self.steps.len(), self.leaves)
    }
}

impl Trace {
    /// Of items with `tokens` tokens. `None` when that is less than two, more than [`MAX_ITEM_TOKENS`], more than one above the
    /// model's context, or the model's dimensions are unsound.
    pub fn new(dimensions: Dimensions, tokens: u32) -> Option<Self> {
        dimensions.check().ok()?;
        let positions = tokens.checked_sub(1).filter(|positions| *positions > 0)?;
        if tokens > MAX_ITEM_TOKENS || positions > dimensions.context {
            return None;
        }
        let mut trace = Self { dimensions, positions, steps: vec![], leaves: 0 };
        let order = trace.order();
        for step in order {
            trace.steps.push((step, trace.leaves));
            let (rows, columns) = trace.shape(step);
            trace.leaves += u64::from(rows) * u64::from(columns.div_ceil(LEAF_WORDS));
        }
        Some(trace)
    }

    fn order(&self) -> Vec<Step> {
        use LayerStep as L;
        let mut order = vec![Step::Embedding];
        for layer in 0..self.dimensions.layers {
            let mut add = |step| order.push(Step::Layer(layer, step));
            [L::AttnFactor, L::AttnNorm, L::Query, L::Key, L::Value].into_iter().for_each(&mut add);
            if self.dimensions.qk_norm {
                [L::QueryFactor, L::KeyFactor].into_iter().for_each(&mut add);
            }
            [L::QueryTurned, L::KeyTurned, L::Scores, L::ScoreMaximum, L::Numerators, L::Total, L::Attended]
                .into_iter()
                .for_each(&mut add);
            [L::AttnOutput, L::FfnFactor, L::FfnNorm, L::RouterScores, L::Chosen, L::Weights]
                .into_iter()
                .for_each(&mut add);
            // At most 64.
            for rank in 0..self.dimensions.top_k as u8 {
                [L::Gate(rank), L::Up(rank), L::Gated(rank), L::Down(rank)].into_iter().for_each(&mut add);
            }
            add(L::Output);
        }
        use Step as S;
        order.extend([
            S::FinalFactor,
            S::FinalNorm,
            S::Logits,
            S::LogitMaxima,
            S::LogitMaximum,
            S::ExpSums,
            S::ExpSum,
            S::Loss,
        ]);
        order
    }

    /// All steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        self.steps.iter().map(|(step, _)| *step)
    }

    /// Positions that predict a token.
    pub fn positions(&self) -> u32 {
        self.positions
    }

    /// Leaves of the tree.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Rows and columns of a step.
    pub fn shape(&self, step: Step) -> (u32, u32) {
        let d = &self.dimensions;
        let (heads, kv_heads, head_dim) = (u32::from(d.heads), u32::from(d.kv_heads), u32::from(d.head_dim));
        let (p, turns) = (self.positions, self.positions * heads);
        match step {
            Step::Embedding | Step::FinalNorm => (p, d.hidden),
            Step::Logits => (p, d.vocab),
            Step::LogitMaxima | Step::ExpSums => (p, d.vocab.div_ceil(LEAF_WORDS)),
            Step::FinalFactor | Step::LogitMaximum | Step::ExpSum | Step::Loss => (p, 1),
            Step::Layer(_, step) => match step {
                LayerStep::AttnFactor | LayerStep::FfnFactor => (p, 1),
                LayerStep::AttnNorm | LayerStep::FfnNorm | LayerStep::AttnOutput => (p, d.hidden),
                LayerStep::Down(_) | LayerStep::Output => (p, d.hidden),
                LayerStep::Query | LayerStep::QueryTurned | LayerStep::Attended => (p, heads * head_dim),
                LayerStep::Key | LayerStep::KeyTurned => (p, kv_heads * head_dim),
                LayerStep::Value => (kv_heads * head_dim, p),
                LayerStep::QueryFactor => (p, heads),
                LayerStep::KeyFactor => (p, kv_heads),
                LayerStep::Scores | LayerStep::Numerators => (turns, p),
                LayerStep::ScoreMaximum | LayerStep::Total => (turns, 1),
                LayerStep::RouterScores => (p, d.experts.into()),
                LayerStep::Chosen | LayerStep::Weights => (p, d.top_k.into()),
                LayerStep::Gate(_) | LayerStep::Up(_) | LayerStep::Gated(_) => (p, d.ffn),
            },
        }
    }

    /// The dimensions of the model.
    pub fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    /// The leaf that a step begins with, `None` when the trace has no such step.
    pub fn first_leaf(&self, step: Step) -> Option<u64> {
        self.steps.iter().find(|(found, _)| *found == step).map(|(_, first)| *first)
    }

    /// Where leaf `index` lies, `None` past the last.
    pub fn leaf(&self, index: u64) -> Option<Leaf> {
        let after = self.steps.partition_point(|(_, first)| *first <= index);
        let (step, first) = *self.steps.get(after.checked_sub(1)?)?;
        let (rows, columns) = self.shape(step);
        let of_row = u64::from(columns.div_ceil(LEAF_WORDS));
        let row = u32::try_from((index - first).checked_div(of_row)?).ok().filter(|row| *row < rows)?;
        let start = ((index - first) % of_row) as u32 * LEAF_WORDS;
        Some(Leaf { step, row, columns: start..columns.min(start + LEAF_WORDS) })
    }

    /// The leaf that a word is in, `None` when the trace has no such word.
    pub fn leaf_of(&self, word: Word) -> Option<u64> {
        let first = self.first_leaf(word.step)?;
        let (rows, columns) = self.shape(word.step);
        let of_row = u64::from(columns.div_ceil(LEAF_WORDS));
        let is_there = word.row < rows && word.column < columns;
        is_there.then(|| first + u64::from(word.row) * of_row + u64::from(word.column / LEAF_WORDS))
    }
}
