//! The X.509 authority: a root for the trust domain (5 years) and an intermediate of this server (30 days), which is
//! the only one that signs SVIDs. The root's key stays sealed but for the moment in which it signs an intermediate.
//!
//! The root itself is not rotated here: a new one has to be in every bundle before it may sign.

use super::kek::Kek;
use super::local_key::LocalKey;
use super::sealed_file::{self, Label, SealError};
use super::{KeyError, Purpose};
use crate::entropy::random;
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::rotate::IntermediateDue;
use credential::{Authority, AuthorityTemplate, Serial, SigningKey as _};
use identity::{TrustDomain, UnixTime};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Recorded;

/// Life of a root in seconds: 5 years of 365.25 days.
const ROOT_SECS: u64 = 5 * 1461 * 86_400 / 4;
/// Life of an intermediate in seconds.
const INTERMEDIATE_SECS: u64 = 30 * 86_400;
/// An intermediate with less than this left is replaced, in seconds: a third of its life, and two hundred times that
/// of an SVID.
const ROTATE_BEFORE_SECS: u64 = 10 * 86_400;
/// How far before now certificates begin, in seconds, for clocks that are behind.
const BACKDATE_SECS: u64 = 60;

/// The root's certificate and the intermediate in use.
#[derive(Debug)]
pub struct X509Authority {
    folder: PathBuf,
    kek: Arc<Kek>,
    root: Vec<u8>,
    intermediate: ArcSwap<Authority>,
}

impl X509Authority {
    /// Opens both in `folder`, making what is missing or due.
    pub(super) fn open_or_make(
        folder: &Path,
        trust_domain: &TrustDomain,
        kek: Arc<Kek>,
        now: UnixTime,
    ) -> Result<Self, KeyError> {
        let root = match open(folder, Purpose::X509Root, &kek)? {
            Some(root) => root,
            None => make_root(folder, trust_domain, &kek, now)?,
        };
        if root.trust_domain() != trust_domain {
            return Err(KeyError::OtherTrustDomain {
                found: root.trust_domain().clone(),
                wanted: trust_domain.clone(),
            });
        }
        let intermediate = match open(folder, Purpose::X509Intermediate, &kek)? {
            Some(intermediate) if !is_due(&intermediate, now) => intermediate,
            _ => make_intermediate(folder, &root, &kek, now)?,
        };
        let certificate = root.certificate().to_vec();
        Ok(Self {
            folder: folder.to_owned(),
            kek,
            root: certificate,
            intermediate: ArcSwap::from_pointee(intermediate),
        })
    }

    /// The root's certificate in DER: what the trust bundle holds.
    pub fn root(&self) -> &[u8] {
        &self.root
    }
    /// The root's certificate in PEM, for clients that trust files.
    pub fn root_pem(&self) -> String {
        pem(&self.root)
    }
    /// The intermediate that signs now.
    pub fn intermediate(&self) -> Arc<Authority> {
        self.intermediate.load_full()
    }
    /// Whether the intermediate should be replaced at `now`.
    pub fn should_rotate(&self, now: UnixTime) -> bool {
        is_due(&self.intermediate(), now)
    }
    /// Replaces the intermediate, once that is recorded. What the old one signed stays valid: its certificate travels
    /// with every chain.
    pub fn rotate(&self, due: Recorded<IntermediateDue>, now: UnixTime) -> Result<(), KeyError> {
        drop(due);
        self.replace(now)
    }

    fn replace(&self, now: UnixTime) -> Result<(), KeyError> {
        let root = open(&self.folder, Purpose::X509Root, &self.kek)?.ok_or(KeyError::Generation)?;
        let fresh = make_intermediate(&self.folder, &root, &self.kek, now)?;
        self.intermediate.store(Arc::new(fresh));
        Ok(())
    }
}

/// A certificate in PEM.
pub fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).unwrap_or_default());
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

fn is_due(intermediate: &Authority, now: UnixTime) -> bool {
    now.plus_secs(ROTATE_BEFORE_SECS) >= intermediate.not_after()
}

fn open(folder: &Path, purpose: Purpose, kek: &Kek) -> Result<Option<Authority>, KeyError> {
    let path = purpose.file(folder);
    if !path.exists() {
        return Ok(None);
    }
    let (label, pkcs8) = sealed_file::read(&path, kek, purpose.word())?;
    let malformed = || SealError::Malformed { path: path.clone() };
    let certificate = label
        .certificate
        .and_then(|text| STANDARD.decode(text).ok())
        .ok_or_else(malformed)?;
    let key = LocalKey::from_pkcs8(&pkcs8).ok_or_else(malformed)?;
    Ok(Some(Authority::new(&certificate, Arc::new(key))?))
}

fn make_root(
    folder: &Path,
    trust_domain: &TrustDomain,
    kek: &Kek,
    now: UnixTime,
) -> Result<Authority, KeyError> {
    let (key, pkcs8) = LocalKey::generate()?;
    let key = Arc::new(key);
    let template = template(trust_domain, "Tabard root", 1, now, ROOT_SECS)?;
    let certificate = template.self_signed(key.clone())?;
    seal(
        folder,
        Purpose::X509Root,
        kek,
        key.kid(),
        &certificate,
        &pkcs8,
        now,
    )?;
    Ok(Authority::new(&certificate, key)?)
}

fn make_intermediate(
    folder: &Path,
    root: &Authority,
    kek: &Kek,
    now: UnixTime,
) -> Result<Authority, KeyError> {
    let (key, pkcs8) = LocalKey::generate()?;
    let mut template = template(root.trust_domain(), "Tabard server", 0, now, INTERMEDIATE_SECS)?;
    template.not_after = template.not_after.min(root.not_after());
    let certificate = root.issue_authority(&template, key.public_key())?;
    seal(
        folder,
        Purpose::X509Intermediate,
        kek,
        key.kid(),
        &certificate,
        &pkcs8,
        now,
    )?;
    Ok(Authority::new(&certificate, Arc::new(key))?)
}

fn template(
    trust_domain: &TrustDomain,
    name: &str,
    path_len: u8,
    now: UnixTime,
    life_secs: u64,
) -> Result<AuthorityTemplate, KeyError> {
    Ok(AuthorityTemplate {
        trust_domain: trust_domain.clone(),
        common_name: name.to_owned(),
        path_len,
        not_before: now.minus_secs(BACKDATE_SECS),
        not_after: now.plus_secs(life_secs),
        // An authority has no entry of its own: it is older than the log it signs for.
        serial: Serial::new(random()?, 0),
    })
}

fn seal(
    folder: &Path,
    purpose: Purpose,
    kek: &Kek,
    kid: &str,
    certificate: &[u8],
    pkcs8: &[u8],
    now: UnixTime,
) -> Result<(), KeyError> {
    let label = Label {
        purpose: purpose.word().to_owned(),
        kid: kid.to_owned(),
        created: now,
        certificate: Some(STANDARD.encode(certificate)),
    };
    Ok(sealed_file::write(&purpose.file(folder), kek, &label, pkcs8)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_795_000_000);
    const DAY: u64 = 86_400;

    fn open_at(folder: &Path, now: UnixTime) -> Result<X509Authority, KeyError> {
        let domain = "dev.tabard".parse().unwrap();
        X509Authority::open_or_make(folder, &domain, Arc::new(Kek::of([1; 32])), now)
    }

    #[test]
    fn validity_is_explicit_and_a_restart_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let first = open_at(dir.path(), NOW).unwrap();
        let second = open_at(dir.path(), NOW.plus_secs(DAY)).unwrap();
        assert_eq!(first.root(), second.root());
        assert_eq!(
            first.intermediate().certificate(),
            second.intermediate().certificate()
        );
        assert_eq!(first.intermediate().not_after(), NOW.plus_secs(30 * DAY));
        assert!(first.root_pem().starts_with("-----BEGIN CERTIFICATE-----\nMII"));
    }

    #[test]
    fn an_intermediate_is_replaced_ten_days_before_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let authority = open_at(dir.path(), NOW).unwrap();
        let before = authority.intermediate();
        assert!(!authority.should_rotate(NOW.plus_secs(20 * DAY - 1)));
        assert!(authority.should_rotate(NOW.plus_secs(20 * DAY)));
        authority.replace(NOW.plus_secs(20 * DAY)).unwrap();
        let after = authority.intermediate();
        assert_ne!(before.certificate(), after.certificate());
        assert_eq!(after.not_after(), NOW.plus_secs(50 * DAY));
        let restarted = open_at(dir.path(), NOW.plus_secs(21 * DAY)).unwrap();
        assert_eq!(restarted.intermediate().certificate(), after.certificate());
    }

    #[test]
    fn keys_of_another_trust_domain_are_not_used() {
        let dir = tempfile::tempdir().unwrap();
        open_at(dir.path(), NOW).unwrap();
        let other = "other.example".parse().unwrap();
        let opened = X509Authority::open_or_make(dir.path(), &other, Arc::new(Kek::of([1; 32])), NOW);
        assert!(matches!(opened, Err(KeyError::OtherTrustDomain { .. })));
    }
}
