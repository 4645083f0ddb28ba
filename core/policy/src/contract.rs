//! The contract: an agent's job description, as text, as checked values, and as a hash.
//!
//! Written in YAML (of which JSON is a part), read strictly: every mistake is reported at once with its line, and a key
//! that is not understood is refused, since it could be a limit that would not hold. A contract is immutable and named
//! by the SHA-256 of its canonical form (RFC 8785), in which comments, order and spelling of lengths of time leave no
//! trace. The lines of its keys are kept beside it so that a decision can point at the sentence that made it.
//!
//! One contract may bind many agents. It knows nothing of its storage, review or publication.

mod budget;
mod canonical;
mod constraint;
mod custom;
mod date;
mod delegation;
mod error;
mod escalation;
mod flow_terms;
mod node;
mod parameter;
mod read;
mod read_grant;
mod seconds;
mod section;
mod sentence;
mod terms;
mod week;
mod workflow;
mod written;

#[cfg(test)]
pub(crate) mod tests;

pub use budget::{Budget, Counts, Then};
pub use canonical::{CanonicalError, canonical_json};
pub use constraint::{ArgKind, Constraint, INTEGER_MAX};
pub use custom::Rule;
pub use date::{Date, DateError};
pub use delegation::{Delegation, OnBehalfOf};
pub use error::{ContractError, ErrorCode};
pub use escalation::{Escalation, Excluded};
pub use flow_terms::{Flow, TrustedFrom};
pub use node::{BYTES_MAX, DEPTH_MAX, NODES_MAX};
pub use parameter::{Parameter, ParameterError};
pub use seconds::{Seconds, SecondsError};
pub use sentence::{Sentence, SentenceError};
pub use terms::{
    ApiVersion, Children, DataTerms, Grant, IdentityTerms, Kind, Lifecycle, Metadata, Mode, Opener, Owner,
    Proven, Purpose, Rate, RateScope, Sensitivity, Tasks, Template, TenantMode, Tenants, Terms, TimeWindow,
};
pub use week::{DAY_MINUTES, Day, Offset, OffsetError, TimeOfDay, TimeOfDayError, WEEK_MINUTES};
pub use workflow::{OffGraph, Workflow};
pub use written::{Remarks, document, written};

use aws_lc_rs::digest::{SHA256, digest};
use identity::Digest;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The name of a contract: SHA-256 over its canonical form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ContractHash(pub Digest);

impl fmt::Display for ContractHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A contract that was read without a mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contract {
    file: String,
    terms: Terms,
    canonical: String,
    hash: ContractHash,
    lines: BTreeMap<String, u32>,
}

impl Contract {
    /// Reads `bytes`; `file` names them in messages. All mistakes are reported, at most 100.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Vec<ContractError>> {
        let root = node::parse(file, bytes).map_err(|error| vec![*error])?;
        let mut notes = section::Notes::new(file);
        let terms = read::terms(&mut notes, &root);
        let canonical = terms.as_ref().and_then(|terms| {
            serde_json::to_value(terms)
                .ok()
                .and_then(|value| canonical_json(&value).ok())
        });
        match (terms, canonical) {
            (Some(terms), Some(canonical)) if notes.errors.is_empty() => {
                Ok(Self::assemble(file, terms, canonical, notes.lines))
            }
            _ => {
                if notes.errors.is_empty() {
                    notes.note(
                        ErrorCode::NotReadable,
                        root.at,
                        "",
                        "the contract has no canonical form",
                        "a contract is named by the hash of its canonical form",
                        "correct the numbers in it",
                    );
                }
                notes.errors.sort_by_key(|error| (error.line, error.column));
                Err(notes.errors)
            }
        }
    }

    fn assemble(file: &str, terms: Terms, canonical: String, lines: BTreeMap<String, u32>) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, canonical.as_bytes()).as_ref());
        Self {
            file: file.to_owned(),
            terms,
            canonical,
            hash: ContractHash(Digest::from_bytes(bytes)),
            lines,
        }
    }

    /// The same contract with this grant instead of its own; it keeps its name, and its limits hold. For exceptions.
    pub(crate) fn with_only(&self, grant: Grant) -> Self {
        let mut other = self.clone();
        // What is only watched would be allowed without an exception.
        other.terms.mode = Mode::Enforce;
        other.terms.grants = vec![grant];
        other
    }

    /// The name under which its text was read, for messages.
    pub fn file(&self) -> &str {
        &self.file
    }
    /// The checked values.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }
    /// The canonical JSON form; it parses to a contract of the same hash.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
    /// The contract's name in every decision.
    pub const fn hash(&self) -> ContractHash {
        self.hash
    }
    /// The line of a key, written from the top (`identity.min_assurance`, `grants.ID` for a grant); 1 when unknown.
    pub fn line(&self, path: &str) -> u32 {
        self.lines.get(path).copied().unwrap_or(1)
    }
    /// Whether a process of the agent's run may launch `program` as a child task.
    pub fn may_launch(&self, program: &identity::Name) -> bool {
        self.terms.may_launch.contains(program)
    }
}

/// The JSON Schema of the contract format (draft 2020-12), for editors and other tools. The loader is stricter where
/// a schema cannot say it: dates that exist, one `business_action` per action, ranges that hold something.
pub fn json_schema() -> Value {
    plain(schemars::schema_for!(Terms).to_value())
}

/// Keys sorted, so that the published text does not depend on how maps are kept; and without `null`, which schemars
/// allows for every optional key and the loader for none.
fn plain(value: Value) -> Value {
    let null = serde_json::json!({"type": "null"});
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<String, Value> = map
                .into_iter()
                .map(|(key, value)| match value {
                    Value::Array(choices) if key == "anyOf" && choices.contains(&null) => (
                        "allOf".to_owned(),
                        choices.into_iter().filter(|choice| *choice != null).collect(),
                    ),
                    value => (key, value),
                })
                .map(|(key, value)| (key, plain(value)))
                .collect();
            sorted.into_iter().collect()
        }
        Value::Array(items) => items.into_iter().map(plain).collect(),
        other => other,
    }
}
