//! SPIFFE IDs and trust domains (SPIFFE-ID sections 2.1 to 2.4).
//!
//! Strict on purpose: what parses here is exactly what compares equal byte for byte.

use crate::text::parsed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest SPIFFE ID in bytes (SPIFFE-ID section 2.3).
const ID_BYTES_MAX: usize = 2048;
/// Longest trust domain in bytes (SPIFFE-ID section 2.3).
const TRUST_DOMAIN_BYTES_MAX: usize = 255;
const SCHEME: &str = "spiffe://";

/// Why a text is not a SPIFFE ID or a trust domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// Section 2: the scheme is `spiffe`.
    #[error("a SPIFFE ID starts with \"spiffe://\"")]
    Scheme,
    /// Section 2.1: the trust domain is not empty.
    #[error("the trust domain is empty")]
    EmptyTrustDomain,
    /// Section 2.1: `[a-z0-9._-]`; so no port, no user info, no percent-encoding.
    #[error("a trust domain holds only a-z, 0-9, '.', '_' and '-'")]
    TrustDomainCharacter,
    /// Section 2.3.
    #[error("a trust domain has at most 255 bytes and a SPIFFE ID at most 2048")]
    TooLong,
    /// Section 2.2: `[a-zA-Z0-9._-]`; so no percent-encoding, query or fragment.
    #[error("a path segment holds only a-z, A-Z, 0-9, '.', '_' and '-'")]
    PathCharacter,
    /// Section 2.2: no empty segment, no trailing slash.
    #[error("a path has no empty segment and no trailing slash")]
    EmptySegment,
    /// Section 2.2: no `.` or `..`.
    #[error("a path has no '.' or '..' segment")]
    DotSegment,
}

/// The namespace of one root of trust. Canonical: lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// The bare name, e.g. `dev.tabard`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The SPIFFE ID without a path, as signing authorities carry it.
    pub fn id(&self) -> SpiffeId {
        SpiffeId {
            text: format!("{SCHEME}{}", self.0).into(),
            domain_len: self.0.len(),
        }
    }
    /// The SPIFFE ID `spiffe://<self>/<segments joined by slashes>`.
    pub fn id_of(&self, segments: &[&str]) -> Result<SpiffeId, SpiffeIdError> {
        format!("{SCHEME}{}/{}", self.0, segments.join("/")).parse()
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeIdError;
    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        if text.is_empty() {
            return Err(SpiffeIdError::EmptyTrustDomain);
        }
        if text.len() > TRUST_DOMAIN_BYTES_MAX {
            return Err(SpiffeIdError::TooLong);
        }
        let in_lower_case = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if text.bytes().all(in_lower_case) {
            return Ok(Self(text.into()));
        }
        let lower = text.to_ascii_lowercase();
        if lower.bytes().all(in_lower_case) {
            Ok(Self(lower.into()))
        } else {
            Err(SpiffeIdError::TrustDomainCharacter)
        }
    }
}
impl TryFrom<String> for TrustDomain {
    type Error = SpiffeIdError;
    fn try_from(text: String) -> Result<Self, SpiffeIdError> {
        text.parse()
    }
}
impl From<TrustDomain> for String {
    fn from(domain: TrustDomain) -> Self {
        domain.0.as_ref().to_owned()
    }
}
impl Serialize for TrustDomain {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for TrustDomain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from)
    }
}
impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A SPIFFE ID in canonical form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    text: Arc<str>,
    domain_len: usize,
}

impl SpiffeId {
    /// The whole URI.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// The trust domain's name.
    pub fn trust_domain(&self) -> &str {
        self.text
            .get(SCHEME.len()..SCHEME.len() + self.domain_len)
            .unwrap_or_default()
    }
    /// The path with its leading slash; empty for a trust domain's own ID.
    pub fn path(&self) -> &str {
        self.text
            .get(SCHEME.len() + self.domain_len..)
            .unwrap_or_default()
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;
    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        if text.len() > ID_BYTES_MAX {
            return Err(SpiffeIdError::TooLong);
        }
        let scheme = text.get(..SCHEME.len()).ok_or(SpiffeIdError::Scheme)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(SpiffeIdError::Scheme);
        }
        let rest = text.get(SCHEME.len()..).ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let domain: TrustDomain = domain.parse()?;
        for segment in path.split('/').skip(1) {
            match segment {
                "" => return Err(SpiffeIdError::EmptySegment),
                "." | ".." => return Err(SpiffeIdError::DotSegment),
                _ if segment
                    .bytes()
                    .any(|b| !b.is_ascii_alphanumeric() && !b"._-".contains(&b)) =>
                {
                    return Err(SpiffeIdError::PathCharacter);
                }
                _ => {}
            }
        }
        let domain_len = domain.0.len();
        let is_canonical = scheme == SCHEME && rest.starts_with(domain.as_str());
        Ok(Self {
            text: if is_canonical {
                text.into()
            } else {
                format!("{SCHEME}{domain}{path}").into()
            },
            domain_len,
        })
    }
}
impl TryFrom<String> for SpiffeId {
    type Error = SpiffeIdError;
    fn try_from(text: String) -> Result<Self, SpiffeIdError> {
        text.parse()
    }
}
impl From<SpiffeId> for String {
    fn from(id: SpiffeId) -> Self {
        id.text.as_ref().to_owned()
    }
}
impl Serialize for SpiffeId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for SpiffeId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from)
    }
}
impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_folded_and_the_path_is_not() {
        let id: SpiffeId = "SPIFFE://Dev.Tabard/Acme/agent/x".parse().unwrap();
        assert_eq!(id.as_str(), "spiffe://dev.tabard/Acme/agent/x");
        assert_eq!((id.trust_domain(), id.path()), ("dev.tabard", "/Acme/agent/x"));
    }

    #[test]
    fn the_bad_forms_of_the_standard_are_refused() {
        use SpiffeIdError::{
            DotSegment, EmptySegment, EmptyTrustDomain, PathCharacter, Scheme, TooLong, TrustDomainCharacter,
        };
        for (text, error) in [
            ("", Scheme),
            ("http://a/b", Scheme),
            ("spiffe://", EmptyTrustDomain),
            ("spiffe:///x", EmptyTrustDomain),
            ("spiffe://a:80/x", TrustDomainCharacter),
            ("spiffe://u@a/x", TrustDomainCharacter),
            ("spiffe://%61/x", TrustDomainCharacter),
            ("spiffe://a/", EmptySegment),
            ("spiffe://a//x", EmptySegment),
            ("spiffe://a/x/", EmptySegment),
            ("spiffe://a/./x", DotSegment),
            ("spiffe://a/../x", DotSegment),
            ("spiffe://a/%2e", PathCharacter),
            ("spiffe://a/x?q", PathCharacter),
            ("spiffe://a/x#f", PathCharacter),
            ("spiffe://a/ü", PathCharacter),
        ] {
            assert_eq!(text.parse::<SpiffeId>(), Err(error), "{text}");
        }
        assert_eq!(
            format!("spiffe://a/{}", "x".repeat(2048)).parse::<SpiffeId>(),
            Err(TooLong)
        );
        assert!(
            format!("spiffe://a/{}", "x".repeat(2037))
                .parse::<SpiffeId>()
                .is_ok()
        );
    }
}
