//! A user's own side: they let an agent act for them, and stop it, in a session of their own and nowhere else.
//!
//! Looked up on every exchange and on every call, at gateways too: a stop takes effect on tokens that are out already.

use crate::admin::{Act, Administrator};
use crate::draw::Draw;
use crate::inventory::Done;
use crate::plan::{Outcome, Plan};
use crate::session::{Visitor, refuse_visitor};
use crate::world::{Account, Change, Consent, Given, Role, UserRight, World};
use audit::event::Who;
use audit::{Event, EventKind};
use identity::{Name, OrgId, OrgScope, UnixTime};
use std::collections::BTreeSet;

/// Longest time that a user can say yes for, in seconds: ninety days, and then they are asked again.
pub const GIVEN_SECS_MAX: u64 = 90 * 86_400;

/// What may be done for a user at `now` by what the org says about them, by what their issuer says as far as the org gave
/// it a meaning, and by what the org's decision point was asked.
pub fn rights_of(world: &World, org: OrgId, account: &Account, now: UnixTime) -> Vec<UserRight> {
    let scope = OrgScope::Only(org);
    let Account { issuer, subject } = account;
    let Some(source) = world.trust_source(scope, org, issuer) else {
        return Vec::new();
    };
    let user = world.user(scope, org, issuer, subject);
    let own = user.filter(|user| now < user.expires_at).into_iter();
    let claimed = world.claimed(scope, org, issuer, subject);
    let claimed = claimed.filter(|claimed| now < claimed.until).into_iter();
    let table = source.rights.as_ref().map(|rights| &rights.values);
    let by_claim = claimed
        .flat_map(|claimed| &claimed.values)
        .filter_map(|value| table.and_then(|table| table.get(value)))
        .flatten();
    let judged = world.judged(scope, org, issuer, subject);
    let judged = judged.filter(|_| source.pdp.is_some()).into_iter();
    own.flat_map(|user| &user.rights)
        .chain(by_claim)
        .cloned()
        .chain(judged.flat_map(|judged| judged.rights(now)))
        .collect()
}

/// The part of that which is for one agent.
pub fn envelope(world: &World, org: OrgId, account: &Account, agent: &Name, now: UnixTime) -> Vec<UserRight> {
    rights_of(world, org, account, now)
        .into_iter()
        .filter(|right| right.agents.contains(agent))
        .map(|right| UserRight {
            agents: BTreeSet::from([agent.clone()]),
            ..right
        })
        .collect()
}

/// A user lets an agent act for them: all that it could do for them now, until `secs` from now. It takes a proof, not older
/// than five minutes, that they are there: an unattended browser gives nobody rights.
pub fn give(
    world: &World,
    visitor: &Visitor,
    org: OrgId,
    agent: &Name,
    secs: u64,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let Some(account) = visitor.account() else {
        return refuse_visitor(world, visitor, "CONSENT_NO_USER", draw);
    };
    // A stop never waits; a yes gives something away, and takes the user themselves.
    if !visitor.is_verified(draw.now()) {
        return refuse_visitor(world, visitor, "ADMIN_NOT_VERIFIED", draw);
    }
    let rights = envelope(world, org, account, agent, draw.now());
    if rights.is_empty() || secs == 0 || secs > GIVEN_SECS_MAX {
        return refuse_visitor(world, visitor, "CONSENT_NOTHING", draw);
    }
    let mut consent = known(world, org, account);
    consent.stopped.remove(agent);
    consent
        .given
        .retain(|given| given.agent != *agent && draw.now() < given.expires_at);
    let expires_at = draw.now().plus_secs(secs);
    consent.given.push(Given {
        agent: agent.clone(),
        rights,
        given_at: draw.now(),
        expires_at,
        session: visitor.session().id,
    });
    let mut event = event(world, EventKind::GrantAdded, visitor, org, agent, draw);
    event.change_summary = vec![format!(
        "a user lets {agent} act for them until {}",
        expires_at.rfc3339()
    )];
    Outcome::Granted(
        Plan::new(world.revision(), event, Done::nothing_made()).changing(Change::ConsentSet(consent)),
    )
}

/// The agents that a user may want to stop: whoever can act for them, could once as far as that is known, or was said
/// something about.
pub fn concerned(world: &World, org: OrgId, account: &Account) -> BTreeSet<Name> {
    let scope = OrgScope::Only(org);
    let Account { issuer, subject } = account;
    let mut all = BTreeSet::new();
    if let Some(user) = world.user(scope, org, issuer, subject) {
        all.extend(user.rights.iter().flat_map(|right| &right.agents).cloned());
    }
    let source = world.trust_source(scope, org, issuer);
    let table = source.and_then(|source| source.rights.as_ref());
    if let (Some(table), Some(claimed)) = (table, world.claimed(scope, org, issuer, subject)) {
        let rights = claimed.values.iter().filter_map(|value| table.values.get(value));
        all.extend(rights.flatten().flat_map(|right| &right.agents).cloned());
    }
    if let Some(judged) = world.judged(scope, org, issuer, subject) {
        all.extend(judged.answers.iter().map(|answer| answer.question.agent.clone()));
    }
    if let Some(consent) = world.said(scope, org, issuer, subject).consent {
        all.extend(consent.given.iter().map(|given| given.agent.clone()));
        all.extend(consent.stopped.iter().cloned());
    }
    all
}

/// Most agents that a user stops before the org has an agent of that name: what users write has an end.
const STOPPED_AHEAD_MAX: usize = 64;

/// A user stops an agent: from the next call on it does nothing for them, whatever the org says. Whether it could do
/// anything at this very moment is not asked: what a token or a decision point says comes back with the next one.
pub fn stop(
    world: &World,
    visitor: &Visitor,
    org: OrgId,
    agent: &Name,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let Some(account) = visitor.account() else {
        return refuse_visitor(world, visitor, "CONSENT_NO_USER", draw);
    };
    let scope = OrgScope::Only(org);
    let is_agent = |name: &Name| world.agent_named(scope, org, name).is_some();
    let said = world.said(scope, org, &account.issuer, &account.subject).consent;
    if said.is_none() && world.trust_source(scope, org, &account.issuer).is_none() {
        return refuse_visitor(world, visitor, "CONSENT_NOTHING", draw);
    }
    let mut consent = known(world, org, account);
    if !is_agent(agent) && !concerned(world, org, account).contains(agent) {
        let ahead = consent.stopped.iter().filter(|stopped| !is_agent(stopped));
        if ahead.count() >= STOPPED_AHEAD_MAX {
            return refuse_visitor(world, visitor, "CONSENT_NOTHING", draw);
        }
    }
    consent.given.retain(|given| given.agent != *agent);
    consent.stopped.insert(agent.clone());
    let mut event = event(world, EventKind::GrantRemoved, visitor, org, agent, draw);
    event.change_summary = vec![format!("a user stopped {agent} from acting for them")];
    Outcome::Granted(
        Plan::new(world.revision(), event, Done::nothing_made()).changing(Change::ConsentSet(consent)),
    )
}

/// Says whether agents need the own yes of an issuer's users, or act for them by the org's rule.
pub fn require(
    world: &World,
    who: &Administrator,
    org: OrgId,
    issuer: &str,
    asked: bool,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let act = Act {
        kind: EventKind::OrgChanged,
        role: Role::Admin,
        org,
        in_person: true,
    };
    if world.trust_source(OrgScope::Only(org), org, issuer).is_none() {
        let message = format!("no trusted issuer {issuer}: add it first with `tabard trust add`");
        return who.refuse_act(&act, "USER_ISSUER", message, world, draw);
    }
    let summary = if asked {
        format!("agents act for users of {issuer} only by their own yes")
    } else {
        format!("agents act for users of {issuer} by the org's rule")
    };
    let change = Change::ConsentRequired {
        org,
        issuer: issuer.to_owned(),
        asked,
    };
    who.act(&act, summary, change, world, draw)
}

fn known(world: &World, org: OrgId, account: &Account) -> Consent {
    let said = world.said(OrgScope::Only(org), org, &account.issuer, &account.subject);
    said.consent.map_or_else(
        || Consent {
            org,
            issuer: account.issuer.clone(),
            subject: account.subject.clone(),
            given: Vec::new(),
            stopped: BTreeSet::new(),
        },
        |consent| Consent::clone(&consent),
    )
}

fn event(
    world: &World,
    kind: EventKind,
    visitor: &Visitor,
    org: OrgId,
    agent: &Name,
    draw: &mut Draw<'_>,
) -> Event {
    let mut event = draw.event(kind, world.revision());
    event.org = Some(org);
    event.human = Some(visitor.human(draw));
    let known = world.agent_named(OrgScope::Only(org), org, agent);
    event.who = Some(Who {
        agent: known.map(|agent| agent.id),
        agent_name: Some(agent.clone()),
        ..Who::default()
    });
    event
}
