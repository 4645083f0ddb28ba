//! Approvals at the server: the one place where humans are asked, and where an approval is used up.
//!
//! Gateways come by `tabard.sync.v1` (`members/approval.rs`), clients by CIBA and by the decision API; all of them end
//! here, on one record for each exact request ([`broker::approve`]).

mod ask;
mod repeats;
mod requests;
mod spend;
mod unrequested;
mod view;
mod vote;

pub(crate) use ask::{NotAsked, ask};
pub(crate) use repeats::Repeats;
pub(crate) use requests::{REQUESTS_PATH, routes};
pub(crate) use spend::spend;
pub(crate) use view::{ApprovalView, may_vote, may_withdraw};
pub(crate) use vote::vote;
