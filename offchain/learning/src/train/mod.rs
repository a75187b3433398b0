//! Training of one expert on this machine, from which a delta is made.
//!
//! Everything is frozen but the expert of one slot ([`Manifest::slot`]) and, where asked, the router's row for it. A
//! [`Trainer`] holds the model as a graph of candle's in f32: the same network as
//! [canonical execution](blyan_model::exec), without its rounding. Training only proposes; what its result is worth is measured
//! by canonical execution, on the serving form that the changed master gives.
//!
//! - A [`Manifest`] names all that decides the result. From it follow the order of the data and the start of what is trained.
//! - Gradients start at the expert: the layers below it are passed through without a graph, in its own layer only the tokens
//!   that are sent to it take part, and weights that are frozen get none.
//! - [`expert_shares`] says which experts the tokens of a text go to: which slot to train.
//! - [`Trained`] is what a run changed, ready for [`delta`](crate::delta)'s codecs.
//!
//! With the feature `cuda` a [`Device`] can be a graphics card. On processors candle uses as many threads as the environment's
//! `RAYON_NUM_THREADS` says, or the machine has cores.
//!
//! ```no_run
//! # fn example(model: &blyan_model::exec::Model, manifest: blyan_learning::train::Manifest, documents: Vec<Vec<u32>>)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use blyan_learning::train::{Device, Trainer};
//!
//! let mut trainer = Trainer::new(model, None, manifest, &documents, &Device::Cpu)?;
//! trainer.checkpoint_in("run".as_ref(), 10)?;
//! trainer.run(&mut |progress| println!("{} of {}: {:.3}", progress.step, progress.steps, progress.loss), &|| false)?;
//! let trained = trainer.trained()?;
//! let [gate, up, down] = trained.to_updates(127)?;
//! # Ok(())
//! # }
//! ```

mod adamw;
mod checkpoint;
mod draws;
mod loss;
mod manifest;
mod master;
mod network;
mod ops;
mod parameters;
mod routing;
mod survey;
#[cfg(test)]
mod tests;
mod trainer;
mod windows;

pub use candle_core::Device;
pub use checkpoint::CheckpointError;
pub use manifest::{
    DataSet, MAX_BATCH, MAX_DATA_SETS, MAX_ITEMS, MAX_WINDOW, Manifest, ManifestError, Method, RouterSettings, Settings,
};
pub use parameters::{Change, Matrices};
pub use survey::expert_shares;
pub use trainer::{Ended, Progress, Trained, Trainer};

use blyan_primitives::{
    ids::{ContentHash, SlotId, WeightsId},
    spec::Dimensions,
};
use blyan_tensorblock::BlockError;

/// Why a run cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The manifest is unsound.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The model has no such slot.
    #[error("there is no slot {layer}/{index}: the model has {layers} layers of {experts} experts")]
    NoSlot {
        /// The layer asked for.
        layer: u16,
        /// The expert asked for.
        index: u16,
        /// The model's layers.
        layers: u16,
        /// Its experts a layer.
        experts: u16,
    },
    /// Another block is in the slot.
    #[error("slot {slot} holds block {found}, the run is for {expected}: make a manifest for the new head")]
    OtherBase {
        /// The slot.
        slot: SlotId,
        /// The manifest's base.
        expected: ContentHash,
        /// The block that is there.
        found: ContentHash,
    },
    /// The model has other weights elsewhere.
    #[error("the run is for weights {expected}, the model has {found}: load the model that the manifest names")]
    OtherModel {
        /// The manifest's.
        expected: WeightsId,
        /// The model's.
        found: WeightsId,
    },
    /// The manifest says from what training starts, and something else was given.
    #[error("the run starts from {}, given was {}: give what the manifest names", start(.expected), start(.found))]
    OtherMaster {
        /// The manifest's.
        expected: Option<ContentHash>,
        /// The block that was given.
        found: Option<ContentHash>,
    },
    /// A block is not the master of the one in the slot.
    #[error("block {0} is not the master of the block in the slot: make a manifest with the right one, or without")]
    NotTheMaster(ContentHash),
    /// A master's tensors are not those of an expert of this model.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The rank is higher than the matrices allow.
    #[error("rank {rank} is more than the {most} that the expert's matrices have: lower it, or train every weight")]
    Rank {
        /// The manifest's.
        rank: u8,
        /// The shorter side of the narrowest matrix.
        most: usize,
    },
    /// There is not one document for each item.
    #[error("the manifest names {expected} items, given were {found} documents: give one for each, in its order")]
    Documents {
        /// Items.
        expected: usize,
        /// Documents.
        found: usize,
    },
    /// A token is not in the vocabulary.
    #[error("document {document} has the token {token}, the vocabulary {vocab}: use the model's own tokenizer")]
    UnknownToken {
        /// Which document, from 0; as many as there are for the separator.
        document: usize,
        /// The token.
        token: u32,
        /// Tokens of the vocabulary.
        vocab: u32,
    },
    /// There is nothing to predict.
    #[error("there are not two tokens that follow each other: give longer texts")]
    NoTokens,
    /// A window is longer than the model's context.
    #[error("{window} tokens of a window do not fit the context of {context}: make windows shorter")]
    Window {
        /// Tokens of the window.
        window: u32,
        /// Tokens of the context.
        context: u32,
    },
    /// A router's scores are not finite.
    #[error("a router's scores are not finite: training diverged, or the model is damaged")]
    NotFinite,
    /// Losses, gradients or a router's scores are no longer finite.
    #[error("training diverged after step {step}: lower the learning rate")]
    Diverged {
        /// Steps taken before.
        step: u32,
    },
    /// The run cannot be kept or gone on with.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The device failed, for lack of memory as a rule.
    #[error("the device failed: {0}")]
    Device(#[from] candle_core::Error),
}

/// What a run starts from.
fn start(master: &Option<ContentHash>) -> String {
    match master {
        Some(hash) => format!("the master {hash}"),
        None => "the serving form, without a master".into(),
    }
}

/// Checks that all tokens are in the vocabulary.
fn check_tokens<'a>(documents: impl IntoIterator<Item = &'a [u32]>, vocab: u32) -> Result<(), TrainError> {
    for (document, tokens) in documents.into_iter().enumerate() {
        if let Some(token) = tokens.iter().find(|token| **token >= vocab) {
            return Err(TrainError::UnknownToken { document, token: *token, vocab });
        }
    }
    Ok(())
}

/// Checks that texts can pass through a model as they are; the last token of each is only predicted.
fn check_texts(texts: &[impl AsRef<[u32]>], d: &Dimensions) -> Result<(), TrainError> {
    check_tokens(texts.iter().map(AsRef::as_ref), d.vocab)?;
    for text in texts {
        let window = u32::try_from(text.as_ref().len()).unwrap_or(u32::MAX).saturating_sub(1);
        if window > d.context {
            return Err(TrainError::Window { window, context: d.context });
        }
    }
    Ok(())
}
