//! What a store is opened with.

use audit::note::NoteSigner;
use identity::LogId;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the head of a growing log is published: a reader sees an entry within a second or two.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// Where a store lives and who signs its log.
#[derive(Clone)]
pub struct Settings {
    /// Its directory; created with mode 0700 if it is missing. One process at a time.
    pub root: PathBuf,
    /// The number of the log that this writer owns.
    pub log: LogId,
    /// Signs checkpoints, batches and snapshots; its name is the log's origin.
    pub signer: Arc<dyn NoteSigner + Send + Sync>,
    /// Where a copy of the newest checkpoint is kept, on another volume or machine, so that a data directory that
    /// was put back to an older state does not go unnoticed. Without it only the directory's own copy is compared.
    pub checkpoint_outside: Option<PathBuf>,
    /// How often the log's files and checkpoint follow its growth.
    pub publish_every: Duration,
}

impl Settings {
    /// The usual settings.
    pub fn new(root: impl Into<PathBuf>, log: LogId, signer: Arc<dyn NoteSigner + Send + Sync>) -> Self {
        Self {
            root: root.into(),
            log,
            signer,
            checkpoint_outside: None,
            publish_every: PUBLISH_EVERY,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("root", &self.root)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}
