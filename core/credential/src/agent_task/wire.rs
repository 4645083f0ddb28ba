//! `agent_task` under its wire names.

use super::{AGENT_TASK, AgentTask, AgentTaskError, Amount, Constraints, DETAILS_BYTES_MAX, LIST_VALUES_MAX};
use crate::access_token::DETAILS_MAX;
use crate::json::{self, Object};
use identity::{ApprovalId, Audience, Name, TaskId, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const MEMBERS: [&str; 12] = [
    "type",
    "task",
    "purpose",
    "actions",
    "locations",
    "datatypes",
    "data_domains",
    "tenant",
    "workflow",
    "step",
    "constraints",
    "approval",
];
const CONSTRAINTS: [&str; 5] = ["max_calls", "max_amount", "not_before", "not_after", "rate"];
const AMOUNT: [&str; 2] = ["v", "cur"];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetailWire {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<TaskId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purpose: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actions: Option<Vec<Name>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locations: Option<Vec<Audience>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datatypes: Option<Vec<Name>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_domains: Option<Vec<Name>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workflow: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    constraints: Option<Object<ConstraintsWire>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConstraintsWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_calls: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_amount: Option<Object<AmountWire>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_after: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AmountWire {
    v: String,
    cur: String,
}

/// Reads the array; on a refusal looks again, slower, for the member to name.
pub(super) fn parse_list(bytes: &[u8]) -> Result<Vec<AgentTask>, AgentTaskError> {
    if bytes.len() > DETAILS_BYTES_MAX {
        return Err(AgentTaskError::TooLarge);
    }
    json::check_depth(bytes).map_err(|_| AgentTaskError::Malformed)?;
    let wires: Vec<Object<DetailWire>> = serde_json::from_slice(bytes).map_err(|_| diagnose(bytes))?;
    if wires.len() > DETAILS_MAX {
        return Err(AgentTaskError::TooMany);
    }
    wires
        .into_iter()
        .map(|wire| AgentTask::try_from(wire.0))
        .collect()
}

fn diagnose(bytes: &[u8]) -> AgentTaskError {
    let Ok(Value::Array(details)) = json::parse_strict(bytes) else {
        return AgentTaskError::Malformed;
    };
    for detail in details {
        let Value::Object(detail) = detail else {
            return AgentTaskError::Malformed;
        };
        match detail.get("type") {
            Some(Value::String(kind)) if kind == AGENT_TASK => {}
            Some(Value::String(kind)) => return AgentTaskError::UnknownType(kind.chars().take(64).collect()),
            _ => return AgentTaskError::UnknownType(String::new()),
        }
        if let Some(error) = first_problem(&detail) {
            return error;
        }
    }
    AgentTaskError::Malformed
}

fn first_problem(detail: &Map<String, Value>) -> Option<AgentTaskError> {
    let empty = Map::new();
    let object = |value: Option<&Value>| value.and_then(Value::as_object).cloned();
    let constraints = object(detail.get("constraints")).unwrap_or_else(|| empty.clone());
    let amount = object(constraints.get("max_amount")).unwrap_or(empty);
    for (members, known) in [
        (detail, &MEMBERS[..]),
        (&constraints, &CONSTRAINTS[..]),
        (&amount, &AMOUNT[..]),
    ] {
        if let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Some(AgentTaskError::UnknownMember(unknown.chars().take(64).collect()));
        }
    }
    // A known member has a bad value: the one without which the rest can be read.
    MEMBERS.iter().skip(1).find_map(|member| {
        let value = detail.get(*member)?;
        let alone = serde_json::json!({ "type": AGENT_TASK, *member: value });
        serde_json::from_value::<DetailWire>(alone)
            .is_err()
            .then_some(AgentTaskError::BadMember(member))
    })
}

impl TryFrom<DetailWire> for AgentTask {
    type Error = AgentTaskError;
    fn try_from(wire: DetailWire) -> Result<Self, AgentTaskError> {
        if wire.kind != AGENT_TASK {
            return Err(AgentTaskError::UnknownType(wire.kind.chars().take(64).collect()));
        }
        Ok(Self {
            task: wire.task,
            purpose: wire.purpose,
            actions: set("actions", wire.actions)?,
            locations: set("locations", wire.locations)?,
            datatypes: set("datatypes", wire.datatypes)?,
            data_domains: set("data_domains", wire.data_domains)?,
            tenant: wire.tenant,
            workflow: wire.workflow,
            step: wire.step,
            constraints: wire
                .constraints
                .map(|constraints| Constraints::try_from(constraints.0))
                .transpose()?
                .unwrap_or_default(),
            approval: wire.approval,
        })
    }
}

/// A list without repetition, neither empty nor too long: an empty list would grant nothing and is a mistake.
fn set<T: Ord>(member: &'static str, values: Option<Vec<T>>) -> Result<Option<BTreeSet<T>>, AgentTaskError> {
    let Some(values) = values else {
        return Ok(None);
    };
    let count = values.len();
    let set: BTreeSet<T> = values.into_iter().collect();
    if count == 0 || count > LIST_VALUES_MAX || set.len() != count {
        return Err(AgentTaskError::BadMember(member));
    }
    Ok(Some(set))
}

impl TryFrom<ConstraintsWire> for Constraints {
    type Error = AgentTaskError;
    fn try_from(wire: ConstraintsWire) -> Result<Self, AgentTaskError> {
        let date = |member, secs: Option<u64>| match secs {
            Some(secs) if !json::is_date(secs) => Err(AgentTaskError::BadMember(member)),
            secs => Ok(secs.map(UnixTime::from_secs)),
        };
        let amount = |Object(wire): Object<AmountWire>| {
            Amount::parse(&wire.v, &wire.cur).ok_or(AgentTaskError::BadMember("max_amount"))
        };
        let rate = |text: String| text.parse().map_err(|_| AgentTaskError::BadMember("rate"));
        Ok(Self {
            max_calls: wire.max_calls,
            max_amount: wire.max_amount.map(amount).transpose()?,
            not_before: date("not_before", wire.not_before)?,
            not_after: date("not_after", wire.not_after)?,
            rate: wire.rate.map(rate).transpose()?,
        })
    }
}

impl From<&AgentTask> for DetailWire {
    fn from(task: &AgentTask) -> Self {
        fn list<T: Clone>(set: Option<&BTreeSet<T>>) -> Option<Vec<T>> {
            set.map(|set| set.iter().cloned().collect())
        }
        let constraints = &task.constraints;
        let restricts = *constraints != Constraints::default();
        Self {
            kind: AGENT_TASK.to_owned(),
            task: task.task,
            purpose: task.purpose.clone(),
            actions: list(task.actions.as_ref()),
            locations: list(task.locations.as_ref()),
            datatypes: list(task.datatypes.as_ref()),
            data_domains: list(task.data_domains.as_ref()),
            tenant: task.tenant.clone(),
            workflow: task.workflow.clone(),
            step: task.step.clone(),
            constraints: restricts.then(|| {
                Object(ConstraintsWire {
                    max_calls: constraints.max_calls,
                    max_amount: constraints.max_amount.map(|amount| {
                        Object(AmountWire {
                            v: amount.value(),
                            cur: amount.currency_code().to_owned(),
                        })
                    }),
                    not_before: constraints.not_before.map(UnixTime::secs),
                    not_after: constraints.not_after.map(UnixTime::secs),
                    rate: constraints.rate.map(|rate| rate.to_string()),
                })
            }),
            approval: task.approval,
        }
    }
}
