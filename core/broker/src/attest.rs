//! Attest: is this process what a node agent says it is, and may this node agent say so?
//!
//! The node agent measured; the kernel vouched to it. Here its word is judged: an admitted member, of the right kind,
//! for an org that it serves. What the facts themselves are worth is the assurance vector.

use crate::world::{ArgvRule, MeasuredRoot, MemberRole, NodeRecord};
use aws_lc_rs::digest::{SHA256, digest};
use identity::{Assurance, Digest, Name, OrgId, RunId, Thumbprint, UnixTime};
use serde::{Deserialize, Serialize};

/// What a node agent saw of a process that it is about to start. Kept whole by the node; the log keeps its digest
/// and what was decisive.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LaunchEvidence {
    /// The org in which the agent was asked for.
    pub org: OrgId,
    /// `--as`: a request, never a claim.
    pub agent: Name,
    /// The uid that asked, by the kernel.
    pub launcher_uid: u32,
    /// The run that the asking process belongs to, if any.
    pub launcher_run: Option<RunId>,
    /// The command line.
    pub argv: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// Path of the executable that was opened and measured.
    pub executable: String,
    /// Digest of that very file.
    pub executable_digest: Digest,
    /// What was measured of the roots that the launch spec names.
    pub roots: Vec<MeasuredRoot>,
    /// Names of the environment variables that the process gets.
    pub environment: Vec<String>,
    /// Whether it runs in namespaces of its own, out of which it reaches no other process and none of our files.
    pub isolated: bool,
    /// Whether, besides, other processes of its uid cannot get in: its namespaces belong to another uid.
    pub sealed: bool,
    /// Whether the roots lie on storage that cannot change under the run.
    pub immutable: bool,
    /// Thumbprint of the key that was made for it.
    pub key: Thumbprint,
    /// When all this was seen.
    pub seen_at: UnixTime,
}

impl LaunchEvidence {
    /// What stands for the evidence in the log.
    pub fn digest(&self) -> Digest {
        digest_of(self)
    }
}

/// What a node agent saw of a process that it did not start: a caller of the Workload API.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ProcessEvidence {
    /// Its uid, by the kernel.
    pub uid: u32,
    /// Path of its executable.
    pub executable: String,
    /// Digest of the running file.
    pub executable_digest: Digest,
    /// Thumbprint of the key that was made for it.
    pub key: Thumbprint,
    /// When all this was seen.
    pub seen_at: UnixTime,
}

impl ProcessEvidence {
    /// What stands for the evidence in the log.
    pub fn digest(&self) -> Digest {
        digest_of(self)
    }
}

fn digest_of(evidence: &impl Serialize) -> Digest {
    let bytes = serde_json::to_vec(evidence).unwrap_or_default();
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    Digest::from_bytes(hash)
}

/// Evidence that came from a member entitled to give it. Made only here; spent by identify.
#[derive(Debug)]
#[must_use = "attested evidence identifies nobody yet"]
pub struct Attested<E> {
    evidence: E,
    node: NodeRecord,
}

impl<E> Attested<E> {
    /// What was seen.
    pub const fn evidence(&self) -> &E {
        &self.evidence
    }
    /// Who saw it.
    pub const fn node(&self) -> &NodeRecord {
        &self.node
    }
}

/// Why a member's word does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAttested {
    /// A gateway does not attest processes.
    #[error("only a node agent attests processes")]
    NotANode,
    /// The node agent serves another org.
    #[error("the node agent does not serve this org")]
    OtherOrg,
    /// Evidence has to be of now: at most 60 seconds old, and not from the future.
    #[error("the evidence is not of now")]
    Stale,
}

/// Oldest evidence that counts, in seconds: a launch takes well under one, clocks of one cluster agree within a few.
const EVIDENCE_AGE_SECS: u64 = 60;

/// Judges a member's word about a launch.
pub fn launch(
    node: &NodeRecord,
    evidence: LaunchEvidence,
    now: UnixTime,
) -> Result<Attested<LaunchEvidence>, NotAttested> {
    admit(node, Some(evidence.org), evidence.seen_at, now)?;
    Ok(Attested {
        evidence,
        node: node.clone(),
    })
}

/// Judges a member's word about a process that it did not start.
pub fn process(
    node: &NodeRecord,
    evidence: ProcessEvidence,
    now: UnixTime,
) -> Result<Attested<ProcessEvidence>, NotAttested> {
    admit(node, None, evidence.seen_at, now)?;
    Ok(Attested {
        evidence,
        node: node.clone(),
    })
}

fn admit(node: &NodeRecord, org: Option<OrgId>, seen_at: UnixTime, now: UnixTime) -> Result<(), NotAttested> {
    if node.role != MemberRole::Node {
        return Err(NotAttested::NotANode);
    }
    if let (Some(serves), Some(org)) = (node.org, org)
        && serves != org
    {
        return Err(NotAttested::OtherOrg);
    }
    let future = seen_at > now.plus_secs(EVIDENCE_AGE_SECS);
    if future || now.millis_since(seen_at) > EVIDENCE_AGE_SECS * 1000 {
        return Err(NotAttested::Stale);
    }
    Ok(())
}

/// What launch evidence supports, given whether its spec pins code.
pub(crate) fn assurance_of_launch(
    node: &NodeRecord,
    evidence: &LaunchEvidence,
    pinned: bool,
    argv: &ArgvRule,
) -> Assurance {
    let bound = pinned && *argv != ArgvRule::Free;
    let launch = match (bound, evidence.isolated, evidence.sealed) {
        (true, true, true) => 4,
        (true, true, false) => 3,
        (true, false, _) | (false, true, _) => 2,
        (false, false, _) => 1,
    };
    let code = match (pinned, evidence.immutable) {
        (true, true) => 3,
        (true, false) => 2,
        (false, _) => 1,
    };
    Assurance {
        node: node.assurance,
        launch,
        code,
        signer: u8::from(pinned),
    }
}
