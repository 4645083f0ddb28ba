//! `tabard registration`: selectors under which a process that Tabard does not launch gets an agent's identity.

use super::admin::segment;
use super::agent::applied;
use super::page::{Page, text};
use super::{Exit, Failure, Place};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum RegistrationCommand {
    /// Give processes of a uid and an executable the identity of an agent (assurance level 1 at most)
    Add(Add),
    /// Take it back
    Remove {
        /// Its name
        name: String,
    },
    /// Every registration
    List,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Name of the registration
    name: String,
    /// Whose identity
    #[arg(long)]
    agent: String,
    /// The uid that the kernel must report
    #[arg(long)]
    uid: u32,
    /// The executable's absolute path
    #[arg(long)]
    executable: String,
    /// Its digest (sha256:…), to pin it
    #[arg(long)]
    digest: Option<String>,
}

pub(super) fn run(command: &RegistrationCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        RegistrationCommand::Add(add) => {
            let body = json!({
                "name": add.name, "agent": add.agent, "uid": add.uid, "executable": add.executable,
                "executable_digest": add.digest,
            });
            applied("registration", &at.admin.post("/v1/registrations", &body)?, page);
        }
        RegistrationCommand::Remove { name } => {
            let done = at.admin.delete(&format!("/v1/registrations/{}", segment(name)))?;
            applied("removed registration", &done, page);
        }
        RegistrationCommand::List => {
            let all = at.admin.get("/v1/registrations")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let row = |it: &Value| {
                    ["name", "agent_name", "uid", "executable", "executable_digest"]
                        .map(|name| text(it, name))
                        .to_vec()
                };
                let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
                page.table(&["name", "agent", "uid", "executable", "digest"], &rows);
            }
        }
    }
    Ok(Exit::Done)
}
