//! `tabard upstream`: declare the services that agents call. The secret is read here, from where the manifest says,
//! and sealed by the server; it is never an argument.

use super::admin::segment;
use super::agent::applied;
use super::page::{Page, items, text};
use super::{Exit, Failure, Place, document};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::upstream::{Manifest, SecretReference};
use clap::Subcommand;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest secret in bytes that is read; the server has the same limit, or a smaller one.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum UpstreamCommand {
    /// Publish an upstream, and seal its secret
    Apply {
        /// The manifest (YAML, kind: Upstream)
        file: PathBuf,
        /// Leave the sealed secret as it is
        #[arg(long)]
        keep_secret: bool,
    },
    /// Every upstream
    List,
    /// One upstream
    Show {
        /// Its name
        name: String,
    },
}

pub(super) fn run(command: &UpstreamCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        UpstreamCommand::Apply { file, keep_secret } => {
            let (name, text) = document(file)?;
            let manifest = Manifest::parse(&name, text.as_bytes()).map_err(|errors| {
                Failure::new("DOCUMENT_INVALID", "The manifest has mistakes.")
                    .at(errors.iter().map(ToString::to_string))
            })?;
            let reference = manifest.secret.filter(|_| !keep_secret);
            let secret = reference.map(|reference| secret(&reference, file)).transpose()?;
            let body =
                json!({"file": name, "text": text, "secret": secret.map(|bytes| STANDARD.encode(bytes))});
            applied("upstream", &at.admin.post("/v1/upstreams", &body)?, page);
        }
        UpstreamCommand::List => {
            let all = at.admin.get("/v1/upstreams")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let row = |it: &Value| {
                    let secret = it
                        .get("secret_version")
                        .and_then(Value::as_u64)
                        .filter(|version| *version > 0);
                    vec![
                        text(it, "name"),
                        text(it, "audience"),
                        text(it, "base_url"),
                        items(it, "routes").len().to_string(),
                        secret.map_or_else(|| "none".to_owned(), |version| format!("version {version}")),
                    ]
                };
                let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
                page.table(&["name", "audience", "address", "routes", "secret"], &rows);
            }
        }
        UpstreamCommand::Show { name } => {
            page.json(&at.admin.get(&format!("/v1/upstreams/{}", segment(name)))?);
        }
    }
    Ok(Exit::Done)
}

/// The secret's bytes, without the line feed that an editor adds.
fn secret(reference: &SecretReference, manifest: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |place: &str, why: String| {
        Failure::new(
            "SECRET_UNREADABLE",
            format!("The secret cannot be read from {place}."),
        )
        .because(why)
        .fix("Put it where the manifest says, or use --keep-secret if it is sealed already.")
    };
    let mut bytes = match reference {
        SecretReference::File(file) => {
            let path = manifest.parent().unwrap_or(Path::new("")).join(file);
            let place = path.display().to_string();
            let opened = std::fs::File::open(&path).map_err(|error| failed(&place, error.to_string()))?;
            limited(opened).map_err(|error| failed(&place, error.to_string()))?
        }
        SecretReference::Env(name) => std::env::var(name)
            .map_err(|error| failed(&format!("the variable {name}"), error.to_string()))?
            .into_bytes(),
        SecretReference::Stdin => limited(std::io::stdin().lock())
            .map_err(|error| failed("the standard input", error.to_string()))?,
    };
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(bytes)
}

fn limited(from: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(SECRET_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}
