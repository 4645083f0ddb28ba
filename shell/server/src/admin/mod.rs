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
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
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

/// The API, for callers of the socket and for those with a session.
pub(crate) fn routes(plane: &Arc<Plane>) -> Router {
    Router::new()
        .route("/v1/status", get(status::answer))
        .route("/v1/openapi.json", get(openapi))
        .route("/v1/agents", get(agents::list).post(agents::apply))
        .route("/v1/agents/{name}", get(agents::show))
        .route("/v1/agents/{name}/state", post(agents::set_state))
        .route("/v1/agents/{name}/can", post(foresee::can))
        .route("/v1/agents/{name}/reach", get(foresee::show_reach))
        .route("/v1/agents/{name}/tightened", get(simulate::tightened))
        .route("/v1/who-can", post(foresee::show_who_can))
        .route("/v1/contracts/simulate", post(simulate::simulate))
        .route("/v1/contracts", get(contracts::list).post(contracts::apply))
        .route("/v1/contracts/check", post(contracts::check))
        .route("/v1/contracts/compare", post(contracts::prospect))
        .route("/v1/contracts/{reference}", get(contracts::show))
        .route("/v1/services/{name}/svid", post(services::issue))
        .route("/v1/proposals", get(proposals::list))
        .route("/v1/proposals/{hash}", get(proposals::show))
        .route("/v1/proposals/{hash}/publish", post(proposals::publish))
        .route("/v1/proposals/{hash}/withdraw", post(proposals::take_back))
        .route("/v1/upstreams", get(upstreams::list).post(upstreams::apply))
        .route("/v1/upstreams/{name}", get(upstreams::show))
        .route(
            "/v1/registrations",
            get(registrations::list).post(registrations::add),
        )
        .route("/v1/registrations/{name}", delete(registrations::remove))
        .route("/v1/orgs", get(orgs::list).post(orgs::add))
        .route("/v1/principals", get(principals::list).post(principals::add))
        .route("/v1/principals/{name}", delete(principals::remove))
        .route("/v1/principals/{name}/invite", post(principals::invite))
        .route("/v1/principals/{name}/link", post(principals::link))
        .route("/v1/principals/{name}/unlink", post(principals::unlink))
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{id}", delete(sessions::end))
        .route("/v1/join-tokens", post(join_tokens::create))
        .route("/v1/members/{id}/remove", post(members::remove))
        .route("/v1/tasks", get(tasks::list).post(tasks::open))
        .route("/v1/tasks/{id}", delete(tasks::close))
        .route("/v1/tasks/{id}/declassify", post(tasks::declassify))
        .route(
            "/v1/trust-sources",
            get(trust_sources::list).post(trust_sources::add),
        )
        .route("/v1/trust-sources/remove", post(trust_sources::remove))
        .route("/v1/users/consent", post(users::require_consent))
        .route("/v1/users", get(users::list).post(users::set))
        .route("/v1/users/remove", post(users::remove))
        .route("/v1/approvals", get(approvals::list))
        .route("/v1/approvals/{id}", get(approvals::show))
        .route("/v1/approvals/{id}/vote", post(approvals::vote))
        .route("/v1/approvals/{id}/withdraw", post(approvals::withdraw))
        .route("/v1/groups", get(groups::list).post(groups::set))
        .route("/v1/webhooks", get(webhooks::list).post(webhooks::add))
        .route("/v1/webhooks/{name}", delete(webhooks::remove))
        .route("/v1/webhooks/{name}/test", post(webhooks::test))
        .route("/v1/directories", post(directories::set))
        .route("/v1/directories/{tenant}", get(directories::show))
        .route(
            "/v1/revocations",
            get(revocations::list).post(revocations::revoke),
        )
        .route("/v1/exceptions", get(exceptions::list).post(exceptions::start))
        .route("/v1/exceptions/{id}/end", post(exceptions::stop))
        .route("/v1/decisions/{id}", get(decisions::explain))
        .route("/v1/entries", get(entries::list))
        .route("/v1/entries/tail", get(tail::follow))
        .route("/v1/entries/{place}", get(entries::show))
        .route("/v1/log/{*path}", get(log_files::read))
        .method_not_allowed_fallback(|| async { Refused::method() })
        .fallback(|| async { Refused::not_found("endpoint", "of this path") })
        .with_state(plane.clone())
}
