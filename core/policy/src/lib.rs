//! Decides what an agent may do: contracts, their compilation to Cedar, and the judgement over facts.
//!
//! ```text
//!   contract text --parse--> Contract --compile--> Compiled --+
//!                                                             +--decide--> Verdict (every reason at once)
//!   gathered facts, each of known provenance ----> Facts -----+
//! ```
//!
//! Pure: the time is an argument, counters are facts. It never sees a credential's bytes, and a verdict opens no door.
//! Read `contract.rs`, then `fact.rs`, `limit.rs` and `decide.rs`.

mod atom;
mod attribute;
mod compile;
pub mod contract;
mod decide;
mod explain;
mod expression;
pub mod fact;
mod facts;
mod limit;
mod reason;
mod verdict;
mod week_ranges;

#[cfg(test)]
mod tests;

pub use atom::Atom;
pub use compile::{CompileError, Compiled, Window};
pub use contract::{Contract, ContractError, ContractHash};
pub use decide::decide;
pub use explain::explain;
pub use fact::{Fact, Provenance};
pub use facts::{ArgValue, Caller, FactRow, Facts, Link, ResourceFacts, Stage, TaskFacts, WindowId};
pub use limit::Limit;
pub use reason::{Reason, ReasonGroup, Remedy};
pub use verdict::{Allowed, Basis, Denial, GrantRef, Nearest, Obligation, ReasonDetail, Verdict};
