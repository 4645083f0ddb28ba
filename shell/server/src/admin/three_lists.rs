//! What a revocation reaches: dead now, dead at the next check, alive until.
//!
//! The lists are made of the credentials that the log says were issued within the last hour and have not expired; none
//! of ours lives longer, but for a service's SVID, which may live for a day. What a third party checks without asking us is said to live as long as it does: that it was
//! revoked is nothing they know.

use super::Plane;
use super::entries::{Recorded, newest};
use super::refused::Refused;
use crate::followers::Spread;
use audit::EventKind;
use audit::event::CredentialClass;
use broker::World;
use broker::service::SVID_SECS_MAX;
use broker::world::{MemberRole, Target};
use identity::{NodeId, OrgScope, UnixTime};
use serde::Serialize;
use std::sync::Arc;
use store::Query;

/// Longest life of a credential of ours in seconds: an X.509-SVID's hour.
const LIFE_SECS_MAX: u64 = 3600;
/// Most entries looked through. An hour of a busy agent; beyond it the answer says that it is cut.
const LOOKED_AT: usize = 20_000;

/// The credentials that a target was given and that have not expired.
#[derive(Debug)]
pub(super) struct HandedOut {
    credentials: Vec<Credential>,
    cut: bool,
}

/// One of them.
#[derive(Debug, Clone, Serialize)]
struct Credential {
    class: CredentialClass,
    id: Option<String>,
    audience: Vec<String>,
    agent: Option<String>,
    task: Option<String>,
    expires_at: String,
    #[serde(skip)]
    expires: UnixTime,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct ThreeLists {
    /// Refused from now on, wherever this installation checks.
    dead_now: Vec<Dead>,
    /// Refused as soon as somebody looks who has not heard of it yet.
    dead_at_next_check: Vec<Pending>,
    /// Accepted by whoever verifies it without asking us.
    alive_until: Vec<Alive>,
    /// The log was too busy to list everything.
    cut: bool,
}

#[derive(Debug, Serialize)]
struct Dead {
    #[serde(flatten)]
    credential: Credential,
    refused_by: String,
}

#[derive(Debug, Serialize)]
struct Pending {
    member: String,
    role: MemberRole,
    connected: bool,
    until_then: &'static str,
}

#[derive(Debug, Serialize)]
struct Alive {
    class: CredentialClass,
    count: usize,
    until: String,
    audience: Vec<String>,
    with: &'static str,
}

/// Looks the log up.
pub(super) async fn handed_out(plane: &Arc<Plane>, target: &Target) -> Result<HandedOut, Refused> {
    let now = plane.installation.clock.now();
    let mut query = Query::of(OrgScope::Every);
    query.since = Some(now.minus_secs(LIFE_SECS_MAX));
    query.limit = LOOKED_AT;
    match target {
        Target::Agent(agent) => query.agent = Some(*agent),
        Target::Task(task) => query.task = Some(*task),
        Target::Org(org) => query.scope = OrgScope::Only(*org),
        Target::Service(_) => {
            query.kind = Some(EventKind::SvidIssued);
            query.since = Some(now.minus_secs(SVID_SECS_MAX));
        }
        Target::Token(_) | Target::Family(_) | Target::Instance(_) | Target::User(_) => {}
    }
    let found = newest(plane, query).await?;
    let cut = found.len() == LOOKED_AT;
    let credentials = found
        .iter()
        .filter_map(|it| credential(plane, target, it, now))
        .collect();
    Ok(HandedOut { credentials, cut })
}

fn credential(plane: &Plane, target: &Target, it: &Recorded, now: UnixTime) -> Option<Credential> {
    let event = &it.parsed.event;
    let issued = event.credential.as_ref()?;
    let expires = issued.exp.filter(|exp| *exp > now)?;
    let who = event.who.as_ref();
    let hit = match target {
        Target::Agent(_) | Target::Task(_) | Target::Org(_) => true,
        Target::Service(id) => who.and_then(|who| who.spiffe_id.as_ref()) == Some(id),
        Target::Token(token) => issued.id.as_deref() == Some(token.to_string().as_str()),
        Target::Family(family) => issued.family == Some(*family),
        Target::Instance(instance) => who.and_then(|who| who.instance) == Some(*instance),
        Target::User(user) => {
            let names = plane.installation.keys.names().of(event.org, now).ok()?;
            let committed = names.commit(audit::event::Commitment::USER, user).to_string();
            event.chain.iter().any(|link| link.id == committed)
        }
    };
    hit.then(|| Credential {
        class: issued.class,
        id: issued.id.clone(),
        audience: issued.aud.iter().map(ToString::to_string).collect(),
        agent: who
            .and_then(|who| who.agent_name.as_ref())
            .map(ToString::to_string),
        task: event
            .why
            .as_ref()
            .and_then(|why| why.task)
            .map(|task| task.to_string()),
        expires_at: expires.rfc3339(),
        expires,
    })
}

impl ThreeLists {
    /// Sorts what was handed out by who refuses it when.
    pub(super) fn of(world: &World, out: &HandedOut, spread: &Spread) -> Self {
        let role_of = |id: &NodeId| world.node(*id).map(|member| member.role);
        let gateways = spread
            .confirmed
            .iter()
            .filter(|id| role_of(id) == Some(MemberRole::Gateway))
            .count();
        let dead = |credential: &Credential| {
            let refused_by = match credential.class {
                CredentialClass::AccessToken => {
                    format!(
                        "the token endpoint, and {gateways} connected gateway{}",
                        if gateways == 1 { "" } else { "s" }
                    )
                }
                CredentialClass::JwtSvid => "the token endpoint, as a subject".to_owned(),
                _ => "the server, at every connection and renewal".to_owned(),
            };
            Dead {
                credential: credential.clone(),
                refused_by,
            }
        };
        let pending = world
            .nodes()
            .filter(|member| !spread.confirmed.contains(&member.id))
            .map(|member| {
                let connected = spread.missing.contains(&member.id);
                Pending {
                    member: member.id.to_string(),
                    role: member.role,
                    connected,
                    until_then: match (connected, member.role) {
                        (true, _) => "it has not confirmed within a second",
                        (false, MemberRole::Gateway) => {
                            "it is away: all its routes are closed until it has caught up"
                        }
                        (false, MemberRole::Node) => "it is away: it can get nothing new for the agent",
                    },
                }
            });
        let third_parties = [
            (
                CredentialClass::JwtSvid,
                "whoever accepts JWT-SVIDs of this trust domain without asking it",
            ),
            (
                CredentialClass::X509Svid,
                "peers that verify X.509-SVIDs of this trust domain themselves",
            ),
            (CredentialClass::Assertion, "the issuer it was made for"),
            (CredentialClass::UpstreamCredential, "the service that issued it"),
        ];
        let alive = third_parties.into_iter().filter_map(|(class, with)| {
            let these: Vec<&Credential> = out.credentials.iter().filter(|it| it.class == class).collect();
            let latest = these.iter().map(|it| it.expires).max()?;
            let mut audience: Vec<String> = these.iter().flat_map(|it| it.audience.clone()).collect();
            audience.sort();
            audience.dedup();
            Some(Alive {
                class,
                count: these.len(),
                until: latest.rfc3339(),
                audience,
                with,
            })
        });
        Self {
            dead_now: out.credentials.iter().map(dead).collect(),
            dead_at_next_check: pending.collect(),
            alive_until: alive.collect(),
            cut: out.cut,
        }
    }
}
