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

use crate::{
    canonical::{self, Quantised},
    math,
    real::{Double, Real, Single},
    spec::Dimensions,
};
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

const NAN: u32 = 0x7fc0_0000;
const INFINITY: u32 = 0x7f80_0000;

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
        let (_, first) = *self.steps.iter().find(|(step, _)| *step == word.step)?;
        let (rows, columns) = self.shape(word.step);
        let of_row = u64::from(columns.div_ceil(LEAF_WORDS));
        let is_there = word.row < rows && word.column < columns;
        is_there.then(|| first + u64::from(word.row) * of_row + u64::from(word.column / LEAF_WORDS))
    }

    /// Computes a word from what comes before it, on floats of type `S`: the processor's, or those in integers. Zero where the
    /// trace has no such word.
    ///
    /// # Errors
    /// When `inputs` lacks something.
    pub fn compute<S: Single, I: Inputs>(&self, word: Word, inputs: &mut I) -> Result<u32, I::Error> {
        if self.leaf_of(word).is_none() {
            return Ok(0);
        }
        Computation { trace: self, inputs, floats: core::marker::PhantomData::<S> }.word(word)
    }
}

/// Bits of a float, of which there is one that is no number.
fn bits<S: Single>(value: S) -> u32 {
    let bits = value.to_bits();
    if bits & !(1 << 31) > INFINITY {
        NAN
    } else {
        bits
    }
}

struct Computation<'a, S, I> {
    trace: &'a Trace,
    inputs: &'a mut I,
    floats: core::marker::PhantomData<S>,
}

impl<S: Single, I: Inputs> Computation<'_, S, I> {
    fn all(&mut self, step: Step, row: u32) -> Result<Vec<S>, I::Error> {
        let (_, columns) = self.trace.shape(step);
        self.some(step, row, 0..columns)
    }

    fn some(&mut self, step: Step, row: u32, columns: Range<u32>) -> Result<Vec<S>, I::Error> {
        Ok(self.inputs.words(step, row, columns)?.into_iter().map(S::from_bits).collect())
    }

    fn one(&mut self, step: Step, row: u32, column: u32) -> Result<S, I::Error> {
        Ok(first(&self.some(step, row, column..column + 1)?))
    }

    fn floats(&mut self, tensor: Tensor, elements: Range<u32>) -> Result<Vec<S>, I::Error> {
        Ok(self.inputs.floats(tensor, elements)?.into_iter().map(S::from_bits).collect())
    }

    /// An element of a linear layer's output.
    fn linear(&mut self, x: &[S], tensor: Tensor, row: u32) -> Result<S, I::Error> {
        let (weights, scale) = self.inputs.row(tensor, row)?;
        let quantised = Quantised::new(x, self.trace.dimensions.activation_block.into());
        Ok(quantised.map_or(S::from_bits(NAN), |x| x.linear(weights, S::from_bits(scale))))
    }

    fn norm_factor(&mut self, x: &[S]) -> S {
        canonical::norm_factor(x, S::literal(self.trace.dimensions.rms_eps.get()))
    }

    fn norm(&mut self, of: Step, factor: Step, gain: Tensor, row: u32, column: u32) -> Result<S, I::Error> {
        let (x, factor) = (self.one(of, row, column)?, self.one(factor, row, 0)?);
        let gain = first(&self.floats(gain, column..column + 1)?);
        Ok(canonical::norm(x, factor, gain))
    }

    fn word(&mut self, Word { step, row, column }: Word) -> Result<u32, I::Error> {
        let d = self.trace.dimensions.clone();
        let residual = Step::Layer(d.layers - 1, LayerStep::Output);
        let chunk = column * LEAF_WORDS..d.vocab.min((column + 1).saturating_mul(LEAF_WORDS));
        let value = match step {
            Step::Layer(layer, step) => return self.layer_word(layer, step, row, column),
            Step::Loss => return self.loss(row),
            Step::Embedding => {
                let token = self.inputs.token(row)?;
                let (weights, scale) = self.inputs.row(Tensor::Embed, token)?;
                let weight = weights.get(column as usize).copied().unwrap_or(0);
                canonical::embedding(weight, S::from_bits(scale))
            },
            Step::FinalFactor => {
                let x = self.all(residual, row)?;
                self.norm_factor(&x)
            },
            Step::FinalNorm => self.norm(residual, Step::FinalFactor, Tensor::FinalNorm, row, column)?,
            Step::Logits => {
                let x = self.all(Step::FinalNorm, row)?;
                let tensor = if d.tied_embeddings { Tensor::Embed } else { Tensor::Head };
                self.linear(&x, tensor, column)?
            },
            Step::LogitMaxima => canonical::largest(&self.some(Step::Logits, row, chunk)?),
            Step::LogitMaximum => canonical::largest(&self.all(Step::LogitMaxima, row)?),
            Step::ExpSums => {
                let most = self.one(Step::LogitMaximum, row, 0)?;
                let logits = self.some(Step::Logits, row, chunk)?;
                let terms: Vec<S> = logits.into_iter().map(|logit| math::exp(logit - most)).collect();
                canonical::sum(&terms)
            },
            Step::ExpSum => canonical::sum(&self.all(Step::ExpSums, row)?),
        };
        Ok(bits(value))
    }

    fn layer_word(&mut self, layer: u16, step: LayerStep, row: u32, column: u32) -> Result<u32, I::Error> {
        use LayerStep as L;
        let d = self.trace.dimensions.clone();
        let at = |step| Step::Layer(layer, step);
        let before = if layer == 0 { Step::Embedding } else { Step::Layer(layer - 1, L::Output) };
        let (heads, head_dim) = (u32::from(d.heads), u32::from(d.head_dim));
        // Of a query head, the position and the first column of its key head.
        let turn = |row: u32| (row / heads, row % heads / (heads / u32::from(d.kv_heads)) * head_dim);
        let value = match step {
            L::AttnFactor => {
                let x = self.all(before, row)?;
                self.norm_factor(&x)
            },
            L::AttnNorm => self.norm(before, at(L::AttnFactor), Tensor::AttnNorm(layer), row, column)?,
            L::Query | L::Key => {
                let x = self.all(at(L::AttnNorm), row)?;
                let tensor = if step == L::Query { Tensor::Query(layer) } else { Tensor::Key(layer) };
                self.linear(&x, tensor, column)?
            },
            L::Value => {
                let x = self.all(at(L::AttnNorm), column)?;
                self.linear(&x, Tensor::Value(layer), row)?
            },
            L::QueryFactor | L::KeyFactor => {
                let of = if step == L::QueryFactor { L::Query } else { L::Key };
                let head = self.some(at(of), row, column * head_dim..(column + 1) * head_dim)?;
                self.norm_factor(&head)
            },
            L::QueryTurned => self.turned(layer, [L::Query, L::QueryFactor], Tensor::QueryNorm(layer), row, column)?,
            L::KeyTurned => self.turned(layer, [L::Key, L::KeyFactor], Tensor::KeyNorm(layer), row, column)?,
            L::Scores | L::Numerators if column > turn(row).0 => S::literal(0.0),
            L::Scores => {
                let (position, key) = turn(row);
                let query = row % heads * head_dim;
                let query = self.some(at(L::QueryTurned), position, query..query + head_dim)?;
                let key = self.some(at(L::KeyTurned), column, key..key + head_dim)?;
                canonical::score(&query, &key)
            },
            L::ScoreMaximum => canonical::largest(&self.some(at(L::Scores), row, 0..turn(row).0 + 1)?),
            L::Numerators => {
                let score = self.one(at(L::Scores), row, column)?;
                canonical::softmax_numerator(score, self.one(at(L::ScoreMaximum), row, 0)?)
            },
            L::Total => canonical::sum(&self.some(at(L::Numerators), row, 0..turn(row).0 + 1)?),
            L::Attended => {
                let head = row * heads + column / head_dim;
                let numerators = self.some(at(L::Numerators), head, 0..row + 1)?;
                let values = self.some(at(L::Value), turn(head).1 + column % head_dim, 0..row + 1)?;
                canonical::attended(&numerators, &values, self.one(at(L::Total), head, 0)?)
            },
            L::AttnOutput => {
                let x = self.all(at(L::Attended), row)?;
                self.one(before, row, column)? + self.linear(&x, Tensor::Output(layer), column)?
            },
            L::FfnFactor => {
                let x = self.all(at(L::AttnOutput), row)?;
                self.norm_factor(&x)
            },
            L::FfnNorm => self.norm(at(L::AttnOutput), at(L::FfnFactor), Tensor::FfnNorm(layer), row, column)?,
            L::RouterScores => {
                let x = self.all(at(L::FfnNorm), row)?;
                let router = self.floats(Tensor::Router(layer), column * d.hidden..(column + 1) * d.hidden)?;
                math::dot(&x, &router)
            },
            L::Chosen => {
                let scores = self.all(at(L::RouterScores), row)?;
                let chosen = canonical::choose(&scores, d.top_k.into()).unwrap_or_default();
                return Ok(chosen.get(column as usize).map_or(NO_EXPERT, |(expert, _)| *expert as u32));
            },
            L::Weights => {
                let scores = self.all(at(L::RouterScores), row)?;
                let chosen = canonical::choose(&scores, d.top_k.into()).unwrap_or_default();
                chosen.get(column as usize).map_or(S::from_bits(NAN), |(_, weight)| *weight)
            },
            L::Gate(rank) | L::Up(rank) => match self.expert(layer, row, rank)? {
                Chosen::Same => S::literal(0.0),
                Chosen::None => S::from_bits(NAN),
                Chosen::Expert(expert) => {
                    let x = self.all(at(L::FfnNorm), row)?;
                    let is_gate = step == L::Gate(rank);
                    let tensor = if is_gate { Tensor::Gate(layer, expert) } else { Tensor::Up(layer, expert) };
                    self.linear(&x, tensor, column)?
                },
            },
            L::Gated(rank) => {
                let (gate, up) = (self.one(at(L::Gate(rank)), row, column)?, self.one(at(L::Up(rank)), row, column)?);
                // Zeros give zero.
                canonical::gated(gate, up)
            },
            L::Down(rank) => match self.expert(layer, row, rank)? {
                Chosen::Same => S::literal(0.0),
                Chosen::None => S::from_bits(NAN),
                Chosen::Expert(expert) => {
                    let x = self.all(at(L::Gated(rank)), row)?;
                    self.linear(&x, Tensor::Down(layer, expert), column)?
                },
            },
            L::Output => {
                let y = self.one(at(L::Down(0)), row, column)?;
                let mut others = Vec::new();
                for rank in 1..d.top_k as u8 {
                    if !matches!(self.expert(layer, row, rank)?, Chosen::Same) {
                        let weight = self.one(at(L::Weights), row, rank.into())?;
                        others.push((weight, self.one(at(L::Down(rank)), row, column)?));
                    }
                }
                self.one(at(L::AttnOutput), row, column)? + canonical::mixture(y, others)
            },
        };
        Ok(bits(value))
    }

    /// An element of queries or keys, turned by its position's angle.
    fn turned(
        &mut self,
        layer: u16,
        [of, factor]: [LayerStep; 2],
        gain: Tensor,
        row: u32,
        column: u32,
    ) -> Result<S, I::Error> {
        let d = self.trace.dimensions.clone();
        let (head_dim, half) = (u32::from(d.head_dim), u32::from(d.head_dim) / 2);
        let (head, place) = (column / head_dim, column % head_dim);
        let pair = place % half;
        let mut element = |place: u32| {
            let x = self.one(Step::Layer(layer, of), row, head * head_dim + place)?;
            if !d.qk_norm {
                return Ok(x);
            }
            let factor = self.one(Step::Layer(layer, factor), row, head)?;
            Ok(canonical::norm(x, factor, first(&self.floats(gain, place..place + 1)?)))
        };
        let both = (element(pair)?, element(pair + half)?);
        let frequency = math::rope_frequency(S::literal(d.rope_theta.get()), head_dim as usize, pair as usize);
        let (a, b) = canonical::rotate(both, math::rope_angle(row, frequency));
        Ok(if place < half { a } else { b })
    }

    /// The expert of a rank.
    fn expert(&mut self, layer: u16, row: u32, rank: u8) -> Result<Chosen, I::Error> {
        let chosen = self.inputs.words(Step::Layer(layer, LayerStep::Chosen), row, 0..u32::from(rank) + 1)?;
        let expert = |word: Option<&u32>| {
            word.and_then(|word| u16::try_from(*word).ok()).filter(|expert| *expert < self.trace.dimensions.experts)
        };
        let (Some(best), Some(own)) = (expert(chosen.first()), expert(chosen.last())) else { return Ok(Chosen::None) };
        let is_same = rank > 0 && self.inputs.is_same_block(layer, best, own)?;
        Ok(if is_same { Chosen::Same } else { Chosen::Expert(own) })
    }

    fn loss(&mut self, row: u32) -> Result<u32, I::Error> {
        let (sum, most) = (self.one(Step::ExpSum, row, 0)?, self.one(Step::LogitMaximum, row, 0)?);
        let target = self.inputs.token(row + 1)?.min(self.trace.dimensions.vocab - 1);
        let logit = self.one(Step::Logits, row, target)?;
        if [sum, most, logit].iter().any(|value| value.to_bits() & !(1 << 31) >= INFINITY) {
            return Ok(DIVERGED);
        }
        // The sum has the term of the largest logit, which is one.
        let nats = math::ln64(sum.widen()) + (most.widen() - logit.widen());
        let units = nats * S::Double::from_int(LOSS_UNITS.into()) + S::Double::literal(0.5);
        Ok(units.to_int().clamp(0, i64::from(DIVERGED) - 1) as u32)
    }
}

enum Chosen {
    Expert(u16),
    /// Its block is that of rank 0.
    Same,
    None,
}

/// The first element; nothing has none.
fn first<S: Single>(values: &[S]) -> S {
    values.first().copied().unwrap_or(S::from_bits(NAN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{soft_float::F32, spec::F32Bits};
    use alloc::collections::BTreeMap;
    use core::convert::Infallible;

    fn dimensions(qk_norm: bool) -> Dimensions {
        Dimensions {
            layers: 2,
            hidden: 20,
            heads: 4,
            kv_heads: 2,
            head_dim: 6,
            ffn: 24,
            vocab: 300,
            context: 16,
            experts: 3,
            top_k: 2,
            activation_block: 16,
            rope_theta: F32Bits::new(1e4),
            rms_eps: F32Bits::new(1e-5),
            tied_embeddings: !qk_norm,
            qk_norm,
            checkpoint_every: 1,
        }
    }

    /// Weights out of a tensor's name, and a trace that grows.
    struct Tiny {
        words: BTreeMap<(Step, u32), Vec<u32>>,
        tokens: Vec<u32>,
        /// Experts that have a block together.
        equal: Option<(u16, u16)>,
        /// Makes logits too large.
        scale: f32,
        width: fn(Tensor) -> usize,
    }

    fn width(tensor: Tensor) -> usize {
        match tensor {
            Tensor::Output(_) | Tensor::Down(..) => 24,
            _ => 20,
        }
    }

    fn random(tensor: Tensor, element: u32) -> u32 {
        let text = alloc::format!("{tensor:?} {element}");
        let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
        let hash = text.bytes().fold(2_166_136_261, mix);
        (hash ^ hash >> 15).wrapping_mul(0x2c1b_3c6d)
    }

    impl Inputs for Tiny {
        type Error = Infallible;

        fn words(&mut self, step: Step, row: u32, columns: Range<u32>) -> Result<Vec<u32>, Infallible> {
            // Of an earlier step, or the computation looks ahead.
            Ok(self.words[&(step, row)][columns.start as usize..columns.end as usize].to_vec())
        }

        fn floats(&mut self, tensor: Tensor, elements: Range<u32>) -> Result<Vec<u32>, Infallible> {
            Ok(elements.map(|element| (random(tensor, element) as i32 as f32 / 2e9).to_bits()).collect())
        }

        fn row(&mut self, tensor: Tensor, row: u32) -> Result<(Vec<i8>, u32), Infallible> {
            let tensor = match (tensor, self.equal) {
                (Tensor::Gate(layer, expert), Some((one, other))) if expert == other => Tensor::Gate(layer, one),
                (Tensor::Up(layer, expert), Some((one, other))) if expert == other => Tensor::Up(layer, one),
                (Tensor::Down(layer, expert), Some((one, other))) if expert == other => Tensor::Down(layer, one),
                (tensor, _) => tensor,
            };
            let width = (self.width)(tensor) as u32;
            let weights = (0..width).map(|column| random(tensor, row * width + column) as i8).collect();
            let scale = if tensor == Tensor::Embed { self.scale } else { 0.004 };
            Ok((weights, scale.to_bits()))
        }

        fn token(&mut self, index: u32) -> Result<u32, Infallible> {
            Ok(self.tokens[index as usize])
        }

        fn is_same_block(&mut self, _: u16, one: u16, other: u16) -> Result<bool, Infallible> {
            Ok(one == other || self.equal.is_some_and(|(a, b)| (one, other) == (a, b) || (one, other) == (b, a)))
        }
    }

    /// All words of all steps.
    fn trace<S: Single>(trace: &Trace, mut tiny: Tiny) -> BTreeMap<(Step, u32), Vec<u32>> {
        for step in trace.steps() {
            let (rows, columns) = trace.shape(step);
            for row in 0..rows {
                let word = |column| trace.compute::<S, _>(Word { step, row, column }, &mut tiny);
                let words = (0..columns).map(word).collect::<Result<Vec<_>, _>>().unwrap();
                tiny.words.insert((step, row), words);
            }
        }
        tiny.words
    }

    fn tiny() -> Tiny {
        Tiny { words: BTreeMap::new(), tokens: vec![5, 299, 0, 17, 5, 6], equal: None, scale: 0.01, width }
    }

    #[test]
    fn integers_make_the_trace_that_processors_make() {
        for qk_norm in [false, true] {
            let shape = Trace::new(dimensions(qk_norm), 6).unwrap();
            let hard = trace::<f32>(&shape, tiny());
            assert_eq!(trace::<F32>(&shape, tiny()), hard);
            let losses: Vec<u32> = (0..5).map(|row| hard[&(Step::Loss, row)][0]).collect();
            // Of 300 tokens, none is expected at first.
            assert!(losses.iter().all(|loss| (LOSS_UNITS..20 * LOSS_UNITS).contains(loss)), "{losses:?}");
        }
    }

    #[test]
    fn a_loss_is_that_of_its_logits() {
        let shape = Trace::new(dimensions(false), 6).unwrap();
        let words = trace::<f32>(&shape, tiny());
        for row in 0..5 {
            let logits: Vec<f64> =
                words[&(Step::Logits, row)].iter().map(|word| f64::from(f32::from_bits(*word))).collect();
            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
            let nats = sum.ln() - logits[tiny().tokens[row as usize + 1] as usize];
            let found = f64::from(words[&(Step::Loss, row)][0]) / f64::from(LOSS_UNITS);
            assert!((found - nats).abs() < 1e-5, "{found} for {nats}");
        }
    }

    #[test]
    fn experts_of_one_block_count_once() {
        let shape = Trace::new(dimensions(false), 6).unwrap();
        let all = [(0, 1), (0, 2), (1, 2)].map(|pair| trace::<f32>(&shape, Tiny { equal: Some(pair), ..tiny() }));
        let left_out = all.iter().flat_map(|words| {
            words.iter().filter(|((step, row), _)| {
                let Step::Layer(layer, LayerStep::Down(1)) = step else { return false };
                let [first, second] = [0, 1].map(|rank| words[&(Step::Layer(*layer, LayerStep::Chosen), *row)][rank]);
                first != second && words[&(*step, *row)].iter().all(|word| *word == 0)
            })
        });
        assert!(left_out.count() > 0);
    }

    #[test]
    fn what_diverges_has_no_loss() {
        let shape = Trace::new(dimensions(false), 6).unwrap();
        let large = || Tiny { scale: 3e37, ..tiny() };
        let words = trace::<f32>(&shape, large());
        assert_eq!(words[&(Step::Loss, 0)], [DIVERGED]);
        assert_eq!(words[&(Step::Layer(0, LayerStep::Chosen), 0)], [NO_EXPERT; 2]);
        assert_eq!(trace::<F32>(&shape, large()), words);
    }

    #[test]
    fn leaves_and_words_find_each_other() {
        let shape = Trace::new(dimensions(true), 6).unwrap();
        let mut next = 0;
        for step in shape.steps() {
            let (rows, columns) = shape.shape(step);
            for row in 0..rows {
                for start in (0..columns).step_by(LEAF_WORDS as usize) {
                    let columns = start..columns.min(start + LEAF_WORDS);
                    for column in columns.clone() {
                        assert_eq!(shape.leaf_of(Word { step, row, column }), Some(next));
                    }
                    assert_eq!(shape.leaf(next), Some(Leaf { step, row, columns }));
                    next += 1;
                }
            }
            assert_eq!(shape.leaf_of(Word { step, row: rows, column: 0 }), None);
            assert_eq!(shape.leaf_of(Word { step, row: 0, column: columns }), None);
        }
        assert_eq!((shape.leaf(next), shape.leaves()), (None, next));
        let nowhere = Word { step: Step::Layer(2, LayerStep::Output), row: 0, column: 0 };
        assert_eq!(shape.leaf_of(nowhere), None);
        assert_eq!(shape.compute::<f32, _>(nowhere, &mut tiny()), Ok(0));
    }

    #[test]
    fn items_that_are_too_short_or_too_long_have_no_trace() {
        for tokens in [0, 1, 18, MAX_ITEM_TOKENS + 1] {
            assert!(Trace::new(dimensions(false), tokens).is_none(), "{tokens}");
        }
        assert!(Trace::new(dimensions(false), 17).is_some());
        assert!(Trace::new(Dimensions { heads: 0, ..dimensions(false) }, 4).is_none());
    }
}
