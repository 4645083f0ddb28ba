//! People's ways in, and the sessions that they open.
//!
//! A session is part of the World, not of one server's memory: it is listed and ended like everything else that
//! carries authority, its beginning and its end stand in the record, and it ends with the principal it belongs to.
//! When it was last used is not: that changes with each request, and is kept by the server that sees them.

use identity::{Digest, Name, OrgId, SessionId, Thumbprint, UnixTime};
use serde::{Deserialize, Serialize};

/// An account at an identity provider. Only both parts together name a person (OpenID Connect Core section 2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Account {
    /// `iss`, byte for byte.
    pub issuer: String,
    /// `sub`, byte for byte.
    pub subject: String,
}

/// A passkey: the credential record of WebAuthn Level 3 section 4, as far as it is looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Passkey {
    /// The credential id.
    pub id: Vec<u8>,
    /// The public key, as the `COSE_Key` that was registered (RFC 9052 section 7).
    pub key: Vec<u8>,
    /// The signature counter of the newest assertion; 0 where the authenticator has none.
    pub counter: u32,
    /// What its owner calls it.
    pub label: String,
    /// When it was enrolled.
    pub enrolled_at: UnixTime,
    /// Whether it may be copied to other devices (the backup eligibility flag).
    pub may_be_copied: bool,
}

/// A one-time link by which a principal enrols a way in. The World knows only its digest; spending it is a
/// precondition of the very commit that enrols, so a failed attempt does not consume it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Invite {
    /// SHA-256 of the secret.
    pub digest: Digest,
    /// Whom it is for.
    pub principal: Name,
    /// Their org; `None` for the installation.
    pub org: Option<OrgId>,
    /// When it becomes worthless.
    pub expires_at: UnixTime,
}

/// How somebody came in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum WayIn {
    /// By the passkey of this credential id, with user verification.
    Passkey(Vec<u8>),
    /// By an account at an identity provider.
    Account(Account),
}

impl WayIn {
    /// The word for an account.
    pub const BY_ACCOUNT: &'static str = "oidc";

    /// As entries name the way a person was authenticated.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Passkey(_) => "webauthn",
            Self::Account(_) => Self::BY_ACCOUNT,
        }
    }
}

/// Where a session is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Surface {
    /// In a browser, by a cookie.
    Browser,
    /// In a terminal, with a proof of this key at each request. A person in a browser session opened it.
    CommandLine(Thumbprint),
}

/// A person's session.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Its name: in lists and in the record. Opens nothing.
    pub id: SessionId,
    /// SHA-256 of the secret that its cookie holds.
    pub digest: Digest,
    /// The principal that it acts as; `None` for somebody who is only a user.
    pub principal: Option<Name>,
    /// The org of that principal.
    pub org: Option<OrgId>,
    /// The account that authenticated them; users are known by nothing else.
    pub account: Option<Account>,
    /// How its holder came in.
    pub way: WayIn,
    /// `sid`: what the identity provider that they came in by calls its own session, if it says so. It names one only together
    /// with the provider's issuer.
    pub provider_session: Option<String>,
    /// Where it is used.
    pub surface: Surface,
    /// When it began.
    pub opened_at: UnixTime,
    /// When its secret was drawn: at the beginning, and at each verification.
    pub renewed_at: UnixTime,
    /// When its holder last proved to be there in person; 0 for never.
    pub verified_at: UnixTime,
    /// When it ends, however much it is used.
    pub expires_at: UnixTime,
    /// The cluster epoch that it began in. A restore ends it.
    pub epoch: u64,
}

impl Session {
    /// Whether the way that its holder came in is that one.
    pub fn came_by_passkey(&self, credential: &[u8]) -> bool {
        matches!(&self.way, WayIn::Passkey(id) if id == credential)
    }
    /// The same for an account.
    pub fn came_by_account(&self, account: &Account) -> bool {
        matches!(&self.way, WayIn::Account(way) if way == account)
    }
    /// Whether that issuer means it, who says that somebody (`subject`), or a session of its own, is logged out.
    pub fn is_logged_out_by(&self, issuer: &str, subject: Option<&str>, session: Option<&str>) -> bool {
        let WayIn::Account(account) = &self.way else {
            return false;
        };
        let is = |known: Option<&str>, said: Option<&str>| said.is_some() && known == said;
        account.issuer == issuer
            && (is(Some(&account.subject), subject) || is(self.provider_session.as_deref(), session))
    }
}
