//! The history of a chain, written without waiting for its slots.
//!
//! A block of a slot that has passed is as valid as one of the present: nodes check who claimed the slot, not when they hear
//! of it. So whoever has the keys of all validators writes hours of a chain in a minute, onto the database that a node then
//! opens. The rules are those that a node imports its own blocks by: the SDK's imports of BABE and GRANDPA refuse what a
//! network would refuse.
//!
//! What is finalized is the last block of each set of GRANDPA's voters, without which there is no next set. The rest is left
//! to the voters of the last set: nodes that start on this history vote on it as after an outage.

use anyhow::{Context, Result, bail, ensure};
use blyan_runtime::{AccountId, BlockNumber, Hash, Header, OpaqueBlock as Block, RuntimeApi, RuntimeEvent};
use codec::{Decode, Encode};
use polkadot_sdk::*;
use sc_block_builder::BlockBuilderBuilder;
use sc_client_api::StorageProvider;
use sc_client_db::{DatabaseSettings, DatabaseSource};
use sc_consensus::{
    BlockImport, BlockImportParams, ImportResult, JustificationImport, LongestChain, StateAction, StorageChanges,
};
use sc_consensus_babe::{
    BabeBlockImport, BabeIntermediate, BabeLink, CompatibleDigestItem, Epoch, INTERMEDIATE_KEY, authorship::claim_slot,
};
use sc_consensus_epochs::descendent_query;
use sc_consensus_grandpa::{GrandpaBlockImport, LinkHalf};
use sc_executor::WasmExecutor;
use sc_keystore::LocalKeystore;
use sc_service::{
    BlocksPruning, ChainSpec, ClientConfig, GenericChainSpec, GenesisBlockBuilder, PruningMode, TFullBackend,
    TFullClient,
};
use sc_transaction_pool_api::{OffchainTransactionPoolFactory, RejectAllTxPool};
use sp_api::{ApiExt, ProvideRuntimeApi};
use sp_blockchain::HeaderBackend;
use sp_consensus::BlockOrigin;
use sp_consensus_babe::{
    Slot,
    inherents::{BabeCreateInherentDataProviders, InherentDataProvider as SlotProvider},
};
use sp_consensus_grandpa::{CompactCommit, GRANDPA_ENGINE_ID, GrandpaJustification, Message, Precommit, sign_message};
use sp_core::{storage::StorageKey, testing::TaskExecutor};
use sp_inherents::{InherentData, InherentDataProvider};
use sp_io::hashing::twox_128;
use sp_keystore::{Keystore, KeystoreExt, KeystorePtr};
use sp_runtime::{Digest, DigestItem, OpaqueExtrinsic};
use sp_session::SessionKeys;
use sp_timestamp::Timestamp;
use std::{path::Path, sync::Arc};

type Executor = WasmExecutor<sp_io::SubstrateHostFunctions>;
type Client = TFullClient<Block, RuntimeApi, Executor>;
type Backend = TFullBackend<Block>;
type SelectChain = LongestChain<Backend, Block>;
type GrandpaImport = GrandpaBlockImport<Backend, Block, Client, SelectChain>;
type BabeImport = BabeBlockImport<Block, Client, GrandpaImport, BabeCreateInherentDataProviders<Block>, SelectChain>;

/// In which round of its set each block is finalized. Nobody has voted in another.
const ROUND: u64 = 1;

/// All validators of a chain at once.
pub(crate) struct Validators {
    client: Arc<Client>,
    keystore: KeystorePtr,
    babe: BabeImport,
    babe_link: BabeLink<Block>,
    grandpa: GrandpaImport,
    grandpa_link: LinkHalf<Block, Client, SelectChain>,
    /// The slot of the next block.
    slot: Slot,
    /// The last block of each of GRANDPA's sets that is over.
    ends_of_sets: Vec<BlockNumber>,
}

impl Validators {
    /// Opens an archive's `database` for the chain whose spec is in the file `spec`. The first block is to be of the slot
    /// `before_now` slots ago; `seeds` are what the first validators' keys are derived from.
    pub(crate) fn new(spec: &Path, database: &Path, seeds: &[&str], before_now: u64) -> Result<Self> {
        let spec = GenericChainSpec::<sc_service::NoExtension>::from_json_file(spec.into())
            .map_err(|error| anyhow::anyhow!("{}: {error}", spec.display()))?;
        let backend = sc_service::new_db_backend::<Block>(DatabaseSettings {
            trie_cache_maximum_size: Some(64 << 20),
            state_pruning: Some(PruningMode::ArchiveAll),
            source: DatabaseSource::ParityDb { path: database.into() },
            blocks_pruning: BlocksPruning::KeepAll,
            pruning_filters: Vec::new(),
            metrics_registry: None,
        })?;
        let executor = Executor::builder().build();
        let genesis = GenesisBlockBuilder::new(spec.as_storage_builder(), true, backend.clone(), executor.clone())?;
        let client = Arc::new(sc_service::new_client::<_, Block, RuntimeApi, _>(
            backend.clone(),
            executor.clone(),
            genesis,
            Default::default(),
            Default::default(),
            sc_client_api::execution_extensions::ExecutionExtensions::new(None, Arc::new(executor)),
            Box::new(TaskExecutor::new()),
            None,
            None,
            ClientConfig::default(),
        )?);

        let select_chain = LongestChain::new(backend);
        let (grandpa, grandpa_link) =
            sc_consensus_grandpa::block_import(client.clone(), 512, &client, select_chain.clone(), None)?;
        let config = sc_consensus_babe::configuration(&*client)?;
        let slot_duration = config.slot_duration();
        let inherents: BabeCreateInherentDataProviders<Block> = Arc::new(move |_, ()| async move {
            let timestamp = sp_timestamp::InherentDataProvider::from_system_time();
            Ok((SlotProvider::from_timestamp_and_slot_duration(*timestamp, slot_duration), timestamp))
        });
        let pool = OffchainTransactionPoolFactory::new(RejectAllTxPool::default());
        let (babe, babe_link) = sc_consensus_babe::block_import(
            config.clone(),
            grandpa.clone(),
            client.clone(),
            inherents,
            select_chain,
            pool,
        )?;

        let keystore = LocalKeystore::in_memory();
        for seed in seeds {
            keystore.sr25519_generate_new(sp_consensus_babe::KEY_TYPE, Some(seed))?;
            keystore.ed25519_generate_new(sp_consensus_grandpa::KEY_TYPE, Some(seed))?;
        }
        let now = Slot::from_timestamp(Timestamp::current(), slot_duration);
        let slot = now.saturating_sub(before_now);
        let keystore = Arc::new(keystore);
        Ok(Self { client, keystore, babe, babe_link, grandpa, grandpa_link, slot, ends_of_sets: Vec::new() })
    }

    /// Hash of the genesis block.
    pub(crate) fn genesis(&self) -> Hash {
        self.client.info().genesis_hash
    }

    /// Number of the block that is written next.
    pub(crate) fn next(&self) -> BlockNumber {
        self.client.info().best_number + 1
    }

    /// Slots that have passed since that of the block written next.
    pub(crate) fn behind(&self) -> u64 {
        let now = Slot::from_timestamp(Timestamp::current(), self.babe_link.config().slot_duration());
        *now.saturating_sub(*self.slot)
    }

    /// The last block of each of GRANDPA's sets that is over: a warp proof has a step for each.
    pub(crate) fn ends_of_sets(&self) -> &[BlockNumber] {
        &self.ends_of_sets
    }

    /// Session keys that are derived from `seed`, which from now on write blocks and vote, and the proof that they are
    /// `owner`'s.
    pub(crate) fn session_keys(&self, owner: &AccountId, seed: &str) -> Result<(Vec<u8>, Vec<u8>)> {
        let mut api = self.client.runtime_api();
        api.register_extension(KeystoreExt::from(self.keystore.clone()));
        let made = api.generate_session_keys(self.client.info().best_hash, owner.encode(), Some(seed.into()))?;
        Ok((made.keys, made.proof))
    }

    /// Writes a block with `extrinsics`, each of which has to succeed, and finalizes it when it is the last of a set.
    pub(crate) async fn write(&mut self, extrinsics: Vec<OpaqueExtrinsic>) -> Result<()> {
        let slot = self.slot;
        let parent = self.client.info();
        let (epoch_descriptor, epoch) = {
            let changes = self.babe_link.epoch_changes().shared_data();
            let (hash, number) = (parent.best_hash, parent.best_number);
            let descriptor = changes
                .epoch_descriptor_for_child_of(descendent_query(&*self.client), &hash, number, slot)?
                .context("the slot is in no epoch")?;
            let epoch = changes
                .viable_epoch(&descriptor, |slot| Epoch::genesis(self.babe_link.config(), slot))
                .context("the epoch is not known")?;
            let epoch = epoch.as_ref().clone();
            (descriptor, epoch)
        };
        let (claim, author) = claim_slot(slot, &epoch, &self.keystore).context("the author's key is missing")?;

        let mut builder = BlockBuilderBuilder::new(&*self.client)
            .on_parent_block(parent.best_hash)
            .with_parent_block_number(parent.best_number)
            .with_inherent_digests(Digest { logs: vec![DigestItem::babe_pre_digest(claim)] })
            .build()?;
        let time = slot.timestamp(self.babe_link.config().slot_duration()).context("no such time")?;
        let mut data = InherentData::new();
        sp_timestamp::InherentDataProvider::new(time).provide_inherent_data(&mut data).await?;
        for inherent in builder.create_inherents(data)? {
            builder.push(inherent)?;
        }
        for extrinsic in extrinsics {
            builder.push(extrinsic).with_context(|| format!("in block {}", parent.best_number + 1))?;
        }
        let (block, changes) = builder.build()?.into_inner();
        let Block { header, extrinsics } = block;

        let seal = self.keystore.sr25519_sign(sp_consensus_babe::KEY_TYPE, author.as_ref(), header.hash().as_ref())?;
        let seal = seal.context("the author's key is missing")?;
        let mut import = BlockImportParams::new(BlockOrigin::Own, header);
        import.post_digests.push(DigestItem::babe_seal(seal.into()));
        import.body = Some(extrinsics);
        import.state_action = StateAction::ApplyChanges(StorageChanges::Changes(changes));
        import.insert_intermediate(INTERMEDIATE_KEY, BabeIntermediate::<Block> { epoch_descriptor });
        let header = import.post_header();
        match self.babe.import_block(import).await? {
            ImportResult::Imported(_) => self.slot = slot + 1,
            other => bail!("block {} is not imported: {other:?}", header.number),
        }
        self.check_events(&header)?;
        if sc_consensus_grandpa::find_scheduled_change::<Block>(&header).is_some() {
            self.finalize(&header).await?;
            self.ends_of_sets.push(header.number);
        }
        Ok(())
    }

    /// Has every validator of GRANDPA's present set vote for a block.
    async fn finalize(&mut self, header: &Header) -> Result<()> {
        let (target_hash, target_number) = (header.hash(), header.number);
        let set = self.grandpa_link.shared_authority_set();
        let (set_id, voters) = (set.set_id(), set.current_authorities());
        let precommit = Precommit::<Header>::new(target_hash, target_number);
        let mut commit =
            CompactCommit::<Header> { target_hash, target_number, precommits: Vec::new(), auth_data: Vec::new() };
        for (voter, _) in voters.iter() {
            let vote = Message::<Header>::Precommit(precommit.clone());
            let signed = sign_message(self.keystore.clone(), vote, voter.clone(), ROUND, set_id);
            let signed = signed.context("a voter's key is missing")?;
            commit.precommits.push(precommit.clone());
            commit.auth_data.push((signed.signature, signed.id));
        }
        let justification =
            GrandpaJustification::<Header> { round: ROUND, commit: commit.into(), votes_ancestries: Vec::new() };
        let justification = (GRANDPA_ENGINE_ID, justification.encode());
        JustificationImport::import_justification(&mut self.grandpa, target_hash, target_number, justification).await?;
        let finalized = self.client.info().finalized_hash;
        ensure!(finalized == target_hash, "block {target_number} is not finalized");
        Ok(())
    }

    /// Fails when an extrinsic of a block did not do what it was for.
    fn check_events(&self, header: &Header) -> Result<()> {
        type Events = Vec<Box<frame_system::EventRecord<RuntimeEvent, Hash>>>;
        let key = StorageKey([twox_128(b"System"), twox_128(b"Events")].concat());
        let events = self.client.storage(header.hash(), &key)?.context("a block without events")?;
        for record in Events::decode(&mut events.0.as_slice())? {
            if let RuntimeEvent::System(frame_system::Event::ExtrinsicFailed { dispatch_error, .. }) = record.event {
                bail!("{:?} of block {} failed: {dispatch_error:?}", record.phase, header.number);
            }
        }
        Ok(())
    }
}
