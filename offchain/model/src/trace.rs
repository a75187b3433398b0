//! Traces of evaluations: what [`blyan_primitives::trace`] defines, made from a model.
//!
//! A trace is made when two evaluators differ, and not before: it is a thousand times as much work as the evaluation itself,
//! whose fast kernels keep none of the values between.

use crate::exec::Model;
use blyan_primitives::{
    merkle::{Tree, leaf_hash},
    trace::{Inputs, Leaf, Step, Tensor, Trace, Word},
};
use std::{collections::BTreeMap, convert::Infallible, ops::Range, thread};

/// The trace of an item, with all of its words.
pub struct Recorded<'a> {
    model: &'a Model,
    tokens: &'a [u32],
    shape: Trace,
    /// For each step done, its first word.
    firsts: BTreeMap<Step, usize>,
    words: Vec<u32>,
}

impl std::fmt::Debug for Recorded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recorded({:?})", self.shape)
    }
}

impl<'a> Recorded<'a> {
    /// Makes the trace of `tokens` on `threads` threads. `None` when an item cannot have so many tokens, or one of them is not
    /// in the vocabulary.
    pub fn new(model: &'a Model, tokens: &'a [u32], threads: usize) -> Option<Self> {
        let dimensions = model.dimensions().clone();
        if tokens.iter().any(|token| *token >= dimensions.vocab) {
            return None;
        }
        let shape = Trace::new(dimensions, u32::try_from(tokens.len()).ok()?)?;
        let mut trace = Self { model, tokens, shape, firsts: BTreeMap::new(), words: Vec::new() };
        let steps: Vec<Step> = trace.shape.steps().collect();
        for step in steps {
            let words = trace.step(step, threads.max(1));
            trace.firsts.insert(step, trace.words.len());
            trace.words.extend(words);
        }
        Some(trace)
    }

    /// All words of a step, from those before it.
    fn step(&self, step: Step, threads: usize) -> Vec<u32> {
        let (rows, columns) = self.shape.shape(step);
        let mut words = vec![0; rows as usize * columns as usize];
        // A step with few rows has as many columns.
        let chunk = words.len().div_ceil(threads);
        thread::scope(|scope| {
            for (number, words) in words.chunks_mut(chunk).enumerate() {
                scope.spawn(move || {
                    let mut source = Source { trace: self };
                    for (place, word) in (number * chunk..).zip(words) {
                        let (row, column) = (place as u32 / columns, place as u32 % columns);
                        let Ok(found) = self.shape.compute::<f32, _>(Word { step, row, column }, &mut source);
                        *word = found;
                    }
                });
            }
        });
        words
    }

    /// What words are computed from.
    pub fn inputs(&self) -> impl Inputs<Error = Infallible> + '_ {
        Source { trace: self }
    }

    /// What it looks like.
    pub fn shape(&self) -> &Trace {
        &self.shape
    }

    /// Words `columns` of a row of a step, `None` where there are none.
    pub fn words(&self, step: Step, row: u32, columns: Range<u32>) -> Option<&[u32]> {
        let (rows, width) = self.shape.shape(step);
        let first = *self.firsts.get(&step).filter(|_| row < rows && columns.end <= width)?;
        let row = first + row as usize * width as usize;
        self.words.get(row + columns.start as usize..row + columns.end as usize)
    }

    /// The bytes of leaf `index`, little-endian words.
    pub fn leaf(&self, index: u64) -> Option<Vec<u8>> {
        let Leaf { step, row, columns } = self.shape.leaf(index)?;
        Some(self.words(step, row, columns)?.iter().flat_map(|word| word.to_le_bytes()).collect())
    }

    /// The tree over all leaves.
    pub fn tree(&self) -> Tree {
        let leaf = |index| leaf_hash(index, &self.leaf(index).unwrap_or_default());
        Tree::new((0..self.shape.leaves()).map(leaf).collect())
    }

    /// The loss of the item, in units of [`LOSS_UNITS`](blyan_primitives::trace::LOSS_UNITS) parts of a nat over all of its
    /// positions.
    pub fn loss(&self) -> u64 {
        let rows = 0..self.shape.positions();
        rows.filter_map(|row| self.words(Step::Loss, row, 0..1)).flatten().map(|word| u64::from(*word)).sum()
    }
}

/// What a trace is computed from, by one thread.
struct Source<'a> {
    trace: &'a Recorded<'a>,
}

impl Inputs for Source<'_> {
    type Error = Infallible;

    fn words(&mut self, step: Step, row: u32, columns: Range<u32>) -> Result<Vec<u32>, Infallible> {
        Ok(self.trace.words(step, row, columns).unwrap_or_default().to_vec())
    }

    fn floats(&mut self, tensor: Tensor, elements: Range<u32>) -> Result<Vec<u32>, Infallible> {
        let floats = self.trace.model.floats(tensor);
        let elements = floats.get(elements.start as usize..elements.end as usize).unwrap_or_default();
        Ok(elements.iter().map(|element| element.to_bits()).collect())
    }

    fn row(&mut self, tensor: Tensor, row: u32) -> Result<(Vec<i8>, u32), Infallible> {
        Ok(self.trace.model.row(tensor, row as usize))
    }

    fn token(&mut self, index: u32) -> Result<u32, Infallible> {
        Ok(self.trace.tokens[index as usize])
    }

    fn is_same_block(&mut self, layer: u16, one: u16, other: u16) -> Result<bool, Infallible> {
        Ok(self.trace.model.is_same_block(layer, one, other))
    }
}
