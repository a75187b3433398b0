//! Benchmarks of calls and hooks, each at its worst case: with the largest committee, no two of which have found the same.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    reason = "never part of a chain's runtime; what the macros make has no documentation"
)]

use crate::{
    pallet::*, Committee, Due, Enrolment, EvaluationId, Phase, Purpose, RevealEntry, Seat, TraceEntry, MAX_COMMITTEE,
    MAX_SCORES,
};
use alloc::{boxed::Box, string::String, vec, vec::Vec};
use blyan_primitives::{
    block::{BlockHeader, BlockKind, DType, Form, Layout as TensorLayout, PayloadType, Quantisation, TensorInfo},
    dispute::{
        example::{self, Library, World},
        gather, Evidence, Game, LeafRun, Move, Side, TOKENS,
    },
    ids::{ContentHash, SpecId, TileRoot},
    learning::{Evaluations as _, ItemRange, RoundId},
    merkle::{Digest, Tree},
    pol::{
        commitment, put_stake, Candidate, CandidateSums, DeltaFinding, DeltaSums, Finding, ItemBlock, Layout, Reveal,
        Scores, MAX_DELTAS, MAX_LEAVES,
    },
    soft_float::F32,
    spec::Dimensions,
    trace::{Step, Trace},
};
use codec::Encode;
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::{Get, Hooks},
    traits::EnsureOrigin,
    BoundedVec,
};
use frame_system::RawOrigin;
use polkadot_sdk::*;
use sp_runtime::DispatchError;

/// What benchmarks need of the runtime.
pub trait BenchmarkHelper<AccountId> {
    /// Gives an account a worker that evaluates, with enough at stake.
    fn add_evaluator(account: &AccountId);

    /// Has a live spec of these dimensions.
    fn publish_spec(dimensions: &Dimensions) -> SpecId;

    /// Registers a block.
    fn register(header: &BlockHeader);

    /// Has a round with so many deltas that is evaluated in a spec.
    fn evaluated_round(spec: SpecId, deltas: u32) -> RoundId;

    /// Has randomness of which nobody knew anything in block 0.
    fn provide_seed();
}

/// Of a model whose context holds an item.
fn dimensions<T: Config>() -> Dimensions {
    Dimensions { context: T::ItemTokens::get(), ..example::dimensions() }
}

/// Items of each block of items: as many as there are draws from at most.
const ITEMS: u32 = 1 << 20;

/// Header of a block of items.
fn items<T: Config>(number: u8) -> BlockHeader {
    let shape = vec![ITEMS, T::ItemTokens::get()];
    let length = TensorInfo::bytes(DType::U32, TensorLayout::RowMajor, &shape).unwrap();
    BlockHeader {
        payload: PayloadType::TensorBlock,
        kind: BlockKind::Items,
        form: Form::Serving,
        quantisation: Quantisation::None,
        arch: String::new(),
        engine: Vec::new(),
        tensors: vec![TensorInfo {
            name: TOKENS.into(),
            dtype: DType::U32,
            layout: TensorLayout::RowMajor,
            shape,
            offset: 0,
            length,
        }],
        data_len: length,
        root: TileRoot([number; 32]),
    }
}

fn items_block(number: u8) -> ContentHash {
    ContentHash([number; 32])
}

/// A layout with so many cells, and no candidate.
fn layout_of<T: Config>(cells: u32) -> Layout {
    // Of each set one item more is so many cells.
    let each = 3 + 4 * MAX_DELTAS;
    let (items, rest) = (cells / each, cells % each);
    let positions = T::ItemTokens::get() - 1;
    let last = items + rest;
    let layout = Layout { trial: items, last, general: items, own: items, deltas: MAX_DELTAS, positions };
    assert_eq!(layout.without_candidate(), cells);
    layout
}

/// The evaluation of a round of as many deltas as there can be, in some phase of it that ends in block `until`, and of as
/// many cells as there can be.
fn evaluation<T: Config>(phase: Phase) -> Result<EvaluationId, BenchmarkError> {
    let spec = T::BenchmarkHelper::publish_spec(&dimensions::<T>());
    let id = T::BenchmarkHelper::evaluated_round(spec, MAX_DELTAS);
    stock::<T>();
    Pallet::<T>::start(id).map_err(|_| "the round is evaluated")?;
    let mut evaluation = Evaluations::<T>::get(id).unwrap();
    if let Phase::Games(_) | Phase::Over = phase {
        Agenda::<T>::remove(evaluation.until, Due::Phase(id));
    }
    evaluation.phase = phase;
    evaluation.learning.committee = MAX_COMMITTEE;
    let items = MAX_SCORES / (3 + 4 * MAX_DELTAS + 2);
    let positions = T::ItemTokens::get() - 1;
    evaluation.layout = Layout { trial: items, last: items, general: items, own: items, deltas: MAX_DELTAS, positions };
    let own = ItemRange { block: items_block(1), first: 0, count: ITEMS };
    evaluation.deltas = BoundedVec::truncate_from((0..MAX_DELTAS).map(|index| (index, own)).collect());
    Evaluations::<T>::insert(id, evaluation);
    Ok(id)
}

/// There are items to draw.
fn stock<T: Config>() {
    for (number, purpose) in [(2, Purpose::HeldOut), (3, Purpose::General)] {
        let block = ItemBlock { block: items_block(number), items: ITEMS };
        Drawable::<T>::insert(purpose, BoundedVec::truncate_from(vec![block]));
    }
}

/// A hidden set whose steward is the caller.
fn hide<T: Config>() -> Result<ContentHash, BenchmarkError> {
    let header = items::<T>(1);
    T::BenchmarkHelper::register(&header);
    let block = header.content_hash();
    Pallet::<T>::do_add_hidden_set(block, ContentHash([9; 32]), whitelisted_caller())?;
    Ok(block)
}

fn evaluator<T: Config>(number: u32) -> Result<T::AccountId, BenchmarkError> {
    let who = account::<T::AccountId>("evaluator", number, 0);
    T::BenchmarkHelper::add_evaluator(&who);
    Pallet::<T>::do_enrol(who.clone())?;
    Ok(who)
}

/// Puts so many members on the committee.
fn seat<T: Config>(
    id: EvaluationId,
    members: u32,
    seat: impl Fn(u32) -> Seat,
) -> Result<Vec<T::AccountId>, BenchmarkError> {
    let mut seated = Vec::new();
    for number in 0..members {
        let who = evaluator::<T>(number)?;
        Seats::<T>::insert(id, &who, seat(number));
        Pallet::<T>::count_seat(&who, true);
        seated.push(who);
    }
    Committees::<T>::insert(id, Committee { members, votes: members });
    Ok(seated)
}

/// Different for different numbers.
fn name(number: u32) -> [u8; 32] {
    let mut name = [0xab; 32];
    name[..4].copy_from_slice(&number.to_le_bytes());
    name
}

/// What a member finds: that deltas are copies when `copies`, and sound otherwise, and what they merge into.
fn reveal(copies: bool, candidate: Option<u8>) -> Reveal {
    let finding = if copies { Finding::Copy(0) } else { Finding::Sound };
    let delta = DeltaFinding { finding, sums: DeltaSums::default() };
    let candidate = candidate.map(|number| Candidate {
        master: ContentHash([number; 32]),
        serving: ContentHash([number; 32]),
        sums: CandidateSums::default(),
    });
    Reveal { scores: [0; 32], deltas: BoundedVec::truncate_from(vec![delta; MAX_DELTAS as usize]), candidate }
}

fn put_reveal<T: Config>(id: EvaluationId, number: u32, reveal: Reveal, posted: bool) {
    Reveals::<T>::insert(id, name(number), RevealEntry { reveal, votes: 1, posted });
}

/// As many as may differ while the others are still enough.
const MINORITY: u32 = (MAX_COMMITTEE - 1) / 3;

/// Ends what is due in the block in which an evaluation's phase ends.
fn end_phase<T: Config>(id: EvaluationId) {
    let until = Evaluations::<T>::get(id).unwrap().until;
    frame_system::Pallet::<T>::set_block_number(until);
    Pallet::<T>::on_initialize(until);
}

fn phase<T: Config>(id: EvaluationId) -> Phase {
    Evaluations::<T>::get(id).unwrap().phase
}

/// Two traces that differ in a sum of exponentials, which takes longest to compute of all values.
struct Rivals<'a> {
    shape: Trace,
    trails: [example::Trail<'a>; 2],
    trees: [Tree; 2],
}

impl<'a> Rivals<'a> {
    fn new<T: Config>(world: &'a World) -> Self {
        let shape = Trace::new(dimensions::<T>(), T::ItemTokens::get()).unwrap();
        let first = world.blank(&shape);
        let mut second = first.clone();
        second.leaves[shape.first_leaf(Step::ExpSums).unwrap() as usize][0] = 0;
        let trees = [first.tree(), second.tree()];
        Self { shape, trails: [first, second], trees }
    }

    fn root(&self, side: Side) -> Digest {
        self.trees[side as usize].root()
    }

    fn told(&self, game: &Game, side: Side) -> Option<Move> {
        self.trails[side as usize].told(&self.trees[side as usize], game)
    }

    /// Most hashes of a move of theirs.
    fn longest(&self) -> usize {
        let mut game = Game::new(&self.shape, self.root(Side::First), self.root(Side::Second)).unwrap();
        let mut longest = 0;
        while let Some(Move::Nodes(nodes)) = self.told(&game, Side::First) {
            longest = longest.max(nodes.len());
            for side in Side::BOTH {
                game.play(&self.shape, side, self.told(&game, side).unwrap()).unwrap();
            }
        }
        longest
    }

    /// A game, and the cell that it is for: up to where `ends` says so, before the second side moves.
    fn put<T: Config>(&self, id: EvaluationId, ends: impl Fn(&Game) -> bool) {
        let mut game = Game::new(&self.shape, self.root(Side::First), self.root(Side::Second)).unwrap();
        while !ends(&game) {
            for side in Side::BOTH {
                if ends(&game) {
                    break;
                }
                let told = self.told(&game, side).unwrap();
                game.play(&self.shape, side, told).unwrap();
            }
        }
        let cell = Evaluations::<T>::get(id).unwrap().layout.cell(0).unwrap();
        let until = Evaluations::<T>::get(id).unwrap().until;
        Games::<T>::insert(id, 0, GameOf::<T> { cell, game, until, right: None });
        Agenda::<T>::insert(until, Due::Move(id, 0), ());
        for side in Side::BOTH {
            Traces::<T>::insert(id, self.root(side), TraceEntry { score: side as u64, game: Some(0) });
        }
    }

    /// The evidence, with so much that it would not need that it has about `bytes` bytes.
    fn evidence(&self, world: &World, game: &Game, bytes: u32) -> Evidence {
        let (word, _) = game.word().unwrap();
        let (trail, tree) = (&self.trails[0], &self.trees[0]);
        let mut library = Library { trail, tree };
        let mut evidence = gather::<F32, _, _>(&self.shape, word, world, world.item, &mut library).unwrap();
        // The last row of logits is not among what the first sum is computed from.
        let end = self.shape.first_leaf(Step::LogitMaxima).unwrap();
        let logits = end - self.shape.first_leaf(Step::Logits).unwrap();
        let leaves = (u64::from(bytes).saturating_sub(evidence.encoded_size() as u64) / 1024).min(logits);
        let range = end - leaves..end;
        let words = trail.leaves[range.start as usize..end as usize].concat();
        evidence.leaves.push(LeafRun { first: range.start, words, proof: tree.prove(range).unwrap() });
        evidence
    }
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn enrol() -> Result<(), BenchmarkError> {
        let who = whitelisted_caller::<T::AccountId>();
        T::BenchmarkHelper::add_evaluator(&who);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(Evaluators::<T>::contains_key(who));
        Ok(())
    }

    // Another evaluator takes over its leaf.
    #[benchmark]
    fn leave() -> Result<(), BenchmarkError> {
        let who = evaluator::<T>(0)?;
        evaluator::<T>(1)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(!Evaluators::<T>::contains_key(who));
        Ok(())
    }

    // It is struck off.
    #[benchmark]
    fn refresh() -> Result<(), BenchmarkError> {
        let caller = whitelisted_caller::<T::AccountId>();
        let who = account::<T::AccountId>("poor", 0, 0);
        Leaves::<T>::insert(0, &who);
        Enrolled::<T>::put(1);
        Evaluators::<T>::insert(&who, Enrolment { leaf: 0, stake: 1, seats: 0 });
        put_stake(&mut crate::evaluators::StakeTree::<T>::new(), 0, 1);
        evaluator::<T>(1)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(caller), who.clone());

        assert!(!Evaluators::<T>::contains_key(who));
        Ok(())
    }

    #[benchmark]
    fn add_set() -> Result<(), BenchmarkError> {
        let origin = T::GovernanceOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let header = items::<T>(1);
        T::BenchmarkHelper::register(&header);
        let block = header.content_hash();

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, block, Purpose::Training);

        assert!(Sets::<T>::contains_key(block));
        Ok(())
    }

    #[benchmark]
    fn remove_set() -> Result<(), BenchmarkError> {
        let origin = T::GovernanceOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let header = items::<T>(1);
        T::BenchmarkHelper::register(&header);
        let block = header.content_hash();
        Pallet::<T>::do_add_set(block, Purpose::Training)?;

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, block);

        assert!(!Sets::<T>::contains_key(block));
        Ok(())
    }

    // It is the last one, with which the phase ends, as in the next two.
    #[benchmark]
    fn vote_availability() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Availability)?;
        let who = seat::<T>(id, 1, |_| Seat::new(1))?.remove(0);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), id, u32::MAX, true);

        assert!(Seats::<T>::get(id, who).is_some_and(|seat| seat.available.is_some()));
        Ok(())
    }

    #[benchmark]
    fn commit() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Commit)?;
        let who = seat::<T>(id, 1, |_| Seat::new(1))?.remove(0);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), id, [1; 32]);

        assert!(Seats::<T>::get(id, who).is_some_and(|seat| seat.commitment.is_some()));
        Ok(())
    }

    #[benchmark]
    fn reveal() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Reveal)?;
        let who = seat::<T>(id, 1, |_| Seat::new(1))?.remove(0);
        let (salt, found) = ([2; 32], super::reveal(false, None));
        let commitment = commitment(id.into(), &who.encode(), &salt, &found.hash());
        Seats::<T>::insert(id, &who, Seat { commitment: Some(commitment), ..Seat::new(1) });

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), id, salt, Box::new(found));

        assert!(Seats::<T>::get(id, who).is_some_and(|seat| seat.reveal.is_some()));
        Ok(())
    }

    /// `n`: scores.
    #[benchmark]
    fn post_scores(n: Linear<{ 2 * (3 + 4 * MAX_DELTAS) }, MAX_SCORES>) -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Scores)?;
        let layout = layout_of::<T>(n);
        Evaluations::<T>::mutate(id, |evaluation| evaluation.as_mut().unwrap().layout = layout);
        let scores = Scores((0..n).map(|place| u64::from(place) << 20).collect());
        let mut named = super::reveal(false, None);
        for (found, sums) in named.deltas.iter_mut().zip(scores.deltas(&layout).unwrap()) {
            found.sums = sums;
        }
        named.scores = scores.hash();
        put_reveal::<T>(id, 0, named, false);
        let scores = ScoresOf::truncate_from(scores.0);

        #[extrinsic_call]
        _(RawOrigin::Signed(whitelisted_caller()), id, name(0), scores);

        assert!(PostedScores::<T>::contains_key(id, name(0)));
        Ok(())
    }

    #[benchmark]
    fn post_trace() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Traces(0))?;
        let seat = Seat { reveal: Some(name(0)), ..Seat::new(1) };
        let who = super::seat::<T>(id, 1, |_| seat)?.remove(0);
        let world = World::new();
        let Rivals { shape, trails: [trail, _], trees: [tree, _] } = Rivals::new::<T>(&world);
        let first = shape.first_leaf(Step::Loss).unwrap();
        let losses = trail.leaves[first as usize..].concat();
        let proof = tree.prove(first..shape.leaves()).unwrap();
        let mut scores = vec![0; MAX_SCORES as usize];
        scores[0] = losses.iter().map(|loss| u64::from(*loss)).sum();
        PostedScores::<T>::insert(id, name(0), ScoresOf::truncate_from(scores));
        let (losses, proof) = (Losses::truncate_from(losses), Proof::truncate_from(proof));

        #[extrinsic_call]
        _(RawOrigin::Signed(who), id, tree.root(), losses, proof);

        assert!(Traces::<T>::contains_key(id, tree.root()));
        Ok(())
    }

    // With as many hashes as there can be, and the other side's told.
    #[benchmark]
    fn play() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Games(0))?;
        let world = World::new();
        let rivals = Rivals::new::<T>(&world);
        let longest = rivals.longest();
        let is_long = |told: Option<Move>| matches!(told, Some(Move::Nodes(nodes)) if nodes.len() == longest);
        rivals.put::<T>(id, |game| !game.is_due(Side::First) && is_long(rivals.told(game, Side::Second)));
        let entry = Games::<T>::get(id, 0).unwrap();
        let told = rivals.told(&entry.game, Side::Second).unwrap();

        #[extrinsic_call]
        _(RawOrigin::Signed(whitelisted_caller()), id, 0, Side::Second, Box::new(told));

        assert!(Games::<T>::get(id, 0).is_some_and(|now| now.game != entry.game));
        Ok(())
    }

    /// `b`: bytes of the evidence.
    #[benchmark]
    fn settle(b: Linear<{ 1 << 14 }, { 1 << 20 }>) -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Games(0))?;
        let world = World::new();
        let rivals = Rivals::new::<T>(&world);
        rivals.put::<T>(id, |game| game.word().is_some());
        let evidence = rivals.evidence(&world, &Games::<T>::get(id, 0).unwrap().game, b);

        #[extrinsic_call]
        _(RawOrigin::Signed(whitelisted_caller()), id, 0, Side::First, Box::new(evidence));

        assert!(Games::<T>::get(id, 0).is_some_and(|entry| entry.right.is_some()));
        Ok(())
    }

    #[benchmark]
    fn add_hidden_set() -> Result<(), BenchmarkError> {
        let origin = T::GovernanceOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let header = items::<T>(1);
        T::BenchmarkHelper::register(&header);
        let block = header.content_hash();

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, block, ContentHash([9; 32]), whitelisted_caller());

        assert!(HiddenSets::<T>::contains_key(block));
        Ok(())
    }

    #[benchmark]
    fn reveal_key() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Availability)?;
        let (steward, block) = (whitelisted_caller::<T::AccountId>(), hide::<T>()?);
        Pallet::<T>::give_hidden(id, 1);

        #[extrinsic_call]
        _(RawOrigin::Signed(steward), block, [1; 32]);

        assert!(HiddenSets::<T>::get(block).is_some_and(|set| set.key.is_some()));
        Ok(())
    }

    // Nothing is due, and what was left over is done.
    #[benchmark]
    fn agenda() {
        let block = frame_system::Pallet::<T>::block_number();
        Behind::<T>::put(block);

        #[block]
        {
            Pallet::<T>::on_initialize(block);
        }

        assert!(!Behind::<T>::exists());
    }

    #[benchmark]
    fn agenda_block() {
        let block = frame_system::Pallet::<T>::block_number();

        #[block]
        {
            Pallet::<T>::on_initialize(block);
        }

        assert!(!Behind::<T>::exists());
    }

    #[benchmark]
    fn start() -> Result<(), BenchmarkError> {
        let spec = T::BenchmarkHelper::publish_spec(&dimensions::<T>());
        let id = T::BenchmarkHelper::evaluated_round(spec, MAX_DELTAS);
        stock::<T>();

        #[block]
        {
            Pallet::<T>::start(id).map_err(|error| -> DispatchError { error.into() })?;
        }

        assert_eq!(phase::<T>(id), Phase::Waiting);
        Ok(())
    }

    // Members lie far from each other in the tree, and have a seat each.
    #[benchmark]
    fn draw() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Waiting)?;
        let step = MAX_LEAVES / MAX_COMMITTEE;
        for number in 0..MAX_COMMITTEE {
            let (who, leaf) = (account::<T::AccountId>("evaluator", number, 0), number * step);
            Leaves::<T>::insert(leaf, &who);
            Evaluators::<T>::insert(&who, Enrolment { leaf, stake: 1, seats: 0 });
            put_stake(&mut crate::evaluators::StakeTree::<T>::new(), leaf, 1);
        }
        T::BenchmarkHelper::provide_seed();
        let hidden = hide::<T>()?;

        #[block]
        {
            end_phase::<T>(id);
        }

        assert_eq!((phase::<T>(id), Committees::<T>::get(id).members), (Phase::Availability, MAX_COMMITTEE));
        assert_eq!(Given::<T>::get(id), Some(hidden));
        Ok(())
    }

    // All are away, and the hidden set is spent.
    #[benchmark]
    fn end_availability() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Availability)?;
        let block = hide::<T>()?;
        Pallet::<T>::give_hidden(id, 1);
        Pallet::<T>::do_reveal_key(whitelisted_caller(), block, [1; 32])?;
        seat::<T>(id, MAX_COMMITTEE, |_| Seat::new(1))?;

        #[block]
        {
            end_phase::<T>(id);
        }

        assert_eq!(Committees::<T>::get(id), Committee::default());
        Ok(())
    }

    #[benchmark]
    fn end_commit() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Commit)?;

        #[block]
        {
            end_phase::<T>(id);
        }

        assert_eq!(phase::<T>(id), Phase::Reveal);
        Ok(())
    }

    // As many as can be are refuted, and what is left differs.
    #[benchmark]
    fn end_reveal() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Reveal)?;
        seat::<T>(id, MAX_COMMITTEE, |number| Seat { reveal: Some(name(number)), ..Seat::new(1) })?;
        for number in 0..MAX_COMMITTEE {
            put_reveal::<T>(id, number, super::reveal(number < MINORITY, None), false);
        }

        #[block]
        {
            end_phase::<T>(id);
        }

        assert_eq!(phase::<T>(id), Phase::Scores);
        assert_eq!(Reveals::<T>::iter_key_prefix(id).count() as u32, MAX_COMMITTEE - MINORITY);
        Ok(())
    }

    // The same, but that the last cells are the first that differ.
    #[benchmark]
    fn end_scores() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Scores)?;
        seat::<T>(id, MAX_COMMITTEE, |number| Seat { reveal: Some(name(number)), ..Seat::new(1) })?;
        let cells = Evaluations::<T>::get(id).unwrap().layout.all();
        for number in 0..MAX_COMMITTEE {
            let candidate = if number < MINORITY { 1 } else { 2 };
            put_reveal::<T>(id, number, super::reveal(false, Some(candidate)), true);
            let mut scores = vec![7; cells as usize];
            *scores.last_mut().unwrap() = number.into();
            PostedScores::<T>::insert(id, name(number), ScoresOf::truncate_from(scores));
        }

        #[block]
        {
            end_phase::<T>(id);
        }

        assert_eq!(phase::<T>(id), Phase::Traces(cells - 1));
        assert_eq!(Reveals::<T>::iter_key_prefix(id).count() as u32, MAX_COMMITTEE - MINORITY);
        Ok(())
    }

    // No two traces are the same.
    #[benchmark]
    fn end_traces() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Traces(0))?;
        for number in 0..MAX_COMMITTEE {
            Traces::<T>::insert(id, name(number), TraceEntry { score: number.into(), game: None });
        }

        #[block]
        {
            end_phase::<T>(id);
        }

        assert_eq!(Games::<T>::iter_prefix(id).count() as u32, MAX_COMMITTEE / 2);
        Ok(())
    }

    // Neither side has moved, and all members are on one of them.
    #[benchmark]
    fn end_move() -> Result<(), BenchmarkError> {
        let id = evaluation::<T>(Phase::Games(0))?;
        let world = World::new();
        let rivals = Rivals::new::<T>(&world);
        rivals.put::<T>(id, |_| true);
        let side = |number: u32| Side::BOTH[(number % 2) as usize];
        seat::<T>(id, MAX_COMMITTEE, |number| Seat {
            reveal: Some(name(number % 2)),
            trace: Some(rivals.root(side(number))),
            ..Seat::new(1)
        })?;
        for number in 0..2 {
            put_reveal::<T>(id, number, super::reveal(false, None), true);
            PostedScores::<T>::insert(id, name(number), ScoresOf::truncate_from(vec![number.into()]));
        }

        #[block]
        {
            end_phase::<T>(id);
        }

        assert!(Games::<T>::iter_prefix(id).next().is_none());
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::ext_with(0), crate::mock::Test);
}
