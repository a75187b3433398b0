//! From a [`LearningCall`] to the chain's.

use super::chain_purpose;
use crate::{
    LearningCall, Result,
    codegen::blyan::{self, runtime_types::bounded_collections::bounded_vec::BoundedVec},
    encode::{Encoded, checked},
    runtime::Runtime,
};
use blyan_primitives::pol::Scores;
use subxt::utils::Static;

const EXPERTS: &str = "Experts";
const POL: &str = "Pol";

/// Encodes a call.
pub(crate) fn encode(runtime: &Runtime, call: LearningCall) -> Result<Encoded> {
    let tx = blyan::tx();
    let (experts, pol) = (tx.experts(), tx.pol());
    match call {
        LearningCall::OpenRound { slot, spec } => {
            checked(runtime, EXPERTS, "open_round", experts.open_round(Static(slot), Static(spec)))
        },
        LearningCall::SubmitDelta { round, header, aggregator } => {
            let payload = experts.submit_delta(round, Static(header), aggregator);
            checked(runtime, EXPERTS, "submit_delta", payload)
        },
        LearningCall::Publish { round, master, serving } => {
            let payload = experts.publish(round, BoundedVec(master), BoundedVec(serving));
            checked(runtime, EXPERTS, "publish", payload)
        },
        LearningCall::Stand => checked(runtime, EXPERTS, "stand", experts.stand()),
        LearningCall::StandDown { who } => checked(runtime, EXPERTS, "stand_down", experts.stand_down(who)),
        LearningCall::Enrol => checked(runtime, POL, "enrol", pol.enrol()),
        LearningCall::LeaveEvaluators => checked(runtime, POL, "leave", pol.leave()),
        LearningCall::Refresh { who } => checked(runtime, POL, "refresh", pol.refresh(who)),
        LearningCall::AddSet { block, purpose } => {
            checked(runtime, POL, "add_set", pol.add_set(Static(block), chain_purpose(purpose)))
        },
        LearningCall::RemoveSet { block } => checked(runtime, POL, "remove_set", pol.remove_set(Static(block))),
        LearningCall::AddHiddenSet { block, encrypted, steward } => {
            let payload = pol.add_hidden_set(Static(block), Static(encrypted), steward);
            checked(runtime, POL, "add_hidden_set", payload)
        },
        LearningCall::RevealKey { block, key } => {
            checked(runtime, POL, "reveal_key", pol.reveal_key(Static(block), key))
        },
        LearningCall::VoteAvailability { evaluation, available, reads_hidden } => {
            let payload = pol.vote_availability(evaluation, available, reads_hidden);
            checked(runtime, POL, "vote_availability", payload)
        },
        LearningCall::Commit { evaluation, commitment } => {
            checked(runtime, POL, "commit", pol.commit(evaluation, commitment))
        },
        LearningCall::Reveal { evaluation, salt, reveal } => {
            checked(runtime, POL, "reveal", pol.reveal(evaluation, salt, Static(reveal)))
        },
        LearningCall::PostScores { evaluation, reveal, scores: Scores(scores) } => {
            checked(runtime, POL, "post_scores", pol.post_scores(evaluation, reveal, BoundedVec(scores)))
        },
        LearningCall::PostTrace { evaluation, root, losses, proof } => {
            let payload = pol.post_trace(evaluation, root, BoundedVec(losses), BoundedVec(proof));
            checked(runtime, POL, "post_trace", payload)
        },
        LearningCall::Play { evaluation, game, side, told } => {
            checked(runtime, POL, "play", pol.play(evaluation, game, Static(side), Static(told)))
        },
        LearningCall::Settle { evaluation, game, side, evidence } => {
            checked(runtime, POL, "settle", pol.settle(evaluation, game, Static(side), Static(evidence)))
        },
    }
}
