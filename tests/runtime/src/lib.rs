//! The runtime as a whole: what no pallet can test alone.
//!
//! In a crate of its own, as the build script of the runtime compiles the WebAssembly anew for a change of any file beside it.
#![cfg(test)]

mod calls;
mod chain;
mod consensus;
mod defensive;
mod errors;
mod ledger;
mod metadata;
mod migrations;
mod presets;
mod random_calls;
mod storage;
mod sums;
mod transactions;
mod weights;

use blyan_runtime::{genesis, Runtime, RuntimeGenesisConfig};
use frame_support::genesis_builder_helper::{build_state, get_preset};
use polkadot_sdk::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

/// Merges `patch` into `value` as chain specs do.
fn merge(value: &mut Value, patch: Value) {
    match (value, patch) {
        (Value::Object(value), Value::Object(patch)) => {
            for (key, inner) in patch {
                merge(value.entry(key).or_insert(Value::Null), inner);
            }
        },
        (value, patch) => *value = patch,
    }
}

/// The state that a chain of preset `id` starts with.
fn preset(id: &str) -> sp_io::TestExternalities {
    let json = |id| serde_json::from_slice(&get_preset::<RuntimeGenesisConfig>(&id, genesis::preset).unwrap()).unwrap();
    let mut config: Value = json(None);
    merge(&mut config, json(Some(id.into())));
    let mut state = sp_io::TestExternalities::new_empty();
    state.execute_with(|| build_state::<RuntimeGenesisConfig>(serde_json::to_vec(&config).unwrap()).unwrap());
    state
}

/// What takes random steps. The same ones in every run, so that a change is judged by what it changes; others each time when
/// somebody looks for more by hand.
fn runner(config: Config, is_by_hand: bool) -> TestRunner {
    let config = Config { failure_persistence: None, ..config };
    match is_by_hand {
        true => TestRunner::new(config),
        false => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    }
}

/// Proves the invariants of all our pallets.
fn try_state() {
    pallet_blyan_experts::Pallet::<Runtime>::do_try_state().unwrap();
    pallet_blyan_meta::Pallet::<Runtime>::do_try_state().unwrap();
    pallet_blyan_workers::Pallet::<Runtime>::do_try_state().unwrap();
    pallet_blyan_inference::Pallet::<Runtime>::do_try_state().unwrap();
    pallet_blyan_pact::Pallet::<Runtime>::do_try_state().unwrap();
    pallet_blyan_economy::Pallet::<Runtime>::do_try_state().unwrap();
    pallet_blyan_staking::Pallet::<Runtime>::do_try_state().unwrap();
    pallet_blyan_dao::Pallet::<Runtime>::do_try_state().unwrap();
}
