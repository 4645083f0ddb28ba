//! Signed notes: C2SP signed-note, <https://c2sp.org/signed-note>, with Ed25519 keys (type 0x01).
//!
//! A note is text that ends in a newline, an empty line, and signature lines `— <key name> <base64>`. Its verifier
//! knows its keys beforehand, as text `<name>+<key id>+<base64>`; a key that travels with the note proves nothing.
//! Signatures by unknown keys are ignored, so that witnesses and the next log key can sign as well.

mod key;
mod signed;

#[cfg(test)]
mod tests;

pub use key::{NoteKey, NoteKeyError, NoteSigner, PublicKey, PublicKeyError};
pub use signed::{NOTE_BYTES_MAX, NoteError, NoteSignature, SIGNATURES_MAX, SignedNote, VerifiedText};
