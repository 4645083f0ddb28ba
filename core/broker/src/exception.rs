//! Exceptions: a person lets an agent do one more thing for a while, and answers for it.
//!
//! For the hour in which a contract is wrong and there is no time for a new one. An exception is loud (an entry, a
//! warning, a line in `status`, a name in every decision that rests on it), narrow (one agent, one action, one service,
//! under every limit of the contract) and short; it ends by itself. A second one for the same is another entry that says
//! so: nobody lives from one hour to the next without being seen.

use crate::admin::{Act, Administrator};
use crate::draw::Draw;
use crate::inventory::Done;
use crate::plan::{Outcome, Plan, Precondition};
use crate::succession::FourEyes;
use crate::world::{Agent, AgentState, Change, Exception, Person, Role, World};
use audit::EventKind;
use audit::event::Who;
use identity::{Audience, ExceptionId, Name, OrgId, OrgScope, UnixTime};
use policy::contract::Sentence;
use policy::{Compiled, ExceptionTerms};
use serde_json::Value;

/// Longest exception, in seconds: a day. What is needed longer belongs in the contract.
pub const EXCEPTION_SECS_MAX: u64 = 24 * 3600;
/// How long an exception is remembered after its end, in seconds, so that another one for the same is seen as such.
pub const EXCEPTION_MEMORY_SECS: u64 = 7 * 24 * 3600;
/// Most exceptions that one agent has open: with more, its contract is not its job description any more.
const OPEN_MAX: usize = 5;
/// Longest name of an owner, in bytes.
const OWNER_BYTES_MAX: usize = 128;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What the agent may do.
    pub action: Name,
    /// Where.
    pub audience: Audience,
    /// Why.
    pub reason: Sentence,
    /// Who answers for it.
    pub owner: String,
    /// Until when.
    pub until: UnixTime,
    /// Whether it is known that there was one for the same before.
    pub again: bool,
}

fn act(kind: EventKind, org: OrgId) -> Act {
    Act {
        in_person: kind == EventKind::ExceptionOpened,
        kind,
        role: Role::Approver,
        org,
    }
}

/// Opens an exception. Where changes of contracts take two people, this takes one who proved to be there.
pub fn open(
    world: &World,
    who: &Administrator,
    agent: &Agent,
    wish: Wish,
    rule: FourEyes,
    draw: &mut Draw<'_>,
) -> Outcome<Done<ExceptionId>> {
    let opening = act(EventKind::ExceptionOpened, agent.org);
    if let Err(refused) = who.check(opening.role, Some(agent.org), world, draw) {
        return refused;
    }
    let now = draw.now();
    let same: Vec<_> = world
        .exceptions_of(OrgScope::Only(agent.org), agent.id)
        .filter(|known| known.action == wish.action && known.audience == wish.audience)
        .cloned()
        .collect();
    if let Some((code, message)) = fault(world, who, agent, &wish, rule, same.len(), now) {
        return who.refuse_act(&opening, code, message, world, draw);
    }
    let id: ExceptionId = draw.id();
    let presence = if who.presence().is_verified(now) {
        "session"
    } else {
        "process"
    };
    let mut event = who.event(EventKind::ExceptionOpened, opening.role, world, draw);
    event.org = Some(agent.org);
    event.who = Some(of(agent));
    event
        .detail
        .insert("exception".into(), Value::String(id.to_string()));
    event
        .detail
        .insert("presence".into(), Value::String(presence.to_owned()));
    event.change_summary = vec![format!(
        "EXCEPTION {id}: {} may {} on {} until {}, owned by {}: {}",
        agent.name,
        wish.action,
        wish.audience,
        wish.until.rfc3339(),
        wish.owner,
        wish.reason.as_str()
    )];
    if !same.is_empty() {
        let times = same.len() + 1;
        event
            .change_summary
            .push(format!("again: number {times} of the same within days"));
    }
    let exception = Exception {
        id,
        org: agent.org,
        agent: agent.id,
        action: wish.action,
        audience: wish.audience,
        reason: wish.reason.as_str().to_owned(),
        owner: wish.owner,
        by: Person::of(who.principal()),
        presence: presence.to_owned(),
        opened_at: now,
        until: wish.until,
        ended: None,
    };
    Outcome::Granted(
        Plan::new(world.revision(), event, Done::of(id))
            .expecting(Precondition::AtRevision(world.revision()))
            .changing(Change::ExceptionOpened(exception)),
    )
}

fn fault(
    world: &World,
    who: &Administrator,
    agent: &Agent,
    wish: &Wish,
    rule: FourEyes,
    same: usize,
    now: UnixTime,
) -> Option<(&'static str, String)> {
    if rule != FourEyes::Off && !who.presence().is_verified(now) {
        let message = "an exception takes a person who showed lately that it is they: open it in a session of your own in \
                       which you just proved to be there; a process with your uid is not enough";
        return Some(("PRESENCE_UNVERIFIED", message.to_owned()));
    }
    if agent.state != AgentState::Active {
        let message = format!("{} may not act at all: resume it first", agent.name);
        return Some(("EXCEPTION_AGENT", message));
    }
    let plain = |text: &str| !text.chars().any(char::is_control) && text.trim() == text;
    if wish.owner.is_empty() || wish.owner.len() > OWNER_BYTES_MAX || !plain(&wish.owner) {
        let message =
            format!("an exception has an owner of 1 to {OWNER_BYTES_MAX} bytes on one line: set --owner");
        return Some(("EXCEPTION_OWNER", message));
    }
    if wish.until <= now || wish.until.millis_since(now) > EXCEPTION_SECS_MAX * 1000 {
        let message = "an exception ends within 24 hours from now: set --for or --until; what is needed longer belongs in \
                       the contract";
        return Some(("EXCEPTION_END", message.to_owned()));
    }
    let open = world
        .exceptions_of(OrgScope::Only(agent.org), agent.id)
        .filter(|known| known.is_open(now));
    if open.count() >= OPEN_MAX {
        let message = format!(
            "{} has {OPEN_MAX} exceptions open: end one, or mend its contract",
            agent.name
        );
        return Some(("EXCEPTION_TOO_MANY", message));
    }
    if same > 0 && !wish.again {
        let message = format!(
            "{} had an exception for {} on {} within the last days: say --again if it is to have another, or mend its contract",
            agent.name, wish.action, wish.audience
        );
        return Some(("EXCEPTION_AGAIN", message));
    }
    None
}

fn of(agent: &Agent) -> Who {
    Who {
        agent: Some(agent.id),
        agent_name: Some(agent.name.clone()),
        spiffe_id: Some(agent.spiffe_id.clone()),
        ..Who::default()
    }
}

/// Ends an exception before its time. Anybody who may stop an agent may do that.
pub fn end(world: &World, who: &Administrator, exception: &Exception, draw: &mut Draw<'_>) -> Outcome<Done> {
    let mut ending = act(EventKind::ExceptionEnded, exception.org);
    if who.may(Role::Operator, exception.org) {
        ending.role = Role::Operator;
    }
    if exception.ended.is_some() {
        let message = format!("{} is over already", exception.id);
        return who.refuse_act(&ending, "EXCEPTION_OVER", message, world, draw);
    }
    let summary = format!("exception {} ended before its time", exception.id);
    let change = ended(exception, draw.now());
    who.act(&ending, summary, change, world, draw)
}

/// Records that the time of an exception is over. It permits nothing whether or not this is ever recorded; once it is,
/// no clock brings it back.
pub fn expire(world: &World, exception: &Exception, draw: &mut Draw<'_>) -> Plan<Done> {
    let mut event = draw.event(EventKind::ExceptionEnded, world.revision());
    event.org = Some(exception.org);
    event
        .detail
        .insert("exception".into(), Value::String(exception.id.to_string()));
    event.change_summary = vec![format!(
        "the time of exception {} is over ({} on {})",
        exception.id, exception.action, exception.audience
    )];
    let change = ended(exception, draw.now());
    Plan::new(world.revision(), event, Done::nothing_made()).changing(change)
}

/// Those whose time is over and of which that is not recorded yet.
pub fn over(world: &World, now: UnixTime) -> Vec<std::sync::Arc<Exception>> {
    let all = world.exceptions(OrgScope::Every);
    all.filter(|exception| exception.ended.is_none() && exception.until <= now)
        .cloned()
        .collect()
}

const fn ended(exception: &Exception, at: UnixTime) -> Change {
    Change::ExceptionEnded {
        exception: exception.id,
        agent: exception.agent,
        org: exception.org,
        at,
    }
}

/// An exception, ready to be decided by, for the contract that its agent is under. What does not compile permits
/// nothing.
pub fn compiled(exception: &Exception, contract: &Compiled) -> Option<policy::Exception> {
    let terms = ExceptionTerms {
        id: exception.id.to_string(),
        action: exception.action.clone(),
        audience: exception.audience.clone(),
        reason: exception.reason.parse().ok()?,
        owner: exception.owner.clone(),
        from: exception.opened_at,
        until: exception.until,
    };
    policy::Exception::new(contract.contract(), terms).ok()
}

#[cfg(test)]
mod tests;
