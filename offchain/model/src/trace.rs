//! Traces of evaluations: what [`blyan_primitives::trace`] defines, made from a model.
//!
//! A trace is made when two evaluators differ, and not before: it is a hundred times as much work as the evaluation itself,
//! whose fast kernels keep none of the values between.

use crate::exec::Model;
use blyan_primitives::{
    dispute::Sources,
    ids::ContentHash,
    merkle::{Digest, ProofError, SUBTILE, Tree, leaf_hash},
    trace::{Inputs, Leaf, MAX_ITEM_TOKENS, Step, Tensor, Trace},
};
use blyan_tensorblock::VerifiedBlock;
use std::{collections::BTreeMap, ops::Range, thread};

/// Why there is no trace, or not this of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// The item has too few or too many tokens, or one that the model does not know.
    #[error(
        "an item has 2 to {MAX_ITEM_TOKENS} tokens of the model's vocabulary, and at most one more than fit its context"
    )]
    Item,
    /// A word is not computed, or does not exist.
    #[error("the trace has no words {columns:?} in row {row} of {step:?}")]
    Missing {
        /// The step.
        step: Step,
        /// Row in it.
        row: u32,
        /// Columns in it.
        columns: Range<u32>,
    },
    /// A leaf that does not exist.
    #[error("the trace has no leaf {0}")]
    Leaf(u64),
    /// A tensor has no such elements.
    #[error("the model has no such elements of {0:?}")]
    Tensor(Tensor),
    /// A block that evidence is made of is not at hand.
    #[error("block {0} is not at hand")]
    Block(ContentHash),
    /// What a proof is asked for does not exist.
    #[error("{0}")]
    Proof(#[from] ProofError),
    /// A thread has panicked.
    #[error("a thread that computed the trace panicked")]
    Panicked,
}

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
    /// Makes the trace of `tokens` on `threads` threads.
    ///
    /// # Errors
    /// When an item cannot have so many tokens, or one of them is not in the vocabulary.
    pub fn new(model: &'a Model, tokens: &'a [u32], threads: usize) -> Result<Self, TraceError> {
        let dimensions = model.dimensions().clone();
        if tokens.iter().any(|token| *token >= dimensions.vocab) {
            return Err(TraceError::Item);
        }
        let count = u32::try_from(tokens.len()).map_err(|_| TraceError::Item)?;
        let shape = Trace::new(dimensions, count).ok_or(TraceError::Item)?;
        let mut trace = Self { model, tokens, shape, firsts: BTreeMap::new(), words: Vec::new() };
        let steps: Vec<Step> = trace.shape.steps().collect();
        for step in steps {
            let words = trace.step(step, threads.max(1))?;
            trace.firsts.insert(step, trace.words.len());
            trace.words.extend(words);
        }
        Ok(trace)
    }

    /// All words of a step, from those before it.
    fn step(&self, step: Step, threads: usize) -> Result<Vec<u32>, TraceError> {
        let (rows, _) = self.shape.shape(step);
        let rows_each = rows.div_ceil(u32::try_from(threads).unwrap_or(u32::MAX)).max(1);
        let parts: Vec<Range<u32>> =
            (0..rows).step_by(rows_each as usize).map(|row| row..rows.min(row + rows_each)).collect();
        let mut words = Vec::new();
        thread::scope(|scope| {
            let part = |part: Range<u32>| {
                scope.spawn(move || self.shape.compute_rows::<f32, _>(step, part, &mut Source { trace: self }))
            };
            let running: Vec<_> = parts.into_iter().map(part).collect();
            for part in running {
                words.extend(part.join().map_err(|_| TraceError::Panicked)??);
            }
            Ok(words)
        })
    }

    /// What words are computed from.
    pub fn inputs(&self) -> impl Inputs<Error = TraceError> + '_ {
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
    ///
    /// # Errors
    /// When a word is missing.
    pub fn tree(&self) -> Result<Tree, TraceError> {
        let leaf = |index| Ok(leaf_hash(index, &self.leaf(index).ok_or(TraceError::Leaf(index))?));
        Ok(Tree::new((0..self.shape.leaves()).map(leaf).collect::<Result<_, TraceError>>()?))
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
    type Error = TraceError;

    fn words(&mut self, step: Step, row: u32, columns: Range<u32>) -> Result<Vec<u32>, TraceError> {
        let words = self.trace.words(step, row, columns.clone());
        Ok(words.ok_or(TraceError::Missing { step, row, columns })?.to_vec())
    }

    fn floats(&mut self, tensor: Tensor, elements: Range<u32>) -> Result<Vec<u32>, TraceError> {
        let floats = self.trace.model.floats(tensor);
        let elements = floats.get(elements.start as usize..elements.end as usize).ok_or(TraceError::Tensor(tensor))?;
        Ok(elements.iter().map(|element| element.to_bits()).collect())
    }

    fn row(&mut self, tensor: Tensor, row: u32) -> Result<(Vec<i8>, u32), TraceError> {
        self.trace.model.row(tensor, row as usize).ok_or(TraceError::Tensor(tensor))
    }

    fn token(&mut self, index: u32) -> Result<u32, TraceError> {
        self.trace.tokens.get(index as usize).copied().ok_or(TraceError::Item)
    }

    fn is_same_block(&mut self, layer: u16, one: u16, other: u16) -> Result<bool, TraceError> {
        Ok(self.trace.model.is_same_block(layer, one, other))
    }
}

/// What evidence is gathered from: a trace, the tree over it, and the blocks that it was computed from.
#[derive(Debug)]
pub struct Witness<'a> {
    /// The trace.
    pub trace: &'a Recorded<'a>,
    /// The tree over it.
    pub tree: &'a Tree,
    /// Blocks of the model and of the item.
    pub blocks: &'a BTreeMap<ContentHash, VerifiedBlock>,
}

impl Witness<'_> {
    fn block(&self, hash: ContentHash) -> Result<&VerifiedBlock, TraceError> {
        self.blocks.get(&hash).ok_or(TraceError::Block(hash))
    }
}

impl Sources for Witness<'_> {
    type Error = TraceError;

    fn header(&mut self, block: ContentHash) -> Result<Vec<u8>, TraceError> {
        Ok(self.block(block)?.header_bytes().to_vec())
    }

    fn subtiles(&mut self, block: ContentHash, range: Range<u64>) -> Result<(Vec<u8>, Vec<Digest>), TraceError> {
        let block = self.block(block)?;
        let data = block.data().get((range.start * SUBTILE) as usize..).unwrap_or_default();
        let length = data.len().min(((range.end - range.start) * SUBTILE) as usize);
        Ok((data[..length].to_vec(), block.tree().prove(range)?))
    }

    fn leaves(&mut self, range: Range<u64>) -> Result<(Vec<u32>, Vec<Digest>), TraceError> {
        let mut words = Vec::new();
        for index in range.clone() {
            let leaf = self.trace.shape.leaf(index).ok_or(TraceError::Leaf(index))?;
            words
                .extend_from_slice(self.trace.words(leaf.step, leaf.row, leaf.columns).ok_or(TraceError::Leaf(index))?);
        }
        Ok((words, self.tree.prove(range)?))
    }
}
