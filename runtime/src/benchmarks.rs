//! The benchmarks that there are, and what they need of the runtime: compiled with the feature `runtime-benchmarks` alone, for
//! `frame-omni-bencher`, which `scripts/weights` runs.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::crate_in_macro_def,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "never part of a chain's runtime: what goes wrong here is to stop a benchmark"
)]

use crate::{
    AccountId, AllPalletsWithSystem, Balances, Economy, Experts, Meta, Pact, Runtime, RuntimeOrigin, Signature,
    Staking, System,
};
use alloc::{string::String, vec::Vec};
use blyan_primitives::{
    block::{BlockHeader, BlockKind, BlockRecord, DType, Form, Layout, PayloadType, Quantisation},
    hardware::HardwareProfile,
    hash::blake2_256,
    ids::{ContentHash, HardwareId, SlotId, SpecId, TileRoot},
    learning::{Codec, DeltaHeader, ItemRange, RoundId},
    payment::Voucher,
    spec::{Dimensions, F32Bits, ModelSpec, Name, MAX_LAYERS},
    traits::{PactProvider, Pool, SlotHeads, SpecRegistry},
    version::{SemVer, VersionRange},
    worker::{Region, Roles, WorkerInfo},
};
use codec::Encode;
use frame_benchmarking::{BenchmarkBatch, BenchmarkConfig, BenchmarkList};
use frame_support::{
    traits::{fungible::Mutate, Get, StorageInfo, StorageInfoTrait, WhitelistedStorageKeys},
    BoundedVec,
};
use polkadot_sdk::*;
use sp_core::crypto::KeyTypeId;
use sp_runtime::{traits::IdentifyAccount, MultiSigner};

frame_benchmarking::define_benchmarks!(
    [pallet_balances, crate::Balances]
    [pallet_migrations, crate::Migrations]
    [pallet_multisig, crate::Multisig]
    [pallet_preimage, crate::Preimage]
    [pallet_proxy, crate::Proxy]
    [pallet_referenda, crate::Referenda]
    [pallet_safe_mode, crate::SafeMode]
    [pallet_scheduler, crate::Scheduler]
    [pallet_sudo, crate::Sudo]
    [pallet_timestamp, crate::Timestamp]
    [pallet_utility, crate::Utility]
    [pallet_blyan_experts, crate::Experts]
    [pallet_blyan_meta, crate::Meta]
    [pallet_blyan_workers, crate::Workers]
    [pallet_blyan_inference, crate::Inference]
    [pallet_blyan_pol, crate::Pol]
    [pallet_blyan_pact, crate::Pact]
    [pallet_blyan_economy, crate::Economy]
    [pallet_blyan_staking, crate::Staking]
    [pallet_blyan_dao, crate::Dao]
);

/// The benchmarks there are, and what the chain stores.
pub(crate) fn metadata(extra: bool) -> (Vec<BenchmarkList>, Vec<StorageInfo>) {
    let mut list = Vec::new();
    list_benchmarks!(list, extra);
    (list, AllPalletsWithSystem::storage_info())
}

/// Runs one of them.
pub(crate) fn dispatch(config: BenchmarkConfig) -> Result<Vec<BenchmarkBatch>, String> {
    let whitelist = AllPalletsWithSystem::whitelisted_storage_keys();
    let mut batches = Vec::new();
    let params = (&config, &whitelist);
    add_benchmarks!(params, batches);
    Ok(batches)
}

/// Makes what benchmarks of one pallet need of another.
pub struct Helper;

impl Helper {
    /// Puts a block on chain as a genesis does, unless it is there already.
    fn put(record: BlockRecord) -> ContentHash {
        let hash = ContentHash(blake2_256(&record.encode()));
        if !pallet_blyan_experts::Blocks::<Runtime>::contains_key(hash) {
            let entry =
                pallet_blyan_experts::BlockEntry { record, genesis: true, registrants: 0, uses: 0, registered_at: 0 };
            pallet_blyan_experts::Blocks::<Runtime>::insert(hash, entry);
        }
        hash
    }
}

fn record(kind: BlockKind, shape: [u32; 2]) -> BlockRecord {
    let (quantisation, dtype, layout) = match kind {
        BlockKind::Trunk | BlockKind::Expert => (Quantisation::PerChannel, DType::Int8, Layout::Rows16K4),
        BlockKind::Router => (Quantisation::None, DType::F32, Layout::RowMajor),
        BlockKind::Tokenizer | BlockKind::Delta => (Quantisation::None, DType::U8, Layout::RowMajor),
        BlockKind::Items => (Quantisation::None, DType::U32, Layout::RowMajor),
    };
    BlockRecord {
        payload: PayloadType::TensorBlock,
        kind,
        form: Form::Serving,
        quantisation,
        dtype,
        layout,
        shape: [shape[0], shape[1], 0, 0],
        // More than the largest of trunks has.
        tensors: 13 * u32::from(MAX_LAYERS),
        header_len: 1 << 16,
        data_len: 1 << 30,
        root: TileRoot([7; 32]),
        engine: None,
        master: None,
        podl: None,
    }
}

impl pallet_blyan_meta::BenchmarkHelper for Helper {
    fn register_shared_blocks(dimensions: &Dimensions) -> [ContentHash; 3] {
        [
            Self::put(record(BlockKind::Tokenizer, [1 << 20, 0])),
            Self::put(record(BlockKind::Trunk, [dimensions.vocab, dimensions.hidden])),
            Self::put(record(BlockKind::Router, [dimensions.experts.into(), dimensions.hidden])),
        ]
    }

    fn fill_slots(lineage: SpecId, dimensions: &Dimensions) {
        let block = Self::put(record(BlockKind::Expert, [dimensions.ffn, dimensions.hidden]));
        for layer in 0..dimensions.layers {
            for index in 0..dimensions.experts {
                <Experts as SlotHeads>::fill_head(lineage, layer, index, block)
                    .unwrap_or_else(|error| panic!("slot {layer}/{index} is not filled: {error:?}"));
            }
        }
    }
}

/// Registers a worker of an account.
fn add_worker(account: &AccountId, key: [u8; 32], roles: Roles) {
    let peer_id: Vec<u8> = [0x00, 36].into_iter().chain([7; 36]).collect();
    let info = WorkerInfo {
        key,
        peer_id: peer_id.try_into().expect("it is short enough"),
        addresses: Default::default(),
        region: Region::new("DE").expect("it is a region"),
        hardware: HardwareProfile { ram_mib: 1024, cpu_threads: 8, ..Default::default() },
        hardware_id: HardwareId([3; 32]),
        roles,
    };
    let tier = info.hardware.tier();
    let record = pallet_blyan_workers::WorkerRecord { info, tier, registered_at: 0 };
    pallet_blyan_workers::Workers::<Runtime>::insert(account, record);
}

/// A spec of these dimensions that needs no blocks.
fn bare_spec(dimensions: &Dimensions) -> ModelSpec {
    let version = SemVer::new(1, 0, 0);
    let [tokenizer, trunk, router] = [1, 2, 3].map(|byte| ContentHash([byte; 32]));
    ModelSpec {
        name: Name::new("benchmark").expect("it is a name"),
        version,
        compatible: VersionRange::caret(version),
        parent: None,
        dimensions: dimensions.clone(),
        tokenizer,
        trunk,
        router,
    }
}

impl pallet_blyan_pol::BenchmarkHelper<AccountId> for Helper {
    fn add_evaluator(account: &AccountId) {
        add_worker(account, *account.as_ref(), Roles::EVALUATE);
        let bond = <Pact as PactProvider>::pact().staking.min_worker_bond;
        <Balances as Mutate<AccountId>>::set_balance(account, bond.saturating_mul(2));
        Staking::bond_worker(RuntimeOrigin::signed(account.clone()), bond).expect("it can pay");
    }

    fn publish_spec(dimensions: &Dimensions) -> SpecId {
        let spec = bare_spec(dimensions);
        let id = spec.id();
        let record = pallet_blyan_meta::SpecRecord {
            spec,
            lineage: id,
            status: pallet_blyan_meta::Status::Active,
            published_at: 0,
        };
        pallet_blyan_meta::Specs::<Runtime>::insert(id, record);
        id
    }

    fn register(header: &BlockHeader) {
        let record = BlockRecord::new(header, header.encoded_size() as u32, None, None).expect("it is sound");
        let entry =
            pallet_blyan_experts::BlockEntry { record, genesis: true, registrants: 0, uses: 0, registered_at: 0 };
        pallet_blyan_experts::Blocks::<Runtime>::insert(header.content_hash(), entry);
    }

    fn evaluated_round(spec: SpecId, deltas: u32) -> RoundId {
        let block = ContentHash([5; 32]);
        let round = pallet_blyan_experts::Round {
            slot: SlotId { lineage: spec, layer: 0, index: 0 },
            spec,
            base: block,
            master: block,
            terms: pallet_blyan_experts::Terms::of(&<Pact as PactProvider>::pact()),
            opened_at: 0,
            phase: pallet_blyan_experts::Phase::Evaluating,
        };
        let header = DeltaHeader {
            base: block,
            block,
            serving: block,
            size: 1,
            codec: Codec::LowRank,
            manifest: [6; 32],
            data: ItemRange { block, first: 0, count: 1 << 20 },
        };
        let (learner, aggregator) = (AccountId::new([9; 32]), Some(AccountId::new([8; 32])));
        let delta = pallet_blyan_experts::Delta { learner, header, aggregator, outcome: None };
        let id = 7;
        pallet_blyan_experts::Rounds::<Runtime>::insert(id, round);
        let deltas = alloc::vec![delta; deltas as usize];
        pallet_blyan_experts::Deltas::<Runtime>::insert(id, BoundedVec::truncate_from(deltas));
        id
    }

    fn provide_seed() {
        // Babe keeps it to itself. Beginnings of the last epoch and of the present one.
        let key = frame_support::storage::storage_prefix(b"Babe", b"EpochStart");
        frame_support::storage::unhashed::put(&key, &(10u32, 20u32));
    }
}

impl pallet_blyan_experts::BenchmarkHelper<AccountId> for Helper {
    fn live_slot() -> (SpecId, SlotId) {
        let spec = *pallet_blyan_meta::ActiveSpecs::<Runtime>::get().first().expect("the genesis has a model");
        let (lineage, _) = <Meta as SpecRegistry>::known_spec(spec).expect("it is known");
        (spec, SlotId { lineage, layer: 0, index: 0 })
    }

    fn add_worker(account: &AccountId) {
        add_worker(account, *account.as_ref(), Roles::ALL);
        let period: crate::BlockNumber = <Runtime as pallet_blyan_workers::Config>::HeartbeatPeriod::get();
        pallet_blyan_workers::LastHeartbeat::<Runtime>::insert(account, System::block_number() / period);
        <Self as pallet_blyan_experts::BenchmarkHelper<AccountId>>::add_stake(account);
    }

    fn add_stake(account: &AccountId) {
        let bond = <Pact as PactProvider>::pact().staking.min_worker_bond;
        <Balances as Mutate<AccountId>>::mint_into(account, bond.saturating_mul(2)).expect("it can be paid");
        Staking::bond_worker(RuntimeOrigin::signed(account.clone()), bond).expect("it can pay");
    }

    fn training_items() -> ItemRange {
        let block = ContentHash([0x17; 32]);
        let set = pallet_blyan_pol::ItemSet { purpose: pallet_blyan_pol::Purpose::Training, items: 1 << 20 };
        pallet_blyan_pol::Sets::<Runtime>::insert(block, set);
        ItemRange { block, first: 0, count: 512 }
    }

    fn fill_learning_pool() {
        let most = <Pact as PactProvider>::pact().rounds.reward;
        let pool = Economy::pool_account(Pool::Learning);
        <Balances as Mutate<AccountId>>::set_balance(&pool, most.saturating_mul(2));
    }

    fn publish_spec() -> SpecId {
        let dimensions = Dimensions {
            // As many as one call can release a slot of.
            layers: 64,
            hidden: 64,
            heads: 4,
            kv_heads: 2,
            head_dim: 16,
            ffn: 128,
            vocab: 1 << 16,
            context: 1 << 15,
            experts: 64,
            top_k: 2,
            activation_block: 32,
            rope_theta: F32Bits::new(10_000.0),
            rms_eps: F32Bits::new(1e-5),
            tied_embeddings: true,
            qk_norm: false,
            checkpoint_every: 4,
        };
        let [tokenizer, trunk, router] =
            <Self as pallet_blyan_meta::BenchmarkHelper>::register_shared_blocks(&dimensions);
        let spec = ModelSpec { tokenizer, trunk, router, ..bare_spec(&dimensions) };
        let id = spec.id();
        Meta::publish(RuntimeOrigin::root(), spec).expect("the spec is sound");
        id
    }

    fn deprecate_spec(spec: SpecId) {
        Meta::deprecate(RuntimeOrigin::root(), spec).expect("the spec is published");
    }
}

impl pallet_blyan_inference::BenchmarkHelper<AccountId, Signature> for Helper {
    fn register_gateway(account: &AccountId, key: [u8; 32]) {
        add_worker(account, key, Roles::SERVE.union(Roles::GATEWAY));
    }

    fn sign_wrapped(voucher: &Voucher, genesis: &[u8]) -> (AccountId, Signature) {
        const KEY_TYPE: KeyTypeId = KeyTypeId(*b"blyn");
        // Recovering a key of this scheme takes longest.
        let public = sp_io::crypto::ecdsa_generate(KEY_TYPE, Some(b"//Blyan".to_vec()));
        let account = MultiSigner::from(public).into_account();
        let message = voucher.wrapped_signing_bytes(genesis);
        let signature = sp_io::crypto::ecdsa_sign(KEY_TYPE, &public, &message).expect("the keystore has the key");
        (account, signature.into())
    }
}
