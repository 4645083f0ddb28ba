//! Changes of contracts: what they let an agent do, who looks at them, and a folder of them put in force.

use super::admin::segment;
use super::approval::decide_at;
use super::commit::checked;
use super::folder::contracts;
use super::page::{Page, Tone, plain, text, texts};
use super::{Exit, Failure, Place, document};
use clap::{Args, ValueEnum};
use policy::{Compiled, Contract, Diff, Direction, TRIALS_MAX, diff};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Apply {
    /// The contract (YAML, kind: AgentContract)
    file: PathBuf,
    /// An agent that it is meant for, under a contract of another name so far; may be given several times
    #[arg(long = "agent", value_name = "NAME")]
    agents: Vec<String>,
    /// The commit that it comes from; compared with the file where that lies in a git repository
    #[arg(long)]
    commit: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Publish {
    /// Its hash, as `contract proposals` prints it
    hash: String,
    /// Print the address of the page and open nothing
    #[arg(long)]
    no_browser: bool,
}

#[derive(Debug, Args)]
pub(super) struct Compare {
    /// A file, NAME (its newest version), NAME@VERSION or a hash
    old: String,
    /// What would take its place, in the same form
    new: String,
    /// Exit with 1 when the change is at least this
    #[arg(long, value_enum)]
    fail_on: Option<FailOn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// It lets an agent do more, or nothing shows that it does not
    Widening,
}

#[derive(Debug, Args)]
pub(super) struct Sync {
    /// The folder
    dir: PathBuf,
    /// The commit that it is at; compared with the files where it is in a git repository
    #[arg(long)]
    commit: Option<String>,
}

pub(super) fn apply(asked: &Apply, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let (name, text) = document(&asked.file)?;
    let commit = checked(asked.commit.as_deref(), [(asked.file.as_path(), text.as_str())])?;
    let body = json!({"file": name, "text": text, "agents": asked.agents, "commit": commit});
    let done = at.admin.post("/v1/contracts", &body)?;
    if page.is_json() {
        page.json(&done);
    } else {
        put(&done, page);
    }
    Ok(ending(&done))
}

fn ending(done: &Value) -> Exit {
    if text(done, "standing") == "proposed" {
        Exit::Pending
    } else {
        Exit::Done
    }
}

/// What became of a contract.
fn put(done: &Value, page: &Page) {
    for sentence in texts(done, "sentences") {
        page.note(&format!("  {sentence}"));
    }
    let place = format!(
        "(revision {}, entry {})",
        text(done, "revision"),
        text(done, "entry")
    );
    if ending(done) == Exit::Pending {
        let mark = page.tone(Tone::Bad, "…");
        page.line(&format!(
            "{mark} contract {} is proposed and not in force {place}",
            text(done, "name")
        ));
        page.note("Somebody else looks at it and publishes it:");
        page.note(&format!("  tabard contract publish {}", text(done, "id")));
    } else {
        let mark = page.tone(Tone::Good, "✓");
        page.line(&format!("{mark} contract {} {place}", text(done, "name")));
    }
}

/// Publishes nothing by itself: a terminal proves no person.
pub(super) fn publish(asked: &Publish, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let one = at.admin.get(&format!("/v1/proposals/{}", segment(&asked.hash)))?;
    if page.is_json() {
        page.json(&one);
    } else {
        let title = format!(
            "{}@{}, proposed by {}",
            text(&one, "name"),
            text(&one, "version"),
            text(&one, "by")
        );
        page.line(&page.tone(Tone::Strong, &title));
        for sentence in texts(&one, "sentences") {
            page.line(&format!("  {sentence}"));
        }
    }
    match one.get("page").and_then(Value::as_str) {
        Some(address) => decide_at(address, asked.no_browser, page),
        None => page.note("This server has no pages for people (docs/reference/config.md, [people])."),
    }
    Ok(Exit::Pending)
}

pub(super) fn withdraw(hash: &str, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let done = at
        .admin
        .post(&format!("/v1/proposals/{}/withdraw", segment(hash)), &json!({}))?;
    super::agent::applied("no longer proposed:", &done, page);
    Ok(Exit::Done)
}

pub(super) fn proposals(at: &Place, page: &Page) -> Result<Exit, Failure> {
    let all = at.admin.get("/v1/proposals")?;
    if page.is_json() {
        page.json(&all);
        return Ok(Exit::Done);
    }
    let each = || all.as_array().into_iter().flatten();
    let row = |it: &Value| {
        let state = if it.get("open") == Some(&Value::Bool(true)) {
            "waits"
        } else {
            "over"
        };
        vec![
            format!("{}@{}", text(it, "name"), text(it, "version")),
            text(it, "by"),
            state.to_owned(),
            text(it, "expires_at"),
            text(it, "hash"),
        ]
    };
    let rows: Vec<_> = each().map(row).collect();
    page.table(&["contract", "by", "state", "until", "hash"], &rows);
    for proposal in each() {
        page.note(&format!(
            "{}@{}",
            text(proposal, "name"),
            text(proposal, "version")
        ));
        for sentence in texts(proposal, "sentences") {
            page.note(&format!("  {sentence}"));
        }
    }
    Ok(Exit::Done)
}

/// Compares two contracts on this machine.
pub(super) fn compare(
    asked: &Compare,
    at: impl Fn() -> Result<Place, Failure>,
    page: &Page,
) -> Result<Exit, Failure> {
    let old = compiled(&asked.old, &at)?;
    let new = compiled(&asked.new, &at)?;
    let found = diff(&old, &new, TRIALS_MAX);
    if page.is_json() {
        page.json(&as_json(&found));
    } else {
        let title = format!("{} → {}: {}", label(&old), label(&new), found.direction());
        page.line(&title);
        for sentence in found.sentences() {
            page.line(&format!("  {}", plain(&sentence)));
        }
        if !found.is_empty() {
            page.note(&tried(found.trial().requests(), found.trial().is_whole()));
        }
    }
    let fails = asked.fail_on == Some(FailOn::Widening) && found.direction() == Direction::Widening;
    Ok(if fails { Exit::Error } else { Exit::Done })
}

fn tried(requests: usize, whole: bool) -> String {
    let how = if whole {
        "each fact at its limits, alone and in pairs"
    } else {
        "as far as the bound goes, not every pair of facts"
    };
    format!("Both were asked {requests} times, {how}.")
}

pub(super) fn label(compiled: &Compiled) -> String {
    let metadata = &compiled.contract().terms().metadata;
    format!("{}@{}", metadata.name, metadata.version)
}

fn as_json(found: &Diff) -> Value {
    let lines = found.differences().iter().map(
        |line| json!({"path": line.path, "direction": line.direction.as_str(), "sentence": line.sentence}),
    );
    let examples = found.trial().examples().iter();
    json!({
        "old": found.before().to_string(),
        "new": found.after().to_string(),
        "direction": found.direction().as_str(),
        "differences": lines.collect::<Vec<_>>(),
        "examples": examples.map(|example| example.sentence.clone()).collect::<Vec<_>>(),
        "requests": found.trial().requests(),
        "whole": found.trial().is_whole(),
        "newly_allowed": found.trial().newly_allowed(),
        "newly_refused": found.trial().newly_refused(),
        "lower_labels": found.trial().lower_labels(),
    })
}

/// A file, or what a server has under this name.
fn compiled(reference: &str, at: &impl Fn() -> Result<Place, Failure>) -> Result<Compiled, Failure> {
    let path = Path::new(reference);
    if path.is_file() {
        let (name, text) = document(path)?;
        return parsed(&name, &text);
    }
    let found = at()?
        .admin
        .get(&format!("/v1/contracts/{}", segment(reference)))?;
    let source = found.get("source").and_then(Value::as_str).unwrap_or_default();
    parsed(reference, source)
}

pub(super) fn parsed(name: &str, text: &str) -> Result<Compiled, Failure> {
    let contract = Contract::parse(name, text.as_bytes()).and_then(Compiled::new);
    contract.map_err(|errors| super::contract::mistaken(name, &errors))
}

/// Applies every contract of a folder that the server does not have.
pub(super) fn sync(asked: &Sync, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let files = contracts(std::slice::from_ref(&asked.dir))?;
    let sent = files.iter().map(|(path, text)| (path.as_path(), text.as_str()));
    let commit = checked(asked.commit.as_deref(), sent)?;
    // All are read before any is applied: a mistake in one applies none.
    let checked: Vec<(String, String, Value)> = files
        .into_iter()
        .map(|(path, source)| {
            let file = path.display().to_string();
            let found = at
                .admin
                .post("/v1/contracts/check", &json!({"file": file, "text": source}))?;
            Ok((file, source, found))
        })
        .collect::<Result<_, Failure>>()?;
    let mut answers = Vec::new();
    let mut exit = Exit::Done;
    for (file, source, found) in checked {
        if found.get("published") == Some(&Value::Bool(true)) {
            continue;
        }
        let body = json!({"file": file, "text": source, "commit": commit});
        let done = at.admin.post("/v1/contracts", &body)?;
        if ending(&done) == Exit::Pending {
            exit = Exit::Pending;
        }
        if !page.is_json() {
            put(&done, page);
        }
        answers.push(done);
    }
    if page.is_json() {
        page.json(&Value::Array(answers));
    } else if answers.is_empty() {
        page.note("Every contract of the folder is published.");
    }
    Ok(exit)
}
