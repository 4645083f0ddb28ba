//! `tabard login`: a session at a terminal, which a person lets in from their browser (in the manner of RFC 8628).
//!
//! The terminal shows a code, the person types it in, on a page of ours and verified lately; a link that somebody else
//! sends cannot carry it. The session is bound to a key of the terminal, which proves it at each request (RFC 9449), so
//! its secret alone is worth nothing. What waits is kept in this server's memory for minutes.

use super::cookie::SessionSecret;
use super::guard::{SCHEME, text};
use super::passkeys::draw_secret;
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
use broker::session;
use credential::dpop::{NoncePolicy, ProofExpected, RequestTarget};
use credential::sha256;
use http::{HeaderMap, Method, StatusCode};
use identity::{Thumbprint, UnixTime};
use maud::html;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How long a code can be typed in, in seconds.
const CODE_SECS: u64 = 300;
/// Seconds between two looks of a terminal.
const INTERVAL_SECS: u64 = 2;
/// Terminals that wait at once, and of one address.
const WAITING_MAX: usize = 256;
const WAITING_OF_ONE_MAX: usize = 8;
/// Letters of a code: no vowels, nothing that looks like a digit (RFC 8628 section 6.1). Eight of twenty are 34 bits.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Where the terminal asks.
pub(super) const BEGIN: &str = "/v1/terminal-logins";
/// Where it looks.
pub(super) const POLL: &str = "/v1/terminal-logins/poll";

/// Terminals that wait, by code.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<HashMap<String, Terminal>>);

#[derive(Debug)]
struct Terminal {
    key: Thumbprint,
    ticket: [u8; 32],
    from: IpAddr,
    until: UnixTime,
    opened: Option<(SessionSecret, String, UnixTime)>,
}

/// No members.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// What the terminal shows, and what it looks with.
#[derive(Debug, Serialize)]
pub(super) struct Begun {
    code: String,
    url: String,
    ticket: String,
    interval_secs: u64,
    expires_secs: u64,
    issuer: String,
}

/// Which terminal looks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ticket {
    ticket: String,
}

/// Its session.
#[derive(Debug, Serialize)]
struct Session {
    secret: String,
    name: String,
    expires_at: String,
}

/// A terminal asks to be let in.
pub(super) async fn begin(
    State(human): State<Arc<HumanPlane>>,
    Extension(peer): Extension<Arc<Peer>>,
    headers: HeaderMap,
    Strict(Nothing {}): Strict<Nothing>,
) -> Result<Json<Begun>, Refused> {
    let now = human.now();
    let key = proven(&human, &headers, &Method::POST, BEGIN, None, now)?;
    let drawn = random::<40>().map_err(|error| Refused::unavailable(&error.to_string()))?;
    let (letters, ticket) = drawn.split_at(8);
    let code: String = letters
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
        .map(|letter| char::from(*letter))
        .collect();
    let ticket = URL_SAFE_NO_PAD.encode(ticket);
    let mut waiting = human.terminals.0.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.retain(|_, it| now < it.until);
    let from = peer.address.ip();
    let of_one = waiting.values().filter(|it| it.from == from).count();
    if waiting.len() >= WAITING_MAX || of_one >= WAITING_OF_ONE_MAX || waiting.contains_key(&code) {
        return Err(Refused::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TERMINALS_FULL",
            "Too many terminals wait to be let in.",
            "Each waits five minutes at most.",
            "Try again in a minute.",
        ));
    }
    waiting.insert(
        code.clone(),
        Terminal {
            key,
            ticket: sha256(ticket.as_bytes()),
            from,
            until: now.plus_secs(CODE_SECS),
            opened: None,
        },
    );
    Ok(Json(Begun {
        code: shown(&code),
        url: human.config.url.endpoint("/ui/terminal"),
        ticket,
        interval_secs: INTERVAL_SECS,
        expires_secs: CODE_SECS,
        issuer: human.installation().config.issuer.as_str().to_owned(),
    }))
}

/// It looks whether it was.
pub(super) async fn poll(
    State(human): State<Arc<HumanPlane>>,
    headers: HeaderMap,
    Strict(Ticket { ticket }): Strict<Ticket>,
) -> Result<Response, Refused> {
    let now = human.now();
    let key = proven(&human, &headers, &Method::POST, POLL, None, now)?;
    let ticket = sha256(ticket.as_bytes());
    let mut waiting = human.terminals.0.lock().unwrap_or_else(PoisonError::into_inner);
    let found = waiting
        .iter()
        .find(|(_, it)| it.ticket == ticket && it.key == key && now < it.until)
        .map(|(code, it)| (code.clone(), it.opened.is_some()));
    match found {
        None => Err(Refused::new(
            StatusCode::GONE,
            "TERMINAL_LATE",
            "Nobody let this terminal in.",
            "A code is good for five minutes, and once.",
            "Run `tabard login` again.",
        )),
        Some((_, false)) => Ok(StatusCode::ACCEPTED.into_response()),
        Some((code, true)) => {
            let opened = waiting.remove(&code).and_then(|it| it.opened);
            let (secret, name, expires_at) =
                opened.ok_or_else(|| Refused::unavailable("the session is gone"))?;
            Ok(Json(Session {
                secret: URL_SAFE_NO_PAD.encode(secret.expose()),
                name,
                expires_at: expires_at.rfc3339(),
            })
            .into_response())
        }
    }
}

/// `/ui/terminal`.
pub(super) async fn show(State(human): State<Arc<HumanPlane>>, visit: Visit) -> Page {
    let page = Page::new("Let a terminal in").visiting(&visit);
    if visit.visitor().principal().is_none() {
        return page.body(&html! { p { "The command line is for administrators." } });
    }
    if !visit.visitor().is_verified(human.now()) {
        return page.body(&html! {
            p { a href="/ui/verify?to=/ui/terminal" { "Verify" } " first that it is you." }
        });
    }
    page.body(&html! {
        p { "Type the code that " code { "tabard login" } " shows in " strong { "your own" } " terminal. "
            "Whoever sent you a code from somewhere else wants to act as you." }
        form method="post" action="/ui/terminal" {
            (Page::token(&visit))
            label for="code" { "Code" }
            input #code name="code" autocomplete="off" spellcheck="false" required placeholder="XXXX-XXXX";
            button type="submit" { "Let it in" }
        }
    })
}

/// Lets a terminal in as the visitor.
pub(super) async fn let_in(State(human): State<Arc<HumanPlane>>, posted: Posted) -> Response {
    let Posted { visit, form } = posted;
    match open(&human, &visit, form.one("code").unwrap_or_default()).await {
        Ok(from) => Page::new("The terminal is in")
            .visiting(&visit)
            .body(&html! {
                p .good { "The terminal at " code { (from.to_string()) } " acts as you now, until its session ends." }
                p { a href="/ui/sessions" { "Your sessions" } }
            })
            .into_response(),
        Err(refused) => super::refused_page(&visit, &refused, "a terminal"),
    }
}

async fn open(human: &HumanPlane, visit: &Visit, code: &str) -> Result<IpAddr, Refused> {
    let code: String = code
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    let now = human.now();
    let unknown = || Refused::not_found("terminal", "with this code");
    let waits = |it: &Terminal| now < it.until && it.opened.is_none();
    let key = {
        let waiting = human.terminals.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = waiting.get(&code).filter(|it| waits(it)).map(|it| it.key);
        found.ok_or_else(unknown)?
    };
    let secret = draw_secret()?;
    let digest = digest_of(&secret);
    let org = visit.visitor().session().org;
    let opened = settle(human.installation(), org, |world, draw| {
        session::open_command_line(world, visit.visitor(), key, digest, draw)
    })
    .await?;
    let session = opened.get().session();
    human.saw(session.id, now);
    let mut waiting = human.terminals.0.lock().unwrap_or_else(PoisonError::into_inner);
    let terminal = waiting
        .get_mut(&code)
        .filter(|it| waits(it) && it.key == key)
        .ok_or_else(unknown)?;
    terminal.opened = Some((secret, visit.visitor().name().to_owned(), session.expires_at));
    Ok(terminal.from)
}

/// The key that a request of a terminal proves, once for each proof.
pub(super) fn proven(
    human: &HumanPlane,
    headers: &HeaderMap,
    method: &Method,
    path: &str,
    secret: Option<&str>,
    now: UnixTime,
) -> Result<Thumbprint, Refused> {
    let unproven = || {
        Refused::new(
            StatusCode::UNAUTHORIZED,
            "TERMINAL_UNPROVEN",
            "The request does not prove the terminal's key.",
            "Each request of `tabard` carries a proof for this very request, once.",
            "Compare the clock of this host with the server's, then run `tabard login` again.",
        )
    };
    let mut proofs = headers.get_all("dpop").iter();
    let (Some(proof), None) = (proofs.next(), proofs.next()) else {
        return Err(unproven());
    };
    let target = RequestTarget::parse(&human.config.url.endpoint(path)).map_err(|_| unproven())?;
    let expected = ProofExpected {
        method: method.as_str(),
        target: &target,
        access_token: secret,
        nonce: NoncePolicy::Ignored,
    };
    let proof = proof
        .to_str()
        .ok()
        .and_then(|proof| human.installation().proof_keys.verify(proof, &expected, now).ok())
        .ok_or_else(unproven)?;
    human
        .installation()
        .replays
        .admit(proof.replay_key(), proof.expires_at(), now)
        .map(|_| proof.key())
        .map_err(|_| unproven())
}

/// The secret that a request of a terminal shows, as it was sent.
pub(super) fn secret_of(headers: &HeaderMap) -> Option<&str> {
    text(headers, http::header::AUTHORIZATION)?.strip_prefix(SCHEME)
}

fn shown(code: &str) -> String {
    match code.split_at_checked(4) {
        Some((first, second)) => format!("{first}-{second}"),
        None => code.to_owned(),
    }
}
