//! The token exchange request (RFC 8693 section 2.1) with resource indicators (RFC 8707), authorization details
//! (RFC 9396) and JWT client authentication (RFC 7523).
//!
//! Reads and types the parameters. Whether a token is any good and what may be granted is decided elsewhere.

use crate::agent_task::{AgentTask, AgentTaskError};
use crate::form::{Form, FormError};
use identity::{Audience, Secret};
use std::fmt;

/// The value of `grant_type`.
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// `client_assertion_type` of RFC 7523.
const JWT_BEARER_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// `client_assertion_type` of OAuth SPIFFE client authentication.
const JWT_SPIFFE_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
/// Most targets in one request. One is granted; more than a few is a scan.
pub const TARGETS_MAX: usize = 8;
/// Longest `scope` in bytes.
const SCOPE_BYTES_MAX: usize = 1024;

/// A token type (RFC 8693 section 3 and the drafts that we follow).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TokenType {
    /// An OAuth access token.
    AccessToken,
    /// An OAuth refresh token.
    RefreshToken,
    /// An OpenID Connect ID token.
    IdToken,
    /// Any JWT: JWT-SVIDs and authorization grants.
    Jwt,
    /// A SAML 1.1 assertion.
    Saml1,
    /// A SAML 2.0 assertion.
    Saml2,
    /// A transaction token.
    TxnToken,
    /// An identity assertion authorization grant.
    IdJag,
}

impl TokenType {
    const ALL: [(Self, &'static str); 8] = [
        (Self::AccessToken, "urn:ietf:params:oauth:token-type:access_token"),
        (
            Self::RefreshToken,
            "urn:ietf:params:oauth:token-type:refresh_token",
        ),
        (Self::IdToken, "urn:ietf:params:oauth:token-type:id_token"),
        (Self::Jwt, "urn:ietf:params:oauth:token-type:jwt"),
        (Self::Saml1, "urn:ietf:params:oauth:token-type:saml1"),
        (Self::Saml2, "urn:ietf:params:oauth:token-type:saml2"),
        (Self::TxnToken, "urn:ietf:params:oauth:token-type:txn_token"),
        (Self::IdJag, "urn:ietf:params:oauth:token-type:id-jag"),
    ];
    /// The URN.
    pub fn urn(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(known, _)| *known == self)
            .map_or("", |(_, urn)| urn)
    }
    /// The type of that exact URN.
    pub fn from_urn(urn: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(_, known)| *known == urn)
            .map(|(known, _)| known)
    }
}

/// A token and what it is said to be.
pub struct TypedToken {
    /// The token.
    pub token: Secret<String>,
    /// Its type, as the client says.
    pub kind: TokenType,
}

/// How the client proves itself in the form, if it does.
pub enum ClientAssertion {
    /// A JWT by the client's own key (RFC 7523 section 2.2).
    Jwt(Secret<String>),
    /// A JWT-SVID (OAuth SPIFFE client authentication).
    JwtSvid(Secret<String>),
}

/// A token exchange request.
pub struct TokenExchangeForm {
    /// For whom the action is.
    pub subject: TypedToken,
    /// Who acts. Its absence never drops an actor that the subject token already has.
    pub actor: Option<TypedToken>,
    /// What is wanted; `None` = our choice, an access token.
    pub requested: Option<TokenType>,
    /// `audience` and `resource`: for which services.
    pub targets: Vec<Audience>,
    /// `scope`.
    pub scope: Option<String>,
    /// `authorization_details`, all of type `agent_task`.
    pub details: Vec<AgentTask>,
    /// `client_id`.
    pub client_id: Option<String>,
    /// `client_assertion`.
    pub client: Option<ClientAssertion>,
}

/// Why a form is no token exchange request. Each has its own OAuth error code (oauth error table in the server).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeFormError {
    /// The form itself.
    #[error(transparent)]
    Form(#[from] FormError),
    /// `grant_type` is another one, or none.
    #[error("the grant type is not token exchange")]
    OtherGrant,
    /// A mandatory parameter is absent.
    #[error("the parameter \"{0}\" is missing")]
    Missing(&'static str),
    /// A token type that nobody defined, or that we do not take there.
    #[error("the parameter \"{0}\" is not a token type that is supported there")]
    TokenType(&'static str),
    /// `actor_token_type` without `actor_token` (section 2.1: must not be included).
    #[error("\"actor_token_type\" stands without \"actor_token\"")]
    ActorTypeAlone,
    /// More than eight targets, one that is no audience, or a resource that is no absolute URI without fragment.
    #[error("a target is not usable, or there are more than 8")]
    Target,
    /// `scope` is longer than 1024 bytes or not in its character set.
    #[error("the scope is malformed")]
    Scope,
    /// `authorization_details`.
    #[error(transparent)]
    Details(#[from] AgentTaskError),
    /// `client_assertion` and `client_assertion_type` do not come together, or the type is unknown.
    #[error("the client assertion or its type is missing or unknown")]
    ClientAssertion,
}

impl TokenExchangeForm {
    /// Reads a body of type `application/x-www-form-urlencoded`.
    pub fn parse(body: &[u8]) -> Result<Self, ExchangeFormError> {
        Self::from_form(&Form::parse(body)?)
    }

    /// Reads the parameters of a form.
    pub fn from_form(form: &Form) -> Result<Self, ExchangeFormError> {
        if form.one("grant_type") != Some(TOKEN_EXCHANGE) {
            return Err(ExchangeFormError::OtherGrant);
        }
        Self::whatever_grant(form)
    }

    /// Reads the same parameters of a request of another kind that names its parties alike.
    pub fn whatever_grant(form: &Form) -> Result<Self, ExchangeFormError> {
        let actor_type_alone = form.one("actor_token").is_none() && form.one("actor_token_type").is_some();
        if actor_type_alone {
            return Err(ExchangeFormError::ActorTypeAlone);
        }
        let requested = form
            .one("requested_token_type")
            .map(|urn| TokenType::from_urn(urn).ok_or(ExchangeFormError::TokenType("requested_token_type")));
        let details = form.one("authorization_details").map(str::as_bytes);
        Ok(Self {
            subject: typed(form, "subject_token", "subject_token_type")?
                .ok_or(ExchangeFormError::Missing("subject_token"))?,
            actor: typed(form, "actor_token", "actor_token_type")?,
            requested: requested.transpose()?,
            targets: targets(form)?,
            scope: scope(form)?,
            details: details
                .map(AgentTask::parse_list)
                .transpose()?
                .unwrap_or_default(),
            client_id: form.one("client_id").map(str::to_owned),
            client: client(form)?,
        })
    }
}

impl fmt::Debug for TokenExchangeForm {
    /// Without tokens and assertions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchangeForm")
            .field("subject", &self.subject.kind)
            .field("actor", &self.actor.as_ref().map(|actor| actor.kind))
            .field("requested", &self.requested)
            .field("targets", &self.targets)
            .field("scope", &self.scope)
            .field("details", &self.details)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

fn typed(
    form: &Form,
    token: &'static str,
    kind: &'static str,
) -> Result<Option<TypedToken>, ExchangeFormError> {
    let Some(text) = form.one(token) else {
        return Ok(None);
    };
    let urn = form.one(kind).ok_or(ExchangeFormError::Missing(kind))?;
    let accepted = match TokenType::from_urn(urn) {
        Some(TokenType::RefreshToken | TokenType::Saml1 | TokenType::Saml2) | None => {
            return Err(ExchangeFormError::TokenType(kind));
        }
        Some(accepted) => accepted,
    };
    Ok(Some(TypedToken {
        token: Secret::new(text.to_owned()),
        kind: accepted,
    }))
}

fn targets(form: &Form) -> Result<Vec<Audience>, ExchangeFormError> {
    let absolute = |uri: &&str| {
        let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
        let named = scheme.is_some_and(|scheme| {
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        });
        named && !uri.contains('#')
    };
    if !form.all("resource").all(|uri| absolute(&uri)) {
        return Err(ExchangeFormError::Target);
    }
    let names = form.all("audience").chain(form.all("resource"));
    let targets: Result<Vec<Audience>, _> = names.map(str::parse).collect();
    match targets {
        Ok(targets) if targets.len() <= TARGETS_MAX => Ok(targets),
        _ => Err(ExchangeFormError::Target),
    }
}

/// RFC 6749 section 3.3: names of printable ASCII without quote and backslash, one space between them.
fn scope(form: &Form) -> Result<Option<String>, ExchangeFormError> {
    let Some(scope) = form.one("scope") else {
        return Ok(None);
    };
    let token = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    };
    if scope.len() > SCOPE_BYTES_MAX || !scope.split(' ').all(token) {
        return Err(ExchangeFormError::Scope);
    }
    Ok(Some(scope.to_owned()))
}

fn client(form: &Form) -> Result<Option<ClientAssertion>, ExchangeFormError> {
    match (form.one("client_assertion"), form.one("client_assertion_type")) {
        (None, None) => Ok(None),
        (Some(text), Some(JWT_BEARER_ASSERTION)) => {
            Ok(Some(ClientAssertion::Jwt(Secret::new(text.to_owned()))))
        }
        (Some(text), Some(JWT_SPIFFE_ASSERTION)) => {
            Ok(Some(ClientAssertion::JwtSvid(Secret::new(text.to_owned()))))
        }
        _ => Err(ExchangeFormError::ClientAssertion),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
        &subject_token=abc&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt";

    fn parse(extra: &str) -> Result<TokenExchangeForm, ExchangeFormError> {
        TokenExchangeForm::parse(format!("{MINIMAL}{extra}").as_bytes())
    }

    #[test]
    fn the_minimal_request_parses() {
        let form = parse("").unwrap();
        assert_eq!(form.subject.token.expose(), "abc");
        assert_eq!(form.subject.kind, TokenType::Jwt);
        assert!(form.actor.is_none() && form.targets.is_empty() && form.details.is_empty());
    }

    #[test]
    fn the_whole_request_parses() {
        let form = parse(
            "&actor_token=x.y.z&actor_token_type=urn:ietf:params:oauth:token-type:access_token\
             &audience=invoices&resource=https://api.example/x&scope=a+b\
             &requested_token_type=urn:ietf:params:oauth:token-type:access_token\
             &authorization_details=[{\"type\":\"agent_task\",\"actions\":[\"read\"]}]\
             &client_assertion=q&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-spiffe",
        )
        .unwrap();
        assert_eq!(
            form.actor.as_ref().map(|actor| actor.kind),
            Some(TokenType::AccessToken)
        );
        assert_eq!(form.targets.len(), 2);
        assert_eq!(form.scope.as_deref(), Some("a b"));
        assert_eq!(form.details.len(), 1);
        assert!(matches!(form.client, Some(ClientAssertion::JwtSvid(_))));
        assert!(!format!("{form:?}").contains("abc"));
    }

    #[test]
    fn what_the_standard_forbids_is_refused() {
        for (extra, error) in [
            (
                "&actor_token_type=urn:ietf:params:oauth:token-type:jwt",
                ExchangeFormError::ActorTypeAlone,
            ),
            ("&actor_token=x", ExchangeFormError::Missing("actor_token_type")),
            (
                "&actor_token=x&actor_token_type=jwt",
                ExchangeFormError::TokenType("actor_token_type"),
            ),
            (
                "&actor_token=x&actor_token_type=urn:ietf:params:oauth:token-type:saml2",
                ExchangeFormError::TokenType("actor_token_type"),
            ),
            (
                "&requested_token_type=urn:x",
                ExchangeFormError::TokenType("requested_token_type"),
            ),
            ("&resource=/relative", ExchangeFormError::Target),
            ("&resource=https://a/%23f", ExchangeFormError::Target),
            ("&audience=a+b", ExchangeFormError::Target),
            (&"&audience=a".repeat(TARGETS_MAX + 1), ExchangeFormError::Target),
            ("&scope=a++b", ExchangeFormError::Scope),
            ("&scope=a%22", ExchangeFormError::Scope),
            ("&client_assertion=x", ExchangeFormError::ClientAssertion),
            (
                "&client_assertion=x&client_assertion_type=urn:x",
                ExchangeFormError::ClientAssertion,
            ),
            (
                "&authorization_details=[{\"type\":\"payment\"}]",
                ExchangeFormError::Details(AgentTaskError::UnknownType("payment".to_owned())),
            ),
            (
                "&subject_token=again",
                ExchangeFormError::Form(FormError::Repeated("subject_token".to_owned())),
            ),
        ] {
            assert_eq!(parse(extra).unwrap_err(), error, "{extra}");
        }
        assert_eq!(
            TokenExchangeForm::parse(b"grant_type=password").unwrap_err(),
            ExchangeFormError::OtherGrant
        );
        assert_eq!(
            TokenExchangeForm::parse(format!("grant_type={TOKEN_EXCHANGE}").as_bytes()).unwrap_err(),
            ExchangeFormError::Missing("subject_token")
        );
    }

    #[test]
    fn every_type_has_its_urn() {
        for (kind, urn) in TokenType::ALL {
            assert_eq!((kind.urn(), TokenType::from_urn(urn)), (urn, Some(kind)));
        }
    }
}
