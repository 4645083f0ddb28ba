//! `/v1/contracts`: check, compare, apply and read contract versions.

use super::Plane;
use super::body::{Document, Path, Strict};
use super::caller::Caller;
use super::comparing::{Compared, compare};
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::World;
use broker::inventory::manifest::{ContractReference, find};
use broker::succession::{FourEyes, Settled, Standing, apply_contract, held_by, in_force};
use broker::world::ContractRecord;
use identity::{Digest, Name, OrgId, OrgScope};
use policy::{Compiled, Contract, Diff, Direction};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::Recorded;

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
    let compiled = compiled(&document.file, &document.text).await?;
    let hash = compiled.hash().0;
    let metadata = &compiled.contract().terms().metadata;
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

/// A contract to be applied, or compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Candidate {
    /// What mistakes call it.
    file: String,
    /// The text.
    text: String,
    /// Agents that it is meant for besides those under a contract of its name.
    #[serde(default)]
    agents: Vec<Name>,
    /// The commit that it comes from.
    #[serde(default)]
    commit: Option<String>,
}

/// What would become of it.
#[derive(Debug, Serialize)]
pub(super) struct Prospect {
    name: String,
    version: u64,
    hash: String,
    published: bool,
    direction: &'static str,
    /// Whether it takes somebody else's yes before it is in force.
    waits: bool,
    four_eyes: &'static str,
    against: Vec<Compared>,
}

/// What became of it.
#[derive(Debug, Serialize)]
pub(super) struct Put {
    name: String,
    id: String,
    revision: u64,
    entry: String,
    standing: &'static str,
    direction: &'static str,
    sentences: Vec<String>,
}

/// Longest id of a commit: SHA-256 in hex.
const COMMIT_BYTES_MAX: usize = 64;

impl Candidate {
    /// Compiled, with the contracts whose place it would take.
    async fn read(&self, world: &World, org: OrgId) -> Result<(Arc<Compiled>, BTreeSet<Digest>), Refused> {
        let fine = |commit: &String| {
            (1..=COMMIT_BYTES_MAX).contains(&commit.len())
                && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if !self.commit.as_ref().is_none_or(fine) {
            let why = "a commit is at most 64 hex digits";
            return Err(Refused::bad_request(
                why,
                "Write the output of git rev-parse HEAD.",
            ));
        }
        let compiled = Arc::new(compiled(&self.file, &self.text).await?);
        let mut before = in_force(world, org, &compiled.contract().terms().metadata.name);
        for agent in &self.agents {
            let held =
                held_by(world, org, agent).ok_or_else(|| Refused::not_found("agent", agent.as_str()))?;
            before.insert(held);
        }
        before.remove(&compiled.hash().0);
        Ok((compiled, before))
    }
}

/// Compares a contract with what is in force; nothing is published.
pub(super) async fn prospect(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(candidate): Strict<Candidate>,
) -> Result<Json<Prospect>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let org = caller.org(&world)?;
    let (compiled, before) = candidate.read(&world, org).await?;
    let diffs = compare(&plane, &world, org, &compiled, before).await?;
    let scope = OrgScope::Only(org);
    let known = world.contract(scope, &compiled.hash().0);
    let agreed = |hash: &Digest| known.is_some_and(|known| known.succeeds.contains(hash));
    let rule = plane.installation.config.four_eyes;
    let waits = diffs.iter().any(|diff| match rule {
        FourEyes::Off => false,
        FourEyes::Widening => diff.direction() == Direction::Widening && !agreed(&diff.before().0),
        FourEyes::Always => !agreed(&diff.before().0),
    });
    let against = diffs.iter().map(|diff| {
        let with = world.contract(scope, &diff.before().0);
        let with = with.map_or_else(String::new, |record| {
            format!("{}@{}", record.name, record.version)
        });
        Compared::of(diff, with, agreed(&diff.before().0))
    });
    let metadata = &compiled.contract().terms().metadata;
    Ok(Json(Prospect {
        name: metadata.name.to_string(),
        version: u64::from(metadata.version),
        hash: compiled.hash().to_string(),
        published: known.is_some(),
        direction: together(&diffs),
        waits: waits || (rule == FourEyes::Always && known.is_none()),
        four_eyes: rule.as_str(),
        against: against.collect(),
    }))
}

fn together(diffs: &[Diff]) -> &'static str {
    let widest = diffs.iter().map(Diff::direction).max();
    widest.unwrap_or(Direction::Neutral).as_str()
}

pub(super) async fn apply(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(candidate): Strict<Candidate>,
) -> Result<Json<Put>, Refused> {
    let installation = &plane.installation;
    let world = installation.store.world();
    let org = caller.org(&world)?;
    let (compiled, before) = candidate.read(&world, org).await?;
    let diffs = compare(&plane, &world, org, &compiled, before).await?;
    let metadata = &compiled.contract().terms().metadata;
    let record = ContractRecord {
        hash: compiled.hash().0,
        org,
        name: metadata.name.clone(),
        version: u64::from(metadata.version),
        file: candidate.file,
        source: candidate.text.into(),
        published_by: caller.who.principal().name.to_string(),
        published_at: installation.clock.now(),
        commit: candidate.commit,
        succeeds: BTreeSet::new(),
    };
    let agents = candidate.agents;
    let recorded = settle(installation, Some(org), |world, draw| {
        let scrutiny = plane.scrutiny(&diffs);
        apply_contract(world, &caller.who, record.clone(), &agents, scrutiny, draw)
    })
    .await?;
    let sentences: Vec<String> = diffs.iter().flat_map(Diff::sentences).collect();
    Ok(Json(put(&recorded, &record, &sentences)))
}

/// The answer to an act on a contract.
pub(super) fn put(recorded: &Recorded<Settled>, contract: &ContractRecord, sentences: &[String]) -> Put {
    let settled = recorded.get();
    Put {
        name: format!("{}@{}", contract.name, contract.version),
        id: contract.hash.to_string(),
        revision: recorded.revision().0,
        entry: recorded.entry().to_string(),
        standing: match settled.standing() {
            Standing::Published => "published",
            Standing::Proposed => "proposed",
        },
        direction: settled.direction().as_str(),
        sentences: sentences.to_vec(),
    }
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
