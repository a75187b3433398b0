//! A runtime with this pallet, a small model in blocks, and rounds, workers and stakes that tests name.

// The runtime is public, as its macro has it, and so must be what its configuration names.
#![allow(unreachable_pub)]

use crate as pallet_blyan_pol;
use crate::{Purpose, SeedAfter};
use blyan_primitives::{
    block::{BlockHeader, BlockKind, BlockRecord, DType, Form, Layout, PayloadType, Quantisation, TensorInfo},
    dispute::{
        example::{self, World, ITEMS, ITEM_TOKENS},
        TOKENS,
    },
    hardware::Tier,
    ids::{ContentHash, SlotId, SpecId, TileRoot},
    learning::{Codec, DeltaHeader, DeltaInfo, Evaluations as _, ItemRange, RoundId, RoundInfo, Rounds, Verdict},
    pact::{Network, Pact, Ppm},
    spec::Dimensions,
    trace::Part,
    traits::{BlockRegistry, BlockUses, PactProvider, Slash, SlashId, SpecRegistry, Stakes, UseError, WorkerRegistry},
    worker::Roles,
};
use frame_support::{
    derive_impl, parameter_types,
    traits::{ConstU32, Hooks},
    weights::Weight,
};
use frame_system::EnsureRoot;
use polkadot_sdk::*;
use sp_runtime::BuildStorage;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) type Block = frame_system::mocking::MockBlockU32<Test>;
pub(crate) type E = crate::Error<Test>;

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
    pub type Pol = pallet_blyan_pol::Pallet<Test>;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
}

thread_local! {
    /// The model. Making it takes longer than most tests, and what is made of it stays.
    static WORLD: &'static World = Box::leak(Box::new(World::new()));
}

/// Looks at the model.
pub(crate) fn world<R>(look: impl FnOnce(&'static World) -> R) -> R {
    WORLD.with(|world| look(world))
}

/// Positions of an item.
pub(crate) const ITEM_POSITIONS: u32 = ITEM_TOKENS - 1;

pub(crate) const SPEC: SpecId = SpecId([1; 32]);
pub(crate) const LINEAGE: SpecId = SpecId([2; 32]);
/// The slot whose head is to change.
pub(crate) const SLOT: SlotId = SlotId { lineage: LINEAGE, layer: 0, index: 0 };
pub(crate) const ROUND: RoundId = 7;
/// Most that ends in a block, unless a test has it otherwise.
pub(crate) const MAX_ENDINGS: u32 = 4;
pub(crate) const MAX_ACTIVE: u32 = 2;
/// Height at which an epoch begins that is after all that was known before.
pub(crate) const EPOCH: u32 = 10;

parameter_types! {
    /// What each account has at stake; who has nothing is no evaluator.
    pub static Staked: BTreeMap<u64, u128> = BTreeMap::new();
    /// Who was slashed, and by how much of the stake.
    pub static Slashed: Vec<(u64, Ppm)> = vec![];
    /// Deltas of each round.
    pub static Submitted: BTreeMap<RoundId, Vec<DeltaHeader>> = BTreeMap::new();
    /// What came of rounds.
    pub static Decided: Vec<(RoundId, Option<Verdict<u64>>)> = vec![];
    /// Blocks in use.
    pub static Used: BTreeSet<ContentHash> = BTreeSet::new();
    /// Whether there always is randomness.
    pub static Seeded: bool = false;
    /// Most that ends in a block.
    pub static MostEndings: u32 = MAX_ENDINGS;
    /// Blocks beside those of the model.
    pub static Registered: BTreeMap<ContentHash, BlockRecord> = BTreeMap::new();
    /// What a decision costs.
    pub const DecisionWeight: Weight = Weight::from_parts(1_000, 0);
    /// The Pact.
    pub static ThePact: Pact = pact();
}

/// A local network's Pact, of small committees and few items, with a public network's quorum.
pub(crate) fn pact() -> Pact {
    let mut pact = Pact::default_for(Network::LOCAL.kind);
    (pact.learning.committee, pact.learning.quorum) = (5, Pact::default_for(Network::PUBLIC.kind).learning.quorum);
    let rounds = &mut pact.rounds;
    (rounds.trial_items, rounds.final_items, rounds.general_items, rounds.own_items) = (2, 2, 2, 2);
    (rounds.availability, rounds.evaluation, rounds.reveal, rounds.dispute_move) = (3, 4, 3, 5);
    pact
}

pub struct TestPact;

impl PactProvider for TestPact {
    fn pact() -> Pact {
        ThePact::get()
    }

    fn network() -> Network {
        Network::LOCAL
    }
}

pub struct TestSpecs;

impl SpecRegistry for TestSpecs {
    fn known_spec(id: SpecId) -> Option<(SpecId, Dimensions)> {
        (id == SPEC).then(|| (LINEAGE, example::dimensions()))
    }

    fn open_spec(id: SpecId) -> Option<(SpecId, Dimensions)> {
        Self::known_spec(id)
    }

    fn live_spec(id: SpecId) -> Option<(SpecId, Dimensions)> {
        Self::known_spec(id)
    }

    fn is_open(lineage: SpecId) -> bool {
        lineage == LINEAGE
    }

    fn trunk_and_router(id: SpecId) -> Option<[ContentHash; 2]> {
        (id == SPEC).then(|| world(|world| [world.parts[&Part::Trunk], world.parts[&Part::Router]]))
    }

    fn slot_dimensions(slot: &SlotId) -> Option<Dimensions> {
        (slot.lineage == LINEAGE).then(example::dimensions)
    }
}

pub struct TestBlocks;

impl BlockRegistry for TestBlocks {
    fn block(hash: ContentHash) -> Option<BlockRecord> {
        if let Some(record) = Registered::get().get(&hash) {
            return Some(record.clone());
        }
        let header = world(|world| world.header(hash))?;
        let header = BlockHeader::decode_checked(&header, 1 << 16).ok()?;
        BlockRecord::new(&header, 100, None, None).ok()
    }
}

impl BlockUses for TestBlocks {
    fn acquire(hash: ContentHash) -> Result<(), UseError> {
        Self::block(hash).ok_or(UseError::Unknown)?;
        Used::mutate(|used| used.insert(hash));
        Ok(())
    }

    fn release(hash: ContentHash) {
        Used::mutate(|used| used.remove(&hash));
    }
}

pub struct TestWorkers;

impl WorkerRegistry<u64> for TestWorkers {
    fn key(_: &u64) -> Option<[u8; 32]> {
        None
    }

    fn roles(account: &u64) -> Option<Roles> {
        Staked::get().contains_key(account).then_some(Roles::EVALUATE)
    }

    fn online_roles(account: &u64) -> Option<Roles> {
        Self::roles(account)
    }

    fn tier(_: &u64) -> Option<Tier> {
        None
    }
}

pub struct TestStakes;

impl Stakes<u64, u128> for TestStakes {
    fn worker_stake(account: &u64) -> u128 {
        Staked::get().get(account).copied().unwrap_or(0)
    }
}

impl Slash<u64> for TestStakes {
    fn slash_worker(account: &u64, share: Ppm) -> Option<SlashId> {
        Slashed::mutate(|slashed| slashed.push((*account, share)));
        Some(Slashed::get().len() as SlashId)
    }
}

pub struct TestRounds;

impl Rounds<u64> for TestRounds {
    fn round(id: RoundId) -> Option<RoundInfo> {
        let deltas = Submitted::get().get(&id)?.len() as u32;
        let base = world(|world| world.experts[0]);
        Some(RoundInfo { slot: SLOT, spec: SPEC, base, master: ContentHash([9; 32]), deltas })
    }

    fn delta(id: RoundId, index: u32) -> Option<DeltaInfo<u64>> {
        let header = Submitted::get().get(&id)?.get(index as usize)?.clone();
        Some(DeltaInfo { learner: 100 + u64::from(index), header })
    }

    fn head_at(slot: &SlotId, _: u32) -> Option<ContentHash> {
        world(|world| world.parts.get(&Part::Expert { layer: slot.layer, index: slot.index }).copied())
    }

    fn decided(id: RoundId, verdict: Verdict<u64>) {
        Decided::mutate(|decided| decided.push((id, Some(verdict))));
    }

    fn failed(id: RoundId) {
        Decided::mutate(|decided| decided.push((id, None)));
    }
}

pub struct TestSeed;

impl SeedAfter<u32> for TestSeed {
    fn seed_after(height: u32) -> Option<[u8; 32]> {
        if Seeded::get() {
            return Some([1; 32]);
        }
        let epoch = (height / EPOCH + 1) * EPOCH;
        (System::block_number() >= epoch).then_some([epoch as u8; 32])
    }
}

impl crate::Config for Test {
    type Rounds = TestRounds;
    type Specs = TestSpecs;
    type Blocks = TestBlocks;
    type Workers = TestWorkers;
    type Stakes = TestStakes;
    type Slash = TestStakes;
    type Pact = TestPact;
    type Seed = TestSeed;
    type DecisionWeight = DecisionWeight;
    type GovernanceOrigin = EnsureRoot<u64>;
    type ItemTokens = ConstU32<ITEM_TOKENS>;
    type MaxActive = ConstU32<MAX_ACTIVE>;
    type MaxEndings = MostEndings;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = TestRounds;
}

#[cfg(feature = "runtime-benchmarks")]
impl crate::BenchmarkHelper<u64> for TestRounds {
    fn add_evaluator(account: &u64) {
        Staked::mutate(|staked| staked.insert(*account, 100 * BLY));
    }

    fn publish_spec(_: &Dimensions) -> SpecId {
        SPEC
    }

    fn register(header: &BlockHeader) {
        let record = BlockRecord::new(header, 100, None, None).unwrap();
        Registered::mutate(|blocks| blocks.insert(header.content_hash(), record));
    }

    fn evaluated_round(_: SpecId, deltas: u32) -> RoundId {
        let deltas = (0..deltas).map(|_| delta(1)).collect();
        Submitted::mutate(|submitted| submitted.insert(ROUND, deltas));
        ROUND
    }

    fn provide_seed() {
        Seeded::set(true);
    }
}

pub(crate) const BLY: u128 = 1_000_000_000_000_000_000;

/// A delta that makes the slot's head expert `expert`.
pub(crate) fn delta(expert: usize) -> DeltaHeader {
    world(|world| DeltaHeader {
        base: world.experts[0],
        block: ContentHash([expert as u8; 32]),
        serving: world.experts[expert],
        size: 100,
        codec: Codec::LowRank,
        manifest: [expert as u8; 32],
        data: ItemRange { block: world.item.block, first: 0, count: ITEMS },
    })
}

/// Registers a block of so many items.
pub(crate) fn register_items(number: u8, items: u32) -> ContentHash {
    let shape = vec![items, ITEM_TOKENS];
    let length = TensorInfo::bytes(DType::U32, Layout::RowMajor, &shape).unwrap();
    let (name, dtype, layout) = (TOKENS.into(), DType::U32, Layout::RowMajor);
    let header = BlockHeader {
        payload: PayloadType::TensorBlock,
        kind: BlockKind::Items,
        form: Form::Serving,
        quantisation: Quantisation::None,
        arch: String::new(),
        engine: vec![],
        tensors: vec![TensorInfo { name, dtype, layout, shape, offset: 0, length }],
        data_len: length,
        root: TileRoot([number; 32]),
    };
    let record = BlockRecord::new(&header, 100, None, None).unwrap();
    Registered::mutate(|blocks| blocks.insert(header.content_hash(), record));
    header.content_hash()
}

/// Storage in block 1, in which the accounts 1 to `evaluators` have 100 BLY at stake each, and are enrolled; one block of items
/// is held out, and another general.
pub(crate) fn ext_with(evaluators: u64) -> sp_io::TestExternalities {
    let mut ext =
        sp_io::TestExternalities::new(frame_system::GenesisConfig::<Test>::default().build_storage().unwrap());
    // A thread can run several tests.
    Staked::take();
    Slashed::take();
    Submitted::take();
    Decided::take();
    Used::take();
    Registered::take();
    Seeded::set(false);
    MostEndings::set(MAX_ENDINGS);
    ThePact::set(pact());
    ext.execute_with(|| {
        System::set_block_number(1);
        for who in 1..=evaluators {
            Staked::mutate(|staked| staked.insert(who, 100 * BLY));
            Pol::enrol(RuntimeOrigin::signed(who)).unwrap();
        }
        let [held_out, general] = world(|world| [world.item.block, world.smaller[0]]);
        Pol::add_set(RuntimeOrigin::root(), held_out, Purpose::HeldOut).unwrap();
        Pol::add_set(RuntimeOrigin::root(), general, Purpose::General).unwrap();
    });
    ext
}

pub(crate) fn ext() -> sp_io::TestExternalities {
    ext_with(5)
}

/// Begins the evaluation of a round with these deltas.
pub(crate) fn start(deltas: Vec<DeltaHeader>) {
    Submitted::mutate(|submitted| submitted.insert(ROUND, deltas));
    Pol::start(ROUND).unwrap();
}

/// Goes on to a block.
pub(crate) fn run_to(block: u32) {
    while System::block_number() < block {
        next_block();
    }
}

/// Begins the next block, and says what that took.
pub(crate) fn next_block() -> Weight {
    let next = System::block_number() + 1;
    System::set_block_number(next);
    let weight = Pol::on_initialize(next);
    assert!(weight.all_lte(Pol::heaviest_agenda()), "block {next} takes {weight:?}");
    Pol::do_try_state().unwrap();
    weight
}

/// Goes on until the evaluation is in another phase.
pub(crate) fn run_to_next_phase() -> crate::Phase {
    let phase = crate::Evaluations::<Test>::get(ROUND).unwrap().phase;
    for _ in 0..100 {
        run_to(System::block_number() + 1);
        let now = crate::Evaluations::<Test>::get(ROUND).unwrap().phase;
        if now != phase {
            return now;
        }
    }
    panic!("the evaluation stays in {phase:?}");
}
