//! A note with its signatures.

use super::{NoteKey, NoteKeyError, NoteSigner};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;

/// Most signatures of a note. The specification asks for at least 16; a log has its own and those of its witnesses.
pub const SIGNATURES_MAX: usize = 64;
/// Longest note in bytes: 64 post-quantum signatures of 3.3 KB in base64, and room.
pub const NOTE_BYTES_MAX: usize = 512 * 1024;
/// Every signature line begins so: em dash, space.
const DASH: &str = "\u{2014} ";

/// Why bytes are not a note, or not one to believe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Too long.
    #[error("a note has at most 524288 bytes")]
    TooLong,
    /// Not text: not UTF-8, or with a control character other than newline.
    #[error("a note is UTF-8 text without control characters")]
    NotText,
    /// No empty line between text and signatures, or no newline at an end.
    #[error("a note is text, an empty line, and signature lines, each ending in a newline")]
    Form,
    /// A line that is no signature.
    #[error("a signature line is \"— <name> <base64 of 4 bytes and the signature>\"")]
    SignatureLine,
    /// Too many signatures.
    #[error("a note has at most 64 signatures")]
    TooManySignatures,
    /// None is by the wanted key.
    #[error("the note is not signed by {0}")]
    Unsigned(String),
    /// One is said to be by the wanted key, and is not.
    #[error("the signature by {0} is not valid")]
    BadSignature(String),
    /// The signer's name cannot stand in a note.
    #[error(transparent)]
    Key(#[from] NoteKeyError),
}

/// One signature line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub id: u32,
    /// The signature, of the length its type asks for.
    pub signature: Vec<u8>,
}

/// A note as parsed: nothing in it is proven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// The text of a note whose signature by a known key was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct VerifiedText(String);

impl VerifiedText {
    /// The text, which ends in a newline.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SignedNote {
    /// Signs `text`, which ends in a newline.
    pub fn sign<S: NoteSigner + ?Sized>(text: String, signer: &S) -> Result<Self, NoteError> {
        let key = NoteKey::of(signer)?;
        if !text.ends_with('\n') {
            return Err(NoteError::Form);
        }
        let odd = |c: char| c < ' ' && c != '\n';
        if text.contains(odd) {
            return Err(NoteError::NotText);
        }
        let signature = NoteSignature {
            name: key.name().to_owned(),
            id: key.id(),
            signature: signer.sign(text.as_bytes()).to_vec(),
        };
        Ok(Self {
            text,
            signatures: vec![signature],
        })
    }

    /// Reads a note; verifies nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::NotText);
        }
        // The text may hold empty lines: the last one divides.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Form)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Form)?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(line.parse()?);
        }
        Ok(Self {
            text: format!("{text}\n"),
            signatures,
        })
    }

    /// The text, unproven.
    pub fn text_unverified(&self) -> &str {
        &self.text
    }
    /// All signature lines.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
    /// Adds a signature line, e.g. a witness's.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.len() == SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// Verifies that `key` signed the text. Lines by other keys are ignored; a line that claims to be by `key` and
    /// is not, or two of them, condemn the note.
    pub fn verify(&self, key: &NoteKey) -> Result<VerifiedText, NoteError> {
        let mut lines = self
            .signatures
            .iter()
            .filter(|line| line.name == key.name() && line.id == key.id());
        let Some(line) = lines.next() else {
            return Err(NoteError::Unsigned(key.name().to_owned()));
        };
        let genuine = key
            .public_key()
            .verify(self.text.as_bytes(), &line.signature)
            .is_ok();
        if genuine && lines.next().is_none() {
            Ok(VerifiedText(self.text.clone()))
        } else {
            Err(NoteError::BadSignature(key.name().to_owned()))
        }
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for line in &self.signatures {
            let mut bytes = line.id.to_be_bytes().to_vec();
            bytes.extend_from_slice(&line.signature);
            writeln!(f, "{DASH}{} {}", line.name, STANDARD.encode(bytes))?;
        }
        Ok(())
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;
    fn from_str(line: &str) -> Result<Self, NoteError> {
        let (name, encoded) = line
            .strip_prefix(DASH)
            .and_then(|rest| rest.split_once(' '))
            .ok_or(NoteError::SignatureLine)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::SignatureLine)?;
        match bytes.split_first_chunk::<4>() {
            Some((id, signature)) if !signature.is_empty() && !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                id: u32::from_be_bytes(*id),
                signature: signature.to_vec(),
            }),
            _ => Err(NoteError::SignatureLine),
        }
    }
}
