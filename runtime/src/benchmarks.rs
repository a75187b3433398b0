//! The benchmarks that there are, and what they need of the runtime: compiled with the feature `runtime-benchmarks` alone, for
//! `frame-omni-bencher`, which `scripts/weights` runs.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::crate_in_macro_def,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "never part of a chain's runtime: what goes wrong here is to stop a benchmark"
)]

use crate::{AccountId, AllPalletsWithSystem, Experts, Meta, Runtime, RuntimeOrigin, Signature};
use alloc::{string::String, vec::Vec};
use blyan_primitives::{
    block::{BlockKind, BlockRecord, DType, Form, Layout, PayloadType, Quantisation},
    hardware::HardwareProfile,
    hash::blake2_256,
    ids::{ContentHash, HardwareId, SpecId, TileRoot},
    payment::Voucher,
    spec::{Dimensions, F32Bits, ModelSpec, Name, MAX_LAYERS},
    traits::SlotHeads,
    version::{SemVer, VersionRange},
    worker::{Region, Roles, WorkerInfo},
};
use codec::Encode;
use frame_benchmarking::{BenchmarkBatch, BenchmarkConfig, BenchmarkList};
use frame_support::traits::{StorageInfo, StorageInfoTrait, WhitelistedStorageKeys};
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

impl pallet_blyan_experts::BenchmarkHelper for Helper {
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
        let version = SemVer::new(1, 0, 0);
        let spec = ModelSpec {
            name: Name::new("benchmark").expect("it is a name"),
            version,
            compatible: VersionRange::caret(version),
            parent: None,
            dimensions,
            tokenizer,
            trunk,
            router,
        };
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
        let peer_id: Vec<u8> = [0x00, 36].into_iter().chain([7; 36]).collect();
        let info = WorkerInfo {
            key,
            peer_id: peer_id.try_into().expect("it is short enough"),
            addresses: Default::default(),
            region: Region::new("DE").expect("it is a region"),
            hardware: HardwareProfile { ram_mib: 1024, cpu_threads: 8, ..Default::default() },
            hardware_id: HardwareId([3; 32]),
            roles: Roles::SERVE.union(Roles::GATEWAY),
        };
        let tier = info.hardware.tier();
        let record = pallet_blyan_workers::WorkerRecord { info, tier, registered_at: 0 };
        pallet_blyan_workers::Workers::<Runtime>::insert(account, record);
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
