//! What each delta is: whether it can be applied, and whether it makes of the head what its author says.

use super::{Blocks, EvaluateError, at_hand};
use crate::{
    block::{DeltaBlockError, ExpertDelta},
    fold::{FoldError, WHOLE, fold},
};
use blyan_model::expert::{ExpertError, Master};
use blyan_primitives::{ids::ContentHash, learning::DeltaInfo, pol::Finding};
use blyan_tensorblock::VerifiedBlock;

/// Why a delta is malformed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is on another head than the round's.
    #[error("the delta is on head {found}, the round is about {expected}")]
    Base {
        /// The round's.
        expected: ContentHash,
        /// The delta's.
        found: ContentHash,
    },
    /// Its block is not one of a delta of this expert, or not what its header says.
    #[error(transparent)]
    Block(DeltaBlockError),
    /// It cannot be added to the master.
    #[error(transparent)]
    Fold(FoldError),
    /// It makes something else of the head than its header says.
    #[error("with the delta the head becomes {found}, its header says {claimed}")]
    Serving {
        /// What the header says.
        claimed: ContentHash,
        /// What it is.
        found: ContentHash,
    },
}

/// A delta that can be applied, and what the head becomes with it alone.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) delta: ExpertDelta,
    pub(super) serving: VerifiedBlock,
}

/// A delta that was looked at.
#[derive(Debug)]
pub struct CheckedDelta {
    pub(super) finding: Finding,
    pub(super) applied: Result<Applied, Fault>,
}

impl CheckedDelta {
    /// What it is.
    pub fn finding(&self) -> Finding {
        self.finding
    }

    /// Why it is malformed, if it is.
    pub fn fault(&self) -> Option<&Fault> {
        self.applied.as_ref().err()
    }
}

/// Applies a delta to the master.
///
/// # Errors
/// When this machine cannot: that says nothing of the delta.
pub(super) fn apply(
    delta: &DeltaInfo<[u8; 32]>,
    base: ContentHash,
    master: &Master,
    blocks: &Blocks,
) -> Result<Result<Applied, Fault>, EvaluateError> {
    let header = &delta.header;
    let block = at_hand(blocks, header.block)?;
    if header.base != base {
        return Ok(Err(Fault::Base { expected: base, found: header.base }));
    }
    let delta = match ExpertDelta::of(delta, block, master.shape()) {
        Ok(delta) => delta,
        Err(error) => return Ok(Err(Fault::Block(error))),
    };
    let forms = match fold(master, &[(&delta, WHOLE)]) {
        Ok(forms) => forms,
        Err(
            error @ (FoldError::TooLarge { .. }
            | FoldError::Shape { .. }
            | FoldError::Expert(ExpertError::Weights { .. })),
        ) => return Ok(Err(Fault::Fold(error))),
        Err(error) => return Err(error.into()),
    };
    let (claimed, found) = (header.serving, forms.serving.hash());
    if found != claimed {
        return Ok(Err(Fault::Serving { claimed, found }));
    }
    Ok(Ok(Applied { delta, serving: forms.serving.into_block()? }))
}
