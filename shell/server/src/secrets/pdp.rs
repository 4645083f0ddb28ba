//! Tokens that decision points are asked with, by the org that asks, the issuer whose users it is about, and a version.

use super::drawer::Drawer;
use crate::keys::kek::Kek;
use crate::keys::{KeyError, SealError};
use identity::{Digest, OrgId, Secret, UnixTime};
use std::path::Path;
use std::sync::Arc;

/// The sealed tokens of decision points.
#[derive(Debug)]
pub struct PdpSecrets(Drawer);

impl PdpSecrets {
    /// In `data_dir/pdp`, made if it is missing.
    pub fn open(data_dir: &Path, kek: Arc<Kek>) -> Result<Self, KeyError> {
        Drawer::open(data_dir, "pdp", "pdp-secret", kek).map(Self)
    }

    /// Seals a version. Do so before the Change that names it: a version that no Change names is never asked for.
    pub fn put(
        &self,
        org: OrgId,
        issuer: &str,
        version: u64,
        secret: &Secret<Vec<u8>>,
        now: UnixTime,
    ) -> Result<(), SealError> {
        self.0.put(name(org, issuer, version), secret, now)
    }

    /// Opens a version.
    pub fn get(&self, org: OrgId, issuer: &str, version: u64) -> Result<Secret<Vec<u8>>, SealError> {
        self.0.get(name(org, issuer, version))
    }
}

/// An issuer is a URL, and no name of a file.
fn name(org: OrgId, issuer: &str, version: u64) -> String {
    let digest = Digest::from_bytes(credential::sha256(issuer.as_bytes())).to_string();
    format!("{org}-{}-{version}", digest.trim_start_matches("sha256:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_org_and_issuer() {
        let dir = tempfile::tempdir().unwrap();
        let now = UnixTime::from_secs(1_000_000);
        let secrets = PdpSecrets::open(dir.path(), Arc::new(Kek::of([1; 32]))).unwrap();
        let (org, issuer) = (OrgId::from_u128(1), "https://idp.example/../../etc");
        let token = Secret::new(b"token".to_vec());
        secrets.put(org, issuer, 1, &token, now).unwrap();
        assert_eq!(secrets.get(org, issuer, 1).unwrap().expose(), b"token");
        for (org, issuer, version) in [(2, issuer, 1), (1, "https://idp.example", 1), (1, issuer, 2)] {
            assert!(secrets.get(OrgId::from_u128(org), issuer, version).is_err());
        }
        let files = std::fs::read_dir(dir.path().join("pdp")).unwrap().count();
        assert_eq!(files, 1, "nowhere else");
    }
}
