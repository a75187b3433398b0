//! Learning: what training changed, small enough to send and exact to apply.
//!
//! - [`train`]: training of one expert, all else frozen.
//! - [`delta`]: codecs for a change to one matrix of weights.
//! - [`block`]: the changes to an expert's matrices, as a block.

#![deny(unsafe_code)]

pub mod block;
pub mod delta;
#[cfg(test)]
mod noise;
pub mod train;
