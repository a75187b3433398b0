//! What the registry keeps of a block and of a slot.

use blyan_primitives::{block::BlockRecord, ids::ContentHash};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Money held from whoever put a block on chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Deposit<AccountId, Balance> {
    /// Whose it is; the only one who can unregister the block.
    pub owner: AccountId,
    /// How much is held.
    pub amount: Balance,
}

/// A registered block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct BlockEntry<AccountId, Balance, BlockNumber> {
    /// What its header says.
    pub record: BlockRecord,
    /// What is held for it; nothing for a block of the genesis model, which stays.
    pub deposit: Option<Deposit<AccountId, Balance>>,
    /// Slots that hold it, specs that name it, and registered serving forms derived from it.
    pub uses: u32,
    /// Block in which it was registered.
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
