//! `GET /v1/status`: what runs, how far behind, what was refused last.

use super::Plane;
use super::caller::Caller;
use super::entries::{Recorded, newest};
use super::refused::Refused;
use axum::Json;
use axum::extract::State;
use broker::world::{AgentState, MemberRole};
use serde::Serialize;
use std::sync::Arc;
use store::Query;

/// Entries looked through for the last refusals.
const LOOKED_AT: usize = 400;
/// Refusals shown.
const REFUSALS: usize = 5;

#[derive(Debug, Serialize)]
pub(super) struct Status {
    ready: bool,
    waits_for: Vec<String>,
    version: &'static str,
    trust_domain: String,
    issuer: String,
    org: Option<String>,
    revision: u64,
    you: You,
    log: Log,
    members: Vec<Member>,
    counts: Counts,
    agents: Vec<AgentLine>,
    refusals: Vec<Recorded>,
}

#[derive(Debug, Serialize)]
struct You {
    name: String,
    uid: Option<u32>,
    roles: Vec<&'static str>,
    assurance: String,
}

#[derive(Debug, Serialize)]
struct Log {
    vkey: Option<String>,
    size: u64,
    published: u64,
    sealed: u64,
    indexed: u64,
    waiting: usize,
    stopped: Option<String>,
    checkpoint: Option<String>,
}

#[derive(Debug, Serialize)]
struct Member {
    id: String,
    role: MemberRole,
    connected: bool,
    silent: bool,
    behind: Option<u64>,
    log: u16,
}

#[derive(Debug, Serialize)]
struct Counts {
    agents: usize,
    contracts: usize,
    upstreams: usize,
    tasks_open: usize,
    instances: usize,
    revocations: usize,
}

#[derive(Debug, Serialize)]
struct AgentLine {
    name: String,
    state: AgentState,
    expires_at: String,
    processes: usize,
}

pub(super) async fn answer(State(plane): State<Arc<Plane>>, caller: Caller) -> Result<Json<Status>, Refused> {
    caller.looks(&plane).await?;
    let installation = &plane.installation;
    let (world, health, now) = (
        installation.store.world(),
        installation.store.health(),
        installation.clock.now(),
    );
    let scope = caller.scope();
    let connected = installation.followers.list();
    let mut members: Vec<Member> = world
        .nodes()
        .filter(|member| member.org.is_none_or(|org| scope.holds(org)))
        .map(|member| {
            let follows = connected.iter().find(|it| it.member == member.id);
            Member {
                id: member.id.to_string(),
                role: member.role,
                connected: follows.is_some(),
                silent: follows.is_some_and(|it| it.silent),
                behind: follows.map(|it| world.revision().0.saturating_sub(it.have.0)),
                log: member.log,
            }
        })
        .collect();
    members.sort_by(|a, b| (b.connected, &b.id).cmp(&(a.connected, &a.id)));
    let mut waits_for: Vec<String> = plane
        .members
        .iter()
        .filter(|own| !connected.iter().any(|it| it.member == **own))
        .map(|own| format!("member {own} to follow"))
        .collect();
    if world.founding().is_none() {
        waits_for.push("the founding".to_owned());
    }
    if let Some(stopped) = &health.stopped {
        waits_for.push(format!("a restart: {stopped}"));
    }
    let mut agents: Vec<AgentLine> = world
        .agents(scope)
        .map(|agent| AgentLine {
            name: agent.name.to_string(),
            state: agent.state,
            expires_at: agent.expires_at.rfc3339(),
            processes: world.instances(scope).filter(|it| it.agent == agent.id).count(),
        })
        .collect();
    agents.sort_by(|a, b| a.name.cmp(&b.name));
    let principal = caller.who.principal();
    let mut recent = Query::of(scope);
    recent.limit = LOOKED_AT;
    let mut refusals = newest(&plane, recent).await?;
    refusals.retain(Recorded::is_refusal);
    refusals.truncate(REFUSALS);
    Ok(Json(Status {
        ready: waits_for.is_empty(),
        waits_for,
        version: env!("CARGO_PKG_VERSION"),
        trust_domain: installation.config.trust_domain.to_string(),
        issuer: installation.config.issuer.as_str().to_owned(),
        org: caller
            .org(&world)
            .ok()
            .and_then(|id| world.org(scope, id))
            .map(|org| org.name.to_string()),
        revision: world.revision().0,
        you: You {
            name: principal.name.to_string(),
            uid: principal.uid.filter(|_| caller.who.session().is_none()),
            roles: principal.roles.iter().map(|role| role.word()).collect(),
            assurance: caller.who.assurance().to_owned(),
        },
        log: Log {
            vkey: installation.keys.log().vkey().ok(),
            size: health.size,
            published: health.published,
            sealed: health.sealed,
            indexed: health.indexed,
            waiting: health.waiting,
            stopped: health.stopped.map(|why| why.to_string()),
            checkpoint: installation
                .store
                .checkpoint()
                .map(|note| String::from_utf8_lossy(&note).into_owned()),
        },
        counts: Counts {
            agents: agents.len(),
            contracts: world.contracts(scope).count(),
            upstreams: world.upstreams(scope).count(),
            tasks_open: world.tasks(scope).filter(|task| task.is_open(now)).count(),
            instances: world.instances(scope).count(),
            revocations: world.revocations(scope).count(),
        },
        members,
        agents,
        refusals,
    }))
}
