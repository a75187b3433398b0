//! The life of a round: how it is opened, what a verdict makes of it, and how it ends.

use crate::{pallet::*, Accepted, Outcome, Phase, Round, Terms, WeightInfo};
use alloc::vec::Vec;
use blyan_primitives::{
    ids::{ContentHash, SlotId, SpecId},
    learning::{DeltaInfo, RoundId, RoundInfo, Rounds as KeepRounds, Verdict},
    pol::MAX_DELTAS,
    traits::{PactProvider, SpecRegistry},
};
use frame_support::{
    defensive, ensure,
    pallet_prelude::{DispatchError, Get, Weight},
    BoundedVec,
};
use polkadot_sdk::*;
use sp_runtime::traits::Saturating;

/// Most members of a committee that are paid: as many as the Pact lets it have.
pub const MAX_EVALUATORS: u32 = 201;

impl<T: Config> Pallet<T> {
    /// Opens a round, and says how many aggregators stood for election.
    pub(crate) fn do_open_round(slot: SlotId, spec: SpecId) -> Result<u32, DispatchError> {
        let (lineage, dimensions) = T::Specs::live_spec(spec).ok_or(Error::<T>::SpecNotLive)?;
        let has_slot = lineage == slot.lineage && slot.layer < dimensions.layers && slot.index < dimensions.experts;
        ensure!(has_slot, Error::<T>::UnknownSlot);
        let base = Heads::<T>::get(slot).ok_or(Error::<T>::EmptySlot)?.block;
        let master = Self::master_of(&slot, base).ok_or(Error::<T>::UnknownHeadMaster)?;
        ensure!(!Ongoing::<T>::contains_key(slot), Error::<T>::RoundInProgress);
        ensure!(Ongoing::<T>::count() < T::MaxOpenRounds::get(), Error::<T>::TooManyRounds);

        let id = NextRound::<T>::get();
        NextRound::<T>::put(id.checked_add(1).ok_or(Error::<T>::NoMoreRounds)?);
        let pact = T::Pact::pact();
        let opened_at = frame_system::Pallet::<T>::block_number();
        // At least one block: this block's agenda has been worked through.
        let until = opened_at.saturating_add(pact.rounds.submission.max(1).into());
        let (terms, phase) = (Terms::of(&pact), Phase::Open { until });
        Rounds::<T>::insert(id, Round { slot, spec, base, master, terms, opened_at, phase });
        Ongoing::<T>::insert(slot, id);
        Agenda::<T>::insert(until, id, ());
        Self::deposit_event(Event::RoundOpened { round: id, slot, spec, base, master, until });
        Ok(Self::elect(id))
    }

    /// A round that is being evaluated.
    fn evaluating(id: RoundId) -> Option<RoundOf<T>> {
        Rounds::<T>::get(id).filter(|round| matches!(round.phase, Phase::Evaluating))
    }

    /// Opens the windows in which what was accepted can be published.
    fn accept(id: RoundId, mut round: RoundOf<T>, accepted: Accepted, evaluators: Vec<(T::AccountId, u32)>) {
        let window = round.terms.publication.max(1).into();
        let primary_until = frame_system::Pallet::<T>::block_number().saturating_add(window);
        let until = primary_until.saturating_add(window);
        round.phase = Phase::Accepted { accepted, primary_until, until };
        Rounds::<T>::insert(id, round);
        Agenda::<T>::insert(until, id, ());
        Evaluators::<T>::insert(id, BoundedVec::truncate_from(evaluators));
        Self::deposit_event(Event::RoundAccepted { round: id, accepted, primary_until, until });
    }

    /// Ends a round without a verdict. Nobody has shown that a delta is bad: every bond is returned whole.
    pub(crate) fn fail(id: RoundId, round: RoundOf<T>, error: Option<DispatchError>) {
        Self::return_bonds(id, &round);
        Self::finish(id, round, Outcome::Failed);
        Self::deposit_event(Event::RoundFailed { round: id, error });
    }

    /// Ends a round: its slot is free for the next one.
    pub(crate) fn finish(id: RoundId, mut round: RoundOf<T>, outcome: Outcome) {
        Ongoing::<T>::remove(round.slot);
        Evaluators::<T>::remove(id);
        Primaries::<T>::remove(id);
        round.phase = Phase::Over { outcome, at: frame_system::Pallet::<T>::block_number() };
        Rounds::<T>::insert(id, round);
    }

    /// The most that a call of [`Rounds::decided`](KeepRounds::decided) takes for a round of so many deltas, with so many
    /// evaluators; one of [`Rounds::failed`](KeepRounds::failed) never takes more.
    pub fn weight_of_decision(deltas: u32, evaluators: u32) -> Weight {
        T::WeightInfo::decide_round(deltas, evaluators).max(T::WeightInfo::fail_round(deltas))
    }

    /// The most that any takes.
    pub fn heaviest_decision() -> Weight {
        Self::weight_of_decision(MAX_DELTAS, MAX_EVALUATORS)
    }
}

impl<T: Config> KeepRounds<T::AccountId> for Pallet<T> {
    fn round(id: RoundId) -> Option<RoundInfo> {
        let Round { slot, spec, base, master, .. } = Self::evaluating(id)?;
        let deltas = Deltas::<T>::decode_len(id).unwrap_or(0) as u32;
        Some(RoundInfo { slot, spec, base, master, deltas })
    }

    fn delta(id: RoundId, index: u32) -> Option<DeltaInfo<T::AccountId>> {
        Self::evaluating(id)?;
        let delta = Deltas::<T>::get(id).into_iter().nth(index as usize)?;
        Some(DeltaInfo { learner: delta.learner, header: delta.header })
    }

    fn head_at(slot: &SlotId, height: u32) -> Option<ContentHash> {
        Self::block_at(slot, height.into())
    }

    fn decided(id: RoundId, mut verdict: Verdict<T::AccountId>) {
        let Some(round) = Self::evaluating(id) else {
            defensive!("a verdict is on a round that is not being evaluated");
            return;
        };
        if Deltas::<T>::decode_len(id) != Some(verdict.deltas.len()) {
            defensive!("a verdict is not on the deltas that there are");
            Self::fail(id, round, None);
            return;
        }
        verdict.evaluators.truncate(MAX_EVALUATORS as usize);
        Self::settle_bonds(id, &round, &verdict);
        match verdict.candidate {
            Ok(candidate) => {
                let (master, serving) = (candidate.master, candidate.serving);
                let accepted = Accepted { master, serving, gain: verdict.gain };
                Self::accept(id, round, accepted, verdict.evaluators);
            },
            Err(reason) => {
                Self::finish(id, round, Outcome::Rejected(reason));
                Self::deposit_event(Event::RoundRejected { round: id, reason });
            },
        }
    }

    fn failed(id: RoundId) {
        match Self::evaluating(id) {
            Some(round) => Self::fail(id, round, None),
            None => {
                defensive!("an evaluation has failed that was not begun");
            },
        }
    }
}
