//! A runtime with this pallet and balances, and a registry of specs in memory.

// The runtime is public, as its macro has it, and so must be what its configuration names.
#![allow(unreachable_pub)]

use crate as pallet_blyan_experts;
use blyan_primitives::{
    block::{
        BlockHeader, BlockKind, BlockRecord, DType, Form, Layout, PayloadType, Quantisation, TensorInfo, TENSOR_ALIGN,
    },
    ids::{ContentHash, SlotId, SpecId, TileRoot},
    spec::{Dimensions, F32Bits},
    traits::SpecRegistry,
};
use codec::Encode;
use frame_support::{derive_impl, parameter_types, traits::ConstU128};
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
    pub type Balances = pallet_balances::Pallet<Test>;
    #[runtime::pallet_index(2)]
    pub type Experts = pallet_blyan_experts::Pallet<Test>;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountData = pallet_balances::AccountData<u128>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type AccountStore = System;
    type Balance = u128;
    type ExistentialDeposit = ConstU128<1>;
}

pub(crate) const DEPOSIT: u128 = 100;
pub(crate) const MAX_RELEASED: u32 = 4;

impl crate::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Specs = Specs;
    type GovernanceOrigin = frame_system::EnsureRoot<u64>;
    type BlockDeposit = BlockDeposit;
    type MaxReleased = MostReleased;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = Specs;
}

/// Where a spec is in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Published,
    Active,
    Deprecated,
}

parameter_types! {
    pub static BlockDeposit: u128 = DEPOSIT;
    pub static MostReleased: u32 = MAX_RELEASED;
    /// The specs: lineage, dimensions and where in its life each is.
    pub(crate) static Known: BTreeMap<SpecId, (SpecId, Dimensions, Life)> =
        BTreeMap::from([(LINEAGE, (LINEAGE, dimensions(), Life::Active))]);
}

pub struct Specs;

impl Specs {
    fn find(id: SpecId, lives: &[Life]) -> Option<(SpecId, Dimensions)> {
        Known::get().remove(&id).filter(|(_, _, life)| lives.contains(life)).map(|(lineage, d, _)| (lineage, d))
    }
}

impl SpecRegistry for Specs {
    fn known_spec(id: SpecId) -> Option<(SpecId, Dimensions)> {
        Self::find(id, &[Life::Published, Life::Active, Life::Deprecated])
    }

    fn open_spec(id: SpecId) -> Option<(SpecId, Dimensions)> {
        Self::find(id, &[Life::Published, Life::Active])
    }

    fn live_spec(id: SpecId) -> Option<(SpecId, Dimensions)> {
        Self::find(id, &[Life::Active])
    }

    fn is_open(lineage: SpecId) -> bool {
        Known::get().values().any(|(of, _, life)| *of == lineage && *life != Life::Deprecated)
    }

    fn trunk_and_router(id: SpecId) -> Option<[ContentHash; 2]> {
        Known::get().get(&id).map(|_| [ContentHash([1; 32]), ContentHash([2; 32])])
    }

    fn slot_dimensions(slot: &SlotId) -> Option<Dimensions> {
        let live = Known::get().into_values().filter(|(of, _, life)| *of == slot.lineage && *life == Life::Active);
        live.map(|(_, d, _)| d).find(|d| slot.layer < d.layers && slot.index < d.experts)
    }
}

#[cfg(feature = "runtime-benchmarks")]
impl crate::BenchmarkHelper for Specs {
    fn publish_spec() -> SpecId {
        let wide = Dimensions { experts: 64, ..dimensions() };
        set_spec(SUCCESSOR, SUCCESSOR, wide, Life::Published);
        SUCCESSOR
    }

    fn deprecate_spec(spec: SpecId) {
        set_life(spec, Life::Deprecated);
    }
}

/// Stores a spec in the registry.
pub(crate) fn set_spec(id: SpecId, lineage: SpecId, dimensions: Dimensions, life: Life) {
    Known::mutate(|known| known.insert(id, (lineage, dimensions, life)));
}

/// Moves a spec on in its life.
pub(crate) fn set_life(id: SpecId, life: Life) {
    Known::mutate(|known| known.get_mut(&id).unwrap().2 = life);
}

/// A published spec of the live one's lineage with one more layer and one more expert.
pub(crate) fn publish_successor() -> SpecId {
    let larger = Dimensions { layers: 3, experts: 4, ..dimensions() };
    set_spec(SUCCESSOR, LINEAGE, larger, Life::Published);
    SUCCESSOR
}

/// The live spec, which starts its lineage.
pub(crate) const LINEAGE: SpecId = SpecId([5; 32]);
pub(crate) const SUCCESSOR: SpecId = SpecId([6; 32]);
pub(crate) const ALICE: u64 = 1;
pub(crate) const BOB: u64 = 2;
/// Has too little for a deposit.
pub(crate) const POOR: u64 = 3;

pub(crate) fn dimensions() -> Dimensions {
    Dimensions {
        layers: 2,
        hidden: 64,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        ffn: 128,
        vocab: 259,
        context: 256,
        experts: 3,
        top_k: 2,
        activation_block: 32,
        rope_theta: F32Bits::new(10_000.0),
        rms_eps: F32Bits::new(1e-5),
        tied_embeddings: true,
        qk_norm: false,
        checkpoint_every: 1,
    }
}

pub(crate) fn slot(layer: u16, index: u16) -> SlotId {
    SlotId { lineage: LINEAGE, layer, index }
}

/// Header of a block with these tensors, in f32; `seed` stands for the data.
pub(crate) fn header(kind: BlockKind, form: Form, tensors: &[(&str, &[u32])], seed: u8) -> BlockHeader {
    let tensors = tensors.iter().map(|(name, shape)| (name.to_string(), DType::F32, Layout::RowMajor, shape.to_vec()));
    assemble(kind, form, Quantisation::None, tensors.collect(), seed)
}

fn assemble(
    kind: BlockKind,
    form: Form,
    quantisation: Quantisation,
    tensors: Vec<(String, DType, Layout, Vec<u32>)>,
    seed: u8,
) -> BlockHeader {
    let mut end = 0u64;
    let tensors = tensors
        .into_iter()
        .map(|(name, dtype, layout, shape)| {
            let offset = end.next_multiple_of(TENSOR_ALIGN);
            let length = TensorInfo::bytes(dtype, layout, &shape).unwrap();
            end = offset + length;
            TensorInfo { name, dtype, layout, shape, offset, length }
        })
        .collect();
    BlockHeader {
        payload: PayloadType::TensorBlock,
        kind,
        form,
        quantisation,
        arch: String::new(),
        engine: Vec::new(),
        tensors,
        data_len: end,
        root: TileRoot([seed; 32]),
    }
}

/// An expert of this shape: f32 as a master, int8 with scales in serving form.
pub(crate) fn expert_of(form: Form, ffn: u32, hidden: u32, seed: u8) -> BlockHeader {
    let matrices = [("gate", [ffn, hidden]), ("up", [ffn, hidden]), ("down", [hidden, ffn])];
    if form == Form::Master {
        return header(
            BlockKind::Expert,
            form,
            &matrices.each_ref().map(|(name, shape)| (*name, shape.as_slice())),
            seed,
        );
    }
    let tensors = matrices.into_iter().flat_map(|(name, shape)| {
        [
            (name.to_string(), DType::Int8, Layout::Rows16K4, shape.to_vec()),
            (format!("{name}.scale"), DType::F32, Layout::RowMajor, vec![shape[0]]),
        ]
    });
    assemble(BlockKind::Expert, form, Quantisation::PerChannel, tensors.collect(), seed)
}

/// An expert that fits the live spec.
pub(crate) fn expert(form: Form, seed: u8) -> BlockHeader {
    expert_of(form, 128, 64, seed)
}

pub(crate) fn register(who: u64, header: &BlockHeader, master: Option<ContentHash>) -> sp_runtime::DispatchResult {
    Experts::register(RuntimeOrigin::signed(who), header.encode().try_into().unwrap(), master, None)
}

/// Registers a block of Alice's.
pub(crate) fn registered(header: &BlockHeader, master: Option<ContentHash>) -> ContentHash {
    register(ALICE, header, master).unwrap();
    header.content_hash()
}

pub(crate) fn entry(header: &BlockHeader, master: Option<ContentHash>) -> (ContentHash, BlockRecord) {
    let record = BlockRecord::new(header, header.encoded_size() as u32, master, None).unwrap();
    (header.content_hash(), record)
}

pub(crate) fn genesis_ext(
    blocks: Vec<(ContentHash, BlockRecord)>,
    heads: Vec<(SlotId, ContentHash)>,
) -> sp_io::TestExternalities {
    let config = RuntimeGenesisConfig {
        system: Default::default(),
        balances: pallet_balances::GenesisConfig {
            balances: vec![(ALICE, 10_000), (BOB, 10_000), (POOR, 50)],
            ..Default::default()
        },
        experts: crate::GenesisConfig { blocks, heads, _config: Default::default() },
    };
    let mut ext: sp_io::TestExternalities = config.build_storage().unwrap().into();
    // Events of the first block are not kept.
    ext.execute_with(|| System::set_block_number(1));
    ext
}

/// A chain each of whose slots holds the expert of seed 0, whose master is not on chain.
pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    Known::set(BTreeMap::from([(LINEAGE, (LINEAGE, dimensions(), Life::Active))]));
    let (hash, record) = entry(&expert(Form::Serving, 0), Some(expert(Form::Master, 0).content_hash()));
    let heads = (0..2).flat_map(|layer| (0..3).map(move |index| (slot(layer, index), hash))).collect();
    genesis_ext(vec![(hash, record)], heads)
}

/// Runs a test, and proves the invariants after it.
pub(crate) fn run(test: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        test();
        Experts::do_try_state().unwrap();
    });
}
