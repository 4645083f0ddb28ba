//! The nouns every other crate speaks: names, typed ids, digests, time, the actor chain.
//!
//! A value of a type in this crate has been parsed and is well formed; nobody checks it again.
//! Nothing here knows a clock, a socket or a key.

mod assurance;
mod chain;
mod digest;
mod entry;
mod id;
pub mod legible;
mod name;
mod scope;
mod secret;
mod spiffe_id;
mod text;
mod time;

pub use assurance::{Assurance, Level};
pub use chain::{Actor, ActorChain, ActorKind, CHAIN_DEPTH_DEFAULT, CHAIN_DEPTH_MAX, ChainError};
pub use digest::{Digest, DigestError, Thumbprint};
pub use entry::{EntryRef, LogId, Revision};
pub use id::{
    AgentId, ApprovalId, DecisionId, EventId, ExceptionId, FamilyId, Id, IdError, IdHash, IdHasher,
    InstanceId, Kind, NodeId, OrgId, RunId, SessionId, TaskId, TokenId, UpstreamId, WebhookId, kind,
};
pub use name::{Audience, AudienceError, Name, NameError};
pub use scope::OrgScope;
pub use secret::Secret;
pub use spiffe_id::{SpiffeId, SpiffeIdError, TrustDomain};
pub use time::UnixTime;
