//! Access tokens of runs, kept while they live: one for each run, audience and action, never a broader one.

use super::Stopped;
use super::exchange::{Issued, TokenEndpoint};
use crate::authority::{Authority, Refused};
use crate::runs::Run;
use http::StatusCode;
use identity::{Audience, InstanceId, Name, Secret, UnixTime};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// A token is replaced when it has less than this left, in seconds: longer than a request takes to reach the gateway.
const MARGIN_SECS: u64 = 15;
/// Tokens kept at once on one node.
const TOKENS_MAX: usize = 8192;

/// Everything that decides what a token may do.
type Key = (InstanceId, Audience, Name);

#[derive(Debug)]
pub(crate) struct Tokens {
    endpoint: TokenEndpoint,
    kept: Mutex<HashMap<Key, Arc<Issued>>>,
    subjects: Mutex<HashMap<InstanceId, Subject>>,
}

/// A JWT-SVID for the token endpoint, and when it ends.
type Subject = (Arc<Secret<String>>, UnixTime);

/// A token for one call.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) text: Arc<Issued>,
    /// Whether it was issued for this call.
    pub(crate) fresh: bool,
}

impl Token {
    /// The line of the story.
    pub(crate) fn story(&self, audience: &Audience) -> String {
        let minutes = self.text.lifetime_secs.div_ceil(60);
        let key: String = self
            .text
            .key
            .to_string()
            .chars()
            .rev()
            .take(4)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        format!(
            "{minutes} min, audience {audience}, bound to key \u{2026}{key}, entry {}",
            self.text.entry
        )
    }
}

impl Tokens {
    pub(crate) fn new(endpoint: TokenEndpoint) -> Self {
        Self {
            endpoint,
            kept: Mutex::default(),
            subjects: Mutex::default(),
        }
    }

    /// The run's token for one action at one audience; a new one when there is none that lasts.
    pub(crate) async fn get<A: Authority>(
        &self,
        authority: &A,
        run: &Run,
        audience: &Audience,
        action: &Name,
    ) -> Result<Token, Stopped> {
        let now = wall_clock();
        let key = (run.opened.instance, audience.clone(), action.clone());
        if let Some(kept) = lock(&self.kept).get(&key).filter(|it| lasts(it.expires_at, now)) {
            return Ok(Token {
                text: kept.clone(),
                fresh: false,
            });
        }
        let subject = self.subject(authority, run, now).await?;
        let issued = Arc::new(
            self.endpoint
                .exchange(&subject, run, audience, action, now)
                .await?,
        );
        let mut kept = lock(&self.kept);
        if kept.len() >= TOKENS_MAX {
            kept.retain(|_, token| lasts(token.expires_at, now));
        }
        if kept.len() < TOKENS_MAX {
            kept.insert(key, issued.clone());
        }
        Ok(Token {
            text: issued,
            fresh: true,
        })
    }

    /// The run's JWT-SVID for the token endpoint.
    async fn subject<A: Authority>(
        &self,
        authority: &A,
        run: &Run,
        now: UnixTime,
    ) -> Result<Arc<Secret<String>>, Stopped> {
        let instance = run.opened.instance;
        if let Some((kept, until)) = lock(&self.subjects)
            .get(&instance)
            .filter(|(_, until)| lasts(*until, now))
        {
            let _ = until;
            return Ok(kept.clone());
        }
        let audience: Audience = self.endpoint.issuer().parse().map_err(|_| unreachable_server())?;
        let token = authority.jwt_svid(instance, &[audience]).await.map_err(stopped)?;
        let until = credential::JwtSvidClaims::of_token_unverified(token.expose())
            .map_or(now, |claims| claims.expires_at);
        let token = Arc::new(token);
        let mut subjects = lock(&self.subjects);
        subjects.retain(|_, (_, until)| lasts(*until, now));
        subjects.insert(instance, (token.clone(), until));
        Ok(token)
    }
}

fn lasts(until: UnixTime, now: UnixTime) -> bool {
    until > now.plus_secs(MARGIN_SECS)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn unreachable_server() -> Stopped {
    Stopped::of(
        StatusCode::SERVICE_UNAVAILABLE,
        "SERVER_UNREACHABLE",
        "The server cannot be asked, and nothing is allowed without it.",
        "see `tabard status`",
    )
}

fn stopped(refused: Refused) -> Stopped {
    match refused {
        Refused::Denied {
            code,
            decision,
            message,
            fix,
        } => Stopped {
            status: StatusCode::FORBIDDEN,
            code,
            message,
            fix,
            decision: Some(decision.to_string()),
        },
        Refused::Unreachable => unreachable_server(),
    }
}

pub(crate) fn wall_clock() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
