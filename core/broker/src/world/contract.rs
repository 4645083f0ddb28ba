//! A published contract version, as it was written.

use identity::{Digest, Name, OrgId, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One immutable contract version. Its hash is its name; compiling it is the shell's business.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ContractRecord {
    /// Content hash over the canonical form: comments and order do not count.
    pub hash: Digest,
    /// Its org.
    pub org: OrgId,
    /// `metadata.name`.
    pub name: Name,
    /// `metadata.version`.
    pub version: u64,
    /// Name of the file it came from, for messages.
    pub file: String,
    /// The text as its author wrote it.
    pub source: Arc<str>,
    /// Who published it.
    pub published_by: String,
    /// When.
    pub published_at: UnixTime,
    /// The commit of the author's repository that it came from, as whoever applied it said.
    #[serde(default)]
    pub commit: Option<String>,
    /// The contracts whose place it may take although it is wider: somebody other than its author said so.
    #[serde(default)]
    pub succeeds: BTreeSet<Digest>,
}
