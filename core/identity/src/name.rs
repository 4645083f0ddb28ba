//! Short human-given names, and audiences.

use crate::text::parsed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A name that people give to an org, agent, upstream, tenant, action or purpose: 1 to 63 characters, lower-case
/// letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit. ASCII only, so no two names look
/// alike and are different.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty or longer than 63 bytes, the limit of a DNS label.
    #[error("a name has 1 to 63 characters")]
    Length,
    /// Outside `[a-z0-9._-]`.
    #[error("a name holds only a-z, 0-9, '.', '_' and '-'; found {0:?}")]
    Character(char),
    /// `.`, `_` or `-` at an end.
    #[error("a name begins and ends with a letter or digit")]
    Edge,
    /// Taken by SPIFFE paths of our own.
    #[error("\"{0}\" is reserved")]
    Reserved(&'static str),
}

/// Path segments of our own SPIFFE IDs: nobody may be called so.
const RESERVED: [&str; 4] = ["agent", "svc", "tabard", "node"];

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Refuses, besides malformed names, words that our own SPIFFE paths use. For orgs and agents.
    pub fn unreserved(text: &str) -> Result<Self, NameError> {
        match RESERVED.iter().find(|word| **word == text) {
            Some(word) => Err(NameError::Reserved(word)),
            None => text.parse(),
        }
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > 63 {
            return Err(NameError::Length);
        }
        if let Some(odd) = text
            .chars()
            .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-'))
        {
            return Err(NameError::Character(odd));
        }
        if text.starts_with(['.', '_', '-']) || text.ends_with(['.', '_', '-']) {
            return Err(NameError::Edge);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}
impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_ref().to_owned()
    }
}
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from)
    }
}
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Who may accept a credential (`aud`): 1 to 255 visible ASCII characters. Compared byte for byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Audience(Arc<str>);

/// Why a text is not an [`Audience`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AudienceError {
    /// Empty or longer than 255 bytes.
    #[error("an audience has 1 to 255 characters")]
    Length,
    /// A space, control or non-ASCII character.
    #[error("an audience holds only visible ASCII characters")]
    Character,
}

impl Audience {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Audience {
    type Err = AudienceError;
    fn from_str(text: &str) -> Result<Self, AudienceError> {
        if text.is_empty() || text.len() > 255 {
            return Err(AudienceError::Length);
        }
        if text.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(AudienceError::Character);
        }
        Ok(Self(text.into()))
    }
}
impl TryFrom<String> for Audience {
    type Error = AudienceError;
    fn try_from(text: String) -> Result<Self, AudienceError> {
        text.parse()
    }
}
impl From<Audience> for String {
    fn from(audience: Audience) -> Self {
        audience.0.as_ref().to_owned()
    }
}
impl From<&Name> for Audience {
    fn from(name: &Name) -> Self {
        Self(name.0.clone())
    }
}
impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from)
    }
}
impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_ascii() {
        assert!("demo-billing".parse::<Name>().is_ok());
        assert_eq!("démo".parse::<Name>(), Err(NameError::Character('é')));
        assert_eq!("".parse::<Name>(), Err(NameError::Length));
        assert_eq!("-a".parse::<Name>(), Err(NameError::Edge));
        assert_eq!("a/b".parse::<Name>(), Err(NameError::Character('/')));
        assert_eq!("x".repeat(64).parse::<Name>(), Err(NameError::Length));
        assert_eq!(Name::unreserved("agent"), Err(NameError::Reserved("agent")));
    }

    #[test]
    fn audiences_are_visible_ascii() {
        assert!("https://api.example/invoices".parse::<Audience>().is_ok());
        assert_eq!("a b".parse::<Audience>(), Err(AudienceError::Character));
    }
}
