//! Metrics, named `blyan_store_<what>_<unit>`.

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, exponential_buckets,
};

#[derive(Debug)]
pub(crate) struct Metrics {
    /// By outcome: `hit`, a verified mapping was there; `load`, the file was verified first; `miss`, no such block;
    /// `corrupt`, the file was damaged.
    lookups: IntCounterVec,
    /// Lookups that found a block, as a part of all.
    hit_ratio: Gauge,
    pub(crate) evictions: IntCounter,
    pub(crate) evicted_bytes: IntCounter,
    pub(crate) stored_bytes: IntGauge,
    pub(crate) stored_blocks: IntGauge,
    pub(crate) verification_seconds: Histogram,
    pub(crate) verified_bytes: IntCounter,
    pub(crate) corruptions: IntCounter,
    pub(crate) ingested_blocks: IntCounter,
    pub(crate) ingested_bytes: IntCounter,
}

#[derive(Clone, Copy)]
pub(crate) enum Lookup {
    Hit,
    Load,
    Miss,
    Corrupt,
}

impl Lookup {
    fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Load => "load",
            Self::Miss => "miss",
            Self::Corrupt => "corrupt",
        }
    }
}

impl Metrics {
    pub(crate) fn new(registry: &Registry, max_bytes: Option<u64>) -> Result<Self, prometheus::Error> {
        let counter = |name, help| register(registry, IntCounter::new(name, help)?);
        let gauge = |name, help| register(registry, IntGauge::new(name, help)?);
        if let Some(max) = max_bytes {
            gauge("blyan_store_capacity_bytes", "Bound of the store")?.set(i64::try_from(max).unwrap_or(i64::MAX));
        }
        let lookups = Opts::new("blyan_store_lookups_total", "Blocks asked for, by outcome");
        let hit_ratio = Gauge::new("blyan_store_hit_ratio", "Blocks asked for that were stored, as a part of all")?;
        let verification = HistogramOpts::new("blyan_store_verification_seconds", "Time to hash a whole block")
            .buckets(exponential_buckets(0.0005, 2.0, 16)?);
        Ok(Self {
            lookups: register(registry, IntCounterVec::new(lookups, &["outcome"])?)?,
            hit_ratio: register(registry, hit_ratio)?,
            evictions: counter("blyan_store_evictions_total", "Blocks removed to make room")?,
            evicted_bytes: counter("blyan_store_evicted_bytes_total", "Bytes removed to make room")?,
            stored_bytes: gauge("blyan_store_stored_bytes", "Bytes of whole blocks and their leaf hashes")?,
            stored_blocks: gauge("blyan_store_stored_blocks", "Whole blocks")?,
            verification_seconds: register(registry, Histogram::with_opts(verification)?)?,
            verified_bytes: counter("blyan_store_verified_bytes_total", "Bytes hashed to verify stored blocks")?,
            corruptions: counter("blyan_store_corruptions_total", "Damaged files moved into quarantine")?,
            ingested_blocks: counter("blyan_store_ingested_blocks_total", "Blocks fetched and finished")?,
            ingested_bytes: counter("blyan_store_ingested_bytes_total", "Bytes of tiles that arrived and were good")?,
        })
    }

    pub(crate) fn lookup(&self, lookup: Lookup) {
        self.lookups.with_label_values(&[lookup.label()]).inc();
        let count = |lookup: Lookup| self.lookups.with_label_values(&[lookup.label()]).get() as f64;
        let found = count(Lookup::Hit) + count(Lookup::Load);
        self.hit_ratio.set(found / (found + count(Lookup::Miss) + count(Lookup::Corrupt)));
    }
}

fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
