//! `tabard contract`: check contracts anywhere, publish and read them.

use super::admin::segment;
use super::change::{self, Apply, Compare, Publish, Sync};
use super::init::Init;
use super::page::{Page, Tone, items, text};
use super::review::{self, Review};
use super::{Exit, Failure, Place, document};
use clap::Subcommand;
use policy::contract::{RateScope, Seconds};
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
    /// Draft a contract from flags or a service's description; applies nothing, needs no server
    Init(Box<Init>),
    /// Publish a version, or propose it where it lets an agent do more; a version never changes afterwards
    Apply(Apply),
    /// What one contract lets an agent do that another does not
    Diff(Compare),
    /// What contracts would change of those in force; exits with 1 when one takes a second person. Applies nothing
    Review(Review),
    /// Apply every contract of a folder that is not published yet
    Sync(Sync),
    /// What waits for somebody other than its author
    Proposals,
    /// Show what somebody else proposed, and open the page on which a person publishes it
    Publish(Publish),
    /// Take a proposal back, or turn it down
    Withdraw {
        /// Its hash, as `contract proposals` prints it
        hash: String,
    },
    /// A published contract as its author wrote it
    Show {
        /// NAME (its newest version), NAME@VERSION or its hash
        reference: String,
    },
    /// Every published version
    List,
    /// What a contract would have said of decisions that were recorded; nothing is published
    Simulate {
        /// The candidate (YAML, kind: AgentContract)
        file: PathBuf,
        /// Only decisions of this agent; without it, of agents under a contract of the candidate's name
        #[arg(long)]
        agent: Option<String>,
        /// Decisions of every agent
        #[arg(long, conflicts_with = "agent")]
        all: bool,
        /// How far back, as in 7d
        #[arg(long, default_value = "7d")]
        since: Seconds,
    },
    /// A draft of an agent's contract without what it did not use; nothing is published
    Tighten {
        /// Name or id of the agent
        agent: String,
        /// How far back, as in 30d
        #[arg(long, default_value = "30d")]
        since: Seconds,
        /// Where to write the draft; stdout, if left out. A file that exists is not overwritten
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

pub(super) fn run(
    command: &ContractCommand,
    at: impl Fn() -> Result<Place, Failure>,
    page: &Page,
) -> Result<Exit, Failure> {
    match command {
        ContractCommand::Check { files } => files.iter().try_for_each(|file| check(file, page))?,
        ContractCommand::Init(asked) => return super::init::run(asked, page),
        ContractCommand::Apply(asked) => return change::apply(asked, &at()?, page),
        ContractCommand::Diff(asked) => return change::compare(asked, at, page),
        ContractCommand::Review(asked) => return review::review(asked, at, page),
        ContractCommand::Sync(asked) => return change::sync(asked, &at()?, page),
        ContractCommand::Proposals => return change::proposals(&at()?, page),
        ContractCommand::Publish(asked) => return change::publish(asked, &at()?, page),
        ContractCommand::Withdraw { hash } => return change::withdraw(hash, &at()?, page),
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
        ContractCommand::Simulate {
            file,
            agent,
            all,
            since,
        } => return simulate(file, agent.as_deref(), *all, *since, &at()?, page),
        ContractCommand::Tighten { agent, since, out } => {
            let path = format!("/v1/agents/{}/tightened?since={}", segment(agent), ago(*since));
            let draft = at()?.admin.get(&path)?;
            if page.is_json() {
                page.json(&draft);
            } else {
                tightened(&draft, out.as_deref(), page)?;
            }
        }
    }
    Ok(Exit::Done)
}

/// So long ago, in milliseconds since 1970.
fn ago(since: Seconds) -> u128 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_millis());
    now.saturating_sub(u128::from(since.get()) * 1000)
}

fn simulate(
    file: &Path,
    agent: Option<&str>,
    all: bool,
    since: Seconds,
    at: &Place,
    page: &Page,
) -> Result<Exit, Failure> {
    let (name, source) = document(file)?;
    let since = u64::try_from(ago(since)).unwrap_or(0);
    let body = json!({"file": name, "text": source, "agent": agent, "all": all, "since": since});
    let found = at.admin.post("/v1/contracts/simulate", &body)?;
    if page.is_json() {
        page.json(&found);
        return Ok(Exit::Done);
    }
    let agents: Vec<&str> = items(&found, "agents").iter().filter_map(Value::as_str).collect();
    page.line(&format!(
        "{} since {} for {}: {} decisions, {} unchanged, {} newly denied, {} newly allowed",
        text(&found, "contract"),
        text(&found, "since"),
        agents.join(", "),
        text(&found, "decisions"),
        text(&found, "unchanged"),
        text(&found, "newly_denied"),
        text(&found, "newly_allowed")
    ));
    let row = |it: &Value| {
        let turn = match text(it, "turn").as_str() {
            "newly_denied" => page.tone(Tone::Bad, "denied"),
            _ => page.tone(Tone::Good, "allowed"),
        };
        vec![
            turn,
            text(it, "count"),
            text(it, "agent"),
            text(it, "action"),
            text(it, "reason"),
            text(it, "example"),
        ]
    };
    let rows: Vec<_> = items(&found, "differences").iter().map(row).collect();
    if !rows.is_empty() {
        page.table(
            &["newly", "times", "agent", "action", "reason", "for example"],
            &rows,
        );
    }
    let counted = |name: &str| found.get(name).and_then(Value::as_u64).unwrap_or(0);
    if counted("shadowed") > 0 {
        page.note(&format!(
            "{} of them would be allowed only because the candidate watches (mode: shadow).",
            counted("shadowed")
        ));
    }
    if counted("unreadable") > 0 {
        page.note(&format!(
            "{} entries hold facts that this version cannot read; they are not counted.",
            counted("unreadable")
        ));
    }
    if found.get("truncated") == Some(&Value::Bool(true)) {
        page.note("The record holds more than was looked at: choose a shorter --since.");
    }
    page.note(&text(&found, "caveat"));
    Ok(Exit::Done)
}

fn tightened(draft: &Value, out: Option<&Path>, page: &Page) -> Result<(), Failure> {
    let source = draft.get("text").and_then(Value::as_str).unwrap_or_default();
    page.note(&format!(
        "{}, {} calls looked at. A draft: nothing is published.",
        text(draft, "contract"),
        text(draft, "calls")
    ));
    if items(draft, "changes").is_empty() {
        page.note("Everything it may do was used as widely as the contract says.");
    }
    for mistake in items(draft, "mistakes") {
        page.note(&format!("  mend: {}", mistake.as_str().unwrap_or_default()));
    }
    if draft.get("truncated") == Some(&Value::Bool(true)) {
        page.note("The record holds more than was looked at: what is left out may have been used.");
    }
    let Some(path) = out else {
        page.out(source);
        return Ok(());
    };
    write_new(path, source)?;
    page.note(&format!("written to {}", path.display()));
    Ok(())
}

/// Writes a draft, and never over anything.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|error| {
        Failure::new("DRAFT_UNWRITTEN", format!("{} cannot be written", path.display()))
            .because(error.to_string())
            .fix("Choose a path where nothing is yet.")
    })
}

/// Every mistake of a contract.
pub(super) fn mistaken(name: &str, errors: &[ContractError]) -> Failure {
    let what = format!(
        "{name} has {} mistake{}.",
        errors.len(),
        if errors.len() == 1 { "" } else { "s" }
    );
    Failure::new("DOCUMENT_INVALID", what).at(errors.iter().map(ToString::to_string))
}

/// What the server would say to it, without one.
fn check(path: &Path, page: &Page) -> Result<(), Failure> {
    let (name, text) = document(path)?;
    let mistaken = |errors: Vec<ContractError>| mistaken(&name, &errors);
    let contract = Contract::parse(&name, text.as_bytes()).map_err(mistaken)?;
    let (hash, metadata) = (contract.hash(), contract.terms().metadata.clone());
    let compiled = Compiled::new(contract).map_err(mistaken)?;
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
        let of_agent =
            |counter: &&policy::Counter| counter.id.scope == RateScope::Agent && !counter.id.is_of_exchange();
        for counter in compiled.counters().iter().filter(of_agent) {
            page.note(&format!(
                "  {}: counted over all tasks of the agent, so its runs go through one gateway; with scope: task each task has its own",
                counter.id
            ));
        }
    }
    Ok(())
}
