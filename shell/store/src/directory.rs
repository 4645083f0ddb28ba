//! The data directory: who may open it, what lies where, and how a file becomes durable in it.
//!
//! Everything is readable by its owner alone. A file is replaced by writing a new one beside it, fsync, rename, and
//! fsync of the directory: after a crash there is the old file or the new one, never half of one.

use crate::error::OpenError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// An opened data directory; nobody else has it open as long as this lives.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    /// Held for its lock, which the kernel drops with the descriptor.
    _lock: File,
}

impl Directory {
    pub(crate) fn open(root: &Path) -> Result<Self, OpenError> {
        let failed = |what, path: &Path| {
            let path = path.to_path_buf();
            move |source| OpenError::Io { what, path, source }
        };
        make(root).map_err(failed("create the data directory", root))?;
        fs::set_permissions(root, fs::Permissions::from_mode(DIRECTORY_MODE))
            .map_err(failed("restrict the data directory", root))?;
        let path = root.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(failed("open the lock", &path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(OpenError::InUse {
                    root: root.to_path_buf(),
                });
            }
            Err(errno) => return Err(failed("lock", &path)(errno.into())),
        }
        let it = Self {
            root: root.to_path_buf(),
            _lock: lock,
        };
        for below in [it.log(), it.snapshots(), it.ledgers()] {
            make(&below).map_err(failed("create", &below))?;
        }
        sync_directory(root).map_err(failed("fsync", root))?;
        Ok(it)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("store.db")
    }
    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("index.db")
    }
    /// The log as files: a static server may serve this directory as it is.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }
    pub(crate) fn snapshots(&self) -> PathBuf {
        self.root.join("world")
    }
    pub(crate) fn ledgers(&self) -> PathBuf {
        self.root.join("ledger")
    }
}

/// Creates a directory and what is missing above it, durably: each new name is fsynced in its parent.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make(parent)?;
    }
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_directory(parent.unwrap_or(Path::new(".")))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Creates an empty file for its owner alone, unless it is there.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(FILE_MODE)
        .open(path)?
        .sync_all()
}

/// Puts `bytes` at `path`, durably and at once.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    sync_directory(&put(path, bytes)?)
}

/// The same but for the name, which is durable once the returned directory is fsynced.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    make(parent)?;
    let mut name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidInput)?
        .to_os_string();
    name.push(".new");
    let beside = parent.join(name);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(FILE_MODE)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)?;
    Ok(parent.to_path_buf())
}
