//! Work that must not hold up the writer: dropping old Worlds, and writing snapshots.

use crate::log_key::LogKey;
use crate::snapshot;
use broker::World;
use std::path::Path;
use std::sync::{Arc, mpsc};

/// Revisions between two snapshots: 4,096 Changes are applied in some 20 ms at the next start.
pub(crate) const SNAPSHOT_REVISIONS: u64 = 4_096;

pub(crate) enum Chore {
    /// Freeing a World that nobody else holds can take milliseconds.
    Drop(Vec<Arc<World>>),
    /// Write it down.
    Snapshot(Arc<World>),
}

/// Until the writer is gone.
pub(crate) fn run(chores: &mpsc::Receiver<Chore>, directory: &Path, key: &LogKey) {
    while let Ok(chore) = chores.recv() {
        // Under a flood of Changes several snapshots may be due: only the newest is of use.
        let mut due = None;
        for chore in std::iter::once(chore).chain(chores.try_iter()) {
            match chore {
                Chore::Drop(worlds) => drop(worlds),
                Chore::Snapshot(world) => due = Some(world),
            }
        }
        let Some(world) = due else {
            continue;
        };
        // Without it the next start takes longer; nothing else depends on it.
        match snapshot::write(directory, &*world, key) {
            Ok(_) => tracing::debug!(revision = %world.revision(), "snapshot of the World written"),
            Err(error) => tracing::warn!(%error, "no snapshot of the World could be written"),
        }
    }
}
