//! Learning: what training changed, small enough to send and exact to apply.
//!
//! - [`train`]: training of one expert, all else frozen.
//! - [`delta`]: codecs for a change to one matrix of weights.
//! - [`block`]: the changes to an expert's matrices, as a block.
//! - [`items`]: blocks of the token sequences that changes are measured on.
//! - [`hidden`]: the same, encrypted until they are measured on.
//! - [`fold`]: what deltas make of an expert.
//! - [`evaluate`]: what a member of a committee finds of a round.
//! - [`router`]: changes to routers, and what they make of one.
//! - [`referee`]: playing for it where others say otherwise.

#![deny(unsafe_code)]

pub mod block;
pub mod delta;
pub mod evaluate;
pub mod fold;
pub mod hidden;
pub mod items;
#[cfg(test)]
mod noise;
pub mod referee;
pub mod router;
pub mod train;
