//! Secrets of others, sealed: one file for each version of each upstream's and each decision point's, and one for each
//! webhook's.
//!
//! The World knows only that there is one; a gateway that is entitled to an upstream is sent the secret over its own
//! channel. Nothing here reads a secret from a flag, an environment variable or the configuration.

mod drawer;
mod pdp;
mod webhook;

pub use pdp::PdpSecrets;
pub use webhook::WebhookSecrets;

use crate::keys::kek::Kek;
use crate::keys::{KeyError, SealError};
use drawer::Drawer;
use identity::{Secret, UnixTime, UpstreamId};
use std::path::Path;
use std::sync::Arc;

/// The sealed secrets of upstreams.
#[derive(Debug)]
pub struct UpstreamSecrets(Drawer);

impl UpstreamSecrets {
    /// In `data_dir/secrets`, made if it is missing.
    pub fn open(data_dir: &Path, kek: Arc<Kek>) -> Result<Self, KeyError> {
        Drawer::open(data_dir, "secrets", "upstream-secret", kek).map(Self)
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
        self.0.put(name(upstream, version), secret, now)
    }

    /// Opens a version of an upstream's secret.
    pub fn get(&self, upstream: UpstreamId, version: u64) -> Result<Secret<Vec<u8>>, SealError> {
        self.0.get(name(upstream, version))
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
        std::fs::copy(secrets.0.path(&name(mine, 1)), secrets.0.path(&name(other, 1))).unwrap();
        assert!(matches!(
            secrets.get(other, 1),
            Err(SealError::Mislabelled { .. })
        ));
    }
}
