//! The life of an evaluation: when it begins, who is on its committee, and what happens when a phase ends.

use crate::{
    evaluators::StakeTree, pallet::*, Committee, Due, Evaluation, EvaluationId, Phase, Purpose, Seat, SeedAfter,
    WeightInfo, MAX_SCORES,
};
use blyan_primitives::{
    learning::{Evaluations as HasRoundsEvaluated, Rounds as KeepsRounds},
    pol::{self, Draw, Layout, Sources},
    traits::PactProvider,
};
use frame_support::{
    defensive, ensure,
    pallet_prelude::{Get, Weight},
};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_runtime::traits::{One, Saturating};

/// Most blocks whose agenda is looked at in one block, when work was left over.
pub const CATCH_UP: u32 = 8;
/// Blocks after which it is looked again whether there is randomness.
const RETRY: u32 = 4;
/// Committees that are drawn for a round, before it fails.
pub const MAX_ATTEMPTS: u8 = 3;

impl<T: Config> HasRoundsEvaluated for Pallet<T> {
    type Error = Error<T>;

    fn start(id: EvaluationId) -> Result<(), Error<T>> {
        ensure!(!Evaluations::<T>::contains_key(id), Error::<T>::AlreadyStarted);
        let active = Active::<T>::get();
        ensure!(active < T::MaxActive::get(), Error::<T>::TooManyEvaluations);
        let round = T::Rounds::round(id).ok_or(Error::<T>::UnknownRound)?;
        let pact = T::Pact::pact();
        let sources = Sources {
            held_out: Drawable::<T>::get(Purpose::HeldOut),
            hidden: None,
            general: Drawable::<T>::get(Purpose::General),
        };
        let layout = Layout {
            trial: pact.rounds.trial_items,
            last: pact.rounds.final_items,
            general: pact.rounds.general_items,
            own: pact.rounds.own_items,
            deltas: round.deltas,
            positions: T::ItemTokens::get().saturating_sub(1),
        };
        ensure!(layout.is_valid() && layout.all() <= MAX_SCORES, Error::<T>::TooManyScores);
        ensure!(sources.suffice(&layout), Error::<T>::TooFewItems);
        let now = frame_system::Pallet::<T>::block_number();
        let evaluation = Evaluation {
            slot: round.slot,
            spec: round.spec,
            base: round.base,
            at: now,
            learning: pact.learning,
            rounds: pact.rounds,
            phase: Phase::Waiting,
            until: now,
            attempt: 0,
            seed: [0; 32],
            sources,
            layout,
            submitted: round.deltas,
            deltas: Default::default(),
            games: 0,
        };
        Active::<T>::put(active.saturating_add(1));
        Self::deposit_event(Event::EvaluationStarted { evaluation: id });
        Self::enter(id, evaluation, Phase::Waiting, RETRY);
        Ok(())
    }

    fn forget(id: EvaluationId) {
        let is_over = Evaluations::<T>::get(id).is_none_or(|evaluation| evaluation.phase == Phase::Over);
        if !is_over {
            defensive!("an evaluation that goes on is to be forgotten");
            return;
        }
        Evaluations::<T>::remove(id);
        Verdicts::<T>::remove(id);
    }
}

impl<T: Config> Pallet<T> {
    /// Puts an evaluation into a phase that lasts some blocks.
    pub(crate) fn enter(id: EvaluationId, mut evaluation: EvaluationOf<T>, phase: Phase, blocks: u32) {
        let now = frame_system::Pallet::<T>::block_number();
        Done::<T>::remove(id);
        evaluation.phase = phase;
        evaluation.until = now.saturating_add(blocks.max(1).into());
        Agenda::<T>::insert(evaluation.until, Due::Phase(id), ());
        if phase != Phase::Waiting {
            Self::deposit_event(Event::PhaseBegan { evaluation: id, phase, until: evaluation.until });
        }
        Evaluations::<T>::insert(id, evaluation);
    }

    /// Counts one more member who has done all that it can in this phase, or one less. When all have, the phase ends with the
    /// next block.
    pub(crate) fn count_done(id: EvaluationId, mut evaluation: EvaluationOf<T>, was: bool, is: bool) {
        let done = match (was, is) {
            (false, true) => Done::<T>::get(id).saturating_add(1),
            (true, false) => Done::<T>::get(id).saturating_sub(1),
            _ => return,
        };
        Done::<T>::insert(id, done);
        let next = frame_system::Pallet::<T>::block_number().saturating_add(One::one());
        if done == Committees::<T>::get(id).members && evaluation.until > next {
            Agenda::<T>::remove(evaluation.until, Due::Phase(id));
            Agenda::<T>::insert(next, Due::Phase(id), ());
            evaluation.until = next;
            Self::deposit_event(Event::PhaseEndsEarly { evaluation: id, phase: evaluation.phase, until: next });
            Evaluations::<T>::insert(id, evaluation);
        }
    }

    /// Works through what is due in block `now`, after what was left over from blocks before: [`Config::MaxEndings`] of it at
    /// most. What is left over waits for the next block.
    pub(crate) fn work_through_agenda(now: BlockNumberFor<T>) -> Weight {
        let mut weight = T::WeightInfo::agenda();
        let mut block = Behind::<T>::take().unwrap_or(now);
        let mut left = T::MaxEndings::get();
        for _ in 0..CATCH_UP {
            weight = weight.saturating_add(T::WeightInfo::agenda_block());
            while left > 0 {
                // One at a time: with a game others can be over that were due in the same block.
                let Some((due, ())) = Agenda::<T>::drain_prefix(block).next() else { break };
                left = left.saturating_sub(1);
                weight = weight.saturating_add(match due {
                    Due::Phase(id) => Self::end_phase(id),
                    Due::Move(id, game) => {
                        Self::end_move(id, game);
                        Self::weight_of_move()
                    },
                });
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
        let phases =
            [Phase::Waiting, Phase::Availability, Phase::Commit, Phase::Reveal, Phase::Scores, Phase::Traces(0)];
        let each =
            phases.into_iter().map(Self::weight_of_phase).fold(Self::weight_of_move(), |most, each| most.max(each));
        T::WeightInfo::agenda()
            .saturating_add(T::WeightInfo::agenda_block().saturating_mul(CATCH_UP.into()))
            .saturating_add(each.saturating_mul(T::MaxEndings::get().into()))
    }

    /// The most that the end of a phase takes, with the largest committee there can be.
    fn weight_of_phase(phase: Phase) -> Weight {
        let own = match phase {
            Phase::Waiting => T::WeightInfo::draw(),
            // Where all are absent, or some are, and others have all revealed something else.
            Phase::Availability => T::WeightInfo::end_availability(),
            Phase::Reveal => T::WeightInfo::end_reveal().max(T::WeightInfo::end_availability()),
            Phase::Scores => T::WeightInfo::end_scores(),
            Phase::Traces(_) => T::WeightInfo::end_traces(),
            Phase::Commit | Phase::Games(_) | Phase::Over => return T::WeightInfo::end_commit(),
        };
        own.saturating_add(T::DecisionWeight::get())
    }

    /// The most that the end of a game takes: it can be the last of a cell, with which reveals are refuted, and the next cell
    /// is looked for.
    fn weight_of_move() -> Weight {
        T::WeightInfo::end_move().saturating_add(Self::weight_of_phase(Phase::Scores))
    }

    /// Ends a phase, and says what that costs.
    fn end_phase(id: EvaluationId) -> Weight {
        let Some(evaluation) = Evaluations::<T>::get(id) else {
            defensive!("the agenda names an evaluation that does not exist");
            return T::WeightInfo::end_commit();
        };
        let weight = Self::weight_of_phase(evaluation.phase);
        match evaluation.phase {
            Phase::Waiting => Self::draw(id, evaluation),
            Phase::Availability => Self::end_availability(id, evaluation),
            Phase::Commit => {
                let blocks = evaluation.rounds.reveal;
                Self::enter(id, evaluation, Phase::Reveal, blocks);
            },
            Phase::Reveal => Self::end_reveal(id, evaluation),
            Phase::Scores => Self::end_scores(id, evaluation),
            Phase::Traces(cell) => Self::end_traces(id, evaluation, cell),
            Phase::Games(_) | Phase::Over => {
                defensive!("the agenda names an evaluation that waits for nothing");
            },
        }
        weight
    }

    /// Draws the committee, once there is randomness that nobody could know when the round took its last delta.
    fn draw(id: EvaluationId, mut evaluation: EvaluationOf<T>) {
        let Some(randomness) = T::Seed::seed_after(evaluation.at) else {
            Self::enter(id, evaluation, Phase::Waiting, RETRY);
            return;
        };
        let subject = [&b"committee"[..], &id.to_le_bytes(), &[evaluation.attempt]].concat();
        let mut draw = Draw::new(&randomness, &subject);
        let mut committee = Committee::default();
        for (leaf, votes) in pol::draw_committee(&StakeTree::<T>::new(), evaluation.learning.committee, &mut draw) {
            let Some(who) = Leaves::<T>::get(leaf) else { continue };
            Seats::<T>::insert(id, &who, Seat::new(votes));
            Self::count_seat(&who, true);
            committee.members = committee.members.saturating_add(1);
            committee.votes = committee.votes.saturating_add(votes);
        }
        if committee.members == 0 {
            Self::redraw(id, evaluation);
            return;
        }
        Committees::<T>::insert(id, committee);
        evaluation.seed = pol::item_seed(&randomness, id);
        evaluation.sources.hidden = Self::give_hidden(id, evaluation.layout.last);
        Self::deposit_event(Event::CommitteeDrawn { evaluation: id, members: committee.members });
        let blocks = evaluation.rounds.availability;
        Self::enter(id, evaluation, Phase::Availability, blocks);
    }

    /// Another committee, or none any more.
    pub(crate) fn redraw(id: EvaluationId, mut evaluation: EvaluationOf<T>) {
        Self::dissolve(id);
        evaluation.attempt = evaluation.attempt.saturating_add(1);
        if evaluation.attempt >= MAX_ATTEMPTS {
            Self::close(id, evaluation);
            Self::deposit_event(Event::EvaluationFailed { evaluation: id });
            T::Rounds::failed(id);
            return;
        }
        // The same randomness would draw the same items, which are known by now.
        evaluation.at = frame_system::Pallet::<T>::block_number();
        evaluation.deltas = Default::default();
        evaluation.sources.hidden = None;
        (evaluation.layout.deltas, evaluation.layout.own) = (evaluation.submitted, evaluation.rounds.own_items);
        Self::deposit_event(Event::Redrawn { evaluation: id, attempt: evaluation.attempt });
        Self::enter(id, evaluation, Phase::Waiting, RETRY);
    }

    /// Frees a committee's members, and forgets what they have told.
    fn dissolve(id: EvaluationId) {
        for (who, _) in Seats::<T>::drain_prefix(id) {
            Self::count_seat(&who, false);
        }
        Committees::<T>::remove(id);
        Done::<T>::remove(id);
        Self::spend_hidden(id);
        let _ = Reveals::<T>::clear_prefix(id, u32::MAX, None);
        let _ = PostedScores::<T>::clear_prefix(id, u32::MAX, None);
        let _ = Traces::<T>::clear_prefix(id, u32::MAX, None);
        let _ = Games::<T>::clear_prefix(id, u32::MAX, None);
    }

    /// Nothing follows any more.
    pub(crate) fn close(id: EvaluationId, mut evaluation: EvaluationOf<T>) {
        Self::dissolve(id);
        evaluation.phase = Phase::Over;
        evaluation.until = frame_system::Pallet::<T>::block_number();
        Evaluations::<T>::insert(id, evaluation);
        Active::<T>::mutate(|active| *active = active.saturating_sub(1));
    }
}
