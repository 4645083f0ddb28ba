//! Searches (AuthZEN Authorization API 1.0 section 8): what could be permitted. Foreseen, not decided: nothing is counted,
//! nothing is recorded, and each result may still be refused when it is asked about.

pub(super) mod action;
mod page;
pub(super) mod resource;
pub(super) mod subject;

use super::failed::Failed;
use super::question::{Members, Subject, read};
use super::subject::{AGENT, named};
use crate::installation::Installation;
use axum::body::Body;
use broker::World;
use broker::chain::LinkInForce;
use broker::service::Service;
use broker::world::Agent;
use http::Request;
use identity::UnixTime;
use page::Wanted;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// One page of results.
#[derive(Debug, Serialize)]
pub(super) struct Results {
    page: Value,
    results: Vec<Value>,
}

impl Results {
    fn none() -> Self {
        Self::of(Vec::new(), "")
    }

    fn of(results: Vec<Value>, next_token: &str) -> Self {
        Self {
            page: json!({"next_token": next_token, "count": results.len()}),
            results,
        }
    }

    /// Of names that are all known at once, in their order; `value` makes a result of one that could be.
    fn among(
        wanted: &Wanted,
        names: impl IntoIterator<Item = String>,
        mut value: impl FnMut(&str) -> Option<Value>,
    ) -> Self {
        let mut results = Vec::new();
        let (mut looked_at, mut last) = (0, String::new());
        for name in names.into_iter().filter(|name| wanted.is_after(name)) {
            if results.len() >= wanted.limit || looked_at >= page::CANDIDATES_MAX {
                return Self::of(results, &wanted.token(&last));
            }
            looked_at += 1;
            results.extend(value(&name));
            last = name;
        }
        Self::of(results, "")
    }
}

/// Reads what is searched for, and looks for results where it holds nobody up: evaluating contracts by the hundred takes its
/// time.
async fn search(
    installation: Arc<Installation>,
    request: Request<Body>,
    look: impl FnOnce(&Search<'_>) -> Result<Results, Failed> + Send + 'static,
) -> Result<axum::Json<Results>, Failed> {
    let place = installation.decisions.clone().try_acquire_owned();
    let place = place.map_err(|_| Failed::Busy)?;
    let members = read(request).await?;
    installation.metrics.searched();
    let looked = tokio::task::spawn_blocking(move || {
        let _place = place;
        look(&Search {
            installation: &installation,
            world: &installation.store.world(),
            now: installation.clock.now(),
            wanted: Wanted::of(&members)?,
            members: &members,
        })
    });
    looked.await.map_err(|_| Failed::Unavailable)?.map(axum::Json)
}

/// A search under way.
struct Search<'s> {
    installation: &'s Installation,
    world: &'s World,
    now: UnixTime,
    /// Which page.
    wanted: Wanted,
    /// All that was said.
    members: &'s Members,
}

impl Search<'_> {
    /// The agent that it is about, with its contract.
    fn link_of(&self, service: &Service, subject: &Subject<'_>) -> Result<Option<LinkInForce>, Failed> {
        if subject.kind != AGENT {
            return Ok(None);
        }
        match named(self.world, service, subject.id.unwrap_or_default()) {
            Some(agent) => self.in_force(&agent).map(Some),
            None => Ok(None),
        }
    }

    fn in_force(&self, agent: &Arc<Agent>) -> Result<LinkInForce, Failed> {
        let contracts = &self.installation.contracts;
        let links = contracts.in_force(self.world, std::slice::from_ref(agent), self.now);
        let link = links.ok().and_then(|mut links| links.pop());
        link.ok_or(Failed::Unavailable)
    }
}

/// What makes two requests the same search: everything but the page.
fn essence(members: &Members) -> Members {
    let mut essence = members.clone();
    essence.remove("page");
    essence
}
