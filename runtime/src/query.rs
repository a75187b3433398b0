//! What the node's `blyan_*` methods ask of the runtime.
//!
//! A runtime API rather than view functions, because the node is compiled against it: a change of types is an error of the
//! compiler, and an old runtime under a new node is known by the API's version.

use crate::{AccountId, Balance, BlockNumber};
use alloc::vec::Vec;
use blyan_primitives::{
    ids::{ContentHash, SpecId},
    pact::{Entry, Network},
    payment::ChannelId,
};
use codec::{Decode, Encode};
use polkadot_sdk::*;
use scale_info::TypeInfo;

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

/// The Genesis Pact as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct PactStatus {
    /// What is fixed with the first block.
    pub network: Network,
    /// Every parameter, with its bounds on this network.
    pub entries: Vec<Entry>,
    /// How often it was changed.
    pub revision: u32,
    /// Commits to the Pact and the network.
    pub hash: [u8; 32],
    /// Commits to the bounds that are compiled into the runtime.
    pub bounds_hash: [u8; 32],
}

/// What those who run nodes have to know of the chain itself, beside its blocks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct ChainStatus {
    /// The last block in which all but governing is refused, if it is.
    pub closed_until: Option<BlockNumber>,
    /// Whether a migration goes on, or is stuck: blocks take no transactions.
    pub is_migrating: bool,
    /// The era whose stakes count.
    pub era: u32,
    /// Accounts that can be elected.
    pub candidates: u32,
    /// Validators of the present session.
    pub validators: u32,
    /// Those of them that the session goes on without, for an offence.
    pub disabled: u32,
    /// Slashes that are announced, and neither cancelled nor wholly applied.
    pub pending_slashes: u32,
    /// Registered workers.
    pub workers: u32,
    /// BLY that exist.
    pub issuance: Balance,
    /// What the treasury can spend.
    pub treasury: Balance,
}

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

        /// The Genesis Pact.
        fn pact() -> PactStatus;

        /// How the chain is.
        fn chain_status() -> ChainStatus;
    }
}
