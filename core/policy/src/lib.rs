//! Decides what an agent may do: contracts, their compilation to Cedar, and the judgement over facts.
//!
//! ```text
//!   contract text --parse--> Contract --compile--> Compiled --+
//!                                                             +--decide--> Verdict (every reason at once)
//!   gathered facts, each of known provenance ----> Facts -----+
//! ```
//!
//! Pure: the time is an argument, counters are facts. It never sees a credential's bytes, and a verdict opens no door.
//! Along a chain every party is judged by its own contract (`chain.rs`). Read `contract.rs`, then `fact.rs`, `limit.rs` and `decide.rs`.

mod atom;
mod attribute;
mod chain;
mod compile;
pub mod contract;
mod counter;
mod decide;
mod diff;
mod exception;
mod explain;
mod expression;
pub mod fact;
mod fact_rows;
mod facts;
pub mod flow;
mod limit;
mod reason;
mod verdict;
mod week_ranges;
pub mod yaml;

#[cfg(test)]
mod tests;

pub use atom::Atom;
pub use attribute::domains_of;
pub use chain::{ChainLink, ChainVerdict, LinkVerdict, decide_chain};
pub use compile::{CompileError, Compiled, Counter, Evaluations};
pub use contract::{Contract, ContractError, ContractHash};
pub use counter::{Counted, CounterId};
pub use decide::decide;
pub use diff::{Diff, Difference, Direction, Example, NotProvable, TRIALS_MAX, Trial, diff, provable};
pub use exception::{Excepted, Exception, ExceptionTerms};
pub use explain::explain;
pub use fact::{Fact, Provenance};
pub use fact_rows::{FactRow, NotFacts, Recorded, link_rows};
pub use facts::{
    ArgValue, Caller, Facts, Link, Outside, ResourceFacts, Stage, TaskFacts, UserFacts, WorkflowFacts,
};
pub use flow::{DataLabels, FlowFacts, Labels, Readers, Sink};
pub use limit::Limit;
pub use reason::{Reason, ReasonGroup, Remedy};
pub use verdict::{Allowed, Basis, Denial, GrantRef, Nearest, ReasonDetail, Verdict};
