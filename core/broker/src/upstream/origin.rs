//! Where an upstream really is: scheme, host and port, in the one spelling we accept (RFC 3986 section 3.2).
//!
//! Hosts that some resolvers read as numbers (`0x7f.1`, `2130706433`, `127.1`) are refused, so that what was
//! reviewed in a manifest is what a connection goes to. Resolving and checking addresses is the gateway's business.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Longest host name in bytes (RFC 1035 section 2.3.4).
pub const HOST_BYTES_MAX: usize = 253;

/// Why a text is not an [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Neither `https://` nor `http://`.
    #[error("it begins with neither \"https://\" nor \"http://\"")]
    Scheme,
    /// `user:password@`.
    #[error("it holds user information before an '@'")]
    UserInfo,
    /// A path, query or fragment where only scheme, host and port may stand.
    #[error("it has a path, a query or a fragment after the host")]
    Rest,
    /// Not a host in its plain spelling.
    #[error(
        "the host is not a lower-case DNS name, a dotted IPv4 address or an IPv6 address in brackets, at most 253 bytes"
    )]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// The secret would travel in the clear.
    #[error("plain http is for loopback addresses only")]
    Plain,
}

/// A host in its one accepted spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name, lower case, without a trailing dot.
    Name(String),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

impl Host {
    /// Whether it is literally this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
        }
    }
}

impl FromStr for Host {
    type Err = OriginError;
    fn from_str(text: &str) -> Result<Self, OriginError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(OriginError::Host)?;
            return inner.parse().map(Self::V6).map_err(|_| OriginError::Host);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::V4(address));
        }
        let plain = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A last label that begins with a digit is read as a number by inet_aton and its heirs.
        let numeric = text
            .rsplit('.')
            .next()
            .is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
        if text.len() > HOST_BYTES_MAX || numeric || !text.split('.').all(plain) {
            return Err(OriginError::Host);
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// The host.
    pub host: Host,
    /// The port, also where it is the scheme's own.
    pub port: u16,
}

impl Origin {
    /// An origin and whatever path follows it, which is empty or begins with `/`.
    pub fn split(url: &str) -> Result<(Self, &str), OriginError> {
        let (tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(OriginError::Scheme),
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(OriginError::UserInfo);
        }
        if !path.is_empty() && !path.starts_with('/') || path.contains(['?', '#', '\\']) {
            return Err(OriginError::Rest);
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let port = match port {
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or(OriginError::Port)?,
            Some(_) => return Err(OriginError::Port),
        };
        let host: Host = host.parse()?;
        if !tls && !host.is_loopback() {
            return Err(OriginError::Plain);
        }
        Ok((Self { tls, host, port }, path))
    }
}

impl FromStr for Origin {
    type Err = OriginError;
    fn from_str(text: &str) -> Result<Self, OriginError> {
        match Self::split(text)? {
            (origin, "" | "/") => Ok(origin),
            _ => Err(OriginError::Rest),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.tls { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_of_each_origin() {
        for (text, again) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.example.com:443/", "https://api.example.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:80", "http://[::1]"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ] {
            assert_eq!(
                text.parse::<Origin>().map(|o| o.to_string()),
                Ok(again.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn disguised_hosts_are_refused() {
        for (text, error) in [
            ("ftp://api.example.com", OriginError::Scheme),
            ("https://user@api.example.com", OriginError::UserInfo),
            ("https://api.example.com/v1", OriginError::Rest),
            ("https://api.example.com?x", OriginError::Rest),
            ("https://api.example.com#x", OriginError::Rest),
            ("https://API.example.com", OriginError::Host),
            ("https://api.example.com.", OriginError::Host),
            ("https://2130706433", OriginError::Host),
            ("https://0x7f.1", OriginError::Host),
            ("https://127.1", OriginError::Host),
            ("https://0177.0.0.1", OriginError::Host),
            ("https://", OriginError::Host),
            ("https://exämple.com", OriginError::Host),
            ("https://api.example.com:0", OriginError::Port),
            ("https://api.example.com:99999", OriginError::Port),
            ("https://api.example.com:+1", OriginError::Port),
            ("http://api.example.com", OriginError::Plain),
        ] {
            assert_eq!(text.parse::<Origin>(), Err(error), "{text}");
        }
    }
}
