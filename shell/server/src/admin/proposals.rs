//! `/v1/proposals`: contracts that wait for somebody other than their author.

use super::Plane;
use super::agents::Applied;
use super::body::{Path, Strict};
use super::caller::Caller;
use super::contracts::{Put, put};
use super::refused::Refused;
use crate::human::proposals::path_of;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::succession::{agree, withdraw};
use broker::world::Proposal;
use identity::{Digest, OrgId, OrgScope};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A proposal as people read it.
#[derive(Debug, Serialize)]
pub(super) struct View {
    name: String,
    version: u64,
    hash: String,
    /// Of what is shown here: publishing names it.
    shown: String,
    by: String,
    proposed_at: String,
    expires_at: String,
    open: bool,
    over: Vec<String>,
    sentences: Vec<String>,
    commit: Option<String>,
    source: Arc<str>,
    /// Where somebody else publishes it, if this server has pages for people.
    page: Option<String>,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<View>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let all = world
        .proposals(caller.scope())
        .map(|proposal| view(&plane, proposal));
    Ok(Json(all.collect()))
}

pub(super) async fn show(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(hash): Path<String>,
) -> Result<Json<View>, Refused> {
    caller.looks(&plane).await?;
    let (_, _, proposal) = find(&plane, &caller, &hash)?;
    Ok(Json(view(&plane, &proposal)))
}

/// What somebody looked at who publishes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Looked {
    shown: Digest,
}

pub(super) async fn publish(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(hash): Path<String>,
    Strict(looked): Strict<Looked>,
) -> Result<Json<Put>, Refused> {
    let (org, hash, proposal) = find(&plane, &caller, &hash)?;
    let recorded = settle(&plane.installation, Some(org), |world, draw| {
        agree(world, &caller.who, org, &hash, &looked.shown, draw)
    })
    .await?;
    Ok(Json(put(&recorded, &proposal.contract, &proposal.sentences)))
}

pub(super) async fn take_back(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(hash): Path<String>,
) -> Result<Json<Applied>, Refused> {
    let (org, hash, proposal) = find(&plane, &caller, &hash)?;
    let recorded = settle(&plane.installation, Some(org), |world, draw| {
        withdraw(world, &caller.who, org, &hash, draw)
    })
    .await?;
    Ok(Applied::of(
        &format!("{}@{}", proposal.contract.name, proposal.contract.version),
        Some(hash.to_string()),
        &recorded,
    ))
}

/// By its whole hash, as `contract proposals` prints it.
fn find(plane: &Plane, caller: &Caller, text: &str) -> Result<(OrgId, Digest, Arc<Proposal>), Refused> {
    let world = plane.installation.store.world();
    let org = caller.org(&world)?;
    let hash: Digest = text.parse().map_err(|_| {
        Refused::bad_request(format!("{text:?} is no hash"), "Write sha256:… as it is listed.")
    })?;
    let found = world.proposal(OrgScope::Only(org), org, &hash);
    let proposal = found
        .cloned()
        .ok_or_else(|| Refused::not_found("proposal", text))?;
    Ok((org, hash, proposal))
}

fn view(plane: &Plane, proposal: &Proposal) -> View {
    let contract = &proposal.contract;
    View {
        name: contract.name.to_string(),
        version: contract.version,
        hash: contract.hash.to_string(),
        shown: proposal.digest().to_string(),
        by: proposal.by.name.to_string(),
        proposed_at: proposal.proposed_at.rfc3339(),
        expires_at: proposal.expires_at.rfc3339(),
        open: proposal.is_open(plane.installation.clock.now()),
        over: proposal.over.iter().map(ToString::to_string).collect(),
        sentences: proposal.sentences.clone(),
        commit: contract.commit.clone(),
        source: contract.source.clone(),
        page: plane
            .installation
            .config
            .people
            .as_ref()
            .map(|people| people.url.endpoint(&path_of(&contract.hash))),
    }
}
