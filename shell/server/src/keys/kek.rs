//! The key-encryption key: what every other secret on disk is sealed under.
//!
//! It comes from a file outside the data directory, so that a copy of the data directory opens nothing. The file
//! holds 64 lower-case hex digits (`openssl rand -hex 32` makes one) and nobody but its owner may read it. Systemd
//! credentials are files too; TPM, PKCS#11 and KMS are not read here.

use crate::entropy::{NoEntropy, random};
use identity::Secret;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::{Zeroize as _, Zeroizing};

/// 64 hex digits and a newline; a larger file is something else.
const FILE_BYTES_MAX: u64 = 65;

/// 256 bits that seal and open the files of one installation.
#[derive(Debug)]
pub struct Kek(Secret<[u8; 32]>);

/// Why there is no key-encryption key.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// Missing or unreadable.
    #[error(
        "cannot read the key-encryption key {path}: {source}. Point keys.kek at the file, or restore it from where you keep it: without it no key of this installation can be opened"
    )]
    Unreadable {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("the key-encryption key {path} has mode {mode:03o}: others could read it. Run: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not 64 hex digits.
    #[error(
        "the key-encryption key {path} is not 64 lower-case hex digits. Make one with: openssl rand -hex 32"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// It lies where the files lie that it opens.
    #[error(
        "the key-encryption key {path} lies inside the data directory {data_dir}: a copy of the one would open the other. Move it out and change keys.kek"
    )]
    InsideData {
        /// The file.
        path: PathBuf,
        /// The data directory.
        data_dir: PathBuf,
    },
    /// No randomness for a new one.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl Kek {
    /// Reads the file at `path`, which must not lie inside `data_dir`.
    pub fn read(path: &Path, data_dir: &Path) -> Result<Self, KekError> {
        let unreadable = |source| KekError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let place = path.canonicalize().map_err(unreadable)?;
        if data_dir
            .canonicalize()
            .is_ok_and(|data_dir| place.starts_with(data_dir))
        {
            return Err(KekError::InsideData {
                path: path.to_owned(),
                data_dir: data_dir.to_owned(),
            });
        }
        let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KekError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(80));
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .map_err(unreadable)?;
        let malformed = || KekError::Malformed {
            path: path.to_owned(),
        };
        parse(text.strip_suffix(b"\n").unwrap_or(&text))
            .map(|key| Self(Secret::new(key)))
            .ok_or_else(malformed)
    }

    /// Reads the file, or makes it (mode 0600) when it does not exist. For development: in production a missing key
    /// is an error, because making a new one would leave everything that is already sealed shut.
    pub fn read_or_create(path: &Path, data_dir: &Path) -> Result<Self, KekError> {
        let unreadable = |source| KekError::Unreadable {
            path: path.to_owned(),
            source,
        };
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
        {
            Ok(mut file) => {
                let mut key: [u8; 32] = random()?;
                let text = Zeroizing::new(format!("{}\n", identity::Digest::from_bytes(key).hex()));
                key.zeroize();
                file.write_all(text.as_bytes())
                    .and_then(|()| file.sync_all())
                    .map_err(unreadable)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unreadable(error)),
        }
        Self::read(path, data_dir)
    }

    /// A key for a test.
    #[cfg(test)]
    pub(crate) const fn of(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    pub(super) const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

fn parse(hex: &[u8]) -> Option<[u8; 32]> {
    let nibble = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if hex.len() != 64 {
        return None;
    }
    let mut key = [0; 32];
    for (slot, pair) in key.iter_mut().zip(hex.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *slot = nibble(high)? << 4 | nibble(low)?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_new_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let (path, data) = (dir.path().join("kek"), dir.path().join("data"));
        let first = *Kek::read_or_create(&path, &data).unwrap().expose();
        assert_eq!(Kek::read_or_create(&path, &data).unwrap().expose(), &first);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_ne!(first, [0; 32]);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        Kek::read_or_create(&path, &dir.path().join("data")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = Kek::read(&path, &dir.path().join("data")).unwrap_err();
        assert!(matches!(error, KekError::Exposed { mode: 0o640, .. }), "{error}");
    }

    #[test]
    fn a_key_beside_what_it_opens_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = Kek::read_or_create(&dir.path().join("kek"), dir.path()).unwrap_err();
        assert!(matches!(error, KekError::InsideData { .. }), "{error}");
    }

    #[test]
    fn what_is_no_key_is_refused_and_a_missing_one_is_not_made_by_reading() {
        let dir = tempfile::tempdir().unwrap();
        let (path, data) = (dir.path().join("kek"), dir.path().join("data"));
        assert!(matches!(
            Kek::read(&path, &data),
            Err(KekError::Unreadable { .. })
        ));
        for text in ["", "00", &"g".repeat(64), &"AB".repeat(32), &"0".repeat(66)] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(
                matches!(Kek::read(&path, &data), Err(KekError::Malformed { .. })),
                "{text}"
            );
        }
    }
}
