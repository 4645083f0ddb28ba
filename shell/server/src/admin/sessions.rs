//! `/v1/sessions`: where people are logged in, and the end of it. Everybody sees their own; an admin those in reach.

use super::Plane;
use super::agents::Applied;
use super::body::Path;
use super::caller::Caller;
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::session;
use broker::world::{Role, Session, Surface};
use identity::Name;
use serde::Serialize;
use std::sync::Arc;

/// A session. Its secret is nowhere.
#[derive(Debug, Serialize)]
pub(super) struct SessionView {
    id: String,
    /// The principal; absent for somebody who is only a user.
    principal: Option<Name>,
    /// The issuer of a user's account.
    issuer: Option<String>,
    surface: &'static str,
    way: &'static str,
    opened_at: String,
    /// When its holder last proved to be there.
    verified_at: Option<String>,
    expires_at: String,
    /// Whether it is the one that asks.
    own: bool,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<SessionView>>, Refused> {
    caller.looks(&plane).await?;
    let (world, now) = (plane.installation.store.world(), plane.installation.clock.now());
    let mut seen: Vec<&Arc<Session>> = world
        .sessions(caller.scope())
        .filter(|it| now < it.expires_at && (owns(&caller, it) || caller.who.principal().may(Role::Admin)))
        .collect();
    seen.sort_by_key(|it| std::cmp::Reverse(it.opened_at));
    Ok(Json(seen.into_iter().map(|it| view(&caller, it)).collect()))
}

pub(super) async fn end(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Applied>, Refused> {
    let world = plane.installation.store.world();
    let session = world
        .sessions(caller.scope())
        .find(|it| it.id.to_string() == id)
        .cloned()
        .ok_or_else(|| Refused::not_found("session", &id))?;
    let recorded = settle(&plane.installation, session.org, |world, draw| {
        session::close_as_administrator(world, &caller.who, &session, draw)
    })
    .await?;
    Ok(Applied::named(&session.id, &recorded))
}

fn owns(caller: &Caller, session: &Session) -> bool {
    session.principal.as_ref() == Some(&caller.who.principal().name)
}

fn view(caller: &Caller, session: &Session) -> SessionView {
    SessionView {
        id: session.id.to_string(),
        principal: session.principal.clone(),
        issuer: session.account.as_ref().map(|account| account.issuer.clone()),
        surface: match session.surface {
            Surface::Browser => "browser",
            Surface::CommandLine(_) => "command_line",
        },
        way: session.way.word(),
        opened_at: session.opened_at.rfc3339(),
        verified_at: (session.verified_at.millis() > 0).then(|| session.verified_at.rfc3339()),
        expires_at: session.expires_at.rfc3339(),
        own: caller.who.session() == Some(session.id),
    }
}
