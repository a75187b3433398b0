//! From the chain's events to [`LearningEvent`]s.

use super::{accepted, lateness, phase, purpose, work};
use crate::{
    ChainError, DispatchError, LearningEvent, Result,
    codegen::blyan::{experts, pol},
    config::BlyanConfig,
    decode::fields,
    runtime::Runtime,
};
use codec::Decode;
use subxt::events::Event as Raw;

/// Decodes an event of the pallets; `None` for those that nothing is done with.
pub(crate) fn event(runtime: &Runtime, event: &Raw<'_, BlyanConfig>) -> Result<Option<LearningEvent>> {
    match event.pallet_name() {
        "Experts" => experts_event(runtime, event),
        "Pol" => pol_event(event),
        _ => Ok(None),
    }
}

fn experts_event(runtime: &Runtime, event: &Raw<'_, BlyanConfig>) -> Result<Option<LearningEvent>> {
    use experts::events;
    Ok(Some(match event.event_name() {
        "RoundOpened" => {
            let events::RoundOpened { round, slot, spec, base, master, until } = fields(event)?;
            let (base, master) = (base.0, master.0);
            LearningEvent::RoundOpened { round, slot: slot.0, spec: spec.0, base, master, until }
        },
        "DeltaSubmitted" => {
            let events::DeltaSubmitted { round, index, learner, block, bond } = fields(event)?;
            LearningEvent::DeltaSubmitted { round, index, learner, block: block.0, bond }
        },
        "DeltaRefused" => {
            let events::DeltaRefused { round, learner, head, reason } = fields(event)?;
            let (head, reason) = (head.map(|head| head.0), lateness(reason));
            LearningEvent::DeltaRefused { round, learner, head, reason }
        },
        "RoundEmpty" => {
            let events::RoundEmpty { round } = fields(event)?;
            LearningEvent::RoundEmpty { round }
        },
        "RoundClosed" => {
            let events::RoundClosed { round, deltas } = fields(event)?;
            LearningEvent::RoundClosed { round, deltas }
        },
        "DeltaJudged" => {
            let events::DeltaJudged { round, index, learner, outcome, returned, lost } = fields(event)?;
            LearningEvent::DeltaJudged { round, index, learner, outcome: outcome.0, returned, lost }
        },
        "ForfeitShared" => {
            let events::ForfeitShared { round, evaluator, amount } = fields(event)?;
            LearningEvent::ForfeitShared { round, evaluator, amount }
        },
        "ForfeitLeft" => {
            let events::ForfeitLeft { round, amount } = fields(event)?;
            LearningEvent::ForfeitLeft { round, amount }
        },
        "RoundAccepted" => {
            let events::RoundAccepted { round, accepted: what, primary_until, until } = fields(event)?;
            LearningEvent::RoundAccepted { round, accepted: accepted(what), primary_until, until }
        },
        "RoundRejected" => {
            let events::RoundRejected { round, reason } = fields(event)?;
            LearningEvent::RoundRejected { round, reason: reason.0 }
        },
        "RoundFailed" => round_failed(runtime, event)?,
        "BondReturned" => {
            let events::BondReturned { round, index, learner, amount } = fields(event)?;
            LearningEvent::BondReturned { round, index, learner, amount }
        },
        "RoundCommitted" => {
            let events::RoundCommitted { round, publisher, accepted: what } = fields(event)?;
            LearningEvent::RoundCommitted { round, publisher, accepted: accepted(what) }
        },
        "RoundLapsed" => {
            let events::RoundLapsed { round, accepted: what } = fields(event)?;
            LearningEvent::RoundLapsed { round, accepted: accepted(what) }
        },
        "Rewarded" => {
            let events::Rewarded { round, who, work: what, amount } = fields(event)?;
            LearningEvent::Rewarded { round, who, work: work(what), amount }
        },
        "Stands" => {
            let events::Stands { who } = fields(event)?;
            LearningEvent::Stands { who }
        },
        "StandsDown" => {
            let events::StandsDown { who } = fields(event)?;
            LearningEvent::StandsDown { who }
        },
        "PrimariesElected" => {
            let events::PrimariesElected { round, primaries } = fields(event)?;
            LearningEvent::PrimariesElected { round, primaries }
        },
        "RoundRemoved" => {
            let events::RoundRemoved { round } = fields(event)?;
            LearningEvent::RoundRemoved { round }
        },
        _ => return Ok(None),
    }))
}

/// Errors have their names from the runtime's metadata, and are read as they stand in the event's bytes.
fn round_failed(runtime: &Runtime, event: &Raw<'_, BlyanConfig>) -> Result<LearningEvent> {
    let what = "a round that failed";
    let experts::events::RoundFailed { round, error } = fields(event)?;
    let error = match error {
        None => None,
        Some(_) => {
            let cursor = &mut event.field_bytes();
            <(u32, u8)>::decode(cursor).map_err(|error| ChainError::Decode { what, reason: error.to_string() })?;
            Some(DispatchError::decode(cursor, runtime.facts().metadata.clone())?)
        },
    };
    Ok(LearningEvent::RoundFailed { round, error })
}

fn pol_event(event: &Raw<'_, BlyanConfig>) -> Result<Option<LearningEvent>> {
    use pol::events;
    Ok(Some(match event.event_name() {
        "Enrolled" => {
            let events::Enrolled { who, stake } = fields(event)?;
            LearningEvent::EvaluatorEnrolled { who, stake }
        },
        "Left" => {
            let events::Left { who } = fields(event)?;
            LearningEvent::EvaluatorLeft { who }
        },
        "StakeRefreshed" => {
            let events::StakeRefreshed { who, stake } = fields(event)?;
            LearningEvent::StakeRefreshed { who, stake }
        },
        "SetAdded" => {
            let events::SetAdded { block, purpose: what, items } = fields(event)?;
            LearningEvent::SetAdded { block: block.0, purpose: purpose(what), items }
        },
        "SetRemoved" => {
            let events::SetRemoved { block } = fields(event)?;
            LearningEvent::SetRemoved { block: block.0 }
        },
        "EvaluationStarted" => {
            let events::EvaluationStarted { evaluation } = fields(event)?;
            LearningEvent::EvaluationStarted { evaluation }
        },
        "CommitteeDrawn" => {
            let events::CommitteeDrawn { evaluation, members } = fields(event)?;
            LearningEvent::CommitteeDrawn { evaluation, members }
        },
        "PhaseBegan" => {
            let events::PhaseBegan { evaluation, phase: which, until } = fields(event)?;
            LearningEvent::PhaseBegan { evaluation, phase: phase(which), until }
        },
        "PhaseEndsEarly" => {
            let events::PhaseEndsEarly { evaluation, phase: which, until } = fields(event)?;
            LearningEvent::PhaseEndsEarly { evaluation, phase: phase(which), until }
        },
        "AvailabilityVoted" => {
            let events::AvailabilityVoted { evaluation, who, available, reads_hidden } = fields(event)?;
            LearningEvent::AvailabilityVoted { evaluation, who, available, reads_hidden }
        },
        "DeltasAvailable" => {
            let events::DeltasAvailable { evaluation, deltas } = fields(event)?;
            LearningEvent::DeltasAvailable { evaluation, deltas }
        },
        "Committed" => {
            let events::Committed { evaluation, who } = fields(event)?;
            LearningEvent::Committed { evaluation, who }
        },
        "Revealed" => {
            let events::Revealed { evaluation, who, reveal } = fields(event)?;
            LearningEvent::Revealed { evaluation, who, reveal }
        },
        "Absent" => {
            let events::Absent { evaluation, who, slash } = fields(event)?;
            LearningEvent::Absent { evaluation, who, slash }
        },
        "Wrong" => {
            let events::Wrong { evaluation, who, slash } = fields(event)?;
            LearningEvent::Wrong { evaluation, who, slash }
        },
        "Refuted" => {
            let events::Refuted { evaluation, reveal } = fields(event)?;
            LearningEvent::Refuted { evaluation, reveal }
        },
        "ScoresPosted" => {
            let events::ScoresPosted { evaluation, reveal } = fields(event)?;
            LearningEvent::ScoresPosted { evaluation, reveal }
        },
        "Disputed" => {
            let events::Disputed { evaluation, cell } = fields(event)?;
            LearningEvent::Disputed { evaluation, cell }
        },
        "TracePosted" => {
            let events::TracePosted { evaluation, who, root } = fields(event)?;
            LearningEvent::TracePosted { evaluation, who, root }
        },
        "GameBegan" => {
            let events::GameBegan { evaluation, game, roots } = fields(event)?;
            LearningEvent::GameBegan { evaluation, game, roots }
        },
        "Played" => {
            let events::Played { evaluation, game, side, goes_on } = fields(event)?;
            LearningEvent::Played { evaluation, game, side: side.0, goes_on }
        },
        "GameSettled" => {
            let events::GameSettled { evaluation, game, right } = fields(event)?;
            LearningEvent::GameSettled { evaluation, game, right }
        },
        "GameEnded" => {
            let events::GameEnded { evaluation, game, right } = fields(event)?;
            LearningEvent::GameEnded { evaluation, game, right }
        },
        "CellResolved" => {
            let events::CellResolved { evaluation, cell, score } = fields(event)?;
            LearningEvent::CellResolved { evaluation, cell, score }
        },
        "Decided" => {
            let events::Decided { evaluation, reveal, accepted, gain } = fields(event)?;
            LearningEvent::Decided { evaluation, reveal, accepted, gain }
        },
        "Redrawn" => {
            let events::Redrawn { evaluation, attempt } = fields(event)?;
            LearningEvent::Redrawn { evaluation, attempt }
        },
        "EvaluationFailed" => {
            let events::EvaluationFailed { evaluation } = fields(event)?;
            LearningEvent::EvaluationFailed { evaluation }
        },
        "HiddenSetGiven" => {
            let events::HiddenSetGiven { evaluation, block } = fields(event)?;
            LearningEvent::HiddenSetGiven { evaluation, block: block.0 }
        },
        "KeyRevealed" => {
            let events::KeyRevealed { evaluation, block, key } = fields(event)?;
            LearningEvent::KeyRevealed { evaluation, block: block.0, key }
        },
        _ => return Ok(None),
    }))
}
