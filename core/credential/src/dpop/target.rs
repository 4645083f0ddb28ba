//! The `htu` of a proof: an http(s) URI without query and fragment, in normal form (RFC 9449 section 4.3, RFC 3986
//! sections 6.2.2 and 6.2.3).
//!
//! Dot segments are not resolved: a proof for `/a/../b` matches only a request for `/a/../b`.

use std::fmt::Write as _;

/// Longest URI in bytes: what servers accept in a request line.
const URI_BYTES_MAX: usize = 8 * 1024;

/// A request's URI in normal form, without query and fragment.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RequestTarget(String);

/// Why a text is no request target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Neither `http://` nor `https://`.
    #[error("a request target starts with https:// or http://")]
    Scheme,
    /// No host, user info, or a port that is no number.
    #[error("a request target has a host, perhaps a port, and no user info")]
    Authority,
    /// A character that no URI has, or a broken percent-encoding.
    #[error("a request target holds visible ASCII and complete percent-encodings")]
    Character,
    /// Longer than 8 KiB.
    #[error("a request target has at most 8192 bytes")]
    TooLong,
}

impl RequestTarget {
    /// Normalises a URI: scheme and host in lower case, default port dropped, empty path as `/`, escapes in upper
    /// case and not where they are needless, query and fragment cut off.
    pub fn parse(uri: &str) -> Result<Self, TargetError> {
        if uri.len() > URI_BYTES_MAX {
            return Err(TargetError::TooLong);
        }
        if !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TargetError::Character);
        }
        let (scheme, rest) = uri.split_once("://").ok_or(TargetError::Scheme)?;
        let (scheme, default_port) = if scheme.eq_ignore_ascii_case("https") {
            ("https", "443")
        } else if scheme.eq_ignore_ascii_case("http") {
            ("http", "80")
        } else {
            return Err(TargetError::Scheme);
        };
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = authority.to_ascii_lowercase();
        // An IPv6 address ends with a bracket, so a colon inside the brackets is none of a port's.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority.as_str(), ""),
        };
        if !is_host(host) || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TargetError::Authority);
        }
        let mut text = format!("{scheme}://{host}");
        if !port.is_empty() && port != default_port {
            text.push(':');
            text.push_str(port);
        }
        push_path(&mut text, if path.is_empty() { "/" } else { path })?;
        Ok(Self(text))
    }

    /// The URI in normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `htu` names this target once it is normalised as well.
    pub(super) fn is_named_by(&self, htu: &str) -> bool {
        htu == self.0 || Self::parse(htu).is_ok_and(|target| target == *self)
    }
}

/// A DNS name, an IPv4 address, or an IPv6 address in brackets. No escapes, no user info.
fn is_host(host: &str) -> bool {
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let (text, beside) = literal.map_or((host, "-_~"), |address| (address, ":"));
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || beside.contains(c);
    !text.is_empty() && text.chars().all(allowed)
}

/// Decodes escapes of unreserved characters, writes the others in upper case (RFC 3986 section 6.2.2.2).
fn push_path(text: &mut String, path: &str) -> Result<(), TargetError> {
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            text.push(char::from(byte));
            continue;
        }
        let hex = |byte: Option<u8>| {
            byte.and_then(|byte| char::from(byte).to_digit(16))
                .ok_or(TargetError::Character)
        };
        let code = hex(bytes.next())? * 16 + hex(bytes.next())?;
        match char::from_u32(code) {
            Some(plain) if plain.is_ascii_alphanumeric() || "-._~".contains(plain) => text.push(plain),
            _ => write!(text, "%{code:02X}").map_err(|_| TargetError::Character)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(uri: &str) -> Result<String, TargetError> {
        RequestTarget::parse(uri).map(|target| target.as_str().to_owned())
    }

    #[test]
    fn equal_uris_have_one_form() {
        for same in [
            "https://server.example.com/token",
            "HTTPS://Server.Example.com:443/token?x=1",
            "https://server.example.com/%74oken#f",
        ] {
            assert_eq!(
                normal(same).as_deref(),
                Ok("https://server.example.com/token"),
                "{same}"
            );
        }
        assert_eq!(normal("http://a:80").as_deref(), Ok("http://a/"));
        assert_eq!(normal("http://a:443/").as_deref(), Ok("http://a:443/"));
        assert_eq!(normal("https://[::1]:443/x").as_deref(), Ok("https://[::1]/x"));
        assert_eq!(normal("https://[::1]/x").as_deref(), Ok("https://[::1]/x"));
        assert_eq!(normal("https://a/%2f%3f").as_deref(), Ok("https://a/%2F%3F"));
    }

    #[test]
    fn other_uris_stay_different_or_are_refused() {
        assert_ne!(normal("https://a/x"), normal("https://a/X"));
        assert_ne!(normal("https://a/x"), normal("https://a/x/"));
        assert_ne!(normal("https://a/x"), normal("http://a/x"));
        assert_ne!(normal("https://a/b"), normal("https://a/x/../b"));
        for (bad, error) in [
            ("ftp://a/", TargetError::Scheme),
            ("/token", TargetError::Scheme),
            ("https:///x", TargetError::Authority),
            ("https://u@a/x", TargetError::Authority),
            ("https://a:8x/", TargetError::Authority),
            ("https://a:b:443/", TargetError::Authority),
            ("https://%61/", TargetError::Authority),
            ("https://[]/", TargetError::Authority),
            ("https://[::1/", TargetError::Authority),
            ("https://a/%2", TargetError::Character),
            ("https://a/%zz", TargetError::Character),
            ("https://a/ x", TargetError::Character),
        ] {
            assert_eq!(normal(bad), Err(error), "{bad}");
        }
    }
}
