//! What was gathered from the Ledger for one request, before it is decided.

use super::{Taken, Trail, TrailKey};
use policy::{CounterId, Labels};

/// Counts, labels and steps as they are for one request, and what it takes if it is permitted, or refused.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// For each agent of the chain, the counters of its contract.
    pub links: Vec<Vec<(CounterId, i64)>>,
    /// What was taken already, and is given back unless the request is permitted and recorded.
    pub taken: Vec<Taken>,
    /// What a refusal takes.
    pub on_denial: Vec<Taken>,
    /// The trails that end with one more refusal.
    pub ends: Vec<TrailKey>,
    /// The trails that the request goes on: of the task at the root of the tree, and of the instance.
    pub trails: Vec<TrailKey>,
    /// What the task did; what it saw is in `labels`.
    pub trail: Trail,
    /// What the task and the instance have seen.
    pub labels: Labels,
    /// Whether the task or the instance is over: too many of its calls were refused.
    pub suspended: bool,
}
