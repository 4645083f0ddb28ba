//! A folder of sealed secrets of one purpose, each under its name.

use crate::keys::KeyError;
use crate::keys::kek::Kek;
use crate::keys::sealed_file::{self, Label, SealError};
use identity::{Secret, UnixTime};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Drawer {
    folder: PathBuf,
    /// What the sealed files say they are: one of another purpose does not open.
    purpose: &'static str,
    kek: Arc<Kek>,
}

impl Drawer {
    /// In `data_dir/folder`, made if it is missing.
    pub(super) fn open(
        data_dir: &Path,
        folder: &str,
        purpose: &'static str,
        kek: Arc<Kek>,
    ) -> Result<Self, KeyError> {
        let folder = data_dir.join(folder);
        sealed_file::private_folder(&folder).map_err(|source| SealError::File {
            path: folder.clone(),
            source,
        })?;
        Ok(Self { folder, purpose, kek })
    }

    pub(super) fn put(&self, name: String, secret: &Secret<Vec<u8>>, now: UnixTime) -> Result<(), SealError> {
        let path = self.path(&name);
        let label = Label {
            purpose: self.purpose.to_owned(),
            kid: name,
            created: now,
            certificate: None,
        };
        sealed_file::write(&path, &self.kek, &label, secret.expose())
    }

    pub(super) fn get(&self, wanted: String) -> Result<Secret<Vec<u8>>, SealError> {
        let path = self.path(&wanted);
        let (label, mut secret) = sealed_file::read(&path, &self.kek, self.purpose)?;
        if label.kid != wanted {
            return Err(SealError::Mislabelled {
                path,
                wanted,
                found: label.kid,
            });
        }
        Ok(Secret::new(std::mem::take(&mut *secret)))
    }

    /// Removes one, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<(), SealError> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(SealError::File { path, source }),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.sealed"))
    }
}
