//! Logins at identity providers: OpenID Connect's code flow with PKCE, nonce and state, every one of them.
//!
//! What was asked is in a sealed cookie of the browser that asked, so nobody else can finish it; the nonce is spent in
//! the commit that opens the session. What a provider says leads to a principal by an exact link, and to a user where
//! an org trusts the provider; to nothing else.

mod backchannel;
mod provider;

pub(super) use backchannel::{BACKCHANNEL, logged_out};
pub(super) use provider::Providers;

use super::cookie;
use super::form::read as read_form;
use super::guard::text;
use super::local_path::LocalPath;
use super::passkeys::{digest_of_code, draw_secret, worthless};
use super::sealed_flow::Flow;
use super::visit::digest_of;
use super::{HumanPlane, Page, Posted, Visit};
use crate::admin::refused::Refused;
use crate::config::Provider;
use crate::connection::Peer;
use crate::entropy::random;
use crate::settle::settle;
use axum::Extension;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::principal::{self, Enrolling, invited};
use broker::session::{self, CHALLENGE_SECS};
use credential::{IdTokenClaims, Verified, sha256};
use http::{HeaderMap, StatusCode, Uri, header};
use identity::{Digest, Name, SessionId, UnixTime};
use maud::html;
use provider::{Code, ProviderError, query};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where providers lead back to.
pub(super) const RETURN: &str = "/ui/login/return";
/// How old a login at the provider may be, in seconds: as long as a session of ours may live. It makes the provider
/// say when it was (OpenID Connect Core section 3.1.2.1).
const AGE_SECS_MAX: u64 = session::LIFE_SECS;

/// What a login is for.
#[derive(Clone, Serialize, Deserialize)]
enum Purpose {
    Login,
    Verify(SessionId),
    Invite(Digest),
}

/// A login under way.
#[derive(Serialize, Deserialize)]
struct AccountFlow {
    provider: Name,
    state: String,
    nonce: String,
    verifier: String,
    to: LocalPath,
    purpose: Purpose,
    asked_at: UnixTime,
}
impl Flow for AccountFlow {
    const PURPOSE: &'static str = "account";
}

/// What a provider's redirect carries (section 3.1.2.5, RFC 9207).
#[derive(Debug, Deserialize)]
pub(super) struct Returned {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Begins a login.
pub(super) async fn begin_login(State(human): State<Arc<HumanPlane>>, request: Request) -> Response {
    match read_form(request.into_body()).await {
        Ok(form) => begin(&human, form.one("provider"), form.one("to"), Purpose::Login).await,
        Err(response) => response,
    }
}

/// Begins to prove again that it is they who are there.
pub(super) async fn begin_verify(State(human): State<Arc<HumanPlane>>, posted: Posted) -> Response {
    let Posted { visit, form } = posted;
    let purpose = Purpose::Verify(visit.visitor().session().id);
    begin(&human, form.one("provider"), form.one("to"), purpose).await
}

/// Begins to link an account to whom an invite is for.
pub(super) async fn begin_invited(
    State(human): State<Arc<HumanPlane>>,
    Extension(peer): Extension<Arc<Peer>>,
    request: Request,
) -> Response {
    let form = match read_form(request.into_body()).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    let invite = digest_of_code(form.one("code").unwrap_or_default().trim());
    let world = human.installation().store.world();
    if invited(&world, &invite, human.now()).is_none() {
        return failed(&worthless(&human, &peer));
    }
    begin(&human, form.one("provider"), None, Purpose::Invite(invite)).await
}

async fn begin(human: &HumanPlane, name: Option<&str>, to: Option<&str>, purpose: Purpose) -> Response {
    let Some((name, provider)) = name.and_then(|name| human.config.providers.get_key_value(name)) else {
        return failed(&Refused::not_found("identity provider", "of this name"));
    };
    let now = human.now();
    let known = match human.providers.get(name, provider, now).await {
        Ok(known) => known,
        Err(why) => return unreachable(human, name, &why),
    };
    let Ok(drawn) = random::<96>() else {
        return failed(&Refused::unavailable("there is no randomness"));
    };
    let (state, rest) = drawn.split_at(32);
    let (nonce, verifier) = rest.split_at(32);
    let flow = AccountFlow {
        provider: name.clone(),
        state: URL_SAFE_NO_PAD.encode(state),
        nonce: URL_SAFE_NO_PAD.encode(nonce),
        verifier: URL_SAFE_NO_PAD.encode(verifier),
        to: to.and_then(LocalPath::parse).unwrap_or_else(LocalPath::home),
        purpose,
        asked_at: now,
    };
    let challenge = URL_SAFE_NO_PAD.encode(sha256(flow.verifier.as_bytes()));
    let redirect_uri = human.config.url.endpoint(RETURN);
    let age = AGE_SECS_MAX.to_string();
    let mut asked = vec![
        ("response_type", "code"),
        ("scope", "openid"),
        ("client_id", &provider.client_id),
        ("redirect_uri", &redirect_uri),
        ("state", &flow.state),
        ("nonce", &flow.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    match flow.purpose {
        // Asked again, whatever session they have there.
        Purpose::Verify(_) => asked.extend([("prompt", "login"), ("max_age", "0")]),
        Purpose::Login | Purpose::Invite(_) => asked.push(("max_age", &age)),
    }
    let endpoint = known.authorization_endpoint();
    let separator = if endpoint.contains('?') { '&' } else { '?' };
    let there = format!("{endpoint}{separator}{}", query(&asked));
    let until = now.plus_secs(CHALLENGE_SECS);
    let Some(sealed) = human.flows.seal(&flow, until) else {
        return failed(&Refused::unavailable("nothing can be sealed"));
    };
    // A page that leads on, and no redirect: a form of ours may lead to pages of ours alone.
    let mut response = Page::leaving(name.as_str(), there).into_response();
    response
        .headers_mut()
        .append(header::SET_COOKIE, cookie::set_flow(&sealed, CHALLENGE_SECS));
    response
}

/// Where a provider leads back to. A browser comes from another site here, without our session's cookie; it is led here
/// once more by ourselves.
pub(super) async fn come_back(
    State(human): State<Arc<HumanPlane>>,
    Extension(peer): Extension<Arc<Peer>>,
    visit: Option<Extension<Visit>>,
    headers: HeaderMap,
    uri: Uri,
    Query(returned): Query<Returned>,
) -> Response {
    if matches!(text(&headers, "sec-fetch-site"), Some("cross-site" | "same-site")) {
        let here = uri.path_and_query().map_or(RETURN, |path| path.as_str());
        return Page::again(here.to_owned()).into_response();
    }
    let visit = visit.map(|Extension(visit)| visit);
    let mut response = match finish(&human, &peer, visit.as_ref(), &headers, &returned).await {
        Ok(response) => response,
        Err(refused) => failed(&refused),
    };
    response
        .headers_mut()
        .append(header::SET_COOKIE, cookie::clear_flow());
    response
}

async fn finish(
    human: &HumanPlane,
    peer: &Peer,
    visit: Option<&Visit>,
    headers: &HeaderMap,
    returned: &Returned,
) -> Result<Response, Refused> {
    let flow: AccountFlow = cookie::flow(headers)
        .and_then(|sealed| human.flows.open(sealed, human.now()))
        .filter(|flow: &AccountFlow| returned.state.as_deref() == Some(flow.state.as_str()))
        .ok_or_else(|| {
            let code = "LOGIN_NOT_BEGUN";
            human.installation().unidentified.count(peer.address.ip(), code);
            Refused::new(
                StatusCode::FORBIDDEN,
                code,
                "This login was begun elsewhere, or took too long.",
                "A login is finished in the browser that began it, within five minutes.",
                "Begin again from the login page.",
            )
        })?;
    let login = redeem(human, peer, &flow, returned).await?;
    let installation = human.installation();
    match &flow.purpose {
        Purpose::Invite(invite) => {
            let org = installation.store.world().invite(invite).and_then(|it| it.org);
            let linked = settle(installation, org, |world, draw| {
                principal::enrol_account(world, &Enrolling::Invited(invite), &login, draw)
            });
            linked.await.map(drop)?;
            Ok(super::see_other("/ui/login"))
        }
        Purpose::Login => {
            let secret = draw_secret()?;
            let digest = digest_of(&secret);
            let opened = settle(installation, None, |world, draw| {
                session::open_by_account(world, &login, digest, draw)
            })
            .await?;
            human.saw(opened.get().session().id, human.now());
            if let Some(before) = visit {
                super::sessions::end_quietly(human, before).await;
            }
            Ok(entered(&secret, &flow.to))
        }
        Purpose::Verify(session) => {
            let visit = visit
                .filter(|visit| visit.visitor().session().id == *session)
                .ok_or_else(|| {
                    Refused::new(
                        StatusCode::UNAUTHORIZED,
                        "SESSION_NEEDED",
                        "The session that asked is over.",
                        "A session ends after 15 minutes without use, after 8 hours, or when somebody ends it.",
                        "Log in again.",
                    )
                })?;
            let secret = draw_secret()?;
            let digest = digest_of(&secret);
            let org = visit.visitor().session().org;
            let renewed = settle(installation, org, |world, draw| {
                session::verify_by_account(world, visit.visitor(), &login, flow.asked_at, digest, draw)
            })
            .await?;
            human.saw(renewed.get().session().id, human.now());
            Ok(entered(&secret, &flow.to))
        }
    }
}

async fn redeem(
    human: &HumanPlane,
    peer: &Peer,
    flow: &AccountFlow,
    returned: &Returned,
) -> Result<Verified<IdTokenClaims>, Refused> {
    let unproven = || {
        let code = "ACCOUNT_UNPROVEN";
        human.installation().unidentified.count(peer.address.ip(), code);
        Refused::new(
            StatusCode::FORBIDDEN,
            code,
            "Your identity provider did not log you in.",
            "It said no, or what it said could not be verified.",
            "Try again; if that does not help, an operator finds the reason in the server's log.",
        )
    };
    let provider: &Provider = human.config.providers.get(&flow.provider).ok_or_else(unproven)?;
    let now = human.now();
    let judged = async {
        let known = human.providers.get(&flow.provider, provider, now).await?;
        if !known.is_from_here(returned.iss.as_deref()) {
            return Err(ProviderError::OtherIssuer(
                returned.iss.clone().unwrap_or_default(),
            ));
        }
        let code = Code {
            text: returned
                .code
                .as_deref()
                .filter(|_| returned.error.is_none())
                .ok_or(ProviderError::Document("the answer in the redirect"))?,
            verifier: &flow.verifier,
            nonce: &flow.nonce,
            redirect_uri: &human.config.url.endpoint(RETURN),
        };
        human.providers.redeem(&flow.provider, provider, &code, now).await
    };
    judged.await.map_err(|why| {
        tracing::warn!(provider = %flow.provider, %why, "a login at an identity provider did not succeed");
        unproven()
    })
}

fn entered(secret: &cookie::SessionSecret, to: &LocalPath) -> Response {
    let mut response = super::see_other(to.as_str());
    response
        .headers_mut()
        .append(header::SET_COOKIE, cookie::set_session(secret));
    response
}

fn unreachable(human: &HumanPlane, name: &Name, why: &ProviderError) -> Response {
    tracing::warn!(provider = %name, %why, "an identity provider cannot be asked");
    let url = &human.config.url;
    Page::new("The identity provider does not answer")
        .status(StatusCode::BAD_GATEWAY)
        .body(&html! {
            p { "Nobody can log in at " (name.as_str()) " at the moment. An operator finds the reason in the server's log." }
            p { a href=(url.endpoint("/ui/login")) { "Back to the login" } }
        })
        .into_response()
}

/// A login that failed, for somebody without a session.
fn failed(refused: &Refused) -> Response {
    Page::new("You are not logged in")
        .status(refused.status())
        .body(&html! {
            p .bad { (refused.title()) }
            p { (refused.detail()) " " (refused.fix()) }
            p { a href="/ui/login" { "Back to the login" } }
            p .hint { "Code " code { (refused.code()) } }
        })
        .into_response()
}
