//! `tabard explain`: the whole story of one decision, from evidence to fix.

use super::admin::segment;
use super::page::{Page, Tone, items, text};
use super::{Exit, Failure, Place};
use clap::Args;
use identity::UnixTime;
use serde_json::Value;

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// dec_… from a refusal, an entry (0:136), or a task_… or run_… for its newest refusal
    id: String,
}

pub(super) fn run(asked: &Explain, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let story = at.admin.get(&format!("/v1/decisions/{}", segment(&asked.id)))?;
    if page.is_json() {
        page.json(&story);
    } else {
        show(&story, page);
    }
    Ok(Exit::Done)
}

fn show(story: &Value, page: &Page) {
    let null = Value::Null;
    let entry = story.get("entry").unwrap_or(&null);
    let ruling = match text(story, "ruling").as_str() {
        "allow" => page.tone(Tone::Good, "ALLOWED"),
        "step_up" => page.tone(Tone::Bad, "NEEDS APPROVAL"),
        _ => page.tone(Tone::Bad, "DENIED"),
    };
    page.line(&format!(
        "{ruling}  {}  {}  {}  entry {}",
        text(story, "decision"),
        text(story, "kind"),
        text(story, "at"),
        text(story, "place")
    ));
    asked(entry, page);
    chain(entry, page);
    evidence(entry, story.get("evidence"), page);
    process(story, page);
    reasons(story, page);
    grant(entry, story, page);
    facts(story, page);
    ended(story, page);
    approval(story, page);
    let todo = items(story, "todo");
    if !todo.is_empty() {
        head("what to do", page);
    }
    for (number, what) in (1..).zip(todo) {
        page.line(&format!("  {number}. {}", what.as_str().unwrap_or_default()));
    }
}

fn head(title: &str, page: &Page) {
    page.line(&page.tone(Tone::Strong, &format!("\n{title}")));
}

fn row(label: &str, value: &str, page: &Page) {
    if value != "-" && !value.is_empty() {
        page.line(&format!("  {label:<12} {value}"));
    }
}

/// Members of a group that are there, joined.
fn said(group: Option<&Value>, names: &[&str]) -> String {
    let Some(group) = group else { return String::new() };
    let there = names
        .iter()
        .map(|name| text(group, name))
        .filter(|value| value != "-");
    there.collect::<Vec<_>>().join(" ")
}

fn asked(entry: &Value, page: &Page) {
    let what = entry.get("what");
    let (why, human) = (entry.get("why"), entry.get("human"));
    if what.is_some() || why.is_some() || human.is_some() {
        head("asked", page);
    }
    row("action", &said(what, &["action"]), page);
    row("at", &said(what, &["audience", "upstream"]), page);
    row("request", &said(what, &["method", "host", "path"]), page);
    row("resource", &said(what, &["resource_type", "resource_id"]), page);
    row("tenant", &said(why, &["tenant_resource", "tenant_actor"]), page);
    row("task", &said(why, &["task", "task_type"]), page);
    row("purpose", &said(why, &["purpose", "business_action"]), page);
    row("by person", &said(human, &["role", "uid", "assurance"]), page);
}

fn chain(entry: &Value, page: &Page) {
    let links = items(entry, "chain");
    if links.is_empty() {
        return;
    }
    head("on behalf of, through", page);
    for link in links {
        let verdict = link
            .get("verdict")
            .and_then(Value::as_str)
            .map_or_else(String::new, |it| format!("  its rights: {it}"));
        page.line(&format!(
            "  {:<10} {}{verdict}",
            text(link, "kind"),
            text(link, "id")
        ));
    }
}

fn evidence(entry: &Value, launch: Option<&Value>, page: &Page) {
    let Some(who) = entry.get("who") else { return };
    head("evidence", page);
    row("agent", &said(Some(who), &["agent_name", "agent"]), page);
    row("identity", &said(Some(who), &["spiffe_id"]), page);
    row("process", &said(Some(who), &["instance", "run", "node"]), page);
    if let Some(caller) = who.get("caller") {
        row("caller", &said(Some(caller), &["kind", "pid", "exe"]), page);
    }
    if let Some(assurance) = who.get("assurance") {
        let dimensions =
            ["node", "launch", "code", "signer"].map(|name| format!("{name} {}", text(assurance, name)));
        row(
            "assurance",
            &format!("level {} ({})", text(assurance, "level"), dimensions.join(", ")),
            page,
        );
    }
    row("measured", &said(Some(who), &["evidence"]), page);
    let Some(launch) = launch.filter(|launch| !launch.is_null()) else {
        return;
    };
    row("launched in", &format!("entry {}", text(launch, "place")), page);
    let detail = launch.pointer("/entry/detail").and_then(Value::as_object);
    for (name, value) in detail.into_iter().flatten() {
        let value = serde_json::json!({ "it": value });
        row(&format!("  {name}"), &text(&value, "it"), page);
    }
}

/// What was seen of a process that got no identity, beside what would have been right.
fn process(story: &Value, page: &Page) {
    let Some(process) = story.get("process").filter(|process| !process.is_null()) else {
        return;
    };
    head("who it was", page);
    row("asked for", &text(process, "asked_for"), page);
    row("uid, pid", &said(Some(process), &["uid", "pid"]), page);
    row("seen", &text(process, "seen"), page);
    row("wanted", &text(process, "wanted"), page);
    row("nearest", &text(process, "nearest"), page);
}

fn reasons(story: &Value, page: &Page) {
    let reasons = items(story, "reasons");
    if reasons.is_empty() {
        return;
    }
    head(
        if reasons.len() == 1 {
            "reason"
        } else {
            "reasons, all of them"
        },
        page,
    );
    // A refusal that no contract made has its sentence in the record only.
    let recorded = said(story.pointer("/entry/decision"), &["nearest"]);
    for reason in reasons {
        let sentence = match text(reason, "sentence").as_str() {
            "-" => recorded.clone(),
            known => known.to_owned(),
        };
        page.line(&format!(
            "  {}  {sentence}",
            page.tone(Tone::Bad, &text(reason, "code"))
        ));
        row("  limit", &text(reason, "limit"), page);
        row("  fix", &text(reason, "fix"), page);
    }
}

fn grant(entry: &Value, story: &Value, page: &Page) {
    let decision = entry.get("decision");
    let contract = story.get("contract").filter(|contract| !contract.is_null());
    let nearest = said(decision, &["nearest"]);
    let by = said(decision, &["grant"]);
    if contract.is_none() && by.is_empty() {
        return;
    }
    head("contract", page);
    if let Some(contract) = contract {
        row(
            "version",
            &format!(
                "{}@{} {}",
                text(contract, "name"),
                text(contract, "version"),
                text(contract, "hash")
            ),
            page,
        );
    }
    row("granted by", &by, page);
    row("nearest", &nearest, page);
    for line in contract
        .map(|contract| items(contract, "excerpt"))
        .unwrap_or_default()
    {
        let decided = line.get("decided") == Some(&Value::Bool(true));
        let mark = if decided { ">" } else { " " };
        let shown = format!("{mark} {:>4} | {}", text(line, "number"), text(line, "text"));
        page.line(&format!(
            "  {}",
            if decided {
                page.tone(Tone::Strong, &shown)
            } else {
                shown
            }
        ));
    }
}

fn facts(story: &Value, page: &Page) {
    let facts = items(story, "facts");
    if facts.is_empty() {
        return;
    }
    head("facts, and where each comes from", page);
    for fact in facts {
        page.line(&format!(
            "  {:<24} {:<9} {}",
            text(fact, "name"),
            text(fact, "provenance"),
            text(fact, "value")
        ));
    }
}

/// What people were asked about it, and what they said.
fn approval(story: &Value, page: &Page) {
    let Some(approval) = story.get("approval").filter(|approval| !approval.is_null()) else {
        return;
    };
    head("approval", page);
    row("which", &said(Some(approval), &["id", "state"]), page);
    for step in items(approval, "steps") {
        page.line(&format!(
            "  {}  {:<18} {:<6} {}{}",
            text(step, "at"),
            text(step, "kind"),
            text(step, "place"),
            text(step, "what"),
            step.get("by")
                .and_then(Value::as_str)
                .map_or_else(String::new, |by| format!("  by {by}")),
        ));
    }
}

fn ended(story: &Value, page: &Page) {
    let Some(outcome) = story.pointer("/outcome/entry/outcome") else {
        return;
    };
    let at = story
        .pointer("/outcome/entry/at")
        .and_then(Value::as_u64)
        .map(UnixTime::from_millis);
    head("how it ended", page);
    row(
        "outcome",
        &said(Some(outcome), &["status", "http_status", "error"]),
        page,
    );
    row("at", &at.map_or_else(String::new, UnixTime::rfc3339), page);
}
