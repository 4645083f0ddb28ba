//! The signed head of a log: C2SP tlog-checkpoint, <https://c2sp.org/tlog-checkpoint>.
//!
//! A note of three lines: origin, size, root. Whoever keeps one can later prove that the log only grew since, or
//! that it was cut or rewritten. Extension lines are refused: nobody could audit them.

use crate::note::{NoteError, NoteKey, NoteSigner, SignedNote};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::{Digest, LogId, TrustDomain};
use std::fmt;
use std::str::FromStr;

/// Which tree: origin, size and root. Proven only inside a [`VerifiedCheckpoint`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The log's name: `dev.tabard/log/0`.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// The root over them (RFC 6962).
    pub root: Digest,
}

/// Why bytes are not a checkpoint of the expected log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note, or not one to believe.
    #[error("the checkpoint is not to be believed: {0}")]
    Note(#[from] NoteError),
    /// Not three lines of the right form.
    #[error("a checkpoint is three lines: origin, size in decimal digits, root in base64")]
    Form,
    /// Of another log than the key's.
    #[error("the checkpoint is of {found}, not of {wanted}")]
    Origin {
        /// The log it says.
        found: String,
        /// The key's name.
        wanted: String,
    },
}

/// The name of a log in checkpoints: `<trust domain>/log/<number>`.
pub fn origin(domain: &TrustDomain, log: LogId) -> String {
    format!("{domain}/log/{}", log.0)
}

/// The number of the log in an origin made by [`origin`].
pub fn log_of_origin(origin: &str) -> Option<LogId> {
    let (_, number) = origin.rsplit_once("/log/")?;
    let log = LogId(number.parse().ok()?);
    (log.0.to_string() == number).then_some(log)
}

/// A checkpoint whose signature by the log's key was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct VerifiedCheckpoint(Checkpoint);

impl VerifiedCheckpoint {
    /// What the log signed.
    pub const fn get(&self) -> &Checkpoint {
        &self.0
    }
}

impl Checkpoint {
    /// Signs it with the log's key, whose name is the origin.
    pub fn sign<S: NoteSigner + ?Sized>(&self, signer: &S) -> Result<SignedNote, CheckpointError> {
        if signer.name() != self.origin {
            return Err(CheckpointError::Origin {
                found: self.origin.clone(),
                wanted: signer.name().to_owned(),
            });
        }
        Ok(SignedNote::sign(self.to_string(), signer)?)
    }
}

/// Verifies a signed checkpoint with the log's key, which the verifier got elsewhere.
pub fn verify_checkpoint(note: &[u8], key: &NoteKey) -> Result<VerifiedCheckpoint, CheckpointError> {
    verify_checkpoint_note(&SignedNote::parse(note)?, key)
}

/// The same for a note that has been parsed.
pub fn verify_checkpoint_note(
    note: &SignedNote,
    key: &NoteKey,
) -> Result<VerifiedCheckpoint, CheckpointError> {
    let checkpoint: Checkpoint = note.verify(key)?.as_str().parse()?;
    if checkpoint.origin == key.name() {
        Ok(VerifiedCheckpoint(checkpoint))
    } else {
        Err(CheckpointError::Origin {
            found: checkpoint.origin,
            wanted: key.name().to_owned(),
        })
    }
}

impl fmt::Display for Checkpoint {
    /// The text that is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = STANDARD.encode(self.root.as_bytes());
        write!(f, "{}\n{}\n{root}\n", self.origin, self.size)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<&str> = text.split('\n').collect();
        let [origin, size, root, ""] = lines.as_slice() else {
            return Err(CheckpointError::Form);
        };
        let root = STANDARD.decode(root).map_err(|_| CheckpointError::Form)?;
        let checkpoint = Self {
            origin: (*origin).to_owned(),
            size: size.parse().map_err(|_| CheckpointError::Form)?,
            root: Digest::from_bytes(root.try_into().map_err(|_| CheckpointError::Form)?),
        };
        // Leading zeros and plus signs read as the same number but are another text.
        if checkpoint.to_string() == text && !origin.is_empty() {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::Form)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::empty_root;
    use crate::test_key::TestKey;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "dev.tabard/log/0".into(),
            size: 20_852_163,
            root: empty_root(),
        }
    }

    /// Ed25519 is deterministic: the bytes are frozen. Checked with an independent verifier, see docs/reference/log.md.
    #[test]
    fn a_signed_checkpoint_is_frozen_and_verifies() {
        let key = TestKey::new("dev.tabard/log/0", 1);
        let note = checkpoint().sign(&key).unwrap().to_string();
        insta::assert_snapshot!(format!("{}\n{note}", key.vkey()));
        assert_eq!(
            verify_checkpoint(note.as_bytes(), &key.vkey()).unwrap().get(),
            &checkpoint()
        );
    }

    #[test]
    fn a_checkpoint_of_another_log_is_refused() {
        let key = TestKey::new("dev.tabard/log/1", 1);
        assert!(matches!(
            checkpoint().sign(&key),
            Err(CheckpointError::Origin { .. })
        ));
        let note = SignedNote::sign(checkpoint().to_string(), &key).unwrap();
        let verified = verify_checkpoint(note.to_string().as_bytes(), &key.vkey());
        assert!(matches!(verified, Err(CheckpointError::Origin { .. })));
    }

    #[test]
    fn other_spellings_and_extension_lines_are_refused() {
        let text = checkpoint().to_string();
        for bad in [
            text.replace("\n20", "\n020"),
            text.replace("\n20", "\n+20"),
            text.replace("\n20", "\n-20"),
            text.replace("=\n", "=\nextension\n"),
            text.replace("=\n", "\n"),
            text.replace("dev.tabard/log/0", ""),
            text.trim_end().to_owned(),
        ] {
            assert_eq!(bad.parse::<Checkpoint>(), Err(CheckpointError::Form), "{bad}");
        }
    }

    #[test]
    fn an_origin_names_the_log() {
        let domain: TrustDomain = "dev.tabard".parse().unwrap();
        assert_eq!(origin(&domain, LogId(3)), "dev.tabard/log/3");
        assert_eq!(log_of_origin("dev.tabard/log/3"), Some(LogId(3)));
        assert_eq!(log_of_origin("dev.tabard/log/03"), None);
        assert_eq!(log_of_origin("dev.tabard/3"), None);
    }
}
