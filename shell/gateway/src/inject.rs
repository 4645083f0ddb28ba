//! What the gateway puts into a permitted request in the agent's place.
//!
//! Only a recorded permit gets a credential, and only the one of its own upstream. What was injected is looked for in
//! the answer.

mod api_key;
mod client_credentials;

use crate::destination::Destination;
use crate::parts::{SecretError, Secrets};
use crate::problem::Problem;
use crate::scrub::Patterns;
use broker::CallPermit;
use broker::upstream::Injection;
use client_credentials::TokenSource;
use credential::AccessTokenClaims;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use identity::{Secret, UnixTime, UpstreamId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Recorded;

/// Most secrets and keys kept ready.
const READY_MAX: usize = 4096;

/// Why a permitted request cannot get its credential.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InjectError {
    /// Nobody stored the secret, or its store does not answer.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Shorter than can be kept out of answers.
    #[error("the upstream's secret has fewer than 8 bytes")]
    TooShort,
    /// Not a header value.
    #[error("the upstream's credential cannot stand in a header")]
    NotAHeader,
    /// The permit is for another upstream.
    #[error("the permit is for another upstream")]
    OtherUpstream,
    /// The authorization server.
    #[error("the upstream's authorization server: {0}")]
    Token(&'static str),
}

impl InjectError {
    pub(crate) fn problem(&self) -> Problem {
        let why = match self {
            Self::Secret(_) | Self::TooShort | Self::NotAHeader | Self::OtherUpstream => {
                "the credential that belongs into the request is not at hand"
            }
            Self::Token(_) => "the upstream's authorization server gave no token",
        };
        let mut problem = Problem::bad_gateway(
            "UPSTREAM_CREDENTIAL",
            "The upstream's credential could not be had.",
            why,
        );
        if matches!(self, Self::Secret(SecretError::Unavailable)) {
            problem.status = StatusCode::SERVICE_UNAVAILABLE;
        }
        problem
    }
}

/// A credential, ready to be put into requests.
#[derive(Debug, Clone)]
pub(crate) struct Injected {
    /// Where it goes.
    name: HeaderName,
    /// What goes there; marked sensitive. Its bytes are shared with every request in flight and are not wiped: no
    /// header value can be.
    value: HeaderValue,
    /// What must not come back.
    pub(crate) patterns: Arc<Patterns>,
}

impl Injected {
    fn new(name: HeaderName, text: &str, secret: &str) -> Result<Self, InjectError> {
        let mut value = HeaderValue::from_str(text).map_err(|_| InjectError::NotAHeader)?;
        value.set_sensitive(true);
        let patterns = Patterns::of(secret).ok_or(InjectError::TooShort)?;
        Ok(Self {
            name,
            value,
            patterns: Arc::new(patterns),
        })
    }
    /// Where it goes, and what goes there.
    pub(crate) fn into_header(self) -> (HeaderName, HeaderValue) {
        (self.name, self.value)
    }
    /// Puts it into a request, over whatever stands there.
    pub(crate) fn into_headers(self, headers: &mut HeaderMap) {
        headers.insert(self.name, self.value);
    }
}

/// The header that an upstream's credential takes; an agent's own is dropped.
pub(crate) fn header_of(injection: &Injection) -> Option<HeaderName> {
    match injection {
        Injection::None => None,
        Injection::ApiKey { header, .. } => HeaderName::from_bytes(header.as_bytes()).ok(),
        Injection::ClientCredentials { .. } => Some(AUTHORIZATION),
    }
}

/// Makes upstream credentials.
pub(crate) struct Injectors {
    secrets: Arc<dyn Secrets>,
    keys: Mutex<HashMap<(UpstreamId, u64), (Injection, Injected)>>,
    tokens: TokenSource,
}

/// Whose call a credential is for.
#[derive(Clone, Copy)]
pub(crate) struct OnBehalf<'a> {
    pub(crate) token: &'a AccessTokenClaims,
    pub(crate) now: UnixTime,
    /// A token that the upstream has just refused: not to be used again.
    pub(crate) refused: Option<&'a Injected>,
}

impl Injectors {
    pub(crate) fn new(secrets: Arc<dyn Secrets>, timeout: Duration) -> Self {
        Self {
            secrets,
            keys: Mutex::default(),
            tokens: TokenSource::new(timeout),
        }
    }

    /// The credential of a permitted and recorded call; `None` where the upstream takes none.
    pub(crate) async fn inject(
        &self,
        permit: &Recorded<CallPermit>,
        destination: &Destination,
        behalf: OnBehalf<'_>,
    ) -> Result<Option<Injected>, InjectError> {
        let upstream = &destination.upstream;
        if permit.get().upstream() != upstream.id {
            return Err(InjectError::OtherUpstream);
        }
        match &upstream.credential {
            Injection::None => Ok(None),
            Injection::ApiKey { header, prefix } => {
                let key = (upstream.id, upstream.secret_version);
                let known = self
                    .keys
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get(&key)
                    .cloned();
                if let Some((_, injected)) = known.filter(|(of, _)| *of == upstream.credential) {
                    return Ok(Some(injected));
                }
                let secret = self.secret(destination).await?;
                let injected = api_key::injected(header, prefix, &secret)?;
                let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
                if keys.len() >= READY_MAX {
                    keys.clear();
                }
                keys.insert(key, (upstream.credential.clone(), injected.clone()));
                Ok(Some(injected))
            }
            Injection::ClientCredentials { client_id, scope, .. } => {
                let secret = self.secret(destination).await?;
                let injected = self
                    .tokens
                    .token(destination, client_id, scope, &secret, behalf)
                    .await?;
                Ok(Some(injected))
            }
        }
    }

    async fn secret(&self, destination: &Destination) -> Result<Arc<Secret<String>>, InjectError> {
        let upstream = &destination.upstream;
        Ok(self.secrets.secret(upstream.id, upstream.secret_version).await?)
    }
}
