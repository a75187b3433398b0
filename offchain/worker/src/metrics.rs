//! What the worker measures, as Prometheus text under names `blyan_worker_<what>_<unit>`.

use crate::receipts::journal::Counts;
use prometheus::{
    Counter, Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// All measures of one worker, in a registry of its own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Finished HTTP requests by route and status.
    pub requests: IntCounterVec,
    /// Time until a response's headers were sent, by route.
    pub request_seconds: HistogramVec,
    /// Time from a request's arrival to its first token.
    pub first_token_seconds: Histogram,
    /// Time from a request's arrival to its last token.
    pub answer_seconds: Histogram,
    /// Decoded tokens a second, by answer.
    pub decode_rate: Histogram,
    /// Prompt tokens computed.
    pub prompt_tokens: IntCounter,
    /// Output tokens computed.
    pub output_tokens: IntCounter,
    /// Answers by the reason they ended.
    pub answers: IntCounterVec,
    /// Requests that wait.
    pub queue: IntGauge,
    /// Requests refused because the queue was full.
    pub queue_refused: IntCounter,
    /// Answers being computed.
    pub batch: IntGauge,
    /// Sessions in a decoding step.
    pub step_sessions: Histogram,
    /// Receipts by state.
    pub receipts: IntGaugeVec,
    /// Attempts to anchor that failed.
    pub anchor_failures: IntCounter,
    /// Heartbeats by outcome.
    pub heartbeats: IntCounterVec,
    /// Last finalized block.
    pub finalized_height: IntGauge,
    /// 1 while answers can be given.
    pub ready: IntGauge,
    /// Bytes of blocks sent to others.
    pub uploaded_bytes: IntCounter,
    /// Bytes of blocks fetched and verified.
    pub fetched_bytes: IntCounter,
    /// Pieces of blocks that failed verification.
    pub fetch_corrupt: IntCounter,
    /// Amount charged, in BLY.
    pub charged: Counter,
}

fn seconds(name: &str, help: &str) -> HistogramOpts {
    let buckets = vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
    HistogramOpts::new(name, help).buckets(buckets)
}

impl Metrics {
    /// Measures in a new registry.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        macro_rules! register {
            ($metric:expr) => {{
                let metric = $metric?;
                registry.register(Box::new(metric.clone()))?;
                metric
            }};
        }
        let counter = |name: &str, help: &str| IntCounter::new(name, help);
        let gauge = |name: &str, help: &str| IntGauge::new(name, help);
        let metrics = Self {
            requests: register!(IntCounterVec::new(
                Opts::new("blyan_worker_requests_total", "Finished HTTP requests by route and status."),
                &["route", "status"]
            )),
            request_seconds: register!(HistogramVec::new(
                seconds("blyan_worker_request_seconds", "Time until a response's headers were sent."),
                &["route"]
            )),
            first_token_seconds: register!(Histogram::with_opts(seconds(
                "blyan_worker_first_token_seconds",
                "Time from a request's arrival to its first token.",
            ))),
            answer_seconds: register!(Histogram::with_opts(seconds(
                "blyan_worker_answer_seconds",
                "Time from a request's arrival to its last token.",
            ))),
            decode_rate: register!(Histogram::with_opts(
                HistogramOpts::new("blyan_worker_decode_tokens_per_second", "Decoded tokens a second, by answer.")
                    .buckets(vec![1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 120.0, 200.0, 400.0, 1000.0])
            )),
            prompt_tokens: register!(counter("blyan_worker_prompt_tokens_total", "Prompt tokens computed.")),
            output_tokens: register!(counter("blyan_worker_output_tokens_total", "Output tokens computed.")),
            answers: register!(IntCounterVec::new(
                Opts::new("blyan_worker_answers_total", "Answers by the reason they ended."),
                &["reason"]
            )),
            queue: register!(gauge("blyan_worker_queue_requests", "Requests that wait for a place in the batch.")),
            queue_refused: register!(counter(
                "blyan_worker_queue_refused_total",
                "Requests refused because the queue was full."
            )),
            batch: register!(gauge("blyan_worker_batch_sessions", "Answers being computed.")),
            step_sessions: register!(Histogram::with_opts(
                HistogramOpts::new("blyan_worker_step_sessions", "Sessions in a decoding step.")
                    .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
            )),
            receipts: register!(IntGaugeVec::new(
                Opts::new("blyan_worker_receipts", "Receipts by state: pending, open or anchored."),
                &["state"]
            )),
            anchor_failures: register!(counter(
                "blyan_worker_anchor_failures_total",
                "Attempts to anchor that failed."
            )),
            heartbeats: register!(IntCounterVec::new(
                Opts::new("blyan_worker_heartbeats_total", "Heartbeats by outcome."),
                &["outcome"]
            )),
            finalized_height: register!(gauge("blyan_worker_finalized_height_blocks", "Last finalized block.")),
            ready: register!(gauge("blyan_worker_ready_bool", "1 while answers can be given.")),
            uploaded_bytes: register!(counter("blyan_worker_uploaded_bytes_total", "Bytes of blocks sent to others.")),
            fetched_bytes: register!(counter(
                "blyan_worker_fetched_bytes_total",
                "Bytes of blocks fetched and verified."
            )),
            fetch_corrupt: register!(counter(
                "blyan_worker_fetch_corrupt_total",
                "Pieces of blocks that failed verification."
            )),
            charged: register!(Counter::new("blyan_worker_charged_bly_total", "Amount charged, in BLY.")),
            registry,
        };
        // A counter that appears with its first failure shows no increase to whoever looks for one: all start at 0.
        for reason in ["stop", "length", "cancelled", "failed"] {
            metrics.answers.with_label_values(&[reason]);
        }
        for outcome in ["ok", "failed"] {
            metrics.heartbeats.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    /// The registry, for other crates to add to.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Shows how many receipts are in each state.
    pub fn set_receipts(&self, counts: Counts) {
        for (state, count) in [("pending", counts.pending), ("open", counts.open), ("anchored", counts.anchored)] {
            self.receipts.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Prometheus text format.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable() {
        let metrics = Metrics::new().unwrap();
        metrics.set_receipts(Counts { pending: 2, open: 1, anchored: 5 });
        metrics.requests.with_label_values(&["/health", "200"]).inc();
        let text = metrics.render().unwrap();
        for line in [
            "blyan_worker_receipts{state=\"pending\"} 2",
            "blyan_worker_requests_total{route=\"/health\",status=\"200\"} 1",
            "blyan_worker_queue_requests 0",
            "blyan_worker_answers_total{reason=\"failed\"} 0",
            "blyan_worker_heartbeats_total{outcome=\"failed\"} 0",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}
