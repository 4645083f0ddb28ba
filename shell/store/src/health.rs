//! Whether the store can record, and how it is doing.

use identity::Revision;
use std::sync::{Arc, OnceLock};

/// The first error that stopped the store. Set once; every writer and sealer looks here before it writes.
#[derive(Debug, Default, Clone)]
pub(crate) struct Poison(Arc<OnceLock<Arc<str>>>);

impl Poison {
    /// Stops the store, unless it was stopped before.
    pub(crate) fn set(&self, why: &str) -> Arc<str> {
        let kept = self.0.get_or_init(|| why.into());
        tracing::error!(error = %kept, "the store stopped: nothing is recorded or issued until a restart");
        kept.clone()
    }
    pub(crate) fn get(&self) -> Option<Arc<str>> {
        self.0.get().cloned()
    }
}

/// A store's state at one moment.
#[derive(Debug, Clone)]
pub struct Health {
    /// Why nothing can be recorded until a restart; `None` when all is well.
    pub stopped: Option<Arc<str>>,
    /// Durable entries.
    pub size: u64,
    /// The World's revision.
    pub revision: Revision,
    /// Entries under the newest published checkpoint.
    pub published: u64,
    /// Entries that are in files only.
    pub sealed: u64,
    /// Entries that the index knows.
    pub indexed: u64,
    /// Plans that wait for the writer.
    pub waiting: usize,
}
