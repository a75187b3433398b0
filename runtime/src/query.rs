//! What the node's `blyan_*` methods ask of the runtime.
//!
//! A runtime API rather than view functions, because the node is compiled against it: a change of types is an error of the
//! compiler, and an old runtime under a new node is known by the API's version.

use crate::{AccountId, Balance, BlockNumber};
use alloc::vec::Vec;
use blyan_primitives::{
    ids::{ContentHash, SpecId},
    payment::ChannelId,
};
use polkadot_sdk::*;

pub use pallet_blyan_inference::Served;
pub use pallet_blyan_meta::Status as SpecStatus;

/// A specification and its place in the registry.
pub type SpecEntry = pallet_blyan_meta::SpecRecord<BlockNumber>;
/// The block that a slot holds.
pub type SlotHead = pallet_blyan_experts::Head<BlockNumber>;
/// A registered block.
pub type BlockEntry = pallet_blyan_experts::BlockEntry<BlockNumber>;
/// An account's word for a block.
pub type Registration = pallet_blyan_experts::Registration<Balance, BlockNumber>;
/// A worker as it is now.
pub type WorkerEntry = pallet_blyan_workers::WorkerStatus<Balance, BlockNumber>;
/// A batch of receipts.
pub type Anchor = pallet_blyan_inference::Anchor<Balance, BlockNumber>;
/// A payment channel.
pub type Channel = pallet_blyan_inference::Channel<AccountId, Balance, BlockNumber>;

/// Most workers in one answer of [`BlyanApi::workers`].
pub const MAX_WORKERS: u32 = pallet_blyan_workers::MAX_PAGE;

/// Most registrations in one answer of [`BlyanApi::registrations`].
pub const MAX_REGISTRATIONS: u32 = pallet_blyan_experts::MAX_PAGE;

sp_api::decl_runtime_apis! {
    /// Model, workers, receipts and payment.
    pub trait BlyanApi {
        /// The active specs, the default first.
        fn active_specs() -> Vec<(SpecId, SpecEntry)>;

        /// A spec, in whatever state it is.
        fn spec(id: SpecId) -> Option<SpecEntry>;

        /// The heads of a layer of a spec in the order of its experts. Empty when the spec is unknown or has no such layer.
        fn layer_heads(spec: SpecId, layer: u16) -> Vec<Option<SlotHead>>;

        /// A registered block.
        fn block(hash: ContentHash) -> Option<BlockEntry>;

        /// The accounts that have registered a block, and what each says of it: at most [`MAX_REGISTRATIONS`] of them.
        fn registrations(hash: ContentHash) -> Vec<(AccountId, Registration)>;

        /// A worker.
        fn worker(account: AccountId) -> Option<WorkerEntry>;

        /// Workers after `after`, or from the first, in the order of storage: at most `limit` and at most
        /// [`MAX_WORKERS`].
        fn workers(after: Option<AccountId>, limit: u32) -> Vec<(AccountId, WorkerEntry)>;

        /// A worker's anchor, unless it was pruned.
        fn anchor(worker: AccountId, sequence: u64) -> Option<Anchor>;

        /// What a worker has anchored so far.
        fn served(worker: AccountId) -> Served;

        /// A payment channel that is not closed.
        fn channel(id: ChannelId) -> Option<Channel>;
    }
}
