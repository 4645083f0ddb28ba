//! `/v1/revocations`: stop something now, and say what that reached.

use super::Plane;
use super::body::Strict;
use super::caller::Caller;
use super::entries::agent_of;
use super::refused::Refused;
use super::three_lists::{ThreeLists, handed_out};
use crate::followers::Spread;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::World;
use broker::world::{Role, Target};
use identity::{Name, OrgScope};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the answer waits for connected gateways and node agents to confirm: ten times the promise of 100 ms.
const SPREAD: Duration = Duration::from_secs(1);
/// Longest reason in bytes: a sentence, and a ticket.
const REASON_BYTES_MAX: usize = 500;

/// What to revoke.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    dimension: String,
    value: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

/// What was reached, and how fast.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    dry_run: bool,
    target: String,
    /// Whether an agent was suspended with it.
    suspended: Option<String>,
    revision: Option<u64>,
    entry: Option<String>,
    took_ms: f64,
    #[serde(flatten)]
    lists: ThreeLists,
}

/// A revocation in force.
#[derive(Debug, Serialize)]
pub(super) struct InForce {
    dimension: &'static str,
    value: Target,
    before_revision: u64,
    forget_at: String,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<InForce>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let all = world
        .revocations(caller.scope())
        .map(|(target, revoked)| InForce {
            dimension: target.dimension(),
            value: target.clone(),
            before_revision: revoked.before.0,
            forget_at: revoked.forget_at.rfc3339(),
        });
    Ok(Json(all.collect()))
}

pub(super) async fn revoke(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Answer>, Refused> {
    let installation = &plane.installation;
    let world = installation.store.world();
    if wanted.reason.len() > REASON_BYTES_MAX {
        let what = format!("The reason is longer than {REASON_BYTES_MAX} bytes.");
        return Err(Refused::bad_request(what, "Name a ticket instead."));
    }
    let target = target(&world, &caller, &wanted.dimension, &wanted.value)?;
    let suspended = match &target {
        Target::Agent(id) => world
            .agent(caller.scope(), *id)
            .map(|agent| agent.name.to_string()),
        Target::Token(_)
        | Target::Family(_)
        | Target::Instance(_)
        | Target::User(_)
        | Target::Task(_)
        | Target::Org(_)
        | Target::Service(_) => None,
    };
    // Looked up before: the search must not delay the revocation's spreading, and nothing new is issued after it.
    let started = Instant::now();
    let (receipt, spread, took) = if wanted.dry_run {
        caller.looks_as(&plane, &[Role::Operator]).await?;
        let have = installation
            .followers
            .list()
            .into_iter()
            .map(|it| it.member)
            .collect();
        let spread = Spread {
            confirmed: have,
            missing: Vec::new(),
        };
        (None, spread, Duration::ZERO)
    } else {
        let org = caller.who.principal().org;
        let recorded = settle(installation, org, |world, draw| {
            broker::revoke::revoke(world, &caller.who, target.clone(), &wanted.reason, draw)
        })
        .await?;
        let spread = installation.followers.reached(recorded.revision(), SPREAD).await;
        (
            Some((recorded.revision(), recorded.entry())),
            spread,
            started.elapsed(),
        )
    };
    let credentials = handed_out(&plane, &target).await?;
    let lists = ThreeLists::of(&world, &credentials, &spread);
    Ok(Json(Answer {
        dry_run: wanted.dry_run,
        target: format!("{} {}", wanted.dimension, wanted.value),
        suspended,
        revision: receipt.map(|(revision, _)| revision.0),
        entry: receipt.map(|(_, entry)| entry.to_string()),
        took_ms: took.as_secs_f64() * 1000.0,
        lists,
    }))
}

/// The dimension and value that were asked for, in the caller's reach where a reach can be told.
fn target(world: &World, caller: &Caller, dimension: &str, value: &str) -> Result<Target, Refused> {
    let scope = caller.scope();
    let unknown = || Refused::not_found(dimension, value);
    let target = match dimension {
        "agent" => Target::Agent(agent_of(world, caller, value)?),
        "task" => Target::Task(world.task(scope, id(value)?).ok_or_else(unknown)?.id),
        "instance" => Target::Instance(world.instance(scope, id(value)?).ok_or_else(unknown)?.id),
        "token" => Target::Token(id(value)?),
        "family" => Target::Family(id(value)?),
        "user" if !value.is_empty() => Target::User(value.to_owned()),
        "org" => {
            let by_id = value.parse().ok().and_then(|id| world.org(scope, id));
            let by_name = || value.parse().ok().and_then(|name| world.org_named(scope, &name));
            Target::Org(by_id.or_else(by_name).ok_or_else(unknown)?.id)
        }
        "service" => {
            let named = value.parse::<Name>().is_ok();
            // A name says which service only where it is known whose.
            let reach = if named {
                OrgScope::Only(caller.org(world)?)
            } else {
                scope
            };
            let known = world
                .service_keys(reach)
                .find(|it| it.service.as_str() == value || it.spiffe_id.to_string() == value);
            Target::Service(known.ok_or_else(unknown)?.spiffe_id.clone())
        }
        _ => {
            return Err(Refused::bad_request(
                format!("{dimension:?} cannot be revoked."),
                "One of: agent, task, instance, token, family, user, org, service.",
            ));
        }
    };
    let reaches_all = matches!(target, Target::Token(_) | Target::Family(_) | Target::User(_));
    if reaches_all && scope != OrgScope::Every {
        return Err(Refused::bad_request(
            format!("A {dimension} may belong to another org."),
            "Revoke the agent, task or instance instead, or ask an administrator of the installation.",
        ));
    }
    Ok(target)
}

fn id<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Refused> {
    text.parse().map_err(|error: T::Err| {
        Refused::bad_request(
            format!("{text:?}: {error}."),
            "Copy the id from `tabard audit query`.",
        )
    })
}
