//! The agenda: rounds are closed, and lapse, in the block that they are due in.

use crate::{pallet::*, Accepted, Outcome, Phase, WeightInfo};
use alloc::vec::Vec;
use blyan_primitives::{
    learning::{Evaluations, RoundId},
    pol::MAX_DELTAS,
};
use frame_support::{
    defensive,
    pallet_prelude::{DispatchError, Get, Weight},
    storage::with_storage_layer,
};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_runtime::traits::{One, Saturating};

/// Most blocks whose agenda is looked at in one block, when work was left over.
pub const CATCH_UP: u32 = 8;

impl<T: Config> Pallet<T> {
    /// Works through what is due in block `now`, after what was left over from blocks before: [`Config::MaxEndings`] rounds at
    /// most. What is left over waits for the next block.
    pub(crate) fn work_through_agenda(now: BlockNumberFor<T>) -> Weight {
        let mut weight = T::WeightInfo::agenda();
        let mut block = Behind::<T>::take().unwrap_or(now);
        let mut left = T::MaxEndings::get();
        for _ in 0..CATCH_UP {
            weight = weight.saturating_add(T::WeightInfo::agenda_block());
            // Collected first: what happens to a round can put it on the agenda again.
            let due: Vec<RoundId> = Agenda::<T>::drain_prefix(block).map(|(id, ())| id).take(left as usize).collect();
            for id in due {
                left = left.saturating_sub(1);
                weight = weight.saturating_add(Self::advance(id));
            }
            if left == 0 {
                break;
            }
            block = block.saturating_add(One::one());
            if block > now {
                return weight;
            }
        }
        Behind::<T>::put(block);
        weight
    }

    /// The most that [`Self::work_through_agenda`] takes.
    pub fn heaviest_agenda() -> Weight {
        let begun = T::WeightInfo::start_evaluation().saturating_add(T::EvaluationWeight::get());
        let refused = begun.saturating_add(T::WeightInfo::fail_round(MAX_DELTAS));
        let each = refused.max(T::WeightInfo::end_empty_round()).max(T::WeightInfo::lapse_round());
        T::WeightInfo::agenda()
            .saturating_add(T::WeightInfo::agenda_block().saturating_mul(CATCH_UP.into()))
            .saturating_add(each.saturating_mul(T::MaxEndings::get().into()))
    }

    /// Takes a round that is due to its next phase, and says what that costs.
    fn advance(id: RoundId) -> Weight {
        let Some(round) = Rounds::<T>::get(id) else {
            defensive!("the agenda names a round that does not exist");
            return T::WeightInfo::lapse_round();
        };
        match round.phase {
            Phase::Open { .. } => Self::close(id, round),
            Phase::Accepted { accepted, .. } => Self::lapse(id, round, accepted),
            Phase::Evaluating | Phase::Over { .. } => {
                defensive!("the agenda names a round that waits for nothing");
                T::WeightInfo::lapse_round()
            },
        }
    }

    /// The time for deltas has passed: they are evaluated, if there are any.
    fn close(id: RoundId, mut round: RoundOf<T>) -> Weight {
        let deltas = Deltas::<T>::decode_len(id).unwrap_or(0) as u32;
        if deltas == 0 {
            Self::finish(id, round, Outcome::Empty);
            Self::deposit_event(Event::RoundEmpty { round: id });
            return T::WeightInfo::end_empty_round();
        }
        // Stored first: whoever evaluates the round asks for it.
        round.phase = Phase::Evaluating;
        Rounds::<T>::insert(id, round);
        Self::deposit_event(Event::RoundClosed { round: id, deltas });
        let weight = T::WeightInfo::start_evaluation().saturating_add(T::EvaluationWeight::get());
        // A hook has no transaction that would take back what a refused start has changed.
        match with_storage_layer::<_, DispatchError, _>(|| T::Evaluations::start(id).map_err(Into::into)) {
            Ok(()) => weight,
            Err(error) => {
                Self::fail(id, round, Some(error));
                weight.saturating_add(T::WeightInfo::fail_round(deltas))
            },
        }
    }

    /// Nobody has published what was accepted. Nothing is paid for a head that has not moved.
    fn lapse(id: RoundId, round: RoundOf<T>, accepted: Accepted) -> Weight {
        if let Some((begun, window)) = round.publication() {
            Self::note_delays(id, None, begun, window);
        }
        Self::finish(id, round, Outcome::Lapsed(accepted));
        Self::deposit_event(Event::RoundLapsed { round: id, accepted });
        T::WeightInfo::lapse_round()
    }
}
