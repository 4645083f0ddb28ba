//! Where the files of a log come from: a directory, or a running server.

use crate::cli::Failure;
use crate::cli::admin::Admin;
use crate::cli::https::Https;
use audit::tile::{CHECKPOINT_PATH, ReadError, TilePath, TileSource};
use std::path::PathBuf;

/// An exported log, or the `log` folder of a data directory.
#[derive(Debug)]
pub(super) struct Directory(pub(super) PathBuf);

impl TileSource for Directory {
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        std::fs::read(self.0.join(path)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ReadError::Missing(path.to_owned()),
            _ => ReadError::Failed {
                path: path.to_owned(),
                why: error.to_string(),
            },
        })
    }
}

/// A running server: checkpoint and hashes from its public site, entries from the admin plane, which only auditors
/// may read. So an entry is checked against hashes that everybody sees.
#[derive(Debug)]
pub(super) struct Server<'a> {
    pub(super) site: Https,
    pub(super) admin: &'a Admin,
}

impl TileSource for Server<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        let answer = if path.starts_with("tile/entries/") {
            self.admin.bytes(&format!("/v1/log/{path}"))
        } else {
            self.site.get(&format!("/log/{path}"))
        };
        answered(path, answer)
    }
}

/// The admin plane alone: for an export, which is verified later and elsewhere.
#[derive(Debug)]
pub(super) struct Plane<'a>(pub(super) &'a Admin);

impl TileSource for Plane<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        answered(path, self.0.bytes(&format!("/v1/log/{path}")))
    }
}

fn answered(path: &str, answer: Result<Option<hyper::body::Bytes>, Failure>) -> Result<Vec<u8>, ReadError> {
    match answer {
        Ok(Some(bytes)) => Ok(bytes.to_vec()),
        Ok(None) => Err(ReadError::Missing(path.to_owned())),
        Err(failure) => Err(ReadError::Failed {
            path: path.to_owned(),
            why: failure.text(str::to_owned),
        }),
    }
}

/// A file as it was when the tree had the size that the path says: a partial one may have become full since.
pub(super) fn exactly(tiles: &dyn TileSource, path: TilePath) -> Result<Vec<u8>, ReadError> {
    match tiles.read(&path.to_string()) {
        Err(ReadError::Missing(_)) if !path.is_full() => {
            let mut bytes = tiles.read(&path.completed().to_string())?;
            bytes.truncate(usize::from(path.width) * 32);
            Ok(bytes)
        }
        other => other,
    }
}

/// The path of the signed head.
pub(super) const HEAD: &str = CHECKPOINT_PATH;
