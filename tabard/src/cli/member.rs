//! `tabard member`: node agents and gateways that joined, and how one is thrown out.

use super::admin::segment;
use super::agent::applied;
use super::page::{Page, items, text};
use super::{Exit, Failure, Place};
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum MemberCommand {
    /// Everyone who joined
    List,
    /// End a membership: its key and SVID are refused from now on, and what a removed node attested is revoked
    Remove {
        /// Its id, as `tabard member list` shows it
        id: String,
        /// For the record
        #[arg(long, default_value = "")]
        reason: String,
    },
}

pub(super) fn run(command: &MemberCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        MemberCommand::List => {
            let status = at.admin.get("/v1/status")?;
            if page.is_json() {
                page.json(status.get("members").unwrap_or(&Value::Null));
            } else {
                let row = |it: &Value| {
                    let is = |name: &str| it.get(name) == Some(&Value::Bool(true));
                    let how = match (is("connected"), is("silent")) {
                        (true, false) => "follows",
                        (true, true) => "silent",
                        (false, _) => "away",
                    };
                    vec![text(it, "role"), text(it, "id"), how.to_owned(), text(it, "log")]
                };
                let rows: Vec<_> = items(&status, "members").iter().map(row).collect();
                page.table(&["role", "id", "is", "log"], &rows);
            }
        }
        MemberCommand::Remove { id, reason } => {
            let path = format!("/v1/members/{}/remove", segment(id));
            let done = at.admin.post(&path, &json!({"reason": reason}))?;
            applied("removed member", &done, page);
            if !page.is_json() {
                page.note(
                    "  a gateway knows the secrets of the upstreams it served: rotate them if it was stolen",
                );
            }
        }
    }
    Ok(Exit::Done)
}
