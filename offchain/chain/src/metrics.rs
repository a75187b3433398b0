//! What the client counts, for Prometheus.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Counters and gauges of one client and its transaction managers. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// `blyan_chain_connected_bool`: 1 while the node answers.
    pub connected: IntGauge,
    /// `blyan_chain_finalized_number`: number of the finalized head as last seen.
    pub finalized_number: IntGauge,
    /// `blyan_chain_delivered_number`: number of the last block that a stream delivered.
    pub delivered_number: IntGauge,
    /// `blyan_chain_reconnects_total`: connections to the node that were lost and found again.
    pub reconnects: IntCounter,
    /// `blyan_chain_tx_accepted_total`: submissions written to a journal.
    pub tx_accepted: IntCounter,
    /// `blyan_chain_tx_submitted_total`: extrinsics handed to the node, repetitions included.
    pub tx_submitted: IntCounter,
    /// `blyan_chain_tx_signed_again_total`: submissions signed anew because their former bytes can no longer be included.
    pub tx_signed_again: IntCounter,
    /// `blyan_chain_tx_done_total{result}`: submissions that ended; `result` is `ok`, `dispatch_error`, `unknown` (the
    /// block's state was pruned), `seen` (an equal effect was found on chain) or `never_included`.
    pub tx_done: IntCounterVec,
    /// `blyan_chain_tx_open{account}`: submissions of a key whose outcome is not finalized.
    pub tx_open: IntGaugeVec,
}

impl Metrics {
    /// Metrics that are counted but registered nowhere.
    ///
    /// # Errors
    /// None in practice: names and labels are constants; prometheus checks them when a metric is made.
    pub fn new() -> prometheus::Result<Self> {
        let counter = |name, help| IntCounter::new(name, help);
        let gauge = |name, help| IntGauge::new(name, help);
        let metrics = Self {
            connected: gauge("blyan_chain_connected_bool", "1 while the node answers")?,
            finalized_number: gauge("blyan_chain_finalized_number", "Number of the finalized head")?,
            delivered_number: gauge("blyan_chain_delivered_number", "Number of the last finalized block delivered")?,
            reconnects: counter("blyan_chain_reconnects_total", "Connections to the node lost and found again")?,
            tx_accepted: counter("blyan_chain_tx_accepted_total", "Submissions written to the journal")?,
            tx_submitted: counter(
                "blyan_chain_tx_submitted_total",
                "Extrinsics handed to the node, repetitions included",
            )?,
            tx_signed_again: counter("blyan_chain_tx_signed_again_total", "Submissions signed anew after expiry")?,
            tx_done: IntCounterVec::new(
                Opts::new("blyan_chain_tx_done_total", "Submissions that ended, by result"),
                &["result"],
            )?,
            tx_open: IntGaugeVec::new(
                Opts::new("blyan_chain_tx_open", "Submissions whose outcome is not finalized"),
                &["account"],
            )?,
        };
        // A counter that appears with its first failure shows no increase to whoever looks for one: all start at 0.
        for result in ["ok", "dispatch_error", "unknown", "seen", "never_included"] {
            metrics.tx_done.with_label_values(&[result]);
        }
        Ok(metrics)
    }

    /// Metrics registered under `registry`.
    ///
    /// # Errors
    /// When a metric of one of these names is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self::new()?;
        registry.register(Box::new(metrics.connected.clone()))?;
        registry.register(Box::new(metrics.finalized_number.clone()))?;
        registry.register(Box::new(metrics.delivered_number.clone()))?;
        registry.register(Box::new(metrics.reconnects.clone()))?;
        registry.register(Box::new(metrics.tx_accepted.clone()))?;
        registry.register(Box::new(metrics.tx_submitted.clone()))?;
        registry.register(Box::new(metrics.tx_signed_again.clone()))?;
        registry.register(Box::new(metrics.tx_done.clone()))?;
        registry.register(Box::new(metrics.tx_open.clone()))?;
        Ok(metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_register_once_under_stable_names() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        metrics.tx_done.with_label_values(&["ok"]).inc();
        metrics.tx_open.with_label_values(&["account"]).set(1);
        let names: Vec<_> = registry.gather().iter().map(|family| family.get_name().to_owned()).collect();
        assert_eq!(names.len(), 9);
        assert!(names.iter().all(|name| name.starts_with("blyan_chain_")), "{names:?}");
        assert!(Metrics::register(&registry).is_err());
    }
}
