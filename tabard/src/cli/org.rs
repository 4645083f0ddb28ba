//! `tabard org`: the isolation units of an installation.

use super::agent::applied;
use super::page::{Page, text};
use super::{Exit, Failure, Place};
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum OrgCommand {
    /// Create another org: a registry, contracts, upstreams and administrators of its own
    Add {
        /// Its name, which becomes the first segment of its SPIFFE IDs
        name: String,
    },
    /// Every org in reach
    List,
}

pub(super) fn run(command: &OrgCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        OrgCommand::Add { name } => {
            applied("org", &at.admin.post("/v1/orgs", &json!({"name": name}))?, page);
            if !page.is_json() {
                page.note(&format!(
                    "  nobody administers it alone yet: tabard principal add NAME --org {name} --role admin"
                ));
            }
        }
        OrgCommand::List => {
            let all = at.admin.get("/v1/orgs")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let row = |it: &Value| {
                    ["name", "id", "agents", "principals"]
                        .map(|of| text(it, of))
                        .to_vec()
                };
                let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
                page.table(&["name", "id", "agents", "administrators of it alone"], &rows);
            }
        }
    }
    Ok(Exit::Done)
}
