//! The checkpoint that this user keeps: written after each sound verification, compared at the next. It is what makes
//! cutting, rewriting and rolling back show, even by whoever holds the log's key.

use crate::cli::Failure;
use crate::context;
use audit::checkpoint::{VerifiedCheckpoint, verify_checkpoint};
use audit::note::NoteKey;
use std::path::PathBuf;

/// The file of one context.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
}

impl Kept {
    /// `CONTEXT.checkpoint` in the state directory.
    pub(super) fn of(context: &str) -> Result<Self, Failure> {
        let file = format!("{context}.checkpoint");
        if context.contains('/') || context.starts_with('.') {
            return Err(Failure::new(
                "CONTEXT_NAME",
                format!("{context:?} cannot be a file name"),
            ));
        }
        Ok(Self {
            path: context::state_dir()?.join(file),
        })
    }
    /// Another file that the verifier kept.
    pub(super) const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// What was kept; `None` before the first verification. One that does not verify is a fault of its own: it was
    /// altered, or is of another log.
    pub(super) fn read(&self, key: &NoteKey) -> Result<Option<VerifiedCheckpoint>, Failure> {
        let note = match std::fs::read(&self.path) {
            Ok(note) => note,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unusable(&error.to_string())),
        };
        verify_checkpoint(&note, key)
            .map(Some)
            .map_err(|error| self.unusable(&error.to_string()))
    }

    /// Keeps a newer one.
    pub(super) fn write(&self, note: &[u8]) -> Result<(), Failure> {
        Ok(context::replace(&self.path, note)?)
    }

    /// Where it is.
    pub(super) fn path(&self) -> String {
        self.path.display().to_string()
    }

    fn unusable(&self, why: &str) -> Failure {
        Failure::new("KEPT_CHECKPOINT", format!("the checkpoint that was kept in {} cannot be used", self.path()))
            .because(why)
            .fix("If this is another installation under the same context name, move the file away; otherwise find out who changed it.")
    }
}
