//! Draft: a first contract from what a service says of itself, for a person to finish.
//!
//! Least first: every call that may change something is a grant of its own and waits for an approval; whatever answers
//! a question that only a person can answer is left empty, and an empty sentence is a mistake, so that a draft nobody
//! read cannot be published. What a service's description says is text that others write: it names actions and bounds
//! here, never a reason.

mod mcp;
mod openapi;

pub use mcp::tools;
pub use openapi::{Described, described};

use identity::{Audience, Name};
use policy::contract::{Constraint, Date, Remarks, document};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Largest description in bytes: the long ones of big services have a few megabytes.
pub const DESCRIPTION_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest remark that repeats what a description says, in characters.
const SAID_CHARS_MAX: usize = 120;

/// Why a description cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDescribed {
    /// Too long.
    #[error("it is longer than {DESCRIPTION_BYTES_MAX} bytes")]
    TooLong,
    /// Neither JSON nor YAML.
    #[error("it is neither JSON nor YAML: {0}")]
    Unreadable(String),
    /// Readable, and something else.
    #[error("it is no {0}")]
    OtherKind(&'static str),
    /// Nothing in it.
    #[error("it describes nothing that an agent could call")]
    Empty,
}

/// What a person says before the draft is written.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The contract's name.
    pub name: Name,
    /// Who answers.
    pub team: Name,
    /// What it is for.
    pub purpose: Name,
    /// The lowest assurance level.
    pub min_assurance: u8,
    /// Whose data; empty for no tenant's.
    pub tenants: BTreeSet<Name>,
    /// The day on which it ends.
    pub expires: Date,
}

/// Something that a service can do.
#[derive(Debug, Clone)]
pub struct Offer {
    /// At which service.
    pub service: Audience,
    /// What contracts call it.
    pub action: Name,
    /// Whether it may change something.
    pub writes: bool,
    /// Whether it returns what others can write.
    pub untrusted: bool,
    /// What the service says of it.
    pub said: Option<String>,
    /// Bounds of arguments that every call has to carry.
    pub bounds: Vec<(Name, Constraint)>,
    /// Arguments that have no bounds, or are not always there.
    pub free: Vec<Name>,
    /// From what kind of text it was derived; `None` when a person named it.
    pub source: Option<&'static str>,
}

impl Offer {
    /// An action that a person named.
    pub const fn named(service: Audience, action: Name, writes: bool) -> Self {
        Self {
            service,
            action,
            writes,
            untrusted: false,
            said: None,
            bounds: Vec::new(),
            free: Vec::new(),
            source: None,
        }
    }
}

/// The draft of a contract. Its empty sentences are mistakes until they are filled.
pub fn contract(wish: &Wish, offers: &[Offer]) -> String {
    let mut remarks = Remarks::new();
    let mut say = |path: &str, text: String| remarks.entry(path.to_owned()).or_default().push(text);
    say(
        "apiVersion",
        format!(
            "A draft of what {} may do. Fill every empty sentence, take away what it does not need, then: tabard contract check FILE",
            wish.name
        ),
    );
    say(
        "purpose.statement",
        "TODO: what it is for, in one sentence".to_owned(),
    );
    let mut grants = Vec::new();
    let (reads, writes): (Vec<&Offer>, Vec<&Offer>) = offers.iter().partition(|offer| !offer.writes);
    let mut taken = BTreeSet::new();
    for offer in reads.iter().chain(&writes) {
        let id = unique(&offer.action, &mut taken);
        grants.push(grant(offer, &id, &mut say));
    }
    let untrusted: BTreeSet<&Name> = offers
        .iter()
        .filter(|it| it.untrusted)
        .map(|it| &it.action)
        .collect();
    if writes.is_empty() {
        say("grants", "Nothing here changes anything.".to_owned());
    } else {
        let text = "Whatever may change something waits for an approval. Take `approval` away where nobody has to look.";
        say("grants", text.to_owned());
        let text = "TODO: who can say yes; never who asked, opened the task or published this contract";
        say("escalation.owner", text.to_owned());
    }
    let mut terms = json!({
        "apiVersion": "tabard/v1",
        "kind": "AgentContract",
        "metadata": {"name": wish.name.as_str(), "version": 1},
        "owner": {"team": wish.team.as_str()},
        "purpose": {"id": wish.purpose.as_str(), "statement": ""},
        "identity": {"min_assurance": wish.min_assurance},
        "tasks": {"types": [wish.purpose.as_str()], "max_ttl": "30m", "openers": ["user", "operator"]},
        "grants": grants,
        "lifecycle": {"expires": wish.expires.to_string(), "review_every": "90d"},
    });
    let mut add = |key: &str, value: Value| {
        if let Some(top) = terms.as_object_mut() {
            top.insert(key.to_owned(), value);
        }
    };
    if wish.tenants.is_empty() {
        say(
            "tasks",
            "No tenant's data is in reach. Name tenants under `tenants` if it works for some.".to_owned(),
        );
    } else {
        add(
            "tenants",
            json!({"mode": "task", "allowed": names(&wish.tenants)}),
        );
    }
    if !writes.is_empty() {
        add("escalation", json!({"owner": {"approvers": wish.team.as_str()}}));
    }
    if !untrusted.is_empty() {
        let all: Vec<&str> = untrusted.iter().map(|name| name.as_str()).collect();
        add("flow", json!({"reads_untrusted": all}));
        let text = "What these return can be written by others: after one of them, what a task sends out is looked at twice.";
        say("flow", text.to_owned());
    }
    document(&terms, &remarks)
}

fn grant(offer: &Offer, id: &str, say: &mut impl FnMut(&str, String)) -> Value {
    let path = format!("grants.{id}");
    if let Some(source) = offer.source {
        say(
            &path,
            format!("From {source}, which others may write: check that the name says what the call does."),
        );
    }
    if let Some(said) = &offer.said {
        // One line, without whatever steers a terminal or an editor.
        let said: String = said
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .filter(|c| c.is_ascii() || c.is_alphanumeric())
            .take(SAID_CHARS_MAX)
            .collect();
        say(&path, format!("It says of itself: {:?}", said.trim()));
    }
    if !offer.free.is_empty() {
        let names: Vec<&str> = offer.free.iter().map(Name::as_str).collect();
        say(
            &format!("{path}.actions"),
            format!(
                "Not bounded: {}. An argument under `where` has to be there in every call.",
                names.join(", ")
            ),
        );
    }
    say(
        &format!("{path}.reason"),
        "TODO: why the agent needs this".to_owned(),
    );
    let words = format!("{path}.business_action.{}", offer.action);
    say(
        &words,
        "TODO: what it means to the business, in the words that approvers see".to_owned(),
    );
    let mut grant = json!({
        "id": id,
        "services": [offer.service.as_str()],
        "actions": [offer.action.as_str()],
        "reason": "",
        "business_action": {offer.action.as_str(): ""},
    });
    let bounds: Map<String, Value> = offer
        .bounds
        .iter()
        .filter_map(|(name, bound)| Some((name.to_string(), serde_json::to_value(bound).ok()?)))
        .collect();
    if let Some(grant) = grant.as_object_mut() {
        if !bounds.is_empty() {
            grant.insert("where".to_owned(), Value::Object(bounds));
        }
        if offer.writes {
            grant.insert("approval".to_owned(), "owner".into());
        }
    }
    grant
}

fn names(all: &BTreeSet<Name>) -> Vec<&str> {
    all.iter().map(Name::as_str).collect()
}

/// An id that no other grant has: the action with `-` for `.`, and a number if need be.
fn unique(action: &Name, taken: &mut BTreeSet<String>) -> String {
    let base = action.as_str().replace('.', "-");
    let numbered = (2..).map(|number| format!("{}-{number}", base.get(..56).unwrap_or(&base)));
    let id = std::iter::once(base.clone())
        .chain(numbered)
        .find(|id| !taken.contains(id))
        .unwrap_or(base);
    taken.insert(id.clone());
    id
}

/// A name out of whatever a description calls something: `listInvoices` becomes `list-invoices`.
pub(crate) fn slug(text: &str) -> Option<Name> {
    let mut out = String::new();
    let mut low = false;
    for c in text.chars() {
        if c.is_ascii_uppercase() && low {
            out.push('-');
        }
        low = c.is_ascii_lowercase() || c.is_ascii_digit();
        if c.is_ascii_alphanumeric() || c == '_' {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    let cut: String = out.chars().take(63).collect();
    cut.trim_matches(['-', '_']).parse().ok()
}

/// A description as a tree, from JSON or YAML.
pub(crate) fn tree(text: &str) -> Result<Value, NotDescribed> {
    if text.len() > DESCRIPTION_BYTES_MAX {
        return Err(NotDescribed::TooLong);
    }
    if let Ok(tree) = serde_json::from_str(text) {
        return Ok(tree);
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let text = error.without_snippet().to_string();
        NotDescribed::Unreadable(text.lines().next().unwrap_or_default().to_owned())
    })
}

/// The bound that a JSON Schema puts on an argument, where a contract can say the same.
pub(crate) fn bound(schema: &Value) -> Option<Constraint> {
    if let Some(values) = schema
        .get("enum")
        .and_then(Value::as_array)
        .filter(|values| !values.is_empty())
    {
        let texts: Option<BTreeSet<String>> = values
            .iter()
            .map(|value| value.as_str().filter(|it| !it.is_empty()).map(str::to_owned))
            .collect();
        return texts.map(Constraint::Texts);
    }
    let number = |key: &str| schema.get(key).and_then(Value::as_i64);
    let (min, max) = (number("minimum"), number("maximum"));
    let whole = schema.get("type").and_then(Value::as_str) == Some("integer");
    (whole && max.is_some()).then_some(Constraint::Range { min, max })
}

#[cfg(test)]
mod tests;
