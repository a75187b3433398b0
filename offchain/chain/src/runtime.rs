//! The chain's runtime, by version: its metadata, and what it takes to encode calls and decode values with it.

use crate::{
    BlockRef, ChainError, Hash, Result,
    codegen::{METADATA, USED},
    config::{BlyanConfig, RuntimeFacts},
    rpc::Rpc,
};
use codec::{Compact, Decode, Encode};
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};
use subxt::{
    Metadata, OfflineClient, OfflineClientAtBlock, ext::frame_decode, ext::scale_decode::IntoVisitor, storage::Address,
    utils::H256,
};

/// Newest and oldest version of metadata that is asked for.
const METADATA_VERSIONS: [u32; 3] = [16, 15, 14];
/// Runtime versions kept: blocks at hand span two at most, around an upgrade.
const KEPT: usize = 4;

static EXPECTED: LazyLock<Result<Metadata, String>> =
    LazyLock::new(|| Metadata::decode(&mut &*METADATA).map_err(|error| error.to_string()));

/// One version of the runtime.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) spec_version: u32,
    client: OfflineClientAtBlock<BlyanConfig>,
    config: BlyanConfig,
}

impl Runtime {
    pub(crate) fn new(genesis: Hash, spec_version: u32, transaction_version: u32, metadata: Metadata) -> Result<Self> {
        let facts =
            RuntimeFacts { genesis: H256(genesis.0), spec_version, transaction_version, metadata: Arc::new(metadata) };
        let config = BlyanConfig(Arc::new(facts));
        let client = OfflineClient::new_with_config(config.clone())
            .at_block(0u64)
            .map_err(|error| ChainError::Decode { what: "the metadata", reason: error.to_string() })?;
        Ok(Self { spec_version, client, config })
    }

    /// The encoder and decoder of this version.
    pub(crate) fn client(&self) -> &OfflineClientAtBlock<BlyanConfig> {
        &self.client
    }

    /// Genesis, versions and metadata.
    pub(crate) fn facts(&self) -> &RuntimeFacts {
        &self.config.0
    }

    /// Checks that the runtime has every call and storage item that this program uses, in the shape it was built for.
    pub(crate) fn check(&self, url: &str) -> Result<()> {
        let expected = match &*EXPECTED {
            Ok(expected) => expected,
            Err(reason) => {
                return Err(ChainError::Decode { what: "the built-in metadata", reason: reason.clone() });
            },
        };
        check(expected, self.client.metadata_ref(), url, self.spec_version)
    }

    /// The key under which the chain stores an item.
    pub(crate) fn storage_key<A: Address>(&self, address: A, keys: A::KeyParts) -> Result<Vec<u8>> {
        let item = format!("{}.{}", address.pallet_name(), address.entry_name());
        let entry = self.client.storage().entry(address).map_err(|error| self.incompatible(&item, &error))?;
        entry.fetch_key(keys).map_err(|error| ChainError::Encode { call: item, reason: error.to_string() })
    }

    /// Decodes the value stored under a key of `address`.
    pub(crate) fn decode_value<A: Address>(&self, what: &'static str, address: &A, bytes: &[u8]) -> Result<A::Value> {
        let metadata = self.client.metadata_ref();
        let cursor = &mut &*bytes;
        let value = frame_decode::storage::decode_storage_value(
            address.pallet_name(),
            address.entry_name(),
            cursor,
            metadata,
            metadata.types(),
            A::Value::into_visitor(),
        )
        .map_err(|error| ChainError::Decode { what, reason: error.to_string() })?;
        if cursor.is_empty() {
            Ok(value)
        } else {
            Err(ChainError::Decode { what, reason: format!("{} bytes follow the value", cursor.len()) })
        }
    }

    /// The value of an item that is not stored, where the runtime defines one.
    pub(crate) fn default_value<A: Address>(&self, what: &'static str, address: A) -> Result<Option<A::Value>> {
        let item = format!("{}.{}", address.pallet_name(), address.entry_name());
        let entry = self.client.storage().entry(address).map_err(|error| self.incompatible(&item, &error))?;
        let default = entry.default_value().map(|value| value.decode());
        default.transpose().map_err(|error| ChainError::Decode { what, reason: error.to_string() })
    }

    pub(crate) fn incompatible(&self, item: &str, error: &dyn std::fmt::Display) -> ChainError {
        tracing::debug!(item, %error, "the runtime differs from the built-in metadata");
        ChainError::IncompatibleRuntime { spec_version: self.spec_version, item: item.to_owned() }
    }
}

fn check(expected: &Metadata, found: &Metadata, url: &str, spec_version: u32) -> Result<()> {
    for (name, calls, items) in USED {
        let ours = expected
            .pallet_by_name(name)
            .ok_or(ChainError::Decode { what: "the built-in metadata", reason: format!("it has no pallet {name}") })?;
        let theirs = found.pallet_by_name(name);
        let theirs = theirs.ok_or(ChainError::NotBlyan { url: url.to_owned(), missing: name })?;
        let differs = |item: &str| {
            let item = format!("{name}.{item}");
            Err(ChainError::IncompatibleRuntime { spec_version, item })
        };
        for call in *calls {
            if ours.call_hash(call).is_none() || theirs.call_hash(call) != ours.call_hash(call) {
                return differs(call);
            }
        }
        for item in *items {
            if ours.storage_hash(item).is_none() || theirs.storage_hash(item) != ours.storage_hash(item) {
                return differs(item);
            }
        }
    }
    Ok(())
}

/// The versions of the runtime met so far.
#[derive(Debug)]
pub(crate) struct Runtimes {
    genesis: Hash,
    known: Mutex<HashMap<u32, Arc<Runtime>>>,
}

impl Runtimes {
    pub(crate) fn new(genesis: Hash) -> Self {
        Self { genesis, known: Mutex::default() }
    }

    /// The runtime that the state after `block` belongs to.
    pub(crate) async fn at(&self, rpc: &Rpc, block: BlockRef) -> Result<Arc<Runtime>> {
        let (spec_version, transaction_version) = rpc.runtime_version(block.hash).await?;
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = known().get(&spec_version) {
            return Ok(runtime.clone());
        }
        let metadata = fetch_metadata(rpc, block.hash).await?;
        let runtime = Arc::new(Runtime::new(self.genesis, spec_version, transaction_version, metadata)?);
        let mut known = known();
        if known.len() >= KEPT
            && let Some(oldest) = known.keys().min().copied()
        {
            known.remove(&oldest);
        }
        known.insert(spec_version, runtime.clone());
        Ok(runtime)
    }
}

async fn fetch_metadata(rpc: &Rpc, at: Hash) -> Result<Metadata> {
    let what = "the metadata";
    let decode = |error: codec::Error| ChainError::Decode { what, reason: error.to_string() };
    let offered = rpc.call(what, "Metadata_metadata_versions", &[], at).await?;
    let offered = <Vec<u32>>::decode(&mut &*offered).map_err(decode)?;
    let version = METADATA_VERSIONS.into_iter().find(|version| offered.contains(version));
    let version = version.ok_or_else(|| ChainError::Decode {
        what,
        reason: format!("the chain offers versions {offered:?}, this program knows {METADATA_VERSIONS:?}"),
    })?;
    let answer = rpc.call(what, "Metadata_metadata_at_version", &version.encode(), at).await?;
    let (_, metadata) =
        <Option<(Compact<u32>, Metadata)>>::decode(&mut &*answer).map_err(decode)?.ok_or(ChainError::Decode {
            what,
            reason: format!("the chain offers version {version} but does not have it"),
        })?;
    Ok(metadata)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed, v16::RuntimeMetadataV16};
    use scale_info::TypeDef;
    use subxt_utils_stripmetadata::StripMetadata;

    /// The runtime that the checked-in metadata describes.
    pub(crate) fn built_in() -> Runtime {
        Runtime::new(Hash([7; 32]), 1, 1, Metadata::decode(&mut &*METADATA).unwrap()).unwrap()
    }

    /// A later runtime, whose metadata is changed.
    pub(crate) fn later(change: impl FnOnce(&mut RuntimeMetadataV16)) -> Runtime {
        let mut metadata = RuntimeMetadataPrefixed::decode(&mut &*METADATA).unwrap();
        let RuntimeMetadata::V16(v16) = &mut metadata.1 else { panic!("it is of version 16") };
        change(v16);
        let found = Metadata::decode(&mut &*metadata.encode()).unwrap();
        Runtime::new(Hash([7; 32]), 2, 1, found).unwrap()
    }

    fn changed(change: impl FnOnce(&mut RuntimeMetadataV16)) -> Result<()> {
        later(change).check("ws://node")
    }

    fn rename_field(metadata: &mut RuntimeMetadataV16, variants: u32, variant: &str) {
        let TypeDef::Variant(variants) = &mut metadata.types.types[variants as usize].ty.type_def else {
            panic!("calls and events are enums")
        };
        let found = variants.variants.iter_mut().find(|found| found.name == variant).unwrap();
        found.fields[0].name = Some("renamed".into());
    }

    /// Gives a call's first argument another name.
    pub(crate) fn rename_argument(metadata: &mut RuntimeMetadataV16, pallet: &str, call: &str) {
        let pallet = metadata.pallets.iter().find(|found| found.name == pallet).unwrap();
        let calls = pallet.calls.as_ref().unwrap().ty.id;
        rename_field(metadata, calls, call);
    }

    /// Gives an event's first field another name.
    pub(crate) fn rename_event_field(metadata: &mut RuntimeMetadataV16, pallet: &str, event: &str) {
        let pallet = metadata.pallets.iter().find(|found| found.name == pallet).unwrap();
        let events = pallet.event.as_ref().unwrap().ty.id;
        rename_field(metadata, events, event);
    }

    #[test]
    fn the_runtime_it_was_built_for_passes() {
        changed(|_| {}).unwrap();
    }

    #[test]
    fn a_chain_without_our_pallets_is_another_kind_of_chain() {
        for missing in ["Experts", "Meta", "Workers", "Inference", "Pol"] {
            let error = changed(|metadata| metadata.strip_metadata(|pallet| pallet != missing, |_| true)).unwrap_err();
            assert!(matches!(error, ChainError::NotBlyan { missing: found, .. } if found == missing), "{error}");
        }
    }

    #[test]
    fn a_changed_call_is_named() {
        for (pallet, call) in [("Workers", "update"), ("Experts", "submit_delta"), ("Pol", "reveal")] {
            let error = changed(|metadata| rename_argument(metadata, pallet, call)).unwrap_err();
            let named = format!("{pallet}.{call}");
            assert!(
                matches!(&error, ChainError::IncompatibleRuntime { spec_version: 2, item } if *item == named),
                "{error}"
            );
        }
    }

    #[test]
    fn a_changed_storage_item_is_named() {
        for (pallet, entry) in [("Meta", "Specs"), ("Pol", "Seats")] {
            let error = changed(|metadata| {
                let pallet = metadata.pallets.iter_mut().find(|found| found.name == pallet).unwrap();
                pallet.storage.as_mut().unwrap().entries.retain(|found| found.name != entry);
            });
            let (error, named) = (error.unwrap_err(), format!("{pallet}.{entry}"));
            assert!(matches!(&error, ChainError::IncompatibleRuntime { item, .. } if *item == named), "{error}");
        }
    }
}
