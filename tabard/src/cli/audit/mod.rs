//! `tabard audit`: the record, read, checked and exported.

mod export;
mod kept;
mod line;
mod tiles;
mod verify;

pub(super) use line::of as line;

use super::admin::segment;
use super::page::{Page, items};
use super::{Exit, Failure, Place};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Print new entries as they come
    Tail(Tail),
    /// Find entries
    Query(Query),
    /// Print one entry as it was hashed
    Show {
        /// log:index, as in 0:136
        place: String,
    },
    /// Check the whole log against its signed checkpoint, and against the one kept from last time
    Verify(verify::Verify),
    /// Write the log as files that third-party tools read
    Export {
        /// A directory that is empty or does not exist
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct Tail {
    /// End after so many entries
    #[arg(short = 'n', long)]
    count: Option<u64>,
}

/// Everything that is given must match; the newest come first
#[derive(Debug, Args)]
pub(super) struct Query {
    /// Name or id of the agent
    #[arg(long)]
    agent: Option<String>,
    /// The task
    #[arg(long)]
    task: Option<String>,
    /// What happened, as in gateway.blocked
    #[arg(long)]
    kind: Option<String>,
    /// One of the reason codes of a refusal
    #[arg(long)]
    reason: Option<String>,
    /// Only entries of the last while, as in 15m or 2h
    #[arg(long)]
    last: Option<policy::contract::Seconds>,
    /// Only entries before this place
    #[arg(long)]
    before: Option<String>,
    /// At most so many, 1000 at the most
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: usize,
}

pub(super) fn run(
    command: &AuditCommand,
    at: impl Fn() -> Result<Place, Failure>,
    page: &Page,
) -> Result<Exit, Failure> {
    match command {
        AuditCommand::Tail(tail) => follow(tail, &at()?, page),
        AuditCommand::Query(query) => find(query, &at()?, page),
        AuditCommand::Show { place } => {
            let found = at()?.admin.get(&format!("/v1/entries/{}", segment(place)))?;
            page.json(found.get("entry").unwrap_or(&found));
            Ok(Exit::Done)
        }
        AuditCommand::Verify(verify) => verify::run(verify, at, page),
        AuditCommand::Export { dir } => export::run(dir, &at()?, page),
    }
}

fn follow(tail: &Tail, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let mut left = tail.count.unwrap_or(u64::MAX);
    page.note("waiting for entries; ^C ends");
    at.admin.lines("/v1/entries/tail", |bytes| {
        let Ok(it) = serde_json::from_slice::<serde_json::Value>(bytes) else {
            return true;
        };
        let text = if page.is_json() {
            it.to_string()
        } else {
            line(&it, page)
        };
        left = left.saturating_sub(1);
        page.line(&text) && left > 0
    })?;
    Ok(Exit::Done)
}

fn find(query: &Query, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let since = query
        .last
        .map(|last| now().minus_secs(last.get()).millis().to_string());
    let limit = query.limit.to_string();
    let asked = [
        ("agent", query.agent.as_ref()),
        ("task", query.task.as_ref()),
        ("kind", query.kind.as_ref()),
        ("reason", query.reason.as_ref()),
        ("since", since.as_ref()),
        ("before", query.before.as_ref()),
        ("limit", Some(&limit)),
    ];
    let pairs: Vec<String> = asked
        .iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name}={}", segment(value))))
        .collect();
    let found = at.admin.get(&format!("/v1/entries?{}", pairs.join("&")))?;
    if page.is_json() {
        page.json(&found);
        return Ok(Exit::Done);
    }
    let entries = items(&found, "entries");
    for it in entries {
        page.line(&line(it, page));
    }
    if entries.is_empty() {
        page.note("no entry matches");
    }
    Ok(Exit::Done)
}

/// The wall clock, for lengths of time that a person gave.
fn now() -> identity::UnixTime {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    identity::UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
