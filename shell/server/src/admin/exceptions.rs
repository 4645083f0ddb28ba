//! `/v1/exceptions`: let an agent do one more thing for a while, see who may, and end that.

use super::Plane;
use super::agents::{Applied, find};
use super::body::{Path, Strict};
use super::caller::Caller;
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::World;
use broker::admin::Administrator;
use broker::exception::{Wish, end, open};
use broker::world::Exception;
use identity::{Audience, ExceptionId, Name, OrgScope, UnixTime};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An exception as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    agent: String,
    action: Name,
    /// An audience of tokens, or the name of the upstream that has it.
    service: String,
    reason: String,
    owner: String,
    /// How long from now.
    for_secs: Option<u64>,
    /// Until when (RFC 3339).
    until: Option<String>,
    #[serde(default)]
    again: bool,
}

impl Wanted {
    /// One of so many seconds from now.
    pub(crate) fn for_secs(secs: u64, agent: String, action: Name, service: String) -> Self {
        Self {
            agent,
            action,
            service,
            reason: String::new(),
            owner: String::new(),
            for_secs: Some(secs),
            until: None,
            again: false,
        }
    }
    /// Why, and who answers for it.
    pub(crate) fn because(self, reason: String, owner: String) -> Self {
        Self {
            reason,
            owner,
            ..self
        }
    }
    /// Whether it is known that there was one before.
    pub(crate) fn again(self, again: bool) -> Self {
        Self { again, ..self }
    }
}

/// An exception as people read it.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    pub(crate) id: String,
    pub(crate) agent: String,
    pub(crate) action: String,
    pub(crate) service: String,
    pub(crate) reason: String,
    pub(crate) owner: String,
    pub(crate) by: String,
    presence: String,
    opened_at: String,
    pub(crate) until: String,
    open: bool,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<View>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    Ok(Json(views(
        &world,
        caller.scope(),
        plane.installation.clock.now(),
    )))
}

/// Every exception that is remembered, the open ones first.
pub(crate) fn views(world: &World, scope: OrgScope, now: UnixTime) -> Vec<View> {
    let mut all: Vec<View> = world
        .exceptions(scope)
        .map(|exception| view(world, exception, now))
        .collect();
    all.sort_by(|a, b| (b.open, &b.opened_at).cmp(&(a.open, &a.opened_at)));
    all
}

impl View {
    /// Whether it lets anything pass at this moment.
    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }
}

fn view(world: &World, exception: &Exception, now: UnixTime) -> View {
    let agent = world.agent(OrgScope::Only(exception.org), exception.agent);
    View {
        id: exception.id.to_string(),
        agent: agent.map_or_else(|| exception.agent.to_string(), |agent| agent.name.to_string()),
        action: exception.action.to_string(),
        service: exception.audience.to_string(),
        reason: exception.reason.clone(),
        owner: exception.owner.clone(),
        by: exception.by.name.to_string(),
        presence: exception.presence.clone(),
        opened_at: exception.opened_at.rfc3339(),
        until: exception.until.rfc3339(),
        open: exception.is_open(now),
    }
}

pub(super) async fn start(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Applied>, Refused> {
    start_as(&plane, &caller.who, wanted).await
}

/// The same for whoever asks on a page.
pub(crate) async fn start_as(
    plane: &Arc<Plane>,
    who: &Administrator,
    wanted: Wanted,
) -> Result<Json<Applied>, Refused> {
    let caller = Caller { who: who.clone() };
    let installation = &plane.installation;
    let world = installation.store.world();
    let agent = find(&world, &caller, &wanted.agent)?;
    let now = installation.clock.now();
    let until = match (wanted.for_secs, &wanted.until) {
        (Some(secs), None) => now.plus_secs(secs),
        (None, Some(text)) => instant(text).ok_or_else(|| {
            Refused::bad_request(format!("{text:?} is no time"), "Write 2027-01-31T18:00:00Z.")
        })?,
        _ => {
            let what = "An exception says when it ends, once.";
            return Err(Refused::bad_request(what, "Set --for, or --until."));
        }
    };
    let service = world
        .upstreams(OrgScope::Only(agent.org))
        .find(|upstream| upstream.name.as_str() == wanted.service)
        .map(|upstream| upstream.audience.clone());
    let audience: Audience = service.map_or_else(|| wanted.service.parse(), Ok).map_err(|_| {
        let what = format!("{:?} is no service", wanted.service);
        Refused::bad_request(what, "Write the name of an upstream, or an audience of tokens.")
    })?;
    let reason = wanted
        .reason
        .parse()
        .map_err(|error: policy::contract::SentenceError| {
            Refused::bad_request(error.to_string(), "Say why in one sentence.")
        })?;
    let wish = Wish {
        action: wanted.action,
        audience,
        reason,
        owner: wanted.owner,
        until,
        again: wanted.again,
    };
    let rule = installation.config.four_eyes;
    let recorded = settle(installation, Some(agent.org), |world, draw| {
        open(world, &caller.who, &agent, wish.clone(), rule, draw)
    })
    .await?;
    let id = recorded.get().made();
    tracing::warn!(exception = %id, agent = %agent.name, action = %wish.action, until = %wish.until.rfc3339(),
        "EXCEPTION opened: an agent may do more than its contract says");
    Ok(Applied::of(
        &format!("{} may {}", agent.name, wish.action),
        Some(id.to_string()),
        &recorded,
    ))
}

pub(super) async fn stop(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Applied>, Refused> {
    end_as(&plane, &caller.who, &id).await
}

/// The same for whoever asks on a page.
pub(crate) async fn end_as(
    plane: &Arc<Plane>,
    who: &Administrator,
    id: &str,
) -> Result<Json<Applied>, Refused> {
    let caller = Caller { who: who.clone() };
    let installation = &plane.installation;
    let wanted: ExceptionId = id.parse().map_err(|error: identity::IdError| {
        Refused::bad_request(error.to_string(), "See `tabard exception list`.")
    })?;
    let find = |world: &World| {
        world
            .exceptions(caller.scope())
            .find(|it| it.id == wanted)
            .cloned()
    };
    let known = find(&installation.store.world()).ok_or_else(|| Refused::not_found("exception", id))?;
    let recorded = settle(installation, Some(known.org), |world, draw| {
        let exception = find(world).unwrap_or_else(|| known.clone());
        end(world, &caller.who, &exception, draw)
    })
    .await?;
    Ok(Applied::of(&id, Some(known.id.to_string()), &recorded))
}

/// An instant as people write it, to the second, or as our answers do, with milliseconds.
fn instant(text: &str) -> Option<UnixTime> {
    let to_the_second = || text.strip_suffix('Z').map(|text| format!("{text}.000Z"));
    UnixTime::from_rfc3339(text).or_else(|| UnixTime::from_rfc3339(&to_the_second()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_read_as_people_write_it() {
        let end = UnixTime::from_rfc3339("2027-01-31T18:00:00.000Z");
        assert!(end.is_some());
        assert_eq!(instant("2027-01-31T18:00:00Z"), end);
        assert_eq!(instant("2027-01-31T18:00:00.000Z"), end);
        for odd in [
            "",
            "2027-01-31",
            "2027-01-31T18:00:00",
            "2027-01-31T18:00:00+01:00",
        ] {
            assert_eq!(instant(odd), None, "{odd}");
        }
    }
}
