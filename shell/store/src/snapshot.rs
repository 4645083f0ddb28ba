//! The World as one file, so that opening does not replay every Change since the beginning.
//!
//! A snapshot is a cache: losing it costs time. But it is believed without looking at the Changes before it, so it is
//! signed with the log's key; one that is unreadable, of another format, altered, or signed by anybody else is passed
//! over for an older one, or for all Changes.
//!
//! ```text
//! "tabard world\n" · format u32 · revision u64 · SHA-256 of the body · Ed25519 over all before · body (postcard)
//! ```

use crate::directory::replace;
use crate::log_key::LogKey;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use broker::World;
use identity::Revision;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Raise it whenever a type inside the World changes its shape: postcard is not self-describing.
const FORMAT: u32 = 3;
const MAGIC: &[u8; 13] = b"tabard world\n";
/// Magic, format, revision, digest.
const SIGNED_BYTES: usize = 13 + 4 + 8 + 32;
const HEADER_BYTES: usize = SIGNED_BYTES + 64;
const EXTENSION: &str = "world";
/// Snapshots kept: the newest, and one to fall back to.
const KEPT: usize = 2;

/// Writes a snapshot of `world` and removes those that are too old to be of use.
pub(crate) fn write(directory: &Path, world: &World, key: &LogKey) -> io::Result<()> {
    let body = postcard::to_stdvec(world).map_err(io::Error::other)?;
    let mut bytes = header(world.revision(), &sha256(&body));
    let signature = key.sign(&bytes);
    bytes.extend_from_slice(&signature);
    bytes.extend_from_slice(&body);
    replace(
        &directory.join(format!("{:020}.{EXTENSION}", world.revision().0)),
        &bytes,
    )?;
    for old in list(directory)?.into_iter().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(())
}

/// The newest snapshot that is as its writer made it. The World is empty when there is none.
pub(crate) fn newest(directory: &Path, key: &LogKey) -> World {
    let paths = list(directory).unwrap_or_default();
    let mut readable = paths.into_iter().filter_map(|path| match read(&path, key) {
        Ok(world) => Some(world),
        Err(why) => {
            tracing::warn!(path = %path.display(), why, "a snapshot of the World is of no use; trying an older one");
            None
        }
    });
    readable.next().unwrap_or_default()
}

fn sha256(body: &[u8]) -> Digest {
    digest(&SHA256, body)
}

fn header(revision: Revision, body: &Digest) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend_from_slice(&revision.0.to_be_bytes());
    bytes.extend_from_slice(body.as_ref());
    bytes
}

fn read(path: &Path, key: &LogKey) -> Result<World, &'static str> {
    let bytes = fs::read(path).map_err(|_| "it cannot be read")?;
    let (head, body) = bytes.split_at_checked(HEADER_BYTES).ok_or("it is too short")?;
    let (signed, signature) = head.split_at_checked(SIGNED_BYTES).ok_or("it is too short")?;
    // Of 100,000 agents each takes a good part of the start; neither needs the other.
    let (world, hash) = std::thread::scope(|scope| {
        let hash = scope.spawn(|| sha256(body));
        (postcard::from_bytes::<World>(body), hash.join())
    });
    let hash = hash.map_err(|_| "it cannot be hashed")?;
    let world = world.map_err(|_| "it is of another format")?;
    if header(world.revision(), &hash) != signed {
        return Err("it is of another format, or was altered");
    }
    if key.verifies(signed, signature) {
        Ok(world)
    } else {
        Err("the log's key did not sign it")
    }
}

/// All snapshots, newest first.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    paths.sort_unstable_by(|a, b| b.cmp(a));
    Ok(paths)
}
