//! A runtime with this pallet, balances and transaction payment, under a Pact that tests can change.

// The runtime is public, as its macro has it, and so must be what its configuration names.
#![allow(unreachable_pub)]

use crate as pallet_blyan_economy;
use blyan_primitives::{
    pact::{Economy as Rules, Network, NetworkKind, Pact},
    traits::PactProvider,
};
use frame_support::{
    derive_impl, parameter_types,
    traits::{
        fungible::{Balanced, Inspect},
        tokens::{Fortitude, Precision, Preservation},
        ConstU128, Hooks, Imbalance, SuppressedDrop,
    },
    weights::{ConstantMultiplier, IdentityFee},
    PalletId,
};
use pallet_transaction_payment::FungibleAdapter;
use polkadot_sdk::*;
use sp_runtime::{traits::IdentityLookup, AccountId32, BuildStorage};

pub(crate) type Block = frame_system::mocking::MockBlock<Test>;

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
    pub type TransactionPayment = pallet_transaction_payment::Pallet<Test>;
    // After balances, whose genesis it needs.
    #[runtime::pallet_index(3)]
    pub type Economy = pallet_blyan_economy::Pallet<Test>;
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
    type ExistentialDeposit = ConstU128<ED>;
}

#[derive_impl(pallet_transaction_payment::config_preludes::TestDefaultConfig)]
impl pallet_transaction_payment::Config for Test {
    type OnChargeTransaction = FungibleAdapter<Balances, Fees>;
    type WeightToFee = ConstantMultiplier<u128, ConstU128<0>>;
    type LengthToFee = IdentityFee<u128>;
}

#[cfg(feature = "runtime-benchmarks")]
impl pallet_transaction_payment::BenchmarkConfig for Test {}

pub(crate) type Fees = crate::DealWithFees<Test>;
pub(crate) type Slashes = crate::DealWithSlashes<Test>;
pub(crate) type Credit = crate::CreditOf<Test>;

pub(crate) const ED: u128 = 10;
/// Accounts 1 to 4 have this.
pub(crate) const FUNDS: u128 = 100_000;
pub(crate) const ALLOCATED: u128 = 4 * FUNDS;
pub(crate) const CAP: u128 = 1_000_000;
/// Of which validation and data have 2,000 each, learning 5,000, and inference 1,000.
pub(crate) const ERA_EMISSION: u128 = 10_000;

parameter_types! {
    pub const Id: PalletId = PalletId(*b"blyan/ec");
    pub static MaxIssuance: u128 = CAP;
    pub static Era: u32 = 7;
    pub static BlockAuthor: Option<AccountId32> = Some(account(AUTHOR));
    /// The economy's part of the Pact.
    pub static Economics: Rules = rules();
}

fn rules() -> Rules {
    Rules { era_emission: ERA_EMISSION, ..Pact::default_for(NetworkKind::Local).economy }
}

pub struct StaticPact;

impl PactProvider for StaticPact {
    fn pact() -> Pact {
        Pact { economy: Economics::get(), ..Pact::default_for(NetworkKind::Local) }
    }

    fn network() -> Network {
        Network::LOCAL
    }
}

impl crate::Config for Test {
    type Author = BlockAuthor;
    type Currency = Balances;
    type Pact = StaticPact;
    type PalletId = Id;
    type MaxIssuance = MaxIssuance;
    type TreasuryOrigin = frame_system::EnsureRoot<AccountId32>;
    type CurrentEra = Era;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
}

pub(crate) const AUTHOR: u8 = 4;
/// An account that does not exist.
pub(crate) const NOBODY: u8 = 9;

pub(crate) fn account(n: u8) -> AccountId32 {
    AccountId32::new([n; 32])
}

pub(crate) fn signed(n: u8) -> RuntimeOrigin {
    RuntimeOrigin::signed(account(n))
}

pub(crate) fn balance(n: u8) -> u128 {
    Balances::balance(&account(n))
}

pub(crate) fn treasury() -> u128 {
    Balances::balance(&Economy::treasury_account())
}

/// Takes `amount` from account `n`, as a fee or a slash is taken.
pub(crate) fn take(n: u8, amount: u128) -> Credit {
    Balances::withdraw(&account(n), amount, Precision::Exact, Preservation::Preserve, Fortitude::Polite).unwrap()
}

/// What the block has collected.
pub(crate) fn collected() -> u128 {
    let (fees, tips) = crate::Collected::<Test>::get();
    fees.as_ref().peek() + tips.as_ref().peek()
}

/// Ends the block as far as this pallet is concerned.
pub(crate) fn end_block() {
    <Economy as Hooks<u64>>::on_finalize(System::block_number());
}

/// What is in all accounts together, and what the block has collected.
pub(crate) fn sum_of_money() -> u128 {
    let accounts = frame_system::Account::<Test>::iter_values();
    accounts.map(|account| account.data.free + account.data.reserved).sum::<u128>() + collected()
}

/// This pallet's events, in order.
pub(crate) fn events() -> Vec<crate::Event<Test>> {
    let ours = |record: frame_system::EventRecord<RuntimeEvent, _>| match record.event {
        RuntimeEvent::Economy(event) => Some(event),
        _ => None,
    };
    System::events().into_iter().filter_map(ours).collect()
}

pub(crate) fn genesis_ext(balances: Vec<(AccountId32, u128)>) -> sp_io::TestExternalities {
    MaxIssuance::set(CAP);
    Era::set(7);
    BlockAuthor::set(Some(account(AUTHOR)));
    Economics::set(rules());
    let config = RuntimeGenesisConfig {
        balances: pallet_balances::GenesisConfig { balances, ..Default::default() },
        ..Default::default()
    };
    let mut ext: sp_io::TestExternalities = config.build_storage().unwrap().into();
    // Events of the first block are not kept.
    ext.execute_with(|| System::set_block_number(1));
    ext
}

pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    genesis_ext((1..=4).map(|n| (account(n), FUNDS)).collect())
}

/// Runs a test, and proves the invariants after it.
pub(crate) fn run(test: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        test();
        Economy::do_try_state().unwrap();
        assert_eq!(Balances::total_issuance(), sum_of_money());
    });
}
