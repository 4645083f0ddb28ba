//! The subject token of a caller that acts for somebody else (RFC 8693 section 2.1): an access token of ours that was
//! handed to it, or a user's token of an issuer that its org trusts. The caller itself is the actor token's.
//!
//! By now the caller is known, so whatever is wrong here is refused with an entry. It says what was wrong; the caller
//! learns only that the token is not acceptable.

use crate::installation::Installation;
use crate::published::Published;
use broker::World;
use broker::behalf::{Behalf, authenticated_user, handed};
use broker::world::Agent;
use credential::access_token::{self, Expected};
use credential::{Algorithm, Jwks, Rejection, TokenClass, foreign_token};
use identity::{Audience, LogId, OrgScope, Secret, UnixTime};
use policy::Reason;
use std::sync::Arc;

/// What a caller shows for somebody else.
pub(super) enum Shown {
    /// An access token of ours.
    AccessToken(Secret<String>),
    /// A user's token.
    UserToken(Secret<String>),
}

/// Why it is worth nothing.
pub(super) struct NotShown {
    /// What the caller learns.
    pub(super) reason: Reason,
    /// What operators learn.
    pub(super) why: String,
}

impl From<Rejection> for NotShown {
    fn from(rejection: Rejection) -> Self {
        rejected(rejection.to_string())
    }
}

fn rejected(why: impl Into<String>) -> NotShown {
    NotShown {
        reason: Reason::SubjectRejected,
        why: why.into(),
    }
}

impl Shown {
    /// Verifies it, and finds out on whose behalf the caller acts; with the end of what was shown.
    pub(super) async fn behalf(
        &self,
        installation: &Installation,
        world: &World,
        caller: &Agent,
        now: UnixTime,
    ) -> Result<(Behalf, UnixTime), NotShown> {
        match self {
            Self::AccessToken(token) => of_token(installation, world, caller, token.expose(), now).await,
            Self::UserToken(token) => of_user(world, caller, token.expose(), now),
        }
    }
}

async fn of_token(
    installation: &Installation,
    world: &World,
    caller: &Agent,
    token: &str,
    now: UnixTime,
) -> Result<(Behalf, UnixTime), NotShown> {
    let published: Arc<Published> = installation.published();
    let own: Audience = caller
        .spiffe_id
        .as_str()
        .parse()
        .map_err(|_| rejected("the caller's SPIFFE ID is too long to be an audience"))?;
    let expected = Expected {
        issuer: installation.config.issuer.as_str(),
        audiences: std::slice::from_ref(&own),
    };
    let verified = access_token::verify(token, &published.access_token_keys, &expected, now)?;
    let place = &verified.claims().entry;
    let log = LogId(installation.log.0);
    if place.origin != audit::checkpoint::origin(&installation.config.trust_domain, log) {
        return Err(rejected("its entry stands in a log that is not ours"));
    }
    let (reader, index) = (installation.store.log().clone(), place.index);
    // Reads a file, or the tail of the log.
    let bytes = tokio::task::spawn_blocking(move || reader.entry(index)).await;
    let entry = match bytes {
        Ok(Ok(bytes)) => audit::Entry::parse(&bytes).map_err(|error| rejected(error.to_string()))?,
        Ok(Err(error)) => return Err(rejected(format!("its entry cannot be found: {error}"))),
        Err(error) => return Err(rejected(format!("its entry cannot be found: {error}"))),
    };
    let until = verified.claims().expires_at;
    match handed(world, caller, verified, &entry, now) {
        Ok(handed) => Ok((Behalf::Token(handed), until)),
        Err(reason) => Err(NotShown {
            reason,
            why: "it is over, revoked, of a chain or task that may not act any more, or not the one in its entry"
                .to_owned(),
        }),
    }
}

fn of_user(
    world: &World,
    caller: &Agent,
    token: &str,
    now: UnixTime,
) -> Result<(Behalf, UnixTime), NotShown> {
    let issuer = foreign_token::issuer_unverified(token)?;
    let source = world
        .trust_source(OrgScope::Only(caller.org), caller.org, &issuer)
        .ok_or_else(|| rejected("the org does not trust its issuer: tabard trust add"))?;
    let keys = Jwks::parse(source.keys.as_bytes())
        .map_err(|error| rejected(format!("the keys of its issuer are unreadable: {error}")))?
        .verifying_keys(TokenClass::Foreign, &Algorithm::ALL);
    let verified = foreign_token::verify(token, &keys, &source.issuer, &source.audience, now)?;
    let until = verified.claims().expires_at;
    match authenticated_user(world, caller, &verified, now) {
        Ok(user) => Ok((Behalf::User(user), until)),
        Err(reason) => Err(NotShown {
            reason,
            why: "it is over".to_owned(),
        }),
    }
}
