//! A runtime with this pallet and balances, and all that it reaches other pallets for in memory.

// The runtime is public, as its macro has it, and so must be what its configuration names.
#![allow(unreachable_pub)]

use crate as pallet_blyan_experts;
use blyan_primitives::{
    block::{
        BlockHeader, BlockKind, BlockRecord, DType, Form, Layout, PayloadType, Quantisation, TensorInfo, TENSOR_ALIGN,
    },
    hardware::Tier,
    ids::{ContentHash, SlotId, SpecId, TileRoot},
    learning::{
        Codec, DeltaHeader, DeltaOutcome, Evaluations, ItemRange, ItemSets, RoundId, Rounds as KeepRounds, Verdict,
    },
    pact::{Network, Pact, Ppm},
    pol::{Candidate, CandidateSums, Refusal},
    spec::{Dimensions, F32Bits},
    traits::{PactProvider, Payout, Pool, SpecRegistry, Stakes, Standings, WorkerRegistry},
    trust,
    worker::Roles,
};
use codec::Encode;
use frame_support::{
    derive_impl, parameter_types,
    traits::{
        fungible::{InspectHold, Mutate},
        tokens::imbalance::ResolveTo,
        ConstU64, Hooks,
    },
    weights::Weight,
};
use polkadot_sdk::*;
use sp_runtime::{BuildStorage, DispatchError, DispatchResult};
use std::collections::{BTreeMap, BTreeSet};

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
    type ExistentialDeposit = ExistentialDeposit;
}

pub(crate) const DEPOSIT: u128 = 100;
pub(crate) const MAX_RELEASED: u32 = 4;
pub(crate) const HISTORY: u64 = 100;
pub(crate) const MAX_ROUNDS: u32 = 4;
pub(crate) const MAX_SIZE: u32 = 1_000;
pub(crate) const MAX_ENDINGS: u32 = 3;
pub(crate) const MAX_STANDING: u32 = 5;
pub(crate) const RETENTION: u64 = 50;
/// Terms of a round.
pub(crate) const SUBMISSION: u64 = 10;
pub(crate) const PUBLICATION: u64 = 5;
pub(crate) const MAX_DELTAS: u32 = 4;
pub(crate) const OWN_ITEMS: u32 = 8;
pub(crate) const BOND: u128 = 60;
/// What is lost of a bond for a delta that does not help.
pub(crate) const FEE: u128 = 15;
pub(crate) const REWARD: u128 = 1_000;
/// The account for what nobody else gets of lost bonds.
pub(crate) const TREASURER: u64 = 1_000;

impl crate::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Specs = Specs;
    type GovernanceOrigin = frame_system::EnsureRoot<u64>;
    type Evaluations = Others;
    type EvaluationWeight = StartWeight;
    type Workers = Others;
    type Stakes = Others;
    type MaxStanding = MostStanding;
    type Standings = Others;
    type Sets = Others;
    type Pact = Others;
    type Payout = Others;
    type OnForfeit = ResolveTo<Treasurer, Balances>;
    type BlockDeposit = BlockDeposit;
    type MaxReleased = MostReleased;
    type HeadHistory = Remembered;
    type MaxOpenRounds = MostRounds;
    type MaxDeltaSize = LargestDelta;
    type MaxEndings = MostEndings;
    type RoundRetention = ConstU64<RETENTION>;
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
    pub static ExistentialDeposit: u128 = 1;
    pub static Remembered: u64 = HISTORY;
    pub static MostRounds: u32 = MAX_ROUNDS;
    pub static LargestDelta: u32 = MAX_SIZE;
    pub static MostEndings: u32 = MAX_ENDINGS;
    pub static MostStanding: u32 = MAX_STANDING;
    pub static StartWeight: Weight = Weight::from_parts(1_000_000, 0);
    pub const Treasurer: u64 = TREASURER;
    /// Rounds that were given to a committee, and whether none is to be had.
    pub(crate) static Started: Vec<RoundId> = vec![];
    pub(crate) static NoCommittee: bool = false;
    pub(crate) static Workers: BTreeMap<u64, Roles> = BTreeMap::new();
    /// Workers that miss their heartbeats.
    pub(crate) static Offline: BTreeSet<u64> = BTreeSet::new();
    /// What workers have at stake.
    pub(crate) static AtStake: BTreeMap<u64, u128> = BTreeMap::new();
    /// Why accounts cannot submit, and how many successes and failures those that can have had.
    pub(crate) static Barred: BTreeMap<u64, trust::Refusal> = BTreeMap::new();
    pub(crate) static Records: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
    pub(crate) static Numbers: Pact = pact();
    /// What is left in the pool for learning.
    pub(crate) static LearningPool: u128 = 0;
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

/// A local network's Pact, with terms for rounds that tests can count on.
pub(crate) fn pact() -> Pact {
    let mut pact = Pact::default_for(Network::LOCAL.kind);
    pact.staking.min_worker_bond = BOND;
    let terms = &mut pact.rounds;
    (terms.submission, terms.publication) = (SUBMISSION as u32, PUBLICATION as u32);
    (terms.max_deltas, terms.own_items) = (MAX_DELTAS, OWN_ITEMS);
    (terms.delta_bond, terms.useless_fee, terms.reward) = (BOND, Ppm(250_000), REWARD);
    pact
}

/// All that this pallet reaches other pallets for, but specs.
pub struct Others;

impl Evaluations for Others {
    type Error = DispatchError;

    fn start(id: RoundId) -> Result<(), DispatchError> {
        // Who evaluates a round asks for it and for its deltas.
        let info = <Experts as KeepRounds<u64>>::round(id).unwrap();
        assert!((0..info.deltas).all(|index| <Experts as KeepRounds<u64>>::delta(id, index).is_some()));
        // Written first, to see that it does not stay.
        frame_support::storage::unhashed::put(b"begun", &id);
        if NoCommittee::get() {
            return Err(UNAVAILABLE);
        }
        Started::mutate(|started| started.push(id));
        Ok(())
    }

    fn forget(id: RoundId) {
        Started::mutate(|started| started.retain(|other| *other != id));
    }
}

pub(crate) const UNAVAILABLE: DispatchError = DispatchError::Unavailable;

impl WorkerRegistry<u64> for Others {
    fn key(_: &u64) -> Option<[u8; 32]> {
        None
    }

    fn roles(account: &u64) -> Option<Roles> {
        Workers::get().get(account).copied()
    }

    fn online_roles(account: &u64) -> Option<Roles> {
        Self::roles(account).filter(|_| !Offline::get().contains(account))
    }

    fn tier(_: &u64) -> Option<Tier> {
        None
    }
}

impl Stakes<u64, u128> for Others {
    fn worker_stake(account: &u64) -> u128 {
        AtStake::get().get(account).copied().unwrap_or(0)
    }
}

impl Standings<u64> for Others {
    fn submit(account: &u64) -> Result<(), trust::Refusal> {
        Barred::get().get(account).map_or(Ok(()), |refusal| Err(*refusal))
    }

    fn succeed(account: &u64) {
        Records::mutate(|records| records.entry(*account).or_default().0 += 1);
    }

    fn fail(account: &u64) {
        Records::mutate(|records| records.entry(*account).or_default().1 += 1);
    }

    fn level(_: &u64) -> trust::Level {
        trust::Level::Newcomer
    }

    fn quota_left(_: &u64) -> u32 {
        1
    }
}

impl ItemSets for Others {
    fn training_items(block: ContentHash) -> Option<u32> {
        (block == ITEMS).then_some(100)
    }
}

impl PactProvider for Others {
    fn pact() -> Pact {
        Numbers::get()
    }

    fn network() -> Network {
        Network::LOCAL
    }
}

impl Payout<u64, u128> for Others {
    fn available(pool: Pool) -> u128 {
        assert_eq!(pool, Pool::Learning);
        LearningPool::get()
    }

    fn pay(pool: Pool, to: &u64, amount: u128) -> u128 {
        let paid = amount.min(Self::available(pool));
        Balances::mint_into(to, paid).unwrap();
        LearningPool::mutate(|left| *left -= paid);
        paid
    }
}

#[cfg(feature = "runtime-benchmarks")]
impl crate::BenchmarkHelper<u64> for Specs {
    fn publish_spec() -> SpecId {
        let wide = Dimensions { experts: 64, ..dimensions() };
        set_spec(SUCCESSOR, SUCCESSOR, wide, Life::Published);
        SUCCESSOR
    }

    fn deprecate_spec(spec: SpecId) {
        set_life(spec, Life::Deprecated);
    }

    fn live_slot() -> (SpecId, SlotId) {
        (LINEAGE, slot(0, 0))
    }

    fn add_worker(account: &u64) {
        Workers::mutate(|workers| workers.insert(*account, Roles::ALL));
        Self::add_stake(account);
    }

    fn add_stake(account: &u64) {
        AtStake::mutate(|stakes| *stakes.entry(*account).or_default() += BOND);
    }

    fn training_items() -> ItemRange {
        ItemRange { block: ITEMS, first: 0, count: OWN_ITEMS }
    }

    fn fill_learning_pool() {
        LearningPool::set(REWARD);
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
/// Has too little for a deposit or a bond.
pub(crate) const POOR: u64 = 3;
/// Learners: their workers train and do nothing else.
pub(crate) const LEARNERS: [u64; 5] = [11, 12, 13, 14, 15];
/// Evaluators, who have no worker here.
pub(crate) const EVALUATORS: [u64; 3] = [21, 22, 23];
/// Their workers aggregate, and have [`BOND`] at stake each.
pub(crate) const AGGREGATORS: [u64; 6] = [31, 32, 33, 34, 35, 36];
/// One of them.
pub(crate) const PRIMARY: u64 = 31;
/// What each of them has.
pub(crate) const FUNDS: u128 = 10_000;
/// A training set.
pub(crate) const ITEMS: ContentHash = ContentHash([0x17; 32]);

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

pub(crate) fn signed(who: u64) -> RuntimeOrigin {
    RuntimeOrigin::signed(who)
}

/// The block that every slot holds at first.
pub(crate) fn genesis() -> ContentHash {
    expert(Form::Serving, 0).content_hash()
}

/// Opens a round on a slot of the live spec.
pub(crate) fn open(slot: SlotId) -> RoundId {
    let id = crate::NextRound::<Test>::get();
    Experts::open_round(signed(BOB), slot, LINEAGE).unwrap();
    id
}

/// A delta on the genesis model's experts; `seed` stands for what it changes.
pub(crate) fn delta(seed: u8) -> DeltaHeader {
    DeltaHeader {
        base: genesis(),
        block: ContentHash([seed; 32]),
        serving: ContentHash([seed | 0x80; 32]),
        size: MAX_SIZE,
        codec: Codec::LowRank,
        manifest: [seed; 32],
        data: ItemRange { block: ITEMS, first: 3, count: OWN_ITEMS },
    }
}

pub(crate) fn submit(who: u64, round: RoundId, header: DeltaHeader) -> DispatchResult {
    Experts::submit_delta(signed(who), round, header, None)
}

/// Submits a delta that an aggregator takes over.
pub(crate) fn hand_over(who: u64, round: RoundId, header: DeltaHeader, aggregator: u64) -> DispatchResult {
    Experts::submit_delta(signed(who), round, header, Some(aggregator))
}

pub(crate) fn stand(who: u64) -> DispatchResult {
    Experts::stand(signed(who)).map(|_| ()).map_err(|error| error.error)
}

/// Has a worker keep its heartbeats, or miss them.
pub(crate) fn set_online(who: u64, online: bool) {
    Offline::mutate(|offline| if online { offline.remove(&who) } else { offline.insert(who) });
}

/// Sets what a worker has at stake.
pub(crate) fn set_stake(who: u64, amount: u128) {
    AtStake::mutate(|stakes| stakes.insert(who, amount));
}

/// Opens a round on slot 0/0, and has so many learners submit a delta each.
pub(crate) fn opened_with(deltas: usize) -> RoundId {
    let id = open(slot(0, 0));
    for (seed, learner) in (1..).zip(&LEARNERS[..deltas]) {
        submit(*learner, id, delta(seed)).unwrap();
    }
    id
}

/// The same, and has a committee evaluate it.
pub(crate) fn evaluating(deltas: usize) -> RoundId {
    let id = opened_with(deltas);
    run_to(System::block_number() + SUBMISSION);
    assert!(Started::get().contains(&id));
    id
}

/// What the expert of this seed is accepted as.
pub(crate) fn candidate(seed: u8) -> Candidate {
    let [master, serving] = [Form::Master, Form::Serving].map(|form| expert(form, seed).content_hash());
    Candidate { master, serving, sums: CandidateSums::default() }
}

/// A verdict of all evaluators, each of whom has a vote, with a gain that is paid in full.
pub(crate) fn verdict(deltas: Vec<DeltaOutcome>, candidate: Result<Candidate, Refusal>) -> Verdict<u64> {
    Verdict { deltas, candidate, gain: 100_000, evaluators: EVALUATORS.map(|who| (who, 1)).to_vec() }
}

pub(crate) fn decide(round: RoundId, verdict: Verdict<u64>) {
    <Experts as KeepRounds<u64>>::decided(round, verdict);
}

/// A round in which one delta of the first learner is merged into the expert of seed 1.
pub(crate) fn accepted() -> RoundId {
    let id = evaluating(1);
    decide(id, verdict(vec![DeltaOutcome::Merged(1 << 16)], Ok(candidate(1))));
    id
}

/// Publishes the expert of this seed.
pub(crate) fn publish(who: u64, round: RoundId, seed: u8) -> Result<Option<Weight>, DispatchError> {
    let [master, serving] = [Form::Master, Form::Serving].map(|form| expert(form, seed).encode().try_into().unwrap());
    let post = Experts::publish(signed(who), round, master, serving).map_err(|error| error.error)?;
    Ok(post.actual_weight)
}

pub(crate) fn bond_of(who: u64) -> u128 {
    Balances::balance_on_hold(&crate::HoldReason::DeltaBond.into(), &who)
}

/// Begins blocks up to block `block`.
pub(crate) fn run_to(block: u64) {
    while System::block_number() < block {
        let now = System::block_number() + 1;
        System::set_block_number(now);
        Experts::on_initialize(now);
    }
}

pub(crate) fn genesis_ext(
    blocks: Vec<(ContentHash, BlockRecord)>,
    heads: Vec<(SlotId, ContentHash)>,
) -> sp_io::TestExternalities {
    let rich = [ALICE, BOB, TREASURER].into_iter().chain(AGGREGATORS).chain(LEARNERS).chain(EVALUATORS);
    let balances = rich.map(|who| (who, FUNDS)).chain([(POOR, 50)]).collect();
    let config = RuntimeGenesisConfig {
        system: Default::default(),
        balances: pallet_balances::GenesisConfig { balances, ..Default::default() },
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
    let learners = LEARNERS.into_iter().chain([POOR]).map(|who| (who, Roles::TRAIN));
    Workers::set(learners.chain(AGGREGATORS.map(|who| (who, Roles::AGGREGATE))).collect());
    ExistentialDeposit::set(1);
    Remembered::set(HISTORY);
    MostRounds::set(MAX_ROUNDS);
    MostEndings::set(MAX_ENDINGS);
    MostStanding::set(MAX_STANDING);
    Offline::set(BTreeSet::new());
    AtStake::set(AGGREGATORS.map(|who| (who, BOND)).into());
    Started::set(vec![]);
    NoCommittee::set(false);
    Barred::set(BTreeMap::new());
    Records::set(BTreeMap::new());
    Numbers::set(pact());
    LearningPool::set(1_000_000);
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
