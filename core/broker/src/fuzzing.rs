//! The parsers here that see bytes of strangers, one function each: see [`credential::fuzzing`].

pub use crate::pdp::fuzzing::decision_point;

/// Every target with the name of its corpus.
pub const TARGETS: [(&str, credential::fuzzing::Target); 1] = [("decision_point", decision_point)];
