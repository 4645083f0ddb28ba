//! The measurements, one file a path or two that share a setting. Order matters: what is expensive to set up is
//! measured together, and nothing else runs meanwhile.

mod append;
mod asked;
mod decision;
mod decision_http;
mod exchange;
mod ext_authz;
mod first_svid;
mod gateway;
mod revoke;
mod scale;
mod start;
mod state;
mod svid;
mod wire;

use crate::effort::Effort;
use crate::fault::Fault;
use crate::place::{LAUNCHED, Place};
use crate::report::Report;
use crate::row::{self, Row};
use tempfile::TempDir;

/// Measures every row that is wanted.
pub(crate) async fn measure(effort: Effort<'_>) -> Report {
    let mut report = Report::default();
    if effort.wants(&[&row::DECISION]) {
        report.take([&row::DECISION], decision::measure(effort));
    }
    if effort.wants(&[&row::EXT_AUTHZ]) {
        report.take([&row::EXT_AUTHZ], ext_authz::measure(effort).await);
    }
    let state = [&row::DECISION_STATE, &row::REPLAY];
    if effort.wants(&state) {
        report.take(state, state::measure(effort));
    }
    if effort.wants(&[&row::DECISION_AGENTS]) {
        report.take([&row::DECISION_AGENTS], state::many(effort));
    }
    let log = [&row::APPEND, &row::APPEND_WALL, &row::WAL];
    if effort.wants(&log) {
        report.take(log, append::measure(effort).await);
    }
    let calls = [
        &row::GATEWAY,
        &row::GATEWAY_ENVOY,
        &row::GATEWAY_ADDED,
        &row::GATEWAY_ADDED_TMPFS,
    ];
    if effort.wants(&calls) {
        report.take(calls, gateway::measure(effort).await);
    }
    if effort.wants(&SMALL) || effort.wants(&LARGE) {
        on_servers(effort, &mut report).await;
    }
    report
}

/// The rows that need a server.
const SMALL: [&Row; 7] = [
    &row::DECISION_HTTP,
    &row::DECISION_CERBOS,
    &row::EXCHANGE_MTLS_CACHED,
    &row::EXCHANGE_FULL,
    &row::X509_SVID,
    &row::REVOKE,
    &row::FIRST_SVID,
];
/// And those that need a large one.
const LARGE: [&Row; 4] = [&row::SCALE, &row::START, &row::RSS, &row::RSS_EMPTY];

async fn on_servers(effort: Effort<'_>, report: &mut Report) {
    // Agents of the place that most rows are measured on, and of the large one.
    let (few, many) = effort.pick((LAUNCHED, 2 * LAUNCHED), (1_000, 100_000), (1_000, 100_000));
    let small = match fill(few).await {
        Ok(small) => small,
        Err(why) => return report.fail(SMALL.into_iter().chain(LARGE), &why),
    };
    if effort.wants(&[&row::EXCHANGE_MTLS_CACHED]) {
        report.take(
            [&row::EXCHANGE_MTLS_CACHED],
            exchange::cached(&small.0, effort).await,
        );
    }
    let decisions = [&row::DECISION_HTTP, &row::DECISION_CERBOS];
    if effort.wants(&decisions) {
        report.take(decisions, decision_http::measure(&small.0, effort).await);
    }
    // After the cached one: its tens of thousands of subject tokens would leave no room to remember others.
    if effort.wants(&[&row::EXCHANGE_FULL]) {
        report.take([&row::EXCHANGE_FULL], exchange::full(&small.0, effort).await);
    }
    if effort.wants(&[&row::X509_SVID]) {
        report.take([&row::X509_SVID], svid::measure(&small.0, effort).await);
    }
    if effort.wants(&[&row::REVOKE]) {
        report.take([&row::REVOKE], revoke::measure(&small.0, effort).await);
    }
    if effort.wants(&[&row::FIRST_SVID]) {
        report.take([&row::FIRST_SVID], first_svid::measure(&small.0, effort).await);
    }
    if effort.wants(&LARGE) {
        match fill(many).await {
            Ok((large, folder)) => {
                if effort.wants(&[&row::SCALE]) {
                    report.take([&row::SCALE], scale::measure(&small.0, &large, effort).await);
                }
                report.take(
                    [&row::START, &row::RSS, &row::RSS_EMPTY],
                    start::measure(large, &folder, effort).await,
                );
            }
            Err(why) => report.fail(LARGE, &why),
        }
    }
    small.0.running.stop().await;
}

async fn fill(agents: u32) -> Result<(Place, TempDir), Fault> {
    let folder = tempfile::tempdir()?;
    let place = Place::new(folder.path(), agents).await?;
    place.settle().await;
    Ok((place, folder))
}
