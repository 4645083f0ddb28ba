//! `tabard directory`: which destinations are a tenant's own.

use super::admin::segment;
use super::agent::applied;
use super::page::{Page, items};
use super::{Exit, Failure, Place, document};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum DirectoryCommand {
    /// Set all destinations of a tenant; what was set before is gone
    Set(Set),
    /// The destinations of a tenant
    Show {
        /// Whose
        tenant: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Set {
    /// Whose
    tenant: String,
    /// An address, an account, or @domain for every address of a domain; may be given several times
    #[arg(long = "destination", value_name = "DESTINATION")]
    destinations: Vec<String>,
    /// A file with one destination a line
    #[arg(long)]
    file: Option<PathBuf>,
}

pub(super) fn run(command: &DirectoryCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        DirectoryCommand::Set(set) => {
            let text = set.file.as_deref().map(document).transpose()?;
            let lines = text.iter().flat_map(|(_, text)| text.lines());
            let destinations: Vec<&str> = lines
                .filter(|line| !line.is_empty())
                .chain(set.destinations.iter().map(String::as_str))
                .collect();
            let body = json!({"tenant": set.tenant, "destinations": destinations});
            applied("directory", &at.admin.post("/v1/directories", &body)?, page);
        }
        DirectoryCommand::Show { tenant } => {
            let found = at.admin.get(&format!("/v1/directories/{}", segment(tenant)))?;
            if page.is_json() {
                page.json(&found);
            } else {
                let destinations = items(&found, "destinations").iter();
                for destination in destinations.filter_map(Value::as_str) {
                    page.line(destination);
                }
            }
        }
    }
    Ok(Exit::Done)
}
