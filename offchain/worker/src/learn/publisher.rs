//! Publication: the blocks that a committee has accepted become the head.
//!
//! The round's primaries have their turns, and everybody else comes after them. Evaluators have the blocks already. Whoever has
//! not makes them of the head's master and the deltas that were merged, and gets the same bytes.

use super::{Context, LearnError};
use crate::assignment::delta_info;
use blyan_chain::{LearningCall, Round, RoundPhase};
use blyan_learning::{
    block::ExpertDelta,
    fold::{WHOLE, fold},
};
use blyan_model::expert::Master;
use blyan_primitives::{
    block::ExpertShape,
    learning::{DeltaOutcome, RoundId},
};
use blyan_tensorblock::VerifiedBlock;

/// Publishes what was accepted in a round, if nobody else has.
pub(super) async fn publish(context: Context, round: RoundId) {
    match context.publish(round).await {
        Ok(true) => tracing::info!(round, "a new head is published"),
        Ok(false) => {},
        // With the next finalized head it is tried again.
        Err(error) => tracing::warn!(round, %error, "a new head is not published"),
    }
}

impl Context {
    async fn publish(&self, id: RoundId) -> Result<bool, LearnError> {
        let state = self.chain.at_finalized().await?;
        let Some(round) = state.round(id).await? else { return Ok(false) };
        let RoundPhase::Accepted { accepted, .. } = round.phase else { return Ok(false) };
        let (master, serving) = match (self.store.get(&accepted.master), self.store.get(&accepted.serving)) {
            (Ok(master), Ok(serving)) => (master, serving),
            _ => self.merge(id, &round).await?,
        };
        for (expected, block) in [(accepted.master, &master), (accepted.serving, &serving)] {
            let found = block.hash();
            if found != expected {
                return Err(LearnError::OtherCandidate { expected, found });
            }
            // Others fetch them from here.
            self.store.put_verified(block)?;
        }
        let call = LearningCall::Publish {
            round: id,
            master: master.header_bytes().to_vec(),
            serving: serving.header_bytes().to_vec(),
        };
        self.call(id, call).await?;
        Ok(true)
    }

    /// Merges the deltas of a round with a verdict.
    async fn merge(&self, id: RoundId, round: &Round) -> Result<(VerifiedBlock, VerifiedBlock), LearnError> {
        let state = self.chain.at_finalized().await?;
        let spec = state.spec(round.spec).await?.ok_or(LearnError::Gone("spec"))?.spec;
        let shape = ExpertShape { ffn: spec.dimensions.ffn, hidden: spec.dimensions.hidden };
        let mut merged = Vec::new();
        for delta in state.deltas(id).await? {
            if let Some(DeltaOutcome::Merged(weight)) = delta.outcome {
                let block = self.delta(&state, id, &delta).await?;
                merged.push((ExpertDelta::of(&delta_info(&delta), &block, shape)?, weight.min(WHOLE)));
            }
        }
        let master = self.fetcher.ensure_one(round.master).await?;
        Self::blocking(move || {
            let master = Master::new(master, shape)?;
            let deltas: Vec<_> = merged.iter().map(|(delta, weight)| (delta, *weight)).collect();
            let forms = fold(&master, &deltas)?;
            Ok((forms.master.into_block()?, forms.serving.into_block()?))
        })
        .await
    }
}
