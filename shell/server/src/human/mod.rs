//! The people's side: pages and API for humans in a browser or at a terminal, on a listener of its own.
//!
//! Nothing of an agent's is worth anything here: no client certificate is asked for, no token of ours is looked at, and a
//! process inside a run is turned away where the kernel can tell (ADR 0013). Whoever comes in has a session
//! ([`broker::session`]); the pages are rendered here, and `/v1` is the very API of the admin socket, with the same roles.
//!
//! To add a page: take a [`Visit`] as an argument, answer with a [`Page`], and read forms with [`Posted`].

mod approvals;
mod assets;
mod cookie;
mod exceptions;
mod form;
mod guard;
mod headers;
mod home;
mod inside;
mod local_path;
mod login;
mod me;
mod oidc;
mod others;
mod page;
pub(crate) mod passkeys;
pub(crate) mod proposals;
mod sealed_flow;
mod sessions;
pub(crate) mod terminal;
mod visit;
mod whole;

pub(crate) use form::Posted;
pub(crate) use page::Page;
pub(crate) use visit::Visit;

use crate::admin::refused::Refused;
use crate::admin::{self, Plane};
use crate::config::People;
use crate::connection;
use crate::entropy::NoEntropy;
use crate::installation::Installation;
use crate::surface::Routes;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use credential::webauthn::RelyingParty;
use http::{StatusCode, header};
use identity::{SessionId, UnixTime};
use maud::html;
use sealed_flow::FlowKey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// An open listener for people, with the server's own certificate: what [`crate::Running::people`] gives.
pub struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) tls: TlsAcceptor,
    pub(crate) config: People,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Door({})", self.config.url)
    }
}

/// The state of all pages.
#[derive(Debug)]
pub(crate) struct HumanPlane {
    /// What the admin API works on.
    pub(crate) admin: Arc<Plane>,
    /// Where people come in.
    pub(crate) config: People,
    flows: FlowKey,
    providers: oidc::Providers,
    terminals: terminal::Waiting,
    seen: Mutex<HashMap<SessionId, UnixTime>>,
}

impl HumanPlane {
    /// The server.
    pub(crate) fn installation(&self) -> &Arc<Installation> {
        &self.admin.installation
    }
    /// Now.
    pub(crate) fn now(&self) -> UnixTime {
        self.installation().clock.now()
    }
    /// Who we are to passkeys.
    fn relying_party(&self) -> RelyingParty<'_> {
        RelyingParty {
            id: self.config.url.host(),
            origin: self.config.url.as_str(),
        }
    }
    /// When a session was last used, as far as this server saw.
    fn last_seen(&self, session: SessionId) -> Option<UnixTime> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&session).copied()
    }
    fn saw(&self, session: SessionId, now: UnixTime) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Bounded by the sessions that there are.
        if seen.len() > SEEN_MAX {
            let world = self.installation().store.world();
            let alive: std::collections::HashSet<_> = world
                .sessions(identity::OrgScope::Every)
                .map(|session| session.id)
                .collect();
            seen.retain(|session, _| alive.contains(session));
        }
        seen.insert(session, now);
    }
}

/// Leads to another page of ours.
pub(crate) fn see_other(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response()
}

/// A refusal as a page: what, why, and what to do. Where a proof of presence is missing, it leads to it.
pub(crate) fn refused_page(visit: &Visit, refused: &Refused, what: &str) -> Response {
    Page::new("That was refused")
        .status(refused.status())
        .visiting(visit)
        .body(&html! {
            p { (refused.title()) }
            p { (refused.detail()) }
            @if refused.code() == "ADMIN_NOT_VERIFIED" {
                p { a href="/ui/verify" { "Verify that it is you" } ", then do it again." }
            } @else {
                p { (refused.fix()) }
            }
            p .hint { "It was about: " (what) ". Code " code { (refused.code()) } "." }
        })
        .into_response()
}

/// Leads to `to` where something was done, and says why not where it was not.
fn go_on<T>(visit: &Visit, done: Result<T, impl Into<Refused>>, to: &str, what: &str) -> Response {
    match done {
        Ok(_) => see_other(to),
        Err(why) => refused_page(visit, &why.into(), what),
    }
}

/// For somebody who is a user and no principal, where only principals have something to do.
fn not_for_users(visit: &Visit, what: &str) -> Response {
    let refused = Refused::new(
        StatusCode::FORBIDDEN,
        "ADMIN_NOBODY",
        "This page is for people who administer or approve.",
        "You are known as a user on whose behalf agents may act.",
        "Ask an administrator, if you should approve.",
    );
    refused_page(visit, &refused, what)
}

/// Sessions remembered before those that ended are looked for.
const SEEN_MAX: usize = 4096;

/// Serves people until `stop` says so.
pub(crate) fn serve(
    plane: Arc<Plane>,
    door: Door,
    stop: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, NoEntropy> {
    let Door {
        listener,
        tls,
        config,
    } = door;
    let installation = plane.installation.clone();
    tracing::info!(url = %config.url, "people");
    let human = Arc::new(HumanPlane {
        admin: plane,
        config,
        flows: FlowKey::new()?,
        providers: oidc::Providers::default(),
        terminals: terminal::Waiting::new(),
        seen: Mutex::default(),
    });
    let routes = routes(&human);
    Ok(tokio::spawn(connection::serve(
        installation,
        listener,
        tls,
        routes,
        stop,
    )))
}

/// Every page, and what scripts and terminals ask besides the API.
pub(crate) fn table() -> Routes<Arc<HumanPlane>> {
    Routes::new()
        .get("/", home::front)
        .get("/ui", home::front)
        .get("/ui/", home::show)
        .get("/ui/approvals", approvals::list)
        .get("/ui/approvals/{id}", approvals::show)
        .post("/ui/approvals/{id}/vote", approvals::say)
        .post("/ui/approvals/{id}/withdraw", approvals::take_back)
        .get("/ui/proposals", proposals::list)
        .get("/ui/proposals/{hash}", proposals::show)
        .post("/ui/proposals/{hash}/publish", proposals::publish)
        .post("/ui/proposals/{hash}/withdraw", proposals::turn_down)
        .get("/ui/exceptions", exceptions::show)
        .post("/ui/exceptions/open", exceptions::open)
        .post("/ui/exceptions/end", exceptions::end)
        .get("/ui/login", login::show)
        .post("/ui/login/passkey/begin", passkeys::begin_login)
        .post("/ui/login/passkey", passkeys::finish_login)
        .post("/ui/login/account", oidc::begin_login)
        .get(oidc::RETURN, oidc::come_back)
        .post(&format!("{}{{provider}}", oidc::BACKCHANNEL), oidc::logged_out)
        .post("/ui/verify/account", oidc::begin_verify)
        .post("/ui/invite/account", oidc::begin_invited)
        .get("/ui/verify", login::show_verify)
        .post("/ui/verify/passkey/begin", passkeys::begin_login)
        .post("/ui/verify/passkey", passkeys::finish_verify)
        .get("/ui/me", me::show)
        .post("/ui/me/give", me::let_it)
        .post("/ui/me/stop", me::stop_it)
        .get("/ui/me/{org}/{agent}", me::history)
        .get("/ui/terminal", terminal::show)
        .post("/ui/terminal", terminal::let_in)
        .post(terminal::BEGIN, terminal::begin)
        .post(terminal::POLL, terminal::poll)
        .post("/ui/logout", sessions::log_out)
        .get("/ui/sessions", sessions::show)
        .post("/ui/sessions/end", sessions::end)
        .get("/ui/passkeys", passkeys::show)
        .post("/ui/passkeys/begin", passkeys::begin_enrolment)
        .post("/ui/passkeys/add", passkeys::add)
        .post("/ui/passkeys/remove", passkeys::remove)
        .get("/ui/invite", login::show_invite)
        .post("/ui/invite/begin", passkeys::begin_invited)
        .post("/ui/invite/passkey", passkeys::finish_invited)
        .merge(assets::routes())
}

fn routes(human: &Arc<HumanPlane>) -> Router {
    table()
        .into_router()
        .method_not_allowed_fallback(|| async { Refused::method() })
        .with_state(human.clone())
        .merge(admin::routes(&human.admin))
        .fallback(home::nothing)
        .layer(from_fn_with_state(human.clone(), visit::admit))
        .layer(from_fn_with_state(human.clone(), guard::guard))
        .layer(from_fn(whole::read))
        .layer(from_fn_with_state(human.clone(), headers::harden))
}
