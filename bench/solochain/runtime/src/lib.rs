//! The runtime that Blyan's throughput is compared with: that of the SDK's solochain template, without its example pallet.
//!
//! Aura, GRANDPA, balances, fees and sudo, with the template's constants. Where the two chains could only be told apart by
//! what they were configured with, it has Blyan's: the length of a slot, the weights of ParityDB, and the limits of a block,
//! which are the same in both anyway. The benchmark compares the limits that both chains answer with, and refuses to go on
//! where they differ.

#![cfg_attr(not(feature = "std"), no_std)]
#![recursion_limit = "512"]

extern crate alloc;

/// The runtime compiled to WebAssembly.
#[cfg(feature = "std")]
pub mod wasm {
    include!(concat!(env!("OUT_DIR"), "/wasm_binary.rs"));
}

mod apis;
mod configs;
mod genesis;

use alloc::{borrow::Cow, vec::Vec};
use polkadot_sdk::*;
use sp_runtime::{
    MultiAddress, MultiSignature, OpaqueExtrinsic, generic, impl_opaque_keys,
    traits::{BlakeTwo256, IdentifyAccount, Verify},
};
use sp_version::RuntimeVersion;

pub use apis::RUNTIME_API_VERSIONS;
#[cfg(feature = "std")]
pub use apis::RuntimeApi;

/// Length of a slot, in milliseconds: Blyan's. The template has 6,000.
pub const SLOT_DURATION: u64 = 3_000;

/// Signature of a transaction.
pub type Signature = MultiSignature;
/// An account.
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
/// An amount.
pub type Balance = u128;
/// Number of transactions that an account has sent.
pub type Nonce = u32;
/// A BLAKE2b-256 digest.
pub type Hash = sp_core::H256;
/// Height of a block.
pub type BlockNumber = u32;
/// How transactions name accounts.
pub type Address = MultiAddress<AccountId, ()>;
/// Header of a block.
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
/// A block.
pub type Block = generic::Block<Header, UncheckedExtrinsic>;
/// A block as the node knows it.
pub type OpaqueBlock = generic::Block<Header, OpaqueExtrinsic>;

/// What every transaction carries beside its call.
pub type TxExtension = (
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
/// Runs blocks.
pub type Executive =
    frame_executive::Executive<Runtime, Block, frame_system::ChainContext<Runtime>, Runtime, AllPalletsWithSystem>;

impl_opaque_keys! {
    /// Keys of a validator.
    pub struct SessionKeys {
        /// Signs blocks.
        pub aura: Aura,
        /// Votes on finality.
        pub grandpa: Grandpa,
    }
}

/// Version of this runtime.
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: Cow::Borrowed("solochain"),
    impl_name: Cow::Borrowed("solochain"),
    authoring_version: 1,
    spec_version: 1,
    impl_version: 1,
    apis: RUNTIME_API_VERSIONS,
    transaction_version: 1,
    system_version: 1,
};

#[frame_support::runtime]
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

    #[runtime::pallet_index(0)]
    pub type System = frame_system;
    #[runtime::pallet_index(1)]
    pub type Timestamp = pallet_timestamp;
    #[runtime::pallet_index(2)]
    pub type Aura = pallet_aura;
    #[runtime::pallet_index(3)]
    pub type Grandpa = pallet_grandpa;
    #[runtime::pallet_index(4)]
    pub type Balances = pallet_balances;
    #[runtime::pallet_index(5)]
    pub type TransactionPayment = pallet_transaction_payment;
    #[runtime::pallet_index(6)]
    pub type Sudo = pallet_sudo;
}
