//! `tabard revoke` and `tabard resume`: stop it now, say what that reached, and let it work again.

use super::page::{Page, Tone, items, text};
use super::{Exit, Failure, Place, agent};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Refuses everything that was issued before now in one dimension. An agent is suspended with it, until
/// `tabard resume agent NAME`. Work of others goes on.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// What kind of thing
    #[arg(value_enum)]
    dimension: Dimension,
    /// Which one: a name or an id
    value: String,
    /// For the record
    #[arg(long, default_value = "")]
    reason: String,
    /// Show what it would reach, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Lets a suspended agent get new credentials. What was revoked stays dead.
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// What kind of thing
    #[arg(value_enum)]
    what: Suspended,
    /// Its name or id
    name: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Suspended {
    /// An agent
    Agent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dimension {
    /// All of an agent, at whatever place of a chain
    Agent,
    /// All of one task
    Task,
    /// All of one attested process
    Instance,
    /// One credential
    Token,
    /// All that descend from one exchange
    Family,
    /// All on behalf of one user
    User,
    /// All of one org
    Org,
    /// Every SVID of one service
    Service,
}

pub(super) fn resume(asked: &Resume, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let Suspended::Agent = asked.what;
    agent::turn(at, &asked.name, "active", page)?;
    page.note("  credentials from before stay dead; it gets new ones");
    Ok(Exit::Done)
}

pub(super) fn run(asked: &Revoke, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let dimension = format!("{:?}", asked.dimension).to_lowercase();
    let body = json!({
        "dimension": dimension, "value": asked.value, "reason": asked.reason, "dry_run": asked.dry_run,
    });
    let answer = at.admin.post("/v1/revocations", &body)?;
    if page.is_json() {
        page.json(&answer);
    } else {
        show(&answer, page);
    }
    Ok(Exit::Done)
}

fn show(answer: &Value, page: &Page) {
    let dry = answer.get("dry_run") == Some(&Value::Bool(true));
    let took = answer.get("took_ms").and_then(Value::as_f64).unwrap_or_default();
    let suspended = answer.get("suspended").and_then(Value::as_str);
    let target = text(answer, "target");
    page.line(&if dry {
        format!("{target} would be revoked; nothing was done")
    } else {
        format!(
            "{} {target} revoked in {took:.0} ms (revision {}, entry {})",
            page.tone(Tone::Good, "✓"),
            text(answer, "revision"),
            text(answer, "entry")
        )
    });
    if let Some(name) = suspended.filter(|_| !dry) {
        page.line(&format!(
            "  {name} is suspended: it gets nothing new until `tabard resume agent {name}`"
        ));
    }

    let dead = items(answer, "dead_now");
    page.line(&page.tone(Tone::Strong, "\ndead now"));
    for ((class, refused_by), count) in counted(dead) {
        page.line(&format!("  {count:>4} {class:<14} refused by {refused_by}"));
    }
    if dead.is_empty() {
        page.line("       nothing alive had been issued");
    }

    let pending = items(answer, "dead_at_next_check");
    page.line(&page.tone(Tone::Strong, "\ndead at next check"));
    for member in pending {
        page.line(&format!(
            "       {} {}: {}",
            text(member, "role"),
            text(member, "member"),
            text(member, "until_then")
        ));
    }
    if pending.is_empty() {
        page.line("       nothing: every gateway and node agent has confirmed");
    }

    let alive = items(answer, "alive_until");
    page.line(&page.tone(Tone::Strong, "\nalive until"));
    for it in alive {
        let audience: Vec<&str> = items(it, "audience").iter().filter_map(Value::as_str).collect();
        let to = if audience.is_empty() {
            String::new()
        } else {
            format!(", for {}", audience.join(", "))
        };
        page.line(&format!(
            "  {:>4} {:<14} {}  with {}{to}",
            text(it, "count"),
            text(it, "class"),
            text(it, "until"),
            text(it, "with")
        ));
    }
    if alive.is_empty() {
        page.line("       nothing was handed out that others check without asking");
    }
    if answer.get("cut") == Some(&Value::Bool(true)) {
        page.note("the last hour has more entries than were looked through: the lists are not complete, the revocation is");
    }
}

/// How many credentials of each class, by who refuses them.
fn counted(dead: &[Value]) -> BTreeMap<(String, String), usize> {
    dead.iter().fold(BTreeMap::new(), |mut counts, it| {
        let count: &mut usize = counts
            .entry((text(it, "class"), text(it, "refused_by")))
            .or_default();
        *count = count.saturating_add(1);
        counts
    })
}
