//! A runtime with this pallet and balances, whose transactions pass through real extensions, and a registry of workers in
//! memory.

// The runtime is public, as its macro has it, and so must be what its configuration names.
#![allow(unreachable_pub)]

use crate as pallet_blyan_inference;
use blyan_primitives::{
    hardware::Tier,
    ids::{BatchRoot, ReceiptId},
    merkle,
    payment::{ChannelId, Voucher},
    receipt::{batch_tree, AnchorPayload},
    traits::WorkerRegistry,
    worker::Roles,
};
use codec::Encode;
use frame_support::{
    derive_impl,
    dispatch::GetDispatchInfo,
    parameter_types,
    traits::{fungible::InspectHold, ConstU128, ConstU32, ConstU64},
};
use polkadot_sdk::*;
use sp_core::{sr25519, Pair};
use sp_keystore::{testing::MemoryKeystore, KeystoreExt};
use sp_runtime::{
    generic::{self, Era},
    traits::{Applyable, BlakeTwo256, Checkable, IdentityLookup, Verify},
    transaction_validity::{TransactionSource, TransactionValidity, TransactionValidityError},
    AccountId32, BuildStorage, DispatchResult, MultiSignature,
};
use std::collections::BTreeMap;

pub(crate) type TxExtension = (
    frame_system::AuthorizeCall<Test>,
    frame_system::CheckNonZeroSender<Test>,
    frame_system::CheckGenesis<Test>,
    frame_system::CheckMortality<Test>,
    frame_system::CheckNonce<Test>,
    frame_system::CheckWeight<Test>,
);
pub(crate) type Extrinsic = generic::UncheckedExtrinsic<AccountId32, RuntimeCall, MultiSignature, TxExtension>;
pub(crate) type Block = generic::Block<generic::Header<u64, BlakeTwo256>, Extrinsic>;

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
    pub struct Test;

    #[runtime::pallet_index(0)]
    pub type System = frame_system::Pallet<Test>;
    #[runtime::pallet_index(1)]
    pub type Balances = pallet_balances::Pallet<Test>;
    #[runtime::pallet_index(2)]
    pub type Inference = pallet_blyan_inference::Pallet<Test>;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountId = AccountId32;
    type Lookup = IdentityLookup<AccountId32>;
    type AccountData = pallet_balances::AccountData<u128>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type AccountStore = System;
    type Balance = u128;
    type ExistentialDeposit = ConstU128<1>;
    type FreezeIdentifier = u8;
    type MaxFreezes = ConstU32<1>;
}

pub(crate) const MIN_ESCROW: u128 = 50;
pub(crate) const CHANNEL_DEPOSIT: u128 = 7;
pub(crate) const MAX_LIFETIME: u64 = 1_000;
pub(crate) const NOTICE: u64 = 20;
pub(crate) const ANCHOR_DEPOSIT: u128 = 5;
pub(crate) const SERVED_DEPOSIT: u128 = 3;
pub(crate) const ANCHOR_LIFETIME: u64 = 100;
pub(crate) const SPACING: u64 = 2;
pub(crate) const MAX_PER_BLOCK: u32 = 2;
pub(crate) const VALIDITY: u64 = 64;
pub(crate) const PRIORITY: u64 = 88;
pub(crate) const MAX_PRUNE: u32 = 4;
pub(crate) const FUNDS: u128 = 10_000;

impl crate::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Workers = Registry;
    type OffchainSignature = MultiSignature;
    type OffchainPublic = <MultiSignature as Verify>::Signer;
    type MinEscrow = LeastEscrow;
    type ChannelDeposit = PerChannel;
    type MaxChannelLifetime = ConstU64<MAX_LIFETIME>;
    type NoticePeriod = NoticePeriod;
    type AnchorDeposit = PerAnchor;
    type ServedDeposit = PerWorker;
    type AnchorSpacing = AnchorSpacing;
    type MaxAnchorsPerBlock = MaxAnchorsPerBlock;
    type AnchorLifetime = Lifetime;
    type MaxAnchorValidity = MaxAnchorValidity;
    type AnchorPriority = ConstU64<PRIORITY>;
    type MaxPrune = MostPruned;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = Registry;
}

parameter_types! {
    pub static LeastEscrow: u128 = MIN_ESCROW;
    pub static PerChannel: u128 = CHANNEL_DEPOSIT;
    pub static NoticePeriod: u64 = NOTICE;
    pub static PerAnchor: u128 = ANCHOR_DEPOSIT;
    pub static PerWorker: u128 = SERVED_DEPOSIT;
    pub static AnchorSpacing: u64 = SPACING;
    pub static MaxAnchorsPerBlock: u32 = MAX_PER_BLOCK;
    pub static Lifetime: u64 = ANCHOR_LIFETIME;
    pub static MaxAnchorValidity: u64 = VALIDITY;
    pub static MostPruned: u32 = MAX_PRUNE;
    /// Key and roles of each registered worker.
    pub(crate) static Registered: BTreeMap<AccountId32, ([u8; 32], Roles)> = BTreeMap::new();
}

pub struct Registry;

impl WorkerRegistry<AccountId32> for Registry {
    fn key(account: &AccountId32) -> Option<[u8; 32]> {
        Registered::get().get(account).map(|(key, _)| *key)
    }

    fn roles(account: &AccountId32) -> Option<Roles> {
        Registered::get().get(account).map(|(_, roles)| *roles)
    }

    fn online_roles(account: &AccountId32) -> Option<Roles> {
        Self::roles(account)
    }

    fn tier(account: &AccountId32) -> Option<Tier> {
        Self::roles(account).map(|_| Tier::CPU)
    }
}

#[cfg(feature = "runtime-benchmarks")]
impl crate::BenchmarkHelper<AccountId32, MultiSignature> for Registry {
    fn register_gateway(account: &AccountId32, key: [u8; 32]) {
        Registered::mutate(|workers| workers.insert(account.clone(), (key, Roles::GATEWAY)));
    }

    fn sign_wrapped(voucher: &Voucher, genesis: &[u8]) -> (AccountId32, MultiSignature) {
        use sp_runtime::traits::IdentifyAccount;
        let pair = sp_core::ecdsa::Pair::from_seed(&[7; 32]);
        let account = sp_runtime::MultiSigner::from(pair.public()).into_account();
        (account, pair.sign(&voucher.wrapped_signing_bytes(genesis)).into())
    }
}

/// Pays: its account is its sr25519 key.
pub(crate) fn payer() -> sr25519::Pair {
    sr25519::Pair::from_seed(&[1; 32])
}

pub(crate) fn payer_account() -> AccountId32 {
    payer().public().into()
}

/// A gateway.
pub(crate) fn gateway() -> AccountId32 {
    AccountId32::new([2; 32])
}

/// Serves, and is no gateway.
pub(crate) fn server() -> AccountId32 {
    AccountId32::new([3; 32])
}

/// A worker who can cover two anchors.
pub(crate) fn poor_gateway() -> AccountId32 {
    AccountId32::new([4; 32])
}

/// Nobody in particular.
pub(crate) fn anyone() -> AccountId32 {
    AccountId32::new([5; 32])
}

/// The key of the worker of `account`.
pub(crate) fn key(account: &AccountId32) -> sr25519::Pair {
    let bytes: &[u8; 32] = account.as_ref();
    sr25519::Pair::from_seed(&bytes.map(|b| b + 100))
}

pub(crate) fn signed(account: AccountId32) -> RuntimeOrigin {
    RuntimeOrigin::signed(account)
}

pub(crate) fn genesis() -> [u8; 32] {
    System::block_hash(0).0
}

pub(crate) fn held(account: &AccountId32, reason: crate::HoldReason) -> u128 {
    Balances::balance_on_hold(&reason.into(), account)
}

/// Opens a channel of the payer to the gateway.
pub(crate) fn open(amount: u128, duration: u64) -> ChannelId {
    let id = crate::NextChannel::<Test>::get();
    Inference::open(signed(payer_account()), gateway(), amount, duration).unwrap();
    id
}

pub(crate) fn voucher(channel: ChannelId, cumulative: u128) -> (Voucher, MultiSignature) {
    let voucher = Voucher { channel, cumulative };
    (voucher, payer().sign(&voucher.signing_hash(&genesis())).into())
}

pub(crate) fn redeem(channel: ChannelId, cumulative: u128) -> DispatchResult {
    let (voucher, signature) = voucher(channel, cumulative);
    Inference::redeem(signed(anyone()), voucher, signature)
}

pub(crate) fn receipts(count: u8) -> Vec<ReceiptId> {
    (0..count).map(|i| ReceiptId([i; 32])).collect()
}

pub(crate) fn tree(count: u8) -> merkle::Tree {
    batch_tree(&receipts(count))
}

/// An anchor of the gateway with 20 receipts, valid for ten blocks.
pub(crate) fn payload(sequence: u64) -> AnchorPayload<AccountId32, u64> {
    AnchorPayload {
        worker: gateway(),
        sequence,
        root: BatchRoot(tree(20).root()),
        count: 20,
        tokens: 1_000,
        expires_at: System::block_number() + 9,
    }
}

/// The call with a signature by `signer`'s worker for the chain of `genesis`.
pub(crate) fn anchor_call_for(
    payload: AnchorPayload<AccountId32, u64>,
    signer: &AccountId32,
    genesis: [u8; 32],
) -> RuntimeCall {
    let signature = key(signer).sign(&payload.signing_hash(&genesis));
    RuntimeCall::Inference(crate::Call::anchor { payload, signature })
}

pub(crate) fn anchor_call(payload: AnchorPayload<AccountId32, u64>) -> RuntimeCall {
    let signer = payload.worker.clone();
    anchor_call_for(payload, &signer, genesis())
}

/// Includes the gateway's anchor `sequence`, in the first block in which it is due.
pub(crate) fn include_next(sequence: u64) {
    if let Some(last) = sequence.checked_sub(1).and_then(|last| Inference::anchor_of(gateway(), last)) {
        System::set_block_number(System::block_number().max(last.anchored_at + SPACING));
    }
    assert_eq!(include(anchor_call(payload(sequence))), Ok(Ok(())));
}

fn extension() -> TxExtension {
    (
        frame_system::AuthorizeCall::new(),
        frame_system::CheckNonZeroSender::new(),
        frame_system::CheckGenesis::new(),
        frame_system::CheckMortality::from(Era::immortal()),
        frame_system::CheckNonce::from(0),
        frame_system::CheckWeight::new(),
    )
}

/// What the pool says of a general transaction with this call.
pub(crate) fn submit(call: RuntimeCall) -> TransactionValidity {
    let extrinsic = Extrinsic::new_transaction(call, extension());
    let (info, len) = (extrinsic.get_dispatch_info(), extrinsic.encoded_size());
    let checked = extrinsic.check(&frame_system::ChainContext::<Test>::default())?;
    checked.validate::<Test>(TransactionSource::External, &info, len)
}

/// What comes of the same transaction in a block.
pub(crate) fn include(call: RuntimeCall) -> Result<DispatchResult, TransactionValidityError> {
    let extrinsic = Extrinsic::new_transaction(call, extension());
    let (info, len) = (extrinsic.get_dispatch_info(), extrinsic.encoded_size());
    let checked = extrinsic.check(&frame_system::ChainContext::<Test>::default())?;
    checked.apply::<Test>(&info, len).map(|result| result.map(|_| ()).map_err(|error| error.error))
}

pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    let workers =
        [(gateway(), Roles::GATEWAY.union(Roles::SERVE)), (server(), Roles::SERVE), (poor_gateway(), Roles::GATEWAY)];
    Registered::set(workers.into_iter().map(|(who, roles)| (who.clone(), (key(&who).public().0, roles))).collect());
    let config = RuntimeGenesisConfig {
        system: Default::default(),
        balances: pallet_balances::GenesisConfig {
            balances: vec![
                (payer_account(), FUNDS),
                (gateway(), FUNDS),
                (server(), FUNDS),
                (anyone(), FUNDS),
                (poor_gateway(), 2 * ANCHOR_DEPOSIT + SERVED_DEPOSIT + 1),
            ],
            ..Default::default()
        },
    };
    let mut ext: sp_io::TestExternalities = config.build_storage().unwrap().into();
    // Benchmarks sign with keys that they make.
    ext.register_extension(KeystoreExt::new(MemoryKeystore::new()));
    // Events of the first block are not kept.
    ext.execute_with(|| System::set_block_number(1));
    ext
}

/// Runs a test, and proves the invariants after it.
pub(crate) fn run(test: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        test();
        Inference::do_try_state().unwrap();
    });
}
