//! The commitment keys: under them the log keeps people's names. One per org, and one for the installation's own
//! matters. Destroying an org's key (its sealed file) erases what its commitments stood for.

use super::KeyError;
use super::kek::Kek;
use super::sealed_file::{self, Label, SealError};
use crate::entropy::random;
use audit::event::CommitmentKey;
use identity::{IdHasher, OrgId, Secret, UnixTime};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// What the sealed files say they are.
const PURPOSE: &str = "names";

/// Opens each org's key when it is first needed, and keeps it.
#[derive(Debug)]
pub struct NameKeys {
    folder: PathBuf,
    kek: Arc<Kek>,
    installation: Arc<CommitmentKey>,
    orgs: Mutex<HashMap<OrgId, Arc<CommitmentKey>, IdHasher>>,
}

impl NameKeys {
    /// Opens the keys in `folder`, which exists.
    pub(super) fn open(folder: PathBuf, kek: Arc<Kek>, now: UnixTime) -> Result<Self, KeyError> {
        let installation = Arc::new(open_or_make(&folder, &kek, "installation", now)?);
        Ok(Self {
            folder,
            kek,
            installation,
            orgs: Mutex::default(),
        })
    }

    /// The key of an org; the installation's for `None`. Made when the org has none yet.
    pub fn of(&self, org: Option<OrgId>, now: UnixTime) -> Result<Arc<CommitmentKey>, KeyError> {
        let Some(org) = org else {
            return Ok(self.installation.clone());
        };
        // Under the lock, so that two requests of a new org do not make two keys.
        let mut orgs = self.orgs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = orgs.get(&org) {
            return Ok(key.clone());
        }
        let key = Arc::new(open_or_make(&self.folder, &self.kek, &org.to_string(), now)?);
        orgs.insert(org, key.clone());
        Ok(key)
    }
}

fn open_or_make(
    folder: &std::path::Path,
    kek: &Kek,
    owner: &str,
    now: UnixTime,
) -> Result<CommitmentKey, KeyError> {
    let path = folder.join(format!("names-{owner}.sealed"));
    if !path.exists() {
        let key = Zeroizing::new(random::<32>()?);
        let label = Label {
            purpose: PURPOSE.to_owned(),
            kid: owner.to_owned(),
            created: now,
            certificate: None,
        };
        sealed_file::write(&path, kek, &label, &*key)?;
        return Ok(CommitmentKey::new(Secret::new(*key)));
    }
    let (label, bytes) = sealed_file::read(&path, kek, PURPOSE)?;
    match <[u8; 32]>::try_from(bytes.as_slice()) {
        Ok(key) if label.kid == owner => Ok(CommitmentKey::new(Secret::new(key))),
        _ => Err(SealError::Malformed { path }.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::LogId;

    #[test]
    fn each_org_has_its_own_key_and_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let now = UnixTime::from_secs(1_000_000);
        let open = || NameKeys::open(dir.path().to_owned(), Arc::new(Kek::of([1; 32])), now).unwrap();
        let org = |number| Some(OrgId::random(now, LogId(0), number));
        let commit = |keys: &NameKeys, org| keys.of(org, now).unwrap().commit("user", "ada");
        let first = open();
        let said: Vec<_> = [None, org(1), org(2)].map(|org| commit(&first, org)).into();
        assert!(said[0] != said[1] && said[1] != said[2] && said[0] != said[2]);
        let second = open();
        assert_eq!(
            [None, org(1), org(2)].map(|org| commit(&second, org)).to_vec(),
            said
        );
    }
}
