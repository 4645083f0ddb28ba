//! Changes and snapshots as bytes on the wire.

use broker::{Change, World};

/// Why bytes are not what they should be. A follower that meets one stops following: a World with a hole is no World.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A Change of a kind that this version does not know, or not a Change at all.
    #[error(
        "the server sent a Change that this version cannot read ({0}): upgrade this member to the server's version"
    )]
    Change(serde_json::Error),
    /// A snapshot of another format.
    #[error("the server sent a snapshot of format {0}, this version reads format {1}: upgrade this member")]
    Format(u32, u32),
    /// A damaged snapshot.
    #[error("the server's snapshot cannot be read: {0}")]
    Snapshot(postcard::Error),
}

/// A Change as its JSON document.
pub fn encode_change(change: &Change) -> Vec<u8> {
    serde_json::to_vec(change).unwrap_or_default()
}

/// A Change from its JSON document.
pub fn decode_change(bytes: &[u8]) -> Result<Change, WireError> {
    serde_json::from_slice(bytes).map_err(WireError::Change)
}

/// A World as a snapshot.
pub fn encode_world(world: &World) -> Vec<u8> {
    postcard::to_stdvec(world).unwrap_or_default()
}

/// A World from a snapshot.
pub fn decode_world(format: u32, bytes: &[u8]) -> Result<World, WireError> {
    if format != crate::SNAPSHOT_FORMAT {
        return Err(WireError::Format(format, crate::SNAPSHOT_FORMAT));
    }
    postcard::from_bytes(bytes).map_err(WireError::Snapshot)
}
