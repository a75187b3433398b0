//! What the registry keeps of a specification.

use blyan_primitives::{ids::SpecId, spec::ModelSpec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Where a specification is in its life. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Status {
    /// On chain, not in use.
    #[codec(index = 0)]
    Published,
    /// Workers serve it, and its slots have heads.
    #[codec(index = 1)]
    Active,
    /// No longer in use; its record stays, because receipts name it.
    #[codec(index = 2)]
    Deprecated,
}

/// A specification with its place in the registry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct SpecRecord<BlockNumber> {
    /// The specification.
    pub spec: ModelSpec,
    /// The first spec of its line of successors: slots belong to lineages, not to specs.
    pub lineage: SpecId,
    /// Where it is in its life.
    pub status: Status,
    /// Block in which it was published.
    pub published_at: BlockNumber,
}
