//! The context attributes that compiled policies read: how each is named, typed and filled.
//!
//! A contract's context holds only what its own policies read, with time as whole seconds. Its values are Cedar's own,
//! which nobody else may rely on to stay as they are: expressions that are evaluated to them first, as the public
//! interface wants it, cost twice as much as evaluating the policies.

use crate::contract::{ArgKind, DAY_MINUTES, Parameter, Proven, Sensitivity, Terms, WEEK_MINUTES};
use crate::counter::CounterId;
use crate::fact::Fact;
use crate::facts::{ArgValue, Caller, Facts, Stage};
use crate::flow::{DataLabels, Readers};
use cedar_policy_core::ast::Value;
use identity::{Audience, Name, UnixTime};
use serde_json::json;
use std::collections::BTreeSet;

/// One attribute of the context.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Attribute {
    /// Whether this is a call (not an exchange).
    Call,
    /// Whether a child of the run makes it.
    Child,
    /// Whether a child of the run asks for a credential.
    ChildExchange,
    /// The assurance level.
    Assurance,
    /// What is proven, thing by thing.
    Proven,
    /// Seconds since the evidence was appraised.
    EvidenceAge,
    /// The task's type.
    TaskType,
    /// Who opened the task.
    TaskOpener,
    /// Seconds since it was opened.
    TaskAge,
    /// When it ends, in seconds since the epoch.
    TaskExpires,
    /// The purpose it was opened for; may be absent.
    TaskPurpose,
    /// The tenant it was opened for; may be absent.
    TaskTenant,
    /// Whose data the call touches; may be absent.
    ResourceTenant,
    /// Whether the credential, if there has to be one, covers the action.
    InScope,
    /// Whether the agent is the current actor of the chain.
    LastLink,
    /// Number of parties in the chain.
    Depth,
    /// Seconds since the epoch.
    Now,
    /// Minutes since Monday 00:00 UTC.
    MinuteOfWeek,
    /// Seconds since the contract was reviewed.
    ReviewAge,
    /// Whether a credential is asked for.
    Exchange,
    /// The agent to whom this one passed the work on; may be absent.
    Next,
    /// Whether a party stands in the chain twice.
    Loops,
    /// Whether a user stands at the beginning of the chain.
    UserPresent,
    /// Whether that user may do this; true where there is none.
    UserEntitled,
    /// The user's groups.
    UserGroups,
    /// Escalations approved for exactly this request.
    Approvals,
    /// Whether what was read so far is known.
    LabelsKnown,
    /// The most sensitive of what was read, from 0.
    Sensitivity,
    /// Whether untrusted content was read.
    Tainted,
    /// Who may see what was read; absent when everyone may.
    Readers,
    /// How many tenants' data the task has with this call.
    Tenants,
    /// Whether the call carries something out.
    Sink,
    /// The most sensitive data that may go there, from 0.
    Clearance,
    /// Who will see it there; absent when anyone could.
    SinkReaders,
    /// Whether it leaves the org.
    Egress,
    /// Whether it does something that somebody would want to have been asked about.
    Consequential,
    /// Whether each destination is trusted.
    Trusted,
    /// How sensitive the data is by its service's definition; may be absent.
    DataSensitivity,
    /// Its domains; may be absent.
    DataDomains,
    /// The fields that are returned.
    DataFields,
    /// How often a step was taken.
    Done(Name),
    /// Calls of the task so far; -1 when unknown.
    Steps,
    /// Whether the declared graph has this step here.
    OnGraph,
    /// A counter; -1 when unknown.
    Counter(CounterId),
    /// An argument in the shape that a condition wants; absent when it does not have that shape.
    Argument(Parameter, ArgKind),
}

impl Attribute {
    /// Every attribute that needs no name of a counter, step or argument: what rules in Cedar can read.
    pub(crate) const FIXED: &'static [Self] = &[
        Self::Call,
        Self::Exchange,
        Self::Child,
        Self::Assurance,
        Self::Proven,
        Self::EvidenceAge,
        Self::TaskType,
        Self::TaskOpener,
        Self::TaskAge,
        Self::TaskPurpose,
        Self::TaskTenant,
        Self::ResourceTenant,
        Self::LastLink,
        Self::Depth,
        Self::Next,
        Self::UserPresent,
        Self::UserGroups,
        Self::Approvals,
        Self::Now,
        Self::MinuteOfWeek,
        Self::Sensitivity,
        Self::Tainted,
        Self::Readers,
        Self::Tenants,
        Self::Sink,
        Self::Clearance,
        Self::SinkReaders,
        Self::Egress,
        Self::Consequential,
        Self::Trusted,
        Self::DataSensitivity,
        Self::DataDomains,
        Self::DataFields,
        Self::Steps,
    ];

    /// Its name in the context.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Call => "call",
            Self::Child => "child",
            Self::ChildExchange => "child_exchange",
            Self::Assurance => "assurance",
            Self::Proven => "proven",
            Self::EvidenceAge => "evidence_age",
            Self::TaskType => "task_type",
            Self::TaskOpener => "task_opener",
            Self::TaskAge => "task_age",
            Self::TaskExpires => "task_expires",
            Self::TaskPurpose => "task_purpose",
            Self::TaskTenant => "task_tenant",
            Self::ResourceTenant => "resource_tenant",
            Self::InScope => "in_scope",
            Self::LastLink => "last_link",
            Self::Depth => "depth",
            Self::Now => "now",
            Self::MinuteOfWeek => "minute_of_week",
            Self::ReviewAge => "review_age",
            Self::Exchange => "exchange",
            Self::Next => "next",
            Self::Loops => "loops",
            Self::UserPresent => "user",
            Self::UserEntitled => "user_entitled",
            Self::UserGroups => "user_groups",
            Self::Approvals => "approvals",
            Self::LabelsKnown => "labels_known",
            Self::Sensitivity => "sensitivity",
            Self::Tainted => "tainted",
            Self::Readers => "readers",
            Self::Tenants => "tenants",
            Self::Sink => "sink",
            Self::Clearance => "clearance",
            Self::SinkReaders => "sink_readers",
            Self::Egress => "egress",
            Self::Consequential => "consequential",
            Self::Trusted => "trusted",
            Self::DataSensitivity => "data_sensitivity",
            Self::DataDomains => "data_domains",
            Self::DataFields => "data_fields",
            Self::Steps => "steps",
            Self::OnGraph => "on_graph",
            Self::Done(step) => return format!("done:{step}"),
            Self::Counter(counter) => return format!("counter:{counter}"),
            Self::Argument(name, kind) => return format!("argument:{}:{name}", shape(*kind)),
        }
        .to_owned()
    }

    /// Whether only calls are judged by it: every limit that reads it asks first whether this is one. At an exchange it
    /// is left out, since building a context costs about as much as evaluating the policies.
    pub(crate) const fn is_of_call(&self) -> bool {
        match self {
            Self::LabelsKnown
            | Self::Sensitivity
            | Self::Tainted
            | Self::Readers
            | Self::Tenants
            | Self::Sink
            | Self::Clearance
            | Self::SinkReaders
            | Self::Egress
            | Self::Consequential
            | Self::Trusted
            | Self::Done(_)
            | Self::Steps
            | Self::OnGraph => true,
            Self::Counter(counter) => !counter.is_of_exchange(),
            _ => false,
        }
    }

    /// The fact it is made of, which says where it comes from.
    pub(crate) const fn fact(&self) -> Fact {
        match self {
            Self::Call | Self::Exchange => Fact::Stage,
            Self::Child | Self::ChildExchange => Fact::Caller,
            Self::Assurance | Self::Proven => Fact::Assurance,
            Self::EvidenceAge => Fact::EvidenceAge,
            Self::TaskType => Fact::TaskType,
            Self::TaskOpener => Fact::TaskOpener,
            Self::TaskAge => Fact::TaskOpened,
            Self::TaskExpires => Fact::TaskExpires,
            Self::TaskPurpose => Fact::TaskPurpose,
            Self::TaskTenant => Fact::TaskTenant,
            Self::ResourceTenant => Fact::ResourceTenant,
            Self::InScope => Fact::TaskScope,
            Self::LastLink | Self::Depth => Fact::Link,
            Self::Now | Self::MinuteOfWeek => Fact::Now,
            Self::ReviewAge => Fact::Reviewed,
            Self::Next => Fact::Next,
            Self::Loops => Fact::Loop,
            Self::UserPresent => Fact::User,
            Self::UserEntitled => Fact::UserEntitled,
            Self::UserGroups => Fact::UserGroups,
            Self::Approvals => Fact::Approvals,
            Self::LabelsKnown | Self::Sensitivity | Self::Tainted | Self::Readers | Self::Tenants => {
                Fact::Labels
            }
            Self::Sink | Self::Clearance | Self::SinkReaders | Self::Egress | Self::Consequential => {
                Fact::ServiceSink
            }
            Self::Trusted => Fact::Trusted,
            Self::DataSensitivity | Self::DataDomains | Self::DataFields => Fact::ServiceData,
            Self::Done(_) | Self::Steps | Self::OnGraph => Fact::Workflow,
            Self::Counter(_) => Fact::Counter,
            Self::Argument(..) => Fact::Argument,
        }
    }

    /// Its type in the Cedar schema (JSON form).
    pub(crate) fn schema(&self) -> serde_json::Value {
        let required = !matches!(
            self,
            Self::TaskPurpose
                | Self::TaskTenant
                | Self::ResourceTenant
                | Self::Next
                | Self::Readers
                | Self::SinkReaders
                | Self::DataSensitivity
                | Self::DataDomains
                | Self::Argument(..)
        );
        let mut schema = match self {
            Self::Call
            | Self::Exchange
            | Self::Child
            | Self::ChildExchange
            | Self::InScope
            | Self::LastLink
            | Self::Loops
            | Self::UserPresent
            | Self::UserEntitled
            | Self::LabelsKnown
            | Self::Tainted
            | Self::Sink
            | Self::Egress
            | Self::Consequential
            | Self::Trusted
            | Self::OnGraph => json!({"type": "Boolean"}),
            Self::TaskType
            | Self::TaskOpener
            | Self::TaskPurpose
            | Self::TaskTenant
            | Self::ResourceTenant
            | Self::Next => json!({"type": "String"}),
            Self::Assurance
            | Self::EvidenceAge
            | Self::TaskAge
            | Self::TaskExpires
            | Self::Depth
            | Self::Now
            | Self::MinuteOfWeek
            | Self::ReviewAge
            | Self::Sensitivity
            | Self::Tenants
            | Self::Clearance
            | Self::DataSensitivity
            | Self::Done(_)
            | Self::Steps
            | Self::Counter(_)
            | Self::Argument(_, ArgKind::Number) => json!({"type": "Long"}),
            Self::UserGroups
            | Self::Proven
            | Self::Approvals
            | Self::Readers
            | Self::SinkReaders
            | Self::DataDomains
            | Self::DataFields
            | Self::Argument(_, ArgKind::Texts) => json!({"type": "Set", "element": {"type": "String"}}),
            Self::Argument(_, ArgKind::Integers) => json!({"type": "Set", "element": {"type": "Long"}}),
            Self::Argument(_, ArgKind::Bools) => json!({"type": "Set", "element": {"type": "Boolean"}}),
        };
        if let Some(object) = schema.as_object_mut() {
            object.insert("required".to_owned(), required.into());
        }
        schema
    }

    /// Its value; `None` leaves it out.
    pub(crate) fn value(&self, facts: &Facts<'_>, terms: &Terms, now: UnixTime) -> Option<Value> {
        let text = |text: &str| Value::from(text);
        let flow = &facts.flow;
        Some(match self {
            Self::Call => Value::from(facts.stage.is_call()),
            Self::Child => Value::from(facts.caller == Caller::Child),
            Self::ChildExchange => {
                Value::from(matches!(facts.stage, Stage::Exchange) && facts.caller == Caller::Child)
            }
            Self::Assurance => int(u8::from(facts.assurance.level()).into()),
            Self::Proven => {
                let proven = Proven::ALL.iter().filter(|it| it.by(facts.assurance));
                strings(proven.map(|it| it.as_str()))
            }
            Self::EvidenceAge => long(facts.evidence_age_secs),
            Self::TaskType => text(facts.task.kind.as_str()),
            Self::TaskOpener => text(facts.task.opener.as_str()),
            Self::TaskAge => long(now.secs().saturating_sub(facts.task.opened_at.secs())),
            Self::TaskExpires => long(facts.task.expires_at.secs()),
            Self::TaskPurpose => text(facts.task.purpose?.as_str()),
            Self::TaskTenant => text(facts.task.tenant?.as_str()),
            Self::ResourceTenant => text(facts.resource.tenant?.as_str()),
            Self::InScope => Value::from(in_scope(facts)),
            Self::LastLink => Value::from(facts.next.is_none() && facts.link.position == facts.link.depth),
            Self::Depth => int(facts.link.depth.into()),
            Self::Now => long(now.secs()),
            Self::MinuteOfWeek => int(minute_of_week(now).into()),
            Self::ReviewAge => long(now.secs().saturating_sub(facts.reviewed_at.secs())),
            Self::Exchange => Value::from(matches!(facts.stage, Stage::Exchange)),
            Self::Next => text(facts.next?.as_str()),
            Self::Loops => Value::from(facts.loops),
            Self::UserPresent => Value::from(facts.user.is_some()),
            Self::UserEntitled => Value::from(facts.user.is_none_or(|user| user.entitled)),
            Self::UserGroups => strings(facts.user.iter().flat_map(|user| user.groups).map(Name::as_str)),
            Self::Approvals => strings(facts.approvals.iter().map(Name::as_str)),
            Self::LabelsKnown => Value::from(flow.labels.is_some()),
            Self::Sensitivity => rank(
                flow.labels
                    .map_or(Sensitivity::Secret, |labels| labels.sensitivity),
            ),
            Self::Tainted => Value::from(flow.labels.is_none_or(|labels| !labels.taint.is_empty())),
            Self::Readers => match flow.labels.map(|labels| &labels.readers) {
                Some(Readers::Only(readers)) => strings(readers.iter().map(String::as_str)),
                None | Some(Readers::Everyone) => return None,
            },
            Self::Tenants => int(tenants(facts)),
            Self::Sink => Value::from(is_sink(facts, terms)),
            Self::Clearance => rank(flow.sink.map_or(Sensitivity::Public, |sink| sink.clearance)),
            Self::SinkReaders => match flow.sink.map(|sink| &sink.readers) {
                Some(Readers::Only(readers)) => strings(readers.iter().map(String::as_str)),
                None | Some(Readers::Everyone) => return None,
            },
            Self::Egress => Value::from(is_egress(facts, terms)),
            Self::Consequential => Value::from(flow.sink.is_some_and(|sink| sink.consequential)),
            Self::Trusted => Value::from(flow.trusted),
            Self::DataSensitivity => rank(flow.data?.sensitivity),
            Self::DataDomains => strings(flow.data?.domains.iter().map(Name::as_str)),
            Self::DataFields => strings(flow.data.iter().flat_map(|data| &data.fields).map(Name::as_str)),
            Self::Done(step) => int(facts.workflow.done(step)),
            Self::Steps => int(facts.workflow.steps.unwrap_or(-1)),
            Self::OnGraph => Value::from(on_graph(facts, terms)),
            Self::Counter(counter) => int(facts.counter(counter).unwrap_or(-1)),
            Self::Argument(name, kind) => argument(facts.argument(name.as_str())?, *kind)?,
        })
    }
}

/// Whether the presented credential covers the action. Only an exchange may come without one.
pub(crate) fn in_scope(facts: &Facts<'_>) -> bool {
    facts
        .task_scope
        .map_or(!facts.stage.is_call(), |scope| scope.contains(facts.action))
}

/// Whether the call carries something out: its service or the contract says so.
pub(crate) fn is_sink(facts: &Facts<'_>, terms: &Terms) -> bool {
    facts.flow.sink.is_some() || is_egress(facts, terms)
}

/// Whether the call leaves the org: its service or the contract says so.
pub(crate) fn is_egress(facts: &Facts<'_>, terms: &Terms) -> bool {
    let listed = terms
        .flow
        .as_ref()
        .is_some_and(|flow| flow.egress.contains(facts.action));
    listed || facts.flow.sink.is_some_and(|sink| sink.egress)
}

/// How many tenants' data the task has with this call.
pub(crate) fn tenants(facts: &Facts<'_>) -> i64 {
    let seen = facts.flow.labels.map(|labels| &labels.tenants);
    let new = facts
        .resource
        .tenant
        .is_some_and(|tenant| seen.is_none_or(|seen| !seen.contains(tenant)));
    let count = seen.map_or(0, BTreeSet::len) + usize::from(new);
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Whether the declared graph has this step here; true where none is declared. A call that is several steps (data of
/// several domains) needs each of them.
pub(crate) fn on_graph(facts: &Facts<'_>, terms: &Terms) -> bool {
    let Some(graph) = &terms.workflow else { return true };
    let steps = graph_steps(facts, terms);
    let workflow = &facts.workflow;
    !steps.is_empty()
        && steps
            .iter()
            .all(|step| graph.allows(step, workflow.last, |step| workflow.done(step)))
}

/// The steps of the declared graph that this call is.
pub(crate) fn graph_steps(facts: &Facts<'_>, terms: &Terms) -> Vec<Name> {
    let Some(graph) = &terms.workflow else {
        return Vec::new();
    };
    let domains = domains_of(terms, facts.action, facts.audience, facts.flow.data);
    graph
        .steps_of(facts.action, &domains)
        .into_iter()
        .cloned()
        .collect()
}

/// The domains of the data that a call touches: what its service declares, else what the grants say.
pub fn domains_of(
    terms: &Terms,
    action: &Name,
    audience: &Audience,
    data: Option<&DataLabels>,
) -> BTreeSet<Name> {
    let granted = terms
        .grants
        .iter()
        .filter(|grant| grant.actions.contains(action) && grant.services.contains(audience))
        .filter_map(|grant| grant.data.as_ref())
        .flat_map(|data| &data.domains);
    match data {
        Some(data) if !data.domains.is_empty() => data.domains.clone(),
        _ => granted.cloned().collect(),
    }
}

fn strings<'a>(texts: impl Iterator<Item = &'a str>) -> Value {
    Value::set(texts.map(Value::from), None)
}

/// A sensitivity as a number, from 0.
pub(crate) fn rank_of(sensitivity: Sensitivity) -> i64 {
    let place = Sensitivity::ALL.iter().position(|known| *known == sensitivity);
    place
        .and_then(|place| i64::try_from(place).ok())
        .unwrap_or(i64::MAX)
}

fn rank(sensitivity: Sensitivity) -> Value {
    int(rank_of(sensitivity))
}

/// Minutes since Monday 00:00 UTC. The epoch was a Thursday.
pub(crate) fn minute_of_week(now: UnixTime) -> u16 {
    const THURSDAY: u64 = 3 * DAY_MINUTES as u64;
    let minutes = (now.secs() / 60 + THURSDAY) % u64::from(WEEK_MINUTES);
    u16::try_from(minutes).unwrap_or_default()
}

const fn shape(kind: ArgKind) -> &'static str {
    match kind {
        ArgKind::Texts => "texts",
        ArgKind::Integers => "integers",
        ArgKind::Bools => "booleans",
        ArgKind::Number => "number",
    }
}

fn int(number: i64) -> Value {
    Value::from(number)
}

fn long(number: u64) -> Value {
    int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The argument in the wanted shape. A set of one stands for a single value; an empty list is no value, since "all of
/// nothing" would satisfy every condition.
fn argument(value: ArgValue<'_>, kind: ArgKind) -> Option<Value> {
    if kind == ArgKind::Number {
        let ArgValue::Int(number) = value else { return None };
        return Some(int(number));
    }
    let element = |value: &ArgValue<'_>| match (value, kind) {
        (ArgValue::Str(text), ArgKind::Texts) => Some(Value::from(*text)),
        (ArgValue::Int(number), ArgKind::Integers) => Some(int(*number)),
        (ArgValue::Bool(value), ArgKind::Bools) => Some(Value::from(*value)),
        _ => None,
    };
    let elements: Vec<Value> = match value {
        ArgValue::List(items) => items.iter().map(element).collect::<Option<_>>()?,
        ArgValue::Int(_) | ArgValue::Str(_) | ArgValue::Bool(_) => vec![element(&value)?],
    };
    (!elements.is_empty()).then(|| Value::set(elements, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_week_begins_on_monday_utc() {
        assert_eq!(minute_of_week(UnixTime::from_secs(0)), 3 * DAY_MINUTES);
        // 2026-11-23 is a Monday.
        let monday: crate::contract::Date = "2026-11-23".parse().unwrap();
        assert_eq!(minute_of_week(monday.begins()), 0);
        assert_eq!(minute_of_week(monday.begins().minus_secs(1)), WEEK_MINUTES - 1);
    }

    #[test]
    fn all_of_nothing_is_no_value() {
        assert!(argument(ArgValue::List(&[]), ArgKind::Texts).is_none());
        assert!(
            argument(
                ArgValue::List(&[ArgValue::Str("a"), ArgValue::Int(1)]),
                ArgKind::Texts
            )
            .is_none()
        );
        assert!(argument(ArgValue::Str("1"), ArgKind::Number).is_none());
        assert!(argument(ArgValue::List(&[ArgValue::Int(1)]), ArgKind::Number).is_none());
    }
}
