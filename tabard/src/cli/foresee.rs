//! `tabard can`, `tabard who-can` and `tabard blast-radius`: what would be decided, before anybody asks.

use super::admin::segment;
use super::page::{Page, Tone, items, text};
use super::{Exit, Failure, Place};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

#[derive(Debug, Args)]
pub(super) struct Can {
    /// Name or id of the agent
    agent: String,
    /// The action, as contracts call it
    action: String,
    /// The service (an audience or an upstream), or a resource as TYPE/ID; the only service that has the action, if left
    /// out
    #[arg(value_name = "SERVICE|RESOURCE")]
    on: Option<String>,
    /// A task that exists
    #[arg(long, conflicts_with_all = ["kind", "tenant"])]
    task: Option<String>,
    /// The type of a task that does not; one that suits, if left out
    #[arg(long = "type")]
    kind: Option<String>,
    /// Whose data; the first tenant of the contract, if left out
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    arguments: Arguments,
    /// Who makes the call
    #[arg(long, value_enum, default_value_t)]
    caller: Who,
    /// The task has read what others can write
    #[arg(long)]
    tainted: bool,
    /// An escalation whose approval is there. May be given several times
    #[arg(long = "approved", value_name = "ESCALATION")]
    approved: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct WhoCan {
    /// The action, as contracts call it
    action: String,
    /// The service; every one, if left out
    service: Option<String>,
    #[command(flatten)]
    arguments: Arguments,
}

#[derive(Debug, Args)]
pub(super) struct BlastRadius {
    /// Name or id of the agent
    agent: String,
}

/// Arguments of a supposed call.
#[derive(Debug, Args)]
struct Arguments {
    /// An argument of the call; whole numbers, true and false are read as such, K=[a,b] as a list, K="7" as text. Without
    /// any: whether some call could be allowed. May be given several times
    #[arg(long = "arg", value_name = "K=V", value_parser = argument)]
    arguments: Vec<(String, Value)>,
    /// The call has no arguments
    #[arg(long, conflicts_with = "arguments")]
    no_args: bool,
}

impl Arguments {
    fn json(&self) -> Option<Value> {
        if self.arguments.is_empty() && !self.no_args {
            return None;
        }
        let all: Map<String, Value> = self.arguments.iter().cloned().collect();
        Some(Value::Object(all))
    }
}

fn argument(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("an argument is written NAME=VALUE")?;
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let listed = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let value = match (quoted, listed) {
        (Some(text), _) => text.into(),
        (None, Some(list)) => list.split(',').map(str::trim).collect::<Vec<_>>().into(),
        (None, None) => match (value, value.parse::<i64>()) {
            ("true", _) => true.into(),
            ("false", _) => false.into(),
            (_, Ok(number)) => number.into(),
            (text, Err(_)) => text.into(),
        },
    };
    Ok((name.to_owned(), value))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Who {
    /// The agent process itself
    #[default]
    Agent,
    /// A child process of its run
    Child,
}

pub(super) fn can(asked: &Can, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let body = json!({
        "action": asked.action, "on": asked.on, "task": asked.task, "kind": asked.kind, "tenant": asked.tenant,
        "arguments": asked.arguments.json(), "child": asked.caller == Who::Child, "tainted": asked.tainted,
        "approved": asked.approved,
    });
    let answer = at
        .admin
        .post(&format!("/v1/agents/{}/can", segment(&asked.agent)), &body)?;
    let ruling = text(&answer, "ruling");
    if page.is_json() {
        page.json(&answer);
    } else {
        show_answer(&answer, &ruling, page);
    }
    Ok(match ruling.as_str() {
        "allow" => Exit::Done,
        "step_up" => Exit::Pending,
        _ => Exit::Denied,
    })
}

fn show_answer(answer: &Value, ruling: &str, page: &Page) {
    let word = match ruling {
        "allow" => page.tone(Tone::Good, "ALLOWED"),
        "step_up" => page.tone(Tone::Bad, "NEEDS APPROVAL"),
        _ => page.tone(Tone::Bad, "DENIED"),
    };
    page.line(&format!(
        "{word}  {}  {} at {}  {}",
        text(answer, "agent"),
        text(answer, "action"),
        text(answer, "service"),
        text(answer, "contract")
    ));
    if text(answer, "grant") != "-" {
        page.line(&format!(
            "  by grant {}, {}:{}: {}",
            text(answer, "grant"),
            text(answer, "file"),
            text(answer, "line"),
            text(answer, "business_action")
        ));
    }
    if answer.get("shadow") == Some(&Value::Bool(true)) {
        page.line("  the contract watches only (mode: shadow); enforced, it would be denied:");
    }
    if text(answer, "stopped") != "-" {
        page.line(&format!(
            "  {}  the agent is suspended, retired or past its expiry",
            page.tone(Tone::Bad, &text(answer, "stopped"))
        ));
    }
    for reason in items(answer, "reasons") {
        page.line(&format!(
            "  {}  {}:{}",
            page.tone(Tone::Bad, &text(reason, "code")),
            text(answer, "file"),
            text(reason, "line")
        ));
        for label in ["limit", "actual", "fix"] {
            let said = text(reason, label);
            if !said.is_empty() && said != "-" {
                page.line(&format!("    {label:<7}{said}"));
            }
        }
    }
    if text(answer, "nearest") != "-" {
        page.line(&format!("  nearest grant: {}", text(answer, "nearest")));
    }
    let counted = items(answer, "counted");
    if !counted.is_empty() {
        page.line(&page.tone(Tone::Faint, "  counted and read in the task:"));
    }
    for line in counted {
        page.line(&format!("    {}", line.as_str().unwrap_or_default()));
    }
    page.line(&page.tone(Tone::Faint, "  taken for granted:"));
    for assumed in items(answer, "assumed") {
        page.line(&format!("    {}", assumed.as_str().unwrap_or_default()));
    }
}

pub(super) fn who_can(asked: &WhoCan, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let body = json!({"action": asked.action, "service": asked.service, "arguments": asked.arguments.json()});
    let able = at.admin.post("/v1/who-can", &body)?;
    if page.is_json() {
        page.json(&able);
        return Ok(Exit::Done);
    }
    let row = |it: &Value| {
        let not_now: Vec<&str> = items(it, "not_now").iter().filter_map(Value::as_str).collect();
        let grant = match (text(it, "grant").as_str(), text(it, "line").as_str()) {
            ("-", _) => "none: shadow mode".to_owned(),
            (grant, line) => format!("{grant} (line {line})"),
        };
        vec![
            text(it, "agent"),
            text(it, "service"),
            text(it, "contract"),
            grant,
            text(it, "approval"),
            if not_now.is_empty() {
                "-".to_owned()
            } else {
                not_now.join(" ")
            },
        ]
    };
    let rows: Vec<_> = able.as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        page.note("No agent's contract allows it.");
    } else {
        page.table(
            &["agent", "service", "contract", "grant", "approval", "not now"],
            &rows,
        );
    }
    Ok(Exit::Done)
}

pub(super) fn blast_radius(asked: &BlastRadius, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let reach = at
        .admin
        .get(&format!("/v1/agents/{}/reach", segment(&asked.agent)))?;
    if page.is_json() {
        page.json(&reach);
    } else {
        show_reach(&reach, page);
    }
    Ok(Exit::Done)
}

fn list(value: &Value, name: &str) -> String {
    let all: Vec<&str> = items(value, name).iter().filter_map(Value::as_str).collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

fn show_reach(reach: &Value, page: &Page) {
    page.line(&format!(
        "{}  {} {}",
        page.tone(Tone::Strong, &text(reach, "agent")),
        text(reach, "contract"),
        text(reach, "hash")
    ));
    if text(reach, "mode") == "shadow" {
        page.line(&page.tone(
            Tone::Bad,
            "  mode: shadow. Its contract is only reported: beyond this list nothing but tenants, identity and scope hold.",
        ));
    }
    if text(reach, "stopped") != "-" {
        page.line(&format!("  not now: {}", text(reach, "stopped")));
    }
    let tenants = match text(reach, "tenant_mode").as_str() {
        "-" => "no tenant's data".to_owned(),
        "task" => format!("one a task, of: {}", list(reach, "tenants")),
        _ => format!("any of: {}", list(reach, "tenants")),
    };
    let sensitivity = match text(reach, "sensitivity").as_str() {
        "-" => "nobody declares any".to_owned(),
        known => format!("up to {known}"),
    };
    let summary = [
        ("tenants", tenants),
        ("data", format!("{}; {sensitivity}", list(reach, "domains"))),
        ("ways out", list(reach, "ways_out")),
        ("untrusted", list(reach, "untrusted")),
        ("approvals", list(reach, "approvals")),
    ];
    for (label, said) in summary {
        page.line(&format!("  {label:<10} {said}"));
    }
    let of =
        |by: &str, cells: &[Value]| -> Vec<Vec<String>> { cells.iter().map(|cell| row(by, cell)).collect() };
    let mut rows = of("itself", items(reach, "cells"));
    for through in items(reach, "through") {
        let path: Vec<&str> = items(through, "path").iter().filter_map(Value::as_str).collect();
        let via = match text(through, "via").as_str() {
            "launch" => "launches",
            _ => "delegates to",
        };
        let by = format!("{via} {}", path.join(" > "));
        if through.get("registered") == Some(&Value::Bool(false)) {
            page.line(&format!("  {by}: no agent of that name yet"));
        }
        rows.extend(of(&by, items(through, "cells")));
    }
    page.line("");
    page.table(&["by", "service", "action", "grant", "data", "bounds"], &rows);
}

fn row(by: &str, cell: &Value) -> Vec<String> {
    let is = |name: &str| cell.get(name) == Some(&Value::Bool(true));
    let mut data = Vec::new();
    match text(cell, "sensitivity").as_str() {
        "-" => {}
        known => data.push(known.to_owned()),
    }
    let marks = [
        ("untrusted", "untrusted"),
        ("egress", "leaves the org"),
        ("consequential", "changes things"),
    ];
    data.extend(
        marks
            .iter()
            .filter(|(name, _)| is(name))
            .map(|(_, mark)| (*mark).to_owned()),
    );
    let mut bounds: Vec<String> = items(cell, "bounds")
        .iter()
        .filter_map(|bound| bound.as_str().map(str::to_owned))
        .collect();
    if text(cell, "approval") != "-" {
        bounds.push(format!("approval: {}", text(cell, "approval")));
    }
    if !is("children") {
        bounds.push("not by child processes".to_owned());
    }
    if !is("declared") {
        bounds.push("no upstream declares it".to_owned());
    }
    let refused: Vec<String> = items(cell, "refused")
        .iter()
        .map(|reason| text(reason, "code"))
        .collect();
    if !refused.is_empty() {
        bounds.push(format!("refused as things are: {}", refused.join(" ")));
    }
    vec![
        by.to_owned(),
        text(cell, "service"),
        text(cell, "action"),
        format!("{} (line {})", text(cell, "grant"), text(cell, "line")),
        if data.is_empty() {
            "-".to_owned()
        } else {
            data.join(", ")
        },
        if bounds.is_empty() {
            "-".to_owned()
        } else {
            bounds.join("; ")
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_read_as_a_request_would_carry_it() {
        let read = |text: &str| argument(text).unwrap().1;
        assert_eq!(read("amount=500"), json!(500));
        assert_eq!(read("amount=\"500\""), json!("500"));
        assert_eq!(read("dry_run=false"), json!(false));
        assert_eq!(read("to=[a@x, b@x]"), json!(["a@x", "b@x"]));
        assert_eq!(read("note=a=b"), json!("a=b"));
        assert!(argument("amount").is_err());
    }
}
