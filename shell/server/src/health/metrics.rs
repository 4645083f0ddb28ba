//! `GET /metrics`: counters in the OpenMetrics text format, for this host and for members of the trust domain.

use crate::connection::Peer;
use crate::installation::Installation;
use crate::problem::Problem;
use axum::extract::{Extension, State};
use axum::response::IntoResponse;
use http::header;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::Arc;
use std::time::Duration;

/// How a token request ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, EncodeLabelValue)]
pub enum Ending {
    /// A token was issued.
    Issued,
    /// An identified caller was refused, and the refusal recorded.
    Refused,
    /// The caller was not identified; only counted.
    Unidentified,
    /// The server could not decide or record.
    Failed,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct EndingLabel {
    ending: Ending,
}

/// What a service was told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, EncodeLabelValue)]
enum Told {
    Permit,
    Deny,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ToldLabel {
    told: Told,
}

/// The server's counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    exchanges: Family<EndingLabel, Counter>,
    evaluations: Family<ToldLabel, Counter>,
    searches: Counter,
    seconds: Histogram,
    connections: Gauge,
    entries: Gauge,
    waiting: Gauge,
    revision: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tabard");
        // 250 µs to 1 s: an exchange is budgeted at 300 µs of processor, a group commit at a few milliseconds.
        let bounds = [
            0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 1.0,
        ];
        let made = Self {
            exchanges: Family::default(),
            evaluations: Family::default(),
            searches: Counter::default(),
            seconds: Histogram::new(bounds),
            connections: Gauge::default(),
            entries: Gauge::default(),
            waiting: Gauge::default(),
            revision: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register(
            "exchanges",
            "Token requests by how they ended",
            made.exchanges.clone(),
        );
        registry.register(
            "evaluations",
            "Questions of services by what they were told",
            made.evaluations.clone(),
        );
        registry.register(
            "searches",
            "Searches of services for what could be permitted",
            made.searches.clone(),
        );
        registry.register_with_unit(
            "exchange_duration",
            "Time from a complete token request to its answer",
            Unit::Seconds,
            made.seconds.clone(),
        );
        registry.register("connections", "Open connections", made.connections.clone());
        registry.register("log_entries", "Durable entries of the log", made.entries.clone());
        registry.register(
            "commits_waiting",
            "Plans that wait for the writer",
            made.waiting.clone(),
        );
        registry.register("revision", "Revision of the World", made.revision.clone());
        Self { registry, ..made }
    }
}

impl Metrics {
    /// Counts a token request.
    pub(crate) fn exchange(&self, ending: Ending, took: Duration) {
        self.exchanges.get_or_create(&EndingLabel { ending }).inc();
        self.seconds.observe(took.as_secs_f64());
    }
    /// Counts a question of a service that was answered.
    pub(crate) fn evaluated(&self, decision: bool) {
        let told = if decision { Told::Permit } else { Told::Deny };
        self.evaluations.get_or_create(&ToldLabel { told }).inc();
    }
    /// Counts a search of a service: nothing else is left of it.
    pub(crate) fn searched(&self) {
        self.searches.inc();
    }
    /// Counts a connection as open.
    pub(crate) fn connected(&self) {
        self.connections.inc();
    }
    /// The opposite.
    pub(crate) fn disconnected(&self) {
        self.connections.dec();
    }
}

/// The counters as text.
pub(super) async fn answer(
    State(installation): State<Arc<Installation>>,
    Extension(peer): Extension<Arc<Peer>>,
) -> Result<impl IntoResponse, Problem> {
    if !peer.address.ip().is_loopback() && peer.svid(installation.clock.now()).is_none() {
        return Err(Problem::MetricsNotPublic);
    }
    let (health, metrics) = (installation.store.health(), &installation.metrics);
    metrics
        .entries
        .set(i64::try_from(health.size).unwrap_or(i64::MAX));
    metrics
        .waiting
        .set(i64::try_from(health.waiting).unwrap_or(i64::MAX));
    metrics
        .revision
        .set(i64::try_from(health.revision.0).unwrap_or(i64::MAX));
    let mut text = String::new();
    encode(&mut text, &metrics.registry).map_err(|_| Problem::Unreadable)?;
    Ok((
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        text,
    ))
}
