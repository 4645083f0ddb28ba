//! What operators watch.

use broker::enforce::Ended;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// By code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

/// Counters of one gateway.
#[derive(Debug, Clone)]
pub struct Metrics {
    permitted: Counter,
    refused: Family<Code, Counter>,
    ended: Family<Code, Counter>,
    recorded_seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            permitted: Counter::default(),
            refused: Family::default(),
            ended: Family::default(),
            recorded_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
        }
    }
}

impl Metrics {
    /// Puts them under `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("tabard_gateway");
        registry.register(
            "permitted_calls",
            "Calls that were permitted and recorded",
            self.permitted.clone(),
        );
        registry.register(
            "refused_requests",
            "Requests that were refused, by code",
            self.refused.clone(),
        );
        registry.register(
            "ended_calls",
            "Permitted calls that ended, by how",
            self.ended.clone(),
        );
        registry.register(
            "record_seconds",
            "From the decision to its durable entry",
            self.recorded_seconds.clone(),
        );
    }

    pub(crate) fn permitted(&self) {
        self.permitted.inc();
    }
    pub(crate) fn refused(&self, code: &'static str) {
        self.refused.get_or_create(&Code { code }).inc();
    }
    pub(crate) fn recorded(&self, seconds: f64) {
        self.recorded_seconds.observe(seconds);
    }
    pub(crate) fn ended(&self, ended: &Ended) {
        self.ended
            .get_or_create(&Code {
                code: ended.error.unwrap_or("complete"),
            })
            .inc();
    }
}
