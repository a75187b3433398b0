//! What is asked of a node, by the methods that every Substrate node has.

use anyhow::{Context, Result};
use codec::{Compact, Decode, Encode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use subxt::{
    Metadata, OfflineClient, OfflineClientAtBlock, SubstrateConfig,
    config::{
        RpcConfigFor,
        substrate::{SpecVersionForRange, SubstrateHeader},
    },
    dynamic::{At, Value},
    events::Phase,
    rpcs::{LegacyRpcMethods, RpcClient, client::rpc_params},
    utils::H256,
};

/// What may differ between two chains only if the difference is to be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Limits {
    /// Length of a slot.
    pub(crate) slot_ms: u64,
    /// Picoseconds of a block that ordinary transactions can take.
    pub(crate) ref_time: u64,
    /// Bytes of a block that ordinary transactions can take.
    pub(crate) bytes: u64,
    /// Picoseconds that a transaction costs beside what it does.
    pub(crate) base_ref_time: u64,
    /// Picoseconds of a read and of a write.
    pub(crate) db_ref_time: [u64; 2],
}

/// A block's own account of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measures {
    /// When its author began it, in milliseconds since 1970.
    pub(crate) timestamp: u64,
    /// Picoseconds that ordinary transactions took, by their weights.
    pub(crate) ref_time: u64,
}

/// An event's pallet, name and fields, and the extrinsic that it is of.
pub(crate) struct Happened {
    pub(crate) extrinsic: Option<usize>,
    pub(crate) pallet: String,
    pub(crate) name: String,
    pub(crate) fields: Vec<u8>,
}

/// A chain, through one connection to its node.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) rpc: RpcClient,
    methods: LegacyRpcMethods<RpcConfigFor<SubstrateConfig>>,
    pub(crate) offline: OfflineClientAtBlock<SubstrateConfig>,
    pub(crate) genesis: H256,
}

#[derive(Deserialize)]
struct SignedBlock {
    block: Body,
}

#[derive(Deserialize)]
struct Body {
    extrinsics: Vec<String>,
}

impl Chain {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let rpc = RpcClient::from_insecure_url(url).await?;
        let methods = LegacyRpcMethods::new(rpc.clone());
        let genesis = methods.genesis_hash().await?;
        let version = methods.state_get_runtime_version(None).await?;
        let answer = methods.state_call("Metadata_metadata_at_version", Some(&15u32.encode()), None).await?;
        let metadata = <Option<(Compact<u32>, Metadata)>>::decode(&mut &*answer)?;
        let (_, metadata) = metadata.context("the chain has no metadata of version 15")?;
        let config = SubstrateConfig::builder()
            .set_genesis_hash(genesis)
            .set_metadata_for_spec_versions([(version.spec_version, Arc::new(metadata))])
            .set_spec_version_for_block_ranges([SpecVersionForRange {
                block_range: 0..u64::MAX,
                spec_version: version.spec_version,
                transaction_version: version.transaction_version,
            }])
            .build();
        let offline = OfflineClient::new_with_config(config).at_block(0u64)?;
        Ok(Self { rpc, methods, offline, genesis })
    }

    /// A constant that the runtime has in its metadata.
    pub(crate) fn constant(&self, pallet: &str, name: &str) -> Result<Value> {
        Ok(self.offline.constants().entry(subxt::dynamic::constant::<Value>(pallet, name))?)
    }

    /// A constant that is a number.
    pub(crate) fn number(&self, pallet: &str, name: &str) -> Result<u64> {
        number(Some(&self.constant(pallet, name)?)).with_context(|| format!("{pallet}.{name} is no number"))
    }

    pub(crate) fn limits(&self) -> Result<Limits> {
        let [weights, length, db] =
            ["BlockWeights", "BlockLength", "DbWeight"].map(|name| self.constant("System", name));
        let (weights, length, db) = (weights?, length?, db?);
        let classes = weights.at("per_class");
        let class = classes.at("normal");
        let found = || {
            Some(Limits {
                slot_ms: 2 * self.number("Timestamp", "MinimumPeriod").ok()?,
                ref_time: number(class.at("max_total").at(0).at("ref_time"))?,
                bytes: number(length.at("max").at("normal"))?,
                base_ref_time: number(class.at("base_extrinsic").at("ref_time"))?,
                db_ref_time: [number(db.at("read"))?, number(db.at("write"))?],
            })
        };
        found().context("the chain's limits have another shape than known")
    }

    /// Number of the best block.
    pub(crate) async fn best(&self) -> Result<u64> {
        let header = self.methods.chain_get_header(None).await?;
        Ok(header.context("the chain has no best block")?.number)
    }

    /// Number of the finalized head.
    pub(crate) async fn finalized(&self) -> Result<u64> {
        let hash = self.methods.chain_get_finalized_head().await?;
        let header: Option<SubstrateHeader<H256>> = self.methods.chain_get_header(Some(hash)).await?;
        Ok(header.context("the chain has no finalized head")?.number)
    }

    /// Hash of the best chain's block `number`.
    pub(crate) async fn hash(&self, number: u64) -> Result<H256> {
        let hash = self.methods.chain_get_block_hash(Some(number.into())).await?;
        hash.with_context(|| format!("the chain has no block {number}"))
    }

    /// The extrinsics of a block, as they were submitted.
    pub(crate) async fn extrinsics(&self, block: H256) -> Result<Vec<String>> {
        let found: Option<SignedBlock> = self.rpc.request("chain_getBlock", rpc_params![block]).await?;
        Ok(found.with_context(|| format!("the node has no block {block}"))?.block.extrinsics)
    }

    pub(crate) async fn measures(&self, block: H256) -> Result<Measures> {
        let timestamp = self.stored("Timestamp", "Now", block).await?;
        // Weights by class, ordinary first; a weight is time and size of proof.
        let weight = self.stored("System", "BlockWeight", block).await?;
        Ok(Measures { timestamp: u64::decode(&mut &*timestamp)?, ref_time: Compact::<u64>::decode(&mut &*weight)?.0 })
    }

    pub(crate) async fn events(&self, block: H256) -> Result<Vec<Happened>> {
        let bytes = self.stored("System", "Events", block).await?;
        let events = self.offline.events().from_bytes(bytes);
        let happened = events.iter().map(|event| {
            let event = event?;
            let extrinsic = match event.phase() {
                Phase::ApplyExtrinsic(index) => Some(usize::try_from(index)?),
                Phase::Initialization | Phase::Finalization => None,
            };
            let (pallet, name) = (event.pallet_name().to_owned(), event.event_name().to_owned());
            Ok(Happened { extrinsic, pallet, name, fields: event.field_bytes().to_vec() })
        });
        happened.collect()
    }

    async fn stored(&self, pallet: &'static str, item: &'static str, block: H256) -> Result<Vec<u8>> {
        let key = self.offline.storage().entry(subxt::dynamic::storage::<(), Value>(pallet, item))?.key_prefix();
        let value = self.methods.state_get_storage(&key, Some(block)).await?;
        value.with_context(|| format!("{pallet}.{item} is not in the state of {block}"))
    }
}

fn number(value: Option<&Value>) -> Option<u64> {
    value.and_then(|value| value.as_u128()).and_then(|number| number.try_into().ok())
}
