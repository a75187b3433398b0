//! The runtime as a whole: what no pallet can test alone.

mod calls;
mod consensus;
mod metadata;
mod presets;
mod transactions;

use blyan_runtime::{genesis, Runtime, RuntimeGenesisConfig};
use frame_support::genesis_builder_helper::{build_state, get_preset};
use polkadot_sdk::*;
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

/// Proves the invariants of all our pallets.
fn try_state() {
    pallet_blyan_experts::Pallet::<Runtime>::do_try_state().unwrap();
    pallet_blyan_meta::Pallet::<Runtime>::do_try_state().unwrap();
    pallet_blyan_workers::Pallet::<Runtime>::do_try_state().unwrap();
    pallet_blyan_inference::Pallet::<Runtime>::do_try_state().unwrap();
}
