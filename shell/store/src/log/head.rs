//! The newest signed head of the log, in memory after each group commit.

use identity::Digest;
use std::sync::Arc;

/// A size, the root over so many entries, and the checkpoint that says so.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) root: Digest,
    /// C2SP signed note; empty before the first entry.
    pub(crate) checkpoint: Arc<[u8]>,
}
