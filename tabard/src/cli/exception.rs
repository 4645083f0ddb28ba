//! `tabard exception`: one more right for a while, on a person's word.

use super::admin::segment;
use super::agent::applied;
use super::page::{Page, Tone, text};
use super::{Exit, Failure, Place};
use clap::{Args, Subcommand};
use policy::contract::Seconds;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum ExceptionCommand {
    /// Let an agent do one more thing, for a day at most; it ends by itself
    ///
    /// Every limit of the contract holds: tenants, hours, budgets, data flow. The bounds that its grants put on arguments
    /// do not, and no approval is asked: an exception for refunds lets any amount pass that no budget refuses.
    Open(Open),
    /// Every exception of the last days
    List,
    /// End one before its time
    End {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Open {
    /// Name or id of the agent
    #[arg(long)]
    agent: String,
    /// The one action
    #[arg(long)]
    action: String,
    /// Where: the name of an upstream, or an audience of tokens
    #[arg(long)]
    service: String,
    /// Why, in one sentence
    #[arg(long)]
    reason: String,
    /// Who answers for it
    #[arg(long)]
    owner: String,
    /// How long, as in 30m; at most 24h
    #[arg(long = "for", required_unless_present = "until")]
    length: Option<Seconds>,
    /// Until when, as in 2027-01-31T18:00:00Z
    #[arg(long, conflicts_with = "length")]
    until: Option<String>,
    /// It is known that there was one for the same a few days ago
    #[arg(long)]
    again: bool,
}

pub(super) fn run(command: &ExceptionCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        ExceptionCommand::Open(asked) => {
            let body = json!({
                "agent": asked.agent,
                "action": asked.action,
                "service": asked.service,
                "reason": asked.reason,
                "owner": asked.owner,
                "for_secs": asked.length.map(Seconds::get),
                "until": asked.until,
                "again": asked.again,
            });
            let done = at.admin.post("/v1/exceptions", &body)?;
            applied("EXCEPTION", &done, page);
            if !page.is_json() {
                page.note(
                    "Limits of the contract hold; bounds of its grants and approvals of this action do not.",
                );
                page.note("Every decision that rests on it says so. It ends by itself; before that with:");
                page.note(&format!("  tabard exception end {}", text(&done, "id")));
            }
        }
        ExceptionCommand::List => {
            let all = at.admin.get("/v1/exceptions")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let rows: Vec<_> = all
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|it| row(it, page))
                    .collect();
                let head = ["state", "agent", "action", "service", "until", "owner", "id"];
                page.table(&head, &rows);
            }
        }
        ExceptionCommand::End { id } => {
            let done = at
                .admin
                .post(&format!("/v1/exceptions/{}/end", segment(id)), &json!({}))?;
            applied("ended:", &done, page);
        }
    }
    Ok(Exit::Done)
}

fn row(it: &Value, page: &Page) -> Vec<String> {
    let state = if it.get("open") == Some(&Value::Bool(true)) {
        page.tone(Tone::Bad, "OPEN")
    } else {
        page.tone(Tone::Faint, "over")
    };
    let mut row = vec![state];
    row.extend(["agent", "action", "service", "until", "owner", "id"].map(|name| text(it, name)));
    row
}
