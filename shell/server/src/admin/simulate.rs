//! `POST /v1/contracts/simulate` and `GET /v1/agents/{name}/tightened`: what the record says of another contract.
//! Nothing is published, applied or changed.

use super::Plane;
use super::agents::find;
use super::body::{Asked, Path, Strict};
use super::caller::{Caller, READERS_OF_THE_RECORD};
use super::contracts::compiled;
use super::entries::sees_org;
use super::foresee::in_force;
use super::refused::Refused;
use audit::{Entry, EventKind};
use axum::Json;
use axum::extract::State;
use broker::simulate::{CAVEAT, Simulation, Turn, decided};
use broker::tighten::{Use, tightened as narrow};
use http::StatusCode;
use identity::{AgentId, OrgScope, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::{Query, ReadError};

/// Entries that decisions by contracts stand in.
const KINDS: [EventKind; 5] = [
    EventKind::DecisionMade,
    EventKind::GatewayCall,
    EventKind::GatewayBlocked,
    EventKind::TokenExchanged,
    EventKind::TokenDenied,
];
/// Entries read at once.
const PAGE: usize = 1000;
/// Most entries looked at for one answer: what can be decided again while a person waits, about 20 s.
const ENTRIES_MAX: u64 = 500_000;

/// A candidate, and which decisions to make again with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Candidate {
    file: String,
    text: String,
    /// Only decisions of this agent.
    agent: Option<String>,
    /// Decisions of every agent; without either, of those that act under a contract of the candidate's name.
    #[serde(default)]
    all: bool,
    /// The first instant, in milliseconds.
    since: u64,
}

/// What the candidate would have said.
#[derive(Debug, Serialize)]
pub(super) struct Simulated {
    contract: String,
    hash: String,
    since: String,
    agents: Vec<String>,
    decisions: u64,
    unchanged: u64,
    newly_denied: u64,
    newly_allowed: u64,
    shadowed: u64,
    unreadable: u64,
    /// Whether the record holds more than was looked at.
    truncated: bool,
    differences: Vec<Line>,
    caveat: &'static str,
}

#[derive(Debug, Serialize)]
struct Line {
    turn: Turn,
    agent: String,
    action: String,
    reason: String,
    count: u64,
    example: String,
}

pub(super) async fn simulate(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Candidate>,
) -> Result<Json<Simulated>, Refused> {
    caller.looks_as(&plane, READERS_OF_THE_RECORD).await?;
    let candidate = compiled(&wanted.file, &wanted.text).await?;
    let world = plane.installation.store.world();
    let metadata = candidate.contract().terms().metadata.clone();
    let named = wanted
        .agent
        .as_ref()
        .map(|name| find(&world, &caller, name))
        .transpose()?;
    let under = |agent: &broker::world::Agent| {
        let record = world.contract(OrgScope::Only(agent.org), &agent.contract);
        record.is_some_and(|record| record.name == metadata.name)
    };
    let agents: Vec<_> = match &named {
        Some(agent) => vec![agent.clone()],
        None => world
            .agents(caller.scope())
            .filter(|agent| wanted.all || under(agent))
            .cloned()
            .collect(),
    };
    if agents.is_empty() {
        return Err(Refused::new(
            StatusCode::NOT_FOUND,
            "NO_AGENT_UNDER_CONTRACT",
            format!("No agent acts under a contract named {}.", metadata.name),
            "A simulation makes decisions of agents again, and it is not clear whose.",
            "Name one with --agent, or look at every agent with --all.",
        ));
    }
    let ids: BTreeSet<AgentId> = agents.iter().map(|agent| agent.id).collect();
    let since = UnixTime::from_millis(wanted.since);
    let name_of = |id: AgentId| {
        let agent = world.agent(caller.scope(), id);
        agent.map_or_else(|| id.to_string(), |agent| agent.name.to_string())
    };
    let hash = candidate.hash().to_string();
    let (simulation, truncated) = each(
        &plane,
        caller.scope(),
        since,
        Simulation::default(),
        move |all, entry| {
            all.look(&entry.event, |id| ids.contains(&id), &candidate);
        },
    )
    .await?;
    let mut names: Vec<String> = agents.iter().map(|agent| agent.name.to_string()).collect();
    names.sort();
    Ok(Json(Simulated {
        contract: format!("{}@{}", metadata.name, metadata.version),
        hash,
        since: since.rfc3339(),
        agents: names,
        decisions: simulation.decisions,
        unchanged: simulation.unchanged,
        newly_denied: simulation.newly_denied,
        newly_allowed: simulation.newly_allowed,
        shadowed: simulation.shadowed,
        unreadable: simulation.unreadable,
        truncated,
        differences: simulation
            .differences()
            .map(|it| Line {
                turn: it.turn,
                agent: name_of(it.agent),
                action: it.action.to_string(),
                reason: it.reason,
                count: it.count,
                example: it.example.to_string(),
            })
            .collect(),
        caveat: CAVEAT,
    }))
}

/// Which time to look at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    since: u64,
}

/// A draft.
#[derive(Debug, Serialize)]
pub(super) struct Tightened {
    contract: String,
    calls: u64,
    changes: Vec<String>,
    mistakes: Vec<String>,
    truncated: bool,
    text: String,
}

pub(super) async fn tightened(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
    Asked(wanted): Asked<Window>,
) -> Result<Json<Tightened>, Refused> {
    caller.looks_as(&plane, READERS_OF_THE_RECORD).await?;
    let world = plane.installation.store.world();
    let agent = find(&world, &caller, &name)?;
    let link = in_force(&plane, &world, &agent)?;
    let since = UnixTime::from_millis(wanted.since);
    let (contract, id) = (link.compiled.clone(), agent.id);
    let (used, truncated) = each(
        &plane,
        caller.scope(),
        since,
        Use::default(),
        move |used, entry| {
            for one in decided(&entry.event).unwrap_or_default() {
                if one.facts.agent() == id {
                    used.take(&contract, &one);
                }
            }
        },
    )
    .await?;
    let over = format!("since {}", since.rfc3339());
    let draft = narrow(link.compiled.contract(), &used, &over).map_err(|error| {
        Refused::new(
            StatusCode::CONFLICT,
            "NOTHING_USED",
            format!("There is no draft for {}.", agent.name),
            error.to_string(),
            "Look at a longer time with --since, or retire the agent.",
        )
    })?;
    Ok(Json(Tightened {
        contract: format!("{}@{}", link.record.name, link.record.version),
        calls: used.calls(),
        changes: draft.changes,
        mistakes: draft.mistakes,
        truncated,
        text: draft.text,
    }))
}

/// Shows `look` every entry since then that a contract decided, over all logs of this process, newest first in each;
/// and whether there are more than it was shown.
async fn each<T: Send + 'static>(
    plane: &Arc<Plane>,
    scope: OrgScope,
    since: UnixTime,
    mut all: T,
    look: impl Fn(&mut T, &Entry) + Send + 'static,
) -> Result<(T, bool), Refused> {
    let plane = plane.clone();
    let done = tokio::task::spawn_blocking(move || -> Result<(T, bool), ReadError> {
        let mut left = ENTRIES_MAX;
        for store in plane.stores() {
            for kind in KINDS {
                let mut query = Query::of(scope);
                query.kind = Some(kind);
                query.since = Some(since);
                query.limit = PAGE;
                loop {
                    let found = store.index().find(&query)?;
                    let Some(last) = found.last() else { break };
                    query.before = Some(last.index);
                    for it in &found {
                        if left == 0 {
                            return Ok((all, true));
                        }
                        left -= 1;
                        if let Ok(entry) = Entry::parse(&it.entry)
                            && sees_org(scope, entry.event.org)
                        {
                            look(&mut all, &entry);
                        }
                    }
                    if found.len() < PAGE {
                        break;
                    }
                }
            }
        }
        Ok((all, false))
    });
    match done.await {
        Ok(done) => done.map_err(|error| Refused::unavailable(&error.to_string())),
        Err(_) => Err(Refused::unavailable("the simulation ended early")),
    }
}
