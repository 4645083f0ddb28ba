//! What is known of an identity provider: its discovery document and its keys, kept for a few minutes.

use crate::config::Provider;
use crate::fetch::{FetchError, Limits, send};
use crate::tls::client_roots;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::replay::{NotFresh, ReplayCache, ReplayKey};
use broker::session::CHALLENGE_SECS;
use credential::{
    Algorithm, IdTokenClaims, Jwks, LogoutClaims, Rejection, TokenClass, Verified, VerifyingKeys, sha256,
};
use http::{Request, StatusCode, header};
use identity::{Name, UnixTime};
use rustls::ClientConfig;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a discovery document and keys are used, in seconds.
const KEPT_SECS: u64 = 300;
/// How soon keys are asked for again because a token names one that is not there, in seconds.
const AGAIN_SECS: u64 = 10;
/// What a provider's answer may take: a discovery document has 5 KiB, a key set of a large provider 20 KiB.
const ANSWER: Limits = Limits {
    time: Duration::from_secs(10),
    bytes: 256 * 1024,
};
/// Largest client secret in bytes.
const SECRET_BYTES_MAX: usize = 4096;

/// Why a login at a provider did not succeed. For the operator's log; the person learns that it did not.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProviderError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{what} answered {status}")]
    Status { what: &'static str, status: StatusCode },
    #[error("{0} is not what OpenID Connect says")]
    Document(&'static str),
    #[error("its discovery document is of the issuer {0}")]
    OtherIssuer(String),
    #[error("the client secret cannot be read from {0}")]
    Secret(String),
    #[error("its token was refused: {0}")]
    Token(Rejection),
    #[error("the answer to this login was brought before")]
    Again,
    /// What somebody else was told who asked just now.
    #[error(transparent)]
    Shared(Arc<Self>),
}

/// The members of a discovery document that are looked at (OpenID Connect Discovery section 3, RFC 9207 section 3).
#[derive(Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The answer of a token endpoint (section 3.1.3.3).
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// A provider as it described itself.
pub(super) struct Known {
    document: Document,
    keys: VerifyingKeys,
    /// The same keys, for logout tokens.
    logout_keys: VerifyingKeys,
    tls: Arc<ClientConfig>,
    read_at: UnixTime,
}

/// All providers that were asked lately.
///
/// Nobody has to be known to make us ask one: a login is anybody's, and so is a token that names a key we do not have. So
/// each is asked by one of us at a time, whose answer is everybody's, and a code is traded once for each login.
pub(in super::super) struct Providers {
    by_name: Mutex<HashMap<Name, Arc<Contact>>>,
    traded: Mutex<ReplayCache>,
}

/// Logins remembered at once whose code was traded.
const TRADED_MAX: usize = 65_536;

/// One provider.
#[derive(Default)]
struct Contact {
    known: Mutex<Option<Arc<Known>>>,
    /// Held by whoever asks: when and why the last one got no answer, if so.
    asking: tokio::sync::Mutex<Option<(Instant, Arc<ProviderError>)>>,
}

impl Contact {
    /// What is known, if it was read within so many seconds.
    fn known(&self, within: u64, now: UnixTime) -> Option<Arc<Known>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .filter(|known| now.millis_since(known.read_at) < within * 1000)
            .cloned()
    }
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Providers")
    }
}

impl Default for Providers {
    fn default() -> Self {
        Self {
            by_name: Mutex::default(),
            traded: Mutex::new(ReplayCache::new(CHALLENGE_SECS, TRADED_MAX)),
        }
    }
}

impl Providers {
    /// The provider, asked anew when what is known is older than `within` seconds.
    async fn known(
        &self,
        name: &Name,
        provider: &Provider,
        within: u64,
        now: UnixTime,
    ) -> Result<Arc<Known>, ProviderError> {
        let came = Instant::now();
        let contact = {
            let mut all = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(name.clone()).or_default().clone()
        };
        if let Some(known) = contact.known(within, now) {
            return Ok(known);
        }
        let mut last = contact.asking.lock().await;
        if let Some(known) = contact.known(within, now) {
            return Ok(known);
        }
        if let Some((at, why)) = &*last
            && *at >= came
        {
            return Err(ProviderError::Shared(why.clone()));
        }
        match Known::ask(provider, now).await {
            Ok(known) => {
                let known = Arc::new(known);
                *contact.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
                *last = None;
                Ok(known)
            }
            Err(why) => {
                let why = Arc::new(why);
                *last = Some((Instant::now(), why.clone()));
                Err(ProviderError::Shared(why))
            }
        }
    }

    /// The provider as it is known.
    pub(super) async fn get(
        &self,
        name: &Name,
        provider: &Provider,
        now: UnixTime,
    ) -> Result<Arc<Known>, ProviderError> {
        self.known(name, provider, KEPT_SECS, now).await
    }

    /// Trades a code for the ID token of this login, and verifies it. Once for each login: that the nonce is good once is
    /// known only when the session is recorded, and by then the provider was asked.
    pub(super) async fn redeem(
        &self,
        name: &Name,
        provider: &Provider,
        code: &Code<'_>,
        now: UnixTime,
    ) -> Result<Verified<IdTokenClaims>, ProviderError> {
        let known = self.get(name, provider, now).await?;
        if self.was_traded(code.nonce, now) {
            return Err(ProviderError::Again);
        }
        let token = known.trade(provider, code).await?;
        let (issuer, client) = (&provider.issuer, &provider.client_id);
        self.judge(name, provider, now, |known| {
            credential::id_token::verify(&token, &known.keys, issuer, client, code.nonce, now)
        })
        .await
    }

    /// Whether the login with that nonce brought its answer before. Where there is no room to remember one more, it may be
    /// asked about again: nobody gets in by that, and nobody is kept out.
    fn was_traded(&self, nonce: &str, now: UnixTime) -> bool {
        let digest = sha256(nonce.as_bytes());
        let key: ReplayKey = digest.first_chunk().copied().unwrap_or_default();
        let mut traded = self.traded.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = traded.admit(key, now.plus_secs(CHALLENGE_SECS), now);
        matches!(admitted, Err(NotFresh::Replayed))
    }

    /// Verifies a provider's word that somebody logged out there.
    pub(super) async fn logged_out(
        &self,
        name: &Name,
        provider: &Provider,
        token: &str,
        now: UnixTime,
    ) -> Result<Verified<LogoutClaims>, ProviderError> {
        let (issuer, client) = (&provider.issuer, &provider.client_id);
        self.judge(name, provider, now, |known| {
            credential::logout_token::verify(token, &known.logout_keys, issuer, client, now)
        })
        .await
    }

    /// Judges a token with the keys that are known. Keys change, and a token by a new one is no reason to wait.
    async fn judge<T>(
        &self,
        name: &Name,
        provider: &Provider,
        now: UnixTime,
        verify: impl Fn(&Known) -> Result<T, Rejection>,
    ) -> Result<T, ProviderError> {
        let judged = match verify(&*self.get(name, provider, now).await?) {
            Err(Rejection::UnknownKey) => verify(&*self.known(name, provider, AGAIN_SECS, now).await?),
            judged => judged,
        };
        judged.map_err(ProviderError::Token)
    }
}

/// A code, and what proves that it is of our login.
pub(super) struct Code<'a> {
    pub(super) text: &'a str,
    pub(super) verifier: &'a str,
    pub(super) nonce: &'a str,
    pub(super) redirect_uri: &'a str,
}

impl Known {
    async fn ask(provider: &Provider, now: UnixTime) -> Result<Self, ProviderError> {
        let tls = client_roots(provider.ca.as_deref()).map_err(FetchError::Roots)?;
        let base = provider.issuer.trim_end_matches('/');
        let uri = format!("{base}/.well-known/openid-configuration");
        let document: Document = read(&get(&tls, &uri, "the discovery document").await?)
            .ok_or(ProviderError::Document("the discovery document"))?;
        // Section 4.3: the very issuer, or somebody else answers in its name.
        if document.issuer != provider.issuer {
            return Err(ProviderError::OtherIssuer(document.issuer));
        }
        let keys = get(&tls, &document.jwks_uri, "the key set").await?;
        let keys = Jwks::parse(&keys).map_err(|_| ProviderError::Document("the key set"))?;
        Ok(Self {
            document,
            keys: keys.verifying_keys(TokenClass::Foreign, &Algorithm::ALL),
            logout_keys: keys.verifying_keys(TokenClass::Logout, &Algorithm::ALL),
            tls,
            read_at: now,
        })
    }

    /// Where a browser goes to log in.
    pub(super) fn authorization_endpoint(&self) -> &str {
        &self.document.authorization_endpoint
    }

    /// Whether an answer says rightly whom it is from (RFC 9207 section 2.4): another provider's is not taken.
    pub(super) fn is_from_here(&self, iss: Option<&str>) -> bool {
        match iss {
            Some(iss) => iss == self.document.issuer,
            None => !self.document.authorization_response_iss_parameter_supported,
        }
    }

    async fn trade(&self, provider: &Provider, code: &Code<'_>) -> Result<String, ProviderError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.text),
            ("redirect_uri", code.redirect_uri),
            ("code_verifier", code.verifier),
        ];
        let secret = secret_of(provider)?;
        let methods = &self.document.token_endpoint_auth_methods_supported;
        let has = |method: &str| methods.iter().any(|it| it == method);
        let mut request =
            Request::post("/").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        match &secret {
            // RFC 6749 section 2.3.1; basic is what a provider has that says nothing.
            Some(secret) if has("client_secret_basic") || !has("client_secret_post") => {
                let pair = format!("{}:{}", encode(&provider.client_id), encode(secret));
                let value = format!("Basic {}", STANDARD.encode(pair));
                request = request.header(header::AUTHORIZATION, value);
            }
            Some(secret) => form.extend([
                ("client_id", provider.client_id.as_str()),
                ("client_secret", secret),
            ]),
            None => form.push(("client_id", &provider.client_id)),
        }
        let body = query(&form);
        let answer = send(
            self.tls.clone(),
            &self.document.token_endpoint,
            request,
            body,
            ANSWER,
        )
        .await?;
        let status = answer.status();
        if status != StatusCode::OK {
            let what = "the token endpoint";
            return Err(ProviderError::Status { what, status });
        }
        let tokens: Tokens = read(answer.body()).ok_or(ProviderError::Document("the token answer"))?;
        Ok(tokens.id_token)
    }
}

async fn get(tls: &Arc<ClientConfig>, uri: &str, what: &'static str) -> Result<bytes::Bytes, ProviderError> {
    let answer = send(tls.clone(), uri, Request::get("/"), String::new(), ANSWER).await?;
    match answer.status() {
        StatusCode::OK => Ok(answer.into_body()),
        status => Err(ProviderError::Status { what, status }),
    }
}

/// Members that we do not know are the provider's business.
fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value = credential::json::parse_strict(bytes).ok();
    serde_json::from_value(value.filter(serde_json::Value::is_object)?).ok()
}

/// Our secret at the provider, read at each use, so that it can be replaced.
fn secret_of(provider: &Provider) -> Result<Option<String>, ProviderError> {
    let Some(path) = &provider.client_secret else {
        return Ok(None);
    };
    let secret = std::fs::read_to_string(path).ok();
    let secret = secret.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    secret
        .filter(|text| (1..=SECRET_BYTES_MAX).contains(&text.len()))
        .map(Some)
        .ok_or_else(|| ProviderError::Secret(path.display().to_string()))
}

/// `application/x-www-form-urlencoded`.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            out.extend(['%', digit(byte >> 4), digit(byte & 15)].map(|it| it.to_ascii_uppercase()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded() {
        assert_eq!(query(&[("a", "b c&d"), ("e", "ü")]), "a=b%20c%26d&e=%C3%BC");
    }
}
