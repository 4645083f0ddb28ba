//! From a directory to a state that may be signed on: everything that is checked before the first signature.
//!
//! In order: the database belongs to this key; the newest snapshot of the World, then every Change after it, each under
//! its batch; the unsealed entries under theirs; the tree over sealed and unsealed entries has the root that each
//! kept checkpoint was signed over, and is not smaller. Sealed bundles are not read here: their tiles' right edge is,
//! and the rest is the offline verifier's.

use crate::backend::Backend;
use crate::backend::sqlite::Sqlite;
use crate::directory::Directory;
use crate::error::{OpenError, ReadError};
use crate::ground::Ground;
use crate::history::History;
use crate::log::{Head, LogFiles, LogReader};
use crate::log_key::LogKey;
use crate::once::OnceKeys;
use crate::settings::Settings;
use crate::snapshot;
use arc_swap::ArcSwap;
use audit::batch::Batch;
use audit::merkle::{Frontier, leaf_hash, root_of_size};
use audit::tile::{TileBuilder, TileTree};
use broker::World;
use identity::{Digest, Revision};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The largest that SQL and the ids of the World can hold (40 bits).
const MAX_REVISION: u64 = (1 << 40) - 1;

/// A checked state.
pub(crate) struct Recovered {
    pub(crate) directory: Directory,
    pub(crate) backend: Sqlite,
    pub(crate) key: LogKey,
    pub(crate) world: World,
    pub(crate) snapshot_at: Revision,
    pub(crate) history: History,
    pub(crate) last: Option<Batch>,
    pub(crate) ground: Ground,
    pub(crate) frontier: Frontier,
    pub(crate) sealed_frontier: Frontier,
    pub(crate) tiles: TileBuilder,
    pub(crate) sealed: Arc<AtomicU64>,
    pub(crate) dropped: u64,
    pub(crate) head: Arc<ArcSwap<Head>>,
    pub(crate) reader: LogReader,
}

/// Opens the directory and checks it.
pub(crate) fn recover(settings: &Settings) -> Result<Recovered, OpenError> {
    let key = LogKey::new(settings.signer.clone())?;
    let directory = Directory::open(&settings.root)?;
    let backend = Sqlite::open(&directory.database())?;
    let kept = backend.bind(&key.vkey())?;
    if kept != key.vkey() {
        return Err(OpenError::OtherKey {
            expected: kept,
            given: key.vkey(),
        });
    }
    let rows = backend.reader()?;
    let history = History::new(backend.reader()?, key.clone(), settings.log);
    let last = history.last()?;
    let size = last.as_ref().map_or(0, Batch::end);
    let newest = last
        .as_ref()
        .map_or_else(Revision::default, |batch| batch.revision_last);
    if !rows.entries(size, 1)?.is_empty() {
        return Err(OpenError::Forged {
            row: format!("entry {size}"),
            why: "no batch was signed over it",
        });
    }
    if !rows.changes(newest, Revision(MAX_REVISION))?.is_empty() {
        let row = format!("the Change after revision {newest}");
        return Err(OpenError::Forged {
            row,
            why: "no batch was signed over it",
        });
    }
    let sealed = rows.sealed()?;
    let dropped = rows.oldest_entry()?.unwrap_or(sealed.size).min(sealed.size);

    let (world, snapshot_at) = world(&directory, &history, &key, newest)?;
    let ground = Ground {
        revision: newest,
        once: OnceKeys::new(rows.spent()?, rows.once_floor()?),
        ..Ground::default()
    };

    let files = LogFiles::at(directory.log());
    let sealed_size = Arc::new(AtomicU64::new(sealed.size));
    let unchecked = Head::new(size, Digest::default());
    let head = Arc::new(ArcSwap::from_pointee(unchecked));
    let reader = LogReader::new(rows, files.clone(), head.clone(), sealed_size.clone());
    let damaged = |error: ReadError| OpenError::Log(error.into());
    history.check_tail(sealed.size, |index| match reader.entry(index) {
        Err(ReadError::NoEntry { index, .. }) => Err(OpenError::Forged {
            row: format!("entry {index}"),
            why: "it is missing",
        }),
        other => other.map_err(damaged),
    })?;

    let sealed_frontier = sealed_edge(&sealed.frontier)?;
    let tiles = TileBuilder::resume(sealed.size, &files).map_err(|error| OpenError::Log(error.into()))?;
    if sealed_frontier.size() != sealed.size || tiles.root() != sealed_frontier.root() {
        let why = "the tiles do not lead to the root that was sealed";
        return Err(OpenError::Forged {
            row: format!("the tree of {} entries", sealed.size),
            why,
        });
    }
    let mut witnesses = Vec::new();
    witnesses.extend(witness(&files.checkpoint(), &key)?);
    if witnesses.is_empty() && sealed.size > 0 {
        return Err(OpenError::NoCheckpoint {
            path: files.checkpoint(),
            sealed: sealed.size,
        });
    }
    if let Some(path) = &settings.checkpoint_outside {
        match witness(path, &key)? {
            Some(outside) => witnesses.push(outside),
            None if size > 0 => {
                tracing::warn!(path = %path.display(), "no checkpoint outside the data directory: a rollback shows only there");
            }
            None => {}
        }
    }
    let frontier = grow(&sealed_frontier, size, &reader, &witnesses).map_err(damaged)??;
    for held in witnesses.iter().filter(|held| held.size < sealed.size) {
        let root = root_of_size(held.size, &TileTree::new(&files, sealed.size));
        compare(held, root.map_err(|error| OpenError::Log(error.into()))?)?;
    }
    let checked = Head::new(size, frontier.root());
    checked
        .checkpoint(&key)
        .map_err(|error| OpenError::Log(error.into()))?;
    head.store(Arc::new(checked));
    Ok(Recovered {
        directory,
        backend,
        key,
        world,
        snapshot_at,
        history,
        last,
        ground,
        frontier,
        sealed_frontier,
        tiles,
        sealed: sealed_size,
        dropped,
        head,
        reader,
    })
}

/// The newest snapshot and every Change after it.
fn world(
    directory: &Directory,
    history: &History,
    key: &LogKey,
    newest: Revision,
) -> Result<(World, Revision), OpenError> {
    let mut world: World = snapshot::newest(&directory.snapshots(), key).unwrap_or_default();
    let snapshot_at = world.revision();
    if snapshot_at > newest {
        let witness = "a signed snapshot of the World".to_owned();
        return Err(OpenError::RolledBack {
            witness,
            held: snapshot_at.0,
            own: newest.0,
        });
    }
    loop {
        let changes = history.changes_after(world.revision())?;
        if changes.is_empty() {
            break;
        }
        for (revision, changes) in changes {
            world = world.apply(&changes, revision);
        }
    }
    if world.revision() != newest {
        let row = format!("the Change at revision {}", world.revision().next());
        return Err(OpenError::Forged {
            row,
            why: "it is missing",
        });
    }
    Ok((world, snapshot_at))
}

fn sealed_edge(bytes: &[u8]) -> Result<Frontier, OpenError> {
    if bytes.is_empty() {
        return Ok(Frontier::new());
    }
    let row = || "the sealed edge".to_owned();
    Frontier::from_bytes(bytes).map_err(|_| OpenError::Forged {
        row: row(),
        why: "it is not an edge of a tree",
    })
}

/// A checkpoint that somebody kept.
struct Witness {
    name: String,
    size: u64,
    root: Digest,
}

fn witness(path: &Path, key: &LogKey) -> Result<Option<Witness>, OpenError> {
    let name = format!("the checkpoint {}", path.display());
    let note = match std::fs::read(path) {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(OpenError::Io {
                what: "read",
                path: path.to_path_buf(),
                source,
            });
        }
    };
    match key.verify_checkpoint(&note) {
        Ok(checkpoint) => {
            let checkpoint = checkpoint.get();
            Ok(Some(Witness {
                name,
                size: checkpoint.size,
                root: checkpoint.root,
            }))
        }
        Err(error) => Err(OpenError::BadCheckpoint {
            witness: name,
            why: error.to_string(),
        }),
    }
}

/// Grows the tree over the unsealed entries and compares it, on the way, with every witness at its size.
fn grow(
    sealed: &Frontier,
    size: u64,
    reader: &LogReader,
    witnesses: &[Witness],
) -> Result<Result<Frontier, OpenError>, ReadError> {
    for held in witnesses {
        if held.size > size {
            return Ok(Err(OpenError::RolledBack {
                witness: held.name.clone(),
                held: held.size,
                own: size,
            }));
        }
    }
    let mut frontier = sealed.clone();
    loop {
        for held in witnesses.iter().filter(|held| held.size == frontier.size()) {
            if let Err(forked) = compare(held, frontier.root()) {
                return Ok(Err(forked));
            }
        }
        if frontier.size() == size {
            return Ok(Ok(frontier));
        }
        frontier.push(leaf_hash(&reader.entry(frontier.size())?));
    }
}

fn compare(held: &Witness, root: Digest) -> Result<(), OpenError> {
    if held.root == root {
        return Ok(());
    }
    Err(OpenError::Forked {
        witness: held.name.clone(),
        size: held.size,
    })
}
