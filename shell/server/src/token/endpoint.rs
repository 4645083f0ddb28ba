//! `POST /oauth/token`: gather, decide, record, sign, respond.

use super::answer;
use super::ciba::{self, CIBA_GRANT};
use super::errors::NotIssued;
use super::pdp;
use super::possession::{Proven, prove};
use super::subject;
use super::wish::Wish;
use crate::connection::Peer;
use crate::content_type;
use crate::health::Ending;
use crate::installation::Installation;
use crate::signer::Credential;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use broker::behalf::{Behalf, chain_of, task_of};
use broker::chain::{LinkInForce, parties};
use broker::exchange::{Acting, Ask, exchange, refuse_subject};
use broker::identify::Identified;
use broker::ledger::Gathered;
use broker::pdp::asking;
use broker::permit::{Grant, Permit};
use broker::{Outcome, Plan, Refusal, World, claims, identify};
use credential::form::{FORM_BYTES_MAX, Form};
use credential::{ExchangeFormError, JwtSvidClaims, Verified, media_type};
use http::{HeaderMap, Request};
use identity::{Name, OrgScope, UnixTime};
use policy::Reason;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::ledger::{Request as Gathering, Reservation, Wants};
use store::{CommitError, Recorded};

/// Longest time for a body to arrive: 16 KiB over the slowest link that is still a link.
const BODY: Duration = Duration::from_secs(10);
/// How often a decision is made anew because something was restricted meanwhile.
const ATTEMPTS_MAX: usize = 3;
/// How often everything is looked at anew because something was heard of the user: of their issuer, and of the decision
/// point.
const HEARINGS_MAX: usize = 2;

/// Answers a token request.
pub(super) async fn answer(
    State(installation): State<Arc<Installation>>,
    Extension(peer): Extension<Arc<Peer>>,
    request: Request<Body>,
) -> Response {
    let begun = Instant::now();
    let now = installation.clock.now();
    let nonce = installation.keys.nonces().make(now);
    let ended = serve(&installation, &peer, request, now).await;
    let (ending, response) = match ended {
        Ok(issued) => (Ending::Issued, answer::issued(&issued, now, &nonce)),
        Err(why) => {
            let ending = why.ending();
            if ending == Ending::Unidentified {
                installation.unidentified.count(peer.address.ip(), why.code());
            }
            if ending == Ending::Failed {
                tracing::error!(code = why.code(), error = %why, "a token request failed");
            }
            (ending, answer::refused(&why, &nonce))
        }
    };
    installation.metrics.exchange(ending, begun.elapsed());
    response
}

/// A token, with what the answer says about it.
pub(super) struct Issued {
    /// The compact JWS.
    pub(super) token: String,
    /// When it ends.
    pub(super) expires_at: UnixTime,
    /// `token_type`.
    pub(super) scheme: &'static str,
    /// `authorization_details` as granted, as JSON.
    pub(super) details: String,
}

async fn serve(
    installation: &Installation,
    peer: &Peer,
    request: Request<Body>,
    now: UnixTime,
) -> Result<Issued, NotIssued> {
    let _place = installation
        .exchanges
        .try_acquire()
        .map_err(|_| NotIssued::Busy)?;
    let (head, body) = request.into_parts();
    let form = Form::parse(&read(&head.headers, body).await?).map_err(ExchangeFormError::from)?;
    if form.one("grant_type") == Some(CIBA_GRANT) {
        return ciba::redeem(installation, peer, &head.headers, &form, now).await;
    }
    let wish = Wish::parse(&form)?;
    let published = installation.published();
    let issuer = &installation.config.issuer;
    let svid = subject::verified(wish.caller.expose(), &published, issuer, now)?;
    let mut proven = prove(&installation.token_target, installation, peer, &head.headers, now)?;
    if wish
        .client_id
        .as_ref()
        .is_some_and(|id| *id != svid.claims().spiffe_id.as_str())
    {
        return Err(NotIssued::OtherClient);
    }
    decide(installation, &wish, &svid, &mut proven, now).await
}

/// The whole body, if it is a form of bearable size that comes in bearable time.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, NotIssued> {
    if !content_type::is(headers, media_type::FORM) {
        return Err(NotIssued::NotAForm);
    }
    let bytes = tokio::time::timeout(BODY, axum::body::to_bytes(body, FORM_BYTES_MAX)).await;
    match bytes {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        Ok(Err(_)) => Err(NotIssued::Body),
        Err(_) => Err(NotIssued::Slow),
    }
}

/// Decides and records, again when something was restricted between both.
pub(super) async fn decide(
    installation: &Installation,
    wish: &Wish,
    svid: &Verified<JwtSvidClaims>,
    proven: &mut Proven,
    now: UnixTime,
) -> Result<Issued, NotIssued> {
    let mut heard = None;
    let (key, binding, bound_until) = (proven.key(), proven.binding(), proven.not_after());
    for _ in 0..ATTEMPTS_MAX + HEARINGS_MAX {
        let world = installation.store.world();
        let subject = match identify::subject(&world, svid, key, now) {
            Ok(subject) => subject,
            Err(reason) => return Err(refuse(installation, svid, reason, None, now).await),
        };
        // Whatever follows happens once for each proof: a look at what is shown, a question to others, an entry.
        let possession = proven.spend(&installation.replays, now)?;
        let agent = subject.agent().clone();
        let (behalf, shown_until) = match &wish.shown {
            None => (Behalf::Own, UnixTime::MAX),
            Some(shown) => match shown.behalf(installation, &world, &agent, now).await {
                Ok(found) => found,
                Err(not) => return Err(refuse(installation, svid, not.reason, Some(&not.why), now).await),
            },
        };
        if let Behalf::User(user) = &behalf {
            let source = installation.draw_source(Some(agent.org), now)?;
            if let Some(plan) = claims::heard(&world, user, &mut source.draw()) {
                // What the user may do is part of the World that the decision is made on: look at everything anew.
                drop(installation.store.commit(plan).await?);
                continue;
            }
        }
        let chain = match chain_of(&world, &behalf, &agent.spiffe_id) {
            Ok(chain) => chain,
            Err(reason) => return Err(refuse(installation, svid, reason, None, now).await),
        };
        let parties = match parties(&world, OrgScope::Only(agent.org), &chain) {
            Ok(parties) => parties,
            Err(reason) => return Err(refuse(installation, svid, reason, None, now).await),
        };
        let parties = if heard == Some(false) {
            parties.unheard()
        } else {
            parties
        };
        let links = installation.contracts.in_force(&world, &parties.agents, now)?;
        let ask = Ask {
            audience: wish.audience.clone(),
            actions: wish.actions.clone(),
            task: wish.task,
            tenant: wish.tenant.clone(),
            purpose: wish.purpose.clone(),
            approval: wish.approval,
            binding,
            not_after: svid.claims().expires_at.min(bound_until).min(shown_until),
        };
        if heard.is_none() {
            let nothing = Gathered::default();
            let acting = Acting {
                behalf: &behalf,
                chain: &chain,
                parties: &parties,
                links: &links,
                gathered: &nothing,
            };
            if let Some(asking) = asking(&world, acting, &subject, &ask, installation.clock.now()) {
                heard = Some(pdp::hear(installation, &asking).await?);
                continue;
            }
            heard = Some(true);
        }
        let source = installation.draw_source(Some(agent.org), now)?;
        let reservation = gather(installation, &world, &links, &subject, &behalf, &ask, now);
        let nothing = Gathered::default();
        let acting = Acting {
            behalf: &behalf,
            chain: &chain,
            parties: &parties,
            links: &links,
            gathered: reservation.as_ref().map_or(&nothing, Reservation::gathered),
        };
        let outcome = exchange(&world, acting, subject, possession, ask, &mut source.draw());
        let plan = match outcome {
            Outcome::Granted(plan) => plan,
            Outcome::Refused(plan) => return Err(refused(installation, plan).await),
        };
        match installation.store.commit(plan).await {
            Ok(recorded) => {
                if let Some(reservation) = reservation {
                    reservation.keep();
                }
                return issue(installation, recorded);
            }
            Err(CommitError::Stale { .. }) => {}
            Err(CommitError::Conflict(_)) => {
                return Err(refuse(installation, svid, Reason::ReplayDetected, None, now).await);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(NotIssued::Contended)
}

/// What the Ledger knows of the task and the instance; `None` where there is no such task, which is refused anyway.
fn gather(
    installation: &Installation,
    world: &World,
    links: &[LinkInForce],
    subject: &Identified,
    behalf: &Behalf,
    ask: &Ask,
    now: UnixTime,
) -> Option<Reservation> {
    let own = links.last()?;
    let task = world.task(OrgScope::Only(own.agent.org), task_of(behalf, ask, subject)?)?;
    // What was not asked for by name is all that the contract grants there.
    let granted = own.compiled.contract().terms().grants.iter();
    let actions: Vec<&str> = if ask.actions.is_empty() {
        granted
            .filter(|grant| grant.services.contains(&ask.audience))
            .flat_map(|grant| &grant.actions)
            .chain(own.exceptions.iter().map(|exception| &exception.terms().action))
            .map(Name::as_str)
            .collect()
    } else {
        ask.actions.iter().map(Name::as_str).collect()
    };
    Some(installation.ledger.gather(&Gathering {
        links,
        task,
        instance: subject.instance()?,
        audience: &ask.audience,
        wants: Wants::Credential { actions: &actions },
        now,
    }))
}

/// Signs what was recorded.
fn issue(installation: &Installation, recorded: Recorded<Permit>) -> Result<Issued, NotIssued> {
    let (details, scheme) = match recorded.get().grant() {
        Grant::AccessToken(claims) => (
            credential::AgentTask::list_to_json(&claims.details),
            match claims.binding {
                credential::Binding::Key(_) => "DPoP",
                credential::Binding::Certificate(_) => "Bearer",
            },
        ),
        Grant::X509Svid(_) | Grant::JwtSvid(_) => return Err(NotIssued::OtherClass),
    };
    match installation.signer.sign(recorded)? {
        Credential::AccessToken { token, expires_at } => Ok(Issued {
            token,
            expires_at,
            scheme,
            details,
        }),
        Credential::JwtSvid { .. } | Credential::X509Svid { .. } => Err(NotIssued::OtherClass),
    }
}

/// Records a refusal that the broker planned, then answers with it.
async fn refused(installation: &Installation, plan: Plan<Refusal>) -> NotIssued {
    match installation.store.commit(plan).await {
        Ok(recorded) => NotIssued::Refused(recorded.into_parts().0),
        Err(error) => error.into(),
    }
}

/// Refuses a caller that is known; `shown` says what was wrong with what it showed for somebody else.
async fn refuse(
    installation: &Installation,
    svid: &Verified<JwtSvidClaims>,
    reason: Reason,
    shown: Option<&str>,
    now: UnixTime,
) -> NotIssued {
    let world = installation.store.world();
    let agent = world.agent_of(OrgScope::Every, &svid.claims().spiffe_id);
    let source = match installation.draw_source(agent.map(|agent| agent.org), now) {
        Ok(source) => source,
        Err(error) => return error.into(),
    };
    let plan = refuse_subject(&world, svid, reason, shown, &mut source.draw());
    refused(installation, plan).await
}
