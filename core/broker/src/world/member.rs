//! Members of the installation besides the server: node agents and gateways, and how they are let in.

use identity::{Digest, NodeId, OrgId, SpiffeId, Thumbprint, UnixTime};
use serde::{Deserialize, Serialize};

/// What a member does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// A node agent.
    Node,
    /// A gateway.
    Gateway,
}

impl MemberRole {
    /// As command lines, SPIFFE IDs and the wire spell it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Gateway => "gateway",
        }
    }
}

/// A one-time bootstrap secret. The World knows only its digest; spending it is a precondition of the very commit
/// that admits the member, so a failed attempt never consumes it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct JoinToken {
    /// SHA-256 of the secret.
    pub digest: Digest,
    /// What it admits.
    pub role: MemberRole,
    /// The org the member serves; `None` for all.
    pub org: Option<OrgId>,
    /// When it becomes worthless.
    pub expires_at: UnixTime,
}

/// An admitted member.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Unstamped until its Change commits.
    pub id: NodeId,
    /// What it does.
    pub role: MemberRole,
    /// The org it serves; `None` for all.
    pub org: Option<OrgId>,
    /// Its SPIFFE ID.
    pub spiffe_id: SpiffeId,
    /// The key it proved at joining.
    pub key: Thumbprint,
    /// How it proved itself: 1 join token or same process.
    pub assurance: u8,
    /// The number of its own log.
    pub log: u16,
    /// Whether an administrator ended its membership. It stays known, because the number of its log is never given
    /// to another.
    #[serde(default)]
    pub removed: bool,
}
