//! Sessions of people: how one begins, what it is worth at each request, and how it ends.
//!
//! A session is opened by a passkey that verified its user or by an identity provider, never by a password and never by
//! a credential of an agent. It is judged anew at each request on the World of that moment, so a role that was taken
//! away is gone at the next click. When it was last used is told by the server that saw it.

use crate::admin::Administrator;
use crate::draw::Draw;
use crate::plan::{OnceKind, Outcome, Plan, Precondition};
use crate::refusal::{Cause, Refusal};
use crate::world::{Account, Change, Principal, Role, Session, Surface, WayIn, World};
use audit::event::{Decision, Human, Ruling};
use audit::{Event, EventKind};
use credential::webauthn::Assertion;
use credential::{IdTokenClaims, LogoutClaims, Verified, sha256};
use identity::{Digest, OrgId, OrgScope, SessionId, Thumbprint, UnixTime};
use std::collections::BTreeSet;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// How long a session lives without being used, in seconds (OWASP ASVS 5.0 V7.3.1 leaves the length to us).
pub const IDLE_SECS: u64 = 15 * 60;
/// How long a session lives at most, in seconds: a working day (V7.3.2).
pub const LIFE_SECS: u64 = 8 * 3600;
/// How long an answer to one of our challenges can be waited for, in seconds.
pub const CHALLENGE_SECS: u64 = 300;
/// How far an identity provider's clock may be ahead, in seconds.
const AHEAD_SECS: u64 = 60;

/// Somebody whose session is good at this moment. Made only by [`visit`].
#[derive(Debug, Clone)]
pub struct Visitor {
    session: Arc<Session>,
    principal: Option<Arc<Principal>>,
}

impl Visitor {
    /// Their session.
    pub fn session(&self) -> &Session {
        &self.session
    }
    /// The principal that they are, with the roles of this moment; `None` for somebody who is only a user.
    pub const fn principal(&self) -> Option<&Arc<Principal>> {
        self.principal.as_ref()
    }
    /// The account that they are known by as a user.
    pub fn account(&self) -> Option<&Account> {
        self.session.account.as_ref()
    }
    /// What a page calls them.
    pub fn name(&self) -> &str {
        match (&self.principal, &self.session.account) {
            (Some(principal), _) => principal.name.as_str(),
            (None, Some(account)) => &account.subject,
            (None, None) => "",
        }
    }
    /// Whether they proved lately to be there in person.
    pub fn is_verified(&self, now: UnixTime) -> bool {
        crate::admin::Presence::Session {
            verified: self.session.verified_at,
        }
        .is_verified(now)
    }
    /// How entries name them.
    pub(crate) fn human(&self, draw: &Draw<'_>) -> Human {
        human(&self.session, draw)
    }
}

/// Why a secret opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSession {
    /// There is none under that secret: it never was, or it was ended.
    #[error("there is no such session")]
    Unknown,
    /// Not used for [`IDLE_SECS`].
    #[error("the session was not used for 15 minutes")]
    Idle,
    /// [`LIFE_SECS`] have passed.
    #[error("the session is over")]
    Over,
    /// The installation was restored since.
    #[error("the session began before the installation was restored")]
    Epoch,
    /// Its principal was removed, or nobody trusts the issuer of its account any more.
    #[error("its holder may not come in any more")]
    Gone,
}

/// Judges the session under a secret. `seen` is when this server last saw it used, if it did.
pub fn visit(
    world: &World,
    secret: &Digest,
    seen: Option<UnixTime>,
    now: UnixTime,
) -> Result<Visitor, NoSession> {
    let session = world.session(secret).ok_or(NoSession::Unknown)?;
    if now >= session.expires_at {
        return Err(NoSession::Over);
    }
    // After a restart nobody remembers a later use, and the time since the last proof counts.
    let used = seen.unwrap_or_default().max(session.renewed_at);
    if now.millis_since(used) > IDLE_SECS * 1000 {
        return Err(NoSession::Idle);
    }
    if world.founding().map(|founding| founding.epoch) != Some(session.epoch) {
        return Err(NoSession::Epoch);
    }
    let principal = if let Some(name) = &session.principal {
        Some(world.principal(name).ok_or(NoSession::Gone)?.clone())
    } else {
        let account = session.account.as_ref().ok_or(NoSession::Gone)?;
        if !is_trusted(world, account) {
            return Err(NoSession::Gone);
        }
        None
    };
    Ok(Visitor {
        session: session.clone(),
        principal,
    })
}

/// Whether any org lets the issuer of that account say who its users are.
pub fn is_trusted(world: &World, account: &Account) -> bool {
    world
        .trust_sources(OrgScope::Every)
        .any(|source| source.issuer == account.issuer)
}

/// A session was recorded as begun, or as renewed.
#[derive(Debug)]
pub struct Opened {
    session: Session,
}

impl Opened {
    /// The session.
    pub const fn session(&self) -> &Session {
        &self.session
    }
}

/// Opens a session for whom a passkey belongs to. The challenge is spent.
pub fn open_by_passkey(
    world: &World,
    assertion: &Verified<Assertion>,
    secret: Digest,
    draw: &mut Draw<'_>,
) -> Outcome<Opened> {
    let assertion = assertion.claims();
    let Some(principal) = world.principal_with_passkey(&assertion.credential) else {
        return refuse_stranger(world, "PASSKEY_UNKNOWN", draw);
    };
    let session = Session {
        verified_at: draw.now(),
        ..fresh(
            world,
            Some(principal),
            WayIn::Passkey(assertion.credential.clone()),
            secret,
            draw,
        )
    };
    Outcome::Granted(
        begin(world, EventKind::SessionOpened, session, draw)
            .expecting(spent(&assertion.challenge, draw.now()))
            .changing(used(principal, assertion)),
    )
}

/// Opens a session for whom an identity provider logged in: a principal that has the account, or a user of an org that
/// trusts the provider. Nobody becomes a principal by this. The nonce is spent.
pub fn open_by_account(
    world: &World,
    login: &Verified<IdTokenClaims>,
    secret: Digest,
    draw: &mut Draw<'_>,
) -> Outcome<Opened> {
    let claims = login.claims();
    let account = Account {
        issuer: claims.issuer.clone(),
        subject: claims.subject.clone(),
    };
    let principal = world.principal_with_account(&account);
    if principal.is_none() && !is_trusted(world, &account) {
        return refuse_stranger(world, "ACCOUNT_UNKNOWN", draw);
    }
    let session = Session {
        verified_at: authenticated(claims, draw.now()),
        provider_session: claims.session.clone(),
        ..fresh(world, principal, WayIn::Account(account), secret, draw)
    };
    let begun = begin(world, EventKind::SessionOpened, session, draw);
    Outcome::Granted(begun.expecting(spent(claims.nonce.as_bytes(), draw.now())))
}

/// Goes on with a session whose holder proved again to be there, by a passkey of theirs. Its secret is a new one.
pub fn verify_by_passkey(
    world: &World,
    visitor: &Visitor,
    assertion: &Verified<Assertion>,
    secret: Digest,
    draw: &mut Draw<'_>,
) -> Outcome<Opened> {
    let assertion = assertion.claims();
    let owner = world.principal_with_passkey(&assertion.credential);
    let Some(principal) = owner.filter(|it| Some(&it.name) == visitor.session.principal.as_ref()) else {
        return refuse_visitor(world, visitor, "PASSKEY_OF_ANOTHER", draw);
    };
    let Some(session) = renewed(world, visitor, secret, draw.now(), draw.now()) else {
        return refuse_visitor(world, visitor, "SESSION_OVER", draw);
    };
    Outcome::Granted(
        begin(world, EventKind::SessionVerified, session, draw)
            .expecting(spent(&assertion.challenge, draw.now()))
            .changing(used(principal, assertion)),
    )
}

/// The same at the identity provider that the session began at. It has to say that it asked just now.
pub fn verify_by_account(
    world: &World,
    visitor: &Visitor,
    login: &Verified<IdTokenClaims>,
    asked_at: UnixTime,
    secret: Digest,
    draw: &mut Draw<'_>,
) -> Outcome<Opened> {
    let claims = login.claims();
    let account = Account {
        issuer: claims.issuer.clone(),
        subject: claims.subject.clone(),
    };
    if visitor.session.way != WayIn::Account(account) {
        return refuse_visitor(world, visitor, "ACCOUNT_OF_ANOTHER", draw);
    }
    let proven = authenticated(claims, draw.now());
    // Its seconds are whole, and its clock is its own.
    if proven.plus_secs(AHEAD_SECS) < asked_at {
        return refuse_visitor(world, visitor, "ACCOUNT_NOT_ASKED", draw);
    }
    let Some(session) = renewed(world, visitor, secret, draw.now(), proven) else {
        return refuse_visitor(world, visitor, "SESSION_OVER", draw);
    };
    let session = Session {
        provider_session: claims.session.clone().or(session.provider_session),
        ..session
    };
    let begun = begin(world, EventKind::SessionVerified, session, draw);
    Outcome::Granted(begun.expecting(spent(claims.nonce.as_bytes(), draw.now())))
}

/// Opens a session in a terminal, for a key that it proves at each request. Its holder is there: they say so in a
/// browser, verified lately.
pub fn open_command_line(
    world: &World,
    visitor: &Visitor,
    key: Thumbprint,
    secret: Digest,
    draw: &mut Draw<'_>,
) -> Outcome<Opened> {
    let Some(principal) = &visitor.principal else {
        return refuse_visitor(world, visitor, "SESSION_NOT_PRINCIPAL", draw);
    };
    if visitor.session.surface != Surface::Browser || !visitor.is_verified(draw.now()) {
        return refuse_visitor(world, visitor, "ADMIN_NOT_VERIFIED", draw);
    }
    let session = Session {
        surface: Surface::CommandLine(key),
        account: visitor.session.account.clone(),
        provider_session: visitor.session.provider_session.clone(),
        verified_at: visitor.session.verified_at,
        ..fresh(world, Some(principal), visitor.session.way.clone(), secret, draw)
    };
    Outcome::Granted(begin(world, EventKind::SessionOpened, session, draw))
}

/// A session was ended.
#[derive(Debug)]
pub struct Closed(());

/// Ends a session of the visitor's own.
pub fn close(world: &World, visitor: &Visitor, session: &Session, draw: &mut Draw<'_>) -> Outcome<Closed> {
    let same = session.principal == visitor.session.principal
        && (session.principal.is_some() || session.account == visitor.session.account);
    if !same {
        return refuse_visitor(world, visitor, "SESSION_OF_ANOTHER", draw);
    }
    let mut event = draw.event(EventKind::SessionClosed, world.revision());
    event.human = Some(visitor.human(draw));
    Outcome::Granted(end(world, session, event))
}

/// Ends a session, as an administrator: their own, or somebody's.
pub fn close_as_administrator(
    world: &World,
    who: &Administrator,
    session: &Session,
    draw: &mut Draw<'_>,
) -> Outcome<Closed> {
    let role = Role::Admin;
    let own = session.principal.as_ref() == Some(&who.principal().name);
    if !own && let Err(refused) = who.check(role, session.org, world, draw) {
        return refused;
    }
    let event = who.event(EventKind::SessionClosed, role, world, draw);
    Outcome::Granted(end(world, session, event))
}

/// Ends every session, terminals included, of which an identity provider says that it is over: those that began by the
/// account, where it names a person, whichever of their sessions there ended; those that began by that very session, where it
/// names one. None may be left, and that is no error. The token is spent.
pub fn close_by_provider(
    world: &World,
    logout: &Verified<LogoutClaims>,
    draw: &mut Draw<'_>,
) -> Outcome<Closed> {
    let LogoutClaims {
        issuer,
        subject,
        session,
        token,
        expires_at,
    } = logout.claims();
    let ended: Vec<&Arc<Session>> = world
        .sessions(OrgScope::Every)
        .filter(|it| it.is_logged_out_by(issuer, subject.as_deref(), session.as_deref()))
        .collect();
    let mut event = draw.event(EventKind::SessionClosed, world.revision());
    let orgs: BTreeSet<Option<OrgId>> = ended.iter().map(|session| session.org).collect();
    // Of one org only where all of them are.
    event.org = orgs.first().copied().flatten().filter(|_| orgs.len() == 1);
    // A session of theirs is one person's.
    let known = ended.iter().find_map(|it| it.account.as_ref());
    let name = subject.as_ref().or_else(|| known.map(|account| &account.subject));
    event.human = Some(Human {
        name: name.map(|name| draw.name(name)),
        assurance: Some(WayIn::BY_ACCOUNT.to_owned()),
        ..Human::default()
    });
    event.change_summary = vec![format!("logged out at {issuer}")];
    event.change_summary.extend(
        ended
            .iter()
            .map(|session| format!("session {} ended", session.id)),
    );
    let key = sha256(format!("logout\n{issuer}\n{token}").as_bytes());
    let spent = Precondition::Unused {
        kind: OnceKind::Assertion,
        key,
        until: expires_at.plus_secs(AHEAD_SECS),
    };
    let plan = Plan::new(world.revision(), event, Closed(())).expecting(spent);
    Outcome::Granted(ended.iter().fold(plan, |plan, session| {
        plan.changing(Change::SessionClosed { session: session.id })
    }))
}

fn end(world: &World, session: &Session, mut event: Event) -> Plan<Closed> {
    event.org = session.org;
    event.change_summary = vec![format!("session {} ended", session.id)];
    Plan::new(world.revision(), event, Closed(())).changing(Change::SessionClosed { session: session.id })
}

/// A new session without a proof of presence.
fn fresh(
    world: &World,
    principal: Option<&Arc<Principal>>,
    way: WayIn,
    digest: Digest,
    draw: &mut Draw<'_>,
) -> Session {
    let now = draw.now();
    let account = match &way {
        WayIn::Account(account) => Some(account.clone()),
        WayIn::Passkey(_) => None,
    };
    Session {
        id: draw.id::<identity::kind::Session>() as SessionId,
        digest,
        principal: principal.map(|it| it.name.clone()),
        org: principal.and_then(|it| it.org),
        account,
        way,
        provider_session: None,
        surface: Surface::Browser,
        opened_at: now,
        renewed_at: now,
        verified_at: UnixTime::default(),
        expires_at: now.plus_secs(LIFE_SECS),
        epoch: world
            .founding()
            .map(|founding| founding.epoch)
            .unwrap_or_default(),
    }
}

/// The same session under a new secret, if it is still there.
fn renewed(
    world: &World,
    visitor: &Visitor,
    digest: Digest,
    now: UnixTime,
    verified_at: UnixTime,
) -> Option<Session> {
    let known = world.session(&visitor.session.digest)?;
    (known.id == visitor.session.id).then(|| Session {
        digest,
        renewed_at: now,
        verified_at,
        ..Session::clone(known)
    })
}

fn begin(world: &World, kind: EventKind, session: Session, draw: &mut Draw<'_>) -> Plan<Opened> {
    let mut event = draw.event(kind, world.revision());
    event.human = Some(human(&session, draw));
    event.org = session.org;
    let surface = match session.surface {
        Surface::Browser => "browser",
        Surface::CommandLine(_) => "command_line",
    };
    event.detail.insert("surface".into(), surface.into());
    event.change_summary = vec![format!(
        "session {} until {}",
        session.id,
        session.expires_at.rfc3339()
    )];
    // A secret is drawn once; should the random source repeat itself, nobody gets another's session.
    let key = *session.digest.as_bytes();
    let unused = Precondition::Unused {
        kind: OnceKind::Session,
        key,
        until: session.expires_at,
    };
    let opened = Opened {
        session: session.clone(),
    };
    Plan::new(world.revision(), event, opened)
        .expecting(unused)
        .changing(Change::SessionOpened(session))
}

fn human(session: &Session, draw: &Draw<'_>) -> Human {
    let name = match (&session.principal, &session.account) {
        (Some(name), _) => Some(name.as_str()),
        (None, Some(account)) => Some(account.subject.as_str()),
        (None, None) => None,
    };
    Human {
        name: name.map(|name| draw.name(name)),
        assurance: Some(session.way.word().to_owned()),
        session: Some(session.id),
        ..Human::default()
    }
}

/// When an identity provider says that it asked its user; 0 when it does not say, or names a time to come.
fn authenticated(claims: &IdTokenClaims, now: UnixTime) -> UnixTime {
    claims
        .authenticated_at
        .filter(|at| *at <= now.plus_secs(AHEAD_SECS))
        .map_or_else(UnixTime::default, |at| at.min(now))
}

/// One of our challenges, or a nonce, that nobody can answer twice.
pub(crate) fn spent(challenge: &[u8], now: UnixTime) -> Precondition {
    Precondition::Unused {
        kind: OnceKind::Challenge,
        key: sha256(challenge),
        until: now.plus_secs(CHALLENGE_SECS),
    }
}

fn used(principal: &Principal, assertion: &Assertion) -> Change {
    Change::PasskeyUsed {
        principal: principal.name.clone(),
        credential: assertion.credential.clone(),
        counter: assertion.counter,
    }
}

fn refuse_stranger<P>(world: &World, code: &'static str, draw: &mut Draw<'_>) -> Outcome<P> {
    let event = draw.event(EventKind::AdminRefused, world.revision());
    refuse(world, event, code, draw)
}

pub(crate) fn refuse_visitor<P>(
    world: &World,
    visitor: &Visitor,
    code: &'static str,
    draw: &mut Draw<'_>,
) -> Outcome<P> {
    let mut event = draw.event(EventKind::AdminRefused, world.revision());
    event.human = Some(visitor.human(draw));
    event.org = visitor.session.org;
    refuse(world, event, code, draw)
}

fn refuse<P>(world: &World, mut event: Event, code: &'static str, draw: &mut Draw<'_>) -> Outcome<P> {
    let message = sentence(code).to_owned();
    let refusal = Refusal::new(draw.id(), Cause::Invalid { code, message });
    let mut decision = Decision::new(refusal.decision(), Ruling::Deny);
    decision.reasons = refusal.codes();
    event.decision = Some(decision);
    Outcome::Refused(Plan::new(world.revision(), event, refusal))
}

/// What the person is told.
fn sentence(code: &str) -> &'static str {
    match code {
        "PASSKEY_UNKNOWN" => "nobody here has this passkey: ask an administrator for an invite",
        "ACCOUNT_UNKNOWN" => "nobody here has this account: ask an administrator for an invite",
        "PASSKEY_OF_ANOTHER" => "this passkey belongs to somebody else: use one of your own",
        "ACCOUNT_OF_ANOTHER" => "this is another account than the one you came in by: log out first",
        "ACCOUNT_NOT_ASKED" => {
            "your identity provider did not ask who you are: log in there again, or enrol a passkey"
        }
        "PASSKEY_TAKEN" => "this passkey is enrolled already: use another authenticator",
        "PASSKEYS_FULL" | "ACCOUNTS_FULL" => "there are too many ways in: remove one first",
        "ACCOUNT_TAKEN" => "this account belongs to another principal: use one of your own",
        "SESSION_OVER" => "the session is over: log in again",
        "SESSION_OF_ANOTHER" => "this session is somebody else's: an administrator can end it",
        "CONSENT_NO_USER" => "only users let agents act for them: log in at your identity provider",
        "CONSENT_NOTHING" => "this agent can do nothing for you here: your organisation says what it could",
        "SESSION_NOT_PRINCIPAL" => "only administrators have a command line: ask one for an invite",
        "ADMIN_NOT_VERIFIED" => {
            "this takes a proof that it is you, not older than five minutes: verify, then repeat"
        }
        _ => "this is refused",
    }
}
