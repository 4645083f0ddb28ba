//! A decision point outside that says what users may do: what it is asked before an exchange, and what its answers are
//! worth (OpenID AuthZEN Authorization API 1.0, section 7).
//!
//! It is asked in the shell and before the decision, never in it. Its answers are recorded like any other word on a user
//! and become a part of the World, so the exchange, each call at each gateway, and a replay look at the same thing, with its
//! age. An answer holds for the one agent, service, action and tenant that it was asked about, for minutes, and no longer
//! than what the caller showed for the user. No answer is not a no: it is a refusal with a reason of its own.

#[doc(hidden)]
pub mod fuzzing;
mod wire;

use crate::behalf::{parent_actions, receiver, task_of};
use crate::chain::{LinkInForce, Party};
use crate::draw::Draw;
use crate::exchange::{ACCESS_TOKEN_SECS, Acting, Ask, places, wanted};
use crate::identify::Identified;
use crate::plan::Plan;
use crate::world::{Answer, Change, DecisionPoint, Judged, Question, Task, World};
use audit::EventKind;
use audit::event::Commitment;
use identity::{Audience, Name, OrgId, OrgScope, SpiffeId, UnixTime};
use policy::contract::Mode;
use std::collections::BTreeMap;

/// Most questions of one exchange. A batch that is larger is not sent: the exchange names too little.
pub const QUESTIONS_MAX: usize = 256;
/// Largest answer in bytes: 256 decisions, each with what its author wants to say besides.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How many questions an entry names one by one.
const NAMED_MAX: usize = 20;

/// What a decision point is asked before an exchange.
#[derive(Debug, Clone)]
pub struct Asking {
    point: DecisionPoint,
    org: OrgId,
    issuer: String,
    subject: String,
    task_type: Name,
    purpose: Name,
    /// Each with the SPIFFE ID of its agent.
    questions: BTreeMap<Question, SpiffeId>,
    not_after: UnixTime,
}

/// Why there is no answer. Nothing of what came instead of one is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// More than [`QUESTIONS_MAX`].
    #[error("there are more than 256 questions: have the agent ask for actions by name")]
    TooMany,
    /// Too many others wait for it.
    #[error("too many exchanges wait for it")]
    Busy,
    /// Its sealed token cannot be opened.
    #[error("its sealed token cannot be opened: add the trust source again, with --pdp-token")]
    Secret,
    /// No connection.
    #[error("it cannot be reached")]
    Unreachable,
    /// Too slow.
    #[error("it did not answer in time")]
    Late,
    /// Another status than 200; a redirect too.
    #[error("it answered with status {0}")]
    Status(u16),
    /// No JSON by its own word.
    #[error("its answer is not application/json")]
    NotJson,
    /// More than [`ANSWER_BYTES_MAX`].
    #[error("its answer is larger than 65536 bytes")]
    TooLarge,
    /// No list of decisions.
    #[error("its answer is not a list of decisions, each true or false")]
    Malformed,
    /// Not one decision a question.
    #[error("it gave another number of answers than it was asked questions")]
    Count,
}

/// What the decision point of the user's issuer is to be asked before an exchange is decided; `None` where there is none,
/// or where its word would change nothing: what the org or the issuer allow already, what no contract grants, and what was
/// answered so lately that the answer itself says it still holds.
pub fn asking(
    world: &World,
    acting: Acting<'_>,
    subject: &Identified,
    ask: &Ask,
    now: UnixTime,
) -> Option<Asking> {
    let party = acting.parties.user.as_ref()?;
    let point = party.decision_point()?;
    let own = acting.links.last()?;
    let scope = OrgScope::Only(own.agent.org);
    let task = world.task(scope, task_of(acting.behalf, ask, subject)?)?;
    if !world.is_task_open(scope, task.id, now) {
        return None;
    }
    let to = receiver(world, &own.agent, &ask.audience);
    let parent = parent_actions(acting.behalf);
    let actions = wanted(own, ask, to.is_some(), parent.as_ref(), now);
    let mut questions = BTreeMap::new();
    for link in acting.links {
        for action in &actions {
            for service in places(ask, own, to, action) {
                if !could_be_granted(link, task, action, service, now)
                    || !matters(party, link, task, action, service, now)
                {
                    continue;
                }
                let question = Question {
                    agent: link.agent.name.clone(),
                    service: service.clone(),
                    action: action.clone(),
                    tenant: task.tenant.clone(),
                };
                questions.insert(question, link.agent.spiffe_id.clone());
            }
        }
    }
    (!questions.is_empty()).then(|| Asking {
        point: point.clone(),
        org: own.agent.org,
        issuer: party.actor.issuer.clone(),
        subject: party.actor.id.clone(),
        task_type: task.kind.clone(),
        purpose: own.compiled.contract().terms().purpose.id.clone(),
        questions,
        not_after: ask.not_after,
    })
}

/// Whether the contract of `link` may allow it at all: names that an agent invents are nobody's business.
fn could_be_granted(
    link: &LinkInForce,
    task: &Task,
    action: &Name,
    service: &Audience,
    now: UnixTime,
) -> bool {
    let terms = link.compiled.contract().terms();
    let template = terms.tasks.templates.get(&task.kind);
    let granted = terms
        .grants
        .iter()
        .any(|grant| grant.actions.contains(action) && grant.services.contains(service));
    let excepted = || {
        let open = link.exceptions.iter().filter(|it| it.is_open(now));
        open.map(policy::Exception::terms)
            .any(|it| it.action == *action && it.audience == *service)
    };
    terms.mode == Mode::Shadow
        || excepted()
        || (granted && template.is_none_or(|template| template.actions.contains(action)))
}

/// Whether an answer would change anything.
fn matters(
    party: &Party,
    link: &LinkInForce,
    task: &Task,
    action: &Name,
    service: &Audience,
    now: UnixTime,
) -> bool {
    let (agent, tenant) = (&link.agent.name, task.tenant.as_ref());
    let known = party.answer(agent, service, action, tenant, now);
    !party.may_by_the_org(agent, service, action, tenant, now)
        && !party.said.stops(agent)
        && known.is_none_or(|answer| answer.fresh_until <= now)
}

impl Asking {
    /// Whom to ask.
    pub const fn point(&self) -> &DecisionPoint {
        &self.point
    }
    /// Which org asks.
    pub const fn org(&self) -> OrgId {
        self.org
    }
    /// Whose user it is about.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The body of the request.
    pub fn request(&self) -> Result<Vec<u8>, NoAnswer> {
        if self.questions.len() > QUESTIONS_MAX {
            return Err(NoAnswer::TooMany);
        }
        Ok(wire::request(self))
    }

    /// Reads the body of an answer with status 200 and type `application/json`. `asked_at` is when the request was sent,
    /// `cache_control` what the answer's header of that name says.
    pub fn answers(
        &self,
        body: &[u8],
        cache_control: Option<&str>,
        asked_at: UnixTime,
    ) -> Result<Judged, NoAnswer> {
        if body.len() > ANSWER_BYTES_MAX {
            return Err(NoAnswer::TooLarge);
        }
        let decisions = wire::decisions(body)?;
        if decisions.len() != self.questions.len() {
            return Err(NoAnswer::Count);
        }
        let said = cache_control.and_then(wire::max_age);
        // Without a word on it, an answer is good for the credential that is issued on it, and for no other.
        let until = asked_at
            .plus_secs(said.unwrap_or(ACCESS_TOKEN_SECS).min(ACCESS_TOKEN_SECS))
            .min(self.not_after);
        let fresh_until = said.map_or(asked_at, |_| until);
        let answer = |(question, yes): (&Question, bool)| Answer {
            question: question.clone(),
            yes,
            asked_at,
            fresh_until,
            until,
        };
        Ok(Judged {
            org: self.org,
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            answers: self.questions.keys().zip(decisions).map(answer).collect(),
        })
    }
}

/// What has to be recorded of an answer, or of there being none.
pub fn heard(
    world: &World,
    asking: &Asking,
    answered: Result<Judged, NoAnswer>,
    draw: &mut Draw<'_>,
) -> Plan<()> {
    let mut event = draw.event(EventKind::UserJudged, world.revision());
    event.org = Some(asking.org);
    let user = draw.names().commit(Commitment::USER, &asking.subject);
    let url = &asking.point.url;
    event.change_summary = vec![match &answered {
        Ok(judged) => format!(
            "{url} says of user {user} of {}: {}",
            asking.issuer,
            summary(judged)
        ),
        Err(why) => format!(
            "{url} says nothing of user {user} of {}: {why}; {} questions",
            asking.issuer,
            asking.questions.len()
        ),
    }];
    let plan = Plan::new(world.revision(), event, ());
    match answered {
        Ok(judged) => plan.changing(Change::UserJudged(judged)),
        Err(_) => plan,
    }
}

fn summary(judged: &Judged) -> String {
    let words = [("may", true), ("may not", false)].map(|(word, yes)| {
        let of = judged.answers.iter().filter(|answer| answer.yes == yes);
        let all: Vec<String> = of.map(|answer| named(&answer.question)).collect();
        let shown = all.get(..NAMED_MAX).unwrap_or(&all).join(", ");
        match all.len().saturating_sub(NAMED_MAX) {
            _ if all.is_empty() => None,
            0 => Some(format!("{word}: {shown}")),
            more => Some(format!("{word}: {shown} and {more} more")),
        }
    });
    let until = judged.answers.iter().map(|answer| answer.until).max();
    let until = format!("until {}", until.unwrap_or_default().rfc3339());
    let parts: Vec<String> = words.into_iter().flatten().chain([until]).collect();
    parts.join("; ")
}

fn named(question: &Question) -> String {
    let Question {
        agent,
        service,
        action,
        tenant,
    } = question;
    match tenant {
        Some(tenant) => format!("{action} at {service} for {tenant} through {agent}"),
        None => format!("{action} at {service} through {agent}"),
    }
}

#[cfg(test)]
mod tests;
