//! `tabard service`: SVIDs for services that enforce decisions themselves and ask for them.

mod folder;
mod renewal;
mod watch;

use super::admin::segment;
use super::page::{Page, text};
use super::{Exit, Failure, Place};
use crate::parts::wall_clock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use folder::Folder;
use policy::contract::Seconds;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use sync::Member;

#[derive(Debug, Subcommand)]
pub(super) enum ServiceCommand {
    /// Write a first X.509-SVID of a service, for its own process to use: key.pem, svid.pem and bundle.pem. From then on it
    /// renews by itself: tabard service renew
    Svid {
        /// The service, as `enforced_by` in the manifests of its upstreams calls it
        name: String,
        /// Where to; a folder that only the service's user can read
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How long each SVID is good for, at most 1d
        #[arg(long, default_value = "1h")]
        ttl: Seconds,
        /// How long the service may renew by itself, at most 366d
        #[arg(long, value_name = "TIME", default_value = "30d")]
        renewable_for: Seconds,
        /// This SVID is the last: the service may not renew it
        #[arg(long, conflicts_with = "renewable_for")]
        not_renewable: bool,
    },
    /// Renew the SVID in a folder with a new key, as the service itself: once, or whenever half of its life is over. Needs no
    /// administrator, and no context
    Renew {
        /// What `tabard service svid --out` wrote
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Keep it fresh until it is stopped
        #[arg(long)]
        watch: bool,
        /// The server, where it is reached at another address than the one that it gave
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
}

pub(super) fn run(
    command: &ServiceCommand,
    at: impl Fn() -> Result<Place, Failure>,
    page: &Page,
) -> Result<Exit, Failure> {
    match command {
        ServiceCommand::Svid {
            name,
            out,
            ttl,
            renewable_for,
            not_renewable,
        } => {
            let folder = Folder::at(out);
            let _alone = folder.lock()?;
            let key = new_key()?;
            let renewable_secs = if *not_renewable { 0 } else { renewable_for.get() };
            let body =
                json!({"csr": request(&key)?, "ttl_secs": ttl.get(), "renewable_secs": renewable_secs});
            let path = format!("/v1/services/{}/svid", segment(name));
            let issued = at()?.admin.post(&path, &body)?;
            folder.write(&key, &issued, wall_clock())?;
            say(&issued, &folder.svid(), page);
            Ok(Exit::Done)
        }
        ServiceCommand::Renew { dir, watch, url } => {
            let folder = Folder::at(dir);
            if *watch {
                return watch::keep_fresh(&folder, url.as_deref(), page);
            }
            let issued = renewal::renew(&folder, url.as_deref())?;
            say(&issued, &folder.svid(), page);
            Ok(Exit::Done)
        }
    }
}

/// What was written.
fn say(issued: &Value, svid: &Path, page: &Page) {
    if page.is_json() {
        page.json(issued);
        return;
    }
    page.line(&text(issued, "spiffe_id"));
    page.note(&format!(
        "  {}, until {}, renewable until {}; recorded as {}",
        svid.display(),
        text(issued, "expires_at"),
        text(issued, "renewable_until"),
        text(issued, "entry")
    ));
}

/// A key that no SVID was for: whoever copied an earlier one has nothing of this.
fn new_key() -> Result<Member, Failure> {
    Member::new().map_err(|error| Failure::new("SERVICE_KEY", error.to_string()))
}

/// What proves it, as the server reads it.
fn request(key: &Member) -> Result<String, Failure> {
    let csr = key.csr();
    csr.map(|der| STANDARD.encode(der))
        .map_err(|error| Failure::new("SERVICE_KEY", error.to_string()))
}
