//! Vote: a human says yes or no to what they were shown.

use super::ask::about;
use super::recant::recant;
use super::{eligible, good};
use crate::admin::{Administrator, Presence};
use crate::draw::Draw;
use crate::plan::{OnceKind, Outcome, Plan, Precondition};
use crate::refusal::Cause;
use crate::world::approval::{State, Vote};
use crate::world::{Approval, Change, Role, World};
use audit::EventKind;
use audit::event::{Decision, Ruling};
use credential::sha256;
use identity::{ApprovalId, Digest, OrgScope, UnixTime};
use policy::Reason;

/// A vote was given.
#[derive(Debug, Clone, Copy)]
pub struct Voted {
    approval: ApprovalId,
    yes: bool,
}

impl Voted {
    /// A no.
    pub(super) const fn against(approval: ApprovalId) -> Self {
        Self { approval, yes: false }
    }
    /// On what.
    pub const fn approval(&self) -> ApprovalId {
        self.approval
    }
    /// What was said.
    pub const fn is_yes(&self) -> bool {
        self.yes
    }
}

/// Says yes or no. `shown` is the digest of the request that the human was shown: a vote is about nothing else. It takes
/// a session in which the human proved lately that it is they ([`crate::admin::Presence::is_verified`]); a process that
/// acts with their uid cannot vote. Anyone who may say yes may say no, also after others have approved it and until it is
/// used; whoever said yes and says no now takes it back.
pub fn vote(
    world: &World,
    who: &Administrator,
    approval: &Approval,
    shown: &Digest,
    yes: bool,
    draw: &mut Draw<'_>,
) -> Outcome<Voted> {
    let now = draw.now();
    let role = Role::Approver;
    if let Err(refused) = who.check(role, Some(approval.org), world, draw) {
        return refused;
    }
    let refuse = |reason: Reason, message: String, draw: &mut Draw<'_>| {
        let cause = Cause::Invalid {
            code: reason.code(),
            message,
        };
        who.refuse(cause, role, world, draw)
    };
    let presence = who.presence();
    let Presence::Session { verified } = presence else {
        return refuse(Reason::ApproverIneligible, NOT_THERE.to_owned(), draw);
    };
    if !presence.is_verified(now) {
        return refuse(Reason::ApproverIneligible, NOT_THERE.to_owned(), draw);
    }
    if *shown != approval.digest {
        let message = "what you were shown is not what would be approved: load the page again".to_owned();
        return refuse(Reason::ApprovalOutOfScope, message, draw);
    }
    if !world.is_task_open(OrgScope::Only(approval.org), approval.task, now) {
        let message = "the task is over: nothing that was asked for in it can be done any more".to_owned();
        return refuse(Reason::ApprovalExpired, message, draw);
    }
    match approval.state(now) {
        _ if takes_votes(world, approval, now) => {}
        // A no counts until it is used.
        State::Approved if !yes => {}
        State::Expired => {
            let message = "the time to decide is over: the agent has to ask again".to_owned();
            return refuse(Reason::ApprovalExpired, message, draw);
        }
        other => {
            let message = format!("it was decided already: it is {}", other.word());
            return refuse(Reason::ApprovalUsed, message, draw);
        }
    }
    let name = &who.principal().name;
    if !yes && approval.has_yes_of(name) {
        return recant(world, who, approval, draw);
    }
    if approval.votes.iter().any(|vote| vote.by == *name) {
        let message = "you have said what you think about it: it takes somebody else besides".to_owned();
        return refuse(Reason::ApproverIneligible, message, draw);
    }
    let judged: Vec<_> = approval
        .needs
        .iter()
        .map(|need| eligible(world, approval, need, who.principal()))
        .collect();
    let counts_for: Vec<u8> = (0..=u8::MAX)
        .zip(&judged)
        .filter_map(|(place, judged)| judged.is_ok().then_some(place))
        .collect();
    if counts_for.is_empty() {
        let why = judged.into_iter().find_map(Result::err);
        let message = why.map_or_else(
            || "nobody is asked for this".to_owned(),
            |why| format!("you may not decide on this: {why}"),
        );
        return refuse(Reason::ApproverIneligible, message, draw);
    }
    let mut event = about(world, EventKind::ApprovalDecided, approval, draw);
    event.human = Some(who.human(role, draw));
    let ruling = if yes { Ruling::Allow } else { Ruling::Deny };
    let mut decision = Decision::new(draw.id(), ruling);
    if !yes {
        decision.reasons = vec![Reason::ApprovalDenied.code().to_owned()];
    }
    event.decision = Some(decision);
    let word = if yes { "approved" } else { "refused" };
    event.change_summary = vec![format!("{} {word}", approval.id)];
    let vote = Vote {
        by: name.clone(),
        yes,
        at: now,
        verified,
        counts_for,
    };
    let proof = Voted {
        approval: approval.id,
        yes,
    };
    let mut of = approval.id.to_string().into_bytes();
    of.push(b' ');
    of.extend_from_slice(name.as_str().as_bytes());
    Outcome::Granted(
        Plan::new(world.revision(), event, proof)
            .expecting(Precondition::Unused {
                kind: OnceKind::Vote,
                key: sha256(&of),
                until: approval.expires_at.plus_secs(MEMORY_SECS),
            })
            .changing(Change::ApprovalVoted {
                approval: approval.id,
                org: approval.org,
                vote,
            }),
    )
}

/// Whether somebody's word is wanted: it waits, or somebody whose yes counted may not decide any more and another's has to
/// take its place.
pub fn takes_votes(world: &World, approval: &Approval, now: UnixTime) -> bool {
    match approval.state(now) {
        State::Pending => true,
        State::Approved => good(world, approval, &approval.digest, now) == Err(Reason::ApproverIneligible),
        State::Denied | State::Expired | State::Used | State::Withdrawn => false,
    }
}

/// What whoever votes without being there learns.
const NOT_THERE: &str = "an approval takes a session in a browser in which you proved within the last minutes that it is \
                         you: open the page of the approval, and sign in again";
/// How long after its end a vote is remembered as given, in seconds.
const MEMORY_SECS: u64 = 600;
