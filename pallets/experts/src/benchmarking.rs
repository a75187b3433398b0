//! Benchmarks of the calls, each at its worst case.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    missing_docs,
    reason = "never part of a chain's runtime; what the macros make has no documentation"
)]

use crate::{
    pallet::*, Accepted, Candidacy, Delta, Head, Outcome, Phase, Round, MAX_EVALUATORS, MAX_FORMER_HEADS, PRIMARIES,
    SWEPT_ROUNDS,
};
use alloc::{format, string::String, vec, vec::Vec};
use blyan_primitives::{
    block::{
        header_hash, BlockHeader, BlockKind, DType, Form, Layout, PayloadType, Quantisation, TensorInfo,
        MAX_ONCHAIN_HEADER_LEN, TENSOR_ALIGN,
    },
    ids::{ContentHash, SlotId, SpecId, TileRoot},
    learning::{Codec, DeltaHeader, DeltaOutcome, ItemRange, RoundId, Rounds as KeepRounds, Verdict},
    pol::{Refusal, FULL_GAIN, MAX_DELTAS},
    spec::Dimensions,
    traits::{BlockUses, SlotHeads, SpecRegistry},
};
use codec::Encode;
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::{Get, Hooks},
    storage::unhashed,
    traits::{
        fungible::{Inspect, Mutate},
        EnsureOrigin,
    },
    BoundedVec,
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use polkadot_sdk::*;
use sp_runtime::{traits::Saturating, DispatchError};

/// What benchmarks need of the runtime.
pub trait BenchmarkHelper<AccountId> {
    /// Publishes a spec without parent, none of whose slots is filled. Called once.
    fn publish_spec() -> SpecId;

    /// Deprecates that spec.
    fn deprecate_spec(spec: SpecId);

    /// A live spec, and a slot of it whose head was derived from a master that the chain vouches for.
    fn live_slot() -> (SpecId, SlotId);

    /// Gives an account a worker with every role that is online, and as much at stake as the Pact asks of workers.
    fn add_worker(account: &AccountId);

    /// Puts as much again at stake for it.
    fn add_stake(account: &AccountId);

    /// Items of a registered training set, as many as evaluators draw of them at most.
    fn training_items() -> ItemRange;

    /// Puts money into the pool for learning, as much as a round pays at most.
    fn fill_learning_pool();
}

/// A header of `tensors` small tensors: the more there are in a byte, the more there is to check.
fn header(form: Form, tensors: u32) -> Vec<u8> {
    let tensor = |i: u32| TensorInfo {
        name: format!("{i:x}"),
        dtype: DType::U8,
        layout: Layout::RowMajor,
        shape: vec![1],
        offset: u64::from(i) * TENSOR_ALIGN,
        length: 1,
    };
    BlockHeader {
        payload: PayloadType::TensorBlock,
        kind: BlockKind::Trunk,
        form,
        quantisation: Quantisation::None,
        arch: String::new(),
        engine: Vec::new(),
        tensors: (0..tensors).map(tensor).collect(),
        data_len: u64::from(tensors.saturating_sub(1)) * TENSOR_ALIGN + 1,
        root: TileRoot([7; 32]),
    }
    .encode()
}

/// An account that can pay for a few blocks.
fn funded<T: Config<Currency: Mutate<T::AccountId>>>() -> T::AccountId {
    let who = whitelisted_caller::<T::AccountId>();
    let amount = (T::BlockDeposit::get() + T::Currency::minimum_balance()) * 10;
    T::Currency::set_balance(&who, amount);
    who
}

fn register<T: Config>(
    who: &T::AccountId,
    header: Vec<u8>,
    master: Option<ContentHash>,
) -> Result<ContentHash, BenchmarkError> {
    let block = header_hash(&header);
    Pallet::<T>::do_register(who.clone(), &header, master, None)?;
    Ok(block)
}

/// Header of an expert that the slots of a model can hold.
fn expert_header(dimensions: &Dimensions) -> Result<BlockHeader, BenchmarkError> {
    let (ffn, hidden) = (dimensions.ffn, dimensions.hidden);
    let mut header = BlockHeader {
        payload: PayloadType::TensorBlock,
        kind: BlockKind::Expert,
        form: Form::Serving,
        quantisation: Quantisation::PerChannel,
        arch: String::new(),
        engine: Vec::new(),
        tensors: Vec::new(),
        data_len: 0,
        root: TileRoot([8; 32]),
    };
    for (name, rows, k) in [("gate", ffn, hidden), ("up", ffn, hidden), ("down", hidden, ffn)] {
        for (name, dtype, layout, shape) in [
            (String::from(name), DType::Int8, Layout::Rows16K4, vec![rows, k]),
            (format!("{name}.scale"), DType::F32, Layout::RowMajor, vec![rows]),
        ] {
            add_tensor(&mut header, name, dtype, layout, shape)?;
        }
    }
    Ok(header)
}

fn add_tensor(
    header: &mut BlockHeader,
    name: String,
    dtype: DType,
    layout: Layout,
    shape: Vec<u32>,
) -> Result<(), BenchmarkError> {
    let offset = header.data_len.next_multiple_of(TENSOR_ALIGN);
    let length = TensorInfo::bytes(dtype, layout, &shape).ok_or("a tensor of a sound spec")?;
    header.data_len = offset + length;
    header.tensors.push(TensorInfo { name, dtype, layout, shape, offset, length });
    Ok(())
}

/// Adds as many small tensors to a header as fit into so many bytes.
fn filled(mut header: BlockHeader, bytes: u32) -> Result<HeaderBytes, BenchmarkError> {
    let bytes = bytes as usize;
    let add = |header: &mut BlockHeader| {
        let name = format!("{:x}", header.tensors.len());
        add_tensor(header, name, DType::U8, Layout::RowMajor, vec![1])
    };
    // One takes at most 27 bytes.
    for _ in 0..bytes.saturating_sub(header.encoded_size()) / 27 {
        add(&mut header)?;
    }
    loop {
        let mut more = header.clone();
        add(&mut more)?;
        if more.encoded_size() > bytes {
            break;
        }
        header = more;
    }
    header.encode().try_into().map_err(|_| "the header is longer than allowed".into())
}

/// Registers an expert that the slots of a spec can hold.
fn expert<T: Config>(who: &T::AccountId, spec: SpecId) -> Result<ContentHash, BenchmarkError> {
    let (_, dimensions) = T::Specs::known_spec(spec).ok_or("the spec is published")?;
    register::<T>(who, expert_header(&dimensions)?.encode(), None)
}

/// Has a slot's head derived from `master`, and its past remembered for as long as it can be.
fn give_past<T: Config>(slot: SlotId, master: ContentHash) -> Result<(), BenchmarkError> {
    Pallet::<T>::acquire(master).map_err(|_| "the master is registered")?;
    Masters::<T>::insert(slot, master);
    let former = |moves| Head { block: ContentHash([moves as u8; 32]), since: now::<T>(), moves };
    let heads = (0..MAX_FORMER_HEADS).map(former).collect::<Vec<_>>();
    FormerHeads::<T>::insert(slot, BoundedVec::truncate_from(heads));
    Heads::<T>::mutate(slot, |head| {
        if let Some(head) = head.as_mut() {
            head.moves = MAX_FORMER_HEADS;
        }
    });
    Ok(())
}

fn now<T: Config>() -> BlockNumberFor<T> {
    frame_system::Pallet::<T>::block_number()
}

/// An account with enough for bonds and deposits.
fn rich<T: Config<Currency: Mutate<T::AccountId>>>(name: &'static str, number: u32) -> T::AccountId {
    let who = account::<T::AccountId>(name, number, 0);
    let bond = <T::Pact as blyan_primitives::traits::PactProvider>::pact().rounds.delta_bond;
    T::Currency::set_balance(&who, (bond + T::BlockDeposit::get() + T::Currency::minimum_balance()) * 10);
    who
}

/// Aggregators that stand for election, can be elected, and have enough for bonds and deposits.
fn aggregators<T: Config<Currency: Mutate<T::AccountId>>>(count: u32) -> Result<Vec<T::AccountId>, BenchmarkError> {
    let mut all = Vec::new();
    for number in 0..count {
        let who = rich::<T>("aggregator", number);
        T::BenchmarkHelper::add_worker(&who);
        Pallet::<T>::do_stand(who.clone())?;
        all.push(who);
    }
    Ok(all)
}

/// Opens a round that takes as many deltas as one can.
fn open<T: Config>() -> Result<RoundId, BenchmarkError> {
    let (spec, slot) = T::BenchmarkHelper::live_slot();
    Pallet::<T>::do_open_round(slot, spec)?;
    let id = NextRound::<T>::get() - 1;
    change::<T>(id, |round| round.terms.max_deltas = MAX_DELTAS)?;
    Ok(id)
}

fn change<T: Config>(id: RoundId, change: impl FnOnce(&mut RoundOf<T>)) -> Result<(), BenchmarkError> {
    let mut round = Rounds::<T>::get(id).ok_or("the round exists")?;
    change(&mut round);
    Rounds::<T>::insert(id, round);
    Ok(())
}

/// A delta like no other but `number`.
fn delta<T: Config>(base: ContentHash, number: u32) -> DeltaHeader {
    let mut name = [0xde; 32];
    for (byte, value) in name.iter_mut().zip(number.to_le_bytes()) {
        *byte = value;
    }
    DeltaHeader {
        base,
        block: ContentHash(name),
        serving: ContentHash(name),
        size: T::MaxDeltaSize::get(),
        codec: Codec::LowRank,
        manifest: [6; 32],
        data: T::BenchmarkHelper::training_items(),
    }
}

/// Puts so many deltas into a round, with the bonds held. Each is taken over by an aggregator of its own.
fn submit<T: Config<Currency: Mutate<T::AccountId>>>(id: RoundId, count: u32) -> Result<(), BenchmarkError> {
    let round = Rounds::<T>::get(id).ok_or("the round exists")?;
    let mut deltas = DeltasOf::<T>::default();
    for number in 0..count {
        let learner = rich::<T>("learner", number);
        Pallet::<T>::hold_bond(&learner, round.terms.bond)?;
        let aggregator = Some(rich::<T>("takes over", number));
        let delta = Delta { learner, header: delta::<T>(round.base, number), aggregator, outcome: None };
        deltas.try_push(delta).map_err(|_| "a round takes as many deltas")?;
    }
    Deltas::<T>::insert(id, deltas);
    Ok(())
}

/// As if a committee evaluated the round.
fn evaluate<T: Config>(id: RoundId) -> Result<(), BenchmarkError> {
    change::<T>(id, |round| {
        if let Some(until) = round.due() {
            Agenda::<T>::remove(until, id);
        }
        round.phase = Phase::Evaluating;
    })
}

/// Accounts that have evaluated a round.
fn committee<T: Config<Currency: Mutate<T::AccountId>>>(count: u32) -> Vec<(T::AccountId, u32)> {
    (0..count).map(|number| (rich::<T>("evaluator", number), 1)).collect()
}

/// As if a committee of so many had accepted a round with so many deltas, all of them merged, and everybody had let the first
/// window pass: every primary has a delay.
fn accept<T: Config<Currency: Mutate<T::AccountId>>>(
    id: RoundId,
    deltas: u32,
    evaluators: u32,
    master: ContentHash,
    serving: ContentHash,
) -> Result<(), BenchmarkError> {
    submit::<T>(id, deltas)?;
    evaluate::<T>(id)?;
    let begun = now::<T>();
    let primary_until = begun.saturating_add(PRIMARIES.into());
    let until = primary_until.saturating_add(PRIMARIES.into());
    let accepted = Accepted { master, serving, gain: FULL_GAIN.into() };
    change::<T>(id, |round| {
        round.terms.publication = PRIMARIES;
        round.phase = Phase::Accepted { accepted, primary_until, until };
    })?;
    frame_system::Pallet::<T>::set_block_number(primary_until);
    Agenda::<T>::insert(until, id, ());
    Evaluators::<T>::insert(id, BoundedVec::truncate_from(committee::<T>(evaluators)));
    Deltas::<T>::mutate(id, |all| {
        for delta in all.iter_mut() {
            delta.outcome = Some(DeltaOutcome::Merged((1 << 16) / deltas));
        }
    });
    Ok(())
}

/// Whether all primaries have published as late as can be, or not at all.
fn are_late<T: Config>(primaries: &[T::AccountId]) -> bool {
    primaries.len() == PRIMARIES as usize
        && primaries.iter().all(|who| Candidacies::<T>::get(who).is_some_and(|candidacy| candidacy.delay > 0))
}

/// Begins the block that a round waits for.
fn next_phase<T: Config>(id: RoundId) -> Result<(), BenchmarkError> {
    let due = Rounds::<T>::get(id).and_then(|round| round.due()).ok_or("the round waits for a block")?;
    frame_system::Pallet::<T>::set_block_number(due);
    Pallet::<T>::on_initialize(due);
    Ok(())
}

fn outcome<T: Config>(id: RoundId) -> Option<Outcome> {
    match Rounds::<T>::get(id)?.phase {
        Phase::Over { outcome, .. } => Some(outcome),
        _ => None,
    }
}

#[benchmarks(where T: Config<Currency: Mutate<T::AccountId>>)]
mod benchmarks {
    use super::*;

    /// `h`: bytes of the header.
    #[benchmark]
    fn register(h: Linear<128, MAX_ONCHAIN_HEADER_LEN>) -> Result<(), BenchmarkError> {
        let owner = funded::<T>();
        let master = super::register::<T>(&owner, header(Form::Master, 1), None)?;
        // As many tensors as fit: one takes at most 27 bytes.
        let mut tensors = h / 27;
        while header(Form::Serving, tensors + 1).len() <= h as usize {
            tensors += 1;
        }
        let header = header(Form::Serving, tensors.max(1));
        let block = header_hash(&header);
        let header = HeaderBytes::try_from(header).map_err(|_| "the header is longer than allowed")?;

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), header, Some(master), Some([1; 32]));

        assert!(Blocks::<T>::contains_key(block));
        Ok(())
    }

    #[benchmark]
    fn unregister() -> Result<(), BenchmarkError> {
        let owner = funded::<T>();
        let master = super::register::<T>(&owner, header(Form::Master, 1), None)?;
        let block = super::register::<T>(&owner, header(Form::Serving, 1), Some(master))?;

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), block);

        assert!(!Blocks::<T>::contains_key(block));
        Ok(())
    }

    #[benchmark]
    fn fill_head() -> Result<(), BenchmarkError> {
        let origin = T::GovernanceOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let spec = T::BenchmarkHelper::publish_spec();
        let block = expert::<T>(&funded::<T>(), spec)?;

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, spec, 0, 0, block);

        assert_eq!(Filled::<T>::iter_prefix(spec).next(), Some((0, 1)));
        Ok(())
    }

    /// `n`: slots that are emptied, each of another layer and with a past.
    #[benchmark]
    fn release_heads(n: Linear<1, { T::MaxReleased::get() }>) -> Result<(), BenchmarkError> {
        let caller = funded::<T>();
        let spec = T::BenchmarkHelper::publish_spec();
        let block = expert::<T>(&caller, spec)?;
        let master = super::register::<T>(&caller, header(Form::Master, 1), None)?;
        let (_, dimensions) = T::Specs::known_spec(spec).ok_or("the spec is published")?;
        for i in 0..n {
            let (layer, index) = (i % u32::from(dimensions.layers), i / u32::from(dimensions.layers));
            let (layer, index) = (layer as u16, index as u16);
            <Pallet<T> as SlotHeads>::fill_head(spec, layer, index, block).map_err(DispatchError::from)?;
            give_past::<T>(SlotId { lineage: spec, layer, index }, master)?;
        }
        T::BenchmarkHelper::deprecate_spec(spec);

        #[extrinsic_call]
        _(RawOrigin::Signed(caller), spec, n);

        assert!(Filled::<T>::iter_prefix(spec).next().is_none());
        Ok(())
    }

    /// `n`: aggregators that stand for election, all of which can be elected.
    #[benchmark]
    fn open_round(n: Linear<0, { T::MaxStanding::get() }>) -> Result<(), BenchmarkError> {
        let caller = funded::<T>();
        let (spec, slot) = T::BenchmarkHelper::live_slot();
        aggregators::<T>(n)?;
        let id = NextRound::<T>::get();

        #[extrinsic_call]
        _(RawOrigin::Signed(caller), slot, spec);

        assert!(Ongoing::<T>::contains_key(slot));
        assert_eq!(Primaries::<T>::get(id).len() as u32, n.min(PRIMARIES));
        Ok(())
    }

    // The last delta that the round takes: it is compared with all others.
    #[benchmark]
    fn submit_delta() -> Result<(), BenchmarkError> {
        let learner = rich::<T>("last", 0);
        T::BenchmarkHelper::add_worker(&learner);
        let aggregator = aggregators::<T>(1)?.pop();
        let id = open::<T>()?;
        submit::<T>(id, MAX_DELTAS - 1)?;
        let base = Rounds::<T>::get(id).ok_or("the round exists")?.base;
        let header = delta::<T>(base, MAX_DELTAS);

        #[extrinsic_call]
        _(RawOrigin::Signed(learner), id, header, aggregator);

        assert_eq!(Deltas::<T>::decode_len(id), Some(MAX_DELTAS as usize));
        Ok(())
    }

    /// `h`: bytes of both headers. `d`: deltas, all of them merged, each taken over by another aggregator. `e`: evaluators.
    #[benchmark]
    fn publish(
        h: Linear<1024, { 2 * MAX_ONCHAIN_HEADER_LEN }>,
        d: Linear<1, MAX_DELTAS>,
        e: Linear<1, MAX_EVALUATORS>,
    ) -> Result<(), BenchmarkError> {
        T::BenchmarkHelper::fill_learning_pool();
        aggregators::<T>(PRIMARIES)?;
        let id = open::<T>()?;
        let primaries = Primaries::<T>::get(id);
        // Whether it is the turn of the last one depends on all others.
        let publisher = primaries.last().ok_or("aggregators stand")?.clone();
        let Round { slot, spec, .. } = Rounds::<T>::get(id).ok_or("the round exists")?;
        let former = super::register::<T>(&funded::<T>(), header(Form::Master, 1), None)?;
        give_past::<T>(slot, former)?;
        let (_, dimensions) = T::Specs::known_spec(spec).ok_or("the spec is live")?;
        let serving = expert_header(&dimensions)?;
        let master = BlockHeader { form: Form::Master, quantisation: Quantisation::None, ..serving.clone() };
        let (master, serving) = (filled(master, h / 2)?, filled(serving, h / 2)?);
        accept::<T>(id, d, e, header_hash(&master), header_hash(&serving))?;
        let head = header_hash(&serving);
        let taken_over = Deltas::<T>::get(id).into_iter().filter_map(|delta| delta.aggregator);
        let before = taken_over.map(|who| (T::Currency::balance(&who), who)).collect::<Vec<_>>();

        #[extrinsic_call]
        _(RawOrigin::Signed(publisher), id, master, serving);

        assert_eq!(Heads::<T>::get(slot).map(|head| head.block), Some(head));
        assert!(before.len() == d as usize && before.iter().all(|(before, who)| T::Currency::balance(who) > *before));
        assert!(are_late::<T>(&primaries));
        Ok(())
    }

    /// `n`: aggregators that stand for election already, one of which makes room.
    #[benchmark]
    fn stand(n: Linear<0, { T::MaxStanding::get() }>) -> Result<(), BenchmarkError> {
        let who = rich::<T>("stands", 0);
        T::BenchmarkHelper::add_worker(&who);
        T::BenchmarkHelper::add_stake(&who);
        aggregators::<T>(n)?;
        // They are only looked at when no place is free: else the cost would rise with the last one alone.
        if n > 0 {
            unhashed::put(&Candidacies::<T>::counter_storage_final_key(), &T::MaxStanding::get());
        }

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(Candidacies::<T>::contains_key(&who));
        assert_eq!(Candidacies::<T>::iter_keys().count() as u32, n.max(1));
        Ok(())
    }

    // Of an account that could not stand now, by another one.
    #[benchmark]
    fn stand_down() -> Result<(), BenchmarkError> {
        let (caller, who) = (funded::<T>(), account::<T::AccountId>("stands", 0, 0));
        Candidacies::<T>::insert(&who, Candidacy { delay: 0 });

        #[extrinsic_call]
        _(RawOrigin::Signed(caller), who.clone());

        assert!(!Candidacies::<T>::contains_key(&who));
        Ok(())
    }

    /// `d`: deltas, each of which loses a part of its bond. `e`: evaluators, who get those parts.
    #[benchmark]
    fn decide_round(d: Linear<1, MAX_DELTAS>, e: Linear<1, MAX_EVALUATORS>) -> Result<(), BenchmarkError> {
        let id = open::<T>()?;
        submit::<T>(id, d)?;
        evaluate::<T>(id)?;
        let deltas = vec![DeltaOutcome::Refused(Refusal::NoGain); d as usize];
        let candidate = Err(Refusal::NothingMerged);
        let verdict = Verdict { deltas, candidate, gain: 0, evaluators: committee::<T>(e) };

        #[block]
        {
            <Pallet<T> as KeepRounds<T::AccountId>>::decided(id, verdict);
        }

        assert_eq!(outcome::<T>(id), Some(Outcome::Rejected(Refusal::NothingMerged)));
        Ok(())
    }

    /// `d`: deltas, whose bonds are returned.
    #[benchmark]
    fn fail_round(d: Linear<1, MAX_DELTAS>) -> Result<(), BenchmarkError> {
        let id = open::<T>()?;
        submit::<T>(id, d)?;
        evaluate::<T>(id)?;

        #[block]
        {
            <Pallet<T> as KeepRounds<T::AccountId>>::failed(id);
        }

        assert_eq!(outcome::<T>(id), Some(Outcome::Failed));
        Ok(())
    }

    // Nothing is due, and what was left over is done.
    #[benchmark]
    fn agenda() {
        let block = now::<T>();
        Behind::<T>::put(block);

        #[block]
        {
            Pallet::<T>::on_initialize(block);
        }

        assert!(!Behind::<T>::exists());
    }

    #[benchmark]
    fn agenda_block() {
        let block = now::<T>();

        #[block]
        {
            Pallet::<T>::on_initialize(block);
        }

        assert!(!Behind::<T>::exists());
    }

    #[benchmark]
    fn end_empty_round() -> Result<(), BenchmarkError> {
        let id = open::<T>()?;

        #[block]
        {
            next_phase::<T>(id)?;
        }

        assert_eq!(outcome::<T>(id), Some(Outcome::Empty));
        Ok(())
    }

    // Whether somebody evaluates the round is the other pallet's affair.
    #[benchmark]
    fn start_evaluation() -> Result<(), BenchmarkError> {
        let id = open::<T>()?;
        submit::<T>(id, 1)?;

        #[block]
        {
            next_phase::<T>(id)?;
        }

        assert!(Rounds::<T>::get(id).is_some_and(|round| !matches!(round.phase, Phase::Open { .. })));
        Ok(())
    }

    #[benchmark]
    fn lapse_round() -> Result<(), BenchmarkError> {
        aggregators::<T>(PRIMARIES)?;
        let id = open::<T>()?;
        let primaries = Primaries::<T>::get(id);
        accept::<T>(id, 1, MAX_EVALUATORS, ContentHash([1; 32]), ContentHash([2; 32]))?;

        #[block]
        {
            next_phase::<T>(id)?;
        }

        assert!(matches!(outcome::<T>(id), Some(Outcome::Lapsed(_))));
        assert!(are_late::<T>(&primaries));
        Ok(())
    }

    /// `n`: rounds that are removed, of those that are looked at, with as many deltas as there can be.
    #[benchmark]
    fn sweep_rounds(n: Linear<0, SWEPT_ROUNDS>) -> Result<(), BenchmarkError> {
        let id = open::<T>()?;
        submit::<T>(id, MAX_DELTAS)?;
        let (round, deltas) = (Rounds::<T>::get(id).ok_or("the round exists")?, Deltas::<T>::get(id));
        for other in 0..SWEPT_ROUNDS {
            let at = if other < n { Default::default() } else { T::RoundRetention::get() };
            let over = Phase::Over { outcome: Outcome::Failed, at };
            Rounds::<T>::insert(id + other, Round { phase: over, ..round });
            Deltas::<T>::insert(id + other, deltas.clone());
        }

        #[block]
        {
            Pallet::<T>::sweep_rounds(T::RoundRetention::get());
        }

        assert_eq!(Rounds::<T>::iter_keys().count() as u32, SWEPT_ROUNDS - n);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
