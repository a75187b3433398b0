//! What is counted while a network runs, and what that comes to.

use crate::{chain::Chain, people::Kind};
use blyan_primitives::pol::Refusal;
use std::collections::BTreeMap;

/// What happened in an hour.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hour {
    pub(crate) submitted: f64,
    pub(crate) merged: f64,
    pub(crate) heads: f64,
    /// Rounds that ended.
    pub(crate) rounds: f64,
    /// Machines that were busy with evaluations that began in it, were each the reference.
    pub(crate) evaluating: f64,
}

/// Bytes, by who has sent or fetched them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bytes {
    pub(crate) learners: u64,
    pub(crate) evaluators: u64,
    pub(crate) aggregators: u64,
}

/// What became of the deltas of one kind of learner.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) judged: u64,
    pub(crate) merged: u64,
    pub(crate) withheld: u64,
    pub(crate) no_gain: u64,
    pub(crate) unsure: u64,
    pub(crate) punished: u64,
}

/// Counts, from a block on.
pub(crate) struct Statistics {
    pub(crate) since: u64,
    pub(crate) until: u64,
    chain: Chain,
    pub(crate) trainings: u64,
    /// Trainings whose delta found no place.
    pub(crate) in_vain: u64,
    pub(crate) submitted: u64,
    /// Deltas that are part of a head.
    pub(crate) merged: u64,
    pub(crate) heads: u64,
    pub(crate) empty: u64,
    pub(crate) rejected: u64,
    pub(crate) failed: u64,
    pub(crate) redrawn: u64,
    /// Committees that have measured something, their members, and the votes of these.
    pub(crate) committees: u64,
    pub(crate) members: u64,
    pub(crate) seats: u64,
    /// Votes of members who were away.
    pub(crate) absent: u64,
    /// What it would have taken the reference machine.
    pub(crate) training_seconds: f64,
    pub(crate) evaluation_seconds: f64,
    /// Nats that heads gained.
    pub(crate) gain: f64,
    /// Rounds that are over, whatever came of them.
    pub(crate) rounds: u64,
    /// BLY.
    pub(crate) paid: f64,
    pub(crate) evaluators_paid: f64,
    pub(crate) forfeited: f64,
    /// Seconds that learners waited for a place, beside their training.
    pub(crate) waits: Vec<f64>,
    /// Seconds from a committee's draw to its verdict.
    pub(crate) evaluations: Vec<f64>,
    /// Phases of committees, and those that ended early.
    pub(crate) phases: u64,
    pub(crate) early: u64,
    /// Seconds from a delta's submission to its verdict.
    pub(crate) verdicts: Vec<f64>,
    /// Seconds from a round's opening to the head's move.
    pub(crate) lengths: Vec<f64>,
    /// Bytes of blocks that learners, evaluators and aggregators have sent and fetched.
    pub(crate) up: Bytes,
    pub(crate) down: Bytes,
    pub(crate) transactions: u64,
    pub(crate) transaction_bytes: u64,
    /// Picoseconds of the chain's time: all, and that of transactions.
    pub(crate) weight: u64,
    pub(crate) transaction_weight: u64,
    pub(crate) outcomes: BTreeMap<Kind, Outcomes>,
    pub(crate) hours: Vec<Hour>,
}

impl Statistics {
    pub(crate) fn new(since: u64, until: u64, chain: Chain) -> Self {
        Self {
            since,
            until,
            chain,
            trainings: 0,
            in_vain: 0,
            submitted: 0,
            merged: 0,
            heads: 0,
            empty: 0,
            rejected: 0,
            failed: 0,
            redrawn: 0,
            committees: 0,
            members: 0,
            seats: 0,
            absent: 0,
            training_seconds: 0.0,
            evaluation_seconds: 0.0,
            gain: 0.0,
            paid: 0.0,
            evaluators_paid: 0.0,
            waits: Vec::new(),
            evaluations: Vec::new(),
            phases: 0,
            early: 0,
            verdicts: Vec::new(),
            lengths: Vec::new(),
            up: Bytes::default(),
            down: Bytes::default(),
            forfeited: 0.0,
            rounds: 0,
            transactions: 0,
            transaction_bytes: 0,
            weight: 0,
            transaction_weight: 0,
            outcomes: BTreeMap::new(),
            hours: vec![Hour::default(); (until * chain.block_seconds / 3_600) as usize + 1],
        }
    }

    /// Whether what happens in this block is counted.
    pub(crate) fn counts(&self, block: u64) -> bool {
        block >= self.since
    }

    pub(crate) fn days(&self) -> f64 {
        (self.until - self.since) as f64 / self.chain.day() as f64
    }

    /// A figure of the hour that a block is in.
    pub(crate) fn hour(&mut self, block: u64, figure: impl FnOnce(&mut Hour) -> &mut f64) -> &mut f64 {
        figure(&mut self.hours[(block * self.chain.block_seconds / 3_600) as usize])
    }

    /// What became of a delta. No outcome: it was withheld.
    pub(crate) fn outcome(&mut self, kind: Kind, outcome: Option<Result<u32, Refusal>>) {
        let outcomes = self.outcomes.entry(kind).or_default();
        outcomes.judged += 1;
        match outcome {
            None => outcomes.withheld += 1,
            Some(Ok(_)) => outcomes.merged += 1,
            Some(Err(Refusal::NoGain | Refusal::NothingMerged)) => outcomes.no_gain += 1,
            Some(Err(Refusal::Unsure)) => outcomes.unsure += 1,
            Some(Err(_)) => outcomes.punished += 1,
        }
    }
}

/// The value below which a share of all is; 0 of nothing.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (share * sorted.len() as f64) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Gini's coefficient: 0 when all have the same, near 1 when one has all.
pub(crate) fn gini(values: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = values.iter().map(|value| value.max(0.0)).collect();
    sorted.sort_by(f64::total_cmp);
    let (count, sum) = (sorted.len() as f64, sorted.iter().sum::<f64>());
    let ranked: f64 = (1..).zip(&sorted).map(|(rank, value)| f64::from(rank) * value).sum();
    if sum > 0.0 { 2.0 * ranked / (count * sum) - (count + 1.0) / count } else { 0.0 }
}

/// A line through points by least squares: its slope, and how well they follow it (Pearson's correlation).
pub(crate) fn fit(points: &[(f64, f64)]) -> (f64, f64) {
    let [x, y] =
        [0, 1].map(|axis| mean(&points.iter().map(|(x, y)| if axis == 0 { *x } else { *y }).collect::<Vec<_>>()));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in points {
        xx += (a - x) * (a - x);
        xy += (a - x) * (b - y);
        yy += (b - y) * (b - y);
    }
    if xx > 0.0 && yy > 0.0 { (xy / xx, xy / (xx * yy).sqrt()) } else { (0.0, 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inequality_is_between_none_and_all() {
        assert_eq!(gini(&[3.0; 5]), 0.0);
        assert!((gini(&[0.0, 0.0, 0.0, 8.0]) - 0.75).abs() < 1e-12);
        assert!((gini(&[1.0, 2.0, 3.0, 4.0]) - 0.25).abs() < 1e-12);
        assert_eq!(gini(&[0.0, 0.0]), 0.0);
    }

    #[test]
    fn a_line_is_found_in_what_lies_on_one() {
        let (slope, correlation) = fit(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]);
        assert!((slope - 2.0).abs() < 1e-12 && (correlation - 1.0).abs() < 1e-12);
        let (slope, correlation) = fit(&[(0.0, 1.0), (1.0, -1.0), (2.0, -1.0), (3.0, 1.0)]);
        assert!(slope.abs() < 1e-12 && correlation.abs() < 1e-12);
    }

    #[test]
    fn quantiles_are_values_that_there_are() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!([0.0, 0.5, 0.95].map(|share| quantile(&values, share)), [1.0, 3.0, 5.0]);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
