//! Secrets of others, sealed: one file for each version of the secret of an upstream, or of a decision point.
//!
//! The World knows only the version number; a gateway that is entitled to an upstream is sent the secret over its
//! own channel. Nothing here reads a secret from a flag, an environment variable or the configuration.

use crate::keys::KeyError;
use crate::keys::kek::Kek;
use crate::keys::sealed_file::{self, Label, SealError};
use identity::{Digest, OrgId, Secret, UnixTime, UpstreamId};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whose secret.
#[derive(Debug, Clone, Copy)]
pub enum SecretOf<'a> {
    /// What the gateway puts into requests to an upstream.
    Upstream(UpstreamId),
    /// What we show to the decision point that an org asks about the users of an issuer.
    DecisionPoint {
        /// The org.
        org: OrgId,
        /// The issuer.
        issuer: &'a str,
    },
}

impl From<UpstreamId> for SecretOf<'_> {
    fn from(upstream: UpstreamId) -> Self {
        Self::Upstream(upstream)
    }
}

impl SecretOf<'_> {
    /// What the sealed file says it is.
    const fn purpose(&self) -> &'static str {
        match self {
            Self::Upstream(_) => "upstream-secret",
            Self::DecisionPoint { .. } => "pdp-secret",
        }
    }

    fn name(&self, version: u64) -> String {
        match self {
            Self::Upstream(upstream) => format!("{upstream}-{version}"),
            // An issuer is a URL, and no name of a file.
            Self::DecisionPoint { org, issuer } => {
                let digest = Digest::from_bytes(credential::sha256(issuer.as_bytes())).to_string();
                format!("pdp-{org}-{}-{version}", digest.trim_start_matches("sha256:"))
            }
        }
    }
}

/// The sealed secrets of an installation.
#[derive(Debug)]
pub struct UpstreamSecrets {
    folder: PathBuf,
    kek: Arc<Kek>,
}

impl UpstreamSecrets {
    /// In `data_dir/secrets`, made if it is missing.
    pub fn open(data_dir: &Path, kek: Arc<Kek>) -> Result<Self, KeyError> {
        let folder = data_dir.join("secrets");
        sealed_file::private_folder(&folder).map_err(|source| SealError::File {
            path: folder.clone(),
            source,
        })?;
        Ok(Self { folder, kek })
    }

    /// Seals a version of a secret. Do so before the Change that names the version: a version that no Change names is
    /// never asked for.
    pub fn put<'a>(
        &self,
        of: impl Into<SecretOf<'a>>,
        version: u64,
        secret: &Secret<Vec<u8>>,
        now: UnixTime,
    ) -> Result<(), SealError> {
        let of = of.into();
        let label = Label {
            purpose: of.purpose().to_owned(),
            kid: of.name(version),
            created: now,
            certificate: None,
        };
        sealed_file::write(&self.path(&of, version), &self.kek, &label, secret.expose())
    }

    /// Opens a version of a secret.
    pub fn get<'a>(&self, of: impl Into<SecretOf<'a>>, version: u64) -> Result<Secret<Vec<u8>>, SealError> {
        let of = of.into();
        let path = self.path(&of, version);
        let (label, mut secret) = sealed_file::read(&path, &self.kek, of.purpose())?;
        let wanted = of.name(version);
        if label.kid != wanted {
            return Err(SealError::Mislabelled {
                path,
                wanted,
                found: label.kid,
            });
        }
        Ok(Secret::new(std::mem::take(&mut *secret)))
    }

    fn path(&self, of: &SecretOf<'_>, version: u64) -> PathBuf {
        self.folder.join(format!("{}.sealed", of.name(version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::{LogId, Revision};

    #[test]
    fn a_secret_comes_back_only_under_its_own_upstream_and_version() {
        let dir = tempfile::tempdir().unwrap();
        let now = UnixTime::from_secs(1_000_000);
        let secrets = UpstreamSecrets::open(dir.path(), Arc::new(Kek::of([1; 32]))).unwrap();
        let mine = UpstreamId::mint(now, LogId(0), 1).at(Revision(3));
        let other = UpstreamId::mint(now, LogId(0), 2).at(Revision(4));
        secrets.put(mine, 1, &Secret::new(b"one".to_vec()), now).unwrap();
        secrets.put(mine, 2, &Secret::new(b"two".to_vec()), now).unwrap();
        assert_eq!(secrets.get(mine, 1).unwrap().expose(), b"one");
        assert_eq!(secrets.get(mine, 2).unwrap().expose(), b"two");
        assert!(matches!(secrets.get(other, 1), Err(SealError::File { .. })));
        std::fs::copy(secrets.path(&mine.into(), 1), secrets.path(&other.into(), 1)).unwrap();
        assert!(matches!(
            secrets.get(other, 1),
            Err(SealError::Mislabelled { .. })
        ));
    }

    #[test]
    fn a_decision_points_token_is_of_one_org_and_issuer() {
        let dir = tempfile::tempdir().unwrap();
        let now = UnixTime::from_secs(1_000_000);
        let secrets = UpstreamSecrets::open(dir.path(), Arc::new(Kek::of([1; 32]))).unwrap();
        let of = |org: u128, issuer: &'static str| SecretOf::DecisionPoint {
            org: OrgId::from_u128(org),
            issuer,
        };
        let mine = of(1, "https://idp.example/../../etc");
        secrets
            .put(mine, 1, &Secret::new(b"token".to_vec()), now)
            .unwrap();
        assert_eq!(secrets.get(mine, 1).unwrap().expose(), b"token");
        for other in [
            of(2, "https://idp.example/../../etc"),
            of(1, "https://idp.example"),
        ] {
            assert!(secrets.get(other, 1).is_err());
        }
        let files = std::fs::read_dir(dir.path().join("secrets")).unwrap().count();
        assert_eq!(files, 1, "nowhere else");
    }
}
