//! Texts that people read in approvals, audits and the console.

use identity::legible::is_hidden;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest sentence in bytes: three lines on a screen.
const BYTES_MAX: usize = 300;

/// One sentence for people: 3 to 300 bytes on one line, without control, invisible or direction-changing
/// characters, so that what a reviewer sees is what is there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Sentence(Arc<str>);

/// Why a text is not a [`Sentence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SentenceError {
    /// Too short to say anything, or too long to be read.
    #[error("a sentence has 3 to 300 bytes")]
    Length,
    /// A space at an end.
    #[error("a sentence does not begin or end with a space")]
    Edge,
    /// A character that a reader cannot see or that reorders others.
    #[error("a sentence holds no control, invisible or direction-changing character; found U+{0:04X}")]
    Character(u32),
}

impl Sentence {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sentence {
    type Err = SentenceError;
    fn from_str(text: &str) -> Result<Self, SentenceError> {
        if text.len() < 3 || text.len() > BYTES_MAX {
            return Err(SentenceError::Length);
        }
        if let Some(hidden) = text.chars().find(|c| is_hidden(*c)) {
            return Err(SentenceError::Character(hidden.into()));
        }
        if text.trim() != text {
            return Err(SentenceError::Edge);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Sentence {
    fn schema_name() -> Cow<'static, str> {
        "Sentence".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One sentence for people, on one line.",
            "type": "string",
            "minLength": 3,
            "maxLength": BYTES_MAX,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reviewer_cannot_see_is_refused() {
        assert!("Lädt Rechnungen für den Abgleich.".parse::<Sentence>().is_ok());
        assert_eq!(
            "pay \u{202e}eno".parse::<Sentence>(),
            Err(SentenceError::Character(0x202e))
        );
        assert_eq!(
            "two\nlines".parse::<Sentence>(),
            Err(SentenceError::Character(0x0a))
        );
        assert_eq!("  x".parse::<Sentence>(), Err(SentenceError::Edge));
        assert_eq!("x".repeat(301).parse::<Sentence>(), Err(SentenceError::Length));
    }
}
