//! Evidence: what is recorded, in which bytes, and how anyone checks it later.
//!
//! - [`event`]: event v1, the one thing that an entry can be, and its canonical bytes (RFC 8785).
//!
//! Nothing here reads a file, a clock or a key store. It ships alone, as the auditor's tool.

pub mod event;

pub use event::{
    Commitment, Draft, EncodeError, Entry, EntryBytes, Event, EventKind, ParseError, WriterStamp,
};
