//! `tabard status`: the home screen. Ends with 0 once everything is ready.

use super::page::{Page, Tone, items, text};
use super::{Exit, Failure, Place, audit};
use serde_json::Value;

pub(super) fn run(at: &Place, page: &Page) -> Result<Exit, Failure> {
    let status = at.admin.get("/v1/status")?;
    let ready = status.get("ready") == Some(&Value::Bool(true));
    if page.is_json() {
        page.json(&status);
    } else {
        show(&status, ready, at, page);
    }
    Ok(if ready { Exit::Done } else { Exit::Error })
}

fn show(status: &Value, ready: bool, at: &Place, page: &Page) {
    let null = Value::Null;
    let part = |name: &str| status.get(name).unwrap_or(&null);
    let word = if ready {
        page.tone(Tone::Good, "ready")
    } else {
        page.tone(Tone::Bad, "not ready")
    };
    page.line(&format!(
        "tabard {}  {word}  context {}",
        text(status, "version"),
        at.name
    ));
    for waits in items(status, "waits_for") {
        page.line(&format!("  waits for   {}", waits.as_str().unwrap_or_default()));
    }
    let log = part("log");
    let you = part("you");
    page.line(&format!(
        "  issuer      {}   trust domain {}",
        text(status, "issuer"),
        text(status, "trust_domain")
    ));
    page.line(&format!(
        "  you         {} ({}assurance: {}): {}",
        text(you, "name"),
        you.get("uid")
            .and_then(Value::as_u64)
            .map_or_else(String::new, |uid| format!("uid {uid}, ")),
        text(you, "assurance"),
        words(you, "roles")
    ));
    page.line(&format!(
        "  log         {} entries, {} under the published checkpoint; revision {}",
        text(log, "size"),
        text(log, "published"),
        text(status, "revision")
    ));
    let stopped = log.get("stopped").and_then(Value::as_str);
    page.line(&match stopped {
        None => format!("  store       well, {} plans wait", text(log, "waiting")),
        Some(why) => format!("  store       {}: {why}", page.tone(Tone::Bad, "STOPPED")),
    });
    for member in items(status, "members") {
        let connected = member.get("connected") == Some(&Value::Bool(true));
        let silent = member.get("silent") == Some(&Value::Bool(true));
        let how = match (connected, member.get("behind").and_then(Value::as_u64)) {
            (true, _) if silent => page.tone(Tone::Bad, "silent: connected, and does not answer"),
            (true, Some(0)) => page.tone(Tone::Good, "follows"),
            (true, behind) => format!("follows, {} revisions behind", behind.unwrap_or_default()),
            (false, _) => page.tone(Tone::Faint, "away"),
        };
        page.line(&format!(
            "  {:<11} {}  {how}",
            text(member, "role"),
            text(member, "id")
        ));
    }
    let counts = part("counts");
    page.line(&format!(
        "  inventory   {} contracts, {} upstreams, {} open tasks, {} processes, {} revocations in force",
        text(counts, "contracts"),
        text(counts, "upstreams"),
        text(counts, "tasks_open"),
        text(counts, "instances"),
        text(counts, "revocations")
    ));
    let agents = items(status, "agents");
    if agents.is_empty() {
        page.line("  agents      none yet");
    } else {
        page.line("\nagents");
    }
    for agent in agents {
        let state = match text(agent, "state").as_str() {
            "active" => page.tone(Tone::Good, "active   "),
            other => page.tone(Tone::Bad, &format!("{other:<9}")),
        };
        page.line(&format!(
            "  {:<24} {state}  {} processes, until {}",
            text(agent, "name"),
            text(agent, "processes"),
            text(agent, "expires_at")
        ));
    }
    let refusals = items(status, "refusals");
    if !refusals.is_empty() {
        page.line("\nlast refusals");
    }
    for refusal in refusals {
        page.line(&format!("  {}", audit::line(refusal, page)));
    }
    page.line("\ntry");
    for (command, what) in next(agents, refusals) {
        page.line(&format!("  {command:<52} {}", page.tone(Tone::Faint, what)));
    }
}

/// What a person most likely wants now.
fn next(agents: &[Value], refusals: &[Value]) -> Vec<(String, &'static str)> {
    let mut next = Vec::new();
    let id = refusals
        .first()
        .and_then(|it| it.pointer("/entry/decision/id"))
        .and_then(Value::as_str);
    next.extend(id.map(|id| {
        (
            format!("tabard explain {id}"),
            "why it was refused, and what to do",
        )
    }));
    let suspended = agents.iter().find(|agent| text(agent, "state") == "suspended");
    next.extend(suspended.map(|agent| {
        (
            format!("tabard resume agent {}", text(agent, "name")),
            "let it work again",
        )
    }));
    match agents.iter().find(|agent| text(agent, "state") == "active") {
        Some(agent) => next.push((
            format!("tabard run --as {} -- COMMAND", text(agent, "name")),
            "work as the agent",
        )),
        None if agents.is_empty() => next.push(("tabard agent apply FILE".to_owned(), "register an agent")),
        None => {}
    }
    next.push(("tabard audit verify".to_owned(), "check the record"));
    next
}

fn words(value: &Value, name: &str) -> String {
    items(value, name)
        .iter()
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
