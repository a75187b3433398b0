//! The referee: of reveals that differ, what is right is found out, whoever and however many say otherwise.
//!
//! The scores behind each reveal are posted. In the first cell in which any two differ, members post the roots of their traces,
//! which end with the losses that their score is the sum of. Roots play against each other until all that are left come to the
//! same score; see [`blyan_primitives::dispute`]. Reveals with another score in that cell are refuted, and so on with the next
//! cell in which those that are left differ, until one is left.

use crate::{pallet::*, Due, EvaluationId, GameEntry, Phase, Seat, TraceEntry};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use blyan_primitives::{
    dispute::{self, Evidence, EvidenceError, Game, Item, Move, MoveError, Proven, Side, Values, Weights},
    ids::{ContentHash, SlotId, SpecId},
    learning::{ItemRange, Rounds as KeepsRounds},
    merkle::Digest,
    pol::{is_share, Candidate, Cell, Scores, Target},
    soft_float::F32,
    trace::{Part, Trace},
    traits::SpecRegistry,
};
use frame_support::{
    defensive, ensure,
    pallet_prelude::{DispatchResult, Get},
};
use polkadot_sdk::*;
use sp_runtime::traits::{One, Saturating, UniqueSaturatedInto};

impl<T: Config> From<MoveError> for Error<T> {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::NotNow => Self::NotNow,
            MoveError::Told => Self::AlreadyTold,
            MoveError::Count => Self::WrongCount,
            MoveError::Mismatch => Self::NotOfTheRoot,
        }
    }
}

impl<T: Config> From<EvidenceError> for Error<T> {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::TooMuch => Self::TooMuchEvidence,
            EvidenceError::Missing(_) => Self::EvidenceMissing,
            _ => Self::BadEvidence,
        }
    }
}

/// The blocks of the model that a cell's target is.
struct Model<T> {
    trunk: ContentHash,
    router: ContentHash,
    slot: SlotId,
    at: u32,
    /// What the slot holds.
    block: ContentHash,
    runtime: core::marker::PhantomData<T>,
}

impl<T: Config> Weights for Model<T> {
    fn block(&self, part: Part) -> Option<ContentHash> {
        match part {
            Part::Trunk => Some(self.trunk),
            Part::Router => Some(self.router),
            Part::Expert { layer, index } => {
                let slot = SlotId { lineage: self.slot.lineage, layer, index };
                if slot == self.slot {
                    Some(self.block)
                } else {
                    T::Rounds::head_at(&slot, self.at)
                }
            },
        }
    }
}

/// The first cell in which any two differ.
fn first_difference(reveals: &[([u8; 32], Scores)]) -> Option<u32> {
    let ((_, one), others) = reveals.split_first()?;
    others.iter().filter_map(|(_, other)| one.first_difference(other)).min()
}

impl<T: Config> Pallet<T> {
    pub(crate) fn do_post_scores(id: EvaluationId, name: [u8; 32], scores: ScoresOf) -> DispatchResult {
        let evaluation = Self::in_phase(id, Phase::Scores)?;
        let mut entry = Reveals::<T>::get(id, name).ok_or(Error::<T>::UnknownReveal)?;
        ensure!(!entry.posted, Error::<T>::AlreadyPosted);
        let scores = Scores(scores.into_inner());
        ensure!(entry.reveal.follows_from(&scores, &evaluation.layout), Error::<T>::OtherScores);
        entry.posted = true;
        Reveals::<T>::insert(id, name, entry);
        PostedScores::<T>::insert(id, name, ScoresOf::truncate_from(scores.0));
        Self::deposit_event(Event::ScoresPosted { evaluation: id, reveal: name });
        Ok(())
    }

    /// A reveal whose scores nobody has posted is nobody's.
    pub(crate) fn end_scores(id: EvaluationId, evaluation: EvaluationOf<T>) {
        let silent = Reveals::<T>::iter_prefix(id).filter(|(_, entry)| !entry.posted).map(|(name, _)| name).collect();
        Self::refute(id, &evaluation, &silent);
        Self::next_cell(id, evaluation);
    }

    /// The first cell in which reveals that are left differ is played for.
    fn next_cell(id: EvaluationId, evaluation: EvaluationOf<T>) {
        let mut reveals: Vec<([u8; 32], Scores)> =
            PostedScores::<T>::iter_prefix(id).map(|(name, scores)| (name, Scores(scores.into_inner()))).collect();
        if reveals.len() < 2 {
            Self::go_on(id, evaluation);
            return;
        }
        let mut cell = first_difference(&reveals);
        // No game shows which blocks deltas merge into. It is what most say.
        if cell.is_none_or(|cell| cell >= evaluation.layout.without_candidate()) {
            let Some(refuted) = Self::agree_on_candidate(id, &evaluation) else {
                Self::redraw(id, evaluation);
                return;
            };
            reveals.retain(|(name, _)| !refuted.contains(name));
            cell = first_difference(&reveals);
        }
        match cell {
            Some(cell) => {
                let blocks = evaluation.rounds.dispute_move;
                Self::deposit_event(Event::Disputed { evaluation: id, cell });
                Self::enter(id, evaluation, Phase::Traces(cell), blocks);
            },
            None => Self::go_on(id, evaluation),
        }
    }

    /// Refutes all reveals whose candidate is not the one that most have found, and names them. `None` when they differ, and
    /// those are not enough of all votes of members who were not found wrong: who is away is for none.
    fn agree_on_candidate(id: EvaluationId, evaluation: &EvaluationOf<T>) -> Option<BTreeSet<[u8; 32]>> {
        let blocks = |candidate: Candidate| (candidate.master, candidate.serving);
        let found: BTreeMap<[u8; 32], Option<(ContentHash, ContentHash)>> =
            Reveals::<T>::iter_prefix(id).map(|(name, entry)| (name, entry.reveal.candidate.map(blocks))).collect();
        let mut candidates = found.values();
        let first = candidates.next();
        if candidates.all(|other| Some(other) == first) {
            return Some(BTreeSet::new());
        }
        let mut weights: BTreeMap<Option<(ContentHash, ContentHash)>, u32> = BTreeMap::new();
        let mut all = 0u32;
        for (_, seat) in Seats::<T>::iter_prefix(id).filter(|(_, seat)| !seat.wrong) {
            all = all.saturating_add(seat.votes);
            if let Some(candidate) = seat.reveal.and_then(|name| found.get(&name)) {
                let weight = weights.entry(*candidate).or_default();
                *weight = weight.saturating_add(seat.votes);
            }
        }
        let (most, weight) = weights.into_iter().max_by_key(|(_, weight)| *weight)?;
        if !is_share(weight, all, evaluation.learning.quorum) {
            return None;
        }
        let differs = |(_, candidate): &([u8; 32], _)| *candidate != most;
        let refuted = found.into_iter().filter(differs).map(|(name, _)| name).collect();
        Self::refute(id, evaluation, &refuted);
        Some(refuted)
    }

    /// The shape of all traces of an evaluation.
    fn shape(evaluation: &EvaluationOf<T>) -> Result<Trace, Error<T>> {
        let (_, dimensions) = T::Specs::known_spec(evaluation.spec).ok_or(Error::<T>::UnknownSpec)?;
        Trace::new(dimensions, T::ItemTokens::get()).ok_or(Error::<T>::UnknownSpec)
    }

    /// The score of a reveal in a cell.
    fn score_of(id: EvaluationId, name: [u8; 32], cell: u32) -> Option<u64> {
        PostedScores::<T>::get(id, name)?.get(cell as usize).copied()
    }

    pub(crate) fn do_post_trace(
        who: T::AccountId,
        id: EvaluationId,
        root: Digest,
        losses: &[u32],
        proof: &[Digest],
    ) -> DispatchResult {
        let evaluation = Evaluations::<T>::get(id).ok_or(Error::<T>::UnknownEvaluation)?;
        let Phase::Traces(cell) = evaluation.phase else { return Err(Error::<T>::WrongPhase.into()) };
        let seat = Seats::<T>::get(id, &who).ok_or(Error::<T>::NotOnCommittee)?;
        ensure!(!seat.wrong, Error::<T>::FoundWrong);
        ensure!(seat.trace.is_none(), Error::<T>::AlreadyPosted);
        let own = seat.reveal.and_then(|name| Self::score_of(id, name, cell)).ok_or(Error::<T>::UnknownReveal)?;
        let score = dispute::score(&Self::shape(&evaluation)?, &root, losses, proof);
        let score = score.map_err(|_| Error::<T>::NotOfTheRoot)?;
        ensure!(score == own, Error::<T>::OtherScores);
        Traces::<T>::insert(id, root, TraceEntry { score, game: None });
        Seats::<T>::insert(id, &who, Seat { trace: Some(root), ..seat });
        Self::deposit_event(Event::TracePosted { evaluation: id, who, root });
        Ok(())
    }

    /// Games begin, where traces come to different scores.
    pub(crate) fn end_traces(id: EvaluationId, mut evaluation: EvaluationOf<T>, cell: u32) {
        evaluation.phase = Phase::Games(cell);
        Self::pair(id, evaluation, cell);
    }

    /// Has traces that wait play against each other, two by two; or goes on, when all that are left come to the same score.
    fn pair(id: EvaluationId, mut evaluation: EvaluationOf<T>, cell: u32) {
        let traces: Vec<(Digest, TraceEntry)> = Traces::<T>::iter_prefix(id).collect();
        let score = traces.first().map(|(_, entry)| entry.score);
        if traces.iter().all(|(_, entry)| Some(entry.score) == score) {
            Self::resolve(id, evaluation, cell, score);
            return;
        }
        let (Ok(shape), Some(place)) = (Self::shape(&evaluation), evaluation.layout.cell(cell)) else {
            defensive!("a cell in dispute has no trace");
            Self::redraw(id, evaluation);
            return;
        };
        let waiting: Vec<Digest> =
            traces.into_iter().filter(|(_, entry)| entry.game.is_none()).map(|(root, _)| root).collect();
        for two in waiting.chunks(2) {
            let &[first, second] = two else { continue };
            let Some(game) = Game::new(&shape, first, second) else { continue };
            let number = evaluation.games;
            evaluation.games = number.saturating_add(1);
            let until = Self::move_ends(&evaluation);
            Games::<T>::insert(id, number, GameEntry { cell: place, game, until, right: None });
            Agenda::<T>::insert(until, Due::Move(id, number), ());
            for root in [first, second] {
                Traces::<T>::mutate(id, root, |entry| {
                    if let Some(entry) = entry {
                        entry.game = Some(number);
                    }
                });
            }
            Self::deposit_event(Event::GameBegan { evaluation: id, game: number, roots: [first, second] });
        }
        Evaluations::<T>::insert(id, evaluation);
    }

    fn move_ends(evaluation: &EvaluationOf<T>) -> frame_system::pallet_prelude::BlockNumberFor<T> {
        let now = frame_system::Pallet::<T>::block_number();
        now.saturating_add(evaluation.rounds.dispute_move.max(1).into())
    }

    pub(crate) fn do_play(id: EvaluationId, number: u32, side: Side, told: Move) -> DispatchResult {
        let mut entry = Games::<T>::get(id, number).ok_or(Error::<T>::UnknownGame)?;
        let evaluation = Evaluations::<T>::get(id).ok_or(Error::<T>::UnknownEvaluation)?;
        let goes_on = entry.game.play(&Self::shape(&evaluation)?, side, told).map_err(Error::<T>::from)?;
        if goes_on {
            Agenda::<T>::remove(entry.until, Due::Move(id, number));
            entry.until = Self::move_ends(&evaluation);
            Agenda::<T>::insert(entry.until, Due::Move(id, number), ());
        }
        Games::<T>::insert(id, number, entry);
        Self::deposit_event(Event::Played { evaluation: id, game: number, side, goes_on });
        Ok(())
    }

    /// What follows from it for others can be much: that is for the agenda of the next block.
    pub(crate) fn do_settle(id: EvaluationId, number: u32, side: Side, evidence: Evidence) -> DispatchResult {
        let mut entry = Games::<T>::get(id, number).ok_or(Error::<T>::UnknownGame)?;
        ensure!(entry.right.is_none(), Error::<T>::NotNow);
        let evaluation = Evaluations::<T>::get(id).ok_or(Error::<T>::UnknownEvaluation)?;
        let (_, before) = entry.game.word().ok_or(Error::<T>::NotNow)?;
        let shape = Self::shape(&evaluation)?;
        let model = Self::model(id, &evaluation, entry.cell)?;
        let item = Self::item(&evaluation, entry.cell)?;
        // Up to the leaf in question both have the same, so that either trace proves it.
        let root = entry.game.root(side);
        let proven = Proven::new(evidence, &shape, root, before).map_err(Error::<T>::from)?;
        let mut values = Values::new(&shape, &model, item, proven);
        let right = entry.game.settle::<F32, _>(&shape, &mut values);
        let right = right.map_err(|_| Error::<T>::EvidenceMissing)?.ok_or(Error::<T>::NotNow)?;
        Agenda::<T>::remove(entry.until, Due::Move(id, number));
        entry.until = frame_system::Pallet::<T>::block_number().saturating_add(One::one());
        entry.right = Some(right);
        Agenda::<T>::insert(entry.until, Due::Move(id, number), ());
        Games::<T>::insert(id, number, entry);
        Self::deposit_event(Event::GameSettled { evaluation: id, game: number, right });
        Ok(())
    }

    /// The model that a cell's target is.
    fn model(id: EvaluationId, evaluation: &EvaluationOf<T>, cell: Cell) -> Result<Model<T>, Error<T>> {
        let block = match cell.target {
            Target::Base => Some(evaluation.base),
            Target::Delta(number) => {
                let delta = evaluation.deltas.get(number as usize);
                delta.and_then(|(index, _)| T::Rounds::delta(id, *index)).map(|delta| delta.header.serving)
            },
            // All reveals that are left have the same.
            Target::Candidate => Reveals::<T>::iter_prefix(id)
                .next()
                .and_then(|(_, entry)| entry.reveal.candidate)
                .map(|found| found.serving),
        };
        let block = block.ok_or(Error::<T>::UnknownReveal)?;
        let [trunk, router] = Self::blocks_of(evaluation.spec)?;
        let at = evaluation.at.unique_saturated_into();
        Ok(Model { trunk, router, slot: evaluation.slot, at, block, runtime: core::marker::PhantomData })
    }

    fn blocks_of(spec: SpecId) -> Result<[ContentHash; 2], Error<T>> {
        T::Specs::trunk_and_router(spec).ok_or(Error::<T>::UnknownSpec)
    }

    /// The item of a cell.
    fn item(evaluation: &EvaluationOf<T>, cell: Cell) -> Result<Item, Error<T>> {
        let own: Vec<ItemRange> = evaluation.deltas.iter().map(|(_, range)| *range).collect();
        let items = evaluation.sources.items(&evaluation.layout, &evaluation.seed, &own, cell.set);
        items.get(cell.item as usize).copied().ok_or(Error::<T>::UnknownReveal)
    }

    /// A game is settled, or time is over for a move: who still owes it has lost.
    pub(crate) fn end_move(id: EvaluationId, number: u32) {
        let (Some(entry), Some(evaluation)) = (Games::<T>::get(id, number), Evaluations::<T>::get(id)) else {
            defensive!("the agenda names a game that does not exist");
            return;
        };
        let right = entry.right.unwrap_or_else(|| Side::BOTH.map(|side| !entry.game.is_due(side)));
        Self::end_game(id, evaluation, number, right);
    }

    /// A game is over: a trace that is not right is out, with all who have posted it.
    fn end_game(id: EvaluationId, evaluation: EvaluationOf<T>, number: u32, right: [bool; 2]) {
        let Some(entry) = Games::<T>::take(id, number) else {
            defensive!("a game that ends does not exist");
            return;
        };
        for (side, is_right) in Side::BOTH.into_iter().zip(right) {
            let root = *entry.game.root(side);
            if is_right {
                Traces::<T>::mutate(id, root, |trace| {
                    if let Some(trace) = trace {
                        trace.game = None;
                    }
                });
                continue;
            }
            Traces::<T>::remove(id, root);
            let members: Vec<T::AccountId> =
                Seats::<T>::iter_prefix(id).filter(|(_, seat)| seat.trace == Some(root)).map(|(who, _)| who).collect();
            for who in members {
                Self::slash_wrong(id, &evaluation, &who);
            }
        }
        Self::deposit_event(Event::GameEnded { evaluation: id, game: number, right });
        if let Phase::Games(cell) = evaluation.phase {
            Self::pair(id, evaluation, cell);
        }
    }

    /// It is known what is right in a cell: reveals that say otherwise are refuted. Nothing is right when no trace is left.
    fn resolve(id: EvaluationId, evaluation: EvaluationOf<T>, cell: u32, score: Option<u64>) {
        // Games that are not over are between traces that come to the same score.
        for (number, entry) in Games::<T>::drain_prefix(id) {
            Agenda::<T>::remove(entry.until, Due::Move(id, number));
        }
        let _ = Traces::<T>::clear_prefix(id, u32::MAX, None);
        let posted: Vec<(T::AccountId, Seat)> =
            Seats::<T>::iter_prefix(id).filter(|(_, seat)| seat.trace.is_some()).collect();
        for (who, seat) in posted {
            Seats::<T>::insert(id, who, Seat { trace: None, ..seat });
        }
        let wrong = PostedScores::<T>::iter_prefix(id)
            .filter(|(_, scores)| scores.get(cell as usize).copied() != score)
            .map(|(name, _)| name)
            .collect();
        Self::refute(id, &evaluation, &wrong);
        Self::deposit_event(Event::CellResolved { evaluation: id, cell, score });
        Self::next_cell(id, evaluation);
    }
}
