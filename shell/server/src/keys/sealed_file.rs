//! One secret in one file: AES-256-GCM under the key-encryption key, with a fresh random nonce, and everything the
//! file says about itself as additional data. A file that was renamed, relabelled or altered does not open.
//!
//! The file is JSON, so that an operator can see what it is without opening it. Random 96-bit nonces are safe for
//! 2^32 sealings under one key (NIST SP 800-38D section 8.3); an installation makes a few thousand.

use super::kek::Kek;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::UnixTime;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The layout this code writes and reads.
const FORMAT: u32 = 1;
/// Largest sealed file in bytes: an upstream secret of 64 KiB in base64, with room for the label.
const FILE_BYTES_MAX: u64 = 96 * 1024;
/// Largest secret in bytes: a PEM bundle or a service account file; keys have under 200.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// What a sealed file says about itself, in clear and protected against change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// What the secret is for; a file of one purpose does not open as another.
    pub purpose: String,
    /// The key's name, or the secret's.
    pub kid: String,
    /// When it was sealed, milliseconds since 1970.
    pub created: UnixTime,
    /// The certificate that belongs to the key, in base64 DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: u32,
    label: Label,
    nonce: String,
    sealed: String,
}

/// Why a sealed file could not be written or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file system said no.
    #[error("cannot use the sealed file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a sealed file of a known format, or larger than 96 KiB.
    #[error(
        "{path} is not a sealed file of format {FORMAT}. Restore it from a backup; a newer release may have written it"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// Another purpose or name than asked for: the file was renamed or swapped.
    #[error(
        "{path} holds \"{found}\", not \"{wanted}\": files under keys/ were renamed or swapped. Restore them from a backup"
    )]
    Mislabelled {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: String,
        /// What the label says.
        found: String,
    },
    /// The key-encryption key does not open it, or it was altered.
    #[error(
        "{path} does not open: it was sealed under another key-encryption key, or altered. Point keys.kek at the key of this installation"
    )]
    Shut {
        /// The file.
        path: PathBuf,
    },
    /// A secret over 64 KiB.
    #[error("a secret has at most {SECRET_BYTES_MAX} bytes")]
    TooLarge,
    /// The crypto library failed to seal.
    #[error("sealing failed; the random source may be broken")]
    Sealing,
}

/// Seals `secret` into the file `path`, atomically: a crash leaves the old file or the new one.
pub(crate) fn write(path: &Path, kek: &Kek, label: &Label, secret: &[u8]) -> Result<(), SealError> {
    if secret.len() > SECRET_BYTES_MAX {
        return Err(SealError::TooLarge);
    }
    let key = RandomizedNonceKey::new(&AES_256_GCM, kek.expose()).map_err(|_| SealError::Sealing)?;
    let mut sealed = Zeroizing::new(secret.to_vec());
    let nonce = key
        .seal_in_place_append_tag(Aad::from(additional(label)?), &mut *sealed)
        .map_err(|_| SealError::Sealing)?;
    let wire = Wire {
        format: FORMAT,
        label: label.clone(),
        nonce: STANDARD.encode(nonce.as_ref()),
        sealed: STANDARD.encode(&*sealed),
    };
    let text = serde_json::to_vec_pretty(&wire).map_err(|_| SealError::Sealing)?;
    replace(path, &text).map_err(|source| SealError::File {
        path: path.to_owned(),
        source,
    })
}

/// Opens the file `path`, which must be of `purpose`.
pub(crate) fn read(path: &Path, kek: &Kek, purpose: &str) -> Result<(Label, Zeroizing<Vec<u8>>), SealError> {
    let file_error = |source| SealError::File {
        path: path.to_owned(),
        source,
    };
    let malformed = || SealError::Malformed {
        path: path.to_owned(),
    };
    let shut = || SealError::Shut {
        path: path.to_owned(),
    };
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text))
        .map_err(file_error)?;
    let wire: Wire = serde_json::from_slice(&text).map_err(|_| malformed())?;
    if wire.format != FORMAT || text.len() as u64 > FILE_BYTES_MAX {
        return Err(malformed());
    }
    if wire.label.purpose != purpose {
        return Err(SealError::Mislabelled {
            path: path.to_owned(),
            wanted: purpose.to_owned(),
            found: wire.label.purpose,
        });
    }
    let nonce: [u8; NONCE_LEN] = STANDARD
        .decode(&wire.nonce)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(malformed)?;
    let mut bytes = Zeroizing::new(STANDARD.decode(&wire.sealed).map_err(|_| malformed())?);
    let key = RandomizedNonceKey::new(&AES_256_GCM, kek.expose()).map_err(|_| shut())?;
    let opened = key
        .open_in_place(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(additional(&wire.label)?),
            &mut bytes,
        )
        .map_err(|_| shut())?
        .len();
    bytes.truncate(opened);
    Ok((wire.label, bytes))
}

/// Makes a folder that only its owner can enter.
pub(crate) fn private_folder(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

fn additional(label: &Label) -> Result<Vec<u8>, SealError> {
    serde_json::to_vec(&(FORMAT, label)).map_err(|_| SealError::Sealing)
}

fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(purpose: &str) -> Label {
        Label {
            purpose: purpose.into(),
            kid: "k".into(),
            created: UnixTime::from_secs(1),
            certificate: None,
        }
    }

    #[test]
    fn what_was_sealed_opens_and_is_nowhere_in_clear() {
        let dir = tempfile::tempdir().unwrap();
        let (path, kek) = (dir.path().join("a.sealed"), Kek::of([7; 32]));
        write(&path, &kek, &label("a"), b"canary-secret").unwrap();
        let (found, secret) = read(&path, &kek, "a").unwrap();
        assert_eq!(
            (found, secret.as_slice()),
            (label("a"), b"canary-secret".as_slice())
        );
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("canary") && !text.contains(&STANDARD.encode("canary-secret")));
    }

    #[test]
    fn no_two_sealings_share_a_nonce() {
        let dir = tempfile::tempdir().unwrap();
        let kek = Kek::of([7; 32]);
        let nonces: std::collections::HashSet<String> = (0..50)
            .map(|_| {
                let path = dir.path().join("a.sealed");
                write(&path, &kek, &label("a"), b"x").unwrap();
                let wire: Wire = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                wire.nonce
            })
            .collect();
        assert_eq!(nonces.len(), 50);
    }

    #[test]
    fn a_file_of_another_purpose_or_key_or_with_a_changed_label_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let (path, kek) = (dir.path().join("a.sealed"), Kek::of([7; 32]));
        write(&path, &kek, &label("a"), b"x").unwrap();
        assert!(matches!(
            read(&path, &kek, "b"),
            Err(SealError::Mislabelled { .. })
        ));
        assert!(matches!(
            read(&path, &Kek::of([8; 32]), "a"),
            Err(SealError::Shut { .. })
        ));
        let text = std::fs::read_to_string(&path).unwrap();
        for (from, to) in [("\"a\"", "\"b\""), ("\"k\"", "\"j\""), ("1000", "1001")] {
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            let purpose = if to == "\"b\"" { "b" } else { "a" };
            assert!(
                matches!(read(&path, &kek, purpose), Err(SealError::Shut { .. })),
                "{to}"
            );
        }
        std::fs::write(&path, text.replacen("\"format\": 1", "\"format\": 2", 1)).unwrap();
        assert!(matches!(read(&path, &kek, "a"), Err(SealError::Malformed { .. })));
    }

    #[test]
    fn a_secret_has_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let large = vec![0; SECRET_BYTES_MAX + 1];
        let result = write(&dir.path().join("a"), &Kek::of([7; 32]), &label("a"), &large);
        assert!(matches!(result, Err(SealError::TooLarge)));
    }
}
