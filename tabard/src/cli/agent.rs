//! `tabard agent`: register, measure, look at, suspend, resume and retire agents.

use super::admin::segment;
use super::page::{Page, Tone, items, text};
use super::{Exit, Failure, Place, document};
use broker::inventory::manifest::AgentFile;
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum AgentCommand {
    /// Register the agent of a manifest, or change the one of that name
    Apply {
        /// The manifest (YAML, kind: Agent)
        file: PathBuf,
    },
    /// Every agent
    List,
    /// One agent: contract, launch spec, processes, open tasks
    Show {
        /// Its name or id
        name: String,
    },
    /// Measure the executable and the roots of a manifest on this host, and fill in their digests
    Measure {
        /// The manifest (YAML, kind: Agent)
        file: PathBuf,
        /// Write the digests into the manifest instead of printing it
        #[arg(long)]
        write: bool,
    },
    /// Let it do nothing until it is resumed; its credentials live on until they expire (see `revoke`)
    Suspend {
        /// Its name or id
        name: String,
    },
    /// Lift a suspension
    Resume {
        /// Its name or id
        name: String,
    },
    /// End it for good; its name stays taken
    Retire {
        /// Its name or id
        name: String,
    },
}

pub(super) fn run(
    command: &AgentCommand,
    at: impl Fn() -> Result<Place, Failure>,
    page: &Page,
) -> Result<Exit, Failure> {
    match command {
        AgentCommand::Apply { file } => {
            let (name, text) = document(file)?;
            let done = at()?
                .admin
                .post("/v1/agents", &json!({"file": name, "text": text}))?;
            applied("agent", &done, page);
        }
        AgentCommand::List => list(&at()?.admin.get("/v1/agents")?, page),
        AgentCommand::Show { name } => {
            show(&at()?.admin.get(&format!("/v1/agents/{}", segment(name)))?, page);
        }
        AgentCommand::Measure { file, write } => measure(file, *write, page)?,
        AgentCommand::Suspend { name } => turn(&at()?, name, "suspended", page)?,
        AgentCommand::Resume { name } => turn(&at()?, name, "active", page)?,
        AgentCommand::Retire { name } => turn(&at()?, name, "retired", page)?,
    }
    Ok(Exit::Done)
}

/// Sets the state of an agent.
pub(super) fn turn(at: &Place, name: &str, state: &str, page: &Page) -> Result<(), Failure> {
    let done = at.admin.post(
        &format!("/v1/agents/{}/state", segment(name)),
        &json!({ "state": state }),
    )?;
    if page.is_json() {
        page.json(&done);
    } else {
        page.line(&format!(
            "agent {} is {state} (revision {}, entry {})",
            text(&done, "name"),
            text(&done, "revision"),
            text(&done, "entry")
        ));
    }
    Ok(())
}

/// What became of an applied document.
pub(super) fn applied(what: &str, done: &Value, page: &Page) {
    if page.is_json() {
        page.json(done);
        return;
    }
    page.line(&format!(
        "{} {what} {} (revision {}, entry {})",
        page.tone(Tone::Good, "✓"),
        text(done, "name"),
        text(done, "revision"),
        text(done, "entry")
    ));
}

fn list(agents: &Value, page: &Page) {
    if page.is_json() {
        return page.json(agents);
    }
    let rows: Vec<Vec<String>> = agents
        .as_array()
        .into_iter()
        .flatten()
        .map(|agent| {
            vec![
                text(agent, "name"),
                text(agent, "state"),
                text(agent, "owner"),
                text(agent, "contract_name"),
                text(agent, "expires"),
                items(agent, "processes").len().to_string(),
            ]
        })
        .collect();
    page.table(
        &["name", "state", "owner", "contract", "expires", "processes"],
        &rows,
    );
}

fn show(agent: &Value, page: &Page) {
    if page.is_json() {
        return page.json(agent);
    }
    for (label, name) in [
        ("agent", "name"),
        ("id", "id"),
        ("identity", "spiffe_id"),
        ("state", "state"),
        ("owner", "owner"),
        ("purpose", "purpose"),
        ("contract", "contract_name"),
        ("", "contract"),
        ("expires", "expires"),
    ] {
        page.line(&format!("{label:<10} {}", text(agent, name)));
    }
    match agent.get("launch").filter(|launch| !launch.is_null()) {
        None => page.line("launch     by nobody: it has no launch spec"),
        Some(launch) => {
            let pinned = agent.get("pinned") == Some(&Value::Bool(true));
            let how = if pinned {
                "pinned"
            } else {
                "unpinned: any command, assurance level 1 at most"
            };
            page.line(&format!(
                "launch     {how}; by uids {}",
                text(launch, "launchers")
            ))
        }
    };
    for process in items(agent, "processes") {
        page.line(&format!(
            "process    {} since {}, assurance {}, task {}",
            text(process, "instance"),
            text(process, "attested_at"),
            text(process, "assurance"),
            text(process, "task")
        ));
    }
    for task in items(agent, "open_tasks") {
        page.line(&format!("open task  {}", task.as_str().unwrap_or_default()));
    }
}

/// Fills in the digests of what a manifest names. Nothing is sent anywhere.
fn measure(path: &Path, write: bool, page: &Page) -> Result<(), Failure> {
    let (name, mut text) = document(path)?;
    let file = AgentFile::parse(&name, text.as_bytes()).map_err(|error| {
        Failure::new("DOCUMENT_INVALID", "The manifest has a mistake.").at([error.to_string()])
    })?;
    let mut places = file.unmeasured(&text);
    // From the end, so that the places before stay where they are.
    places.sort_by_key(|it| std::cmp::Reverse(it.place.start));
    for it in &places {
        let measured = node::launch::measure(Path::new(&it.path)).map_err(|error| {
            Failure::new("MEASURE", format!("{} cannot be measured", it.path))
                .because(error.to_string())
                .fix("Run this on the agent's host, as a user who may read the files.")
        })?;
        page.note(&format!(
            "{}  {} ({} files)",
            measured.digest, it.path, measured.files
        ));
        text.replace_range(it.place.clone(), &it.written(measured.digest));
    }
    if !write {
        page.out(&text);
        return Ok(());
    }
    if places.is_empty() {
        page.note("nothing to measure: every path has its digest. To measure again, write the path alone");
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| {
        Failure::new("FILE_UNWRITABLE", format!("{name} cannot be written")).because(error.to_string())
    })?;
    page.note(&format!(
        "digests written into {name}: {}; next: tabard agent apply {name}",
        places.len()
    ));
    Ok(())
}
