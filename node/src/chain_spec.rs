//! Chains that the node knows by name.

use blyan_runtime::{
    constants::{currency, SS58_PREFIX},
    genesis::{DEV_PRESET, LOCAL_PRESET, TINY_DEV_PRESET, TINY_LOCAL_PRESET},
    OpaqueBlock as Block, WASM_BINARY,
};
use polkadot_sdk::*;
use sc_chain_spec::{ChainSpecExtension, ChainType, GenericChainSpec, Properties};
use sc_client_api::{BadBlocks, ForkBlocks};
use sc_sync_state_rpc::LightSyncStateExtension;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a chain spec holds beside the genesis.
#[derive(Default, Clone, Serialize, Deserialize, ChainSpecExtension)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Extensions {
    /// Blocks that must be on the chain at their heights.
    pub(crate) fork_blocks: ForkBlocks<Block>,
    /// Blocks that must not be on the chain.
    pub(crate) bad_blocks: BadBlocks<Block>,
    /// Where a light client can start; `sync_state_genSyncSpec` fills it in.
    pub(crate) light_sync_state: LightSyncStateExtension,
}

/// A chain spec of this node.
pub(crate) type ChainSpec = GenericChainSpec<Extensions>;

/// A chain that the node knows by name.
pub(crate) struct NamedChain {
    /// What follows `--chain`.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) about: &'static str,
    title: &'static str,
    id: &'static str,
    chain_type: ChainType,
    preset: &'static str,
}

impl NamedChain {
    /// Whether one node alone makes this chain, with a well-known key.
    pub(crate) fn is_development(&self) -> bool {
        matches!(self.chain_type, ChainType::Development)
    }

    fn spec(&self) -> Result<ChainSpec, String> {
        let code = WASM_BINARY.ok_or("this node was built without its runtime: build it without SKIP_WASM_BUILD")?;
        Ok(ChainSpec::builder(code, Extensions::default())
            .with_name(self.title)
            .with_id(self.id)
            .with_protocol_id(self.id)
            .with_chain_type(self.chain_type.clone())
            .with_genesis_config_preset_name(self.preset)
            .with_properties(properties())
            .build())
    }
}

/// Every chain that has a name.
pub(crate) const CHAINS: [NamedChain; 4] = [
    NamedChain {
        name: "dev",
        about: "one validator, Alice; SmolLM2-135M as a mixture of experts",
        title: "Blyan Development",
        id: "blyan_dev",
        chain_type: ChainType::Development,
        preset: DEV_PRESET,
    },
    NamedChain {
        name: "local",
        about: "four validators, Alice, Bob, Charlie and Dave; the same model",
        title: "Blyan Local",
        id: "blyan_local",
        chain_type: ChainType::Local,
        preset: LOCAL_PRESET,
    },
    NamedChain {
        name: "tiny",
        about: "as dev, with the byte-level model that tests use",
        title: "Blyan Tiny Development",
        id: "blyan_tiny",
        chain_type: ChainType::Development,
        preset: TINY_DEV_PRESET,
    },
    NamedChain {
        name: "tiny-local",
        about: "as local, with the byte-level model that tests use",
        title: "Blyan Tiny Local",
        id: "blyan_tiny_local",
        chain_type: ChainType::Local,
        preset: TINY_LOCAL_PRESET,
    },
];

/// The chain that is meant when none is named.
const DEFAULT: &str = "local";

/// The chain called `name`; `None` when it is no name, but may be a file.
pub(crate) fn named(name: &str) -> Option<&'static NamedChain> {
    let name = if name.is_empty() { DEFAULT } else { name };
    CHAINS.iter().find(|chain| chain.name == name)
}

/// The spec of a named chain, or the one in the file `id`.
pub(crate) fn load(id: &str) -> Result<ChainSpec, String> {
    if let Some(chain) = named(id) {
        return chain.spec();
    }
    let path = PathBuf::from(id);
    if !path.is_file() {
        let names: Vec<_> = CHAINS.iter().map(|chain| chain.name).collect();
        return Err(format!("no chain is called {id:?} and there is no such file; known are {}", names.join(", ")));
    }
    ChainSpec::from_json_file(path)
}

/// What wallets need to show addresses and amounts.
fn properties() -> Properties {
    let mut properties = Properties::new();
    properties.insert("tokenSymbol".into(), "BLY".into());
    properties.insert("tokenDecimals".into(), currency::DECIMALS.into());
    properties.insert("ss58Format".into(), SS58_PREFIX.into());
    properties
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_runtime::genesis::PRESETS;

    #[test]
    fn every_named_chain_has_its_genesis() {
        for chain in &CHAINS {
            assert!(PRESETS.contains(&chain.preset), "{}", chain.name);
            let plain = load(chain.name).unwrap().as_json(false).unwrap();
            let plain: serde_json::Value = serde_json::from_str(&plain).unwrap();
            assert_eq!((&plain["name"], &plain["id"]), (&chain.title.into(), &chain.id.into()));
            let spec = &plain["genesis"]["runtimeGenesis"]["patch"]["meta"]["spec"];
            assert!(spec["dimensions"]["layers"].as_u64() > Some(0), "{}: {spec}", chain.name);
        }
    }

    #[test]
    fn a_spec_survives_its_file_plain_and_raw() {
        let spec = load("tiny").unwrap();
        let again = |json: &str| ChainSpec::from_json_bytes(json.as_bytes().to_vec()).unwrap();
        let (plain, raw) = (spec.as_json(false).unwrap(), spec.as_json(true).unwrap());
        assert_eq!(again(&plain).as_json(false).unwrap(), plain);
        assert_eq!(again(&raw).as_json(true).unwrap(), raw);
        for json in [&plain, &raw] {
            assert_eq!((again(json).id(), again(json).properties()), (spec.id(), properties()));
        }
    }

    #[test]
    fn wallets_learn_symbol_decimals_and_prefix() {
        let json = serde_json::to_value(load("dev").unwrap().properties()).unwrap();
        assert_eq!(json, serde_json::json!({ "tokenSymbol": "BLY", "tokenDecimals": 18, "ss58Format": 42 }));
    }

    #[test]
    fn an_unknown_chain_is_refused_by_name() {
        let message = load("nowhere").map(|_| ()).unwrap_err();
        assert!(message.contains("nowhere") && message.contains("tiny-local"), "{message}");
    }
}
