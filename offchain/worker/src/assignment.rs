//! What the committee of a round is given to evaluate, from what the chain has of it: for its members, and for whoever checks
//! their verdict later.

use blyan_chain::{BlockNumber, ChainError, Delta, Evaluation, Measured, State};
use blyan_learning::evaluate::{Blocks, Task};
use blyan_model::exec::{LoadError, Model, ModelBlocks};
use blyan_primitives::{
    ids::{ContentHash, SpecId},
    learning::{DeltaInfo, RoundId},
    spec::ModelSpec,
};

/// Why an evaluation cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum AssignmentError {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The round or a delta of it is removed.
    #[error("the chain does not have round {0} with all its deltas any more: what is over is removed after 30 days")]
    Round(RoundId),
    /// The spec is not known.
    #[error("the chain does not have spec {0}, in which the round is evaluated")]
    Spec(SpecId),
    /// It is forgotten what a slot held.
    #[error(
        "the chain does not know any more what slot {layer}/{index} held after block {at}: ask a node that keeps all states"
    )]
    Forgotten {
        /// The layer.
        layer: u16,
        /// The expert in it.
        index: usize,
        /// The height.
        at: BlockNumber,
    },
    /// A block was not brought.
    #[error("block {0} is not at hand: fetch it first")]
    NotAtHand(ContentHash),
    /// The blocks make no model.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// An evaluation, and all that names what it is computed from.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// What is evaluated.
    pub task: Task,
    /// The model's specification.
    pub spec: ModelSpec,
    /// `[layer][index]`: the expert in each slot at the evaluation's height.
    pub experts: Vec<Vec<ContentHash>>,
}

/// A delta, for who measures or merges it.
pub fn delta_info(delta: &Delta) -> DeltaInfo<[u8; 32]> {
    DeltaInfo { learner: delta.learner.0, header: delta.header.clone() }
}

impl Assignment {
    /// The assignment of a round, of which it is known which deltas are measured.
    ///
    /// # Errors
    /// When the chain has forgotten some of it.
    pub async fn new(state: &State, round: RoundId, evaluation: &Evaluation) -> Result<Self, AssignmentError> {
        let known = state.round(round).await?.ok_or(AssignmentError::Round(round))?;
        let submitted = state.deltas(round).await?;
        let delta = |measured: &Measured| submitted.get(measured.index as usize).map(delta_info);
        let deltas: Option<Vec<_>> = evaluation.deltas.iter().map(delta).collect();
        let spec = evaluation.spec;
        let spec = state.spec(spec).await?.ok_or(AssignmentError::Spec(spec))?.spec;
        let mut experts = Vec::new();
        for layer in 0..spec.dimensions.layers {
            let heads = state.heads_of_layer_at(evaluation.spec, layer, evaluation.at).await?;
            let head = |(index, head): (usize, Option<ContentHash>)| {
                head.ok_or(AssignmentError::Forgotten { layer, index, at: evaluation.at })
            };
            experts.push(heads.into_iter().enumerate().map(head).collect::<Result<Vec<_>, _>>()?);
        }
        let task = Task {
            slot: evaluation.slot,
            base: evaluation.base,
            master: known.master,
            layout: evaluation.layout,
            rules: evaluation.learning.clone(),
            sources: evaluation.sources.clone(),
            seed: evaluation.seed,
            deltas: deltas.ok_or(AssignmentError::Round(round))?,
        };
        Ok(Self { task, spec, experts })
    }

    /// Every block that the evaluation takes but those of deltas, each once: the model's, the master, and those of items.
    pub fn blocks(&self) -> Vec<ContentHash> {
        let Self { task, spec, experts, .. } = self;
        let sources = &task.sources;
        let sets = sources.held_out.iter().chain(&sources.hidden).chain(&sources.general).map(|set| set.block);
        let own = task.deltas.iter().map(|delta| delta.header.data.block);
        let model = [spec.trunk, spec.router, task.master].into_iter().chain(experts.iter().flatten().copied());
        let mut names: Vec<_> = model.chain(sets).chain(own).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The model that deltas are measured in.
    ///
    /// # Errors
    /// When one of its blocks is not there, or they make no model.
    pub fn load(&self, blocks: &Blocks) -> Result<Model, AssignmentError> {
        let find = |hash: &ContentHash| blocks.get(hash).cloned().ok_or(AssignmentError::NotAtHand(*hash));
        let layer = |layer: &Vec<ContentHash>| layer.iter().map(find).collect::<Result<Vec<_>, _>>();
        let experts = self.experts.iter().map(layer).collect::<Result<Vec<_>, _>>()?;
        let (trunk, router) = (find(&self.spec.trunk)?, find(&self.spec.router)?);
        Ok(Model::load(ModelBlocks { spec: self.spec.clone(), trunk, router, experts })?)
    }
}
