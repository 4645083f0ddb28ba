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
    let mut lines = vec![format!("-----BEGIN {label}-----")];
    let mut rest = base64;
    while let Some((line, more)) = rest.split_at_checked(LINE) {
        lines.push(line.to_owned());
        rest = more;
    }
    if !rest.is_empty() {
        lines.push(rest.to_owned());
    }
    lines.push(format!("-----END {label}-----\n"));
    lines.join("\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_has_lines_of_64_characters() {
        let text = pem("X", &"A".repeat(130));
        let lines: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(lines, [17, 64, 64, 2, 15]);
        assert_eq!(pem("X", &"A".repeat(64)).lines().count(), 3);
        assert!(text.ends_with("-----END X-----\n"));
    }

    #[test]
    fn a_file_is_replaced_whole_and_with_its_own_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY);
        std::fs::write(&path, "before, with a wider mode").unwrap();
        // What an earlier run left behind is not written into.
        std::fs::write(path.with_extension("pem.new"), "half of something").unwrap();
        write(&path, "after", 0o600).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(key(folder.path()).is_err(), "a file that holds no key is no key");
    }
}
