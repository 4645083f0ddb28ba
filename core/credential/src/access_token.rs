//! Access tokens: RFC 9068 `at+jwt`, one audience, bound to a key, carrying who acts for whom, for which task, and
//! where the decision behind it is recorded.
//!
//! Strict both ways: a token with a claim that we do not write is not ours. Replay, revocation and the proof of the
//! bound key are judged elsewhere; this module says only that our key signed these claims and that they are current.

use crate::hash::sha256;
use crate::jose::{HeaderSegment, Jws, Unsigned, Verified};
use crate::json;
use crate::key::VerifyingKeys;
use crate::rejection::Part;
use crate::{AgentTask, Rejection, TokenClass};
use identity::{
    Actor, ActorChain, AgentId, Assurance, Audience, DecisionId, Digest, FamilyId, InstanceId, Name, NodeId,
    OrgId, Revision, TaskId, Thumbprint, TokenId, UnixTime,
};

mod wire;

/// Difference between two honest clocks, in seconds. Gateways and servers keep time by NTP to well under one
/// second; five leaves room for a host that just resumed, and costs five seconds of a stolen token's life.
pub const SKEW_SECS: u64 = 5;
/// Longest life of an access token in seconds, whatever a contract says; the default is 300.
pub const LIFETIME_SECS_MAX: u64 = 3600;
/// Most task details in one token: one a purpose is the rule.
pub const DETAILS_MAX: usize = 8;
/// Longest `scope` in bytes.
pub const SCOPE_BYTES_MAX: usize = 1024;

/// The key that a token's bearer must prove (`cnf`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Binding {
    /// `jkt`: a DPoP key (RFC 9449 section 6).
    Key(Thumbprint),
    /// `x5t#S256`: a client certificate (RFC 8705 section 3.1).
    Certificate(Thumbprint),
}

/// Where the entry of the decision behind a token stands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EntryPlace {
    /// The log's origin, as its checkpoints name it.
    pub origin: String,
    /// The entry's index there.
    pub index: u64,
}

/// What an access token says. Times are whole seconds on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessTokenClaims {
    /// `iss`: the server that issued it.
    pub issuer: String,
    /// `sub`, `sub_profile`, `sub_iss` and nested `act`: originating principal first, current actor last.
    pub chain: ActorChain,
    /// `aud`: exactly one.
    pub audience: Audience,
    /// `client_id`: who asked; the current actor's id.
    pub client_id: String,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `nbf`.
    pub valid_from: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `jti`.
    pub token: TokenId,
    /// `fam`: the root exchange it descends from.
    pub family: FamilyId,
    /// `cnf`.
    pub binding: Binding,
    /// `authorization_details`: what was granted, each of type `agent_task`.
    pub details: Vec<AgentTask>,
    /// `scope`: the coarse form, for resource servers that know nothing else.
    pub scope: Option<String>,
    /// `rev`: the World that it was decided on.
    pub revision: Revision,
    /// `entry`: where the decision is recorded.
    pub entry: EntryPlace,
    /// `agt`: the current agent.
    pub agent: AgentId,
    /// `ins`: its attested instance.
    pub instance: InstanceId,
    /// `node`: the node it was attested on.
    pub node: Option<NodeId>,
    /// `org`.
    pub org: OrgId,
    /// `tnt`: whose data it may touch.
    pub tenant: Option<Name>,
    /// `tsk`: absent only for what a contract marks as taskless.
    pub task: Option<TaskId>,
    /// `asr`: how well the weakest link of the chain is proven.
    pub assurance: Assurance,
    /// `ctr`: the contract's hash.
    pub contract: Digest,
    /// `dec`: the decision.
    pub decision: DecisionId,
}

/// What a verifier of access tokens expects.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `iss`, byte for byte.
    pub issuer: &'a str,
    /// The names that this verifier answers to; `aud` must be one of them.
    pub audiences: &'a [Audience],
}

impl AccessTokenClaims {
    /// The token without its signature. Fractions of a second are dropped: `exp` never moves later.
    pub fn unsigned(&self, header: &HeaderSegment) -> Unsigned {
        Unsigned::new(header, &wire::to_wire(self))
    }

    /// SHA-256 of the claims as the token carries them, with `entry` empty (`{"log":"","index":0}`): what the entry of
    /// the decision says of its credential. The place is known only once that entry is written.
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(sha256(
            &serde_json::to_vec(&wire::without_place(self)).unwrap_or_default(),
        ))
    }

    /// What a token says of itself, for whoever holds it. Proves nothing.
    pub fn of_token_unverified(token: &str) -> Result<Self, Rejection> {
        Self::parse_unverified(Jws::parse(token, TokenClass::AccessToken)?.payload_unverified())
    }

    /// Reads claims that nobody has verified.
    pub fn parse_unverified(payload: &[u8]) -> Result<Self, Rejection> {
        json::check_depth(payload).map_err(|error| crate::jose::in_part(error, Part::Payload))?;
        let wire: wire::Claims<'_> = json::from_object(payload)
            .map_err(|error| Rejection::Malformed(Part::Payload, error.column()))?;
        wire::from_wire(wire)
    }

    /// The actor who holds the token; the chain is never empty, so there is one.
    pub fn current_actor(&self) -> Option<&Actor> {
        self.chain.current()
    }
}

/// Verifies a token: class, key, signature, issuer, audience, times. What it proves: one of `keys` signed exactly
/// these claims for one of `expected.audiences`, and they hold at `now`, give or take [`SKEW_SECS`].
pub fn verify(
    token: &str,
    keys: &VerifyingKeys,
    expected: &Expected<'_>,
    now: UnixTime,
) -> Result<Verified<AccessTokenClaims>, Rejection> {
    let payload =
        Jws::parse(token, TokenClass::AccessToken)?.verified_by_named(keys, TokenClass::AccessToken)?;
    let claims = AccessTokenClaims::parse_unverified(&payload)?;
    if claims.issuer != expected.issuer {
        return Err(Rejection::WrongIssuer);
    }
    if !expected.audiences.contains(&claims.audience) {
        return Err(Rejection::WrongAudience);
    }
    check_times(claims.valid_from.max(claims.issued_at), claims.expires_at, now)?;
    Ok(Verified::new(claims))
}

/// Whether `now` lies between two instants, give or take [`SKEW_SECS`]. An instant equal to `exp` is expired.
pub(crate) fn check_times(from: UnixTime, until: UnixTime, now: UnixTime) -> Result<(), Rejection> {
    let latest = until.plus_secs(SKEW_SECS);
    if now >= latest {
        return Err(Rejection::Expired {
            by_secs: now.secs().saturating_sub(until.secs()),
        });
    }
    if now.plus_secs(SKEW_SECS) < from {
        return Err(Rejection::NotYetValid {
            in_secs: from.secs().saturating_sub(now.secs()),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
