//! `tabard contract init`: a first contract to finish, from flags, an OpenAPI description or a list of MCP tools. Needs
//! no server, and applies nothing.

use super::contract::write_new;
use super::page::Page;
use super::{Exit, Failure, document};
use broker::draft::{NotDescribed, Offer, Wish, contract, described, tools};
use clap::Args;
use identity::{Audience, Name, UnixTime};
use policy::contract::Date;
use serde_json::json;
use std::path::PathBuf;

/// How long a drafted contract lasts: somebody looks again within a quarter of a year.
const DAYS: u64 = 90;

#[derive(Debug, Args)]
pub(super) struct Init {
    /// The contract's name, usually the agent's
    name: Name,
    /// The team that answers for the agent
    #[arg(long)]
    team: Name,
    /// What it is for, as a name; the contract's own, if left out
    #[arg(long)]
    purpose: Option<Name>,
    /// A tenant whose data it works with. May be given several times
    #[arg(long = "tenant")]
    tenants: Vec<Name>,
    /// The least assurance level; 2 asks for an isolated launch
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=5))]
    min_assurance: u8,
    /// The service, as tokens and upstreams call it
    #[arg(long)]
    service: Name,
    /// An action that only reads. May be given several times
    #[arg(long = "reads", value_name = "ACTION")]
    reads: Vec<Name>,
    /// An action that may change something; each call waits for an approval. May be given several times
    #[arg(long = "changes", value_name = "ACTION")]
    changes: Vec<Name>,
    /// An OpenAPI 3 description of the service, JSON or YAML
    #[arg(long, value_name = "FILE")]
    from_openapi: Option<PathBuf>,
    /// The tools of an MCP server: what it answers to tools/list
    #[arg(long, value_name = "FILE", conflicts_with = "from_openapi")]
    from_mcp: Option<PathBuf>,
    /// Where to write the contract; stdout, if left out. A file that exists is not overwritten
    #[arg(long)]
    out: Option<PathBuf>,
    /// Where to write the manifest of the upstream
    #[arg(long, value_name = "FILE", requires = "from_openapi")]
    upstream_out: Option<PathBuf>,
}

pub(super) fn run(asked: &Init, page: &Page) -> Result<Exit, Failure> {
    let service: Audience = asked
        .service
        .as_str()
        .parse()
        .map_err(|error: identity::AudienceError| Failure::new("SERVICE_NAME", error.to_string()))?;
    let named = |actions: &[Name], writes| -> Vec<Offer> {
        let offer = |action: &Name| Offer::named(service.clone(), action.clone(), writes);
        actions.iter().map(offer).collect()
    };
    let mut offers = named(&asked.reads, false);
    offers.extend(named(&asked.changes, true));
    let (mut manifest, mut left_out) = (None, Vec::new());
    if let Some(path) = &asked.from_openapi {
        let (name, text) = document(path)?;
        let found = described(&text, &asked.service).map_err(|error| undescribed(&name, &error))?;
        offers.extend(found.offers);
        (manifest, left_out) = (Some(found.manifest), found.left_out);
    }
    if let Some(path) = &asked.from_mcp {
        let (name, text) = document(path)?;
        offers.extend(tools(&text, &service).map_err(|error| undescribed(&name, &error))?);
    }
    if offers.is_empty() {
        return Err(Failure::new(
            "NOTHING_TO_GRANT",
            "There is nothing that the contract could grant.",
        )
        .because("What is not granted is refused.")
        .fix("Name actions with --reads and --changes, or a description with --from-openapi or --from-mcp.")
        .ending(Exit::Usage));
    }
    let wish = Wish {
        name: asked.name.clone(),
        team: asked.team.clone(),
        purpose: asked.purpose.clone().unwrap_or_else(|| asked.name.clone()),
        min_assurance: asked.min_assurance,
        tenants: asked.tenants.iter().cloned().collect(),
        expires: expires()?,
    };
    let text = contract(&wish, &offers);
    if page.is_json() {
        page.json(&json!({"contract": text, "upstream": manifest, "left_out": left_out}));
    } else if asked.out.is_none() {
        page.out(&text);
    }
    if let Some(path) = &asked.out {
        write_new(path, &text)?;
        page.note(&format!(
            "{}: fill the empty sentences, then: tabard contract check {0}",
            path.display()
        ));
    }
    if let (Some(path), Some(manifest)) = (&asked.upstream_out, &manifest) {
        write_new(path, manifest)?;
        page.note(&format!(
            "{}: read each route, then: tabard upstream apply {0}",
            path.display()
        ));
    } else if manifest.is_some() {
        page.note("The routes for the gateway come with --upstream-out FILE.");
    }
    for what in left_out {
        page.note(&format!("left out: {}", super::page::plain(&what)));
    }
    Ok(Exit::Done)
}

fn undescribed(name: &str, error: &NotDescribed) -> Failure {
    Failure::new(
        "NOT_A_DESCRIPTION",
        format!("No contract can be drafted from {name}"),
    )
    .because(error.to_string())
    .fix("Give an OpenAPI 3 description with --from-openapi, or the answer to tools/list with --from-mcp.")
}

/// The day on which the draft ends.
fn expires() -> Result<Date, Failure> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.as_secs());
    let text = UnixTime::from_secs(now).plus_secs(DAYS * 86_400).rfc3339();
    let day = text.get(..10).unwrap_or_default();
    day.parse().map_err(|_| {
        Failure::new(
            "CLOCK",
            "The clock of this machine shows no day that a contract can end on.",
        )
    })
}
