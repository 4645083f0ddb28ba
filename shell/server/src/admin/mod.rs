//! The admin plane: HTTP/1.1 and JSON over a Unix socket. One file a noun.
//!
//! Who asks is the kernel's word about the process at the other end (`SO_PEERPIDFD`): its uid names a principal, and a
//! process inside a run is nobody, whatever its uid. There is no password and no token to steal. Every mutation is a
//! use case of the broker, so it needs a role and names its human in the record; a refused one is recorded, too.
//! Callers that are nobody are counted, never recorded one by one.
//!
//! The same API is served to people with sessions, on a listener of their own ([`crate::human`]).
//!
//! Approving takes more than a uid: over the socket a vote is refused.

mod agents;
mod approvals;
pub(crate) mod body;
mod caller;
mod comparing;
mod connection;
mod contracts;
mod decisions;
mod directories;
#[cfg(test)]
mod documented;
pub(crate) mod entries;
pub(crate) mod exceptions;
mod foresee;
mod groups;
mod join_string;
mod join_tokens;
mod log_files;
mod members;
mod orgs;
pub(crate) mod paging;
mod principals;
mod proposals;
pub(crate) mod refused;
mod registrations;
mod revocations;
mod services;
mod sessions;
mod simulate;
mod status;
mod tail;
mod tasks;
mod three_lists;
mod trust_sources;
mod upstreams;
mod users;
mod webhooks;
mod which_decision;

pub use join_string::{JoinString, JoinStringError};

use crate::entropy::NoEntropy;
use crate::human::{self, Door};
use crate::installation::Installation;
use crate::surface::Routes;
use axum::Router;
use axum::response::IntoResponse;
use http::header;
use identity::NodeId;
use peer::Listener;
use refused::Refused;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use store::Store;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

/// Mode of the socket: its owner and group may ask; the folder around it decides who gets that far.
const SOCKET_MODE: u32 = 0o660;

/// What the admin plane works on.
#[derive(Debug)]
pub struct AdminParts {
    /// The server.
    pub installation: Arc<Installation>,
    /// Journals of gateways and node agents that run in this process: their decisions are searched as well.
    pub journals: Vec<Arc<Store>>,
    /// Members that run in this process: `status` is not ready before they follow.
    pub members: Vec<NodeId>,
    /// Where to listen.
    pub socket: PathBuf,
    /// Where people come in, if they do: what [`crate::Running::people`] opened.
    pub people: Option<Door>,
}

/// Why the admin plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The socket is in use or cannot be made.
    #[error("cannot listen on {}: {source}. Stop what listens there, or choose another admin.socket", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No key for people's logins.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// The state of all endpoints.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) installation: Arc<Installation>,
    journals: Vec<Arc<Store>>,
    members: Vec<NodeId>,
    /// One secret is rotated at a time: it is sealed under the version that its Change will name.
    rotating: Mutex<()>,
    stop: watch::Receiver<bool>,
}

impl Plane {
    /// The server's log, and the journals in this process.
    fn stores(&self) -> impl Iterator<Item = &Arc<Store>> {
        std::iter::once(&self.installation.store).chain(&self.journals)
    }
}

/// Listens, and serves until `stop` says so. The socket answers when this returns.
pub fn serve(parts: AdminParts, stop: watch::Receiver<bool>) -> Result<JoinHandle<()>, AdminError> {
    let AdminParts {
        installation,
        journals,
        members,
        socket,
        people,
    } = parts;
    let failed = |source| AdminError::Socket {
        path: socket.clone(),
        source,
    };
    let listener = Listener::bind(&socket).map_err(failed)?;
    let mode = std::fs::Permissions::from_mode(SOCKET_MODE);
    std::fs::set_permissions(&socket, mode).map_err(failed)?;
    let plane = Arc::new(Plane {
        installation,
        journals,
        members,
        rotating: Mutex::default(),
        stop: stop.clone(),
    });
    let routes = routes(&plane);
    tracing::info!(socket = %socket.display(), "administration");
    let people = people
        .map(|door| human::serve(plane.clone(), door, stop.clone()))
        .transpose()?;
    Ok(tokio::spawn(async move {
        connection::serve(plane, &listener, routes, stop).await;
        if let Some(people) = people
            && people.await.is_err()
        {
            tracing::error!("the people's listener ended by a panic");
        }
        drop(listener);
        if let Err(error) = std::fs::remove_file(&socket) {
            tracing::debug!(%error, "the admin socket was gone already");
        }
    }))
}

/// What the API is, for programs: kept by hand, held to the routes and to the types by tests.
const OPENAPI: &str = include_str!("openapi.json");

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

/// Every endpoint of the API.
pub(crate) fn table() -> Routes<Arc<Plane>> {
    Routes::new()
        .get("/v1/status", status::answer)
        .get("/v1/openapi.json", openapi)
        .get("/v1/agents", agents::list)
        .post("/v1/agents", agents::apply)
        .get("/v1/agents/{name}", agents::show)
        .post("/v1/agents/{name}/state", agents::set_state)
        .post("/v1/agents/{name}/can", foresee::can)
        .get("/v1/agents/{name}/reach", foresee::show_reach)
        .get("/v1/agents/{name}/tightened", simulate::tightened)
        .post("/v1/who-can", foresee::show_who_can)
        .post("/v1/contracts/simulate", simulate::simulate)
        .get("/v1/contracts", contracts::list)
        .post("/v1/contracts", contracts::apply)
        .post("/v1/contracts/check", contracts::check)
        .post("/v1/contracts/compare", contracts::prospect)
        .get("/v1/contracts/{reference}", contracts::show)
        .post("/v1/services/{name}/svid", services::first)
        .get("/v1/proposals", proposals::list)
        .get("/v1/proposals/{hash}", proposals::show)
        .post("/v1/proposals/{hash}/publish", proposals::publish)
        .post("/v1/proposals/{hash}/withdraw", proposals::take_back)
        .get("/v1/upstreams", upstreams::list)
        .post("/v1/upstreams", upstreams::apply)
        .get("/v1/upstreams/{name}", upstreams::show)
        .get("/v1/registrations", registrations::list)
        .post("/v1/registrations", registrations::add)
        .delete("/v1/registrations/{name}", registrations::remove)
        .get("/v1/orgs", orgs::list)
        .post("/v1/orgs", orgs::add)
        .get("/v1/principals", principals::list)
        .post("/v1/principals", principals::add)
        .delete("/v1/principals/{name}", principals::remove)
        .post("/v1/principals/{name}/invite", principals::invite)
        .post("/v1/principals/{name}/link", principals::link)
        .post("/v1/principals/{name}/unlink", principals::unlink)
        .get("/v1/sessions", sessions::list)
        .delete("/v1/sessions/{id}", sessions::end)
        .post("/v1/join-tokens", join_tokens::create)
        .post("/v1/members/{id}/remove", members::remove)
        .get("/v1/tasks", tasks::list)
        .post("/v1/tasks", tasks::open)
        .delete("/v1/tasks/{id}", tasks::close)
        .post("/v1/tasks/{id}/declassify", tasks::declassify)
        .get("/v1/trust-sources", trust_sources::list)
        .post("/v1/trust-sources", trust_sources::add)
        .post("/v1/trust-sources/remove", trust_sources::remove)
        .post("/v1/users/consent", users::require_consent)
        .get("/v1/users", users::list)
        .post("/v1/users", users::set)
        .post("/v1/users/remove", users::remove)
        .get("/v1/approvals", approvals::list)
        .get("/v1/approvals/{id}", approvals::show)
        .post("/v1/approvals/{id}/vote", approvals::vote)
        .post("/v1/approvals/{id}/withdraw", approvals::withdraw)
        .get("/v1/groups", groups::list)
        .post("/v1/groups", groups::set)
        .get("/v1/webhooks", webhooks::list)
        .post("/v1/webhooks", webhooks::add)
        .delete("/v1/webhooks/{name}", webhooks::remove)
        .post("/v1/webhooks/{name}/test", webhooks::test)
        .post("/v1/directories", directories::set)
        .get("/v1/directories/{tenant}", directories::show)
        .get("/v1/revocations", revocations::list)
        .post("/v1/revocations", revocations::revoke)
        .get("/v1/exceptions", exceptions::list)
        .post("/v1/exceptions", exceptions::start)
        .post("/v1/exceptions/{id}/end", exceptions::stop)
        .get("/v1/decisions/{id}", decisions::explain)
        .get("/v1/entries", entries::list)
        .get("/v1/entries/tail", tail::follow)
        .get("/v1/entries/{place}", entries::show)
        .get("/v1/log/{*path}", log_files::read)
}

/// The API, for callers of the socket and for those with a session.
pub(crate) fn routes(plane: &Arc<Plane>) -> Router {
    table()
        .into_router()
        .method_not_allowed_fallback(|| async { Refused::method() })
        .fallback(|| async { Refused::not_found("endpoint", "of this path") })
        .with_state(plane.clone())
}
