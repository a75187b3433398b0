//! Custody: an aggregator takes over what learners submit.
//!
//! As a primary it has all deltas of its round, and those that name it as their aggregator. So a learner can go once its delta
//! is here, what it sends over its own line is a copy for each of a few aggregators and not for each member of a committee, and
//! members fetch where it is near. What comes is what the chain has the name of, or nothing: nobody has to trust an aggregator,
//! and one that does not pass on what it has is passed over.

use super::{Context, LearnError};
use blyan_chain::{Delta, RoundPhase, State};
use blyan_primitives::learning::RoundId;
use futures::{StreamExt, stream};
use std::time::Duration;

/// Deltas that are fetched side by side.
const PARALLEL: usize = 4;
/// Longest time for a delta, before others have their turn: what has come of it by then is kept.
const LONGEST: Duration = Duration::from_secs(120);

/// Takes over deltas of a round until it is over.
pub(super) async fn keep(context: Context, round: RoundId) {
    if let Err(error) = context.keep(round).await {
        // With the next finalized head it is tried again.
        tracing::warn!(round, %error, "deltas of a round are not taken over");
    }
}

impl Context {
    async fn keep(&self, id: RoundId) -> Result<(), LearnError> {
        // They stay what they are while the round goes on.
        let primaries = self.chain.at_finalized().await?.primaries(id).await?;
        let is_primary = primaries.contains(&self.account);
        loop {
            let state = self.chain.at_finalized().await?;
            let Some(round) = state.round(id).await? else { return Ok(()) };
            if matches!(round.phase, RoundPhase::Over { .. }) {
                return Ok(());
            }
            let deltas = state.deltas(id).await?;
            let own = deltas.iter().filter(|delta| is_primary || delta.aggregator == Some(self.account));
            let mut missing = Vec::new();
            for delta in own {
                if !self.store.contains(&delta.header.block)? {
                    missing.push(self.take_over(&state, id, delta));
                }
            }
            stream::iter(missing).buffer_unordered(PARALLEL).collect::<()>().await;
            self.chain.wait_finalized(state.block().number.saturating_add(1)).await?;
        }
    }

    async fn take_over(&self, state: &State, round: RoundId, delta: &Delta) {
        let block = delta.header.block;
        match tokio::time::timeout(LONGEST, self.delta(state, round, delta)).await {
            Ok(Ok(_)) => tracing::info!(round, %block, learner = %delta.learner, "took a delta over"),
            Ok(Err(error)) => tracing::debug!(round, %block, %error, "a delta is not taken over yet"),
            Err(_) => tracing::debug!(round, %block, "a delta comes slowly"),
        }
    }
}
