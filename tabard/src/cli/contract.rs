//! `tabard contract`: check contracts anywhere, publish and read them.

use super::admin::segment;
use super::agent::applied;
use super::page::{Page, Tone, items, text};
use super::{Exit, Failure, Place, document};
use clap::Subcommand;
use policy::{Compiled, Contract, ContractError};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum ContractCommand {
    /// Read and compile contracts on this machine; needs no server
    Check {
        /// Contracts (YAML, kind: AgentContract)
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Publish a version; a version never changes afterwards
    Apply {
        /// The contract (YAML, kind: AgentContract)
        file: PathBuf,
    },
    /// A published contract as its author wrote it
    Show {
        /// NAME (its newest version), NAME@VERSION or its hash
        reference: String,
    },
    /// Every published version
    List,
}

pub(super) fn run(
    command: &ContractCommand,
    at: impl Fn() -> Result<Place, Failure>,
    page: &Page,
) -> Result<Exit, Failure> {
    match command {
        ContractCommand::Check { files } => files.iter().try_for_each(|file| check(file, page))?,
        ContractCommand::Apply { file } => {
            let (name, text) = document(file)?;
            let done = at()?
                .admin
                .post("/v1/contracts", &json!({"file": name, "text": text}))?;
            applied("contract", &done, page);
        }
        ContractCommand::Show { reference } => {
            let found = at()?
                .admin
                .get(&format!("/v1/contracts/{}", segment(reference)))?;
            if page.is_json() {
                page.json(&found);
            } else {
                page.note(&format!(
                    "{}@{} {}",
                    text(&found, "name"),
                    text(&found, "version"),
                    text(&found, "hash")
                ));
                page.out(found.get("source").and_then(Value::as_str).unwrap_or_default());
            }
        }
        ContractCommand::List => {
            let all = at()?.admin.get("/v1/contracts")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let row = |it: &Value| {
                    let agents: Vec<&str> = items(it, "agents").iter().filter_map(Value::as_str).collect();
                    vec![
                        text(it, "name"),
                        text(it, "version"),
                        text(it, "published_by"),
                        agents.join(","),
                        text(it, "hash"),
                    ]
                };
                let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
                page.table(&["name", "version", "by", "agents", "hash"], &rows);
            }
        }
    }
    Ok(Exit::Done)
}

/// What the server would say to it, without one.
fn check(path: &Path, page: &Page) -> Result<(), Failure> {
    let (name, text) = document(path)?;
    let mistaken = |errors: Vec<ContractError>| {
        let what = format!(
            "{name} has {} mistake{}.",
            errors.len(),
            if errors.len() == 1 { "" } else { "s" }
        );
        Failure::new("DOCUMENT_INVALID", what).at(errors.iter().map(ToString::to_string))
    };
    let contract = Contract::parse(&name, text.as_bytes()).map_err(mistaken)?;
    let (hash, metadata) = (contract.hash(), contract.terms().metadata.clone());
    Compiled::new(contract).map_err(mistaken)?;
    if page.is_json() {
        page.json(&json!({
            "file": name, "name": metadata.name.to_string(), "version": metadata.version, "hash": hash.to_string()
        }));
    } else {
        page.line(&format!(
            "{} {name}: {}@{} {hash}",
            page.tone(Tone::Good, "✓"),
            metadata.name,
            metadata.version
        ));
    }
    Ok(())
}
