//! How pallets reach each other: small traits named for the need, wired in the runtime's configuration.

use crate::{
    block::BlockRecord,
    hardware::Tier,
    ids::{ContentHash, SlotId, SpecId},
    spec::Dimensions,
    worker::Roles,
};

/// Who knows the specifications.
pub trait SpecRegistry {
    /// The lineage that spec `id` belongs to, and its dimensions, in whatever state it is.
    fn known_spec(id: SpecId) -> Option<(SpecId, Dimensions)>;

    /// The same, while the spec is published or active: its slots can be filled.
    fn open_spec(id: SpecId) -> Option<(SpecId, Dimensions)>;

    /// The same, while the spec is active: workers serve it.
    fn live_spec(id: SpecId) -> Option<(SpecId, Dimensions)>;

    /// Whether a spec of `lineage` is published or active. The heads of a lineage without one serve nobody any more.
    fn is_open(lineage: SpecId) -> bool;

    /// Dimensions that an expert in `slot` must have, while a live spec of its lineage has the slot.
    fn slot_dimensions(slot: &SlotId) -> Option<Dimensions>;

    /// Whether `slot` exists in a live spec of its lineage.
    fn has_slot(slot: &SlotId) -> bool {
        Self::slot_dimensions(slot).is_some()
    }
}

/// Who knows the blocks of weights.
pub trait BlockRegistry {
    /// The record of a block.
    fn block(hash: ContentHash) -> Option<BlockRecord>;
}

/// Why a block cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseError {
    /// No block of this name is registered.
    Unknown,
    /// The block has as many uses as can be counted.
    TooMany,
}

/// Who counts the uses of blocks: a block in use cannot be unregistered.
pub trait BlockUses {
    /// Counts one more use of block `hash`.
    fn acquire(hash: ContentHash) -> Result<(), UseError>;

    /// Gives back what [`Self::acquire`] counted.
    fn release(hash: ContentHash);
}

/// Who holds the heads of slots. A head is moved by verdicts alone: there is no extrinsic that moves one.
pub trait SlotHeads {
    /// Why a head was not moved.
    type Error;

    /// The block that `slot` holds.
    fn head(slot: &SlotId) -> Option<ContentHash>;

    /// How many slots of a layer hold a block. They are filled in the order of their indices and emptied from the end, so
    /// these are the slots from 0 on.
    fn filled(lineage: SpecId, layer: u16) -> u16;

    /// Puts `block` into slot `index` of a layer of `spec`, a spec that is published or active. Fails unless the slot is the
    /// first empty one of its layer, and when `block` is not a registered serving form of an expert of the spec's shape.
    fn fill_head(spec: SpecId, layer: u16, index: u16, block: ContentHash) -> Result<(), Self::Error>;

    /// Compare and swap: puts `next` where `base` is. Fails when the slot holds another block, or when `next` is not a
    /// registered serving form of an expert of the slot's dimensions.
    fn move_head(slot: &SlotId, base: ContentHash, next: ContentHash) -> Result<(), Self::Error>;
}

/// Who knows the workers.
pub trait WorkerRegistry<AccountId> {
    /// The sr25519 key that `account`'s worker signs with, while it is registered.
    fn key(account: &AccountId) -> Option<[u8; 32]>;

    /// Roles of a registered worker, online or not.
    fn roles(account: &AccountId) -> Option<Roles>;

    /// Roles of a worker that is online.
    fn online_roles(account: &AccountId) -> Option<Roles>;

    /// Tier of a registered worker.
    fn tier(account: &AccountId) -> Option<Tier>;
}
