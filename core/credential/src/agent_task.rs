//! The authorization detail `agent_task` (RFC 9396): what one agent may do for one task, as a value of a lattice.
//!
//! Every member restricts; a member that is absent restricts nothing, so *more* members mean *less* authority.
//! [`AgentTask::narrows`] asks whether a detail grants nothing beyond another, [`AgentTask::intersect`] gives the
//! greatest detail that both allow. Values compare byte for byte: no URL prefixes, no patterns, nothing that two
//! readers could see differently.

use identity::{ApprovalId, Audience, Name, TaskId, UnixTime};
use std::collections::BTreeSet;

mod amount;
mod lattice;
mod rate;
pub(crate) mod wire;

pub use amount::Amount;
pub use lattice::{Disjoint, Widened};
pub use rate::{Period, Rate, RateError};

/// The value of `type`.
pub const AGENT_TASK: &str = "agent_task";
/// Most values in one list: a grant that needs more names a wider thing.
pub const LIST_VALUES_MAX: usize = 32;
/// Largest `authorization_details` parameter in bytes: eight details with full lists of short names fit.
pub const DETAILS_BYTES_MAX: usize = 8 * 1024;

/// One detail. `None` = not restricted by this member.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AgentTask {
    /// The task.
    pub task: Option<TaskId>,
    /// Why, in one word of the contract.
    pub purpose: Option<Name>,
    /// Which verbs.
    pub actions: Option<BTreeSet<Name>>,
    /// Which resources.
    pub locations: Option<BTreeSet<Audience>>,
    /// Which kinds of object.
    pub datatypes: Option<BTreeSet<Name>>,
    /// Which domains of data.
    pub data_domains: Option<BTreeSet<Name>>,
    /// Whose data.
    pub tenant: Option<Name>,
    /// The declared graph the task follows.
    pub workflow: Option<Name>,
    /// Where in that graph.
    pub step: Option<Name>,
    /// Numeric limits.
    pub constraints: Constraints,
    /// Good only for what that approval approved. Naming one proves nothing; the broker looks it up.
    pub approval: Option<ApprovalId>,
}

/// Numeric limits of one detail.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Constraints {
    /// Calls altogether.
    pub max_calls: Option<u64>,
    /// Money altogether.
    pub max_amount: Option<Amount>,
    /// Not before that instant.
    pub not_before: Option<UnixTime>,
    /// Not after that instant.
    pub not_after: Option<UnixTime>,
    /// Calls in any window of the period.
    pub rate: Option<Rate>,
}

/// Why JSON is no `agent_task`. Each names the member, so that the agent's developer can find it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentTaskError {
    /// Not a JSON array of objects, or a member stands twice.
    #[error("authorization_details is a JSON array of objects without duplicate members")]
    Malformed,
    /// Larger than 8 KiB.
    #[error("authorization_details has at most 8192 bytes")]
    TooLarge,
    /// More than eight.
    #[error("a request has at most 8 authorization details")]
    TooMany,
    /// Another `type`, or none.
    #[error("the authorization detail type \"{0}\" is not supported; use \"agent_task\"")]
    UnknownType(String),
    /// A member that `agent_task` does not have.
    #[error("agent_task has no member \"{0}\"")]
    UnknownMember(String),
    /// A value of the wrong type, form or range.
    #[error("the member \"{0}\" is malformed")]
    BadMember(&'static str),
}

impl AgentTask {
    /// Reads the parameter `authorization_details`: an array of details, all of type `agent_task`.
    pub fn parse_list(bytes: &[u8]) -> Result<Vec<Self>, AgentTaskError> {
        wire::parse_list(bytes)
    }
    /// The JSON array.
    pub fn list_to_json(details: &[Self]) -> String {
        let details: Vec<wire::DetailWire> = details.iter().map(wire::DetailWire::from).collect();
        serde_json::to_string(&details).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
