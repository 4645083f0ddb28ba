//! Whom a question is about: an agent. By its own access token for the service, best with the proof of the key that the
//! token is bound to; or by its name and its task, as the service knows them.
//!
//! A token and its proof are what the agent showed to the service. Without a token nobody says for whom the agent acts, so
//! it acts for itself; without a proof nobody says which process of its run calls, so it counts as a child of the run. The
//! service may know better and cannot say so: what it merely asserts never widens.

use super::question::{Context, Members, NotAQuestion, Subject};
use crate::installation::Installation;
use broker::Fresh;
use broker::World;
use broker::enforce::{Live, Standing, StandingOf, alive, standing};
use broker::replay::NotFresh;
use broker::service::Service;
use credential::access_token::Expected;
use credential::dpop::{Caller, NoncePolicy, ProofExpected, RequestTarget};
use credential::{AccessTokenClaims, Binding, Verified};
use identity::{Actor, ActorKind, Audience, OrgScope, SpiffeId, TaskId, Thumbprint, UnixTime};
use policy::Reason;
use serde_json::Value;
use std::sync::Arc;

/// The one type of subjects there is. People stand at the beginning of a token's chain.
pub(super) const AGENT: &str = "agent";

/// Whom a question is about, before the World is looked at.
#[derive(Debug)]
pub(super) enum Who {
    /// By a verified token of ours.
    Token {
        token: Arc<Verified<AccessTokenClaims>>,
        /// By the key that it is bound to.
        proven: Option<Proven>,
    },
    /// By name, and the task if one was named.
    Task {
        agent: Arc<broker::world::Agent>,
        task: Option<TaskId>,
    },
}

/// A proof of the key that a token is bound to, good for this question and no other.
#[derive(Debug)]
pub(super) struct Proven {
    key: Thumbprint,
    /// Which process calls, if the proof's maker says so.
    caller: Option<Caller>,
    _fresh: Fresh,
}

/// Finds out whom a question is about. What is wrong here is an answer, not an error: the subject may not.
pub(super) fn who(
    installation: &Installation,
    world: &World,
    service: &Service,
    subject: &Subject<'_>,
    context: &Context,
    now: UnixTime,
) -> Result<Result<Who, Reason>, NotAQuestion> {
    if subject.kind != AGENT {
        return Ok(Err(Reason::NotFound));
    }
    let id = subject.id.unwrap_or_default();
    match subject.properties.and_then(|said| said.get("token")) {
        None | Some(Value::Null) => Ok(match named(world, service, id) {
            Some(agent) => Ok(Who::Task {
                agent,
                task: context.task,
            }),
            None => Err(Reason::NotFound),
        }),
        Some(Value::String(token)) => {
            let proof = proof(subject.properties)?;
            Ok(of_token(
                installation,
                world,
                service,
                id,
                token,
                proof.as_ref(),
                now,
            ))
        }
        Some(_) => Err(NotAQuestion::Member("subject.properties.token")),
    }
}

/// An agent of the service's org, by its name or its SPIFFE ID.
pub(super) fn named(world: &World, service: &Service, id: &str) -> Option<Arc<broker::world::Agent>> {
    if let Ok(spiffe_id) = id.parse::<SpiffeId>() {
        return world.agent_of(service.scope(), &spiffe_id).cloned();
    }
    let name = id.parse().ok()?;
    world.agent_named(service.scope(), service.org(), &name).cloned()
}

/// A DPoP proof, and the request that it was made for.
struct Proof<'q> {
    jws: &'q str,
    method: &'q str,
    target: RequestTarget,
}

/// What the service saw of the proof: `{"proof": …, "method": …, "url": …}`.
fn proof(said: Option<&Members>) -> Result<Option<Proof<'_>>, NotAQuestion> {
    let wrong = NotAQuestion::Member("subject.properties.dpop");
    let Some(dpop) = said.and_then(|said| said.get("dpop")) else {
        return Ok(None);
    };
    let member = |name: &str| dpop.get(name).and_then(Value::as_str).ok_or(wrong);
    Ok(Some(Proof {
        jws: member("proof")?,
        method: member("method")?,
        target: RequestTarget::parse(member("url")?).map_err(|_| wrong)?,
    }))
}

fn of_token(
    installation: &Installation,
    world: &World,
    service: &Service,
    id: &str,
    token: &str,
    proof: Option<&Proof<'_>>,
    now: UnixTime,
) -> Result<Who, Reason> {
    let audiences: Vec<Audience> = service
        .upstreams(world)
        .map(|upstream| upstream.audience.clone())
        .collect();
    let published = installation.published();
    let expected = Expected {
        issuer: installation.config.issuer.as_str(),
        audiences: &audiences,
    };
    let verified = published
        .access_tokens
        .verified(token, now, |token| {
            credential::access_token::verify(token, &published.access_token_keys, &expected, now)
        })
        .map_err(|rejection| {
            tracing::debug!(%rejection, "a subject's token was rejected");
            Reason::SubjectRejected
        })?;
    let claims = verified.claims();
    // Another org's agents do not exist for the service, whatever it was shown.
    if claims.org != service.org() {
        return Err(Reason::NotFound);
    }
    let actor: Option<&Actor> = claims.chain.actors().last();
    let is_named = actor.is_some_and(|actor| actor.kind == ActorKind::AiAgent && actor.id == id);
    if !is_named && named(world, service, id).is_none_or(|agent| agent.id != claims.agent) {
        return Err(Reason::SubjectRejected);
    }
    let proven = match proof {
        None => None,
        Some(proof) => Some(possession(installation, claims, token, proof, now)?),
    };
    Ok(Who::Token {
        token: verified,
        proven,
    })
}

/// Spends the proof. One that is there has to be right: it is never worse to leave it out than to have it judged.
fn possession(
    installation: &Installation,
    claims: &AccessTokenClaims,
    token: &str,
    proof: &Proof<'_>,
    now: UnixTime,
) -> Result<Proven, Reason> {
    let expected = ProofExpected {
        method: proof.method,
        target: &proof.target,
        access_token: Some(token),
        // The service's own affair: it is the service that the agent talks to.
        nonce: NoncePolicy::Ignored,
    };
    let verified = installation
        .proof_keys
        .verify(proof.jws, &expected, now)
        .map_err(|_| Reason::ProofOfPossessionFailed)?;
    if claims.binding != Binding::Key(verified.key()) {
        return Err(Reason::ProofOfPossessionFailed);
    }
    let fresh = installation
        .replays
        .admit(verified.replay_key(), verified.expires_at(), now)
        .map_err(|why| match why {
            NotFresh::Replayed => Reason::ReplayDetected,
            NotFresh::Full | NotFresh::TooLong => Reason::StateUnavailable,
        })?;
    Ok(Proven {
        key: verified.key(),
        caller: verified.caller().cloned(),
        _fresh: fresh,
    })
}

/// Where the subject stands in the World of now.
#[derive(Debug)]
pub(super) enum Stands<'w> {
    Token(&'w AccessTokenClaims, Live),
    Task(StandingOf, Live),
}

impl Who {
    pub(super) fn stands(
        &self,
        world: &World,
        audience: &Audience,
        now: UnixTime,
    ) -> Result<Stands<'_>, Reason> {
        match self {
            Self::Token { token, .. } => {
                let claims = token.claims();
                if claims.audience != *audience {
                    return Err(Reason::AudienceMismatch);
                }
                Ok(Stands::Token(claims, alive(world, claims, now)?))
            }
            Self::Task { agent, task } => {
                let (of, live) = standing(world, agent, *task, now)?;
                Ok(Stands::Task(of, live))
            }
        }
    }

    /// Which process calls, if the node agent that holds the instance's key says so.
    pub(super) fn caller(&self, world: &World) -> Option<audit::event::Caller> {
        let Self::Token { token, proven } = self else {
            return None;
        };
        let Proven { key, caller, .. } = proven.as_ref()?;
        let claims = token.claims();
        let instance = world.instance(OrgScope::Only(claims.org), claims.instance)?;
        let caller = caller.as_ref().filter(|_| instance.key == *key)?;
        Some(broker::enforce::recorded_caller(caller))
    }
}

impl Stands<'_> {
    pub(super) fn standing(&self) -> Standing<'_> {
        match self {
            Self::Token(claims, _) => Standing::of(claims),
            Self::Task(of, _) => of.standing(),
        }
    }
    pub(super) const fn live(&self) -> &Live {
        match self {
            Self::Token(_, live) | Self::Task(_, live) => live,
        }
    }
}
