//! The measurements, one file a path or two that share a setting. Order matters: what is expensive to set up is
//! measured together, and nothing else runs meanwhile.

mod append;
mod decision;
mod exchange;
mod first_svid;
mod gateway;
mod revoke;
mod scale;
mod start;
mod state;
mod svid;
mod wire;

use crate::Effort;
use crate::fault::Fault;
use crate::place::Place;
use crate::report::{Measured, Report};
use crate::row::{self, Row};
use tempfile::TempDir;

/// Agents of the place that most rows are measured on.
const AGENTS: u32 = 1_000;
/// Agents of the large one.
const AGENTS_MANY: u32 = 100_000;

/// Measures every row that is wanted.
pub(crate) async fn measure(effort: Effort<'_>) -> Report {
    let mut report = Report::default();
    report.put(
        &row::DECISION_HTTP,
        Measured::Nothing("there is no AuthZEN endpoint yet, so no decision over HTTP".to_owned()),
    );
    report.put(
        &row::GATEWAY_ENVOY,
        Measured::Nothing("Envoy with ext_authz is not part of this run".to_owned()),
    );
    if effort.wants(&[&row::DECISION]) {
        report.take([&row::DECISION], decision::measure(effort));
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
    let calls = [&row::GATEWAY, &row::GATEWAY_ADDED, &row::GATEWAY_ADDED_TMPFS];
    if effort.wants(&calls) {
        report.take(calls, gateway::measure(effort).await);
    }
    if effort.wants(&SMALL) || effort.wants(&LARGE) {
        on_servers(effort, &mut report).await;
    }
    report
}

/// The rows that need a server.
const SMALL: [&Row; 5] = [
    &row::EXCHANGE_MTLS_CACHED,
    &row::EXCHANGE_FULL,
    &row::X509_SVID,
    &row::REVOKE,
    &row::FIRST_SVID,
];
/// And those that need a large one.
const LARGE: [&Row; 4] = [&row::SCALE, &row::START, &row::RSS, &row::RSS_EMPTY];

async fn on_servers(effort: Effort<'_>, report: &mut Report) {
    let small = match fill(AGENTS).await {
        Ok(small) => small,
        Err(why) => return report.fail(SMALL.into_iter().chain(LARGE), &why),
    };
    if effort.wants(&[&row::EXCHANGE_MTLS_CACHED]) {
        report.take(
            [&row::EXCHANGE_MTLS_CACHED],
            exchange::cached(&small.0, effort).await,
        );
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
        match fill(AGENTS_MANY).await {
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
