//! Which deltas there are: a committee measures only what most of it could fetch.

use crate::{pallet::*, EvaluationId, Phase, Seat};
use alloc::vec::Vec;
use blyan_primitives::{
    learning::{DeltaOutcome, ItemRange, Rounds as KeepsRounds, Verdict},
    pol::{is_share, Refusal},
};
use frame_support::{ensure, pallet_prelude::DispatchResult};
use polkadot_sdk::*;

impl<T: Config> Pallet<T> {
    pub(crate) fn do_vote_availability(
        who: T::AccountId,
        id: EvaluationId,
        available: u32,
        reads_hidden: bool,
    ) -> DispatchResult {
        let evaluation = Self::in_phase(id, Phase::Availability)?;
        // Whoever lacks something may still come to have it.
        let all = 1u64.checked_shl(evaluation.submitted).unwrap_or(0).saturating_sub(1) as u32;
        let has_all = |seat: &Seat| {
            let deltas = seat.available.is_some_and(|available| available & all == all);
            deltas && (seat.reads_hidden || evaluation.sources.hidden.is_none())
        };
        let (had_all, has_all) = Self::change_seat(id, &who, |seat| {
            let had_all = has_all(seat);
            seat.available = Some(available);
            seat.reads_hidden = reads_hidden;
            (had_all, has_all(seat))
        })?;
        Self::deposit_event(Event::AvailabilityVoted { evaluation: id, who, available, reads_hidden });
        Self::count_done(id, evaluation, had_all, has_all);
        Ok(())
    }

    /// Those that enough members have are measured. Nothing is known of any when too few members have spoken.
    pub(crate) fn end_availability(id: EvaluationId, mut evaluation: EvaluationOf<T>) {
        let votes = Committees::<T>::get(id).votes;
        let quorum = evaluation.learning.quorum;
        let spoken: Vec<(u32, Seat)> = Seats::<T>::iter_prefix(id)
            .filter_map(|(_, seat)| seat.available.map(|available| (available, seat)))
            .collect();
        let is_enough = |says: &dyn Fn(u32, &Seat) -> bool| {
            let seats = spoken.iter().filter(|(available, seat)| says(*available, seat));
            is_share(seats.fold(0, |sum, (_, seat)| sum.saturating_add(seat.votes)), votes, quorum)
        };
        if !is_enough(&|_, _| true) {
            Self::slash_absent(id, &evaluation, |seat| seat.available.is_none());
            Self::redraw(id, evaluation);
            return;
        }
        let has = |index: u32| {
            let bit = 1u32.checked_shl(index).unwrap_or(0);
            is_enough(&|available, _| available & bit != 0)
        };
        if !is_enough(&|_, seat| seat.reads_hidden) {
            evaluation.sources.hidden = None;
        }
        let found = |index: u32| T::Rounds::delta(id, index).map(|delta| (index, delta.header.data));
        let deltas: Vec<(u32, ItemRange)> =
            (0..evaluation.submitted).filter(|index| has(*index)).filter_map(found).collect();
        evaluation.layout.deltas = deltas.len() as u32;
        // The Pact may ask for more items by now than it did of learners.
        evaluation.layout.own = deltas.iter().fold(evaluation.rounds.own_items, |own, (_, range)| own.min(range.count));
        evaluation.deltas = deltas.try_into().unwrap_or_default();
        Self::deposit_event(Event::DeltasAvailable { evaluation: id, deltas: evaluation.layout.deltas });
        if evaluation.deltas.is_empty() {
            let deltas = (0..evaluation.submitted).map(|_| DeltaOutcome::Withheld).collect();
            let candidate = Err(Refusal::NothingMerged);
            Self::slash_absent(id, &evaluation, |seat| seat.available.is_none());
            Self::close(id, evaluation);
            T::Rounds::decided(id, Verdict { deltas, candidate, gain: 0, evaluators: Vec::new() });
            return;
        }
        let blocks = evaluation.rounds.evaluation;
        Self::enter(id, evaluation, Phase::Commit, blocks);
    }

    /// The evaluation, if it is in a phase.
    pub(crate) fn in_phase(id: EvaluationId, phase: Phase) -> Result<EvaluationOf<T>, Error<T>> {
        let evaluation = Evaluations::<T>::get(id).ok_or(Error::<T>::UnknownEvaluation)?;
        ensure!(evaluation.phase == phase, Error::<T>::WrongPhase);
        Ok(evaluation)
    }

    /// Changes the seat of a member.
    pub(crate) fn change_seat<R>(
        id: EvaluationId,
        who: &T::AccountId,
        change: impl FnOnce(&mut Seat) -> R,
    ) -> Result<R, Error<T>> {
        Seats::<T>::try_mutate(id, who, |seat| {
            let seat = seat.as_mut().ok_or(Error::<T>::NotOnCommittee)?;
            Ok(change(seat))
        })
    }
}
