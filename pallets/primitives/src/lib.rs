//! Types and pure functions that the chain and the off-chain workers share.
//!
//! Nothing here knows FRAME, a network or a tensor library; everything is `no_std`, deterministic and bounded. A hash or
//! signature computed off chain and one computed in the runtime come from the same function.
//!
//! - [`ids`]: 32-byte names, one type for each kind of thing named.
//! - [`version`]: semantic versions and compatibility ranges.
//! - [`merkle`]: the 8-ary BLAKE2b-256 tree over subtiles (and over receipts), with single and range proofs.
//! - [`block`]: the header of a TensorBlock, the immutable file that holds weights.
//! - [`spec`]: the model specification (a *meta block*).
//! - [`hardware`]: hardware profiles and the tiers they fall into.
//! - [`receipt`]: signed commitments to answers, and the rolling commitment inside them.
//! - [`payment`]: vouchers of payment channels.
//! - [`pact`]: the Genesis Pact, every number that governance can change, and its bounds.
//! - [`trust`]: levels of trust, quotas and quarantine.
//! - [`worker`]: what workers say of themselves, their roles and heartbeats.
//! - [`genesis`]: the model that a chain starts with.
//! - [`canonical`]: an element of each operation of the model, [`math`]: the functions in them, [`real`] and [`soft_float`]:
//!   the floats that they are executed on.
//! - [`trace`]: every value of an evaluation, and how each is computed; [`dispute`]: how the chain finds out who computed one
//!   right.
//! - [`learning`]: rounds, and the headers of deltas.
//! - [`pol`]: Proof-of-Learning: committees, scores, verdicts.
//! - [`traits`]: how pallets reach each other.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

pub mod block;
pub mod canonical;
pub mod dispute;
#[cfg(feature = "serde")]
pub mod genesis;
pub mod hardware;
pub mod hash;
pub mod ids;
pub mod learning;
pub mod math;
pub mod merkle;
pub mod pact;
pub mod payment;
#[cfg(test)]
mod pins;
pub mod pol;
pub mod real;
pub mod receipt;
pub mod soft_float;
pub mod spec;
pub mod trace;
pub mod traits;
pub mod trust;
pub mod version;
pub mod worker;
