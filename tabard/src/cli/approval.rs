//! `tabard approval`, `tabard approve`: what waits for humans. Nothing is approved here: a terminal proves no person. The
//! command shows what is asked and opens the page where a human decides.

use super::admin::segment;
use super::agent::applied;
use super::page::{Page, Tone, items, plain, text};
use super::{Exit, Failure, Place};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

#[derive(Debug, Subcommand)]
pub(super) enum ApprovalCommand {
    /// What waits, and what was decided lately
    List,
    /// One request, as whoever decides on it sees it
    Show {
        /// apr_…
        id: String,
    },
    /// Take back a request or an approval that was not used yet
    Withdraw {
        /// apr_…
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Approve {
    /// apr_… from a refusal
    id: String,
    /// Print the address of the page and open nothing
    #[arg(long)]
    no_browser: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Set all members of a group of approvers; who was in it before is gone
    Set {
        /// As contracts call it
        name: String,
        /// The name of a principal; may be given several times
        #[arg(long = "member", value_name = "NAME")]
        members: Vec<String>,
    },
    /// Groups of approvers and who is in them
    List,
}

pub(super) fn run(command: &ApprovalCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        ApprovalCommand::List => {
            let all = at.admin.get("/v1/approvals")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let row = |it: &Value| {
                    vec![
                        text(it, "id"),
                        text(it, "state"),
                        text(it, "agent"),
                        text(it, "action"),
                        format!("{} {}", text(it, "resource_type"), text(it, "resource_id")),
                        text(it, "tenant"),
                        text(it, "until"),
                    ]
                };
                let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
                page.table(
                    &[
                        "approval", "state", "agent", "action", "resource", "tenant", "until",
                    ],
                    &rows,
                );
            }
            Ok(Exit::Done)
        }
        ApprovalCommand::Show { id } => {
            let one = get(at, id)?;
            if page.is_json() {
                page.json(&one);
            } else {
                show(&one, page);
            }
            Ok(Exit::Done)
        }
        ApprovalCommand::Withdraw { id } => {
            let path = format!("/v1/approvals/{}/withdraw", segment(id));
            applied("withdrawn", &at.admin.post(&path, &json!({}))?, page);
            Ok(Exit::Done)
        }
    }
}

pub(super) fn approve(wanted: &Approve, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let one = get(at, &wanted.id)?;
    if page.is_json() {
        page.json(&one);
    } else {
        show(&one, page);
    }
    let exit = match text(&one, "state").as_str() {
        "pending" => Exit::Pending,
        "approved" | "used" => return Ok(Exit::Done),
        _ => return Ok(Exit::Denied),
    };
    decide_at(&text(&one, "page"), wanted.no_browser, page);
    Ok(exit)
}

/// Opens the page on which a person decides, or says where it is.
pub(super) fn decide_at(address: &str, no_browser: bool, page: &Page) {
    if !no_browser && opened(address) {
        page.note(&format!("decide in the browser: {address}"));
    } else {
        page.note(&format!("decide in a browser: {address}"));
    }
}

pub(super) fn group(command: &GroupCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        GroupCommand::Set { name, members } => {
            let body = json!({"name": name, "members": members});
            applied("group", &at.admin.post("/v1/groups", &body)?, page);
        }
        GroupCommand::List => {
            let all = at.admin.get("/v1/groups")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let row = |it: &Value| {
                    let members = items(it, "members").iter().filter_map(Value::as_str);
                    vec![text(it, "name"), members.collect::<Vec<_>>().join(" ")]
                };
                let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
                page.table(&["group", "members"], &rows);
            }
        }
    }
    Ok(Exit::Done)
}

fn get(at: &Place, id: &str) -> Result<Value, Failure> {
    at.admin.get(&format!("/v1/approvals/{}", segment(id)))
}

/// Opens the page where there is a screen. The address goes to the program as one argument: no shell reads it.
fn opened(address: &str) -> bool {
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    has_screen
        && Command::new("xdg-open")
            .arg(address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .is_ok()
}

fn show(one: &Value, page: &Page) {
    let row = |label: &str, value: String| {
        if value != "-" && !value.trim().is_empty() {
            page.line(&format!("  {label:<12} {value}"));
        }
    };
    let list = |of: &Value, name: &str| {
        let values = items(of, name).iter().filter_map(Value::as_str);
        values.collect::<Vec<_>>().join(" ")
    };
    page.line(&page.tone(
        Tone::Strong,
        &format!("{}  {}", text(one, "id"), text(one, "state")),
    ));
    row("meaning", text(one, "meaning"));
    row(
        "action",
        format!("{} at {}", text(one, "action"), text(one, "service")),
    );
    row(
        "resource",
        format!("{} {}", text(one, "resource_type"), text(one, "resource_id")),
    );
    row("tenant", text(one, "tenant"));
    for (name, value) in one
        .get("arguments")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        row("argument", format!("{name} = {}", plain(&value.to_string())));
    }
    row("version", text(one, "version"));
    row(
        "request",
        format!("{} {}", text(one, "method"), text(one, "path")),
    );
    row("asked by", text(one, "asked_by"));
    row(
        "agent",
        format!("{}, owned by {}", text(one, "agent"), text(one, "agent_owner")),
    );
    for party in items(one, "chain") {
        row("chain", format!("{} {}", text(party, "kind"), text(party, "id")));
    }
    row(
        "task",
        format!(
            "{} ({}), opened by {}",
            text(one, "task"),
            text(one, "task_type"),
            text(one, "opened_by")
        ),
    );
    if let Some(labels) = one.get("labels") {
        row("has seen", text(labels, "sensitivity"));
        row("untrusted", list(labels, "untrusted"));
    }
    for reason in items(one, "reasons") {
        row(
            "why",
            format!("{}  {}", text(reason, "code"), text(reason, "sentence")),
        );
    }
    for need in items(one, "needs") {
        row(
            "takes",
            format!(
                "{} of {}, {} so far",
                text(need, "quorum"),
                text(need, "approvers"),
                text(need, "given")
            ),
        );
    }
    for vote in items(one, "votes") {
        let word = if vote.get("yes") == Some(&Value::Bool(true)) {
            "yes"
        } else {
            "no"
        };
        row(
            "said",
            format!("{word} by {} at {}", text(vote, "by"), text(vote, "at")),
        );
    }
    if let Some(besides) = one.get("besides") {
        for beside in items(besides, "shown") {
            let (place, value) = (text(beside, "place"), text(beside, "value"));
            row(
                "besides",
                format!("{place} = {value} (the agent's; nobody said what it means)"),
            );
        }
        match besides.get("more").and_then(Value::as_u64) {
            None | Some(0) => {}
            Some(more) => row("besides", format!("and {more} more that are not shown")),
        }
    }
    if let Some(said) = one.get("said_by_agent").and_then(Value::as_str) {
        row(
            "agent says",
            format!("{:?} (its own words; they prove nothing)", plain(said)),
        );
    }
    if let Some(lately) = one.get("lately") {
        row(
            "lately",
            format!(
                "asked {} times by this agent within an hour, {} by this task; {} wait",
                text(lately, "by_agent"),
                text(lately, "by_task"),
                text(lately, "waiting")
            ),
        );
    }
    row("asked", text(one, "asked_at"));
    row("until", text(one, "until"));
    row("refusal", text(one, "refusal"));
    row("page", text(one, "page"));
}
