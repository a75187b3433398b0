//! Whether there is time to train for a round that is open already.

use super::course::Budget;
use anyhow::Result;
use blyan_chain::{BlockNumber, Round, RoundPhase, State};
use blyan_primitives::{ids::SlotId, learning::RoundId};
use std::time::{Duration, Instant};

/// Blocks before the end of a round's submission by which training ends: for encoding and submitting, and because what is
/// final lags behind.
const MARGIN: BlockNumber = 8;
/// The least that it is worth training for until then.
const LEAST: BlockNumber = 5;
/// How long a block takes.
const SLOT: Duration = Duration::from_secs(3);

/// Blocks that it takes at least to train what is worth submitting: half of what is asked for. Nobody knows how long a step
/// takes.
pub(super) fn least(budget: Budget) -> BlockNumber {
    let blocks = match budget {
        Budget::Steps(_) => 0,
        Budget::Time(time) => (time / 2).as_secs().div_ceil(SLOT.as_secs()),
    };
    BlockNumber::try_from(blocks).unwrap_or(BlockNumber::MAX).max(LEAST)
}

/// The round on a slot that takes no delta of a run which begins now.
pub(super) async fn occupied(state: &State, slot: SlotId, least: BlockNumber) -> Result<Option<(RoundId, Round)>> {
    let round = state.round_of(slot).await?;
    Ok(round.filter(|(_, round)| !is_joinable(&round.phase, state.block().number, least)))
}

/// Whether there are `least` blocks to train before a round takes no delta any more.
pub(super) fn is_joinable(phase: &RoundPhase, now: BlockNumber, least: BlockNumber) -> bool {
    matches!(phase, RoundPhase::Open { until } if now.saturating_add(MARGIN).saturating_add(least) < *until)
}

/// When training has to end for the round that takes deltas on a slot; nothing where none does.
pub(super) async fn deadline(state: &State, slot: SlotId) -> Result<Option<Instant>> {
    Ok(match state.round_of(slot).await? {
        Some((_, Round { phase: RoundPhase::Open { until }, .. })) => {
            let blocks = until.saturating_sub(state.block().number).saturating_sub(MARGIN);
            Some(Instant::now() + SLOT.saturating_mul(blocks))
        },
        // What takes none any more ends without it: the next one is waited for.
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::args::{budget, tests::begun},
        *,
    };

    #[test]
    fn rounds_are_joined_while_there_is_time() {
        let open = |until| RoundPhase::Open { until };
        assert!(is_joinable(&open(114), 100, 5) && !is_joinable(&open(113), 100, 5));
        assert!(!is_joinable(&open(114), 100, 6) && !is_joinable(&RoundPhase::Evaluating, 100, 0));
        // Two and a half minutes of five are 50 blocks.
        assert_eq!((least(budget(&begun(&[]))), least(budget(&begun(&["--steps", "9"])))), (50, LEAST));
    }
}
