//! The rows of the table of budgets: names that stay, units, budgets. docs/promises.md has a line for each.

/// What a budget limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Of {
    /// The value divided by its floor.
    Ratio,
    /// The value itself.
    Value,
}

/// One budget.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    /// Its name in every report, for good.
    pub(crate) name: &'static str,
    /// Of value and floor.
    pub(crate) unit: &'static str,
    /// The most that is promised.
    pub(crate) budget: f64,
    /// Of what.
    pub(crate) of: Of,
}

const fn row(name: &'static str, unit: &'static str, budget: f64, of: Of) -> Row {
    Row {
        name,
        unit,
        budget,
        of,
    }
}

pub(crate) const EXCHANGE_FULL: Row = row("exchange_full", "cpu_us", 2.2, Of::Ratio);
pub(crate) const EXCHANGE_MTLS_CACHED: Row = row("exchange_mtls_cached", "cpu_us", 6.0, Of::Ratio);
pub(crate) const X509_SVID: Row = row("x509_svid_issue", "cpu_us", 2.2, Of::Ratio);
pub(crate) const DECISION: Row = row("decision_in_process", "cpu_us", 2.5, Of::Ratio);
pub(crate) const DECISION_STATE: Row = row("decision_all_state_p99", "us", 100.0, Of::Value);
pub(crate) const DECISION_AGENTS: Row = row("decision_100_to_100k_agents", "cpu_us", 1.2, Of::Ratio);
pub(crate) const REPLAY: Row = row("replay_decision", "cpu_us", 33.0, Of::Value);
pub(crate) const DECISION_HTTP: Row = row("decision_over_http", "cpu_us", 2.5, Of::Ratio);
pub(crate) const GATEWAY: Row = row("gateway_request", "cpu_us", 3.0, Of::Ratio);
pub(crate) const GATEWAY_ENVOY: Row = row("gateway_request_envoy", "cpu_us", 1.0, Of::Ratio);
pub(crate) const GATEWAY_ADDED: Row = row("gateway_added_latency_p99", "ms", 1.0, Of::Value);
pub(crate) const GATEWAY_ADDED_TMPFS: Row = row("gateway_added_latency_p99_tmpfs", "ms", 1.0, Of::Value);
pub(crate) const WAL: Row = row("wal_size", "mib", 2.0, Of::Ratio);
pub(crate) const APPEND: Row = row("log_append_durable", "cpu_us", 3.0, Of::Ratio);
pub(crate) const APPEND_WALL: Row = row("log_append_durable_wall", "us", 3.0, Of::Ratio);
pub(crate) const REVOKE: Row = row("revoke_to_refused_p99", "ms", 100.0, Of::Value);
pub(crate) const FIRST_SVID: Row = row("registration_to_first_svid_p99", "ms", 100.0, Of::Value);
pub(crate) const START: Row = row("start_100k_agents", "ms", 300.0, Of::Value);
pub(crate) const RSS: Row = row("rss_100k_agents", "mib", 350.0, Of::Value);
pub(crate) const RSS_EMPTY: Row = row("rss_empty", "mib", 30.0, Of::Value);
pub(crate) const SCALE: Row = row("scale_1k_to_100k_agents", "cpu_us", 1.2, Of::Ratio);

/// Every row, in the order of the table.
pub(crate) const ALL: [&Row; 21] = [
    &EXCHANGE_FULL,
    &EXCHANGE_MTLS_CACHED,
    &X509_SVID,
    &DECISION,
    &DECISION_STATE,
    &DECISION_AGENTS,
    &REPLAY,
    &DECISION_HTTP,
    &GATEWAY,
    &GATEWAY_ENVOY,
    &GATEWAY_ADDED,
    &GATEWAY_ADDED_TMPFS,
    &WAL,
    &APPEND,
    &APPEND_WALL,
    &REVOKE,
    &FIRST_SVID,
    &START,
    &RSS,
    &RSS_EMPTY,
    &SCALE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn docs_promises_has_one_line_for_each_row_and_no_other() {
        let page = include_str!("../../docs/promises.md");
        let named: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let rows: Vec<&str> = ALL.iter().map(|row| row.name).collect();
        assert_eq!(named, rows);
    }

    #[test]
    fn names_are_snake_case_and_told_apart() {
        let names: BTreeSet<&str> = ALL.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ALL.len());
        let plain = |name: &str| {
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        assert!(names.into_iter().all(plain));
    }
}
