//! `POST /v1/agents/{name}/can`, `GET /v1/agents/{name}/reach` and `POST /v1/who-can`: what would be decided, before
//! anybody asks. Nothing is issued, counted or changed.

use super::Plane;
use super::agents::find;
use super::body::{Path, Strict};
use super::caller::Caller;
use super::refused::Refused;
use axum::Json;
use axum::extract::State;
use broker::World;
use broker::chain::LinkInForce;
use broker::foresee::{Able, Because, Keeper, Known, Reach, Supposed, foresee, reach, unknown, who_can};
use broker::ledger::{Look, Looked};
use broker::upstream::ArgumentValue;
use broker::world::{Agent, Task};
use http::StatusCode;
use identity::{Audience, LogId, Name, NodeId, OrgScope, TaskId};
use policy::{Reason, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most arguments of one supposed call: as many as one grant can name.
const ARGUMENTS_MAX: usize = 50;

/// A call as an administrator supposes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    action: Name,
    /// A service, by audience or upstream; or a resource, as `TYPE/ID`; the only service with the action if left out.
    on: Option<String>,
    task: Option<TaskId>,
    kind: Option<Name>,
    tenant: Option<Name>,
    /// Without it: whether any call could be allowed.
    arguments: Option<BTreeMap<Name, Value>>,
    #[serde(default)]
    child: bool,
    #[serde(default)]
    tainted: bool,
    #[serde(default)]
    approved: BTreeSet<Name>,
}

/// What would be decided.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    agent: String,
    action: String,
    service: String,
    contract: String,
    file: String,
    /// `allow`, `deny`, or `step_up` where nothing but an approval is missing.
    ruling: &'static str,
    grant: Option<String>,
    line: Option<u32>,
    business_action: Option<String>,
    /// Whether it is allowed only because the contract watches and does not enforce.
    shadow: bool,
    stopped: Option<&'static str>,
    reasons: Vec<Because>,
    nearest: Option<String>,
    assumed: Vec<String>,
    /// What was counted and read in the task, and by whom that is known.
    counted: Vec<String>,
}

pub(super) async fn can(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Answer>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let agent = find(&world, &caller, &name)?;
    let link = in_force(&plane, &world, &agent)?;
    let (audience, resource) = place(&world, &link, &wanted.action, wanted.on.as_deref())?;
    let scope = OrgScope::Only(agent.org);
    let task = match wanted.task {
        None => None,
        Some(id) => {
            let task = world.task(scope, id).filter(|task| task.agent == agent.id);
            let unknown = || Refused::not_found("task of this agent", &id.to_string());
            Some(task.cloned().ok_or_else(unknown)?)
        }
    };
    let mut supposed = Supposed {
        resource,
        arguments: wanted.arguments.map(arguments).transpose()?,
        task: task.clone(),
        kind: wanted.kind,
        tenant: wanted.tenant,
        caller: if wanted.child {
            policy::Caller::Child
        } else {
            policy::Caller::Agent
        },
        tainted: wanted.tainted,
        approved: wanted.approved.into_iter().collect(),
        ..Supposed::any_call(wanted.action, audience)
    };
    if let Some(task) = &task {
        supposed.known = Some(known(&plane, &world, &link, &supposed, task).await?);
    }
    let foreseen = foresee(&world, &link, &supposed, plane.installation.clock.now());
    let ruling = if foreseen.is_allowed() {
        "allow"
    } else if foreseen.needs_approval_only() {
        "step_up"
    } else {
        "deny"
    };
    let (grant, shadow) = match &foreseen.verdict {
        Verdict::Allow(allowed) => (allowed.grant(), allowed.would_deny().is_some()),
        Verdict::Deny(_) => (None, false),
    };
    let nearest = foreseen
        .verdict
        .denial()
        .and_then(|denial| denial.nearest.as_ref());
    Ok(Json(Answer {
        agent: agent.name.to_string(),
        action: supposed.action.to_string(),
        service: supposed.audience.to_string(),
        contract: format!("{}@{}", link.record.name, link.record.version),
        file: link.record.file.clone(),
        ruling,
        line: grant.map(|grant| grant.line),
        business_action: match &foreseen.verdict {
            Verdict::Allow(allowed) => allowed.business_action().map(str::to_owned),
            Verdict::Deny(_) => None,
        },
        grant: grant.map(|grant| grant.id.to_string()),
        shadow,
        stopped: foreseen.stopped.map(Reason::code),
        reasons: foreseen.verdict.reasons().iter().map(Because::from).collect(),
        nearest: nearest.map(|nearest| format!("{} (line {})", nearest.grant.id, nearest.grant.line)),
        assumed: foreseen.assumed,
        counted: supposed.known.map(|known| known.told).unwrap_or_default(),
    }))
}

/// What was counted and read in a task that exists, asked of whoever keeps it. An answer without it would be about another
/// task, so there is none.
async fn known(
    plane: &Plane,
    world: &World,
    link: &LinkInForce,
    supposed: &Supposed,
    task: &Task,
) -> Result<Known, Refused> {
    let installation = &plane.installation;
    let now = installation.clock.now();
    let unknown = unknown(world, link, supposed, task, now);
    let member = |log: LogId| world.nodes().find(|node| LogId(node.log) == log);
    let by = |keeper: Keeper| match keeper {
        Keeper::Server => "counted here".to_owned(),
        Keeper::Home(log) if log == installation.log => "counted here".to_owned(),
        Keeper::Home(log) => member(log).map_or_else(
            || "its gateway was removed".to_owned(),
            |gateway| format!("counted by gateway {}, asked just now", gateway.id),
        ),
        Keeper::Nobody => "no call was decided yet".to_owned(),
    };
    let mut answers = BTreeMap::new();
    for (keeper, look) in unknown.looks() {
        let looked = match keeper {
            Keeper::Home(log) if log != installation.log => {
                let gateway = member(log).map(|gateway| gateway.id);
                ask(plane, gateway, &look).await
            }
            Keeper::Server | Keeper::Home(_) | Keeper::Nobody => Some(installation.ledger.look(&look, now)),
        };
        answers.extend(looked.map(|looked| (keeper, looked)));
    }
    let silent: Vec<String> = unknown
        .looks()
        .into_keys()
        .filter(|keeper| !answers.contains_key(keeper))
        .map(by)
        .collect();
    unknown.known(&answers, by).ok_or_else(|| {
        Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "COUNTS_UNKNOWN",
            "What was counted in that task is not known.",
            format!("Whoever keeps it did not answer: {}.", silent.join("; ")),
            "See with `tabard member list` whether the gateway follows, and ask again; or ask without --task.",
        )
    })
}

/// What a gateway says to a look; `None` where it says nothing, or nothing that can be read.
async fn ask(plane: &Plane, gateway: Option<NodeId>, look: &Look) -> Option<Looked> {
    let asked = serde_json::to_vec(look).ok()?;
    let answer = plane.installation.followers.look(gateway?, asked).await?;
    serde_json::from_slice(&answer).ok()
}

pub(super) async fn show_reach(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Reach>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let agent = find(&world, &caller, &name)?;
    let link = in_force(&plane, &world, &agent)?;
    let others = all(&plane, &world, OrgScope::Only(agent.org))?;
    let others = others
        .into_iter()
        .map(|link| (link.agent.name.clone(), link))
        .collect();
    Ok(Json(reach(
        &world,
        &link,
        &others,
        plane.installation.clock.now(),
    )))
}

/// Who could do what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whom {
    action: Name,
    service: Option<String>,
    arguments: Option<BTreeMap<Name, Value>>,
}

pub(super) async fn show_who_can(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Whom>,
) -> Result<Json<Vec<Able>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let links = all(&plane, &world, caller.scope())?;
    let service = wanted
        .service
        .map(|service| audience(&world, caller.scope(), &service))
        .transpose()?;
    let arguments = wanted.arguments.map(arguments).transpose()?;
    let now = plane.installation.clock.now();
    let able = who_can(
        &world,
        &links,
        &wanted.action,
        service.as_ref(),
        arguments.as_deref(),
        now,
    );
    Ok(Json(able))
}

/// An agent with the contract that it acts under.
pub(super) fn in_force(plane: &Plane, world: &World, agent: &Arc<Agent>) -> Result<LinkInForce, Refused> {
    let installation = &plane.installation;
    installation
        .contracts
        .link(world, agent, installation.clock.now())
        .ok_or_else(|| Refused::not_found("contract", &agent.contract.to_string()))?
        .map_err(|error| Refused::unavailable(&error.to_string()))
}

/// Every agent in reach. One whose contract cannot be evaluated fails the answer: leaving it out would be a lie.
fn all(plane: &Plane, world: &World, scope: OrgScope) -> Result<Vec<LinkInForce>, Refused> {
    world
        .agents(scope)
        .map(|agent| in_force(plane, world, agent))
        .collect()
}

/// A service by the audience of tokens, or by the name of the upstream that has it.
fn audience(world: &World, scope: OrgScope, text: &str) -> Result<Audience, Refused> {
    let named = world
        .upstreams(scope)
        .find(|upstream| upstream.name.as_str() == text);
    named
        .map_or_else(|| text.parse(), |upstream| Ok(upstream.audience.clone()))
        .map_err(|_| Refused::bad_request(format!("{text:?} is no service"), "Write an audience of tokens."))
}

type Place = (Audience, Option<(String, String)>);

/// Which service, and which resource, if one is named.
fn place(world: &World, link: &LinkInForce, action: &Name, on: Option<&str>) -> Result<Place, Refused> {
    let scope = OrgScope::Only(link.agent.org);
    let granted = || link.compiled.contract().terms().grants.iter();
    if let Some(text) = on {
        let known = world
            .upstreams(scope)
            .any(|upstream| upstream.name.as_str() == text || upstream.audience.as_str() == text)
            || granted().any(|grant| grant.services.iter().any(|service| service.as_str() == text));
        let resource = text.split_once('/').filter(|_| !known);
        let Some((kind, id)) = resource else {
            return Ok((audience(world, scope, text)?, None));
        };
        return Ok((only(world, link, action)?, Some((kind.to_owned(), id.to_owned()))));
    }
    Ok((only(world, link, action)?, None))
}

/// The only service that has the action, by routes of upstreams and grants of the contract.
fn only(world: &World, link: &LinkInForce, action: &Name) -> Result<Audience, Refused> {
    let scope = OrgScope::Only(link.agent.org);
    let routed = world
        .upstreams(scope)
        .filter(|upstream| upstream.routes.iter().any(|route| route.action == *action))
        .map(|upstream| upstream.audience.clone());
    let grants = link.compiled.contract().terms().grants.iter();
    let granted = grants
        .filter(|grant| grant.actions.contains(action))
        .flat_map(|grant| grant.services.iter().cloned());
    let all: BTreeSet<Audience> = routed.chain(granted).collect();
    let mut each = all.iter();
    match (each.next(), each.next()) {
        (Some(one), None) => Ok(one.clone()),
        (None, _) => Err(Refused::bad_request(
            format!("No service is known to have the action {action}"),
            "Name the service, or see the actions there are: tabard upstream list.",
        )),
        (Some(_), Some(_)) => {
            let names: Vec<&str> = all.iter().map(Audience::as_str).collect();
            Err(Refused::bad_request(
                format!("Several services have the action {action}: {}", names.join(", ")),
                "Name the one that is meant.",
            ))
        }
    }
}

fn arguments(given: BTreeMap<Name, Value>) -> Result<Vec<(Name, ArgumentValue)>, Refused> {
    if given.len() > ARGUMENTS_MAX {
        let what = format!("At most {ARGUMENTS_MAX} arguments are looked at");
        return Err(Refused::bad_request(what, "Name those that contracts bound."));
    }
    let value = |value: Value| match value {
        Value::String(text) => Some(ArgumentValue::Text(text)),
        Value::Bool(value) => Some(ArgumentValue::Boolean(value)),
        Value::Number(number) => number.as_i64().map(ArgumentValue::Integer),
        Value::Array(items) => items
            .into_iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .map(ArgumentValue::Texts),
        Value::Null | Value::Object(_) => None,
    };
    given
        .into_iter()
        .map(|(name, given)| {
            let what = format!("The argument {name} is no text, whole number, boolean or list of texts");
            let wrong = Refused::bad_request(what, "Write it as the request would carry it.");
            Ok((name, value(given).ok_or(wrong)?))
        })
        .collect()
}
