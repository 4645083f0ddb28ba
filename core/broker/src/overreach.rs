//! What a member (a node agent or gateway) asked for and may not have. It is identified, so each refusal is an entry.

use crate::draw::Draw;
use crate::plan::Plan;
use crate::refusal::{Cause, Refusal};
use crate::world::{NodeRecord, World};
use audit::EventKind;
use audit::event::{Decision, Ruling, Who};

/// What a member may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overreach {
    /// A method of the other role: a node agent asks for an upstream's secret, a gateway opens a run.
    Role,
    /// An upstream of an org that it does not serve, or none at all: both read the same.
    Upstream,
    /// To count the calls of a task in an org that it does not serve, or of none at all: both read the same.
    Home,
    /// To end a run of another node.
    Run,
    /// To record something under an id that is not of its own log.
    Decision,
}

impl Overreach {
    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Role => "MEMBER_ROLE",
            Self::Upstream => "MEMBER_UPSTREAM",
            Self::Home => "MEMBER_HOME",
            Self::Run => "MEMBER_RUN",
            Self::Decision => "MEMBER_DECISION",
        }
    }
    /// What the member is told: a fixed sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Role => "this method is for members with another role",
            Self::Upstream => "no such upstream or version for this gateway",
            Self::Home => "no such task for this gateway",
            Self::Run => "the run is not one of this node",
            Self::Decision => "the decision's id is not one of this member's own log",
        }
    }
    const fn fix(self) -> &'static str {
        match self {
            Self::Role => {
                "find out why a member asks for it: its program is another release, or not ours any more"
            }
            Self::Upstream | Self::Home => {
                "let a gateway join for the org; if none is meant to, treat this one as stolen"
            }
            Self::Run | Self::Decision => {
                "node agents of ours never do this: treat the node as stolen and remove its member"
            }
        }
    }
}

/// Records it; the answer carries the decision id. `seen` is for operators.
pub fn refuse(
    world: &World,
    member: &NodeRecord,
    what: Overreach,
    seen: &str,
    draw: &mut Draw<'_>,
) -> Plan<Refusal> {
    let mut event = draw.event(EventKind::NodeRefused, world.revision());
    event.org = member.org;
    event.who = Some(Who {
        node: Some(member.id),
        spiffe_id: Some(member.spiffe_id.clone()),
        ..Who::default()
    });
    event.detail.insert("seen".to_owned(), seen.into());
    event.detail.insert("wanted".to_owned(), what.sentence().into());
    event.detail.insert("fix".to_owned(), what.fix().into());
    let mut decision = Decision::new(draw.id(), Ruling::Deny);
    decision.reasons = vec![what.code().to_owned()];
    let cause = Cause::Invalid {
        code: what.code(),
        message: what.sentence().to_owned(),
    };
    let refusal = Refusal::new(decision.id, cause);
    event.decision = Some(decision);
    Plan::new(world.revision(), event, refusal)
}
