//! The grant `urn:openid:params:grant-type:ciba` at the token endpoint (sections 10 and 11).

use super::parked::Poll;
use crate::connection::Peer;
use crate::installation::Installation;
use crate::token::endpoint::{Issued, decide};
use crate::token::errors::NotIssued;
use crate::token::possession::prove;
use crate::token::subject;
use crate::token::wish::Wish;
use broker::identify;
use broker::world::approval::State;
use credential::form::Form;
use credential::{AgentTask, TokenExchangeForm};
use http::HeaderMap;
use identity::{OrgScope, UnixTime};

/// Looks whether a human decided, and issues the token if so. Decided like any exchange: an approval lets nobody have what
/// the contract does not grant.
pub(in crate::token) async fn redeem(
    installation: &Installation,
    peer: &Peer,
    headers: &HeaderMap,
    form: &Form,
    now: UnixTime,
) -> Result<Issued, NotIssued> {
    let mut exchange = TokenExchangeForm::whatever_grant(form)?;
    // Whoever acts for somebody shows their own token as the actor's, as in an exchange.
    let caller = exchange.actor.as_ref().unwrap_or(&exchange.subject);
    let published = installation.published();
    let issuer = &installation.config.issuer;
    let svid = subject::verified(caller.token.expose(), &published, issuer, now)?;
    let mut proven = prove(&installation.token_target, installation, peer, headers, now)?;
    let world = installation.store.world();
    let subject = identify::subject(&world, &svid, proven.key(), now).map_err(|_| NotIssued::Over)?;
    let instance = subject.instance().ok_or(NotIssued::Over)?;
    // A poll that is sent again must not count as the client's own.
    proven.spend(&installation.replays, now)?;
    let id = form.one("auth_req_id").unwrap_or_default();
    let waiting = match installation.parked.poll(id, instance, now) {
        Poll::Unknown => return Err(NotIssued::Over),
        Poll::TooSoon => return Err(NotIssued::TooSoon),
        Poll::Look(waiting) => waiting,
    };
    let scope = OrgScope::Only(subject.agent().org);
    let state = world
        .approval(scope, waiting.approval)
        .map_or(State::Expired, |approval| approval.state(now));
    match state {
        State::Pending => return Err(NotIssued::Pending),
        State::Denied => {
            installation.parked.done(id);
            return Err(NotIssued::SaidNo);
        }
        State::Expired | State::Used | State::Withdrawn => {
            installation.parked.done(id);
            return Err(NotIssued::Over);
        }
        State::Approved => {}
    }
    if !installation.parked.done(id) {
        return Err(NotIssued::Over);
    }
    // What was asked for when the wait began; nothing is added now.
    exchange.targets = vec![waiting.audience];
    exchange.scope = None;
    exchange.details = vec![AgentTask {
        task: waiting.task,
        actions: (!waiting.actions.is_empty()).then_some(waiting.actions),
        approval: Some(waiting.approval),
        ..AgentTask::default()
    }];
    decide(installation, &Wish::of(exchange)?, &svid, &mut proven, now).await
}
