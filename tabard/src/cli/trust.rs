//! `tabard trust`: issuers outside that say who a user is. They give nobody a right but in words that the org gave a
//! meaning.

use super::agent::applied;
use super::page::{Page, items, text};
use super::{Exit, Failure, Place, document};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum TrustCommand {
    /// Trust an issuer's tokens to say who a user is, or replace what was set for it
    Add(Add),
    /// Every trusted issuer
    List,
    /// Whether agents need the own yes of its users, or act for them by the org's rule
    Consent {
        /// `iss`, as its tokens spell it
        issuer: String,
        /// Whether they do
        #[arg(long, action = clap::ArgAction::Set)]
        required: bool,
    },
    /// Trust an issuer no more; its users can not be acted for from the next call on
    Remove {
        /// `iss`, as its tokens spell it
        issuer: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// `iss`, as its tokens spell it
    issuer: String,
    /// `aud` that its tokens have to have: what the issuer calls this installation
    #[arg(long)]
    audience: String,
    /// Its public keys, downloaded from its jwks_uri (JSON)
    #[arg(long)]
    keys: PathBuf,
    /// What a claim of its tokens is worth (JSON): {"claim": "/scope", "values": {"VALUE": [{"agents": […], "services": […], "actions": […], "tenants": […]}]}}
    #[arg(long, value_name = "FILE")]
    rights: Option<PathBuf>,
    /// A decision point that is asked what its users may do: its access evaluations endpoint (AuthZEN 1.0), https, or http on
    /// loopback
    #[arg(long, value_name = "URL")]
    pdp: Option<String>,
    /// The certificate authorities that the decision point is trusted under (PEM); the system's, if left out
    #[arg(long, value_name = "FILE", requires = "pdp")]
    pdp_ca: Option<PathBuf>,
    /// The bearer token that the decision point is asked with; the server seals it
    #[arg(long, value_name = "FILE", requires = "pdp")]
    pdp_token: Option<PathBuf>,
}

impl Add {
    /// The decision point, as the server is told of it. The token is read here, and never an argument.
    fn point(&self) -> Result<Option<Value>, Failure> {
        let Some(url) = &self.pdp else { return Ok(None) };
        let read = |path: &PathBuf| document(path).map(|(_, text)| text);
        let authorities = self.pdp_ca.as_ref().map(read).transpose()?;
        let token = self.pdp_token.as_ref().map(read).transpose()?;
        let token = token.map(|token| STANDARD.encode(token.trim_end_matches('\n')));
        Ok(Some(
            json!({"url": url, "authorities": authorities, "token": token}),
        ))
    }
}

pub(super) fn run(command: &TrustCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        TrustCommand::Add(add) => {
            let (_, keys) = document(&add.keys)?;
            let rights = add.rights.as_deref().map(table).transpose()?;
            let body = json!({
                "issuer": add.issuer, "audience": add.audience, "keys": keys, "rights": rights, "pdp": add.point()?,
            });
            applied(
                "trusted issuer",
                &at.admin.post("/v1/trust-sources", &body)?,
                page,
            );
        }
        TrustCommand::List => {
            let all = at.admin.get("/v1/trust-sources")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let row = |it: &Value| {
                    let kids: Vec<&str> = items(it, "kids").iter().filter_map(Value::as_str).collect();
                    let claim = it.pointer("/rights/claim").and_then(Value::as_str);
                    vec![
                        text(it, "issuer"),
                        text(it, "audience"),
                        kids.join(","),
                        claim.unwrap_or("-").to_owned(),
                        it.pointer("/pdp/url")
                            .and_then(Value::as_str)
                            .unwrap_or("-")
                            .to_owned(),
                    ]
                };
                let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
                page.table(
                    &["issuer", "audience", "keys", "rights by", "decision point"],
                    &rows,
                );
            }
        }
        TrustCommand::Consent { issuer, required } => {
            let body = json!({"issuer": issuer, "required": required});
            applied(
                "rule of issuer",
                &at.admin.post("/v1/users/consent", &body)?,
                page,
            );
        }
        TrustCommand::Remove { issuer } => {
            let done = at
                .admin
                .post("/v1/trust-sources/remove", &json!({"issuer": issuer}))?;
            applied("removed issuer", &done, page);
        }
    }
    Ok(Exit::Done)
}

/// What the values of a claim are worth, from a file.
fn table(path: &Path) -> Result<Value, Failure> {
    let (name, text) = document(path)?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::new("DOCUMENT_INVALID", format!("{name} is not JSON"))
            .because(error.to_string())
            .fix("Write the claim as a JSON Pointer, and for each of its values a list of rights.")
    })
}
