//! The ceremonies with passkeys: login, verification, enrolment by an invite or from a session. What a browser sends is
//! judged by [`credential::webauthn`]; the challenge is in a sealed cookie, and is spent in the commit.

use super::cookie::{self, SessionSecret};
use super::local_path::LocalPath;
use super::login::passkey_form;
use super::sealed_flow::Flow;
use super::visit::digest_of;
use super::{HumanPlane, Page, Posted, Visit};
use crate::admin::body::Strict;
use crate::admin::refused::Refused;
use crate::connection::Peer;
use crate::entropy::random;
use crate::settle::settle;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::principal::{self, Enrolling, invited};
use broker::session::{self, CHALLENGE_SECS};
use broker::world::Principal;
use credential::webauthn::{
    Assertion, AssertionResponse, COSE_ALGORITHMS, KnownPasskey, WebauthnError, assertion, registration,
};
use credential::{Verified, sha256};
use http::{HeaderMap, StatusCode, header};
use identity::{Digest, Secret};
use maud::html;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A question that a passkey is asked.
#[derive(Serialize, Deserialize)]
struct Asked {
    challenge: [u8; 32],
}
impl Flow for Asked {
    const PURPOSE: &'static str = "passkey";
}

/// A question for a new passkey, and the invite that it comes with.
#[derive(Serialize, Deserialize)]
struct Inviting {
    challenge: [u8; 32],
    invite: Digest,
}
impl Flow for Inviting {
    const PURPOSE: &'static str = "passkey invite";
}

/// No members: a body there has to be, so that no form can send it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// What the browser asks a known passkey with.
#[derive(Debug, Serialize)]
struct Question {
    challenge: String,
    rp_id: String,
    timeout_ms: u64,
}

/// What it makes a new one with.
#[derive(Debug, Serialize)]
struct Making {
    #[serde(flatten)]
    question: Question,
    algorithms: [i64; 3],
    user_handle: String,
    name: String,
    known: Vec<String>,
}

/// An assertion, as the script sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shown {
    id: String,
    client_data: String,
    authenticator_data: String,
    signature: String,
    user_handle: Option<String>,
}

/// A registration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    client_data: String,
    attestation_object: String,
    label: String,
}

/// The code of an invite.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Code {
    code: String,
}

/// Where the script goes on; `None` for where its form says.
#[derive(Debug, Serialize)]
struct Done {
    to: Option<&'static str>,
}

/// A passkey of somebody, to take away.
const NO_KEY: &str = "none of your passkeys";

/// Asks whoever has a passkey of ours.
pub(super) async fn begin_login(
    State(human): State<Arc<HumanPlane>>,
    Strict(Nothing {}): Strict<Nothing>,
) -> Result<Response, Refused> {
    let challenge = fresh()?;
    let question = question(&human, &challenge);
    ask(&human, &Asked { challenge }, &question)
}

/// Opens a session for the principal whose passkey answered.
pub(super) async fn finish_login(
    State(human): State<Arc<HumanPlane>>,
    Extension(peer): Extension<Arc<Peer>>,
    before: Option<Extension<Visit>>,
    headers: HeaderMap,
    Strict(shown): Strict<Shown>,
) -> Result<Response, Refused> {
    let (owner, asserted) = judge(&human, &headers, &peer, &shown)?;
    let secret = draw_secret()?;
    let digest = digest_of(&secret);
    let opened = settle(human.installation(), owner.org, |world, draw| {
        session::open_by_passkey(world, &asserted, digest, draw)
    })
    .await?;
    human.saw(opened.get().session().id, human.now());
    if let Some(Extension(before)) = before {
        super::sessions::end_quietly(&human, &before).await;
    }
    Ok(entered(&secret, Done { to: None }))
}

/// Goes on with the visitor's session under a new secret.
pub(super) async fn finish_verify(
    State(human): State<Arc<HumanPlane>>,
    Extension(peer): Extension<Arc<Peer>>,
    visit: Visit,
    headers: HeaderMap,
    Strict(shown): Strict<Shown>,
) -> Result<Response, Refused> {
    let (owner, asserted) = judge(&human, &headers, &peer, &shown)?;
    let secret = draw_secret()?;
    let digest = digest_of(&secret);
    let renewed = settle(human.installation(), owner.org, |world, draw| {
        session::verify_by_passkey(world, visit.visitor(), &asserted, digest, draw)
    })
    .await?;
    human.saw(renewed.get().session().id, human.now());
    Ok(entered(&secret, Done { to: None }))
}

/// `/ui/passkeys`.
pub(super) async fn show(State(human): State<Arc<HumanPlane>>, visit: Visit) -> Page {
    let page = Page::new("Passkeys").visiting(&visit).with_passkeys();
    let Some(principal) = visit.visitor().principal() else {
        return page.body(
            &html! { p { "You come in by your identity provider. Passkeys are for administrators." } },
        );
    };
    let verified = visit.visitor().is_verified(human.now());
    page.body(&html! {
        @if principal.passkeys.is_empty() { p { "You have none yet." } }
        @else {
            table {
                thead { tr { th scope="col" { "Passkey" } th scope="col" { "Enrolled" } th scope="col" { "Kept" } th scope="col" { "Remove" } } }
                tbody {
                    @for passkey in &principal.passkeys {
                        tr {
                            td data-label="Passkey" { (passkey.label) }
                            td data-label="Enrolled" { (Page::time(passkey.enrolled_at)) }
                            td data-label="Kept" { @if passkey.may_be_copied { "may be copied to your other devices" } @else { "on one device" } }
                            td {
                                form method="post" action="/ui/passkeys/remove" {
                                    (Page::token(&visit))
                                    input type="hidden" name="passkey" value=(URL_SAFE_NO_PAD.encode(&passkey.id));
                                    button type="submit" .quiet aria-label=(format!("Remove {}", passkey.label)) { "Remove" }
                                }
                            }
                        }
                    }
                }
            }
        }
        h2 { "Another passkey" }
        @if verified {
            (passkey_form("enrol", &here(), "Create a passkey", &html! {
                label for="label" { "What you call this device" }
                input #label name="label" maxlength="64" value="my device";
            }))
        } @else {
            p { a href="/ui/verify?to=/ui/passkeys" { "Verify" } " first that it is you." }
        }
    })
}

/// Makes one more, for a visitor who was verified lately.
pub(super) async fn begin_enrolment(
    State(human): State<Arc<HumanPlane>>,
    visit: Visit,
    Strict(Nothing {}): Strict<Nothing>,
) -> Result<Response, Refused> {
    let principal = visit
        .visitor()
        .principal()
        .ok_or_else(|| Refused::not_found("principal", visit.visitor().name()))?;
    let challenge = fresh()?;
    let making = making(&human, principal, &challenge);
    ask(&human, &Asked { challenge }, &making)
}

/// Enrols it.
pub(super) async fn add(
    State(human): State<Arc<HumanPlane>>,
    Extension(peer): Extension<Arc<Peer>>,
    visit: Visit,
    headers: HeaderMap,
    Strict(made): Strict<Made>,
) -> Result<Response, Refused> {
    let Asked { challenge } = answered(&human, &headers)?;
    let by = Enrolling::Visiting(visit.visitor());
    enrol(&human, &peer, &by, &challenge, &made).await?;
    Ok(without_flow(Done { to: None }))
}

/// Takes one away.
pub(super) async fn remove(State(human): State<Arc<HumanPlane>>, posted: Posted) -> Response {
    let Posted { visit, form } = posted;
    let id = form
        .one("passkey")
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .unwrap_or_default();
    let org = visit.visitor().session().org;
    let removed = settle(human.installation(), org, |world, draw| {
        principal::remove_passkey(world, visit.visitor(), &id, draw)
    })
    .await;
    super::go_on(&visit, removed, "/ui/passkeys", NO_KEY)
}

/// Asks for a new passkey of whoever holds an invite.
pub(super) async fn begin_invited(
    State(human): State<Arc<HumanPlane>>,
    Extension(peer): Extension<Arc<Peer>>,
    Strict(Code { code }): Strict<Code>,
) -> Result<Response, Refused> {
    let invite = digest_of_code(&code);
    let world = human.installation().store.world();
    let Some(principal) = invited(&world, &invite, human.now()) else {
        return Err(worthless(&human, &peer));
    };
    let challenge = fresh()?;
    let making = making(&human, principal, &challenge);
    ask(&human, &Inviting { challenge, invite }, &making)
}

/// Enrols it, and spends the invite.
pub(super) async fn finish_invited(
    State(human): State<Arc<HumanPlane>>,
    Extension(peer): Extension<Arc<Peer>>,
    headers: HeaderMap,
    Strict(made): Strict<Made>,
) -> Result<Response, Refused> {
    let Inviting { challenge, invite } = answered(&human, &headers)?;
    enrol(&human, &peer, &Enrolling::Invited(&invite), &challenge, &made).await?;
    Ok(without_flow(Done {
        to: Some("/ui/login"),
    }))
}

/// What an invite's code is known by.
pub(super) fn digest_of_code(code: &str) -> Digest {
    Digest::from_bytes(sha256(code.as_bytes()))
}

/// An invite that is none. Counted, because whoever tries codes is nobody yet.
pub(super) fn worthless(human: &HumanPlane, peer: &Peer) -> Refused {
    let code = "INVITE_WORTHLESS";
    human.installation().unidentified.count(peer.address.ip(), code);
    Refused::new(
        StatusCode::FORBIDDEN,
        code,
        "This invite opens nothing.",
        "An invite works once, within fifteen minutes.",
        "Ask your administrator for another.",
    )
}

/// A secret for a session.
pub(super) fn draw_secret() -> Result<SessionSecret, Refused> {
    fresh().map(Secret::new)
}

fn fresh() -> Result<[u8; 32], Refused> {
    random().map_err(|error| Refused::unavailable(&error.to_string()))
}

fn here() -> LocalPath {
    LocalPath::parse("/ui/passkeys").unwrap_or_else(LocalPath::home)
}

async fn enrol(
    human: &HumanPlane,
    peer: &Peer,
    by: &Enrolling<'_>,
    challenge: &[u8; 32],
    made: &Made,
) -> Result<(), Refused> {
    let new = registration(
        &human.relying_party(),
        challenge,
        &bytes(&made.client_data)?,
        &bytes(&made.attestation_object)?,
    )
    .map_err(|why| unproven(human, peer, why))?;
    let org = match by {
        Enrolling::Visiting(visitor) => visitor.session().org,
        Enrolling::Invited(invite) => human
            .installation()
            .store
            .world()
            .invite(invite)
            .and_then(|invite| invite.org),
    };
    let enrolled = settle(human.installation(), org, |world, draw| {
        principal::enrol(world, by, &new, challenge, &made.label, draw)
    });
    enrolled.await.map(drop).map_err(Refused::from)
}

/// Whose passkey it is, and that it answered our question.
fn judge(
    human: &HumanPlane,
    headers: &HeaderMap,
    peer: &Peer,
    shown: &Shown,
) -> Result<(Arc<Principal>, Verified<Assertion>), Refused> {
    let Asked { challenge } = answered(human, headers)?;
    let id = bytes(&shown.id)?;
    let world = human.installation().store.world();
    let owner = world.principal_with_passkey(&id).cloned();
    let known = owner
        .as_ref()
        .and_then(|owner| owner.passkey(&id).map(|passkey| (owner, passkey)));
    let Some((owner, passkey)) = known else {
        return Err(unknown(human, peer));
    };
    // Section 7.2 step 6: what the passkey says about its owner has to agree.
    if let Some(handle) = &shown.user_handle
        && *handle != handle_of(human, owner)
    {
        return Err(unknown(human, peer));
    }
    let response = AssertionResponse {
        client_data_json: &bytes(&shown.client_data)?,
        authenticator_data: &bytes(&shown.authenticator_data)?,
        signature: &bytes(&shown.signature)?,
    };
    let known = KnownPasskey {
        id: &passkey.id,
        key: &passkey.key,
        counter: passkey.counter,
        may_be_copied: passkey.may_be_copied,
    };
    let asserted = assertion(&human.relying_party(), &challenge, &known, &response)
        .map_err(|why| unproven(human, peer, why))?;
    Ok((owner.clone(), asserted))
}

fn unknown(human: &HumanPlane, peer: &Peer) -> Refused {
    human
        .installation()
        .unidentified
        .count(peer.address.ip(), "PASSKEY_UNKNOWN");
    Refused::new(
        StatusCode::FORBIDDEN,
        "PASSKEY_UNKNOWN",
        "This passkey opens nothing here.",
        "It was removed, or it belongs to another installation.",
        "Choose another passkey, or ask your administrator for an invite.",
    )
}

/// The person learns that it failed; the operator's log says why.
fn unproven(human: &HumanPlane, peer: &Peer, why: WebauthnError) -> Refused {
    let code = "PASSKEY_UNPROVEN";
    human.installation().unidentified.count(peer.address.ip(), code);
    tracing::info!(%why, "a passkey was not accepted");
    Refused::new(
        StatusCode::FORBIDDEN,
        code,
        "Your passkey was not accepted.",
        "It did not prove what it has to prove.",
        "Try again; if that does not help, ask your administrator for an invite and enrol a new one.",
    )
}

/// What a passkey calls its owner: no name, as WebAuthn section 14.6.1 asks.
fn handle_of(human: &HumanPlane, principal: &Principal) -> String {
    let named = format!("tabard user\n{}\n{}", human.config.url, principal.name);
    URL_SAFE_NO_PAD.encode(sha256(named.as_bytes()))
}

fn question(human: &HumanPlane, challenge: &[u8; 32]) -> Question {
    Question {
        challenge: URL_SAFE_NO_PAD.encode(challenge),
        rp_id: human.config.url.host().to_owned(),
        timeout_ms: CHALLENGE_SECS * 1000,
    }
}

fn making(human: &HumanPlane, principal: &Principal, challenge: &[u8; 32]) -> Making {
    Making {
        question: question(human, challenge),
        algorithms: COSE_ALGORITHMS,
        user_handle: handle_of(human, principal),
        name: principal.name.to_string(),
        known: principal
            .passkeys
            .iter()
            .map(|passkey| URL_SAFE_NO_PAD.encode(&passkey.id))
            .collect(),
    }
}

fn ask<F: Flow>(human: &HumanPlane, flow: &F, question: &impl Serialize) -> Result<Response, Refused> {
    let sealed = human
        .flows
        .seal(flow, human.now().plus_secs(CHALLENGE_SECS))
        .ok_or_else(|| Refused::unavailable("nothing can be sealed"))?;
    let mut response = Json(question).into_response();
    response
        .headers_mut()
        .append(header::SET_COOKIE, cookie::set_flow(&sealed, CHALLENGE_SECS));
    Ok(response)
}

/// What was asked, by the browser that answers.
fn answered<F: Flow>(human: &HumanPlane, headers: &HeaderMap) -> Result<F, Refused> {
    cookie::flow(headers)
        .and_then(|sealed| human.flows.open(sealed, human.now()))
        .ok_or_else(|| {
            Refused::new(
                StatusCode::FORBIDDEN,
                "LOGIN_NOT_BEGUN",
                "This took too long, or was begun elsewhere.",
                "A login is finished in the browser that began it, within five minutes.",
                "Begin again.",
            )
        })
}

fn entered(secret: &SessionSecret, done: Done) -> Response {
    let mut response = without_flow(done);
    response
        .headers_mut()
        .append(header::SET_COOKIE, cookie::set_session(secret));
    response
}

fn without_flow(done: Done) -> Response {
    let mut response = Json(done).into_response();
    response
        .headers_mut()
        .append(header::SET_COOKIE, cookie::clear_flow());
    response
}

fn bytes(text: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Refused::bad_request("A member is not base64url.", "Reload the page, and try again."))
}
