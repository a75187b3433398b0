//! What each word of a trace is computed from, and how.

use super::{Inputs, LayerStep, Step, Tensor, Trace, Word, LEAF_WORDS, NO_EXPERT};
use crate::{
    canonical::{self, NotFinite, Quantised},
    math,
    real::Single,
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::{marker::PhantomData, ops::Range};

const NAN: u32 = 0x7fc0_0000;
const INFINITY: u32 = 0x7f80_0000;

impl Trace {
    /// Computes a word from what comes before it, on floats of type `S`: the processor's, or those in integers. Zero where the
    /// trace has no such word.
    ///
    /// # Errors
    /// When `inputs` lacks something.
    pub fn compute<S: Single, I: Inputs>(&self, word: Word, inputs: &mut I) -> Result<u32, I::Error> {
        if self.leaf_of(word).is_none() {
            return Ok(0);
        }
        Computation::<S, I>::new(self, inputs).word(word)
    }

    /// Computes all words of some rows of a step, row by row, with the same result as [`Self::compute`] one by one. Nothing
    /// where the trace has no such rows.
    ///
    /// # Errors
    /// When `inputs` lacks something.
    pub fn compute_rows<S: Single, I: Inputs>(
        &self,
        step: Step,
        rows: Range<u32>,
        inputs: &mut I,
    ) -> Result<Vec<u32>, I::Error> {
        let mut computation = Computation::<S, I>::new(self, inputs);
        let mut words = Vec::new();
        if self.first_leaf(step).is_some() {
            let (all, columns) = self.shape(step);
            for row in rows.start..rows.end.min(all) {
                for column in 0..columns {
                    words.push(computation.word(Word { step, row, column })?);
                }
            }
        }
        Ok(words)
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

/// What linear layers take: rows of one step, as often as they are asked for.
type QuantisedRows = (Option<Step>, BTreeMap<u32, Result<Quantised, NotFinite>>);

struct Computation<'a, S, I> {
    trace: &'a Trace,
    inputs: &'a mut I,
    quantised: QuantisedRows,
    floats: PhantomData<S>,
}

impl<'a, S: Single, I: Inputs> Computation<'a, S, I> {
    fn new(trace: &'a Trace, inputs: &'a mut I) -> Self {
        Self { trace, inputs, quantised: (None, BTreeMap::new()), floats: PhantomData }
    }

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

    /// An element of a linear layer's output: a row of its input, and a row of its weights.
    fn linear(&mut self, of: Step, x: u32, tensor: Tensor, row: u32) -> Result<S, I::Error> {
        if self.quantised.0 != Some(of) {
            self.quantised = (Some(of), BTreeMap::new());
        }
        if !self.quantised.1.contains_key(&x) {
            let input = self.all(of, x)?;
            let quantised = Quantised::new(&input, self.trace.dimensions.activation_block.into());
            self.quantised.1.insert(x, quantised);
        }
        let (weights, scale) = self.inputs.row(tensor, row)?;
        Ok(match self.quantised.1.get(&x) {
            Some(Ok(x)) => x.linear(weights, S::from_bits(scale)),
            _ => S::from_bits(NAN),
        })
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
                let tensor = if d.tied_embeddings { Tensor::Embed } else { Tensor::Head };
                self.linear(Step::FinalNorm, row, tensor, column)?
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
                let tensor = if step == L::Query { Tensor::Query(layer) } else { Tensor::Key(layer) };
                self.linear(at(L::AttnNorm), row, tensor, column)?
            },
            L::Value => self.linear(at(L::AttnNorm), column, Tensor::Value(layer), row)?,
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
                self.one(before, row, column)? + self.linear(at(L::Attended), row, Tensor::Output(layer), column)?
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
                    let is_gate = step == L::Gate(rank);
                    let tensor = if is_gate { Tensor::Gate(layer, expert) } else { Tensor::Up(layer, expert) };
                    self.linear(at(L::FfnNorm), row, tensor, column)?
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
                Chosen::Expert(expert) => self.linear(at(L::Gated(rank)), row, Tensor::Down(layer, expert), column)?,
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
        Ok(canonical::loss(sum, most, logit))
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
