//! `tabard service`: SVIDs for services that enforce decisions themselves and ask for them.

use super::admin::segment;
use super::page::{Page, items, text};
use super::{Exit, Failure, Place};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use policy::contract::Seconds;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use sync::Member;

/// The private key, PKCS#8.
const KEY: &str = "key.pem";
/// The SVID, leaf first.
const SVID: &str = "svid.pem";
/// The authorities of the trust domain.
const BUNDLE: &str = "bundle.pem";
/// Characters of a line (RFC 7468 section 2).
const LINE: usize = 64;

#[derive(Debug, Subcommand)]
pub(super) enum ServiceCommand {
    /// Write an X.509-SVID of a service, for its own process to use: key.pem, svid.pem and bundle.pem. Again before it ends:
    /// the key stays, and the SVID is replaced at one stroke
    Svid {
        /// The service, as `enforced_by` in the manifests of its upstreams calls it
        name: String,
        /// Where to; a folder that only the service's user can read
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How long it is good for, at most 1d
        #[arg(long, default_value = "1h")]
        ttl: Seconds,
    },
}

pub(super) fn run(command: &ServiceCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let ServiceCommand::Svid { name, out, ttl } = command;
    let (member, is_new) = key(out)?;
    let csr = member.csr().map_err(|error| failed(out, &error))?;
    let path = format!("/v1/services/{}/svid", segment(name));
    let body = json!({"csr": STANDARD.encode(csr), "ttl_secs": ttl.get()});
    let issued = at.admin.post(&path, &body)?;
    // The key before the certificate: a reader that finds the certificate finds its key.
    if is_new {
        let PrivateKeyDer::Pkcs8(key) = member.tls_key() else {
            return Err(failed(out, &"the key is not PKCS#8"));
        };
        write(
            &out.join(KEY),
            &pem("PRIVATE KEY", &STANDARD.encode(key.secret_pkcs8_der())),
            0o600,
        )?;
    }
    let certificates = |name: &str| -> String {
        let certificates = items(&issued, name).iter().filter_map(Value::as_str);
        certificates.map(|der| pem("CERTIFICATE", der)).collect()
    };
    write(&out.join(BUNDLE), &certificates("authorities"), 0o644)?;
    write(&out.join(SVID), &certificates("chain"), 0o644)?;
    if page.is_json() {
        page.json(&issued);
    } else {
        page.line(&text(&issued, "spiffe_id"));
        page.note(&format!(
            "  {}, until {}; recorded as {}",
            out.join(SVID).display(),
            text(&issued, "expires_at"),
            text(&issued, "entry")
        ));
    }
    Ok(Exit::Done)
}

/// The service's key: the one of before, or a new one, and whether it is new.
fn key(out: &Path) -> Result<(Member, bool), Failure> {
    let path = out.join(KEY);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let base64: String = text.lines().filter(|line| !line.starts_with('-')).collect();
            let der = STANDARD.decode(base64).map_err(|error| failed(&path, &error))?;
            let member = Member::from_pkcs8(&der).map_err(|error| failed(&path, &error))?;
            Ok((member, false))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let member = Member::new().map_err(|error| failed(&path, &error))?;
            Ok((member, true))
        }
        Err(error) => Err(failed(&path, &error)),
    }
}

fn pem(label: &str, base64: &str) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for (place, character) in base64.chars().enumerate() {
        if place > 0 && place % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}

/// Replaces a file at one stroke; nobody ever reads half of it, or one with a wider mode.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let new = path.with_extension("pem.new");
    let written = || -> std::io::Result<()> {
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    written().map_err(|error| failed(path, &error))
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new("SERVICE_FILES", format!("{} cannot be used", path.display()))
        .because(why.to_string())
        .fix("Choose a folder that exists, is yours, and holds no other key.")
}
