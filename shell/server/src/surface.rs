//! Every route of the server, as it is served: whoever adds one to a listener adds it here, because [`Routes`] is the only
//! way to a router. The tests that go over every route read this list, so that none is forgotten.

use crate::installation::Installation;
use crate::{admin, approval, decisions, discovery, health, human, log, services, token};
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use std::convert::Infallible;
use std::sync::Arc;

/// Where a route is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listener {
    /// `server.listen`: agents, services, members, and whoever verifies.
    Issuer,
    /// `people.listen`, and for `/v1` the admin socket besides.
    Admin,
    /// `people.listen` alone: pages, and what their scripts and terminals ask.
    People,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where.
    pub listener: Listener,
    /// Its method.
    pub method: Method,
    /// Its path, with `{name}` for what varies.
    pub path: String,
}

/// Every route that speaks HTTP. The methods of `tabard.sync.v1` are those of its `.proto`.
pub fn every_route() -> Vec<Route> {
    let parts = [
        (Listener::Issuer, issuer().known),
        (Listener::Admin, admin::table().known),
        (Listener::People, human::table().known),
    ];
    let each = |(listener, known): (Listener, Vec<(Method, String)>)| {
        known.into_iter().map(move |(method, path)| Route {
            listener,
            method,
            path: path.replace("{*", "{"),
        })
    };
    parts.into_iter().flat_map(each).collect()
}

/// What is served on the server's own listener, beside `tabard.sync.v1`.
pub(crate) fn issuer() -> Routes<Arc<Installation>> {
    discovery::routes()
        .merge(token::routes())
        .merge(decisions::routes())
        .merge(approval::routes())
        .merge(services::routes())
        .merge(log::routes())
        .merge(health::routes())
}

/// A router that knows its routes.
#[derive(Debug)]
pub(crate) struct Routes<S> {
    router: Router<S>,
    known: Vec<(Method, String)>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None.
    pub(crate) fn new() -> Self {
        Self {
            router: Router::new(),
            known: Vec::new(),
        }
    }
    /// One more document or list.
    pub(crate) fn get<H: Handler<T, S>, T: 'static>(self, path: &str, answer: H) -> Self {
        self.on(Method::GET, MethodFilter::GET, path, answer)
    }
    /// One more act or question.
    pub(crate) fn post<H: Handler<T, S>, T: 'static>(self, path: &str, answer: H) -> Self {
        self.on(Method::POST, MethodFilter::POST, path, answer)
    }
    /// One more removal.
    pub(crate) fn delete<H: Handler<T, S>, T: 'static>(self, path: &str, answer: H) -> Self {
        self.on(Method::DELETE, MethodFilter::DELETE, path, answer)
    }
    fn on<H: Handler<T, S>, T: 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &str,
        answer: H,
    ) -> Self {
        let answer: MethodRouter<S, Infallible> = on(filter, answer);
        self.known.push((method, path.to_owned()));
        self.router = self.router.route(path, answer);
        self
    }
    /// Those of another part.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.known.extend(other.known);
        self.router = self.router.merge(other.router);
        self
    }
    /// The same with something around all of it.
    pub(crate) fn around(mut self, layer: impl FnOnce(Router<S>) -> Router<S>) -> Self {
        self.router = layer(self.router);
        self
    }
    /// For serving.
    pub(crate) fn into_router(self) -> Router<S> {
        self.router
    }
}
