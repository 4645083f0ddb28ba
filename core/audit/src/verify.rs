//! The offline verifier: reads an exported log as a whole and says what holds, the first thing that does not, and
//! what no reading of a log can exclude.
//!
//! It believes nothing that travels with the log. The key comes from elsewhere; a checkpoint that the verifier kept
//! from an earlier visit is what makes cutting and rewriting show, even by the holder of the key.

mod fault;
mod growth;
mod report;

#[cfg(test)]
mod tests;

pub use fault::Fault;
pub use growth::{GrowthError, verify_growth};
pub use report::Report;

use crate::checkpoint::{VerifiedCheckpoint, verify_checkpoint};
use crate::event::{Entry, EventKind, WriterStamp};
use crate::merkle::leaf_hash;
use crate::note::NoteKey;
use crate::tile::{
    CHECKPOINT_PATH, ReadError, TileBuilder, TileKind, TilePath, TileSource, entries_of_bundle, hashes_at,
};
use identity::{Digest, LogId};

/// What the verifier knows before it looks at a log.
#[derive(Clone, Debug)]
pub struct Verifier {
    key: NoteKey,
    log: LogId,
    kept: Option<VerifiedCheckpoint>,
    pruned_below: u64,
}

impl Verifier {
    /// Expects log number `log`, signed by `key`, which was obtained out of band: never from the log's directory.
    pub const fn new(key: NoteKey, log: LogId) -> Self {
        Self {
            key,
            log,
            kept: None,
            pruned_below: 0,
        }
    }
    /// Also expects the log to continue a checkpoint that was kept from an earlier visit.
    #[must_use]
    pub fn continuing(mut self, kept: VerifiedCheckpoint) -> Self {
        self.kept = Some(kept);
        self
    }
    /// Accepts that the bytes of entries below `index` are gone: retention deletes bundles, never hashes.
    #[must_use]
    pub const fn pruned_below(mut self, index: u64) -> Self {
        self.pruned_below = index;
        self
    }

    /// Reads the whole log: the checkpoint, every entry, every tile.
    pub fn verify<S: TileSource + ?Sized>(&self, tiles: &S) -> Report {
        let mut report = Report::new(self.key.name(), self.log);
        report.fault = self.scan(tiles, &mut report).err();
        report
    }

    fn scan<S: TileSource + ?Sized>(&self, tiles: &S, report: &mut Report) -> Result<(), Fault> {
        let signed = verify_checkpoint(&tiles.read(CHECKPOINT_PATH)?, &self.key)?;
        let head = signed.get();
        report.head = Some(head.clone());
        if let Some(kept) = self.kept.as_ref().map(VerifiedCheckpoint::get) {
            if kept.origin != head.origin {
                return Err(Fault::KeptOrigin(kept.origin.clone()));
            }
            if kept.size > head.size {
                return Err(Fault::Truncated {
                    kept: kept.size,
                    size: head.size,
                });
            }
        }

        let mut builder = TileBuilder::new();
        let mut last: Option<WriterStamp> = None;
        let mut index = 0;
        while let Some(path) = TilePath::in_tree(TileKind::Hashes(0), index, head.size) {
            let hashes = hashes_at(tiles, path)?;
            self.bundle(tiles, path, &hashes, &mut last, report)?;
            for hash in hashes {
                // The first of them is the level 0 tile itself: it was read, not derived.
                for (path, derived) in builder.push(hash).into_iter().skip(1) {
                    compare(tiles, path, &derived)?;
                    report.tiles += 1;
                }
                self.at_kept_size(&builder, report)?;
            }
            report.tiles += 1;
            index += 1;
        }
        for (path, derived) in builder.partial_tiles() {
            if path.kind != TileKind::Hashes(0) {
                compare(tiles, path, &derived)?;
                report.tiles += 1;
            }
        }
        if builder.root() == head.root {
            Ok(())
        } else {
            Err(Fault::Root { size: head.size })
        }
    }

    /// Compares the tree with the kept checkpoint when it has grown to that size.
    fn at_kept_size(&self, builder: &TileBuilder, report: &mut Report) -> Result<(), Fault> {
        let Some(kept) = self.kept.as_ref().map(VerifiedCheckpoint::get) else {
            return Ok(());
        };
        if builder.size() != kept.size {
            return Ok(());
        }
        if builder.root() == kept.root {
            report.continues = Some(kept.size);
            Ok(())
        } else {
            Err(Fault::Fork { kept: kept.size })
        }
    }

    /// Verifies the entries below one level 0 tile.
    fn bundle<S: TileSource + ?Sized>(
        &self,
        tiles: &S,
        tile: TilePath,
        hashes: &[Digest],
        last: &mut Option<WriterStamp>,
        report: &mut Report,
    ) -> Result<(), Fault> {
        let path = TilePath {
            kind: TileKind::Entries,
            ..tile
        };
        let first = tile.index.saturating_mul(crate::tile::TILE_WIDTH);
        let end = first.saturating_add(u64::from(tile.width));
        let bytes = match read_bundle(tiles, path) {
            Err(ReadError::Missing(_)) if path.is_full() && end <= self.pruned_below => {
                report.pruned += u64::from(tile.width);
                return Ok(());
            }
            other => other?,
        };
        let entries = entries_of_bundle(&bytes).map_err(|why| Fault::Bundle { path, why })?;
        // A full bundle that stands in for a partial one holds more.
        let enough = entries.len() == hashes.len() || !path.is_full() && entries.len() == 256;
        if !enough {
            return Err(Fault::BundleCount {
                path,
                found: entries.len(),
                wanted: hashes.len(),
            });
        }
        for ((bytes, hash), index) in entries.into_iter().zip(hashes).zip(first..) {
            if leaf_hash(bytes) != *hash {
                return Err(Fault::EntryDiffers { index, path, tile });
            }
            let entry = Entry::parse(bytes).map_err(|error| Fault::NotAnEntry {
                index,
                why: error.to_string(),
            })?;
            self.place(&entry.writer, index, last.as_ref())?;
            *last = Some(entry.writer);
            report.entries += 1;
            report.unknown_kinds += u64::from(matches!(entry.event.kind, EventKind::Unknown(_)));
            report.first_at = report.first_at.or(Some(entry.event.at));
            report.last_at = Some(entry.event.at);
        }
        Ok(())
    }

    /// Where an entry says it stands, and that epochs and revisions only rise.
    fn place(&self, writer: &WriterStamp, index: u64, last: Option<&WriterStamp>) -> Result<(), Fault> {
        if writer.log != self.log || writer.index != index {
            return Err(Fault::Place {
                index,
                says: writer.place(),
            });
        }
        let Some(last) = last else {
            return Ok(());
        };
        if writer.epoch < last.epoch {
            return Err(Fault::Backwards {
                index,
                what: "epoch",
                from: last.epoch,
                to: writer.epoch,
            });
        }
        if writer.revision < last.revision {
            return Err(Fault::Backwards {
                index,
                what: "revision",
                from: last.revision.0,
                to: writer.revision.0,
            });
        }
        Ok(())
    }
}

/// The bytes of a bundle. A partial one may have been replaced by its full one.
fn read_bundle<S: TileSource + ?Sized>(tiles: &S, path: TilePath) -> Result<Vec<u8>, ReadError> {
    match tiles.read(&path.to_string()) {
        Err(missing @ ReadError::Missing(_)) if !path.is_full() => tiles
            .read(&path.completed().to_string())
            .map_err(|error| match error {
                ReadError::Missing(_) => missing,
                failed @ ReadError::Failed { .. } => failed,
            }),
        other => other,
    }
}

/// Compares a tile with what the tiles below it lead to.
fn compare<S: TileSource + ?Sized>(tiles: &S, path: TilePath, derived: &[u8]) -> Result<(), Fault> {
    let found = hashes_at(tiles, path)?;
    if found.iter().flat_map(Digest::as_bytes).eq(derived) {
        Ok(())
    } else {
        Err(Fault::TileDiffers { path })
    }
}
