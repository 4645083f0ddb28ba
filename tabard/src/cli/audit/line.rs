//! One entry as one line: when, where, what, who, and how it was decided.

use crate::cli::page::{Page, Tone, items, text};
use identity::UnixTime;
use serde_json::Value;

/// The line of an entry with its place, as the admin plane gives it.
pub(crate) fn of(it: &Value, page: &Page) -> String {
    let null = Value::Null;
    let entry = it.get("entry").unwrap_or(&null);
    let at = entry
        .get("at")
        .and_then(Value::as_u64)
        .map_or_else(String::new, |ms| UnixTime::from_millis(ms).rfc3339());
    let mut parts = vec![
        page.tone(Tone::Faint, &at),
        format!("{:<8}", text(it, "place")),
        format!("{:<20}", text(entry, "kind")),
    ];
    parts.extend(ruling(entry, page));
    let said = |group: &str, name: &str| {
        let value = entry.get(group)?.get(name)?;
        Some(text(&serde_json::json!({ "it": value }), "it"))
    };
    parts.extend(said("who", "agent_name"));
    parts.extend(said("what", "action"));
    parts.extend(said("what", "audience"));
    let reasons: Vec<String> = entry
        .get("decision")
        .map(|decision| items(decision, "reasons"))
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if !reasons.is_empty() {
        parts.push(reasons.join(","));
    }
    parts.extend(said("human", "uid").map(|uid| format!("by uid {uid}")));
    parts.extend(
        items(entry, "change_summary")
            .first()
            .and_then(Value::as_str)
            .map(crate::cli::page::plain),
    );
    parts.extend(said("decision", "id"));
    parts.join("  ").trim_end().to_owned()
}

fn ruling(entry: &Value, page: &Page) -> Option<String> {
    match entry.get("decision")?.get("outcome")?.as_str()? {
        "allow" => Some(page.tone(Tone::Good, "allow")),
        "deny" => Some(page.tone(Tone::Bad, "deny ")),
        "step_up" => Some(page.tone(Tone::Bad, "ask  ")),
        other => Some(other.to_owned()),
    }
}
