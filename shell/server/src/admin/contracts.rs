//! `/v1/contracts`: check, publish and read contract versions.

use super::Plane;
use super::agents::Applied;
use super::body::{Document, Strict};
use super::caller::Caller;
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::{Path, State};
use broker::inventory::manifest::{ContractReference, find};
use broker::inventory::publish_contract;
use broker::world::ContractRecord;
use policy::{Compiled, Contract};
use serde::Serialize;
use std::sync::Arc;

/// A published version, without its text.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    name: String,
    version: u64,
    hash: String,
    file: String,
    published_by: String,
    published_at: String,
    agents: Vec<String>,
}

/// A published version with its text.
#[derive(Debug, Serialize)]
pub(super) struct Published {
    #[serde(flatten)]
    listed: Listed,
    source: Arc<str>,
}

/// What a document would be published as.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    name: String,
    version: u64,
    hash: String,
    published: bool,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<Listed>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let mut all: Vec<Listed> = world
        .contracts(caller.scope())
        .map(|record| listed(&plane, &caller, record))
        .collect();
    all.sort_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
    Ok(Json(all))
}

pub(super) async fn show(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(reference): Path<String>,
) -> Result<Json<Published>, Refused> {
    caller.looks(&plane).await?;
    let wanted: ContractReference = reference
        .parse()
        .map_err(|why: String| Refused::bad_request(why, "Write NAME, NAME@VERSION or sha256:…"))?;
    let world = plane.installation.store.world();
    let record = find(&world, caller.org(&world)?, &wanted)
        .and_then(|hash| world.contract(caller.scope(), &hash))
        .ok_or_else(|| Refused::not_found("contract", &reference))?;
    Ok(Json(Published {
        source: record.source.clone(),
        listed: listed(&plane, &caller, record),
    }))
}

pub(super) async fn check(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(document): Strict<Document>,
) -> Result<Json<Checked>, Refused> {
    caller.looks(&plane).await?;
    let contract = compile(&document).await?;
    let hash = contract.hash().0;
    let metadata = &contract.terms().metadata;
    Ok(Json(Checked {
        name: metadata.name.to_string(),
        version: u64::from(metadata.version),
        hash: hash.to_string(),
        published: plane
            .installation
            .store
            .world()
            .contract(caller.scope(), &hash)
            .is_some(),
    }))
}

pub(super) async fn apply(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(document): Strict<Document>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let org = caller.org(&installation.store.world())?;
    let contract = compile(&document).await?;
    let metadata = &contract.terms().metadata;
    let record = ContractRecord {
        hash: contract.hash().0,
        org,
        name: metadata.name.clone(),
        version: u64::from(metadata.version),
        file: document.file,
        source: document.text.into(),
        published_by: caller.who.principal().name.to_string(),
        published_at: installation.clock.now(),
    };
    let recorded = settle(installation, Some(org), |world, draw| {
        publish_contract(world, &caller.who, record.clone(), draw)
    })
    .await?;
    Ok(Json(Applied {
        name: format!("{}@{}", record.name, record.version),
        id: Some(record.hash.to_string()),
        revision: recorded.revision().0,
        entry: recorded.entry().to_string(),
    }))
}

/// Reads and compiles: what does not compile is not published.
async fn compile(document: &Document) -> Result<Contract, Refused> {
    Ok(compiled(&document.file, &document.text).await?.contract().clone())
}

/// A contract that is not published, ready to decide. Milliseconds, off the async threads.
pub(super) async fn compiled(file: &str, text: &str) -> Result<Compiled, Refused> {
    let (file, text) = (file.to_owned(), text.to_owned());
    let compiled =
        tokio::task::spawn_blocking(move || Compiled::new(Contract::parse(&file, text.as_bytes())?));
    let mistakes = |errors: Vec<policy::ContractError>| {
        Refused::document("contract", errors.into_iter().map(Into::into).collect())
    };
    match compiled.await {
        Ok(compiled) => compiled.map_err(mistakes),
        Err(_) => Err(Refused::unavailable("the contract could not be compiled")),
    }
}

fn listed(plane: &Plane, caller: &Caller, record: &ContractRecord) -> Listed {
    let world = plane.installation.store.world();
    let mut agents: Vec<String> = world
        .agents(caller.scope())
        .filter(|agent| agent.contract == record.hash)
        .map(|agent| agent.name.to_string())
        .collect();
    agents.sort();
    Listed {
        name: record.name.to_string(),
        version: record.version,
        hash: record.hash.to_string(),
        file: record.file.clone(),
        published_by: record.published_by.clone(),
        published_at: record.published_at.rfc3339(),
        agents,
    }
}
