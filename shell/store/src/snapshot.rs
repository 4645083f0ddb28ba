//! The World, or the Ledger, as one file, so that opening does not replay everything since the beginning.
//!
//! A snapshot is a cache: losing it costs time. But it is believed without looking at what came before it, so it is
//! signed with the log's key; one that is unreadable, of another format, altered, or signed by anybody else is passed
//! over for an older one, or for the whole history.
//!
//! ```text
//! "tabard world\n" · format u32 · number u64 · SHA-256 of the body · Ed25519 over all before · body
//! ```

use crate::directory::replace;
use crate::log_key::LogKey;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use broker::World;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a snapshot can be of.
pub(crate) trait Content: Sized + Send {
    /// How the file begins; ends with a newline.
    const MAGIC: &'static [u8];
    /// Raise it whenever a type inside changes its shape.
    const FORMAT: u32;
    /// How the file's name ends.
    const EXTENSION: &'static str;
    /// Rises with everything that happens.
    fn number(&self) -> u64;
    /// The body.
    fn encode(&self) -> io::Result<Vec<u8>>;
    /// The opposite; `None` for bytes of another format.
    fn decode(body: &[u8]) -> Option<Self>;
}

impl Content for World {
    const MAGIC: &'static [u8] = b"tabard world\n";
    // postcard is not self-describing: any other shape of a type is another format.
    const FORMAT: u32 = 11;
    const EXTENSION: &'static str = "world";
    fn number(&self) -> u64 {
        self.revision().0
    }
    fn encode(&self) -> io::Result<Vec<u8>> {
        postcard::to_stdvec(self).map_err(io::Error::other)
    }
    fn decode(body: &[u8]) -> Option<Self> {
        postcard::from_bytes(body).ok()
    }
}

/// Format, number, digest.
const AFTER_MAGIC_BYTES: usize = 4 + 8 + 32;
const SIGNATURE_BYTES: usize = 64;
/// Snapshots kept: the newest, and one to fall back to.
const KEPT: usize = 2;

/// Writes a snapshot and removes those that are too old to be of use. Says how many bytes it takes.
pub(crate) fn write<C: Content>(directory: &Path, content: &C, key: &LogKey) -> io::Result<usize> {
    let body = content.encode()?;
    let mut bytes = header::<C>(content.number(), &sha256(&body));
    let signature = key.sign(&bytes);
    bytes.extend_from_slice(&signature);
    bytes.extend_from_slice(&body);
    let name = format!("{:020}.{}", content.number(), C::EXTENSION);
    replace(&directory.join(name), &bytes)?;
    for old in list::<C>(directory)?.into_iter().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(bytes.len())
}

/// The newest snapshot that is as its writer made it.
pub(crate) fn newest<C: Content>(directory: &Path, key: &LogKey) -> Option<C> {
    let paths = list::<C>(directory).unwrap_or_default();
    paths.into_iter().find_map(|path| match read(&path, key) {
        Ok(content) => Some(content),
        Err(why) => {
            tracing::warn!(path = %path.display(), why, "a snapshot is of no use; trying an older one");
            None
        }
    })
}

fn sha256(body: &[u8]) -> Digest {
    digest(&SHA256, body)
}

fn header<C: Content>(number: u64, body: &Digest) -> Vec<u8> {
    let mut bytes = C::MAGIC.to_vec();
    bytes.extend_from_slice(&C::FORMAT.to_be_bytes());
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(body.as_ref());
    bytes
}

fn read<C: Content>(path: &Path, key: &LogKey) -> Result<C, &'static str> {
    let bytes = fs::read(path).map_err(|_| "it cannot be read")?;
    let signed_bytes = C::MAGIC.len() + AFTER_MAGIC_BYTES;
    let (signed, rest) = bytes.split_at_checked(signed_bytes).ok_or("it is too short")?;
    let (signature, body) = rest.split_at_checked(SIGNATURE_BYTES).ok_or("it is too short")?;
    // Of 100,000 agents each takes a good part of the start; neither needs the other.
    let (content, hash) = std::thread::scope(|scope| {
        let hash = scope.spawn(|| sha256(body));
        (C::decode(body), hash.join())
    });
    let hash = hash.map_err(|_| "it cannot be hashed")?;
    let content = content.ok_or("it is of another format")?;
    if header::<C>(content.number(), &hash) != signed {
        return Err("it is of another format, or was altered");
    }
    if key.verifies(signed, signature) {
        Ok(content)
    } else {
        Err("the log's key did not sign it")
    }
}

/// All snapshots, newest first.
fn list<C: Content>(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == C::EXTENSION)
    });
    paths.sort_unstable_by(|a, b| b.cmp(a));
    Ok(paths)
}
