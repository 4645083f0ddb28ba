//! Approve: a human lets pass one exact request that the contract by itself does not.
//!
//! The way of a request: a call is refused, and the refusal says whose approval would have let it pass
//! ([`crate::Refusal::needs`]). It is asked for ([`ask`]), as the very text that its digest is made over ([`Bound`]).
//! Humans say yes or no ([`vote`]) if they may ([`eligible`]). The agent sends the same request again; it is decided
//! again under the policy of then, with the approval as one fact more ([`find`]), and the approval is spent
//! ([`spend`]) before the request leaves. An approval is a fact and no permit: whatever else refuses, refuses.
//!
//! On the wire it is a denial with something to do about it. Why it is so: docs/adr/0014-approvals.md.

mod ask;
mod besides;
mod bound;
mod eligible;
mod end;
mod found;
mod group;
mod recant;
mod spend;
mod vote;

pub use ask::{
    ASKED_PER_AGENT_HOUR_MAX, ASKED_PER_TASK_MAX, Ask, Asked, PENDING_PER_AGENT_MAX, PENDING_PER_TASK_MAX,
    Requested, Terms, ask,
};
pub use besides::{BESIDES_MAX, Beside, Besides};
pub use bound::{Bound, REQUEST_BYTES_MAX, SAID_CHARS_MAX, bind, content_of, definition_of};
pub use eligible::{Ineligible, eligible};
pub use end::{expire, overdue, withdraw};
pub use found::{Approved, Found, find};
pub use group::set_group;
pub(crate) use spend::good;
pub use spend::{Spent, spend, spent_before};
pub use vote::{Voted, takes_votes, vote};

#[cfg(test)]
mod tests;
