//! How the chain finds out which of two evaluators is right.
//!
//! Evaluations are exact, so that of two evaluators whose scores of an item differ one has not computed the model. Each names
//! the root of its [trace](crate::trace) of the item, whose last leaves are the losses that the score is the sum of. A
//! [`Game`] of a few moves then walks down both trees to the first leaf in which they differ. What the values in it were
//! computed from is the same in both, and one of those values is computed anew, by the runtime, from [`Evidence`]: leaves
//! that lie before it, and subtiles of the blocks of weights, each proved against a root that is known.
//!
//! Every move can be checked against the root that its side has named: nobody can play for another side and lose. So anybody
//! may move for any side, and all that a side has to have is somebody who knows its trace. Whoever computed the model right
//! wins every game, however many play against it. A game takes three moves of at most 16 KiB for a model of 135 million
//! weights, one of 1 KiB, and the evidence.

mod evidence;
#[cfg(any(test, feature = "example"))]
pub mod example;
mod game;
mod gather;
#[cfg(test)]
mod tests;
mod values;

pub use evidence::{
    BlockPart, Evidence, EvidenceError, LeafRun, Missing, Proven, Subtiles, MAX_BLOCKS, MAX_RUNS, MAX_SUBTILE_RUNS,
};
pub use game::{Game, Move, MoveError, Nodes, Pair, Side, Stage, Words, MAX_NODES, STRIDE};
pub use gather::{gather, GatherError, Sources};
pub use values::{tokens, Access, Item, Values, Weights, TOKENS};

use crate::{
    merkle::{self, Digest, ProofError},
    trace::{Step, Trace},
};
use alloc::vec::Vec;

/// The sum of the losses of an item's positions, once it is proved that the trace with this root ends with them.
///
/// # Errors
/// When there are more or fewer losses than positions, or the trace has others.
pub fn score(shape: &Trace, root: &Digest, losses: &[u32], proof: &[Digest]) -> Result<u64, ProofError> {
    if losses.len() as u64 != u64::from(shape.positions()) {
        return Err(ProofError::Range);
    }
    let first = shape.first_leaf(Step::Loss).ok_or(ProofError::Range)?;
    let leaf = |(index, loss): (u64, &u32)| merkle::leaf_hash(index, &loss.to_le_bytes());
    let leaves: Vec<Digest> = (first..).zip(losses).map(leaf).collect();
    merkle::verify(root, shape.leaves(), first, &leaves, proof)?;
    Ok(losses.iter().fold(0u64, |sum, loss| sum.saturating_add(u64::from(*loss))))
}
