//! Accounts, blocks and events.

use crate::{
    constants::{limits, SS58_PREFIX},
    migrations, AccountId, Balance, Block, Hash, Migrations, Nonce, PalletInfo, Runtime, RuntimeCall, RuntimeEvent,
    RuntimeOrigin, RuntimeTask, SafeMode, TxExtension, UncheckedExtrinsic, VERSION,
};
use frame_support::{
    derive_impl,
    dispatch::DispatchClass,
    parameter_types,
    traits::{ConstU16, ConstU32},
    weights::{constants::ParityDbWeight, Weight},
};
use frame_system::limits::{BlockLength, BlockWeights};
use polkadot_sdk::*;
use sp_runtime::generic::Era;
use sp_version::RuntimeVersion;

parameter_types! {
    /// Version of the runtime.
    pub const Version: RuntimeVersion = VERSION;

    /// Execution time of a block, by class. Nothing bounds the size of proofs: there is no relay chain to prove to.
    pub RuntimeBlockWeights: BlockWeights = BlockWeights::with_sensible_defaults(
        Weight::from_parts(limits::BLOCK_REF_TIME, u64::MAX),
        limits::NORMAL_RATIO,
    );

    /// Bytes of a block, by class.
    pub RuntimeBlockLength: BlockLength = BlockLength::builder()
        .max_length(limits::BLOCK_LENGTH)
        .modify_max_length_for_class(DispatchClass::Normal, |length| *length = limits::NORMAL_RATIO.mul_floor(*length))
        .build();
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
    type AccountData = pallet_balances::AccountData<Balance>;
    type AccountId = AccountId;
    // Everything, unless the chain is closed to all but governing.
    type BaseCallFilter = SafeMode;
    type Block = Block;
    type BlockHashCount = ConstU32<2_400>;
    type BlockLength = RuntimeBlockLength;
    type BlockWeights = RuntimeBlockWeights;
    type DbWeight = ParityDbWeight;
    type ExtensionsWeightInfo = frame_system::SubstrateExtensionsWeight<Self>;
    type Hash = Hash;
    type MaxConsumers = ConstU32<64>;
    type MultiBlockMigrator = Migrations;
    type Nonce = Nonce;
    type SingleBlockMigrations = migrations::SingleBlock;
    type SS58Prefix = ConstU16<{ SS58_PREFIX as u16 }>;
    type SystemWeightInfo = frame_system::weights::SubstrateWeight<Self>;
    type Version = Version;
}

impl<C> frame_system::offchain::CreateTransactionBase<C> for Runtime
where
    RuntimeCall: From<C>,
{
    type Extrinsic = UncheckedExtrinsic;
    type RuntimeCall = RuntimeCall;
}

impl<C> frame_system::offchain::CreateBare<C> for Runtime
where
    RuntimeCall: From<C>,
{
    fn create_bare(call: RuntimeCall) -> UncheckedExtrinsic {
        UncheckedExtrinsic::new_bare(call)
    }
}

impl<C> frame_system::offchain::CreateTransaction<C> for Runtime
where
    RuntimeCall: From<C>,
{
    type Extension = TxExtension;

    fn create_transaction(call: RuntimeCall, extension: TxExtension) -> UncheckedExtrinsic {
        UncheckedExtrinsic::new_transaction(call, extension)
    }
}

impl<C> frame_system::offchain::CreateAuthorizedTransaction<C> for Runtime
where
    RuntimeCall: From<C>,
{
    fn create_extension() -> TxExtension {
        // Nobody signs: the call itself proves that it may run, and nonce and fee do not apply to it.
        (
            frame_system::AuthorizeCall::new(),
            frame_system::CheckNonZeroSender::new(),
            frame_system::CheckSpecVersion::new(),
            frame_system::CheckTxVersion::new(),
            frame_system::CheckGenesis::new(),
            frame_system::CheckMortality::from(Era::Immortal),
            frame_system::CheckNonce::from(0),
            frame_system::CheckWeight::new(),
            pallet_transaction_payment::ChargeTransactionPayment::from(0),
            frame_metadata_hash_extension::CheckMetadataHash::new(false),
            frame_system::WeightReclaim::new(),
        )
    }
}
