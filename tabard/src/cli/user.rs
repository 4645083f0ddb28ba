//! `tabard user`: what people may do through agents.

use super::agent::applied;
use super::page::{Page, items, text};
use super::{Exit, Failure, Place, document};
use clap::{Args, Subcommand};
use policy::contract::Seconds;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Set all that a user may do through agents; what was set before is gone
    Set(Set),
    /// Every user
    List,
    /// Take all of a user's rights back; what agents do for them ends with the next call
    Remove {
        /// The issuer that authenticates them
        issuer: String,
        /// The issuer's name for them (`sub`)
        subject: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Set {
    /// The issuer that authenticates them; it has to be trusted
    issuer: String,
    /// The issuer's name for them (`sub`), never one that can be given to somebody else later
    subject: String,
    /// How long the rights last, as in 90d
    #[arg(long = "for", value_name = "LENGTH")]
    lasts: Seconds,
    /// A group that they are in; may be given several times
    #[arg(long = "group")]
    groups: Vec<String>,
    /// A JSON file with their rights: [{"agents": […], "services": […], "actions": […], "tenants": […]}, …]
    #[arg(long, conflicts_with_all = ["agents", "services", "actions", "tenants"])]
    rights: Option<PathBuf>,
    /// One right: through this agent; may be given several times, as the next three
    #[arg(long = "agent", required_unless_present = "rights")]
    agents: Vec<String>,
    /// At this service
    #[arg(long = "service", required_unless_present = "rights")]
    services: Vec<String>,
    /// This action
    #[arg(long = "action", required_unless_present = "rights")]
    actions: Vec<String>,
    /// For this tenant; without one, nothing that belongs to a tenant
    #[arg(long = "tenant")]
    tenants: Vec<String>,
}

pub(super) fn run(command: &UserCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        UserCommand::Set(set) => {
            let body = json!({
                "issuer": set.issuer, "subject": set.subject, "groups": set.groups, "rights": rights(set)?,
                "ttl_secs": set.lasts.get(),
            });
            applied("user", &at.admin.post("/v1/users", &body)?, page);
        }
        UserCommand::List => {
            let all = at.admin.get("/v1/users")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let row = |it: &Value| {
                    let groups: Vec<&str> = items(it, "groups").iter().filter_map(Value::as_str).collect();
                    let over = it.get("over") == Some(&Value::Bool(true));
                    vec![
                        text(it, "issuer"),
                        text(it, "subject"),
                        groups.join(","),
                        items(it, "rights").len().to_string(),
                        if over {
                            "over".to_owned()
                        } else {
                            text(it, "expires")
                        },
                    ]
                };
                let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
                page.table(&["issuer", "user", "groups", "rights", "until"], &rows);
            }
        }
        UserCommand::Remove { issuer, subject } => {
            let body = json!({"issuer": issuer, "subject": subject});
            applied("removed user", &at.admin.post("/v1/users/remove", &body)?, page);
        }
    }
    Ok(Exit::Done)
}

/// From the file, or the one that the options spell.
fn rights(set: &Set) -> Result<Value, Failure> {
    let Some(path) = &set.rights else {
        return Ok(json!([{
            "agents": set.agents, "services": set.services, "actions": set.actions, "tenants": set.tenants,
        }]));
    };
    let (name, text) = document(path)?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::new("DOCUMENT_INVALID", format!("{name} is not JSON"))
            .because(error.to_string())
            .fix("Write a list of rights, each with agents, services, actions and tenants.")
    })
}
