//! Typed questions about the state after one block.

use crate::{
    AccountId, BlockNumber, BlockRef, Call, ChainClient, ChainError, Hash, Result,
    codegen::blyan::{self, runtime_types},
    decode::{self, BlockEvent, Happening},
    encode,
    runtime::Runtime,
};
use blyan_primitives::{
    block::BlockRecord,
    hardware::Tier,
    ids::{BatchRoot, ContentHash, SlotId, SpecId},
    payment::ChannelId,
    spec::ModelSpec,
    version::SemVer,
    worker::WorkerInfo,
};
use codec::{DecodeAll, Encode};
use std::sync::Arc;
use subxt::{
    constants, ext::frame_decode, ext::scale_decode::IntoVisitor, storage::Address, utils::Static, view_functions,
};

/// Most channels of one payer that are listed.
const MAX_CHANNELS: usize = 4096;
/// Workers asked for in one request; the chain gives no more.
const WORKERS_PER_PAGE: u32 = 100;

/// Where a specification is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpecStatus {
    /// On chain, not in use.
    Published,
    /// Workers serve it.
    Active,
    /// No longer in use.
    Deprecated,
}

/// A specification with its place in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecRecord {
    /// Its name.
    pub id: SpecId,
    /// The specification.
    pub spec: ModelSpec,
    /// The first spec of its line of successors: slots belong to lineages.
    pub lineage: SpecId,
    /// Where it is in its life.
    pub status: SpecStatus,
    /// Block in which it was published.
    pub published_at: BlockNumber,
}

/// The block that a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotHead {
    /// The expert's serving form.
    pub block: ContentHash,
    /// Block since which the slot holds it.
    pub since: BlockNumber,
    /// How often the slot's head has moved.
    pub moves: u32,
}

/// A registered block of weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEntry {
    /// What its header says, and the lineage that the chain vouches for: that of a block of the genesis model.
    pub record: BlockRecord,
    /// Whether it belongs to the genesis model, and stays.
    pub genesis: bool,
    /// Accounts that have registered it, each with its own word for the block's lineage.
    pub registrants: u32,
    /// Slots and specs that use it, and serving forms of the genesis model derived from it.
    pub uses: u32,
    /// Block in which it was registered first.
    pub registered_at: BlockNumber,
}

/// A worker as it was at a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// What it says of itself.
    pub info: WorkerInfo,
    /// Tier of its hardware.
    pub tier: Tier,
    /// Block in which it registered.
    pub registered_at: BlockNumber,
    /// Whether it can be given work: its last heartbeat is recent enough, and it is not in quarantine.
    pub online: bool,
    /// Period of its last heartbeat.
    pub last_heartbeat: Option<u32>,
    /// What it has at stake, without what is on its way back.
    pub bond: u128,
}

/// A payment channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Whose money it is; signs vouchers.
    pub payer: AccountId,
    /// Who is paid.
    pub gateway: AccountId,
    /// All that was ever put in.
    pub escrow: u128,
    /// All that was paid out.
    pub redeemed: u128,
    /// Held for the channel's place on chain.
    pub deposit: u128,
    /// Last block in which a voucher can be redeemed, unless the payer asks for an earlier end.
    pub expires_at: BlockNumber,
    /// Last block in which a voucher can be redeemed after the payer has asked for the end.
    pub closes_at: Option<BlockNumber>,
}

/// A batch of receipts on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Root of the receipts' tree.
    pub root: BatchRoot,
    /// Receipts in it.
    pub count: u32,
    /// Prompt and output tokens of all its receipts.
    pub tokens: u64,
    /// Block in which it was anchored.
    pub anchored_at: BlockNumber,
    /// Held for it until it is pruned.
    pub deposit: u128,
}

/// What a worker has anchored so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Sequence number of the next anchor.
    pub next: u64,
    /// Sequence number of the oldest anchor that has not been pruned; `next` when there is none.
    pub oldest: u64,
    /// Receipts in all anchors.
    pub receipts: u64,
    /// Prompt and output tokens in all anchors.
    pub tokens: u128,
}

/// An account's money and nonce. Amounts are in the smallest unit of BLY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What is neither held nor reserved; a part may be frozen.
    pub free: u128,
    /// What is held: deposits, escrows, bonds.
    pub reserved: u128,
    /// How much of `free` cannot be spent.
    pub frozen: u128,
    /// Number of extrinsics that the account has signed.
    pub nonce: u64,
}

/// Constants of the runtime that off-chain programs plan with. Periods are in blocks, amounts in the smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Blocks of a heartbeat period.
    pub heartbeat_period: BlockNumber,
    /// Whole periods without a heartbeat after which a worker is offline.
    pub max_missed_heartbeats: u32,
    /// Held while a machine is bound to an account.
    pub worker_deposit: u128,
    /// The least that is put into a channel.
    pub min_escrow: u128,
    /// Held for a channel.
    pub channel_deposit: u128,
    /// Least blocks from a channel's opening to its expiry, and what a gateway has to redeem once the end is asked for.
    pub notice_period: BlockNumber,
    /// Most blocks from a channel's opening to its expiry.
    pub max_channel_lifetime: BlockNumber,
    /// Held for an anchor.
    pub anchor_deposit: u128,
    /// Held from a worker for good with its first anchor.
    pub served_deposit: u128,
    /// Blocks for which an anchor stays.
    pub anchor_lifetime: BlockNumber,
    /// Held for a registered block of weights.
    pub block_deposit: u128,
    /// The least that an account can hold and exist.
    pub existential_deposit: u128,
    /// Most bytes of a delta's data.
    pub max_delta_size: u32,
    /// Tokens of an item that is trained or measured on.
    pub item_tokens: u32,
}

/// The state after one block. All answers of one value are of that block.
#[derive(Clone, Debug)]
pub struct State {
    client: ChainClient,
    block: BlockRef,
    runtime: Arc<Runtime>,
}

impl ChainClient {
    /// The state after the latest finalized block.
    ///
    /// # Errors
    /// [`ChainError::TimedOut`], [`ChainError::OtherChain`]; [`ChainError::StatePruned`] when the node runs far ahead.
    pub async fn at_finalized(&self) -> Result<State> {
        self.at(self.finalized()?).await
    }

    /// The state after `block`.
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`], [`ChainError::StatePruned`], [`ChainError::TimedOut`].
    pub async fn at(&self, block: BlockRef) -> Result<State> {
        Ok(State { client: self.clone(), block, runtime: self.runtime(block).await? })
    }

    /// The finalized block of this number; `None` when none is finalized yet.
    ///
    /// # Errors
    /// [`ChainError::BlockUnavailable`] when the node does not have it any more, [`ChainError::TimedOut`].
    pub async fn finalized_block(&self, number: BlockNumber) -> Result<Option<BlockRef>> {
        if number > self.finalized()?.number {
            return Ok(None);
        }
        let hash = self.rpc().hash_at(number).await?.ok_or(ChainError::BlockUnavailable { number })?;
        Ok(Some(BlockRef { number, hash }))
    }

    /// Number of the block with this hash, and whether it is finalized; `None` when the node does not know it.
    ///
    /// # Errors
    /// [`ChainError::TimedOut`], [`ChainError::BlockUnavailable`].
    pub async fn is_finalized(&self, hash: Hash) -> Result<Option<(BlockRef, bool)>> {
        let block = match self.rpc().header(hash).await {
            Ok(header) => header.block,
            Err(ChainError::UnknownBlock { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let finalized = self.finalized_block(block.number).await?;
        Ok(Some((block, finalized.is_some_and(|finalized| finalized.hash == hash))))
    }

    /// The events of a block, in order. Failed extrinsics are [`Event::Other`](crate::Event::Other) named
    /// `System.ExtrinsicFailed`.
    ///
    /// # Errors
    /// [`ChainError::StatePruned`] when the node has dropped the block's state (by default after 256 blocks),
    /// [`ChainError::UnknownBlock`], [`ChainError::TimedOut`], [`ChainError::Decode`].
    pub async fn events(&self, block: BlockRef) -> Result<Vec<BlockEvent>> {
        let happenings = self.happenings(block).await?.into_iter();
        Ok(happenings
            .map(|(extrinsic, happening)| {
                let event = match happening {
                    Happening::Event(event) => event,
                    Happening::ExtrinsicFailed(_) => {
                        crate::Event::Other { pallet: "System".to_owned(), name: "ExtrinsicFailed".to_owned() }
                    },
                };
                BlockEvent { extrinsic, event }
            })
            .collect())
    }

    pub(crate) async fn happenings(&self, block: BlockRef) -> Result<Vec<(Option<u32>, Happening)>> {
        let Some(number) = block.number.checked_sub(1) else { return Ok(Vec::new()) };
        // The runtime that executed a block, and encoded its events, is that of the state before: an upgrade in the block
        // itself rules from the next one on.
        let parent = self.rpc().header(block.hash).await?.parent;
        let runtime = self.runtime(BlockRef { number, hash: parent }).await?;
        let key = runtime.storage_key(blyan::storage().system().events().unvalidated(), ())?;
        let bytes = self.rpc().storage("a block's events", &[key], block.hash).await?.into_iter().next().flatten();
        match bytes {
            // Every block has events: its inherents are extrinsics.
            None => Err(ChainError::StatePruned { block: block.hash }),
            Some(bytes) => decode::events(&runtime, bytes),
        }
    }
}

impl State {
    /// The block.
    pub fn block(&self) -> BlockRef {
        self.block
    }

    /// Version of the runtime after the block.
    pub fn spec_version(&self) -> u32 {
        self.runtime.spec_version
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The encoding of a call as the runtime after the block has it, for a proposal or a call inside another.
    ///
    /// # Errors
    /// [`ChainError::Encode`] for calls that carry a signature inside, [`ChainError::IncompatibleRuntime`].
    pub fn encode_call(&self, call: &Call) -> Result<Vec<u8>> {
        encode::call_bytes(&self.runtime, call)
    }

    pub(crate) async fn get<A: Address>(
        &self,
        what: &'static str,
        address: A,
        keys: A::KeyParts,
    ) -> Result<Option<A::Value>> {
        let key = self.runtime.storage_key(&address, keys)?;
        let bytes = self.client.rpc().storage(what, &[key], self.block.hash).await?.into_iter().next().flatten();
        match bytes {
            Some(bytes) => self.runtime.decode_value(what, &address, &bytes).map(Some),
            None => self.runtime.default_value(what, &address),
        }
    }

    pub(crate) async fn get_all<A: Address>(
        &self,
        what: &'static str,
        address: A,
        keys: impl IntoIterator<Item = A::KeyParts>,
    ) -> Result<Vec<Option<A::Value>>> {
        let keys: Result<Vec<Vec<u8>>> =
            keys.into_iter().map(|keys| self.runtime.storage_key(&address, keys)).collect();
        let keys = keys?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let values = self.client.rpc().storage(what, &keys, self.block.hash).await?.into_iter();
        values.map(|bytes| bytes.map(|bytes| self.runtime.decode_value(what, &address, &bytes)).transpose()).collect()
    }

    /// Asks a view function of a pallet.
    pub(crate) async fn view<P: view_functions::Payload>(
        &self,
        what: &'static str,
        payload: P,
    ) -> Result<P::ReturnType> {
        const ID: usize = 32;
        let (pallet, function) = (payload.pallet_name().to_owned(), payload.function_name().to_owned());
        let views = self.runtime.client().view_functions();
        let item = || format!("{pallet}.{function}");
        let decode = |reason: String| ChainError::Decode { what, reason };
        views.validate(&payload).map_err(|error| self.runtime.incompatible(&item(), &error))?;
        let encoded = views.encode_args(&payload);
        let encoded = encoded.map_err(|error| ChainError::Encode { call: item(), reason: error.to_string() })?;
        // subxt joins the function's id and its arguments; the runtime's API wants the arguments as one byte string, and
        // gives the answer as one.
        let (id, arguments) = encoded.split_at_checked(ID).ok_or_else(|| decode("its id is too short".to_owned()))?;
        let request = [id, &arguments.to_vec().encode()].concat();
        let api = "RuntimeViewFunction_execute_view_function";
        let answer = self.client.rpc().call(what, api, &request, self.block.hash).await?;
        let value = match answer.split_first() {
            Some((0, value)) => Vec::<u8>::decode_all(&mut &*value).map_err(|error| decode(error.to_string()))?,
            _ => return Err(decode(format!("the runtime refused {}: 0x{}", item(), hex::encode(answer)))),
        };
        let metadata = &*self.runtime.facts().metadata;
        frame_decode::view_functions::decode_view_function_response(
            &pallet,
            &function,
            &mut &*value,
            metadata,
            metadata.types(),
            P::ReturnType::into_visitor(),
        )
        .map_err(|error| decode(error.to_string()))
    }

    /// Every key under `prefix`; at most `limit`, then an error.
    pub(crate) async fn keys(&self, what: &'static str, prefix: &[u8], limit: usize) -> Result<Vec<Vec<u8>>> {
        self.client.rpc().keys(what, prefix, limit, self.block.hash).await
    }

    fn constant<A: constants::Address>(&self, address: A) -> Result<A::Target> {
        let item = format!("{}.{}", address.pallet_name(), address.constant_name());
        let constant = self.runtime.client().constants().entry(address);
        constant.map_err(|error| self.runtime.incompatible(&item, &error))
    }

    /// The active specs, the default first.
    pub async fn active_specs(&self) -> Result<Vec<SpecRecord>> {
        let what = "the active specs";
        let ids = self.get(what, blyan::storage().meta().active_specs(), ()).await?;
        let ids: Vec<SpecId> = ids.map(|ids| ids.0.into_iter().map(|id| id.0).collect()).unwrap_or_default();
        let keys = ids.iter().map(|id| (Static(*id),));
        let records = self.get_all(what, blyan::storage().meta().specs(), keys).await?;
        let missing = |id: &SpecId| ChainError::Decode { what, reason: format!("active spec {id} has no record") };
        ids.iter().zip(records).map(|(id, record)| Ok(spec_record(*id, record.ok_or_else(|| missing(id))?))).collect()
    }

    /// A spec.
    pub async fn spec(&self, id: SpecId) -> Result<Option<SpecRecord>> {
        let record = self.get("a spec", blyan::storage().meta().specs(), (Static(id),)).await?;
        Ok(record.map(|record| spec_record(id, record)))
    }

    /// The active spec that answers requests for `version`: the highest whose compatibility range contains it, among
    /// equals the latest activated.
    pub async fn spec_for_version(&self, version: SemVer) -> Result<Option<SpecId>> {
        let payload = blyan::view_functions().meta().spec_for_version(Static(version));
        Ok(self.view("the spec for a version", payload).await?.map(|id| id.0))
    }

    /// What every slot of a spec holds: `[layer][index]`, `None` for a slot that is empty.
    pub async fn slot_heads(&self, spec: &SpecRecord) -> Result<Vec<Vec<Option<SlotHead>>>> {
        let (layers, experts) = (spec.spec.dimensions.layers, spec.spec.dimensions.experts);
        let lineage = spec.lineage;
        let slots = (0..layers).flat_map(|layer| (0..experts).map(move |index| SlotId { lineage, layer, index }));
        let keys = slots.map(|slot| (Static(slot),));
        let heads = self.get_all("the slots' heads", blyan::storage().experts().heads(), keys).await?;
        let mut heads = heads
            .into_iter()
            .map(|head| head.map(|head| SlotHead { block: head.block.0, since: head.since, moves: head.moves }));
        Ok((0..layers).map(|_| heads.by_ref().take(usize::from(experts)).collect()).collect())
    }

    /// A registered block of weights.
    pub async fn block_entry(&self, hash: ContentHash) -> Result<Option<BlockEntry>> {
        Ok(self.block_entries(&[hash]).await?.into_iter().next().flatten())
    }

    /// Registered blocks of weights, in the order of `hashes`.
    pub async fn block_entries(&self, hashes: &[ContentHash]) -> Result<Vec<Option<BlockEntry>>> {
        let keys = hashes.iter().map(|hash| (Static(*hash),));
        let entries = self.get_all("block records", blyan::storage().experts().blocks(), keys).await?;
        let entry = |entry: runtime_types::pallet_blyan_experts::types::BlockEntry<u32>| BlockEntry {
            record: entry.record.0,
            genesis: entry.genesis,
            registrants: entry.registrants,
            uses: entry.uses,
            registered_at: entry.registered_at,
        };
        Ok(entries.into_iter().map(|found| found.map(entry)).collect())
    }

    /// The worker of an account.
    pub async fn worker(&self, account: &AccountId) -> Result<Option<WorkerStatus>> {
        let status = self.view("a worker", blyan::view_functions().workers().worker(*account)).await?;
        Ok(status.map(worker_status))
    }

    /// The account whose worker has this key.
    pub async fn worker_by_key(&self, key: [u8; 32]) -> Result<Option<AccountId>> {
        self.view("a worker's account", blyan::view_functions().workers().worker_by_key(key)).await
    }

    /// Every worker by its account, at most `limit`.
    pub async fn workers(&self, limit: usize) -> Result<Vec<(AccountId, WorkerStatus)>> {
        let mut workers: Vec<(AccountId, WorkerStatus)> = Vec::new();
        while workers.len() < limit {
            let start = workers.last().map(|(account, _)| *account);
            let payload = blyan::view_functions().workers().workers(start, WORKERS_PER_PAGE);
            let page = self.view("the workers", payload).await?;
            let ended = page.len() < WORKERS_PER_PAGE as usize;
            workers.extend(page.into_iter().map(|(account, status)| (account, worker_status(status))));
            if ended {
                break;
            }
        }
        workers.truncate(limit);
        Ok(workers)
    }

    /// The heartbeat period of the block after this one: what a heartbeat sent now must name.
    pub fn heartbeat_period(&self) -> Result<u32> {
        let length = self.constant(blyan::constants().workers().heartbeat_period())?;
        Ok(self.block.number.saturating_add(1).checked_div(length).unwrap_or(0))
    }

    /// A payment channel; `None` when it never was, or is closed.
    pub async fn channel(&self, id: ChannelId) -> Result<Option<Channel>> {
        let channel = self.get("a channel", blyan::storage().inference().channels(), (id,)).await?;
        Ok(channel.map(channel_record))
    }

    /// Whether a channel was opened once and is closed now.
    ///
    /// Numbers are given in order and once. So a channel that is not there, though its number was given, is closed for good;
    /// without the number having been given, the node may only be behind.
    pub async fn is_channel_closed(&self, id: ChannelId) -> Result<bool> {
        let next = self.get("the next channel", blyan::storage().inference().next_channel(), ()).await?;
        Ok(next.is_some_and(|next| id < next) && self.channel(id).await?.is_none())
    }

    /// The open channels of a payer, in no order.
    pub async fn channels_of(&self, payer: &AccountId) -> Result<Vec<(ChannelId, Channel)>> {
        let what = "a payer's channels";
        let index = blyan::storage().inference().channels_by_payer();
        // Keys end with the number, after its 8-byte hash.
        let some_key = self.runtime.storage_key(&index, (*payer, 0))?;
        let number_len = size_of::<ChannelId>();
        let prefix = some_key.get(..some_key.len().saturating_sub(8 + number_len)).unwrap_or_default();
        let keys = self.keys(what, prefix, MAX_CHANNELS).await?;
        let ids: Option<Vec<ChannelId>> =
            keys.iter().map(|key| key.last_chunk().map(|bytes| ChannelId::from_le_bytes(*bytes))).collect();
        let ids = ids.ok_or(ChainError::Decode { what, reason: "a key is too short".to_owned() })?;
        let found = self.get_all(what, blyan::storage().inference().channels(), ids.iter().map(|id| (*id,))).await?;
        Ok(ids.into_iter().zip(found).filter_map(|(id, channel)| Some((id, channel_record(channel?)))).collect())
    }

    /// What a worker has anchored so far; `next` is the sequence number of its next anchor.
    pub async fn served(&self, worker: &AccountId) -> Result<Served> {
        let served = self.get("a worker's anchors", blyan::storage().inference().served_by(), (*worker,)).await?;
        Ok(served.map_or_else(Served::default, |served| Served {
            next: served.next,
            oldest: served.oldest,
            receipts: served.receipts,
            tokens: served.tokens,
        }))
    }

    /// A worker's anchor; `None` when there is none yet, or it is pruned.
    pub async fn anchor(&self, worker: &AccountId, sequence: u64) -> Result<Option<Anchor>> {
        let anchor = self.get("an anchor", blyan::storage().inference().anchors(), (*worker, sequence)).await?;
        Ok(anchor.map(|anchor| Anchor {
            root: anchor.root.0,
            count: anchor.count,
            tokens: anchor.tokens,
            anchored_at: anchor.anchored_at,
            deposit: anchor.deposit,
        }))
    }

    /// An account's money and nonce; all zero for one that does not exist.
    pub async fn balance(&self, account: &AccountId) -> Result<Balance> {
        let account = self.get("an account", blyan::storage().system().account(), (*account,)).await?;
        Ok(account.map_or_else(Balance::default, |account| Balance {
            free: account.data.free,
            reserved: account.data.reserved,
            frozen: account.data.frozen,
            nonce: account.nonce.into(),
        }))
    }

    /// The last heartbeat period that is on chain for a worker.
    pub async fn last_heartbeat(&self, worker: &AccountId) -> Result<Option<u32>> {
        self.get("a worker's heartbeat", blyan::storage().workers().last_heartbeat(), (*worker,)).await
    }

    /// The runtime's constants.
    pub fn parameters(&self) -> Result<Parameters> {
        let constants = blyan::constants();
        Ok(Parameters {
            heartbeat_period: self.constant(constants.workers().heartbeat_period())?,
            max_missed_heartbeats: self.constant(constants.workers().max_missed())?,
            worker_deposit: self.constant(constants.workers().deposit())?,
            min_escrow: self.constant(constants.inference().min_escrow())?,
            channel_deposit: self.constant(constants.inference().channel_deposit())?,
            notice_period: self.constant(constants.inference().notice_period())?,
            max_channel_lifetime: self.constant(constants.inference().max_channel_lifetime())?,
            anchor_deposit: self.constant(constants.inference().anchor_deposit())?,
            served_deposit: self.constant(constants.inference().served_deposit())?,
            anchor_lifetime: self.constant(constants.inference().anchor_lifetime())?,
            block_deposit: self.constant(constants.experts().block_deposit())?,
            existential_deposit: self.constant(constants.balances().existential_deposit())?,
            max_delta_size: self.constant(constants.experts().max_delta_size())?,
            item_tokens: self.constant(constants.pol().item_tokens())?,
        })
    }
}

fn spec_record(id: SpecId, record: runtime_types::pallet_blyan_meta::types::SpecRecord<u32>) -> SpecRecord {
    use runtime_types::pallet_blyan_meta::types::Status;
    let status = match record.status {
        Status::Published => SpecStatus::Published,
        Status::Active => SpecStatus::Active,
        Status::Deprecated => SpecStatus::Deprecated,
    };
    SpecRecord { id, spec: record.spec.0, lineage: record.lineage.0, status, published_at: record.published_at }
}

fn worker_status(status: runtime_types::pallet_blyan_workers::types::WorkerStatus<u128, u32>) -> WorkerStatus {
    WorkerStatus {
        info: status.info.0,
        tier: status.tier.0,
        registered_at: status.registered_at,
        online: status.online,
        last_heartbeat: status.last_heartbeat,
        bond: status.bond,
    }
}

fn channel_record(channel: runtime_types::pallet_blyan_inference::types::Channel<AccountId, u128, u32>) -> Channel {
    Channel {
        payer: channel.payer,
        gateway: channel.gateway,
        escrow: channel.escrow,
        redeemed: channel.redeemed,
        deposit: channel.deposit,
        expires_at: channel.expires_at,
        closes_at: channel.closes_at,
    }
}
