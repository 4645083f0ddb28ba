//! The wire between roles: `tabard.sync.v1` over mutual TLS with the members' own SVIDs.
//!
//! Node agents and gateways hold a replica of the part of the World that they may see. [`Replica`] keeps it current,
//! says how fresh it is, and lets a request wait for a revision it heard of elsewhere. Nothing here decides anything.

pub mod change;
mod client_svid;
mod lag;
pub mod link;
pub mod member;
pub mod own_certificate;
mod proof_keys;
mod proof_replays;
pub mod replica;
pub mod tls;

pub use client_svid::{ClientSvids, Distrust};
pub use link::{Ended, Link, LinkError, Pinned};
pub use member::{Member, MemberIdentity};
pub use own_certificate::OwnCertificate;
pub use proof_keys::ProofKeys;
pub use proof_replays::ProofReplays;
pub use replica::{FeedHealth, Replica, SNAPSHOT_FORMAT};

/// Messages and services, generated from `proto/tabard.sync.v1.proto`.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated; the documentation is in the .proto"
)]
pub mod proto {
    tonic::include_proto!("tabard.sync.v1");
}
