//! The tree as files: C2SP tlog-tiles, <https://c2sp.org/tlog-tiles>.
//!
//! ```text
//! checkpoint                         the signed head (module `checkpoint`)
//! tile/<L>/<N>[.p/<W>]               256 hashes of level 8·L, or W of them at the right edge
//! tile/entries/<N>[.p/<W>]           the entries below tile/0/<N>: big-endian u16 length, bytes
//! ```
//!
//! Any static server can serve them. A full tile never changes. This module knows paths and bytes; who writes
//! files, and in which order they become durable, is the store's business.

mod builder;
mod bundle;
mod path;
mod reader;

#[cfg(test)]
mod tests;

pub use builder::TileBuilder;
pub use bundle::{BundleError, append_to_bundle, entries_of_bundle};
pub use path::{TileKind, TilePath, TilePathError};
pub(crate) use reader::hashes_at;
pub use reader::{ReadError, TileError, TileSource, TileTree};

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Levels of the tree that one tile spans.
pub const TILE_HEIGHT: u32 = 8;
/// Path of the signed head.
pub const CHECKPOINT_PATH: &str = "checkpoint";
