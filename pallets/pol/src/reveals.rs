//! What members find: first committed to, so that nobody copies, then revealed.

use crate::{pallet::*, EvaluationId, Phase, RevealEntry, Seat};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use blyan_primitives::{
    pol::{commitment, is_share, DeltaFinding, Finding, Reveal},
    traits::Slash,
};
use codec::Encode;
use frame_support::{defensive, ensure, pallet_prelude::DispatchResult};
use polkadot_sdk::*;

/// What a reveal says that no score shows: which deltas are malformed, and which are copies.
type Findings = Vec<Finding>;

fn findings(reveal: &Reveal) -> Findings {
    reveal.deltas.iter().map(|DeltaFinding { finding, .. }| *finding).collect()
}

impl<T: Config> Pallet<T> {
    pub(crate) fn do_commit(who: T::AccountId, id: EvaluationId, commitment: [u8; 32]) -> DispatchResult {
        let evaluation = Self::in_phase(id, Phase::Commit)?;
        let former = Self::change_seat(id, &who, |seat| seat.commitment.replace(commitment))?;
        Self::deposit_event(Event::Committed { evaluation: id, who });
        Self::count_done(id, evaluation, former.is_some(), true);
        Ok(())
    }

    pub(crate) fn do_reveal(who: T::AccountId, id: EvaluationId, salt: [u8; 32], reveal: Reveal) -> DispatchResult {
        let evaluation = Self::in_phase(id, Phase::Reveal)?;
        let seat = Seats::<T>::get(id, &who).ok_or(Error::<T>::NotOnCommittee)?;
        ensure!(seat.reveal.is_none(), Error::<T>::AlreadyRevealed);
        let name = reveal.hash();
        let committed = commitment(id.into(), &who.encode(), &salt, &name);
        ensure!(seat.commitment == Some(committed), Error::<T>::NotCommitted);
        ensure!(reveal.is_consistent(&evaluation.layout, &evaluation.learning), Error::<T>::Inconsistent);
        let mut entry = Reveals::<T>::get(id, name).unwrap_or(RevealEntry { reveal, votes: 0, posted: false });
        entry.votes = entry.votes.saturating_add(seat.votes);
        Reveals::<T>::insert(id, name, entry);
        Seats::<T>::insert(id, &who, Seat { reveal: Some(name), ..seat });
        Self::deposit_event(Event::Revealed { evaluation: id, who, reveal: name });
        Self::count_done(id, evaluation, false, true);
        Ok(())
    }

    /// Whether all have found the same. Otherwise it is found out who is right.
    pub(crate) fn end_reveal(id: EvaluationId, evaluation: EvaluationOf<T>) {
        Self::slash_absent(id, &evaluation, |seat| seat.reveal.is_none());
        let votes = Committees::<T>::get(id).votes;
        let quorum = evaluation.learning.quorum;
        let reveals: Vec<([u8; 32], RevealEntry)> = Reveals::<T>::iter_prefix(id).collect();
        if let [(name, entry)] = reveals.as_slice() {
            if is_share(entry.votes, votes, quorum) {
                Self::decide(id, evaluation, *name);
            } else {
                Self::redraw(id, evaluation);
            }
            return;
        }
        // No game shows what a delta's bytes are. It is what most say.
        let mut weights: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for (_, entry) in &reveals {
            let weight = weights.entry(findings(&entry.reveal).encode()).or_default();
            *weight = weight.saturating_add(entry.votes);
        }
        let Some((agreed, weight)) = weights.into_iter().max_by_key(|(_, weight)| *weight) else {
            Self::redraw(id, evaluation);
            return;
        };
        if !is_share(weight, votes, quorum) {
            Self::redraw(id, evaluation);
            return;
        }
        let differs = |(_, entry): &&([u8; 32], RevealEntry)| findings(&entry.reveal).encode() != agreed;
        Self::refute(id, &evaluation, &reveals.iter().filter(differs).map(|(name, _)| *name).collect());
        Self::go_on(id, evaluation);
    }

    /// Decides where one reveal is left, and has scores posted where there are more.
    pub(crate) fn go_on(id: EvaluationId, evaluation: EvaluationOf<T>) {
        let names: Vec<[u8; 32]> = Reveals::<T>::iter_key_prefix(id).collect();
        match names.as_slice() {
            [] => Self::redraw(id, evaluation),
            [name] => Self::decide(id, evaluation, *name),
            _ => {
                let blocks = evaluation.rounds.dispute_move;
                Self::enter(id, evaluation, Phase::Scores, blocks);
            },
        }
    }

    /// Reveals are wrong: their members lose what that costs.
    pub(crate) fn refute(id: EvaluationId, evaluation: &EvaluationOf<T>, names: &BTreeSet<[u8; 32]>) {
        if names.is_empty() {
            return;
        }
        for name in names {
            Reveals::<T>::remove(id, name);
            PostedScores::<T>::remove(id, name);
            Self::deposit_event(Event::Refuted { evaluation: id, reveal: *name });
        }
        let is_theirs = |seat: &Seat| seat.reveal.is_some_and(|name| names.contains(&name));
        let members: Vec<T::AccountId> =
            Seats::<T>::iter_prefix(id).filter(|(_, seat)| is_theirs(seat)).map(|(who, _)| who).collect();
        for who in members {
            Self::slash_wrong(id, evaluation, &who);
        }
    }

    /// A member was wrong, and pays for it once.
    pub(crate) fn slash_wrong(id: EvaluationId, evaluation: &EvaluationOf<T>, who: &T::AccountId) {
        let Some(mut seat) = Seats::<T>::get(id, who) else {
            defensive!("who is found wrong has no seat");
            return;
        };
        if !seat.wrong {
            seat.wrong = true;
            Seats::<T>::insert(id, who, seat);
            let slash = T::Slash::slash_worker(who, evaluation.rounds.wrong_slash);
            Self::deposit_event(Event::Wrong { evaluation: id, who: who.clone(), slash });
        }
    }

    /// Members who have not done what they were drawn for.
    pub(crate) fn slash_absent(id: EvaluationId, evaluation: &EvaluationOf<T>, is_absent: impl Fn(&Seat) -> bool) {
        let absent: Vec<T::AccountId> =
            Seats::<T>::iter_prefix(id).filter(|(_, seat)| is_absent(seat)).map(|(who, _)| who).collect();
        for who in absent {
            let slash = T::Slash::slash_worker(&who, evaluation.rounds.absence_slash);
            Self::deposit_event(Event::Absent { evaluation: id, who, slash });
        }
    }
}
