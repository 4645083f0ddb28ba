//! `tabard login`: a session at a terminal, which a person lets in from their browser (in the manner of RFC 8628).
//!
//! The terminal shows a code, the person types it in, on a page of ours and verified lately; a link that somebody else
//! sends cannot carry it. The page then says where that terminal is, and the person lets it in or not. The session is bound to a key of the terminal, which proves it at each request (RFC 9449), so
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
use credential::{DpopProof, sha256};
use http::{HeaderMap, Method, StatusCode};
use identity::{Thumbprint, UnixTime};
use maud::html;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use sync::ProofReplays;

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

/// Proofs of terminals that nobody knows yet, remembered at once. Anybody can make them, so they have a room of their own:
/// whoever fills it keeps others from `tabard login`, and no agent and no session from anything.
const STRANGERS_PROOFS_MAX: usize = 65_536;

/// Terminals that wait.
#[derive(Debug)]
pub(super) struct Waiting {
    by_code: Mutex<HashMap<String, Terminal>>,
    proofs: ProofReplays,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self {
            by_code: Mutex::default(),
            proofs: ProofReplays::new(STRANGERS_PROOFS_MAX),
        }
    }
    fn by_code(&self) -> MutexGuard<'_, HashMap<String, Terminal>> {
        self.by_code.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Terminal {
    key: Thumbprint,
    ticket: [u8; 32],
    from: IpAddr,
    asked_at: UnixTime,
    until: UnixTime,
    opened: Option<(SessionSecret, String, UnixTime)>,
}

impl Terminal {
    fn waits(&self, now: UnixTime) -> bool {
        now < self.until && self.opened.is_none()
    }
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
    let key = stranger(&human, &headers, BEGIN, now)?;
    let drawn = random::<40>().map_err(|error| Refused::unavailable(&error.to_string()))?;
    let (letters, ticket) = drawn.split_at(8);
    let code: String = letters
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
        .map(|letter| char::from(*letter))
        .collect();
    let ticket = URL_SAFE_NO_PAD.encode(ticket);
    let mut waiting = human.terminals.by_code();
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
            asked_at: now,
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
    let key = stranger(&human, &headers, POLL, now)?;
    let ticket = sha256(ticket.as_bytes());
    let mut waiting = human.terminals.by_code();
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
            button type="submit" { "Look at it" }
        }
    })
}

/// A terminal that waits, as the person sees it who decides.
struct Seen {
    code: String,
    from: IpAddr,
    asked_at: UnixTime,
    key: Thumbprint,
}

/// The letters of a code, however it was typed.
fn letters(typed: &str) -> String {
    let letters = typed.chars().filter(char::is_ascii_alphabetic);
    letters.map(|letter| letter.to_ascii_uppercase()).collect()
}

impl Seen {
    fn find(human: &HumanPlane, typed: &str) -> Result<Self, Refused> {
        let (code, now) = (letters(typed), human.now());
        let waiting = human.terminals.by_code();
        let found = waiting.get(&code).filter(|it| it.waits(now));
        found
            .map(|it| Self {
                from: it.from,
                asked_at: it.asked_at,
                key: it.key,
                code: shown(&code),
            })
            .ok_or_else(|| Refused::not_found("terminal", "with this code"))
    }
}

/// What a person sent from the page: a code first, and then that they looked at whose it is (RFC 8628 section 5.4). The
/// second form says which terminal was shown, so a yes is about no other one.
pub(super) async fn let_in(State(human): State<Arc<HumanPlane>>, posted: Posted) -> Response {
    let Posted { visit, form } = posted;
    let typed = form.one("code").unwrap_or_default();
    let answered = match form.one("terminal") {
        None => look(&human, &visit, typed),
        Some(shown) => open(&human, &visit, typed, shown).await.map(|from| {
            Page::new("The terminal is in").visiting(&visit).body(&html! {
                p .good { "The terminal at " code { (from.to_string()) } " acts as you now, until its session ends." }
                p { a href="/ui/sessions" { "Your sessions" } }
            })
        }),
    };
    match answered {
        Ok(page) => page.into_response(),
        Err(refused) => super::refused_page(&visit, &refused, "a terminal"),
    }
}

/// Which terminal it is, before anything is let in.
fn look(human: &HumanPlane, visit: &Visit, typed: &str) -> Result<Page, Refused> {
    if visit.visitor().principal().is_none() || !visit.visitor().is_verified(human.now()) {
        return Err(Refused::new(
            StatusCode::FORBIDDEN,
            "ADMIN_NOT_VERIFIED",
            "A terminal is let in by an administrator who is there.",
            "Whoever finds your browser open would act as you for hours.",
            "Verify that it is you, then type the code again.",
        ));
    }
    let seen = Seen::find(human, typed)?;
    Ok(Page::new("Is this your terminal?").visiting(visit).body(&html! {
        p { "A terminal asks to act as you, " strong { (visit.visitor().name()) } ". Look at where it is before you let it in." }
        dl .facts {
            dt { "It connects from" }
            dd { code { (seen.from.to_string()) } }
            dt { "It asked at" }
            dd { (Page::time(seen.asked_at)) }
            dt { "It shows the code" }
            dd { strong { code { (seen.code) } } }
        }
        p { "Let it in only if you ran " code { "tabard login" } " there yourself, just now, and it shows this very code. "
            "If somebody sent you the code, they want to act as you: leave this page." }
        p .hint { "The address is the one that connects to this server: behind a VPN or a proxy, theirs." }
        form method="post" action="/ui/terminal" {
            (Page::token(visit))
            input type="hidden" name="code" value=(seen.code);
            input type="hidden" name="terminal" value=(seen.key.to_string());
            button type="submit" { "It is mine: let it in" }
        }
        p { a href="/ui/terminal" { "It is not mine" } }
    }))
}

/// Lets the terminal with this code in, if it is the one that was shown.
async fn open(human: &HumanPlane, visit: &Visit, typed: &str, shown: &str) -> Result<IpAddr, Refused> {
    let now = human.now();
    let unknown = || Refused::not_found("terminal", "with this code");
    let Seen { key, .. } = Seen::find(human, typed)?;
    if key.to_string() != shown {
        return Err(unknown());
    }
    let secret = draw_secret()?;
    let digest = digest_of(&secret);
    let org = visit.visitor().session().org;
    let opened = settle(human.installation(), org, |world, draw| {
        session::open_command_line(world, visit.visitor(), key, digest, draw)
    })
    .await?;
    let session = opened.get().session();
    human.saw(session.id, now);
    let mut waiting = human.terminals.by_code();
    let terminal = waiting
        .get_mut(&letters(typed))
        .filter(|it| it.waits(now) && it.key == key)
        .ok_or_else(unknown)?;
    terminal.opened = Some((secret, visit.visitor().name().to_owned(), session.expires_at));
    Ok(terminal.from)
}

/// The key of a terminal that nobody let in yet.
fn stranger(
    human: &HumanPlane,
    headers: &HeaderMap,
    path: &str,
    now: UnixTime,
) -> Result<Thumbprint, Refused> {
    let proof = proof(human, headers, &Method::POST, path, None, now)?;
    spend(&human.terminals.proofs, &proof, now)
}

/// The proof of a terminal's key that a request carries. Whose key it is, is to be looked at before it is spent.
pub(super) fn proof(
    human: &HumanPlane,
    headers: &HeaderMap,
    method: &Method,
    path: &str,
    secret: Option<&str>,
    now: UnixTime,
) -> Result<DpopProof, Refused> {
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
    proof
        .to_str()
        .ok()
        .and_then(|proof| human.installation().proof_keys.verify(proof, &expected, now).ok())
        .ok_or_else(unproven)
}

/// Spends a proof: it is good once. The key that it proves.
pub(super) fn spend(seen: &ProofReplays, proof: &DpopProof, now: UnixTime) -> Result<Thumbprint, Refused> {
    seen.admit(proof.replay_key(), proof.expires_at(), now)
        .map(|_| proof.key())
        .map_err(|_| unproven())
}

fn unproven() -> Refused {
    Refused::new(
        StatusCode::UNAUTHORIZED,
        "TERMINAL_UNPROVEN",
        "The request does not prove the terminal's key.",
        "Each request of `tabard` carries a proof for this very request, once.",
        "Compare the clock of this host with the server's, then run `tabard login` again.",
    )
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
