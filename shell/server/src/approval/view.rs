//! An approval as people see it: rendered from the bound request and from what the World knows, never from what an agent
//! says. The agent's own words are one member, called that.

use broker::World;
use broker::approve::{Besides, Bound, eligible, takes_votes};
use broker::world::approval::State;
use broker::world::{Approval, Principal, Role};
use identity::{ActorKind, ApprovalId, Name, OrgScope, UnixTime};
use policy::Reason;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// How far back what was asked lately is counted, in seconds.
const LATELY_SECS: u64 = 3600;

/// What a human decides on, and how it stands.
#[derive(Debug, Serialize)]
pub(crate) struct ApprovalView {
    pub(crate) id: ApprovalId,
    pub(crate) state: State,
    /// What is approved: a vote names it.
    pub(crate) digest: String,
    /// What the action means to the business, in the words of the contract.
    pub(crate) meaning: Option<String>,
    pub(crate) action: String,
    pub(crate) service: String,
    pub(crate) audience: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) resource_type: String,
    pub(crate) resource_id: String,
    pub(crate) tenant: Option<String>,
    pub(crate) arguments: BTreeMap<Name, Value>,
    pub(crate) version: Option<String>,
    pub(crate) content: String,
    /// The service that enforces it itself and asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asked_by: Option<String>,
    pub(crate) agent: String,
    pub(crate) agent_owner: String,
    pub(crate) agent_purpose: String,
    pub(crate) chain: Vec<Party>,
    pub(crate) task: String,
    pub(crate) task_type: Option<String>,
    pub(crate) opened_by: Option<String>,
    pub(crate) labels: Seen,
    pub(crate) reasons: Vec<Because>,
    pub(crate) needs: Vec<NeedView>,
    pub(crate) votes: Vec<VoteView>,
    /// What is sent besides what the service's definition names. The agent's, and looked at by no contract.
    pub(crate) besides: Besides,
    /// Whether somebody's word is wanted, also where somebody who said yes may not any more.
    pub(crate) takes_votes: bool,
    /// What the agent says. Anybody may have put it into its mouth.
    pub(crate) said_by_agent: Option<String>,
    pub(crate) refusal: String,
    pub(crate) asked_at: String,
    /// Until when it can be decided, or is good.
    pub(crate) until: String,
    #[serde(skip)]
    pub(crate) until_at: UnixTime,
    pub(crate) ended_at: Option<String>,
    pub(crate) lately: Lately,
    /// Where a human decides.
    pub(crate) page: String,
}

/// One party of the chain.
#[derive(Debug, Serialize)]
pub(crate) struct Party {
    pub(crate) kind: ActorKind,
    pub(crate) id: String,
    pub(crate) issuer: String,
}

/// What the task has seen before.
#[derive(Debug, Serialize)]
pub(crate) struct Seen {
    pub(crate) sensitivity: String,
    pub(crate) domains: Vec<String>,
    pub(crate) untrusted: Vec<String>,
    pub(crate) tenants: Vec<String>,
}

/// Why it needs an approval.
#[derive(Debug, Serialize)]
pub(crate) struct Because {
    pub(crate) code: String,
    pub(crate) sentence: Option<&'static str>,
}

/// Whose approval.
#[derive(Debug, Serialize)]
pub(crate) struct NeedView {
    pub(crate) approvers: String,
    pub(crate) quorum: u8,
    /// Yes by people who still may.
    pub(crate) given: usize,
}

/// What somebody said.
#[derive(Debug, Serialize)]
pub(crate) struct VoteView {
    pub(crate) by: String,
    pub(crate) yes: bool,
    pub(crate) at: String,
}

/// How much was asked for lately: who is asked too often says yes by mistake.
#[derive(Debug, Serialize)]
pub(crate) struct Lately {
    pub(crate) by_agent: usize,
    pub(crate) by_task: usize,
    pub(crate) waiting: usize,
}

impl ApprovalView {
    /// `None` where the request cannot be read: then nobody decides on it.
    pub(crate) fn of(world: &World, approval: &Approval, now: UnixTime) -> Option<Self> {
        let bound = Bound::read(&approval.request)?;
        let scope = OrgScope::Only(approval.org);
        let agent = world.agent(scope, approval.agent);
        let task = world.task(scope, approval.task);
        let needs = approval.needs.iter().enumerate().map(|(place, need)| NeedView {
            approvers: need.approvers.to_string(),
            quorum: need.quorum,
            given: approval
                .votes
                .iter()
                .filter(|vote| vote.yes && vote.is_for(place))
                .filter(|vote| {
                    let principal = world.principal(&vote.by);
                    principal.is_some_and(|it| eligible(world, approval, need, it).is_ok())
                })
                .count(),
        });
        let ended = approval.ended.map(|(_, at)| at);
        Some(Self {
            id: approval.id,
            state: approval.state(now),
            digest: approval.digest.to_string(),
            meaning: approval.meaning.clone(),
            action: bound.action.to_string(),
            service: bound.upstream_name.to_string(),
            audience: bound.audience.to_string(),
            method: bound.method,
            path: bound.path,
            resource_type: bound.resource_type.to_string(),
            resource_id: bound.resource_id,
            tenant: bound.tenant.map(|tenant| tenant.to_string()),
            arguments: bound.arguments,
            version: bound.version,
            content: bound.content.to_string(),
            asked_by: bound.asked_by.map(|service| service.to_string()),
            agent: agent.map_or_else(|| approval.agent.to_string(), |agent| agent.name.to_string()),
            agent_owner: agent.map_or_else(String::new, |agent| agent.owner.clone()),
            agent_purpose: agent.map_or_else(String::new, |agent| agent.purpose.clone()),
            chain: bound
                .chain
                .actors()
                .iter()
                .map(|actor| Party {
                    kind: actor.kind,
                    id: actor.id.clone(),
                    issuer: actor.issuer.clone(),
                })
                .collect(),
            task: approval.task.to_string(),
            task_type: task.map(|task| task.kind.to_string()),
            opened_by: task.map(|task| task.opener.name.clone()),
            labels: Seen {
                sensitivity: bound.labels.sensitivity.to_string(),
                domains: texts(&bound.labels.domains),
                untrusted: texts(&bound.labels.taint),
                tenants: texts(&bound.labels.tenants),
            },
            reasons: approval.reasons.iter().map(|code| because(code)).collect(),
            needs: needs.collect(),
            votes: approval
                .votes
                .iter()
                .map(|vote| VoteView {
                    by: vote.by.to_string(),
                    yes: vote.yes,
                    at: vote.at.rfc3339(),
                })
                .collect(),
            besides: approval.besides.clone(),
            takes_votes: takes_votes(world, approval, now),
            said_by_agent: approval.said.clone(),
            refusal: approval.refusal.to_string(),
            asked_at: approval.asked_at.rfc3339(),
            until: approval.good_until().rfc3339(),
            until_at: approval.good_until(),
            ended_at: ended.map(UnixTime::rfc3339),
            lately: Lately::of(world, approval, now),
            page: approval.page(),
        })
    }
}

impl Lately {
    fn of(world: &World, approval: &Approval, now: UnixTime) -> Self {
        let mut lately = Self {
            by_agent: 0,
            by_task: 0,
            waiting: 0,
        };
        for known in world.approvals(OrgScope::Only(approval.org)) {
            let recent = now.millis_since(known.asked_at) <= LATELY_SECS * 1000;
            let same = known.agent == approval.agent;
            lately.by_agent += usize::from(recent && same);
            lately.by_task += usize::from(known.task == approval.task);
            lately.waiting += usize::from(same && known.state(now) == State::Pending);
        }
        lately
    }
}

/// Whether `principal` may say something about it, by the first group for which they may not.
pub(crate) fn may_vote(world: &World, approval: &Approval, principal: &Principal) -> Result<(), String> {
    let mut why = None;
    for need in &approval.needs {
        match eligible(world, approval, need, principal) {
            Ok(()) => return Ok(()),
            Err(error) => why = why.or(Some(error)),
        }
    }
    Err(why.map_or_else(|| "nobody is asked for this".to_owned(), |why| why.to_string()))
}

/// Whether `principal` may take it back: an operator, and whoever said yes.
pub(crate) fn may_withdraw(approval: &Approval, principal: &Principal, now: UnixTime) -> bool {
    let said_yes = approval.has_yes_of(&principal.name);
    matches!(approval.state(now), State::Pending | State::Approved)
        && principal.org.is_none_or(|org| org == approval.org)
        && (principal.may(Role::Operator) || said_yes && principal.may(Role::Approver))
}

fn because(code: &str) -> Because {
    let known = Reason::ALL.iter().find(|reason| reason.code() == code);
    Because {
        code: code.to_owned(),
        sentence: known.map(|reason| reason.caller_sentence()),
    }
}

fn texts<'n>(names: impl IntoIterator<Item = &'n Name>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}
