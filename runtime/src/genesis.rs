//! Presets that a chain can start from.
//!
//! | preset | validators | sudo | model |
//! |---|---|---|---|
//! | `development` | Alice | Alice | SmolLM2-135M-Instruct, upcycled to four experts a layer |
//! | `local_testnet` | Alice, Bob, Charlie, Dave | nobody | the same |
//! | `tiny_development` | Alice | Alice | the byte-level model that tests use |
//! | `tiny_local` | Alice, Bob, Charlie, Dave | nobody | the same |
//!
//! All of them give the well-known development accounts a million BLY each, of which validators bond a tenth, open the
//! treasury's account, and have the Genesis Pact of a local network, with eras of half a minute: they are for machines that
//! nobody else relies on.

use crate::{
    configs::babe::GENESIS_EPOCH,
    constants::currency::{BLY, EXISTENTIAL_DEPOSIT},
    AccountId, BabeConfig, Balance, BalancesConfig, Economy, ExpertsConfig, MetaConfig, PactConfig,
    RuntimeGenesisConfig, SessionConfig, SessionKeys, StakingConfig, SudoConfig,
};
use alloc::vec::Vec;
use blyan_primitives::{
    genesis::GenesisModel,
    pact::{Network, Ppm},
};
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
/// What each validator of a preset bonds of it.
pub const VALIDATOR_BOND: Balance = 100_000 * BLY;

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

/// What a preset starts with.
struct Preset {
    validators: &'static [Authority],
    sudo: Option<Sr25519Keyring>,
    model: &'static str,
}

/// The preset called `id` as JSON, to be merged into the default configuration. `None` when there is no such preset.
pub fn preset(id: &PresetId) -> Option<Vec<u8>> {
    let Preset { validators, sudo, model } = find(id.as_str())?;
    // Both steps are total on the files above, which a test reads; a preset that was edited into nonsense is missing.
    let model = serde_json::from_str(model).ok()?;
    serde_json::to_vec(&config(validators, sudo, model)).ok()
}

/// The model that the preset called `id` starts with, as the import printed it.
pub fn model_json(id: &str) -> Option<&'static str> {
    find(id).map(|preset| preset.model)
}

fn find(id: &str) -> Option<Preset> {
    let development = |model| Preset { validators: ONE, sudo: Some(Sr25519Keyring::Alice), model };
    let local = |model| Preset { validators: FOUR, sudo: None, model };
    match id {
        DEV_PRESET => Some(development(SMOLLM2_135M)),
        LOCAL_PRESET => Some(local(SMOLLM2_135M)),
        TINY_DEV_PRESET => Some(development(TINY)),
        TINY_LOCAL_PRESET => Some(local(TINY)),
        _ => None,
    }
}

fn config(validators: &[Authority], sudo: Option<Sr25519Keyring>, model: GenesisModel) -> Value {
    let session_keys = |(babe, grandpa): &Authority| {
        let account: AccountId = babe.to_account_id();
        let keys = SessionKeys { babe: babe.public().into(), grandpa: grandpa.public().into() };
        (account.clone(), account, keys)
    };
    build_struct_json_patch!(RuntimeGenesisConfig {
        balances: BalancesConfig {
            // What the fees of a transaction give the treasury would not suffice to open its account, and be burnt.
            balances: Sr25519Keyring::iter()
                .map(|who| (who.to_account_id(), ENDOWMENT))
                .chain([(Economy::treasury_account(), EXISTENTIAL_DEPOSIT)])
                .collect(),
        },
        pact: PactConfig { network: Network::LOCAL },
        staking: StakingConfig {
            validators: validators.iter().map(|(who, _)| (who.to_account_id(), VALIDATOR_BOND, Ppm(0))).collect(),
        },
        babe: BabeConfig { epoch_config: GENESIS_EPOCH },
        session: SessionConfig { keys: validators.iter().map(session_keys).collect() },
        sudo: SudoConfig { key: sudo.map(|who| who.to_account_id()) },
        experts: ExpertsConfig { heads: model.slots().collect(), blocks: model.blocks.into_iter().collect() },
        meta: MetaConfig { spec: Some(model.spec) },
    })
}
