//! `/ui/sessions`: where a person is logged in, and the end of it.

use super::cookie;
use super::{HumanPlane, Page, Posted, Visit};
use crate::admin::refused::Refused;
use crate::settle::settle;
use axum::extract::State;
use axum::response::Response;
use broker::session;
use broker::world::{Session, Surface, WayIn, World};
use http::header;
use identity::{OrgScope, SessionId};
use maud::html;
use std::sync::Arc;

/// What is missing when a session cannot be ended.
const NO_SESSION: &str = "none of your sessions";

/// Those of the visitor, the newest first.
fn own<'w>(world: &'w World, visit: &Visit) -> Vec<&'w Arc<Session>> {
    let mine = visit.visitor().session();
    let mut own: Vec<_> = world
        .sessions(OrgScope::Every)
        .filter(|it| it.principal == mine.principal && (it.principal.is_some() || it.account == mine.account))
        .collect();
    own.sort_by_key(|it| std::cmp::Reverse(it.opened_at));
    own
}

/// How somebody came in, in words for people.
pub(super) const fn came_in_by(session: &Session) -> &'static str {
    match session.way {
        WayIn::Passkey(_) => "a passkey",
        WayIn::Account(_) => "your identity provider",
    }
}

/// `/ui/sessions`.
pub(super) async fn show(State(human): State<Arc<HumanPlane>>, visit: Visit) -> Page {
    let world = human.installation().store.world();
    let this = visit.visitor().session().id;
    Page::new("Your sessions").visiting(&visit).body(&html! {
        table {
            thead { tr {
                th scope="col" { "Where" } th scope="col" { "Came in by" } th scope="col" { "Began" }
                th scope="col" { "Last used" } th scope="col" { "Ends" } th scope="col" { "End it" }
            } }
            tbody {
                @for session in own(&world, &visit) {
                    tr {
                        td data-label="Where" {
                            @match session.surface { Surface::Browser => "browser", Surface::CommandLine(_) => "command line" }
                            @if session.id == this { " " span .badge { "this one" } }
                        }
                        td data-label="Came in by" { (came_in_by(session)) }
                        td data-label="Began" { (Page::time(session.opened_at)) }
                        td data-label="Last used" { (Page::time(human.last_seen(session.id).unwrap_or(session.renewed_at))) }
                        td data-label="Ends" { (Page::time(session.expires_at)) }
                        td {
                            form method="post" action="/ui/sessions/end" {
                                (Page::token(&visit))
                                input type="hidden" name="session" value=(session.id.to_string());
                                button type="submit" .quiet aria-label=(format!("End the session of {}", session.opened_at.rfc3339())) { "End" }
                            }
                        }
                    }
                }
            }
        }
    })
}

/// Ends one of them.
pub(super) async fn end(State(human): State<Arc<HumanPlane>>, posted: Posted) -> Response {
    let Posted { visit, form } = posted;
    let world = human.installation().store.world();
    let wanted = form.one("session").and_then(|id| id.parse::<SessionId>().ok());
    let Some(session) = own(&world, &visit)
        .into_iter()
        .find(|it| Some(it.id) == wanted)
        .cloned()
    else {
        return super::refused_page(&visit, &Refused::not_found("session", "of yours"), NO_SESSION);
    };
    let closed = close(&human, &visit, &session).await;
    super::go_on(&visit, closed, "/ui/sessions", NO_SESSION)
}

/// `/ui/logout`: ends this one.
pub(super) async fn log_out(State(human): State<Arc<HumanPlane>>, posted: Posted) -> Response {
    let session = posted.visit.visitor().session().clone();
    match close(&human, &posted.visit, &session).await {
        Ok(()) => {
            let mut response = super::see_other("/ui/login");
            response
                .headers_mut()
                .append(header::SET_COOKIE, cookie::clear_session());
            response
        }
        Err(why) => super::refused_page(&posted.visit, &why, NO_SESSION),
    }
}

/// Ends the session that a new login took the place of. It would end by itself otherwise.
pub(super) async fn end_quietly(human: &HumanPlane, visit: &Visit) {
    let session = visit.visitor().session().clone();
    if let Err(why) = close(human, visit, &session).await {
        tracing::warn!(?why, "the session before a login was not ended");
    }
}

async fn close(human: &HumanPlane, visit: &Visit, session: &Session) -> Result<(), Refused> {
    let closed = settle(human.installation(), session.org, |world, draw| {
        session::close(world, visit.visitor(), session, draw)
    });
    closed.await.map(drop).map_err(Refused::from)
}
