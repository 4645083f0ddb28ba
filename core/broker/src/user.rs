//! Users: what a person may do through agents, on an author's word.
//!
//! It is looked up on every exchange and on every call, so taking it back takes effect on tokens that are out already.
//! The record names people by commitments.

use crate::admin::{Act, Administrator};
use crate::draw::Draw;
use crate::inventory::Done;
use crate::plan::Outcome;
use crate::world::{Change, Role, User, UserRight, World};
use audit::EventKind;
use audit::event::Commitment;
use credential::foreign_token::SUBJECT_BYTES_MAX;
use identity::{OrgId, OrgScope, UnixTime};

/// Most groups and rights of one user, and most names in one list of a right.
pub(crate) const LIST_MAX: usize = 100;

/// Sets all that a user may do. What was set before is gone.
pub fn set(world: &World, who: &Administrator, user: User, draw: &mut Draw<'_>) -> Outcome<Done> {
    let act = Act {
        kind: EventKind::UserSet,
        role: Role::Author,
        org: user.org,
        in_person: true,
    };
    if let Err((code, message)) = check(world, &user, draw.now()) {
        return who.refuse_act(&act, code, message, world, draw);
    }
    let summary = format!(
        "user {} of {}: {} rights, {} groups, until {}",
        draw.names().commit(Commitment::USER, &user.subject),
        user.issuer,
        user.rights.len(),
        user.groups.len(),
        user.expires_at.rfc3339()
    );
    who.act(&act, summary, Change::UserSet(user), world, draw)
}

fn check(world: &World, user: &User, now: UnixTime) -> Result<(), (&'static str, String)> {
    let scope = OrgScope::Only(user.org);
    if world.trust_source(scope, user.org, &user.issuer).is_none() {
        let message = format!(
            "no trusted issuer {}: add it first with `tabard trust add`",
            user.issuer
        );
        return Err(("USER_ISSUER", message));
    }
    if !(1..=SUBJECT_BYTES_MAX).contains(&user.subject.len()) || user.subject.chars().any(char::is_control) {
        let message = "a subject has 1 to 255 bytes without control characters, as the issuer spells `sub`";
        return Err(("USER_SUBJECT", message.to_owned()));
    }
    if user.expires_at <= now {
        let message = "the rights would be over already: choose a later end";
        return Err(("USER_EXPIRED", message.to_owned()));
    }
    if user.groups.len() > LIST_MAX || user.rights.len() > LIST_MAX || !user.rights.iter().all(is_whole) {
        let message = format!(
            "a user has at most {LIST_MAX} groups and rights, and each right 1 to {LIST_MAX} agents, services and actions"
        );
        return Err(("USER_RIGHTS", message));
    }
    let mut agents = user.rights.iter().flat_map(|right| &right.agents);
    if let Some(unknown) = agents.find(|agent| world.agent_named(scope, user.org, agent).is_none()) {
        let message = format!("no agent {unknown}: see `tabard agent list` for its right name");
        return Err(("USER_AGENT", message));
    }
    Ok(())
}

/// An empty list would read like "everything", and means nothing.
pub(crate) fn is_whole(right: &UserRight) -> bool {
    [right.agents.len(), right.services.len(), right.actions.len()]
        .iter()
        .all(|len| (1..=LIST_MAX).contains(len))
        && right.tenants.len() <= LIST_MAX
}

/// Takes all of a user's rights back.
pub fn remove(
    world: &World,
    who: &Administrator,
    org: OrgId,
    issuer: &str,
    subject: &str,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let act = Act {
        kind: EventKind::UserRemoved,
        role: Role::Author,
        org,
        in_person: false,
    };
    let summary = format!(
        "user {} of {issuer} removed",
        draw.names().commit(Commitment::USER, subject)
    );
    let change = Change::UserRemoved {
        org,
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    };
    who.act(&act, summary, change, world, draw)
}
