//! Ask: a refused request becomes one that waits for humans.
//!
//! Humans tire, and who asks often enough gets a yes by mistake. So identical requests share one record, a refused one
//! is not asked for again while its task lasts, and only so many wait or were asked at once.

use super::besides::Besides;
use super::bound::definition_of;
use super::{Bound, REQUEST_BYTES_MAX, SAID_CHARS_MAX, eligible};
use crate::chain::parties;
use crate::draw::Draw;
use crate::plan::{Outcome, Plan};
use crate::refusal::{Cause, Refusal};
use crate::task::who;
use crate::world::approval::{Need, State};
use crate::world::{Approval, Change, NodeRecord, World};
use audit::event::{Decision, Minted, Ruling, What, Why};
use audit::{Event, EventKind};
use identity::{ApprovalId, DecisionId, Digest, LogId, Name, OrgScope, UnixTime};
use policy::contract::Escalation;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Most requests of one agent that wait at the same time.
pub const PENDING_PER_AGENT_MAX: usize = 10;
/// Most requests of one task that wait at the same time.
pub const PENDING_PER_TASK_MAX: usize = 5;
/// Most requests that one task asks for at all, as far back as they are remembered.
pub const ASKED_PER_TASK_MAX: usize = 30;
/// Most requests that one agent asks for within an hour, in whatever tasks: one a minute is all that people can read.
pub const ASKED_PER_AGENT_HOUR_MAX: usize = 60;
/// The hour, in milliseconds.
const HOUR_MILLIS: u64 = 3_600_000;

/// A request for an approval, by whoever refused the request itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// The exact request.
    pub bound: Bound,
    /// The escalations that would have let it pass, each with its contract.
    pub needs: Vec<(Digest, Name)>,
    /// The refusal.
    pub refusal: DecisionId,
    /// Its reasons, by code.
    pub reasons: Vec<String>,
    /// What the agent says about it.
    pub said: Option<String>,
    /// What is sent besides what the service's definition names.
    #[serde(default)]
    pub besides: Besides,
}

/// What the contracts of the chain say about an [`Ask`], by whoever compiled them.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Each escalation that is needed, as its contract has it.
    pub escalations: Vec<(Digest, Name, Escalation)>,
    /// What the action means to the business.
    pub meaning: Option<String>,
    /// Where humans decide.
    pub desk: String,
}

/// A request waits. Its id is stamped with the revision of its record.
#[derive(Debug, Clone, Copy)]
pub struct Requested {
    id: ApprovalId,
}

impl Requested {
    /// Unstamped: apply [`identity::Id::at`] with the revision of its record.
    pub const fn id(&self) -> ApprovalId {
        self.id
    }
}

/// What came of asking.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "made for one caller, who takes it apart at once"
)]
pub enum Asked {
    /// The same request was asked for before.
    Known(Arc<Approval>),
    /// Something to record.
    New(Outcome<Requested>),
}

/// Asks humans. `through` is the gateway that refused the request, `None` for the server itself.
pub fn ask(
    world: &World,
    ask: &Ask,
    terms: &Terms,
    through: Option<&NodeRecord>,
    draw: &mut Draw<'_>,
) -> Asked {
    let now = draw.now();
    let bound = &ask.bound;
    let scope = OrgScope::Only(bound.org);
    let Some((text, digest)) = bound.text() else {
        return invalid(world, ask, "APPROVAL_UNREADABLE", "the request has no text", draw);
    };
    let reach = through
        .and_then(|node| node.org)
        .map_or(OrgScope::Every, OrgScope::Only);
    if !reach.holds(bound.org) {
        return invalid(
            world,
            ask,
            "APPROVAL_REACH",
            "the gateway does not serve this org",
            draw,
        );
    }
    if let Some(node) = through
        && ask.refusal.home() != LogId(node.log)
    {
        let message = "the refusal is not one of the gateway that asks";
        return invalid(world, ask, "APPROVAL_REACH", message, draw);
    }
    if let Err(message) = current(world, scope, bound, now) {
        return invalid(world, ask, "APPROVAL_STALE", message, draw);
    }
    if text.len() > REQUEST_BYTES_MAX {
        let message = "the request is longer than 16384 bytes: nobody would read it";
        return invalid(world, ask, "APPROVAL_TOO_LONG", message, draw);
    }
    if !ask.besides.is_bounded() {
        let message = "what is sent besides is longer than anybody would read";
        return invalid(world, ask, "APPROVAL_TOO_LONG", message, draw);
    }
    let said = match &ask.said {
        Some(said) if said.chars().count() > SAID_CHARS_MAX || said.chars().any(char::is_control) => {
            let message = "what is said about it has at most 500 characters and no control characters";
            return invalid(world, ask, "APPROVAL_SAID", message, draw);
        }
        said => said.clone(),
    };
    let Some(needs) = needs(ask, terms) else {
        let message = "no contract of the chain asks for an approval of this";
        return invalid(world, ask, "APPROVAL_NOT_NEEDED", message, draw);
    };
    if let Some(known) = world.approval_of(scope, bound.task, &digest) {
        let covers = needs.iter().all(|need| known.needs.contains(need));
        let stands = matches!(known.state(now), State::Pending | State::Approved | State::Denied);
        if stands && (covers || known.state(now) == State::Denied) {
            return Asked::Known(known.clone());
        }
    }
    if let Err((code, message)) = room(world, scope, bound, now) {
        return invalid(world, ask, code, message, draw);
    }
    let ttl = needs.iter().map(|need| need.ttl_secs).min().unwrap_or(0);
    let task_end = world.task(scope, bound.task).map_or(now, |task| task.expires_at);
    let approval = Approval {
        id: draw.minted(),
        org: bound.org,
        agent: bound.agent,
        task: bound.task,
        digest,
        request: text,
        refusal: ask.refusal,
        reasons: ask.reasons.clone(),
        needs,
        meaning: terms.meaning.clone(),
        said,
        besides: ask.besides.clone(),
        desk: terms.desk.clone(),
        through: through.map(|node| node.id),
        asked_at: now,
        expires_at: now.plus_secs(ttl).min(task_end),
        votes: Vec::new(),
        ended: None,
    };
    if let Some(short) = approval.needs.iter().find(|need| {
        let may = world
            .principals(OrgScope::Every)
            .filter(|principal| eligible(world, &approval, need, principal).is_ok());
        may.count() < usize::from(need.quorum)
    }) {
        let message = format!(
            "fewer than {} of the group {} may decide on this: tabard group set {} --member NAME …",
            short.quorum, short.approvers, short.approvers
        );
        return invalid(world, ask, "APPROVAL_NOBODY", message, draw);
    }
    let mut event = about(world, EventKind::ApprovalRequested, &approval, draw);
    event.minted = Some(Minted::Approval(approval.id));
    event
        .detail
        .insert("refusal".into(), Value::String(ask.refusal.to_string()));
    event.detail.insert(
        "reasons".into(),
        ask.reasons.iter().map(String::as_str).collect::<Vec<_>>().into(),
    );
    event.detail.insert(
        "approvers".into(),
        approval
            .needs
            .iter()
            .map(|need| format!("{} of {}", need.quorum, need.approvers))
            .collect::<Vec<_>>()
            .into(),
    );
    event.change_summary = vec![format!("{} waits for approval", bound.action)];
    let proof = Requested { id: approval.id };
    Asked::New(Outcome::Granted(
        Plan::new(world.revision(), event, proof).changing(Change::ApprovalRequested(Box::new(approval))),
    ))
}

/// The needs of a request as its contracts have them; `None` if there is none, or one that no contract has.
fn needs(ask: &Ask, terms: &Terms) -> Option<Vec<Need>> {
    if ask.needs.is_empty() {
        return None;
    }
    let one = |(contract, name): &(Digest, Name)| {
        if !ask.bound.contracts.contains(contract) {
            return None;
        }
        let (_, _, escalation) = terms
            .escalations
            .iter()
            .find(|(of, known, _)| of == contract && known == name)?;
        Some(Need {
            contract: *contract,
            escalation: name.clone(),
            approvers: escalation.approvers.clone(),
            quorum: escalation.quorum,
            not: escalation.not.clone(),
            ttl_secs: escalation.ttl.get(),
        })
    };
    ask.needs.iter().map(one).collect()
}

/// Whether the request is one of now: its parties may act under these contracts, its task is open, its service is
/// defined like that.
fn current(world: &World, scope: OrgScope, bound: &Bound, now: UnixTime) -> Result<(), &'static str> {
    let parties = parties(world, scope, &bound.chain).map_err(|_| "a party of the chain is not known")?;
    let contracts: Vec<Digest> = parties.agents.iter().map(|agent| agent.contract).collect();
    if contracts != bound.contracts {
        return Err("another version of a contract is in force");
    }
    if !parties.agents.iter().all(|agent| agent.is_live(now)) {
        return Err("an agent of the chain may not act");
    }
    if parties.agents.last().is_none_or(|last| last.id != bound.agent) {
        return Err("the chain does not end with the agent");
    }
    if !world.is_task_open(scope, bound.task, now) {
        return Err("the task is over");
    }
    let upstream = world.upstream(scope, bound.upstream);
    if upstream.is_none_or(|upstream| definition_of(upstream) != bound.definition) {
        return Err("the service is defined differently");
    }
    Ok(())
}

/// Whether one more may wait.
pub(super) fn room(
    world: &World,
    scope: OrgScope,
    bound: &Bound,
    now: UnixTime,
) -> Result<(), (&'static str, &'static str)> {
    let (mut agent, mut task, mut asked, mut lately) = (0, 0, 0, 0);
    for known in world.approvals(scope) {
        let pends = known.state(now) == State::Pending;
        agent += usize::from(pends && known.agent == bound.agent);
        task += usize::from(pends && known.task == bound.task);
        asked += usize::from(known.task == bound.task);
        lately += usize::from(known.agent == bound.agent && now.millis_since(known.asked_at) < HOUR_MILLIS);
    }
    if agent >= PENDING_PER_AGENT_MAX || task >= PENDING_PER_TASK_MAX {
        return Err((
            "APPROVAL_TOO_MANY",
            "too many requests of this agent or task wait already; wait until some were decided",
        ));
    }
    if asked >= ASKED_PER_TASK_MAX {
        return Err((
            "APPROVAL_TOO_MANY",
            "this task has asked as often as one task may; open another",
        ));
    }
    if lately >= ASKED_PER_AGENT_HOUR_MAX {
        return Err((
            "APPROVAL_TOO_MANY",
            "this agent has asked as often within the hour as people can read; wait",
        ));
    }
    Ok(())
}

fn invalid(
    world: &World,
    ask: &Ask,
    code: &'static str,
    message: impl Into<String>,
    draw: &mut Draw<'_>,
) -> Asked {
    let mut event = draw.event(EventKind::ApprovalRefused, world.revision());
    event.org = Some(ask.bound.org);
    event.why = Some(Why {
        task: Some(ask.bound.task),
        ..Why::default()
    });
    event
        .detail
        .insert("refusal".into(), Value::String(ask.refusal.to_string()));
    let cause = Cause::Invalid {
        code,
        message: message.into(),
    };
    Asked::New(Outcome::Refused(refusing(world, event, cause, draw)))
}

/// A refusal, as a plan.
pub(super) fn refusing(world: &World, mut event: Event, cause: Cause, draw: &mut Draw<'_>) -> Plan<Refusal> {
    let refusal = Refusal::new(draw.id(), cause);
    let mut decision = Decision::new(refusal.decision(), Ruling::Deny);
    decision.reasons = refusal.codes();
    decision.nearest = match refusal.cause() {
        Cause::Invalid { message, .. } => Some(message.clone()),
        _ => None,
    };
    event.decision = Some(decision);
    Plan::new(world.revision(), event, refusal)
}

/// An event about an approval: who asks, what for, in which task. What a human is shown besides is in the World and in
/// the entry of the refusal, as every decision keeps it.
pub(super) fn about(world: &World, kind: EventKind, approval: &Approval, draw: &mut Draw<'_>) -> Event {
    let mut event = draw.event(kind, world.revision());
    event.org = Some(approval.org);
    let agent = world.agent(OrgScope::Only(approval.org), approval.agent);
    event.who = agent.map(|agent| who(agent));
    let bound = Bound::read(&approval.request);
    event.why = Some(Why {
        approval: Some(approval.id),
        business_action: approval.meaning.clone(),
        task: Some(approval.task),
        contract: bound.as_ref().and_then(|bound| bound.contracts.last().copied()),
        ..Why::default()
    });
    if let Some(bound) = bound {
        event.chain = crate::facts::links(&bound.chain, &[], draw.names());
        event.what = Some(What {
            action: Some(bound.action.to_string()),
            audience: Some(bound.audience),
            upstream: Some(bound.upstream_name.to_string()),
            method: Some(bound.method),
            path: Some(bound.path),
            resource_type: Some(bound.resource_type.to_string()),
            resource_id: Some(bound.resource_id),
            ..What::default()
        });
    }
    event
}
