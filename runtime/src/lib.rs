//! The state transition function of the Blyan chain.
//!
//! Consensus is BABE with GRANDPA finality over a set of validators that sessions rotate; accounts, fees and governance
//! of small things come from the SDK's pallets; what the chain is for is in ours: [`Meta`] (model specifications),
//! [`Experts`] (weight blocks, slot heads, and the rounds in which heads change), [`Pol`] (what deltas are worth), [`Workers`]
//! (who executes) and [`Inference`] (receipts and payment). Ours too are what holds it together: [`Pact`] (the numbers that all agree on), [`Economy`] (issuance and pools), [`Staking`] (who
//! validates, and what is at stake) and [`Dao`] (one machine, one vote).
//!
//! - [`configs`]: how each pallet is configured, a file per pallet.
//! - [`constants`]: currency, time and limits.
//! - [`migrations`]: what the first blocks of a new version change in the state.
//! - [`query`]: the runtime API behind the node's `blyan_*` methods.
//! - [`genesis`]: the presets that a chain can start from.
//!
//! Indices of pallets are part of the encoding of every transaction: they are never moved or used again.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]
// The macros that join pallets, and those that implement the runtime APIs, make public items without documentation.
#![allow(missing_docs)]
#![recursion_limit = "512"]

extern crate alloc;

/// The runtime compiled to WebAssembly: compact and compressed, and as the compiler left it.
#[cfg(feature = "std")]
#[allow(missing_docs, reason = "generated")]
pub mod wasm {
    include!(concat!(env!("OUT_DIR"), "/wasm_binary.rs"));
}

mod apis;
#[cfg(feature = "runtime-benchmarks")]
pub mod benchmarks;
pub mod configs;
pub mod constants;
pub mod genesis;
pub mod migrations;
pub mod query;

use alloc::{borrow::Cow, vec::Vec};
use polkadot_sdk::*;
use sp_runtime::{
    generic, impl_opaque_keys,
    traits::{BlakeTwo256, IdentifyAccount, Verify},
    MultiAddress, MultiSignature, OpaqueExtrinsic,
};
use sp_version::RuntimeVersion;

#[cfg(feature = "std")]
pub use apis::RuntimeApi;
pub use apis::RUNTIME_API_VERSIONS;
#[cfg(feature = "std")]
pub use wasm::WASM_BINARY;

/// Signature of a transaction, by any of the usual schemes.
pub type Signature = MultiSignature;
/// An account: a public key, or the hash of one.
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
/// An amount of BLY, in the smallest unit.
pub type Balance = u128;
/// Height of a block.
pub type BlockNumber = u32;
/// Number of transactions that an account has sent.
pub type Nonce = u32;
/// A BLAKE2b-256 digest.
pub type Hash = sp_core::H256;
/// How transactions name accounts.
pub type Address = MultiAddress<AccountId, ()>;
/// Header of a block.
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
/// A block.
pub type Block = generic::Block<Header, UncheckedExtrinsic>;
/// A block as the node knows it, which must follow the chain through upgrades of the runtime and so cannot look into
/// transactions.
pub type OpaqueBlock = generic::Block<Header, OpaqueExtrinsic>;

/// What every transaction carries beside its call, in order.
pub type TxExtension = (
    frame_system::AuthorizeCall<Runtime>,
    frame_system::CheckNonZeroSender<Runtime>,
    frame_system::CheckSpecVersion<Runtime>,
    frame_system::CheckTxVersion<Runtime>,
    frame_system::CheckGenesis<Runtime>,
    frame_system::CheckMortality<Runtime>,
    frame_system::CheckNonce<Runtime>,
    frame_system::CheckWeight<Runtime>,
    pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
    frame_metadata_hash_extension::CheckMetadataHash<Runtime>,
    frame_system::WeightReclaim<Runtime>,
);

/// A transaction as it comes from the network.
pub type UncheckedExtrinsic = generic::UncheckedExtrinsic<Address, RuntimeCall, Signature, TxExtension>;
/// What is signed when a transaction is.
pub type SignedPayload = generic::SignedPayload<RuntimeCall, TxExtension>;

/// Runs blocks.
pub type Executive =
    frame_executive::Executive<Runtime, Block, frame_system::ChainContext<Runtime>, Runtime, AllPalletsWithSystem>;

impl_opaque_keys! {
    /// Keys of a validator.
    pub struct SessionKeys {
        /// Signs blocks.
        pub babe: Babe,
        /// Votes on finality.
        pub grandpa: Grandpa,
    }
}

#[cfg(feature = "next-release")]
pub use migrations::next::VERSION;

/// Version of this runtime.
#[cfg(not(feature = "next-release"))]
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: Cow::Borrowed("blyan"),
    impl_name: Cow::Borrowed("blyan"),
    authoring_version: 1,
    spec_version: 1,
    impl_version: 1,
    apis: RUNTIME_API_VERSIONS,
    transaction_version: 1,
    system_version: 1,
};

// "Legacy" is the order in which the pallets stand below, for genesis and hooks. Otherwise it would be that of their indices.
#[frame_support::runtime(legacy_ordering)]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask,
        RuntimeViewFunction
    )]
    /// The runtime.
    pub struct Runtime;

    // The chain itself: 0 to 9. Babe notes the slot before anything else of the block runs.
    #[runtime::pallet_index(0)]
    pub type System = frame_system;
    #[runtime::pallet_index(1)]
    pub type Babe = pallet_babe;
    #[runtime::pallet_index(2)]
    pub type Timestamp = pallet_timestamp;

    // Money: 10 to 19. The Pact is there before whoever reads it; Economy takes the issuance that Balances made for the
    // allocation.
    #[runtime::pallet_index(10)]
    pub type Balances = pallet_balances;
    #[runtime::pallet_index(11)]
    pub type TransactionPayment = pallet_transaction_payment;
    #[runtime::pallet_index(12)]
    pub type Pact = pallet_blyan_pact;
    #[runtime::pallet_index(13)]
    pub type Economy = pallet_blyan_economy;

    // Validators: 3 and 20 to 29. Authorship knows the author from before Session changes the set until after Economy has
    // split the block's fees. Session writes to the accounts of genesis validators, which Balances makes, and asks Staking who
    // they are.
    #[runtime::pallet_index(3)]
    pub type Authorship = pallet_authorship;
    #[runtime::pallet_index(24)]
    pub type Staking = pallet_blyan_staking;
    #[runtime::pallet_index(20)]
    pub type Offences = pallet_offences;
    #[runtime::pallet_index(21)]
    pub type Historical = pallet_session::historical;
    #[runtime::pallet_index(22)]
    pub type Session = pallet_session;
    #[runtime::pallet_index(23)]
    pub type Grandpa = pallet_grandpa;

    // For every account: 30 to 39.
    #[runtime::pallet_index(30)]
    pub type Utility = pallet_utility;
    #[runtime::pallet_index(31)]
    pub type Multisig = pallet_multisig;
    #[runtime::pallet_index(32)]
    pub type Proxy = pallet_proxy;
    #[runtime::pallet_index(33)]
    pub type Preimage = pallet_preimage;
    #[runtime::pallet_index(34)]
    pub type Scheduler = pallet_scheduler;
    #[runtime::pallet_index(35)]
    pub type Migrations = pallet_migrations;

    // Who may do what root may: 40 to 49. Sudo has a key on development chains alone.
    #[runtime::pallet_index(40)]
    pub type Sudo = pallet_sudo;
    #[runtime::pallet_index(41)]
    pub type Referenda = pallet_referenda;
    #[runtime::pallet_index(42)]
    pub type Dao = pallet_blyan_dao;
    #[runtime::pallet_index(43)]
    pub type SafeMode = pallet_safe_mode;

    // What the chain is for: 50 to 69. Meta checks at genesis that the blocks and heads of its spec are there.
    #[runtime::pallet_index(50)]
    pub type Experts = pallet_blyan_experts;
    #[runtime::pallet_index(51)]
    pub type Meta = pallet_blyan_meta;
    #[runtime::pallet_index(52)]
    pub type Workers = pallet_blyan_workers;
    #[runtime::pallet_index(53)]
    pub type Inference = pallet_blyan_inference;
    #[runtime::pallet_index(54)]
    pub type Pol = pallet_blyan_pol;
}
