//! The keys of signed notes.

use crate::merkle::sha256;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;

/// Ed25519 signatures over the note's text, in the signed-note registry of types.
const TYPE_ED25519: u8 = 0x01;

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

/// A signature that is not by this key over these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not by this key over these bytes")]
pub struct PublicKeyError;

impl PublicKey {
    /// The 32 bytes of RFC 8032 section 5.1.5.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
    /// Verifies a signature over `message`. Callers return what it proves.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), PublicKeyError> {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(message, signature)
            .map_err(|_| PublicKeyError)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

/// A key that signs notes: the shell has the private half, this crate asks it.
pub trait NoteSigner {
    /// The key's name: the log's origin, `dev.tabard/log/0`.
    fn name(&self) -> &str;
    /// The public half.
    fn public_key(&self) -> PublicKey;
    /// The Ed25519 signature (RFC 8032) over `message`.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// The public key of a note's signer with its name, as verifiers keep it. Written
/// `dev.tabard/log/0+8c3f5a01+AQ…`: name, key id in 8 hex digits, base64 of the type and the key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NoteKey {
    name: String,
    id: u32,
    key: PublicKey,
}

/// Why a text is not a [`NoteKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteKeyError {
    /// Not three parts.
    #[error("a verifier key is <name>+<8 hex digits>+<base64>")]
    Form,
    /// A name with a space, a plus or a control character, or none.
    #[error("a key's name is not empty and holds no space, plus or control character")]
    Name,
    /// Another type of key.
    #[error("the key is not an Ed25519 key (type 0x01, 32 bytes)")]
    Type,
    /// The id does not follow from name and key: a part was mistyped or exchanged.
    #[error("the key id does not belong to this name and key")]
    Id,
}

impl NoteKey {
    /// The key of `name`.
    pub fn new(name: &str, key: PublicKey) -> Result<Self, NoteKeyError> {
        let well_formed = !name.is_empty()
            && !name
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || c == '+');
        if !well_formed {
            return Err(NoteKeyError::Name);
        }
        let id = sha256(&[name.as_bytes(), b"\n", &[TYPE_ED25519], &key.0]);
        let [a, b, c, d, ..] = *id.as_bytes();
        Ok(Self {
            name: name.to_owned(),
            id: u32::from_be_bytes([a, b, c, d]),
            key,
        })
    }
    /// The public half of a signer's key.
    pub fn of<S: NoteSigner + ?Sized>(signer: &S) -> Result<Self, NoteKeyError> {
        Self::new(signer.name(), signer.public_key())
    }
    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The key id: the first four bytes of SHA-256 over name, newline, type and key.
    pub const fn id(&self) -> u32 {
        self.id
    }
    /// The key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.key
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = vec![TYPE_ED25519];
        typed.extend_from_slice(&self.key.0);
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(typed))
    }
}

impl FromStr for NoteKey {
    type Err = NoteKeyError;
    fn from_str(text: &str) -> Result<Self, NoteKeyError> {
        // Base64 may hold a plus itself, a name may not.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteKeyError::Form);
        };
        let typed = STANDARD.decode(key).map_err(|_| NoteKeyError::Form)?;
        let [TYPE_ED25519, key @ ..] = typed.as_slice() else {
            return Err(NoteKeyError::Type);
        };
        let key = PublicKey(key.try_into().map_err(|_| NoteKeyError::Type)?);
        let parsed = Self::new(name, key)?;
        if format!("{:08x}", parsed.id) == id {
            Ok(parsed)
        } else {
            Err(NoteKeyError::Id)
        }
    }
}
