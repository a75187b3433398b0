//! What the `blyan_*` methods answer, as JSON.
//!
//! Fields are camelCase. Hashes and keys are `0x` and hexadecimal digits, accounts are addresses (SS58, prefix 42), amounts
//! are decimal strings in the smallest unit of BLY, because JavaScript's numbers cannot hold them.

use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, PayloadType, Quantisation},
    hardware::HardwareProfile,
    ids::{BatchRoot, ContentHash, HardwareId, SpecId, TileRoot},
    pact::{Entry, NetworkKind, Unit},
    payment::ChannelId,
    spec::F32Bits,
    trust::Level,
    version::{SemVer, VersionRange},
    worker::Roles,
};
use blyan_runtime::{
    query::{BlockEntry, Channel, PactStatus, Registration, SlotHead, SpecEntry, SpecStatus, WorkerEntry},
    AccountId, Balance, BlockNumber, Hash,
};
use polkadot_sdk::{sc_network::PeerId, sp_core};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An account as a parameter: an address, or the 32 bytes of its key in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountParam(pub(crate) AccountId);

impl<'de> Deserialize<'de> for AccountParam {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|error| serde::de::Error::custom(format!("not an account: {error}")))
    }
}

/// An amount of BLY in its smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount(pub(crate) Balance);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// 32 bytes that have no type of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hex32(pub(crate) [u8; 32]);

impl Serialize for Hex32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&sp_core::bytes::to_hex(&self.0, false))
    }
}

impl<'de> Deserialize<'de> for Hex32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ContentHash::deserialize(deserializer).map(|hash| Self(hash.0))
    }
}

/// A block of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChainBlock {
    /// Its height.
    pub(crate) number: BlockNumber,
    /// Its hash; `null` when this node no longer knows it.
    pub(crate) hash: Option<Hash>,
}

/// Where a specification is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Status {
    Published,
    Active,
    Deprecated,
}

/// A model specification.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spec {
    id: SpecId,
    lineage: SpecId,
    status: Status,
    published_at: BlockNumber,
    name: String,
    version: SemVer,
    compatible: VersionRange,
    parent: Option<SpecId>,
    dimensions: Dimensions,
    tokenizer: ContentHash,
    trunk: ContentHash,
    router: ContentHash,
}

/// Shape and constants of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dimensions {
    layers: u16,
    hidden: u32,
    heads: u16,
    kv_heads: u16,
    head_dim: u16,
    ffn: u32,
    vocab: u32,
    context: u32,
    experts: u16,
    top_k: u16,
    activation_block: u16,
    rope_theta: F32Bits,
    rms_eps: F32Bits,
    tied_embeddings: bool,
    qk_norm: bool,
    checkpoint_every: u16,
}

impl From<(SpecId, SpecEntry)> for Spec {
    fn from((id, entry): (SpecId, SpecEntry)) -> Self {
        let SpecEntry { spec, lineage, status, published_at } = entry;
        let d = spec.dimensions;
        Self {
            id,
            lineage,
            status: match status {
                SpecStatus::Published => Status::Published,
                SpecStatus::Active => Status::Active,
                SpecStatus::Deprecated => Status::Deprecated,
            },
            published_at,
            name: spec.name.to_string(),
            version: spec.version,
            compatible: spec.compatible,
            parent: spec.parent,
            dimensions: Dimensions {
                layers: d.layers,
                hidden: d.hidden,
                heads: d.heads,
                kv_heads: d.kv_heads,
                head_dim: d.head_dim,
                ffn: d.ffn,
                vocab: d.vocab,
                context: d.context,
                experts: d.experts,
                top_k: d.top_k,
                activation_block: d.activation_block,
                rope_theta: d.rope_theta,
                rms_eps: d.rms_eps,
                tied_embeddings: d.tied_embeddings,
                qk_norm: d.qk_norm,
                checkpoint_every: d.checkpoint_every,
            },
            tokenizer: spec.tokenizer,
            trunk: spec.trunk,
            router: spec.router,
        }
    }
}

/// Heads of the slots of a lineage, layer by layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SlotHeads {
    pub(crate) lineage: SpecId,
    pub(crate) layers: Vec<LayerHeads>,
    /// The first layer that did not fit into the answer.
    pub(crate) next_layer: Option<u16>,
}

/// Heads of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LayerHeads {
    pub(crate) layer: u16,
    /// In the order of experts; `null` for an empty slot.
    pub(crate) heads: Vec<Option<Head>>,
}

/// The block that a slot holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Head {
    block: ContentHash,
    since: BlockNumber,
    moves: u32,
}

impl From<SlotHead> for Head {
    fn from(head: SlotHead) -> Self {
        Self { block: head.block, since: head.since, moves: head.moves }
    }
}

/// A registered block of weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WeightBlock {
    hash: ContentHash,
    payload: PayloadType,
    kind: BlockKind,
    form: Form,
    quantisation: Quantisation,
    dtype: DType,
    layout: Layout,
    shape: Vec<u32>,
    tensors: u32,
    header_len: u32,
    data_len: u64,
    root: TileRoot,
    engine: Option<Hex32>,
    /// The lineage that the chain vouches for.
    master: Option<ContentHash>,
    podl: Option<Hex32>,
    genesis: bool,
    uses: u32,
    registered_at: BlockNumber,
    registrants: u32,
    /// The first of them, in an order of no meaning.
    registrations: Vec<BlockRegistration>,
}

/// An account's word for a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockRegistration {
    account: AccountId,
    master: Option<ContentHash>,
    podl: Option<Hex32>,
    deposit: Amount,
    registered_at: BlockNumber,
}

impl From<(AccountId, Registration)> for BlockRegistration {
    fn from((account, word): (AccountId, Registration)) -> Self {
        let Registration { master, podl, deposit, derived: _, registered_at } = word;
        Self { account, master, podl: podl.map(Hex32), deposit: Amount(deposit), registered_at }
    }
}

impl From<(ContentHash, BlockEntry, Vec<(AccountId, Registration)>)> for WeightBlock {
    fn from((hash, entry, registrations): (ContentHash, BlockEntry, Vec<(AccountId, Registration)>)) -> Self {
        let BlockEntry { record, genesis, registrants, uses, registered_at } = entry;
        Self {
            hash,
            payload: record.payload,
            kind: record.kind,
            form: record.form,
            quantisation: record.quantisation,
            dtype: record.dtype,
            layout: record.layout,
            // A dimension of 0 is one that is not there.
            shape: record.shape.into_iter().filter(|d| *d != 0).collect(),
            tensors: record.tensors,
            header_len: record.header_len,
            data_len: record.data_len,
            root: record.root,
            engine: record.engine.map(Hex32),
            master: record.master,
            podl: record.podl.map(Hex32),
            genesis,
            uses,
            registered_at,
            registrants,
            registrations: registrations.into_iter().map(Into::into).collect(),
        }
    }
}

/// A page of workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkersPage {
    pub(crate) workers: Vec<Worker>,
    /// What to pass as `after` for the next page; `null` on the last one.
    pub(crate) next: Option<AccountId>,
}

/// A worker as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Worker {
    account: AccountId,
    key: Hex32,
    peer_id: String,
    addresses: Vec<String>,
    region: String,
    hardware: Hardware,
    hardware_id: HardwareId,
    roles: Vec<&'static str>,
    tier: u8,
    online: bool,
    last_heartbeat: Option<u32>,
    bond: Amount,
    level: Level,
    quarantined_until: Option<BlockNumber>,
    registered_at: BlockNumber,
}

/// What a worker says of its machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Hardware {
    vram_mib: u32,
    tflops: u32,
    pcie_gbps: u32,
    ram_mib: u32,
    cpu_threads: u16,
}

impl From<(AccountId, WorkerEntry)> for Worker {
    fn from((account, entry): (AccountId, WorkerEntry)) -> Self {
        let WorkerEntry { info, tier, registered_at, online, last_heartbeat, bond, standing } = entry;
        let HardwareProfile { vram_mib, tflops, pcie_gbps, ram_mib, cpu_threads } = info.hardware;
        Self {
            account,
            key: Hex32(info.key),
            // The chain has checked that it is one; should it not be, the bytes say so.
            peer_id: PeerId::from_bytes(&info.peer_id)
                .map_or_else(|_| sp_core::bytes::to_hex(&info.peer_id, false), |peer| peer.to_base58()),
            addresses: info.addresses.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect(),
            region: info.region.to_string(),
            hardware: Hardware { vram_mib, tflops, pcie_gbps, ram_mib, cpu_threads },
            hardware_id: info.hardware_id,
            roles: role_names(info.roles),
            tier: tier.0,
            online,
            last_heartbeat,
            bond: Amount(bond),
            level: standing.level,
            quarantined_until: standing.quarantined_until,
            registered_at,
        }
    }
}

fn role_names(roles: Roles) -> Vec<&'static str> {
    [
        (Roles::SERVE, "serve"),
        (Roles::GATEWAY, "gateway"),
        (Roles::TRAIN, "train"),
        (Roles::EVALUATE, "evaluate"),
        (Roles::AUDIT, "audit"),
        (Roles::AGGREGATE, "aggregate"),
    ]
    .into_iter()
    .filter_map(|(role, name)| roles.contains(role).then_some(name))
    .collect()
}

/// How far an anchor has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum AnchorState {
    /// It is in a finalized block.
    Finalized,
    /// It is in a block that is not finalized.
    Included,
    /// The worker has not anchored under this sequence number.
    NotAnchored,
    /// It was finalized, and pruned at the end of its life.
    Pruned,
}

/// Whether a receipt is on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptStatus {
    pub(crate) state: AnchorState,
    /// Whether the proof leads from the receipt to the anchor; `null` without an anchor.
    pub(crate) valid: Option<bool>,
    /// Why it does not.
    pub(crate) problem: Option<String>,
    /// What the worker anchored.
    pub(crate) anchor: Option<Anchor>,
    /// The last finalized block when the question was asked.
    pub(crate) finalized: ChainBlock,
}

/// A batch of receipts on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Anchor {
    pub(crate) root: BatchRoot,
    pub(crate) count: u32,
    pub(crate) tokens: u64,
    pub(crate) block: ChainBlock,
}

/// A payment channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChannelInfo {
    id: ChannelId,
    payer: AccountId,
    gateway: AccountId,
    escrow: Amount,
    redeemed: Amount,
    deposit: Amount,
    expires_at: BlockNumber,
    closes_at: Option<BlockNumber>,
    ends_at: BlockNumber,
}

impl From<(ChannelId, Channel)> for ChannelInfo {
    fn from((id, channel): (ChannelId, Channel)) -> Self {
        Self {
            id,
            ends_at: channel.ends_at(),
            payer: channel.payer,
            gateway: channel.gateway,
            escrow: Amount(channel.escrow),
            redeemed: Amount(channel.redeemed),
            deposit: Amount(channel.deposit),
            expires_at: channel.expires_at,
            closes_at: channel.closes_at,
        }
    }
}

/// The Genesis Pact.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pact {
    network: NetworkInfo,
    revision: u32,
    hash: Hex32,
    bounds_hash: Hex32,
    parameters: Vec<Parameter>,
}

/// What is fixed with the first block.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NetworkInfo {
    kind: NetworkKind,
    session_slots: u32,
    sessions_per_era: u32,
}

/// A parameter; numbers are decimal strings, as some are amounts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameter {
    name: String,
    value: Amount,
    unit: Unit,
    min: Amount,
    max: Amount,
}

impl From<PactStatus> for Pact {
    fn from(pact: PactStatus) -> Self {
        let parameter = |Entry { name, value, unit, bounds }| Parameter {
            name,
            value: Amount(value),
            unit,
            min: Amount(bounds.min),
            max: Amount(bounds.max),
        };
        Self {
            network: NetworkInfo {
                kind: pact.network.kind,
                session_slots: pact.network.session_slots,
                sessions_per_era: pact.network.sessions_per_era,
            },
            revision: pact.revision,
            hash: Hex32(pact.hash),
            bounds_hash: Hex32(pact.bounds_hash),
            parameters: pact.entries.into_iter().map(parameter).collect(),
        }
    }
}
