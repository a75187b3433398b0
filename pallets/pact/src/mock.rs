//! A runtime with this pallet, and a hook that keeps what it was told.

// The runtime is public, as its macro has it, and so must be what its configuration names.
#![allow(unreachable_pub)]

use crate as pallet_blyan_pact;
use blyan_primitives::{
    pact::{Network, Pact, Parameter},
    traits::OnChange,
};
use frame_support::{derive_impl, parameter_types, traits::ConstU32};
use polkadot_sdk::*;
use sp_runtime::{BuildStorage, DispatchResult};

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
    pub type GenesisPact = pallet_blyan_pact::Pallet<Test>;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
}

pub(crate) const MAX_CHANGES: u32 = 8;

impl crate::Config for Test {
    type ChangeOrigin = frame_system::EnsureRoot<u64>;
    type OnChange = Told;
    type MaxChanges = ConstU32<MAX_CHANGES>;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
}

parameter_types! {
    /// What [`Told`] was told, and what the chain gave for the Pact at that time.
    pub(crate) static ToldOf: Vec<(Pact, Pact, Pact)> = Vec::new();
}

pub struct Told;

impl OnChange for Told {
    fn on_change(old: &Pact, new: &Pact) {
        ToldOf::mutate(|told| told.push((old.clone(), new.clone(), GenesisPact::pact())));
    }
}

pub(crate) fn change(parameters: &[Parameter]) -> DispatchResult {
    GenesisPact::change(RuntimeOrigin::root(), parameters.to_vec().try_into().unwrap())
}

pub(crate) fn genesis_ext(network: Network, pact: Option<Pact>) -> sp_io::TestExternalities {
    let config = RuntimeGenesisConfig {
        system: Default::default(),
        genesis_pact: crate::GenesisConfig { network, pact, _config: Default::default() },
    };
    let mut ext: sp_io::TestExternalities = config.build_storage().unwrap().into();
    // Events of the first block are not kept.
    ext.execute_with(|| System::set_block_number(1));
    ext
}

pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    ToldOf::set(Vec::new());
    genesis_ext(Network::LOCAL, None)
}

/// Runs a test on a local network, and proves the invariants after it.
pub(crate) fn run(test: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        test();
        GenesisPact::do_try_state().unwrap();
    });
}
