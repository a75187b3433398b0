//! Evaluation of a round: what a member of the committee finds, to the last bit what all other honest members find.
//!
//! A [`Task`] is what the chain says of it. [`Evaluation::new`] looks at the deltas: which of them can be applied and are what
//! they say, and which are copies. [`Evaluation::run`] scores the base, each delta by itself and then what is merged of them on
//! the items that the chain has drawn, in the cells that [`Layout`] lays out, and comes to an [`Outcome`] with the
//! [`Reveal`] that the chain takes. All that follows from scores is computed by the functions that the chain computes it by.
//!
//! Models differ in the round's slot alone, and are scored item by item, so that each item is passed through what they have in
//! common once. An evaluation that was interrupted goes on with the scores that a [`ScoreCache`] has.
//!
//! ```no_run
//! # use blyan_learning::evaluate::*;
//! # fn example(task: Task, model: std::sync::Arc<blyan_model::exec::Model>, blocks: Blocks) -> Result<(), Box<dyn std::error::Error>> {
//! let evaluation = Evaluation::new(task, model, &blocks, &mut |_| (), &|| false)?;
//! let mut cache = ScoreCache::open("round-7.scores".as_ref())?;
//! let outcome = evaluation.run(&Default::default(), &mut cache, &mut |_| (), &|| false)?;
//! let commitment = outcome.commitment(7, &[1; 32], &[2; 32]);
//! # Ok(())
//! # }
//! ```

mod cache;
mod copies;
mod deltas;
mod measure;
#[cfg(test)]
pub(crate) mod tests;

pub use cache::{CacheError, MAX_CACHED, ScoreCache};
pub use copies::COPY_COSINE;
pub use deltas::{CheckedDelta, Fault};

use crate::{
    block::ExpertDelta,
    delta::DeltaError,
    fold::{FoldError, fold},
    items::{Items, ItemsError},
    referee::Disputed,
};
use blyan_model::{
    exec::{EngineConfig, LoadError, Model, ScoreError},
    expert::{ExpertError, Master},
};
use blyan_primitives::{
    block::ExpertShape,
    dispute::Item,
    ids::{ContentHash, SlotId},
    learning::{DeltaInfo, ItemRange, RoundId},
    pact::Learning,
    pol::{self, Candidate, DeltaFinding, Finding, Layout, Refusal, Reveal, Scores, Set, Sources, Target},
    trace::Trace,
};
use blyan_tensorblock::{BlockError, VerifiedBlock};
use measure::Meter;
use std::{collections::BTreeMap, sync::Arc};

/// Blocks that are at hand, by their names.
pub type Blocks = BTreeMap<ContentHash, VerifiedBlock>;

/// What is to be evaluated, as the chain has it.
#[derive(Clone, Debug)]
pub struct Task {
    /// The slot whose head is to change.
    pub slot: SlotId,
    /// Its head, in serving form.
    pub base: ContentHash,
    /// The head's master.
    pub master: ContentHash,
    /// What is measured: as many deltas as there are below.
    pub layout: Layout,
    /// How it is judged.
    pub rules: Learning,
    /// What items are drawn from.
    pub sources: Sources,
    /// What they are drawn by.
    pub seed: [u8; 32],
    /// Deltas that are measured, in the order in which they were submitted: without those that the committee could not fetch.
    pub deltas: Vec<DeltaInfo<[u8; 32]>>,
}

/// Why a round cannot be evaluated here. None of these says anything of a delta.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The layout measures nothing or too much, or not the deltas that there are.
    #[error(
        "the chain's layout is not one of {deltas} deltas, or measures too little or too much: look at the evaluation again"
    )]
    Layout {
        /// Deltas of the task.
        deltas: usize,
    },
    /// There are fewer items than are measured on.
    #[error("there are {found} items for {set:?}, {expected} are measured: look at the evaluation again")]
    TooFewItems {
        /// The set.
        set: Set,
        /// What the layout says.
        expected: u32,
        /// What the sources have.
        found: usize,
    },
    /// A block is not at hand.
    #[error("block {0} is not at hand: fetch it first")]
    NotAtHand(ContentHash),
    /// The model has another block in the slot than the round is about.
    #[error(
        "the model has {found:?} in slot {slot:?}, the round is about {expected}: load the model of the evaluation's height"
    )]
    OtherHead {
        /// The slot.
        slot: SlotId,
        /// The round's base.
        expected: ContentHash,
        /// The model's block, where it has the slot.
        found: Option<ContentHash>,
    },
    /// The serving form of the master is not the head.
    #[error("the head made of master {master} is {found}, not the round's {expected}: one of the blocks is another's")]
    OtherMaster {
        /// The master.
        master: ContentHash,
        /// The round's base.
        expected: ContentHash,
        /// What follows from the master.
        found: ContentHash,
    },
    /// A block of items has items of another length than the layout.
    #[error("the items of block {block} have {found} tokens, those that are measured have {expected}")]
    ItemLength {
        /// The block.
        block: ContentHash,
        /// Tokens of an item by the layout.
        expected: u64,
        /// Tokens of its items.
        found: u32,
    },
    /// A block of items lacks one that the chain has drawn.
    #[error("block {} has no item {}", .0.block, .0.index)]
    NoItem(Item),
    /// An item has a token that the model does not know.
    #[error("item {} of block {} has a token that is not in the model's vocabulary", .0.index, .0.block)]
    UnknownToken(Item),
    /// Items are too long for the model.
    #[error("the model does not evaluate items of {0} positions: its context is shorter")]
    Positions(u32),
    /// A block of items is none.
    #[error(transparent)]
    Items(#[from] ItemsError),
    /// The master is none.
    #[error(transparent)]
    Master(#[from] ExpertError),
    /// What deltas are merged into cannot be made.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// Deltas cannot be compared.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// A block cannot be built.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// An expert does not fit the model.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An item cannot be scored.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// Scores cannot be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// What was found contradicts itself. This is a defect of this program.
    #[error("what was found does not follow from its scores: report this defect")]
    Inconsistent,
    /// The evaluation was cancelled.
    #[error("the evaluation was cancelled; started again it goes on where it was")]
    Cancelled,
    /// The cell is not measured, or not before there is an outcome with a candidate.
    #[error("there is no cell {0}")]
    NoCell(u32),
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Deltas are looked at.
    Deltas,
    /// Cells are measured. Those of the candidate are counted until it is known that there is none.
    Cells,
}

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// How many of it are done.
    pub done: u32,
    /// How many there are.
    pub total: u32,
}

/// The block of this name.
fn at_hand(blocks: &Blocks, hash: ContentHash) -> Result<&VerifiedBlock, EvaluateError> {
    blocks.get(&hash).ok_or(EvaluateError::NotAtHand(hash))
}

/// An evaluation whose deltas were looked at.
#[derive(Debug)]
pub struct Evaluation<'a> {
    task: Task,
    model: Arc<Model>,
    master: Master,
    blocks: &'a Blocks,
    deltas: Vec<CheckedDelta>,
    items: BTreeMap<ContentHash, Items>,
}

/// What an evaluation comes to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// All scores, which are posted when others reveal something else.
    pub scores: Scores,
    /// What is committed to, and revealed.
    pub reveal: Reveal,
    /// What deltas are merged into; nothing when none is.
    pub candidate: Option<CandidateBlocks>,
    /// Whether that becomes the head, or why not.
    pub verdict: Result<Candidate, Refusal>,
}

/// Both forms of what deltas are merged into.
#[derive(Clone, Debug)]
pub struct CandidateBlocks {
    /// What deltas apply to.
    pub master: VerifiedBlock,
    /// What inference computes on.
    pub serving: VerifiedBlock,
}

impl Outcome {
    /// What is sent before the reveal: `account` as the chain encodes it, and a salt that nobody else knows.
    pub fn commitment(&self, round: RoundId, account: &[u8], salt: &[u8; 32]) -> [u8; 32] {
        pol::commitment(round.into(), account, salt, &self.reveal.hash())
    }
}

impl<'a> Evaluation<'a> {
    /// Checks that what is measured is there, and looks at the deltas. `model` is that of the evaluation's height, with the
    /// round's base in its slot; `blocks` have at least the master, the deltas and the items.
    ///
    /// # Errors
    /// When something is missing or contradicts the chain.
    pub fn new(
        task: Task,
        model: Arc<Model>,
        blocks: &'a Blocks,
        progress: &mut dyn FnMut(Progress),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, EvaluateError> {
        let Task { slot, base, layout, .. } = task;
        if !layout.is_valid() || layout.deltas as usize != task.deltas.len() {
            return Err(EvaluateError::Layout { deltas: task.deltas.len() });
        }
        let found = model.block_of(slot.layer, slot.index);
        if found != Some(base) {
            return Err(EvaluateError::OtherHead { slot, expected: base, found });
        }
        let dimensions = &model.spec().dimensions;
        // What has no trace could not be played for.
        let tokens = layout.positions.saturating_add(1);
        Trace::new(dimensions.clone(), tokens).ok_or(EvaluateError::Positions(layout.positions))?;
        let shape = ExpertShape { ffn: dimensions.ffn, hidden: dimensions.hidden };
        let master = Master::new(at_hand(blocks, task.master)?.clone(), shape)?;
        let found = fold(&master, &[])?.serving.hash();
        if found != base {
            return Err(EvaluateError::OtherMaster { master: task.master, expected: base, found });
        }
        let mut evaluation = Self { task, model, master, blocks, deltas: Vec::new(), items: BTreeMap::new() };
        evaluation.find_items()?;
        evaluation.check_deltas(progress, is_cancelled)?;
        Ok(evaluation)
    }

    fn find_items(&mut self) -> Result<(), EvaluateError> {
        let layout = self.task.layout;
        let sets = [(Set::Trial, layout.trial), (Set::Final, layout.last), (Set::General, layout.general)];
        for (set, expected) in sets.into_iter().chain((0..layout.deltas).map(|delta| (Set::Own(delta), layout.own))) {
            let items = self.items_of(set);
            if items.len() as u64 != u64::from(expected) {
                return Err(EvaluateError::TooFewItems { set, expected, found: items.len() });
            }
            for item in items {
                if !self.items.contains_key(&item.block) {
                    let items = Items::new(at_hand(self.blocks, item.block)?.clone())?;
                    let (expected, found) = (u64::from(layout.positions) + 1, items.tokens());
                    if u64::from(found) != expected {
                        return Err(EvaluateError::ItemLength { block: item.block, expected, found });
                    }
                    self.items.insert(item.block, items);
                }
                if self.tokens(item)?.iter().any(|token| *token >= self.model.spec().dimensions.vocab) {
                    return Err(EvaluateError::UnknownToken(item));
                }
            }
        }
        Ok(())
    }

    fn check_deltas(
        &mut self,
        progress: &mut dyn FnMut(Progress),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<(), EvaluateError> {
        let total = self.task.layout.deltas;
        let mut applied = Vec::new();
        for (done, delta) in (1..).zip(&self.task.deltas) {
            if is_cancelled() {
                return Err(EvaluateError::Cancelled);
            }
            applied.push(deltas::apply(delta, self.task.base, &self.master, self.blocks)?);
            progress(Progress { stage: Stage::Deltas, done, total });
        }
        let sound: Vec<Option<(&ExpertDelta, ContentHash)>> = applied
            .iter()
            .map(|applied| applied.as_ref().ok().map(|applied| (&applied.delta, applied.serving.hash())))
            .collect();
        let copies = copies::copies(&sound)?;
        let checked = |(applied, copy): (Result<_, _>, Option<u32>)| {
            let finding = match (&applied, copy) {
                (Err(_), _) => Finding::Malformed,
                (Ok(_), Some(of)) => Finding::Copy(of),
                (Ok(_), None) => Finding::Sound,
            };
            CheckedDelta { finding, applied }
        };
        self.deltas = applied.into_iter().zip(copies).map(checked).collect();
        Ok(())
    }

    /// What was found of each delta.
    pub fn deltas(&self) -> &[CheckedDelta] {
        &self.deltas
    }

    /// What is being evaluated.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The items of a set.
    fn items_of(&self, set: Set) -> Vec<Item> {
        let own: Vec<ItemRange> = self.task.deltas.iter().map(|delta| delta.header.data).collect();
        self.task.sources.items(&self.task.layout, &self.task.seed, &own, set)
    }

    /// The tokens of an item.
    fn tokens(&self, item: Item) -> Result<&[u32], EvaluateError> {
        let items = self.items.get(&item.block).ok_or(EvaluateError::NotAtHand(item.block))?;
        items.item(item.index)?.ok_or(EvaluateError::NoItem(item))
    }

    /// The model with a block in the round's slot.
    fn model_with(&self, block: &VerifiedBlock) -> Result<Arc<Model>, EvaluateError> {
        Ok(Arc::new(self.model.with_expert(self.task.slot.layer, self.task.slot.index, block)?))
    }

    /// Measures, judges, merges, and measures again.
    ///
    /// # Errors
    /// When it is cancelled, or this machine cannot.
    pub fn run(
        &self,
        config: &EngineConfig,
        cache: &mut ScoreCache,
        progress: &mut dyn FnMut(Progress),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Outcome, EvaluateError> {
        let Task { layout, rules, .. } = &self.task;
        let base = (Target::Base, self.model.clone());
        let mut models = vec![base.clone()];
        for (number, delta) in (0..).zip(&self.deltas) {
            // What cannot be applied has no scores.
            if let Ok(applied) = &delta.applied {
                models.push((Target::Delta(number), self.model_with(&applied.serving)?));
            }
        }
        let mut meter = Meter::new(self, config, cache, progress, is_cancelled)?;
        meter.measure(Set::Trial, &models)?;
        meter.measure(Set::General, &models)?;
        for delta in 0..layout.deltas {
            let is_measured = |(target, _): &&(Target, _)| [Target::Base, Target::Delta(delta)].contains(target);
            meter.measure(Set::Own(delta), &models.iter().filter(is_measured).cloned().collect::<Vec<_>>())?;
        }

        let sums = meter.scores().deltas(layout).ok_or(EvaluateError::Inconsistent)?;
        let finding = |(delta, sums): (&CheckedDelta, _)| DeltaFinding { finding: delta.finding, sums };
        let found: Vec<DeltaFinding> = self.deltas.iter().zip(sums).map(finding).collect();
        let deltas = found.try_into().map_err(|_| EvaluateError::Inconsistent)?;
        let mut reveal = Reveal { scores: [0; 32], deltas, candidate: None };
        let candidate = self.merge(&reveal.weights(layout, rules))?;
        if let Some(blocks) = &candidate {
            let merged = (Target::Candidate, self.model_with(&blocks.serving)?);
            meter.measure(Set::Final, &[base, merged.clone()])?;
            meter.measure(Set::General, &[merged])?;
            let (master, serving) = (blocks.master.hash(), blocks.serving.hash());
            let sums = meter.scores().candidate(layout).ok_or(EvaluateError::Inconsistent)?;
            reveal.candidate = Some(Candidate { master, serving, sums });
        } else {
            meter.leave_out_candidate();
            meter.measure(Set::Final, &[base])?;
        }
        let scores = meter.finish();
        reveal.scores = scores.hash();
        if !reveal.is_consistent(layout, rules) || !reveal.follows_from(&scores, layout) {
            return Err(EvaluateError::Inconsistent);
        }
        let verdict = reveal.judge(layout, rules);
        Ok(Outcome { scores, reveal, candidate, verdict })
    }

    /// What deltas are merged into with these weights; nothing when none has any.
    fn merge(&self, weights: &[u32]) -> Result<Option<CandidateBlocks>, EvaluateError> {
        let mut merged: Vec<(&ExpertDelta, u32)> = Vec::new();
        for (checked, weight) in self.deltas.iter().zip(weights).filter(|(_, weight)| **weight > 0) {
            let applied = checked.applied.as_ref().map_err(|_| EvaluateError::Inconsistent)?;
            merged.push((&applied.delta, *weight));
        }
        if merged.is_empty() {
            return Ok(None);
        }
        let forms = fold(&self.master, &merged)?;
        Ok(Some(CandidateBlocks { master: forms.master.into_block()?, serving: forms.serving.into_block()? }))
    }

    /// All that it takes to play for a cell: the model and the item that it is about. For cells of the candidate it has to be
    /// known what the committee has merged. Evidence is made of the model's blocks too, which have to be among those at hand by
    /// then.
    ///
    /// # Errors
    /// When there is no such cell.
    pub fn disputed(&self, cell: u32, candidate: Option<&VerifiedBlock>) -> Result<Disputed, EvaluateError> {
        let missing = EvaluateError::NoCell(cell);
        let Some(found) = self.task.layout.cell(cell) else { return Err(missing) };
        let mut blocks = self.blocks.clone();
        let block = match found.target {
            Target::Base => None,
            Target::Delta(number) => {
                let delta = self.deltas.get(number as usize).and_then(|delta| delta.applied.as_ref().ok());
                Some(&delta.ok_or(missing)?.serving)
            },
            Target::Candidate => Some(candidate.ok_or(missing)?),
        };
        let model = match block {
            Some(block) => self.model_with(block)?,
            None => self.model.clone(),
        };
        blocks.extend(block.map(|block| (block.hash(), block.clone())));
        let items = self.items_of(found.set);
        let item = items.get(found.item as usize).copied().ok_or(EvaluateError::NoCell(cell))?;
        Ok(Disputed::new(model, item, self.tokens(item)?.to_vec(), blocks))
    }
}
