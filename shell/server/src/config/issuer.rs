//! The issuer: the URL that is `iss` in every credential (RFC 8414 section 2).
//!
//! Compared byte for byte by everybody, so it has one spelling: `https://host[:port]` in lower case, no path, no
//! trailing slash. RFC 8414 would allow a path; one issuer per installation needs none, and without one there is
//! no question where the well-known documents lie.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest issuer in bytes: vendors store it in 255.
const ISSUER_BYTES_MAX: usize = 255;

/// An issuer URL.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Issuer(Arc<str>);

/// Why a text is no issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// RFC 8414 section 2.
    #[error("the issuer starts with \"https://\"")]
    Scheme,
    /// Credentials and vendors limit it.
    #[error("the issuer has at most 255 bytes")]
    TooLong,
    /// RFC 8414 section 2, and our own rule of one spelling.
    #[error(
        "the issuer is https://host or https://host:port in lower case: no path, trailing slash, query, fragment or user"
    )]
    Form,
}

impl Issuer {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The host, without port and brackets.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.split_once(':').map_or(authority, |(host, _)| host),
        }
    }
    /// The URL of an endpoint: `path` starts with a slash.
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
    /// Host and port as the `Host` header carries them.
    pub fn authority(&self) -> &str {
        self.0.strip_prefix("https://").unwrap_or(&self.0)
    }
}

impl FromStr for Issuer {
    type Err = IssuerError;
    fn from_str(text: &str) -> Result<Self, IssuerError> {
        let authority = text.strip_prefix("https://").ok_or(IssuerError::Scheme)?;
        if text.len() > ISSUER_BYTES_MAX {
            return Err(IssuerError::TooLong);
        }
        let plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | ':' | '[' | ']');
        let uri: http::Uri = text.parse().map_err(|_| IssuerError::Form)?;
        let same = uri
            .authority()
            .is_some_and(|it| it.as_str() == authority && !it.host().is_empty());
        if !same || !authority.chars().all(plain) || authority.ends_with(':') {
            return Err(IssuerError::Form);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_one_spelling() {
        for good in [
            "https://127.0.0.1:8443",
            "https://id.example.org",
            "https://[::1]:8443",
        ] {
            assert_eq!(good.parse::<Issuer>().unwrap().as_str(), good);
        }
        for bad in [
            "https://id.example.org/",
            "https://ID.example.org",
            "https://a/b",
            "https://u@a",
            "https://a?q",
            "https://a#f",
            "https://",
            "https://a:",
            "https://:80",
        ] {
            assert_eq!(bad.parse::<Issuer>(), Err(IssuerError::Form), "{bad}");
        }
        assert_eq!("http://a".parse::<Issuer>(), Err(IssuerError::Scheme));
        assert_eq!(
            format!("https://{}", "a".repeat(250)).parse::<Issuer>(),
            Err(IssuerError::TooLong)
        );
    }

    #[test]
    fn its_host_is_what_the_certificate_names() {
        assert_eq!("https://[::1]:8443".parse::<Issuer>().unwrap().host(), "::1");
        assert_eq!(
            "https://localhost:1".parse::<Issuer>().unwrap().host(),
            "localhost"
        );
        assert_eq!("https://a.b".parse::<Issuer>().unwrap().host(), "a.b");
    }
}
