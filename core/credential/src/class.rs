//! The classes of signed tokens. A key signs and verifies exactly one class, told by `typ` (RFC 8725 section 3.11).

/// A class of signed token. A verifier asks for one class; a token of any other is refused however good its
/// signature is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TokenClass {
    /// Our access tokens (RFC 9068).
    AccessToken,
    /// A sender's proof of its key (RFC 9449). Verified with the key it carries, never with one of ours.
    DpopProof,
    /// A SPIFFE JWT-SVID.
    JwtSvid,
    /// What we send to outside services as a federated identity.
    FederationAssertion,
    /// A token of another issuer that authenticates somebody: OIDC ID tokens, platform documents.
    Foreign,
    /// A security event (RFC 8417).
    SecurityEvent,
    /// Another issuer's word that somebody logged out (OpenID Connect Back-Channel Logout section 2.4).
    Logout,
}

impl TokenClass {
    /// The value of `typ` that we write.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::AccessToken => "at+jwt",
            Self::DpopProof => "dpop+jwt",
            Self::JwtSvid | Self::FederationAssertion | Self::Foreign => "JWT",
            Self::SecurityEvent => "secevent+jwt",
            Self::Logout => "logout+jwt",
        }
    }

    /// Whether a header with this `typ` may be of this class. Only classes that others define without a `typ` of
    /// their own accept its absence (JWT-SVID section 2.3; OpenID Connect Core says nothing; Back-Channel Logout recommends one).
    pub fn accepts_typ(self, typ: Option<&str>) -> bool {
        match self {
            Self::JwtSvid => matches!(typ, None | Some("JWT" | "JOSE")),
            Self::Foreign => matches!(typ, None | Some("JWT")),
            // The type came late and is recommended only; the claims tell it from every other token.
            Self::Logout => matches!(typ, None | Some("JWT" | "logout+jwt")),
            Self::AccessToken | Self::DpopProof | Self::FederationAssertion | Self::SecurityEvent => {
                typ == Some(self.typ())
            }
        }
    }
}
