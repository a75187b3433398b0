//! Errors of the `blyan_*` methods. Their codes are part of the interface and never change meaning.

use blyan_primitives::ids::SpecId;
use blyan_runtime::{BlockNumber, Hash};
use jsonrpsee::types::ErrorObjectOwned;
use polkadot_sdk::*;
use serde_json::json;

/// Why a method has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The block named by `at` is unknown.
    #[error("block {0:?} is not known to this node: leave out `at`, or wait until the node has it")]
    UnknownBlock(Hash),
    /// The block is known, but not the state after it.
    #[error(
        "this node does not have the state after block {number} ({at:?}): it was pruned, or skipped by a warp sync; ask a node \
         with --state-pruning archive, or leave out `at`"
    )]
    StatePruned {
        /// The block.
        at: Hash,
        /// Its number.
        number: BlockNumber,
    },
    /// The runtime could not be asked.
    #[error("the runtime did not answer at block {at:?}; its version may be another: {source}")]
    Runtime {
        /// The block.
        at: Hash,
        /// What went wrong.
        source: sp_api::ApiError,
    },
    /// The node's database failed.
    #[error("the node's database failed: {0}")]
    Database(#[from] sp_blockchain::Error),
    /// No spec has this id.
    #[error("no specification is called {0}: blyan_activeSpec tells the one in use")]
    UnknownSpec(SpecId),
    /// The spec has no such layer.
    #[error("layer {layer} of {spec} has no slots: the specification has {layers} layers")]
    UnknownLayer {
        /// The spec.
        spec: SpecId,
        /// The layer that was asked for.
        layer: u16,
        /// How many there are.
        layers: u16,
    },
    /// More was asked for than one answer holds.
    #[error("at most {most} at a time: ask for the rest with `after`")]
    LimitTooHigh {
        /// The most.
        most: u32,
    },
    /// A proof has more hashes than any tree needs.
    #[error("a proof has at most {most} hashes")]
    ProofTooLong {
        /// The most.
        most: usize,
    },
}

impl Error {
    /// Code and name, by which programs tell errors apart.
    const fn code(&self) -> (i32, &'static str) {
        match self {
            Self::UnknownBlock(_) => (10_001, "UnknownBlock"),
            Self::Runtime { .. } => (10_002, "Runtime"),
            Self::Database(_) => (10_003, "Database"),
            Self::UnknownSpec(_) => (10_004, "UnknownSpec"),
            Self::UnknownLayer { .. } => (10_005, "UnknownLayer"),
            Self::LimitTooHigh { .. } => (10_006, "LimitTooHigh"),
            Self::ProofTooLong { .. } => (10_007, "ProofTooLong"),
            Self::StatePruned { .. } => (10_008, "StatePruned"),
        }
    }
}

impl From<Error> for ErrorObjectOwned {
    fn from(error: Error) -> Self {
        let (code, name) = error.code();
        Self::owned(code, error.to_string(), Some(json!({ "name": name })))
    }
}
