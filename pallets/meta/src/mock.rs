//! A runtime with this pallet, and a registry of blocks in memory.

// The runtime is public, as its macro has it, and so must be what its configuration names.
#![allow(unreachable_pub)]

use crate as pallet_blyan_meta;
use blyan_primitives::{
    block::{BlockKind, BlockRecord, DType, Form, Layout, PayloadType, Quantisation},
    ids::{ContentHash, SlotId, SpecId, TileRoot},
    spec::{Dimensions, F32Bits, ModelSpec, Name},
    traits::{BlockRegistry, BlockUses, SlotHeads, UseError},
    version::{SemVer, VersionRange},
};
use frame_support::{derive_impl, parameter_types};
use polkadot_sdk::*;
use sp_runtime::BuildStorage;
use std::collections::BTreeMap;

pub(crate) type Block = frame_system::mocking::MockBlock<Test>;

#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask,
        RuntimeViewFunction
    )]
    pub struct Test;

    #[runtime::pallet_index(0)]
    pub type System = frame_system::Pallet<Test>;
    #[runtime::pallet_index(1)]
    pub type Meta = pallet_blyan_meta::Pallet<Test>;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
}

pub(crate) const MAX_ACTIVE: u32 = 3;

impl crate::Config for Test {
    type GovernanceOrigin = frame_system::EnsureRoot<u64>;
    type Blocks = Blocks;
    type Heads = Blocks;
    type MaxActive = MostActive;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = Blocks;
}

parameter_types! {
    pub static MostActive: u32 = MAX_ACTIVE;
    /// Registered blocks and the number of their uses.
    pub(crate) static Registered: BTreeMap<ContentHash, (BlockRecord, u32)> = BTreeMap::new();
    pub(crate) static SlotHeadsMap: BTreeMap<SlotId, ContentHash> = BTreeMap::new();
}

pub struct Blocks;

impl Blocks {
    pub(crate) fn register(hash: ContentHash, record: BlockRecord) {
        Registered::mutate(|blocks| blocks.insert(hash, (record, 0)));
    }

    pub(crate) fn uses(hash: ContentHash) -> u32 {
        Registered::get().get(&hash).map_or(0, |(_, uses)| *uses)
    }

    pub(crate) fn set_uses(hash: ContentHash, uses: u32) {
        Registered::mutate(|blocks| blocks.get_mut(&hash).unwrap().1 = uses);
    }

    /// Fills every slot of `spec`, which starts its lineage, with one expert that fits.
    pub(crate) fn fill(spec: &ModelSpec) {
        Self::fill_in(spec.id(), &spec.dimensions);
    }

    /// Fills every slot that a spec of these dimensions has in `lineage` with one expert that fits.
    pub(crate) fn fill_in(lineage: SpecId, dimensions: &Dimensions) {
        Self::register(EXPERT, record(BlockKind::Expert, &[dimensions.ffn, dimensions.hidden]));
        for layer in 0..dimensions.layers {
            for index in 0..dimensions.experts {
                let slot = SlotId { lineage, layer, index };
                SlotHeadsMap::mutate(|heads| heads.insert(slot, EXPERT));
            }
        }
    }
}

impl BlockRegistry for Blocks {
    fn block(hash: ContentHash) -> Option<BlockRecord> {
        Registered::get().get(&hash).map(|(record, _)| record.clone())
    }
}

impl BlockUses for Blocks {
    fn acquire(hash: ContentHash) -> Result<(), UseError> {
        Registered::mutate(|blocks| {
            let (_, uses) = blocks.get_mut(&hash).ok_or(UseError::Unknown)?;
            *uses = uses.checked_add(1).ok_or(UseError::TooMany)?;
            Ok(())
        })
    }

    fn release(hash: ContentHash) {
        Registered::mutate(|blocks| blocks.get_mut(&hash).unwrap().1 -= 1);
    }
}

impl SlotHeads for Blocks {
    type Error = ();

    fn head(slot: &SlotId) -> Option<ContentHash> {
        SlotHeadsMap::get().get(slot).copied()
    }

    fn filled(lineage: SpecId, layer: u16) -> u16 {
        let heads = SlotHeadsMap::get();
        (0..).take_while(|index| heads.contains_key(&SlotId { lineage, layer, index: *index })).count() as u16
    }

    fn fill_head(_: SpecId, _: u16, _: u16, _: ContentHash) -> Result<(), ()> {
        unreachable!("specs never fill slots")
    }

    fn move_head(_: &SlotId, _: ContentHash, _: ContentHash) -> Result<(), ()> {
        unreachable!("specs never move heads")
    }
}

#[cfg(feature = "runtime-benchmarks")]
impl crate::BenchmarkHelper for Blocks {
    fn register_shared_blocks(dimensions: &Dimensions) -> [ContentHash; 3] {
        register_shared_blocks(dimensions);
        [TOKENIZER, TRUNK, ROUTER]
    }

    fn fill_slots(lineage: SpecId, dimensions: &Dimensions) {
        Self::fill_in(lineage, dimensions);
    }
}

pub(crate) const TOKENIZER: ContentHash = ContentHash([1; 32]);
pub(crate) const TRUNK: ContentHash = ContentHash([2; 32]);
pub(crate) const ROUTER: ContentHash = ContentHash([3; 32]);
pub(crate) const EXPERT: ContentHash = ContentHash([4; 32]);

/// The record of a block of this kind that inference can use, whose principal tensor has these dimensions.
pub(crate) fn record(kind: BlockKind, dims: &[u32]) -> BlockRecord {
    let mut shape = [0; 4];
    shape[..dims.len()].copy_from_slice(dims);
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
        shape,
        // As many as the largest of models has.
        tensors: 12 * 512 + 5,
        header_len: 100,
        data_len: 4096,
        root: TileRoot([9; 32]),
        engine: None,
        master: None,
        podl: None,
    }
}

/// A trunk that suits [`spec`].
pub(crate) fn trunk() -> BlockRecord {
    record(BlockKind::Trunk, &[259, 64])
}

pub(crate) fn spec(version: &str) -> ModelSpec {
    let version: SemVer = version.parse().unwrap();
    ModelSpec {
        name: Name::new("tiny").unwrap(),
        version,
        compatible: VersionRange::caret(version),
        parent: None,
        dimensions: Dimensions {
            layers: 2,
            hidden: 64,
            heads: 4,
            kv_heads: 2,
            head_dim: 16,
            ffn: 128,
            vocab: 259,
            context: 256,
            experts: 4,
            top_k: 2,
            activation_block: 32,
            rope_theta: F32Bits::new(10_000.0),
            rms_eps: F32Bits::new(1e-5),
            tied_embeddings: true,
            qk_norm: false,
            checkpoint_every: 1,
        },
        tokenizer: TOKENIZER,
        trunk: TRUNK,
        router: ROUTER,
    }
}

pub(crate) fn child(parent: &ModelSpec, version: &str) -> ModelSpec {
    ModelSpec { parent: Some(parent.id()), ..spec(version) }
}

/// Publishes a spec and fills its slots.
pub(crate) fn publish_filled(spec: &ModelSpec) -> SpecId {
    Meta::publish(RuntimeOrigin::root(), spec.clone()).unwrap();
    let lineage = crate::Specs::<Test>::get(spec.id()).unwrap().lineage;
    Blocks::fill_in(lineage, &spec.dimensions);
    spec.id()
}

/// Publishes a spec, fills its slots and activates it.
pub(crate) fn go_live(spec: &ModelSpec) -> SpecId {
    let id = publish_filled(spec);
    Meta::activate(RuntimeOrigin::root(), id).unwrap();
    id
}

fn register_shared_blocks(dimensions: &Dimensions) {
    let Dimensions { vocab, hidden, experts, .. } = *dimensions;
    Blocks::register(TOKENIZER, record(BlockKind::Tokenizer, &[3000]));
    Blocks::register(TRUNK, record(BlockKind::Trunk, &[vocab, hidden]));
    Blocks::register(ROUTER, record(BlockKind::Router, &[u32::from(experts), hidden]));
}

pub(crate) fn genesis_ext(spec: Option<ModelSpec>) -> sp_io::TestExternalities {
    let config = RuntimeGenesisConfig {
        system: Default::default(),
        meta: crate::GenesisConfig { spec, _config: Default::default() },
    };
    let mut ext: sp_io::TestExternalities = config.build_storage().unwrap().into();
    // Events of the first block are not kept.
    ext.execute_with(|| System::set_block_number(1));
    ext
}

pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    Registered::set(BTreeMap::new());
    SlotHeadsMap::set(BTreeMap::new());
    register_shared_blocks(&spec("0.1.0").dimensions);
    genesis_ext(None)
}

/// Runs a test on registered blocks, and proves the invariants after it.
pub(crate) fn run(test: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        test();
        Meta::do_try_state().unwrap();
    });
}
