//! Durable state: the World, the log that explains it, and the one commit that alters both.
//!
//! [`Store::commit`] takes a plan of the broker and gives a [`Recorded`] back once it is on disk; there is no other way
//! to make one, and signers accept nothing else. Everything else here serves that commit (one writer, one fsync for
//! all who wait), reads the result back, or distrusts it: the database may lose what we wrote, never change it.
//!
//! ```text
//! root/store.db      the unsealed tail of the log, every Change, signed batches, spent keys
//! root/log/          sealed bundles, tiles, checkpoint: any static server can serve it
//! root/world/        snapshots of the World, signed
//! root/ledger/       snapshots of the Ledger, signed
//! root/index.db      finds entries; may be deleted
//! root/lock          one process at a time
//! ```
//!
//! Read `recovery` for what is checked before the first signature, `writer` for the order in which things become
//! true. Not here: what may be written (broker), what an entry says (audit), who is told about Changes (sync).

mod backend;
pub mod contracts;
mod directory;
mod error;
mod feed;
mod ground;
mod health;
mod history;
mod housekeeper;
mod index;
mod inlet;
pub mod ledger;
mod log;
mod log_key;
mod once;
mod queue;
mod recorded;
mod recovery;
mod settings;
mod snapshot;
mod staleness;
mod store;
mod thread;
mod writer;

#[cfg(test)]
mod tests;

pub use backend::BackendError;
pub use error::{CommitError, OpenError, ReadError};
pub use feed::{Delta, FEED_BACKLOG_MAX, Feed, FeedError};
pub use health::Health;
pub use index::{Found, Index, Query, UserKey};
pub use log::{ExportError, LogReader};
pub use recorded::Recorded;
pub use settings::Settings;
pub use store::Store;
