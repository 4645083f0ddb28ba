//! Who is here: the session of a request, judged anew for each.

use super::HumanPlane;
use super::cookie::{self, SessionSecret};
use super::guard::text;
use super::local_path::LocalPath;
use super::page::Page;
use super::terminal;
use crate::admin::refused::Refused;
use aws_lc_rs::hmac;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::admin::Administrator;
use broker::session::{NoSession, Visitor, visit};
use broker::world::Surface;
use credential::sha256;
use http::request::Parts;
use http::{Method, StatusCode, header};
use identity::{Digest, UnixTime};
use std::sync::Arc;

/// A person with a session in a browser. Take it as an argument, and a page is shown to nobody else: whoever has none is
/// led to the login and back.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    visitor: Visitor,
    secret: Arc<SessionSecret>,
}

impl Visit {
    /// Who it is.
    pub(crate) const fn visitor(&self) -> &Visitor {
        &self.visitor
    }
    /// As an administrator, if they are a principal.
    pub(crate) fn administrator(&self) -> Option<Administrator> {
        Administrator::visiting(&self.visitor)
    }
    /// What every form of ours carries: nobody without the session's own secret can make it.
    pub(crate) fn form_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.form_key(), FORM))
    }
    /// Whether a form carried it.
    pub(super) fn made(&self, token: &str) -> bool {
        let Ok(tag) = URL_SAFE_NO_PAD.decode(token) else {
            return false;
        };
        hmac::verify(&self.form_key(), FORM, &tag).is_ok()
    }
    fn form_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.secret.expose())
    }
}

/// What a form's token is made over.
const FORM: &[u8] = b"tabard form 1";

/// What a session's secret is known by.
pub(super) fn digest_of(secret: &SessionSecret) -> Digest {
    Digest::from_bytes(sha256(secret.expose()))
}

/// Finds the session of a request, if it has one, and leaves it for whoever asks.
pub(super) async fn admit(
    State(human): State<Arc<HumanPlane>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(secret) = cookie::session(request.headers()) {
        match judge(&human, &secret) {
            Ok(visitor) => {
                if let Some(administrator) = Administrator::visiting(&visitor) {
                    request.extensions_mut().insert(administrator);
                }
                request.extensions_mut().insert(Visit {
                    visitor,
                    secret: Arc::new(secret),
                });
            }
            Err(why) => {
                request.extensions_mut().insert(why);
            }
        }
    } else if let Some(shown) = terminal::secret_of(request.headers())
        && !matches!(request.uri().path(), terminal::BEGIN | terminal::POLL)
    {
        match at_terminal(&human, &request, shown) {
            Ok(administrator) => {
                request.extensions_mut().insert(administrator);
            }
            Err(refused) => return refused.into_response(),
        }
    }
    next.run(request).await
}

/// The session of a terminal: its secret and its key, or nothing. It is for the API alone; pages take cookies.
fn at_terminal(human: &HumanPlane, request: &Request, shown: &str) -> Result<Administrator, Refused> {
    let (now, path) = (human.now(), request.uri().path());
    let proof = terminal::proof(human, request.headers(), request.method(), path, Some(shown), now)?;
    let refused = |why: NoSession| {
        Refused::new(
            StatusCode::UNAUTHORIZED,
            "SESSION_NEEDED",
            "This terminal is not logged in any more.",
            why.to_string(),
            "Run `tabard login`.",
        )
    };
    let secret = URL_SAFE_NO_PAD.decode(shown).unwrap_or_default();
    let visitor = visitor(human, &Digest::from_bytes(sha256(&secret)), now).map_err(refused)?;
    if visitor.session().surface != Surface::CommandLine(proof.key()) {
        return Err(refused(NoSession::Unknown));
    }
    terminal::spend(&human.installation().replays, &proof, now)?;
    human.saw(visitor.session().id, now);
    Administrator::visiting(&visitor).ok_or_else(|| refused(NoSession::Gone))
}

/// Whose session it is, if it is good on the World of now.
fn visitor(human: &HumanPlane, secret: &Digest, now: UnixTime) -> Result<Visitor, NoSession> {
    let world = human.installation().store.world();
    let session = world.session(secret);
    let seen = session.and_then(|session| human.last_seen(session.id));
    visit(&world, secret, seen, now)
}

fn judge(human: &HumanPlane, secret: &SessionSecret) -> Result<Visitor, NoSession> {
    let now = human.now();
    let visitor = visitor(human, &digest_of(secret), now)?;
    // The secret of a terminal's session is worth nothing without its key.
    if visitor.session().surface != Surface::Browser {
        return Err(NoSession::Unknown);
    }
    human.saw(visitor.session().id, now);
    Ok(visitor)
}

impl FromRequestParts<Arc<HumanPlane>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<HumanPlane>) -> Result<Self, Response> {
        match parts.extensions.get::<Self>() {
            Some(visit) => Ok(visit.clone()),
            None => Err(to_the_login(parts)),
        }
    }
}

fn to_the_login(parts: &Parts) -> Response {
    let path = LocalPath::parse(parts.uri.path());
    if parts.method != Method::GET {
        return Refused::new(
            StatusCode::UNAUTHORIZED,
            "SESSION_NEEDED",
            "You are not logged in any more.",
            "A session ends after 15 minutes without use, after 8 hours, or when somebody ends it.",
            "Log in again, then repeat what you did.",
        )
        .into_response();
    }
    // A link on another site leads here without our cookie, which is for our own pages alone. One step further it is
    // our own page that leads on.
    if matches!(
        text(&parts.headers, "sec-fetch-site"),
        Some("cross-site" | "same-site")
    ) && let Some(path) = &path
    {
        return Page::moving_on(path).into_response();
    }
    let to = path.map_or_else(String::new, |path| format!("?to={}", path.as_str()));
    let mut response = super::see_other(&format!("/ui/login{to}"));
    if parts.headers.contains_key(header::COOKIE) {
        response
            .headers_mut()
            .append(header::SET_COOKIE, cookie::clear_session());
    }
    response
}
