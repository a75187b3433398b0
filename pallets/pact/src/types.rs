//! What a change of the Pact is told as.

use blyan_primitives::pact::Parameter;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// A parameter that is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Change {
    /// What it was.
    pub old: Parameter,
    /// What it is.
    pub new: Parameter,
}
