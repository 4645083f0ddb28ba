//! `/v1/agents`: register, change, look at, suspend, resume and retire agents.

use super::Plane;
use super::body::{Document, Path, Strict};
use super::caller::Caller;
use super::comparing::compare;
use super::entries::agent_of;
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::World;
use broker::inventory::manifest::AgentFile;
use broker::inventory::{apply_agent, set_agent_state};
use broker::world::{Agent, AgentState, LaunchSpec};
use identity::{Level, OrgScope};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::Recorded;

/// An agent as administrators see it.
#[derive(Debug, Serialize)]
pub(super) struct AgentView {
    #[serde(flatten)]
    agent: Agent,
    expires: String,
    contract_name: Option<String>,
    launch: Option<LaunchSpec>,
    pinned: bool,
    processes: Vec<Process>,
    open_tasks: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Process {
    instance: String,
    run: String,
    node: String,
    task: String,
    attested_at: String,
    assurance: Level,
    pinned: bool,
}

/// What became of an applied document.
#[derive(Debug, Serialize)]
pub(crate) struct Applied {
    pub(super) name: String,
    pub(super) id: Option<String>,
    pub(super) revision: u64,
    pub(super) entry: String,
}

impl Applied {
    /// Something that has an id besides its name.
    pub(super) fn of<P>(name: &impl ToString, id: Option<String>, recorded: &Recorded<P>) -> Json<Self> {
        Json(Self {
            name: name.to_string(),
            id,
            revision: recorded.revision().0,
            entry: recorded.entry().to_string(),
        })
    }
    /// Something that has only its name.
    pub(super) fn named<P>(name: &impl ToString, recorded: &Recorded<P>) -> Json<Self> {
        Self::of(name, None, recorded)
    }
}

/// How an agent's life goes on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Turn {
    state: AgentState,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<AgentView>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let mut agents: Vec<AgentView> = world
        .agents(caller.scope())
        .map(|agent| view(&plane, &world, agent))
        .collect();
    agents.sort_by(|a, b| a.agent.name.cmp(&b.agent.name));
    Ok(Json(agents))
}

pub(super) async fn show(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<AgentView>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let agent = find(&world, &caller, &name)?;
    Ok(Json(view(&plane, &world, &agent)))
}

pub(super) async fn apply(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(document): Strict<Document>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let world = installation.store.world();
    let org = caller.org(&world)?;
    let invalid =
        |error: Box<broker::upstream::ManifestError>| Refused::document("manifest", vec![(*error).into()]);
    let file = AgentFile::parse(&document.file, document.text.as_bytes()).map_err(invalid)?;
    let uid = caller.who.principal().uid;
    let manifest = file
        .resolve(&world, org, uid, installation.clock.now())
        .map_err(invalid)?;
    let scope = OrgScope::Only(org);
    let before = world
        .agent_named(scope, org, &manifest.name)
        .map(|agent| agent.contract);
    let new = world.contract(scope, &manifest.contract);
    let diffs = match (before, new) {
        (Some(before), Some(new)) if before != new.hash => {
            let new = installation.contracts.compiled(new);
            let new = new.map_err(|error| Refused::unavailable(&error.to_string()))?;
            compare(&plane, &world, org, &new, [before].into()).await?
        }
        _ => Vec::new(),
    };
    let recorded = settle(installation, Some(org), |world, draw| {
        apply_agent(
            world,
            &caller.who,
            org,
            manifest.clone(),
            plane.scrutiny(&diffs),
            draw,
        )
    })
    .await?;
    let id = installation
        .store
        .world()
        .agent_named(OrgScope::Only(org), org, &manifest.name)
        .map(|agent| agent.id.to_string());
    Ok(Json(Applied {
        name: manifest.name.to_string(),
        id,
        revision: recorded.revision().0,
        entry: recorded.entry().to_string(),
    }))
}

pub(super) async fn set_state(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
    Strict(turn): Strict<Turn>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let agent = find(&installation.store.world(), &caller, &name)?;
    let recorded = settle(installation, Some(agent.org), |world, draw| {
        let agent = world.agent(OrgScope::Every, agent.id).unwrap_or(&agent);
        set_agent_state(world, &caller.who, agent, turn.state, draw)
    })
    .await?;
    Ok(Applied::of(&agent.name, Some(agent.id.to_string()), &recorded))
}

/// An agent in the caller's reach, by name or id.
pub(super) fn find(world: &World, caller: &Caller, text: &str) -> Result<Arc<Agent>, Refused> {
    let id = agent_of(world, caller, text)?;
    world
        .agent(caller.scope(), id)
        .cloned()
        .ok_or_else(|| Refused::not_found("agent", text))
}

fn view(plane: &Plane, world: &World, agent: &Agent) -> AgentView {
    let scope = OrgScope::Only(agent.org);
    let now = plane.installation.clock.now();
    let launch = world.launch_spec(scope, agent.id);
    AgentView {
        agent: agent.clone(),
        expires: agent.expires_at.rfc3339(),
        contract_name: world
            .contract(scope, &agent.contract)
            .map(|contract| format!("{}@{}", contract.name, contract.version)),
        pinned: launch.is_some_and(|spec| spec.is_pinned()),
        launch: launch.map(|spec| LaunchSpec::clone(spec)),
        processes: world
            .instances(scope)
            .filter(|instance| instance.agent == agent.id)
            .map(|instance| Process {
                instance: instance.id.to_string(),
                run: instance.run.to_string(),
                node: instance.node.to_string(),
                task: instance.task.to_string(),
                attested_at: instance.attested_at.rfc3339(),
                assurance: instance.assurance.level(),
                pinned: instance.pinned,
            })
            .collect(),
        open_tasks: world
            .tasks(scope)
            .filter(|task| task.agent == agent.id && task.is_open(now))
            .map(|task| task.id.to_string())
            .collect(),
    }
}
