//! Bearer tokens by the client credentials grant (RFC 6749 section 4.4), client authenticated by HTTP Basic
//! (section 2.3.1: both parts form-encoded first).
//!
//! One token an org, upstream, secret, scope, agent, task and contract: everything that changes authority is in the
//! cache key, so nobody gets a token that was fetched for somebody else. Whoever needs the same one at the same time
//! waits for one fetch. A token is used until 15 s before it expires, and dropped when the upstream refuses it.

use super::{InjectError, Injected, OnBehalf};
use crate::destination::Destination;
use crate::outgoing::OutgoingBody;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use credential::sha256;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use identity::{Secret, UnixTime};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// A token is not used in its last seconds: a request takes some time to arrive.
const MARGIN_SECS: u64 = 15;
/// A token without `expires_in` (it is only recommended) is used for a minute.
const UNSAID_LIFETIME_SECS: u64 = 60;
/// Longest use of one token, whatever the server says: a rotated client secret takes effect within it.
const LIFETIME_SECS_MAX: u64 = 3600;
/// Longest answer of a token endpoint.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Most tokens kept.
const TOKENS_MAX: usize = 8192;

type Key = [u8; 32];
type Slot = Arc<tokio::sync::Mutex<Option<Fetched>>>;

/// Fetches and keeps tokens.
pub(super) struct TokenSource {
    slots: Mutex<HashMap<Key, Slot>>,
    timeout: Duration,
}

struct Fetched {
    injected: Injected,
    use_until: UnixTime,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl TokenSource {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            slots: Mutex::default(),
            timeout,
        }
    }

    pub(super) async fn token(
        &self,
        destination: &Destination,
        client_id: &str,
        scope: &str,
        secret: &Secret<String>,
        behalf: OnBehalf<'_>,
    ) -> Result<Injected, InjectError> {
        let slot = self.slot(key_of(destination, client_id, scope, behalf));
        let mut held = slot.lock().await;
        if let Some(fetched) = &*held {
            let refused = behalf
                .refused
                .is_some_and(|refused| refused.value == fetched.injected.value);
            if behalf.now < fetched.use_until && !refused {
                return Ok(fetched.injected.clone());
            }
        }
        *held = None;
        let fetch = fetch(destination, client_id, scope, secret, behalf.now);
        let fetched = tokio::time::timeout(self.timeout, fetch)
            .await
            .map_err(|_| InjectError::Token("too slow"))??;
        let injected = fetched.injected.clone();
        *held = Some(fetched);
        Ok(injected)
    }

    fn slot(&self, key: Key) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= TOKENS_MAX {
            // Those that nobody waits for; who still uses a token has a copy.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        slots.entry(key).or_default().clone()
    }
}

/// The hash of every input that changes authority.
fn key_of(destination: &Destination, client_id: &str, scope: &str, behalf: OnBehalf<'_>) -> Key {
    let (upstream, token) = (&destination.upstream, behalf.token);
    let url = destination
        .token_endpoint
        .as_ref()
        .map_or("", |endpoint| &endpoint.url);
    let mut text = Vec::with_capacity(256);
    let mut add = |part: &[u8]| {
        text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        text.extend_from_slice(part);
    };
    add(&token.org.as_u128().to_be_bytes());
    add(&upstream.id.as_u128().to_be_bytes());
    add(&upstream.secret_version.to_be_bytes());
    add(url.as_bytes());
    add(client_id.as_bytes());
    add(scope.as_bytes());
    add(&token.agent.as_u128().to_be_bytes());
    add(&token.task.map_or(0, identity::TaskId::as_u128).to_be_bytes());
    add(token.contract.as_bytes());
    add(token
        .tenant
        .as_ref()
        .map_or("", |tenant| tenant.as_str())
        .as_bytes());
    for actor in token.chain.actors() {
        add(actor.issuer.as_bytes());
        add(actor.id.as_bytes());
    }
    sha256(&text)
}

async fn fetch(
    destination: &Destination,
    client_id: &str,
    scope: &str,
    secret: &Secret<String>,
    now: UnixTime,
) -> Result<Fetched, InjectError> {
    let endpoint = destination
        .token_endpoint
        .as_ref()
        .ok_or(InjectError::Token("no endpoint"))?;
    let mut form = "grant_type=client_credentials".to_owned();
    if !scope.is_empty() {
        form.push_str("&scope=");
        form.push_str(&form_encoded(scope));
    }
    let pair = Zeroizing::new(format!(
        "{}:{}",
        form_encoded(client_id),
        *Zeroizing::new(form_encoded(secret.expose()))
    ));
    let basic = Zeroizing::new(format!(
        "Basic {}",
        *Zeroizing::new(STANDARD.encode(pair.as_bytes()))
    ));
    let mut basic = HeaderValue::from_str(&basic).map_err(|_| InjectError::NotAHeader)?;
    basic.set_sensitive(true);
    let request = Request::builder()
        .method(Method::POST)
        .uri(&endpoint.url)
        .header(AUTHORIZATION, basic)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .header(ACCEPT_ENCODING, "identity")
        .body(OutgoingBody::whole(Bytes::from(form)))
        .map_err(|_| InjectError::Token("its URL cannot be requested"))?;
    let response = endpoint
        .pool
        .request(request)
        .await
        .map_err(|_| InjectError::Token("it cannot be reached"))?;
    if response.status() != StatusCode::OK {
        // Neither its body nor a redirect is looked at: the one may echo the secret, the other ask for it.
        return Err(InjectError::Token("it refused the client"));
    }
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|_| InjectError::Token("its answer is too long or broke off"))?
        .to_bytes();
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| InjectError::Token("its answer is no token"))?;
    if !answer.token_type.eq_ignore_ascii_case("bearer") {
        return Err(InjectError::Token("its token is no bearer token"));
    }
    let lifetime = answer
        .expires_in
        .unwrap_or(UNSAID_LIFETIME_SECS)
        .min(LIFETIME_SECS_MAX);
    let token = Zeroizing::new(answer.access_token);
    let text = Zeroizing::new(format!("Bearer {}", *token));
    let injected = Injected::new(AUTHORIZATION, &text, &token)?;
    Ok(Fetched {
        injected,
        use_until: now.plus_secs(lifetime.saturating_sub(MARGIN_SECS)),
    })
}

/// application/x-www-form-urlencoded, as RFC 6749 appendix B wants it.
fn form_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => {
                out.push('%');
                for nibble in [byte >> 4, byte & 15] {
                    let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                    out.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_id_and_secret_are_form_encoded_first() {
        // RFC 6749 appendix B.
        assert_eq!(form_encoded(" %&+£€"), "+%25%26%2B%C2%A3%E2%82%AC");
        assert_eq!(form_encoded("a:b/c~d"), "a%3Ab%2Fc%7Ed");
    }
}
