//! Learning's calls, events and state between our types and the chain's.

mod calls;
mod events;
#[cfg(test)]
pub(super) mod tests;

pub(crate) use calls::encode;
pub(crate) use events::event;

use super::{
    Accepted, Delta, Enrolment, Evaluation, EvaluationPhase, GameEntry, HiddenSet, ItemSet, Lateness, Measured,
    Purpose, RevealEntry, Round, RoundOutcome, RoundPhase, RoundTerms, Seat, TraceEntry, Work,
};
use crate::{
    AccountId,
    codegen::blyan::runtime_types::{pallet_blyan_experts::types as experts, pallet_blyan_pol::types as pol},
};

fn accepted(accepted: experts::Accepted) -> Accepted {
    Accepted { master: accepted.master.0, serving: accepted.serving.0, gain: accepted.gain }
}

fn outcome(outcome: experts::Outcome) -> RoundOutcome {
    match outcome {
        experts::Outcome::Empty => RoundOutcome::Empty,
        experts::Outcome::Failed => RoundOutcome::Failed,
        experts::Outcome::Rejected(reason) => RoundOutcome::Rejected(reason.0),
        experts::Outcome::Lapsed(of) => RoundOutcome::Lapsed(accepted(of)),
        experts::Outcome::Committed(of) => RoundOutcome::Committed(accepted(of)),
    }
}

pub(super) fn round(round: experts::Round<u32>) -> Round {
    let terms = round.terms;
    Round {
        slot: round.slot.0,
        spec: round.spec.0,
        base: round.base.0,
        master: round.master.0,
        terms: RoundTerms {
            max_deltas: terms.max_deltas,
            own_items: terms.own_items,
            bond: terms.bond,
            useless_fee: terms.useless_fee.0,
            publication: terms.publication,
            reward: terms.reward,
            shares: terms.shares.0,
        },
        opened_at: round.opened_at,
        phase: match round.phase {
            experts::Phase::Open { until } => RoundPhase::Open { until },
            experts::Phase::Evaluating => RoundPhase::Evaluating,
            experts::Phase::Accepted { accepted: of, primary_until, until } => {
                RoundPhase::Accepted { accepted: accepted(of), primary_until, until }
            },
            experts::Phase::Over { outcome: how, at } => RoundPhase::Over { outcome: outcome(how), at },
        },
    }
}

pub(super) fn delta(delta: experts::Delta<AccountId>) -> Delta {
    Delta {
        learner: delta.learner,
        header: delta.header.0,
        aggregator: delta.aggregator,
        outcome: delta.outcome.map(|outcome| outcome.0),
    }
}

fn lateness(lateness: experts::Lateness) -> Lateness {
    match lateness {
        experts::Lateness::Closed => Lateness::Closed,
        experts::Lateness::StaleBase => Lateness::StaleBase,
    }
}

fn work(work: experts::Work) -> Work {
    match work {
        experts::Work::Delta => Work::Delta,
        experts::Work::Publication => Work::Publication,
        experts::Work::Evaluation => Work::Evaluation,
        experts::Work::Aggregation => Work::Aggregation,
    }
}

pub(super) fn enrolment(enrolment: pol::Enrolment) -> Enrolment {
    Enrolment { leaf: enrolment.leaf, stake: enrolment.stake, seats: enrolment.seats }
}

fn purpose(purpose: pol::Purpose) -> Purpose {
    match purpose {
        pol::Purpose::Training => Purpose::Training,
        pol::Purpose::HeldOut => Purpose::HeldOut,
        pol::Purpose::General => Purpose::General,
        pol::Purpose::Hidden => Purpose::Hidden,
    }
}

pub(super) fn chain_purpose(purpose: Purpose) -> pol::Purpose {
    match purpose {
        Purpose::Training => pol::Purpose::Training,
        Purpose::HeldOut => pol::Purpose::HeldOut,
        Purpose::General => pol::Purpose::General,
        Purpose::Hidden => pol::Purpose::Hidden,
    }
}

pub(super) fn item_set(set: pol::ItemSet) -> ItemSet {
    ItemSet { purpose: purpose(set.purpose), items: set.items }
}

pub(super) fn hidden_set(set: pol::HiddenSet<AccountId>) -> HiddenSet {
    HiddenSet { encrypted: set.encrypted.0, steward: set.steward, given_to: set.given_to, key: set.key }
}

fn phase(phase: pol::Phase) -> EvaluationPhase {
    match phase {
        pol::Phase::Waiting => EvaluationPhase::Waiting,
        pol::Phase::Availability => EvaluationPhase::Availability,
        pol::Phase::Commit => EvaluationPhase::Commit,
        pol::Phase::Reveal => EvaluationPhase::Reveal,
        pol::Phase::Scores => EvaluationPhase::Scores,
        pol::Phase::Traces(cell) => EvaluationPhase::Traces(cell),
        pol::Phase::Games(cell) => EvaluationPhase::Games(cell),
        pol::Phase::Over => EvaluationPhase::Over,
    }
}

pub(super) fn evaluation(evaluation: pol::Evaluation<u32>) -> Evaluation {
    let deltas = evaluation.deltas.0.into_iter();
    Evaluation {
        slot: evaluation.slot.0,
        spec: evaluation.spec.0,
        base: evaluation.base.0,
        at: evaluation.at,
        learning: evaluation.learning.0,
        rounds: evaluation.rounds.0,
        phase: phase(evaluation.phase),
        until: evaluation.until,
        attempt: evaluation.attempt,
        seed: evaluation.seed,
        sources: evaluation.sources.0,
        layout: evaluation.layout.0,
        submitted: evaluation.submitted,
        deltas: deltas.map(|(index, data)| Measured { index, data: data.0 }).collect(),
        games: evaluation.games,
    }
}

pub(super) fn seat(seat: pol::Seat) -> Seat {
    Seat {
        votes: seat.votes,
        available: seat.available,
        reads_hidden: seat.reads_hidden,
        commitment: seat.commitment,
        reveal: seat.reveal,
        trace: seat.trace,
        wrong: seat.wrong,
    }
}

pub(super) fn reveal_entry(entry: pol::RevealEntry) -> RevealEntry {
    RevealEntry { reveal: entry.reveal.0, votes: entry.votes, posted: entry.posted }
}

pub(super) fn trace_entry(entry: pol::TraceEntry) -> TraceEntry {
    TraceEntry { score: entry.score, game: entry.game }
}

pub(super) fn game_entry(entry: pol::GameEntry<u32>) -> GameEntry {
    GameEntry { cell: entry.cell.0, game: entry.game.0, until: entry.until, right: entry.right }
}
