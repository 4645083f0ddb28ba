//! Who may ask at all, before anybody knows who it is: not another site in the person's browser, not an agent, not a
//! process inside a run.
//!
//! Cross-site requests are told by what the browser itself says (Fetch Metadata, `Origin`), which no page can forge. A
//! navigation from elsewhere is fine, as long as it only shows a page. Requests that change something come from our own
//! pages; those of the API are JSON with a header that no form can send.

use super::HumanPlane;
use super::oidc::BACKCHANNEL;
use crate::admin::refused::Refused;
use crate::connection::Peer;
use crate::content_type;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use credential::media_type;
use http::{HeaderMap, Method, StatusCode, header};
use std::sync::Arc;

/// The header that scripts send along, and forms cannot.
const OURS: &str = "x-tabard-request";
/// The scheme of sessions at a terminal. Bearer and DPoP are how agents show what they hold.
pub(super) const SCHEME: &str = "Tabard ";

/// Lets a request through, or says why not.
pub(super) async fn guard(State(human): State<Arc<HumanPlane>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Arc<Peer>>().cloned();
    let judged = judge(&human, &request);
    let refused = match judged {
        Ok(()) => match &peer {
            Some(peer) if super::inside::is_inside_a_run(peer).await => Some((
                "PEOPLE_INSIDE_RUN",
                Refused::new(
                    StatusCode::FORBIDDEN,
                    "PEOPLE_INSIDE_RUN",
                    "A process inside a run cannot come in here.",
                    "What an agent started acts as the agent, and never as a person.",
                    "Use a browser that no agent started.",
                ),
            )),
            Some(_) => None,
            None => Some(("PEOPLE_PEER", Refused::unavailable("the connection is not known"))),
        },
        Err(refused) => Some(refused),
    };
    let Some((code, refused)) = refused else {
        return next.run(request).await;
    };
    if let Some(peer) = peer {
        human.installation().unidentified.count(peer.address.ip(), code);
    }
    refused.into_response()
}

fn judge(human: &HumanPlane, request: &Request) -> Result<(), (&'static str, Refused)> {
    let headers = request.headers();
    let said =
        |code: &'static str, status, what, why, fix| Err((code, Refused::new(status, code, what, why, fix)));
    // Another name for the same address is how a page of that name would read our answers.
    let host = request.uri().authority().map(http::uri::Authority::as_str);
    let host = host.or_else(|| text(headers, header::HOST));
    if host != Some(human.config.url.authority()) {
        return said(
            "PEOPLE_HOST",
            StatusCode::MISDIRECTED_REQUEST,
            "These pages have another address.",
            "Passkeys and sessions belong to one name.",
            "Use the address that `tabard status` shows for people.",
        );
    }
    let authorization = text(headers, header::AUTHORIZATION);
    let at_terminal = authorization.is_some_and(|value| value.starts_with(SCHEME));
    if headers.contains_key(header::AUTHORIZATION) && !at_terminal {
        return said(
            "PEOPLE_AGENT_CREDENTIAL",
            StatusCode::FORBIDDEN,
            "Credentials of agents are worth nothing here.",
            "Only people come in here, with sessions of their own.",
            "Log in with a browser, or with `tabard login`.",
        );
    }
    // A server that says that somebody logged out is no browser: it has no cookie, and what it says is signed.
    if request.method() == Method::POST && request.uri().path().starts_with(BACKCHANNEL) {
        return Ok(());
    }
    if is_of_this_site(human, request.method(), headers, at_terminal) {
        let is_api = request.uri().path().starts_with("/v1");
        let scripted = content_type::is(headers, media_type::JSON) && headers.contains_key(OURS);
        let changes = !request.method().is_safe() && !at_terminal;
        if is_api && changes && !scripted {
            return said(
                "PEOPLE_NOT_SCRIPTED",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The request is not one of a script of ours.",
                "A form on another page could have sent it.",
                "Send application/json and the header x-tabard-request.",
            );
        }
        return Ok(());
    }
    said(
        "PEOPLE_CROSS_SITE",
        StatusCode::FORBIDDEN,
        "Another page asked for this.",
        "What you are logged in to here is not for other pages to use.",
        "Open the page itself and do it there.",
    )
}

/// Whether our own page asked, or nobody's: an address that was typed in, or a program that is no browser.
fn is_of_this_site(human: &HumanPlane, method: &Method, headers: &HeaderMap, at_terminal: bool) -> bool {
    let site = text(headers, "sec-fetch-site");
    let origin = text(headers, header::ORIGIN);
    let ours = human.config.url.as_str();
    if at_terminal {
        return site.is_none() && origin.is_none();
    }
    if method.is_safe() {
        let shows_a_page = text(headers, "sec-fetch-mode") == Some("navigate")
            && text(headers, "sec-fetch-dest") == Some("document");
        return matches!(site, None | Some("same-origin" | "none")) || shows_a_page;
    }
    match site {
        // Our pages send no referrer, and a browser then hides the origin of a form as well.
        Some("same-origin") => matches!(origin, None | Some("null")) || origin == Some(ours),
        Some(_) => false,
        None => origin == Some(ours),
    }
}

pub(super) fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
