//! `tabard principal`: who may administer.

use super::agent::applied;
use super::page::{Page, items, text};
use super::{Exit, Failure, Place};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum PrincipalCommand {
    /// Add a person by the uid of their account on the server's host, or change their roles
    Add(Add),
    /// Everybody who may administer
    List,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// What the record calls them
    name: String,
    /// Their uid
    #[arg(long)]
    uid: u32,
    /// What they may do; repeat for more
    #[arg(long = "role", required = true, value_enum)]
    roles: Vec<Role>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// Sees inventory and state
    Viewer,
    /// Reads, verifies and exports the record besides
    Auditor,
    /// Opens tasks, launches, revokes, suspends and resumes
    Operator,
    /// Publishes contracts, upstreams, agents and registrations
    Author,
    /// Says yes or no to what a contract does not let an agent do alone
    Approver,
    /// Everything
    Admin,
}

pub(super) fn run(command: &PrincipalCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        PrincipalCommand::Add(add) => {
            let roles: Vec<String> = add
                .roles
                .iter()
                .map(|role| format!("{role:?}").to_lowercase())
                .collect();
            let body = json!({"name": add.name, "uid": add.uid, "roles": roles});
            applied("principal", &at.admin.post("/v1/principals", &body)?, page);
        }
        PrincipalCommand::List => {
            let all = at.admin.get("/v1/principals")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let row = |it: &Value| {
                    let roles: Vec<&str> = items(it, "roles").iter().filter_map(Value::as_str).collect();
                    vec![
                        text(it, "name"),
                        text(it, "uid"),
                        roles.join(","),
                        text(it, "assurance"),
                    ]
                };
                let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
                page.table(&["name", "uid", "roles", "assurance"], &rows);
            }
        }
    }
    Ok(Exit::Done)
}
