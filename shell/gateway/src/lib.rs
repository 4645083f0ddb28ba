//! The gateway: where agents' requests become upstream requests, with a credential that no agent ever holds.
//!
//! One request, top to bottom (`call`): *authenticate* the token and the proof of its key (`authenticate`), find the
//! upstream and the action (`address`, `broker::upstream`), make sure that the call is counted here (`home_finder`), *decide* (`judge`, over `broker::enforce`), *record* in the
//! gateway's own journal, then inject and forward (`inject`, `connect`), and stream the answer back, scrubbed and cut
//! the moment its token is revoked (`answer`, `live`). Facts come from a `World` that somebody else keeps current;
//! when nobody does, every route closes.
//!
//! Whoever has a proxy of his own lets it ask ([`ext_authz`]): the same decision, and the upstream's credential with it.
//!
//! Plain HTTP/1.1 inside, as a base URL or a forward proxy for declared hosts. Not here: interception of TLS, MCP,
//! HTTP/2 towards agents, redirects (they go back to the agent).

mod address;
mod answer;
mod approval;
mod authenticate;
mod call;
mod connect;
mod destination;
pub mod ext_authz;
mod fields;
mod gateway;
mod home_finder;
mod inject;
mod judge;
mod live;
pub mod member;
mod metrics;
mod outcome;
mod outgoing;
mod parts;
mod problem;
mod scrub;
mod serve;
mod tokens;
mod unidentified;
mod view;

pub use gateway::{Gateway, StartError};
pub use live::Cut;
pub use metrics::Metrics;
pub use parts::{
    ApprovalError, Approvals, Clock, FeedHealth, GatewayParts, HEARTBEAT_MILLIS_MAX, Homes, LocalHomes,
    NameKeys, NoHome, NobodyToAsk, Random, SecretError, Secrets, Settings, WaitingApproval,
};
pub use problem::Problem;
