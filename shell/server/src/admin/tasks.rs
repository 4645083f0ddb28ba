//! `/v1/tasks`: open a task on an operator's word, list, declassify and close tasks.

use super::Plane;
use super::agents::{Applied, find};
use super::body::{Path, Strict};
use super::caller::Caller;
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::task::{TaskRequest, close_by_operator, open_by_operator};
use broker::world::Task;
use identity::{Name, OrgScope, TaskId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A task as an operator asks for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    agent: String,
    kind: Option<Name>,
    tenant: Option<Name>,
    ttl_secs: Option<u64>,
    #[serde(default)]
    trusted: std::collections::BTreeSet<String>,
}

/// Why the labels of a task are lowered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Because {
    reason: String,
}

/// A task with its agent's name.
#[derive(Debug, Serialize)]
pub(super) struct TaskView {
    agent_name: Option<String>,
    open: bool,
    expires: String,
    #[serde(flatten)]
    task: Task,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<TaskView>>, Refused> {
    caller.looks(&plane).await?;
    let (world, now) = (plane.installation.store.world(), plane.installation.clock.now());
    let view = |task: &Arc<Task>| TaskView {
        agent_name: world
            .agent(caller.scope(), task.agent)
            .map(|agent| agent.name.to_string()),
        open: world.is_task_open(caller.scope(), task.id, now),
        expires: task.expires_at.rfc3339(),
        task: Task::clone(task),
    };
    let mut tasks: Vec<TaskView> = world.tasks(caller.scope()).map(view).collect();
    tasks.sort_by_key(|it| std::cmp::Reverse(it.task.opened_at));
    Ok(Json(tasks))
}

pub(super) async fn open(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<TaskView>, Refused> {
    let installation = &plane.installation;
    let world = installation.store.world();
    let agent = find(&world, &caller, &wanted.agent)?;
    let record = world
        .contract(OrgScope::Only(agent.org), &agent.contract)
        .ok_or_else(|| Refused::not_found("contract", &agent.contract.to_string()))?;
    let compiled = installation
        .contracts
        .compiled(record)
        .map_err(|error| Refused::unavailable(&error.to_string()))?;
    let request = TaskRequest {
        kind: wanted.kind,
        tenant: wanted.tenant,
        ttl_secs: wanted.ttl_secs,
        trusted: wanted.trusted,
    };
    let recorded = settle(installation, Some(agent.org), |world, draw| {
        let agent = world.agent(OrgScope::Every, agent.id).unwrap_or(&agent);
        open_by_operator(
            world,
            &caller.who,
            agent,
            compiled.contract().terms(),
            &request,
            draw,
        )
    })
    .await?;
    let id = recorded.get().task().at(recorded.revision());
    let task = installation
        .store
        .world()
        .task(OrgScope::Only(agent.org), id)
        .cloned();
    let task = task.ok_or_else(|| Refused::unavailable("the task is not in the World"))?;
    Ok(Json(TaskView {
        agent_name: Some(agent.name.to_string()),
        open: true,
        expires: task.expires_at.rfc3339(),
        task: Task::clone(&task),
    }))
}

pub(super) async fn declassify(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(id): Path<String>,
    Strict(because): Strict<Because>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let world = installation.store.world();
    let task = found(&world, &caller, &id)?;
    let recorded = settle(installation, Some(task.org), |world, draw| {
        let task = world.task(OrgScope::Only(task.org), task.id).unwrap_or(&task);
        broker::task::declassify(world, &caller.who, task, &because.reason, draw)
    })
    .await?;
    Ok(Applied::of(&id, Some(task.id.to_string()), &recorded))
}

fn found(world: &broker::World, caller: &Caller, id: &str) -> Result<Arc<Task>, Refused> {
    id.parse::<TaskId>()
        .ok()
        .and_then(|id| world.task(caller.scope(), id))
        .cloned()
        .ok_or_else(|| Refused::not_found("task", id))
}

pub(super) async fn close(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let world = installation.store.world();
    let task = found(&world, &caller, &id)?;
    let recorded = settle(installation, Some(task.org), |world, draw| {
        close_by_operator(world, &caller.who, &task, draw)
    })
    .await?;
    Ok(Applied::of(&id, Some(task.id.to_string()), &recorded))
}
