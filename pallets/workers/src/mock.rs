//! A runtime with this pallet and balances, whose transactions pass through real extensions.

use crate as pallet_blyan_workers;
use blyan_primitives::{
    hardware::HardwareProfile,
    ids::HardwareId,
    pact::{Network, Pact, Trust},
    traits::{PactProvider, Stakes},
    worker::{Address, Heartbeat, Region, Roles, WorkerInfo},
};
use codec::Encode;
use frame_support::{
    derive_impl,
    dispatch::GetDispatchInfo,
    parameter_types,
    traits::{ConstU128, ConstU32, ConstU64},
};
use frame_system::EnsureRoot;
use polkadot_sdk::*;
use sp_core::{sr25519, Pair};
use sp_keystore::{testing::MemoryKeystore, KeystoreExt};
use sp_runtime::{
    generic::{self, Era},
    traits::{Applyable, BlakeTwo256, Checkable, IdentityLookup},
    transaction_validity::{TransactionSource, TransactionValidity, TransactionValidityError},
    AccountId32, BuildStorage, DispatchResult, MultiSignature,
};

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
    pub type Workers = pallet_blyan_workers::Pallet<Test>;
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
}

pub(crate) const DEPOSIT: u128 = 100;
pub(crate) const COOLING: u64 = 50;
pub(crate) const PERIOD: u64 = 10;
pub(crate) const MAX_MISSED: u32 = 3;
pub(crate) const PRIORITY: u64 = 77;
pub(crate) const DAY: u64 = 1_000;
/// Longer than [`COOLING`], so that it can hold a machine.
pub(crate) const QUARANTINE: u64 = 80;
pub(crate) const FUNDS: u128 = 10_000;

parameter_types! {
    /// The Pact's section on trust.
    pub static Rules: Trust = Trust { quarantine: QUARANTINE as u32, ..Pact::default_for(Network::LOCAL.kind).trust };
}

pub struct TestPact;

impl PactProvider for TestPact {
    fn pact() -> Pact {
        Pact { trust: Rules::get(), ..Pact::default_for(Network::LOCAL.kind) }
    }

    fn network() -> Network {
        Network::LOCAL
    }
}

/// Account `n` has `10 n` at stake.
pub struct TestStakes;

impl Stakes<AccountId32, u128> for TestStakes {
    fn worker_stake(account: &AccountId32) -> u128 {
        let bytes: &[u8; 32] = account.as_ref();
        u128::from(bytes[0]) * 10
    }
}

impl crate::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Stakes = TestStakes;
    type Pact = TestPact;
    type GuardianOrigin = EnsureRoot<AccountId32>;
    type Deposit = ConstU128<DEPOSIT>;
    type CoolingPeriod = ConstU64<COOLING>;
    type HeartbeatPeriod = ConstU64<PERIOD>;
    type MaxMissed = ConstU32<MAX_MISSED>;
    type HeartbeatPriority = ConstU64<PRIORITY>;
    type BlocksPerDay = ConstU64<DAY>;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
}

/// Accounts 1 to 5 have [`FUNDS`], account 9 too little for a deposit.
pub(crate) fn account(n: u8) -> AccountId32 {
    AccountId32::new([n; 32])
}

pub(crate) const POOR: u8 = 9;

pub(crate) fn signed(n: u8) -> RuntimeOrigin {
    RuntimeOrigin::signed(account(n))
}

/// The key of worker `n`.
pub(crate) fn key(n: u8) -> sr25519::Pair {
    sr25519::Pair::from_seed(&[n; 32])
}

/// What worker `n` registers: its own key and machine.
pub(crate) fn info(n: u8) -> WorkerInfo {
    let address = |text: &str| Address::try_from(text.as_bytes().to_vec()).unwrap();
    WorkerInfo {
        key: key(n).public().0,
        peer_id: [0x00, 36].into_iter().chain([n; 36]).collect::<Vec<_>>().try_into().unwrap(),
        addresses: vec![address("/ip4/10.0.0.1/udp/4001/quic-v1"), address("https://gateway.example")]
            .try_into()
            .unwrap(),
        region: Region::new("DE-BY").unwrap(),
        hardware: HardwareProfile { vram_mib: 24_564, tflops: 165, pcie_gbps: 25, ram_mib: 65_536, cpu_threads: 16 },
        hardware_id: HardwareId([n; 32]),
        roles: Roles::SERVE.union(Roles::GATEWAY),
    }
}

pub(crate) fn genesis() -> [u8; 32] {
    System::block_hash(0).0
}

/// `info` signed by worker `n`'s key for account `n`.
pub(crate) fn proof(n: u8, info: &WorkerInfo) -> sr25519::Signature {
    key(n).sign(&info.signing_hash(&genesis(), &account(n)))
}

pub(crate) fn register(n: u8) -> DispatchResult {
    Workers::register(signed(n), info(n), proof(n, &info(n)))
}

/// Registers worker `n` on the machine of worker `machine`.
pub(crate) fn register_on(n: u8, machine: u8) -> DispatchResult {
    let info = WorkerInfo { hardware_id: HardwareId([machine; 32]), ..info(n) };
    let signature = proof(n, &info);
    Workers::register(signed(n), info, signature)
}

pub(crate) fn quarantine(n: u8) -> DispatchResult {
    Workers::quarantine(RuntimeOrigin::root(), account(n))
}

pub(crate) fn release(n: u8) -> DispatchResult {
    Workers::release(RuntimeOrigin::root(), account(n))
}

/// Registers worker `n` in the first block. With the second period, its first, its heartbeat comes on chain.
pub(crate) fn bring_online(n: u8) {
    assert_eq!(register(n), Ok(()));
    System::set_block_number(PERIOD);
    beat(n);
}

/// Worker `n`'s heartbeat for the present period comes on chain.
pub(crate) fn beat(n: u8) {
    let period = System::block_number() / PERIOD;
    let heartbeat = heartbeat(n, period as u32, (period + 1) * PERIOD - 1);
    assert_eq!(include(heartbeat_call(n, heartbeat, genesis())), Ok(Ok(())));
}

pub(crate) fn heartbeat(n: u8, period: u32, expires_at: u64) -> Heartbeat<AccountId32, u64> {
    Heartbeat { worker: account(n), period, expires_at }
}

/// The call with worker `n`'s signature for the chain of `genesis`.
pub(crate) fn heartbeat_call(n: u8, heartbeat: Heartbeat<AccountId32, u64>, genesis: [u8; 32]) -> RuntimeCall {
    let signature = key(n).sign(&heartbeat.signing_hash(&genesis));
    RuntimeCall::Workers(crate::Call::heartbeat { heartbeat, signature })
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
    let balances = (1..=5).map(|n| (account(n), FUNDS)).chain([(account(POOR), 50)]).collect();
    let config = RuntimeGenesisConfig {
        system: Default::default(),
        balances: pallet_balances::GenesisConfig { balances, ..Default::default() },
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
        Workers::do_try_state().unwrap();
    });
}
