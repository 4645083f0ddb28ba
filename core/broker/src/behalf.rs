//! On whose behalf an agent acts: its own, that of whoever handed it a token, or a user's (RFC 8693 section 2.1).
//!
//! What is shown for somebody else becomes a value here or nowhere. A user's token authenticates and never consents:
//! what the user may do through which agent is looked up in the World, at the exchange and at every call.

use crate::enforce::alive;
use crate::exchange::Ask;
use crate::identify::Identified;
use crate::world::{Agent, Claimed, World};
use audit::Entry;
use credential::{AccessTokenClaims, ForeignClaims, Verified};
use identity::{Actor, ActorChain, ActorKind, ChainError, Name, OrgScope, SpiffeId, TaskId, UnixTime};
use policy::Reason;
use std::collections::BTreeSet;
use std::sync::Arc;

/// On whose behalf the caller acts.
#[derive(Debug, Clone)]
pub enum Behalf {
    /// Its own.
    Own,
    /// Of whoever handed it an access token of ours.
    Token(Handed),
    /// Of a user, authenticated by an issuer that the org trusts.
    User(AuthenticatedUser),
}

/// An access token of ours that was meant for its bearer, is alive, and whose entry was found. Made only by [`handed`].
#[derive(Debug, Clone)]
pub struct Handed(Arc<Verified<AccessTokenClaims>>);

impl Handed {
    /// What it says.
    pub fn claims(&self) -> &AccessTokenClaims {
        self.0.claims()
    }
}

/// Judges a token that `caller` shows as the subject of its exchange. `entry` is what stands in our log where the token
/// says that its decision is recorded.
///
/// Its audience has to be the caller's own SPIFFE ID: whoever holds a token for another service, or for another agent,
/// has found or stolen it. No proof of the key that it is bound to is asked for; that key is its sender's.
pub fn handed(
    world: &World,
    caller: &Agent,
    token: Verified<AccessTokenClaims>,
    entry: &Entry,
    now: UnixTime,
) -> Result<Handed, Reason> {
    let claims = token.claims();
    let recorded = entry
        .event
        .credential
        .as_ref()
        .and_then(|credential| credential.id.as_deref());
    // No skew: what a token that is over already buys would be over at once.
    if claims.audience.as_str() != caller.spiffe_id.as_str()
        || claims.org != caller.org
        || now >= claims.expires_at
        || recorded != Some(claims.token.to_string().as_str())
    {
        return Err(Reason::SubjectRejected);
    }
    alive(world, claims, now).map(drop)?;
    Ok(Handed(Arc::new(token)))
}

/// A user whom an issuer that the org trusts has authenticated. Made only by [`authenticated_user`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatedUser {
    actor: Actor,
    claimed: Option<Claimed>,
}

impl AuthenticatedUser {
    /// What the issuer says of them, where the org gave its words a meaning.
    pub(crate) const fn claimed(&self) -> Option<&Claimed> {
        self.claimed.as_ref()
    }
}

/// The user whom a verified token of another issuer names, if the caller's org trusts that issuer for that audience.
pub fn authenticated_user(
    world: &World,
    caller: &Agent,
    token: &Verified<ForeignClaims>,
    now: UnixTime,
) -> Result<AuthenticatedUser, Reason> {
    let claims = token.claims();
    let source = world
        .trust_source(OrgScope::Only(caller.org), caller.org, &claims.issuer)
        .ok_or(Reason::SubjectRejected)?;
    if !claims.audiences.contains(&source.audience) || now >= claims.expires_at {
        return Err(Reason::SubjectRejected);
    }
    let claimed = source.rights.as_ref().map(|rights| Claimed {
        org: caller.org,
        issuer: claims.issuer.clone(),
        subject: claims.subject.clone(),
        values: rights.values_in(&serde_json::Value::Object(claims.claims.clone())),
        said_at: claims.issued_at,
        until: claims.expires_at,
        forget_at: claims.expires_at,
    });
    Ok(AuthenticatedUser {
        actor: Actor {
            kind: ActorKind::User,
            issuer: claims.issuer.clone(),
            id: claims.subject.clone(),
        },
        claimed,
    })
}

/// The chain of a caller that acts on `behalf`: nobody but this function extends one.
pub fn chain_of(world: &World, behalf: &Behalf, caller: &SpiffeId) -> Result<ActorChain, Reason> {
    let issuer = world
        .founding()
        .map(|founding| founding.issuer.clone())
        .unwrap_or_default();
    let own = Actor {
        kind: ActorKind::AiAgent,
        issuer,
        id: caller.to_string(),
    };
    let chain = match behalf {
        Behalf::Own => return Ok(ActorChain::starting_with(own)),
        Behalf::Token(token) => token.claims().chain.extended(own),
        Behalf::User(user) => ActorChain::starting_with(user.actor.clone()).extended(own),
    };
    chain.map_err(|error| match error {
        ChainError::TooDeep => Reason::ChainTooDeep,
        ChainError::Loop => Reason::Loop,
    })
}

/// The task of an exchange: of whoever handed the caller a token, else the one that was asked for, else its own.
pub fn task_of(behalf: &Behalf, ask: &Ask, subject: &Identified) -> Option<TaskId> {
    match behalf {
        Behalf::Token(token) => token.claims().task,
        Behalf::Own | Behalf::User(_) => ask.task.or_else(|| subject.running.map(|running| running.task)),
    }
}

/// The actions that the token which was handed on covers: nothing in it is nothing to pass on.
pub(crate) fn parent_actions(behalf: &Behalf) -> Option<BTreeSet<Name>> {
    let Behalf::Token(token) = behalf else { return None };
    let details = token.claims().details.iter();
    Some(
        details
            .filter_map(|detail| detail.actions.as_ref())
            .flatten()
            .cloned()
            .collect(),
    )
}

/// The agent that a token for `audience` is handed to; `None` where that is a service.
pub fn receiver<'w>(
    world: &'w World,
    caller: &Agent,
    audience: &identity::Audience,
) -> Option<&'w Arc<Agent>> {
    let id: SpiffeId = audience.as_str().parse().ok()?;
    world.agent_of(OrgScope::Only(caller.org), &id)
}
