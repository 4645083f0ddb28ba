//! Our two cookies. Both are `__Host-`: of this very host, over TLS alone, for every path (RFC 6265bis section 4.1.3.2),
//! so that no neighbour under the same domain can set one.

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};
use identity::Secret;

/// Holds the secret of a session. Not sent along when another site leads here.
const SESSION: &str = "__Host-tabard-session";
/// Holds the sealed state of a login that is under way. Sent along when the identity provider leads back.
const FLOW: &str = "__Host-tabard-flow";
/// Longest value of ours in bytes, with room.
const VALUE_BYTES_MAX: usize = 3072;

/// The secret of a session: 256 random bits.
pub(crate) type SessionSecret = Secret<[u8; 32]>;

/// The session's secret, if exactly one cookie holds something of its form.
pub(super) fn session(headers: &HeaderMap) -> Option<SessionSecret> {
    let bytes = URL_SAFE_NO_PAD.decode(only(headers, SESSION)?).ok()?;
    Some(Secret::new(bytes.try_into().ok()?))
}

/// The state of a login.
pub(super) fn flow(headers: &HeaderMap) -> Option<&str> {
    only(headers, FLOW)
}

/// Sets the session. Without an age it ends with the browser; the server ends it sooner.
pub(super) fn set_session(secret: &SessionSecret) -> HeaderValue {
    let value = URL_SAFE_NO_PAD.encode(secret.expose());
    header_of(format!(
        "{SESSION}={value}; Path=/; Secure; HttpOnly; SameSite=Strict"
    ))
}

/// Forgets it.
pub(super) fn clear_session() -> HeaderValue {
    HeaderValue::from_static("__Host-tabard-session=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// Sets the state of a login, for as long as it may take.
pub(super) fn set_flow(sealed: &str, secs: u64) -> HeaderValue {
    header_of(format!(
        "{FLOW}={sealed}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={secs}"
    ))
}

/// Forgets it.
pub(super) fn clear_flow() -> HeaderValue {
    HeaderValue::from_static("__Host-tabard-flow=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

fn header_of(text: String) -> HeaderValue {
    let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// The value of a cookie that stands once. Two of one name are nobody's.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value);
    let first = values.next()?;
    (values.next().is_none() && first.len() <= VALUE_BYTES_MAX).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_session_is_read_back_and_two_are_none() {
        let secret = Secret::new([7; 32]);
        let set = set_session(&secret);
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        assert_eq!(
            session(&headers(&[&format!("a=b; {pair}")])).unwrap().expose(),
            &[7; 32]
        );
        assert!(session(&headers(&[pair, pair])).is_none());
        assert!(session(&headers(&["__Host-tabard-session=short"])).is_none());
        assert!(session(&headers(&[&pair.replace("__Host-", "")])).is_none());
        assert!(set.is_sensitive());
    }
}
