//! What follows for the round.

use crate::{pallet::*, EvaluationId};
use alloc::{vec, vec::Vec};
use blyan_primitives::{
    learning::{DeltaOutcome, Rounds as KeepsRounds, Verdict},
    pol::released_gain,
};
use frame_support::defensive;
use polkadot_sdk::*;

impl<T: Config> Pallet<T> {
    /// The round's verdict is what this reveal says.
    pub(crate) fn decide(id: EvaluationId, evaluation: EvaluationOf<T>, name: [u8; 32]) {
        let Some(entry) = Reveals::<T>::get(id, name) else {
            defensive!("a reveal that is right does not exist");
            return;
        };
        let (layout, rules, reveal) = (evaluation.layout, &evaluation.learning, entry.reveal);
        let evaluators: Vec<(T::AccountId, u32)> = Seats::<T>::iter_prefix(id)
            .filter(|(_, seat)| seat.reveal == Some(name) && !seat.wrong)
            .map(|(who, seat)| (who, seat.votes))
            .collect();
        let mut deltas = vec![DeltaOutcome::Withheld; evaluation.submitted as usize];
        for (((index, _), found), weight) in
            evaluation.deltas.iter().zip(&reveal.deltas).zip(reveal.weights(&layout, rules))
        {
            if let Some(outcome) = deltas.get_mut(*index as usize) {
                *outcome = match found.judge(&layout, rules) {
                    Ok(()) => DeltaOutcome::Merged(weight),
                    Err(refusal) => DeltaOutcome::Refused(refusal),
                };
            }
        }
        let candidate = reveal.judge(&layout, rules);
        let gain =
            reveal.candidate.map_or(0, |candidate| released_gain(&candidate.sums.last, layout.last, layout.positions));
        Verdicts::<T>::insert(id, reveal);
        Self::deposit_event(Event::Decided { evaluation: id, reveal: name, accepted: candidate.is_ok(), gain });
        Self::close(id, evaluation);
        T::Rounds::decided(id, Verdict { deltas, candidate, gain, evaluators });
    }
}
