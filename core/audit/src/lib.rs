//! Evidence: what is recorded, in which bytes, and how anyone checks it later.
//!
//! - [`event`]: event v1, the one thing that an entry can be, and its canonical bytes (RFC 8785).
//! - [`merkle`]: the RFC 6962 tree over those bytes: hashes, frontier, proofs.
//! - [`tile`]: the tree as files that any static server can serve (C2SP tlog-tiles).
//! - [`note`], [`checkpoint`] and [`receipt`]: the signed head of a log (C2SP signed-note, tlog-checkpoint), and the
//!   proof that one entry is below it (tlog-proof).
//! - [`batch`]: what a writer signs at each commit, so that a database is trusted for availability only.
//! - [`verify`]: the offline verifier: an exported log against a checkpoint that the verifier kept.
//!
//! Nothing here reads a file, a clock or a key store. It ships alone, as the auditor's tool.

pub mod batch;
pub mod checkpoint;
pub mod event;
pub mod merkle;
pub mod note;
pub mod receipt;
pub mod tile;
pub mod verify;

pub use event::{
    Commitment, Draft, EncodeError, Entry, EntryBytes, Event, EventKind, ParseError, WriterStamp,
};

#[cfg(test)]
mod hostile_input;
#[cfg(test)]
mod test_key;
