//! `GET /v1/entries` and `GET /v1/entries/{log}:{index}`: the record, by agent, task, kind, reason and time.
//!
//! The server's log and the journals of this process are searched together and merged by time.

use super::Plane;
use super::body::{Asked, Path};
use super::caller::{Caller, READERS_OF_THE_RECORD};
use super::refused::Refused;
use audit::event::Ruling;
use audit::{Entry, EventKind};
use axum::Json;
use axum::extract::State;
use broker::World;
use identity::{AgentId, EntryRef, LogId, OrgId, OrgScope, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use store::{Query, ReadError};

/// Most entries in one answer.
const LIMIT_MAX: usize = 1000;

/// One entry: its place, and the bytes that were hashed.
#[derive(Debug, Serialize)]
pub(crate) struct Recorded {
    /// `log:index`.
    pub(crate) place: String,
    /// The canonical bytes, unchanged.
    pub(crate) entry: Box<RawValue>,
    #[serde(skip)]
    pub(crate) parsed: Entry,
}

impl Recorded {
    /// Reads the bytes of an entry; `None` where they are not one.
    pub(super) fn of(bytes: Vec<u8>) -> Option<Self> {
        let parsed = Entry::parse(&bytes).ok()?;
        let entry = RawValue::from_string(String::from_utf8(bytes).ok()?).ok()?;
        Some(Self {
            place: parsed.writer.place().to_string(),
            entry,
            parsed,
        })
    }
    /// Whether it says that something was refused to an agent.
    pub(super) fn is_refusal(&self) -> bool {
        let denied = |decision: &audit::event::Decision| decision.outcome != Ruling::Allow;
        self.parsed.event.decision.as_ref().is_some_and(denied)
    }
}

/// The parameters of a query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    agent: Option<String>,
    task: Option<String>,
    kind: Option<String>,
    reason: Option<String>,
    since: Option<u64>,
    until: Option<u64>,
    before: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct Page {
    entries: Vec<Recorded>,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page>, Refused> {
    caller.looks_as(&plane, READERS_OF_THE_RECORD).await?;
    let world = plane.installation.store.world();
    let mut query = Query::of(caller.scope());
    query.agent = wanted
        .agent
        .map(|agent| agent_of(&world, &caller, &agent))
        .transpose()?;
    query.task = wanted
        .task
        .map(|task| task.parse())
        .transpose()
        .map_err(|error: identity::IdError| Refused::bad_request(format!("task: {error}"), "Write task_…"))?;
    query.kind = wanted.kind.map(EventKind::from);
    query.reason = wanted.reason;
    query.since = wanted.since.map(UnixTime::from_millis);
    query.until = wanted.until.map(UnixTime::from_millis);
    query.limit = wanted.limit.unwrap_or(query.limit).min(LIMIT_MAX);
    let before = wanted.before.map(|place| place.parse::<EntryRef>()).transpose();
    let before = before.map_err(|_| Refused::bad_request("before is not a place", "Write log:index"))?;
    query.before = before.map(|place| place.index);
    let entries = of_log(&plane, query, before.map(|place| place.log)).await?;
    Ok(Json(Page { entries }))
}

pub(super) async fn show(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(place): Path<String>,
) -> Result<Json<Recorded>, Refused> {
    caller.looks_as(&plane, READERS_OF_THE_RECORD).await?;
    let wanted: EntryRef = place.parse().map_err(|_| {
        Refused::bad_request(
            format!("{place:?} is not a place"),
            "Write log:index, as in 0:136",
        )
    })?;
    let scope = caller.scope();
    at(&plane, wanted)
        .await
        .filter(|it| sees(scope, it))
        .map(Json)
        .ok_or_else(|| Refused::not_found("entry", &wanted.to_string()))
}

/// The entry at a place, from whichever log has it.
pub(super) async fn at(plane: &Arc<Plane>, place: EntryRef) -> Option<Recorded> {
    let plane = plane.clone();
    let found = tokio::task::spawn_blocking(move || {
        plane
            .stores()
            .filter_map(|store| store.log().entry(place.index).ok())
            .filter_map(Recorded::of)
            .find(|it| it.parsed.writer.log == place.log)
    });
    found.await.ok().flatten()
}

/// Whether `scope` holds an entry; those of no org are the installation's.
pub(super) fn sees(scope: OrgScope, it: &Recorded) -> bool {
    sees_org(scope, it.parsed.event.org)
}

/// The same, of an entry of which only the org is looked at.
pub(super) fn sees_org(scope: OrgScope, org: Option<OrgId>) -> bool {
    org.map_or(scope == OrgScope::Every, |org| scope.holds(org))
}

/// The newest entries that match, over all logs.
pub(crate) async fn newest(plane: &Arc<Plane>, query: Query) -> Result<Vec<Recorded>, Refused> {
    of_log(plane, query, None).await
}

/// The same, of one log only if one is named.
async fn of_log(plane: &Arc<Plane>, query: Query, only: Option<LogId>) -> Result<Vec<Recorded>, Refused> {
    let plane = plane.clone();
    let found = tokio::task::spawn_blocking(move || -> Result<Vec<Recorded>, ReadError> {
        let mut all = Vec::new();
        for store in plane.stores() {
            all.extend(
                store
                    .index()
                    .find(&query)?
                    .into_iter()
                    .filter_map(|found| Recorded::of(found.entry)),
            );
        }
        all.retain(|it: &Recorded| only.is_none_or(|log| it.parsed.writer.log == log));
        all.sort_by_key(|it| std::cmp::Reverse((it.parsed.event.at, it.parsed.writer.index)));
        all.truncate(query.limit);
        Ok(all)
    });
    match found.await {
        Ok(found) => found.map_err(|error| Refused::unavailable(&error.to_string())),
        Err(_) => Err(Refused::unavailable("the search ended early")),
    }
}

/// An agent by its id or name.
pub(super) fn agent_of(world: &World, caller: &Caller, text: &str) -> Result<AgentId, Refused> {
    let unknown = || Refused::not_found("agent", text);
    if let Ok(id) = text.parse::<AgentId>() {
        return world
            .agent(caller.scope(), id)
            .map(|agent| agent.id)
            .ok_or_else(unknown);
    }
    let name = text.parse().map_err(|_| unknown())?;
    let org = caller.org(world)?;
    world
        .agent_named(caller.scope(), org, &name)
        .map(|agent| agent.id)
        .ok_or_else(unknown)
}
