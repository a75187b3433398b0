//! Presets that a chain can start from.
//!
//! | preset | validators | model |
//! |---|---|---|
//! | `development` | Alice | SmolLM2-135M-Instruct, upcycled to four experts a layer |
//! | `local_testnet` | Alice, Bob, Charlie, Dave | the same |
//! | `tiny_development` | Alice | the byte-level model that tests use |
//! | `tiny_local` | Alice, Bob, Charlie, Dave | the same |
//!
//! All of them give the well-known development accounts a million BLY each and make Alice sudo: they are for machines that
//! nobody else relies on.

use crate::{
    configs::babe::GENESIS_EPOCH, constants::currency::BLY, AccountId, BabeConfig, Balance, BalancesConfig,
    ExpertsConfig, MetaConfig, RuntimeGenesisConfig, SessionConfig, SessionKeys, SudoConfig,
};
use alloc::vec::Vec;
use blyan_primitives::genesis::GenesisModel;
use frame_support::build_struct_json_patch;
use polkadot_sdk::*;
use serde_json::Value;
use sp_genesis_builder::PresetId;
pub use sp_genesis_builder::{DEV_RUNTIME_PRESET as DEV_PRESET, LOCAL_TESTNET_RUNTIME_PRESET as LOCAL_PRESET};
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};

/// One validator and the tiny model.
pub const TINY_DEV_PRESET: &str = "tiny_development";
/// Four validators and the tiny model.
pub const TINY_LOCAL_PRESET: &str = "tiny_local";

/// Every preset there is.
pub const PRESETS: [&str; 4] = [DEV_PRESET, LOCAL_PRESET, TINY_DEV_PRESET, TINY_LOCAL_PRESET];

/// What each development account starts with.
pub const ENDOWMENT: Balance = 1_000_000 * BLY;

type Authority = (Sr25519Keyring, Ed25519Keyring);

const ONE: &[Authority] = &[(Sr25519Keyring::Alice, Ed25519Keyring::Alice)];
const FOUR: &[Authority] = &[
    (Sr25519Keyring::Alice, Ed25519Keyring::Alice),
    (Sr25519Keyring::Bob, Ed25519Keyring::Bob),
    (Sr25519Keyring::Charlie, Ed25519Keyring::Charlie),
    (Sr25519Keyring::Dave, Ed25519Keyring::Dave),
];

/// SmolLM2-135M-Instruct, imported from its published weights.
const SMOLLM2_135M: &str = include_str!("../genesis/smollm2-135m.json");
/// The byte-level model, made from a seed.
const TINY: &str = include_str!("../genesis/tiny.json");

/// The preset called `id` as JSON, to be merged into the default configuration. `None` when there is no such preset.
pub fn preset(id: &PresetId) -> Option<Vec<u8>> {
    let (authorities, model) = parts(id.as_str())?;
    // Both steps are total on the files above, which a test reads; a preset that was edited into nonsense is missing.
    let model = serde_json::from_str(model).ok()?;
    serde_json::to_vec(&config(authorities, model)).ok()
}

/// The model that the preset called `id` starts with, as the import printed it.
pub fn model_json(id: &str) -> Option<&'static str> {
    parts(id).map(|(_, model)| model)
}

fn parts(id: &str) -> Option<(&'static [Authority], &'static str)> {
    match id {
        DEV_PRESET => Some((ONE, SMOLLM2_135M)),
        LOCAL_PRESET => Some((FOUR, SMOLLM2_135M)),
        TINY_DEV_PRESET => Some((ONE, TINY)),
        TINY_LOCAL_PRESET => Some((FOUR, TINY)),
        _ => None,
    }
}

fn config(authorities: &[Authority], model: GenesisModel) -> Value {
    let session_keys = |(babe, grandpa): &Authority| {
        let account: AccountId = babe.to_account_id();
        let keys = SessionKeys { babe: babe.public().into(), grandpa: grandpa.public().into() };
        (account.clone(), account, keys)
    };
    build_struct_json_patch!(RuntimeGenesisConfig {
        balances: BalancesConfig {
            balances: Sr25519Keyring::iter().map(|who| (who.to_account_id(), ENDOWMENT)).collect(),
        },
        babe: BabeConfig { epoch_config: GENESIS_EPOCH },
        session: SessionConfig { keys: authorities.iter().map(session_keys).collect() },
        sudo: SudoConfig { key: Some(Sr25519Keyring::Alice.to_account_id()) },
        experts: ExpertsConfig { heads: model.slots().collect(), blocks: model.blocks.into_iter().collect() },
        meta: MetaConfig { spec: Some(model.spec) },
    })
}
