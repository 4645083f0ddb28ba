//! What a node agent or gateway that runs alone keeps between two starts: its key, its membership, the key of its own
//! log, and the commitment keys of the orgs that it serves. Sealed like the server's own keys, under a key-encryption
//! key of the member's host.
//!
//! The membership is public, and sealed all the same: it holds the authorities that the member trusts, and whoever could
//! exchange them could be its server.

use super::KeyError;
use super::kek::Kek;
use super::local_key::LocalKey;
use super::log_key::LogKey;
use super::name_keys::NameKeys;
use super::sealed_file::{self, Label, SealError};
use identity::UnixTime;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the sealed files say they are, and their names.
const KEY: &str = "member";
const MEMBERSHIP: &str = "membership";

/// The keys of one member.
#[derive(Debug)]
pub struct MemberKeys {
    folder: PathBuf,
    kek: Arc<Kek>,
    names: NameKeys,
}

impl MemberKeys {
    /// Opens the keys in `data_dir/keys`, making those that are missing.
    pub fn open(data_dir: &Path, kek: Arc<Kek>, now: UnixTime) -> Result<Self, KeyError> {
        let folder = data_dir.join("keys");
        sealed_file::private_folder(&folder).map_err(|source| SealError::File {
            path: folder.clone(),
            source,
        })?;
        let names = NameKeys::open(folder.clone(), kek.clone(), now)?;
        Ok(Self { folder, kek, names })
    }

    /// The member's own key in unencrypted PKCS#8, for the library that makes its requests and TLS.
    pub fn own(&self, now: UnixTime) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let path = self.file(KEY);
        if !path.exists() {
            let (_, pkcs8) = LocalKey::generate()?;
            sealed_file::write(&path, &self.kek, &label(KEY, now), &pkcs8)?;
            return Ok(pkcs8);
        }
        Ok(sealed_file::read(&path, &self.kek, KEY)?.1)
    }

    /// The key of the member's own log.
    pub fn log(&self, origin: &str, now: UnixTime) -> Result<LogKey, KeyError> {
        LogKey::open_or_make(&self.folder, origin, &self.kek, now)
    }

    /// The commitment keys of people's names.
    pub const fn names(&self) -> &NameKeys {
        &self.names
    }

    /// The membership that was kept last, as its owner encoded it.
    pub fn membership(&self) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        let path = self.file(MEMBERSHIP);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(sealed_file::read(&path, &self.kek, MEMBERSHIP)?.1))
    }

    /// Keeps a membership.
    pub fn keep_membership(&self, encoded: &[u8], now: UnixTime) -> Result<(), KeyError> {
        let label = label(MEMBERSHIP, now);
        Ok(sealed_file::write(
            &self.file(MEMBERSHIP),
            &self.kek,
            &label,
            encoded,
        )?)
    }

    fn file(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{what}.sealed"))
    }
}

fn label(what: &str, now: UnixTime) -> Label {
    Label {
        purpose: what.to_owned(),
        kid: what.to_owned(),
        created: now,
        certificate: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_membership_are_the_same_after_a_restart_and_open_under_no_other_key() {
        let dir = tempfile::tempdir().unwrap();
        let now = UnixTime::from_secs(1_795_000_000);
        let open = |kek: u8| MemberKeys::open(dir.path(), Arc::new(Kek::of([kek; 32])), now);
        let first = open(1).unwrap();
        let key = first.own(now).unwrap();
        assert!(first.membership().unwrap().is_none());
        first.keep_membership(b"canary-membership", now).unwrap();
        let second = open(1).unwrap();
        assert_eq!(*second.own(now).unwrap(), *key);
        assert_eq!(
            second.membership().unwrap().unwrap().as_slice(),
            b"canary-membership"
        );
        assert!(matches!(open(2), Err(KeyError::Seal(SealError::Shut { .. }))));
        for file in std::fs::read_dir(dir.path().join("keys")).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"canary"));
        }
    }
}
