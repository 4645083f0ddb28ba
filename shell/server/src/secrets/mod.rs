//! Upstream secrets, sealed: one file for each version of each upstream's secret.
//!
//! The World knows only the version number; a gateway that is entitled to an upstream is sent the secret over its
//! own channel. Nothing here reads a secret from a flag, an environment variable or the configuration.

use crate::keys::KeyError;
use crate::keys::kek::Kek;
use crate::keys::sealed_file::{self, Label, SealError};
use identity::{Secret, UnixTime, UpstreamId};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the sealed files say they are.
const PURPOSE: &str = "upstream-secret";

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

    /// Seals a version of an upstream's secret. Do so before the Change that names the version: a version that no
    /// Change names is never asked for.
    pub fn put(
        &self,
        upstream: UpstreamId,
        version: u64,
        secret: &Secret<Vec<u8>>,
        now: UnixTime,
    ) -> Result<(), SealError> {
        let label = Label {
            purpose: PURPOSE.to_owned(),
            kid: name(upstream, version),
            created: now,
            certificate: None,
        };
        sealed_file::write(&self.path(upstream, version), &self.kek, &label, secret.expose())
    }

    /// Opens a version of an upstream's secret.
    pub fn get(&self, upstream: UpstreamId, version: u64) -> Result<Secret<Vec<u8>>, SealError> {
        let path = self.path(upstream, version);
        let (label, mut secret) = sealed_file::read(&path, &self.kek, PURPOSE)?;
        let wanted = name(upstream, version);
        if label.kid != wanted {
            return Err(SealError::Mislabelled {
                path,
                wanted,
                found: label.kid,
            });
        }
        Ok(Secret::new(std::mem::take(&mut *secret)))
    }

    fn path(&self, upstream: UpstreamId, version: u64) -> PathBuf {
        self.folder.join(format!("{}.sealed", name(upstream, version)))
    }
}

fn name(upstream: UpstreamId, version: u64) -> String {
    format!("{upstream}-{version}")
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
        std::fs::copy(secrets.path(mine, 1), secrets.path(other, 1)).unwrap();
        assert!(matches!(
            secrets.get(other, 1),
            Err(SealError::Mislabelled { .. })
        ));
    }
}
