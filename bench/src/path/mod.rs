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
mod svid;
mod wire;

use crate::Effort;
use crate::fault::Fault;
use crate::place::Place;
use crate::report::{Measured, Report};
use crate::row;
use tempfile::TempDir;

/// Agents of the place that most rows are measured on.
const AGENTS: u32 = 1_000;
/// Agents of the large one.
const AGENTS_MANY: u32 = 100_000;

/// Measures every row.
pub(crate) async fn measure(effort: Effort) -> Report {
    let mut report = Report::default();
    report.put(
        &row::DECISION_HTTP,
        Measured::Nothing("there is no AuthZEN endpoint yet, so no decision over HTTP".to_owned()),
    );
    report.put(
        &row::GATEWAY_ENVOY,
        Measured::Nothing("Envoy with ext_authz is not part of this run".to_owned()),
    );
    report.take([&row::DECISION], decision::measure(effort));
    report.take(
        [&row::APPEND, &row::APPEND_WALL, &row::WAL],
        append::measure(effort).await,
    );
    report.take(
        [&row::GATEWAY, &row::GATEWAY_ADDED, &row::GATEWAY_ADDED_TMPFS],
        gateway::measure(effort).await,
    );
    on_servers(effort, &mut report).await;
    report
}

/// The rows that need a server.
async fn on_servers(effort: Effort, report: &mut Report) {
    let small = match fill(AGENTS).await {
        Ok(small) => small,
        Err(why) => {
            let rows = row::ALL.into_iter().skip_while(|row| **row != row::REVOKE);
            let servers = [&row::EXCHANGE_FULL, &row::EXCHANGE_MTLS_CACHED, &row::X509_SVID];
            return report.fail(servers.into_iter().chain(rows), &why);
        }
    };
    report.take(
        [&row::EXCHANGE_MTLS_CACHED],
        exchange::cached(&small.0, effort).await,
    );
    // After the cached one: its tens of thousands of subject tokens would leave no room to remember others.
    report.take([&row::EXCHANGE_FULL], exchange::full(&small.0, effort).await);
    report.take([&row::X509_SVID], svid::measure(&small.0, effort).await);
    report.take([&row::REVOKE], revoke::measure(&small.0, effort).await);
    report.take([&row::FIRST_SVID], first_svid::measure(&small.0, effort).await);
    match fill(AGENTS_MANY).await {
        Ok((large, folder)) => {
            report.take([&row::SCALE], scale::measure(&small.0, &large, effort).await);
            report.take(
                [&row::START, &row::RSS, &row::RSS_EMPTY],
                start::measure(large, &folder, effort).await,
            );
        }
        Err(why) => report.fail([&row::SCALE, &row::START, &row::RSS, &row::RSS_EMPTY], &why),
    }
    small.0.running.stop().await;
}

async fn fill(agents: u32) -> Result<(Place, TempDir), Fault> {
    let folder = tempfile::tempdir()?;
    let place = Place::new(folder.path(), agents).await?;
    place.settle().await;
    Ok((place, folder))
}
