//! 32-byte digests and key thumbprints.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A SHA-256 digest. Written as lower-case hex with the prefix `sha256:`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest([u8; 32]);

const PREFIX: &str = "sha256:";
const HEX: &[u8; 16] = b"0123456789abcdef";
/// The prefix and 64 digits.
const TEXT_BYTES: usize = PREFIX.len() + 64;

/// Why a text is not a [`Digest`] or [`Thumbprint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// A digest starts with `sha256:`.
    #[error("a digest starts with \"sha256:\"")]
    Prefix,
    /// 32 bytes are 64 lower-case hex digits, or 43 base64url characters in a thumbprint.
    #[error("a digest is exactly 32 bytes")]
    Length,
    /// A character outside the alphabet.
    #[error("a digest holds only characters of its alphabet")]
    Alphabet,
}

impl Digest {
    /// Wraps the output of a SHA-256 computation.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
    /// 64 lower-case hex digits.
    pub fn hex(&self) -> String {
        self.text(&mut [0; TEXT_BYTES])
            .strip_prefix(PREFIX)
            .unwrap_or_default()
            .to_owned()
    }

    /// Writes its text into `room`: entries hold several digests, and formatting goes a long way round.
    fn text<'r>(&self, room: &'r mut [u8; TEXT_BYTES]) -> &'r str {
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = digits.map(|nibble| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
        for (slot, byte) in room.iter_mut().zip(PREFIX.bytes().chain(digits)) {
            *slot = byte;
        }
        std::str::from_utf8(room).unwrap_or_default()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; TEXT_BYTES]))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let hex = text.strip_prefix(PREFIX).ok_or(DigestError::Prefix)?.as_bytes();
        if hex.len() != 64 {
            return Err(DigestError::Length);
        }
        let nibble = |byte: &u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(DigestError::Alphabet),
        };
        let mut bytes = [0; 32];
        for (slot, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            let [high, low] = pair else {
                return Err(DigestError::Length);
            };
            *slot = nibble(high)? << 4 | nibble(low)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            to.serialize_str(self.text(&mut [0; TEXT_BYTES]))
        } else {
            self.0.serialize(to)
        }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            crate::text::parsed(from)
        } else {
            Ok(Self(<[u8; 32]>::deserialize(from)?))
        }
    }
}

/// A key's name: RFC 7638 SHA-256 JWK thumbprint (`jkt`), or RFC 8705 certificate thumbprint (`x5t#S256`).
/// Written as 43 characters of unpadded base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// Wraps the output of a SHA-256 computation.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Thumbprint {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| DigestError::Alphabet)?;
        Ok(Self(bytes.try_into().map_err(|_| DigestError::Length)?))
    }
}

impl TryFrom<String> for Thumbprint {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        thumbprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_round_trip_and_refuse_upper_case() {
        let digest = Digest::from_bytes([0xab; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(
            digest
                .to_string()
                .to_uppercase()
                .replace("SHA", "sha")
                .parse::<Digest>(),
            Err(DigestError::Alphabet)
        );
        assert_eq!("sha256:ab".parse::<Digest>(), Err(DigestError::Length));
        assert_eq!("ab".parse::<Digest>(), Err(DigestError::Prefix));
    }

    #[test]
    fn thumbprints_round_trip() {
        let thumbprint = Thumbprint::from_bytes([7; 32]);
        assert_eq!(thumbprint.to_string().len(), 43);
        assert_eq!(thumbprint.to_string().parse(), Ok(thumbprint));
        assert_eq!("AAAA".parse::<Thumbprint>(), Err(DigestError::Length));
    }
}
