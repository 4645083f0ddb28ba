//! The newest head of the log, in memory after each group commit.

use crate::log_key::LogKey;
use audit::checkpoint::CheckpointError;
use identity::Digest;
use std::sync::{Arc, OnceLock};

/// A size, the root over so many entries, and the checkpoint that says so.
///
/// The checkpoint is signed when somebody asks for it, once: what makes a group durable is its batch's signature, and
/// of a thousand heads a second one is published.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) root: Digest,
    checkpoint: OnceLock<Arc<[u8]>>,
}

impl Head {
    pub(crate) const fn new(size: u64, root: Digest) -> Self {
        Self {
            size,
            root,
            checkpoint: OnceLock::new(),
        }
    }

    /// C2SP signed note; `None` before the first entry.
    pub(crate) fn checkpoint(&self, key: &LogKey) -> Result<Option<Arc<[u8]>>, CheckpointError> {
        if self.size == 0 {
            return Ok(None);
        }
        if let Some(signed) = self.checkpoint.get() {
            return Ok(Some(signed.clone()));
        }
        let signed = key.checkpoint(self.size, self.root)?;
        Ok(Some(self.checkpoint.get_or_init(|| signed).clone()))
    }
}
