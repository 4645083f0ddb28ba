//! `tabard task`: units of work, opened on an operator's word.

use super::admin::segment;
use super::agent::applied;
use super::page::{Page, text};
use super::{Exit, Failure, Place};
use clap::{Args, Subcommand};
use policy::contract::Seconds;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum TaskCommand {
    /// Open a task for an agent; prints its id
    Open(Open),
    /// Tasks that are open or still remembered
    List,
    /// Lower what a task is taken to have read, on your word; counts for what it has read so far
    Declassify {
        /// task_…
        id: String,
        /// Why, in one line; it stands in the record beside your name
        #[arg(long)]
        reason: String,
    },
    /// End a task: nothing is issued for it any more
    Close {
        /// task_…
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Open {
    /// Name or id of the agent
    agent: String,
    /// One of the contract's task types; its first, if left out
    #[arg(long = "type")]
    kind: Option<String>,
    /// Whose data
    #[arg(long)]
    tenant: Option<String>,
    /// How long it lasts, as in 15m; the contract's maximum, if left out
    #[arg(long)]
    ttl: Option<Seconds>,
    /// A destination that the task may write to after it has read what others can write: an address, an account, or
    /// @domain for every address of a domain. May be given several times
    #[arg(long = "trust", value_name = "DESTINATION")]
    trusted: Vec<String>,
}

pub(super) fn run(command: &TaskCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        TaskCommand::Open(open) => {
            let body = json!({
                "agent": open.agent, "kind": open.kind, "tenant": open.tenant, "ttl_secs": open.ttl.map(Seconds::get),
                "trusted": open.trusted,
            });
            let task = at.admin.post("/v1/tasks", &body)?;
            if page.is_json() {
                page.json(&task);
            } else {
                page.note(&format!(
                    "{} for {}, until {}",
                    text(&task, "kind"),
                    text(&task, "agent_name"),
                    text(&task, "expires")
                ));
                page.line(&text(&task, "id"));
            }
        }
        TaskCommand::List => {
            let all = at.admin.get("/v1/tasks")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let row = |it: &Value| {
                    let state = if it.get("open") == Some(&Value::Bool(true)) {
                        "open"
                    } else {
                        "over"
                    };
                    vec![
                        text(it, "id"),
                        state.to_owned(),
                        text(it, "agent_name"),
                        text(it, "kind"),
                        text(it, "tenant"),
                        text(it, "expires"),
                    ]
                };
                let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
                page.table(&["task", "state", "agent", "type", "tenant", "until"], &rows);
            }
        }
        TaskCommand::Declassify { id, reason } => {
            let path = format!("/v1/tasks/{}/declassify", segment(id));
            applied(
                "declassified task",
                &at.admin.post(&path, &json!({"reason": reason}))?,
                page,
            );
        }
        TaskCommand::Close { id } => {
            applied(
                "closed task",
                &at.admin.delete(&format!("/v1/tasks/{}", segment(id)))?,
                page,
            );
        }
    }
    Ok(Exit::Done)
}
