//! The server's private keys: made at the first start, sealed on disk, opened at each start.
//!
//! One key a purpose, and a purpose is one class of credential. A key's name is its RFC 7638 thumbprint. What leaves
//! this module are public halves and things that sign; no private key does.

pub(crate) mod kek;
pub(crate) mod local_key;
mod log_key;
mod member_keys;
mod name_keys;
pub(crate) mod sealed_file;
mod x509_authority;

pub use kek::{Kek, KekError};
pub use local_key::LocalKey;
pub use log_key::LogKey;
pub use member_keys::MemberKeys;
pub use name_keys::NameKeys;
pub use sealed_file::{Label, SECRET_BYTES_MAX, SealError};
pub use x509_authority::{X509Authority, pem};

use crate::entropy::{NoEntropy, random};
use credential::{IssueError, NonceKey, SigningKey};
use identity::{LogId, Secret, TrustDomain, UnixTime};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a sealed key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    AccessToken,
    JwtSvid,
    Log,
    X509Root,
    X509Intermediate,
}

impl Purpose {
    /// In labels, and the file's name.
    const fn word(self) -> &'static str {
        match self {
            Self::AccessToken => "access-token",
            Self::JwtSvid => "jwt-svid",
            Self::Log => "log",
            Self::X509Root => "x509-root",
            Self::X509Intermediate => "x509-intermediate",
        }
    }
    fn file(self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.sealed", self.word()))
    }
}

/// Why the keys of an installation could not be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key-encryption key.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// A sealed file.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A certificate of our own authority.
    #[error("the X.509 authority cannot issue: {0}")]
    Authority(#[from] IssueError),
    /// The keys belong to another installation.
    #[error(
        "the keys are of the trust domain {found}, not of {wanted}: a trust domain is chosen once. Correct server.trust_domain, or start with another data directory"
    )]
    OtherTrustDomain {
        /// What the root certificate says.
        found: TrustDomain,
        /// What the configuration says.
        wanted: TrustDomain,
    },
    /// The crypto library could not make a key.
    #[error("a key could not be made; the system's random source may be broken")]
    Generation,
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// Every private key of one server.
#[derive(Debug)]
pub struct Keys {
    access_token: Arc<LocalKey>,
    jwt_svid: Arc<LocalKey>,
    log: Arc<LogKey>,
    authority: X509Authority,
    names: NameKeys,
    nonces: NonceKey,
}

impl Keys {
    /// Opens the keys in `data_dir/keys`, making those that are missing. The nonce key is new at every start: a nonce
    /// of before the restart is worth nothing.
    pub fn open(
        data_dir: &Path,
        trust_domain: &TrustDomain,
        log: LogId,
        kek: Arc<Kek>,
        now: UnixTime,
    ) -> Result<Self, KeyError> {
        let folder = data_dir.join("keys");
        sealed_file::private_folder(&folder).map_err(|source| SealError::File {
            path: folder.clone(),
            source,
        })?;
        let origin = audit::checkpoint::origin(trust_domain, log);
        Ok(Self {
            access_token: Arc::new(LocalKey::open_or_make(&folder, Purpose::AccessToken, &kek, now)?),
            jwt_svid: Arc::new(LocalKey::open_or_make(&folder, Purpose::JwtSvid, &kek, now)?),
            log: Arc::new(LogKey::open_or_make(&folder, &origin, &kek, now)?),
            authority: X509Authority::open_or_make(&folder, trust_domain, kek.clone(), now)?,
            names: NameKeys::open(folder, kek, now)?,
            nonces: NonceKey::new(&Secret::new(random()?), now.millis()),
        })
    }

    /// The key of access tokens.
    pub(crate) fn access_token(&self) -> Arc<dyn SigningKey> {
        self.access_token.clone()
    }
    /// The key of JWT-SVIDs.
    pub(crate) fn jwt_svid(&self) -> Arc<dyn SigningKey> {
        self.jwt_svid.clone()
    }
    /// The key of the log, for the store.
    pub fn log(&self) -> Arc<LogKey> {
        self.log.clone()
    }
    /// The X.509 authority.
    pub const fn authority(&self) -> &X509Authority {
        &self.authority
    }
    /// The commitment keys of people's names.
    pub const fn names(&self) -> &NameKeys {
        &self.names
    }
    /// The key of DPoP nonces.
    pub const fn nonces(&self) -> &NonceKey {
        &self.nonces
    }
}
