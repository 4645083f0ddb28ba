//! `POST /oauth/bc-authorize`: begin to wait for a human's word (section 7).

use super::parked::{INTERVAL_SECS, Waiting};
use crate::connection::Peer;
use crate::entropy::random;
use crate::health::Ending;
use crate::installation::Installation;
use crate::token::answer;
use crate::token::endpoint::read;
use crate::token::errors::{BackchannelError, NotIssued};
use crate::token::possession::prove;
use crate::token::subject;
use crate::token::wish::Wish;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::approve::SAID_CHARS_MAX;
use broker::identify;
use broker::world::approval::State as Standing;
use credential::form::Form;
use credential::{ExchangeFormError, TokenExchangeForm};
use http::Request;
use identity::{OrgScope, UnixTime};
use serde::Serialize;
use std::sync::Arc;

/// The three hints of which one is sent (section 7.1).
const HINTS: [&str; 3] = ["login_hint", "login_hint_token", "id_token_hint"];

/// A successful answer (section 7.3).
#[derive(Debug, Serialize)]
struct Begun {
    auth_req_id: String,
    expires_in: u64,
    interval: u64,
}

pub(in crate::token) async fn authorize(
    State(installation): State<Arc<Installation>>,
    Extension(peer): Extension<Arc<Peer>>,
    request: Request<Body>,
) -> Response {
    let now = installation.clock.now();
    let nonce = installation.keys.nonces().make(now);
    match begin(&installation, &peer, request, now).await {
        Ok(begun) => answer::ok(&begun, &nonce),
        Err(why) => {
            if why.ending() == Ending::Unidentified {
                installation.unidentified.count(peer.address.ip(), why.code());
            }
            answer::refused(&why, &nonce)
        }
    }
}

async fn begin(
    installation: &Installation,
    peer: &Peer,
    request: Request<Body>,
    now: UnixTime,
) -> Result<Begun, NotIssued> {
    let _place = installation
        .exchanges
        .try_acquire()
        .map_err(|_| NotIssued::Busy)?;
    let (head, body) = request.into_parts();
    let form = Form::parse(&read(&head.headers, body).await?).map_err(ExchangeFormError::from)?;
    let mut exchange = TokenExchangeForm::whatever_grant(&form)?;
    // Every client that speaks CIBA sends it; nobody logs in here.
    let scope = exchange.scope.take().unwrap_or_default();
    let scope: Vec<&str> = scope
        .split(' ')
        .filter(|name| !["", "openid"].contains(name))
        .collect();
    exchange.scope = (!scope.is_empty()).then(|| scope.join(" "));
    let wish = Wish::of(exchange)?;
    let published = installation.published();
    let issuer = &installation.config.issuer;
    let svid = subject::verified(wish.caller.expose(), &published, issuer, now)?;
    let mut proven = prove(&installation.ciba_target, installation, peer, &head.headers, now)?;
    let wrong = |why| NotIssued::Backchannel(why);
    let world = installation.store.world();
    // Whoever is nobody, and whoever names what is not theirs, learn the same.
    let subject =
        identify::subject(&world, &svid, proven.key(), now).map_err(|_| wrong(BackchannelError::Approval))?;
    proven.spend(&installation.replays, now)?;
    let agent = subject.agent();
    let approval = wish
        .approval
        .and_then(|id| world.approval(OrgScope::Only(agent.org), id))
        .filter(|approval| approval.agent == agent.id)
        .ok_or(wrong(BackchannelError::Approval))?;
    let instance = subject.instance().ok_or(wrong(BackchannelError::Approval))?;
    let hints = HINTS.iter().filter(|name| form.one(name).is_some()).count();
    let (Some(hint), 1) = (form.one("login_hint"), hints) else {
        return Err(wrong(BackchannelError::Hint));
    };
    if !approval.needs.iter().any(|need| need.approvers.as_str() == hint) {
        return Err(wrong(BackchannelError::Unknown));
    }
    if form.one("binding_message").is_some_and(|message| {
        message.chars().count() > SAID_CHARS_MAX || message.chars().any(char::is_control)
    }) {
        return Err(wrong(BackchannelError::Message));
    }
    if !matches!(approval.state(now), Standing::Pending | Standing::Approved) {
        return Err(NotIssued::Over);
    }
    let id: [u8; 32] = random().map_err(crate::keys::KeyError::from)?;
    let id = URL_SAFE_NO_PAD.encode(id);
    // Long enough to fetch the token at the last moment of the approval.
    let until = approval.expires_at.plus_secs(approval.ttl_secs());
    let waiting = Waiting::new(
        instance,
        approval.id,
        wish.audience,
        wish.actions,
        wish.task,
        until,
        now,
    );
    if !installation.parked.park(id.clone(), waiting, now) {
        return Err(wrong(BackchannelError::Full));
    }
    Ok(Begun {
        auth_req_id: id,
        expires_in: until.secs().saturating_sub(now.secs()),
        interval: INTERVAL_SECS,
    })
}
