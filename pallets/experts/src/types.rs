//! What the registry keeps of a block, of who registered it, and of a slot.

use blyan_primitives::{block::BlockRecord, ids::ContentHash};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// A registered block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct BlockEntry<BlockNumber> {
    /// What its header says, and the lineage that the chain vouches for: that of a block of the genesis model. What accounts
    /// say of its lineage is in their [`Registration`]s.
    pub record: BlockRecord,
    /// Whether it belongs to the genesis model, and stays.
    pub genesis: bool,
    /// Accounts that have registered it.
    pub registrants: u32,
    /// Slots that hold it, specs that name it, and serving forms of the genesis model derived from it.
    pub uses: u32,
    /// Block in which it was registered first.
    pub registered_at: BlockNumber,
}

/// An account's word for a block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Registration<Balance, BlockNumber> {
    /// For a serving form: the master from which, so the account says, it was derived.
    pub master: Option<ContentHash>,
    /// Hash of the training manifest that, so the account says, led to these weights.
    pub podl: Option<[u8; 32]>,
    /// What is held from the account for it.
    pub deposit: Balance,
    /// The account's other registrations that name this block as their master.
    pub derived: u32,
    /// Block in which the account registered it.
    pub registered_at: BlockNumber,
}

/// The block that a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Head<BlockNumber> {
    /// The expert's serving form.
    pub block: ContentHash,
    /// Block since which the slot holds it.
    pub since: BlockNumber,
    /// How often the slot's head has moved.
    pub moves: u32,
}
