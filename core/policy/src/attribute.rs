//! The context attributes that compiled policies read: how each is named, typed and filled.
//!
//! A contract's context holds only what its own policies read, built from pairs (never from JSON), with time as whole
//! seconds: building it costs about as much as evaluating the policies.

use crate::contract::{ArgKind, DAY_MINUTES, Parameter, WEEK_MINUTES};
use crate::fact::Fact;
use crate::facts::{ArgValue, Caller, Facts, Stage, WindowId};
use cedar_policy::RestrictedExpression as Value;
use identity::UnixTime;
use serde_json::json;

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
    /// Calls already made in a window; -1 when unknown.
    Counter(WindowId),
    /// An argument in the shape that a condition wants; absent when it does not have that shape.
    Argument(Parameter, ArgKind),
}

impl Attribute {
    /// Its name in the context.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Call => "call",
            Self::Child => "child",
            Self::ChildExchange => "child_exchange",
            Self::Assurance => "assurance",
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
            Self::Counter(window) => return format!("counter:{window}"),
            Self::Argument(name, kind) => return format!("argument:{}:{name}", shape(*kind)),
        }
        .to_owned()
    }

    /// The fact it is made of, which says where it comes from.
    pub(crate) const fn fact(&self) -> Fact {
        match self {
            Self::Call => Fact::Stage,
            Self::Child | Self::ChildExchange => Fact::Caller,
            Self::Assurance => Fact::Assurance,
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
            Self::Counter(_) => Fact::Counter,
            Self::Argument(..) => Fact::Argument,
        }
    }

    /// Its type in the Cedar schema (JSON form).
    pub(crate) fn schema(&self) -> serde_json::Value {
        let required = !matches!(
            self,
            Self::TaskPurpose | Self::TaskTenant | Self::ResourceTenant | Self::Argument(..)
        );
        let mut schema = match self {
            Self::Call | Self::Child | Self::ChildExchange | Self::InScope | Self::LastLink => {
                json!({"type": "Boolean"})
            }
            Self::TaskType
            | Self::TaskOpener
            | Self::TaskPurpose
            | Self::TaskTenant
            | Self::ResourceTenant => json!({"type": "String"}),
            Self::Assurance
            | Self::EvidenceAge
            | Self::TaskAge
            | Self::TaskExpires
            | Self::Depth
            | Self::Now
            | Self::MinuteOfWeek
            | Self::ReviewAge
            | Self::Counter(_)
            | Self::Argument(_, ArgKind::Number) => json!({"type": "Long"}),
            Self::Argument(_, ArgKind::Texts) => json!({"type": "Set", "element": {"type": "String"}}),
            Self::Argument(_, ArgKind::Integers) => json!({"type": "Set", "element": {"type": "Long"}}),
            Self::Argument(_, ArgKind::Bools) => json!({"type": "Set", "element": {"type": "Boolean"}}),
        };
        if let Some(object) = schema.as_object_mut() {
            object.insert("required".to_owned(), required.into());
        }
        schema
    }

    /// Its value; `None` leaves it out.
    pub(crate) fn value(&self, facts: &Facts<'_>, now: UnixTime) -> Option<Value> {
        let text = |text: &str| Value::new_string(text.to_owned());
        Some(match self {
            Self::Call => Value::new_bool(facts.stage.is_call()),
            Self::Child => Value::new_bool(facts.caller == Caller::Child),
            Self::ChildExchange => {
                Value::new_bool(matches!(facts.stage, Stage::Exchange) && facts.caller == Caller::Child)
            }
            Self::Assurance => Value::new_long(u8::from(facts.assurance.level()).into()),
            Self::EvidenceAge => long(facts.evidence_age_secs),
            Self::TaskType => text(facts.task.kind.as_str()),
            Self::TaskOpener => text(facts.task.opener.as_str()),
            Self::TaskAge => long(now.secs().saturating_sub(facts.task.opened_at.secs())),
            Self::TaskExpires => long(facts.task.expires_at.secs()),
            Self::TaskPurpose => text(facts.task.purpose?.as_str()),
            Self::TaskTenant => text(facts.task.tenant?.as_str()),
            Self::ResourceTenant => text(facts.resource.tenant?.as_str()),
            Self::InScope => Value::new_bool(in_scope(facts)),
            Self::LastLink => Value::new_bool(facts.link.position == facts.link.depth),
            Self::Depth => Value::new_long(facts.link.depth.into()),
            Self::Now => long(now.secs()),
            Self::MinuteOfWeek => Value::new_long(minute_of_week(now).into()),
            Self::ReviewAge => long(now.secs().saturating_sub(facts.reviewed_at.secs())),
            Self::Counter(window) => Value::new_long(facts.counter(*window).unwrap_or(-1)),
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

fn long(number: u64) -> Value {
    Value::new_long(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The argument in the wanted shape. A set of one stands for a single value; an empty list is no value, since "all of
/// nothing" would satisfy every condition.
fn argument(value: ArgValue<'_>, kind: ArgKind) -> Option<Value> {
    if kind == ArgKind::Number {
        let ArgValue::Int(number) = value else { return None };
        return Some(Value::new_long(number));
    }
    let element = |value: &ArgValue<'_>| match (value, kind) {
        (ArgValue::Str(text), ArgKind::Texts) => Some(Value::new_string((*text).to_owned())),
        (ArgValue::Int(number), ArgKind::Integers) => Some(Value::new_long(*number)),
        (ArgValue::Bool(value), ArgKind::Bools) => Some(Value::new_bool(*value)),
        _ => None,
    };
    let elements: Vec<Value> = match value {
        ArgValue::List(items) => items.iter().map(element).collect::<Option<_>>()?,
        ArgValue::Int(_) | ArgValue::Str(_) | ArgValue::Bool(_) => vec![element(&value)?],
    };
    (!elements.is_empty()).then(|| Value::new_set(elements))
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
