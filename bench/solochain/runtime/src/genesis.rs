//! The one preset that the chain starts from: one validator, Alice.

use crate::{AccountId, AuraConfig, Balance, BalancesConfig, GrandpaConfig, RuntimeGenesisConfig, SudoConfig};
use alloc::vec::Vec;
use frame_support::build_struct_json_patch;
use polkadot_sdk::*;
use sp_genesis_builder::{DEV_RUNTIME_PRESET, PresetId};
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};

/// What each development account starts with: as much as on Blyan, so that the same amounts can be sent.
const ENDOWMENT: Balance = 1_000_000_000_000_000_000_000_000;

/// Every preset there is.
pub(crate) fn presets() -> Vec<PresetId> {
    [DEV_RUNTIME_PRESET.into()].into()
}

/// The preset called `id` as JSON.
pub(crate) fn preset(id: &PresetId) -> Option<Vec<u8>> {
    if id.as_str() != DEV_RUNTIME_PRESET {
        return None;
    }
    let alice: AccountId = Sr25519Keyring::Alice.to_account_id();
    let patch = build_struct_json_patch!(RuntimeGenesisConfig {
        balances: BalancesConfig {
            balances: Sr25519Keyring::iter().map(|who| (who.to_account_id(), ENDOWMENT)).collect(),
        },
        aura: AuraConfig { authorities: [Sr25519Keyring::Alice.public().into()].to_vec() },
        grandpa: GrandpaConfig { authorities: [(Ed25519Keyring::Alice.public().into(), 1)].to_vec() },
        sudo: SudoConfig { key: Some(alice) },
    });
    serde_json::to_vec(&patch).ok()
}
