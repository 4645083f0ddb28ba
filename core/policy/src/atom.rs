//! The single conditions of a grant.
//!
//! A grant permits when all of its atoms hold. Each atom is written twice, as a Cedar expression that decides and as a
//! plain comparison that explains which one failed; a property test holds the two to the same answer, and `decide`
//! refuses with POLICY_ERROR should they ever differ.

use crate::attribute::Attribute;
use crate::attribute::rank_of;
use crate::contract::{Children, Constraint, Grant, Parameter, Sensitivity};
use crate::expression::{
    Expression, Reads, all, any, binary, boolean, entity, long, not, resource, set, text, texts, uid,
};
use crate::fact::Fact;
use crate::facts::{ArgValue, Caller, Facts};
use crate::reason::Reason;
use cedar_policy::pst::{BinaryOp, PstConstructionError};
use identity::{Audience, Name};
use std::collections::BTreeSet;
use std::fmt;

/// One condition of a grant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Atom {
    /// The service is one of these.
    Service(BTreeSet<Audience>),
    /// The action is one of these.
    Action(BTreeSet<Name>),
    /// The agent process itself makes the call.
    AgentOnly,
    /// At a call, the argument is there and is as the constraint says.
    Argument(Parameter, Constraint),
    /// Data that its service declares is of these domains only.
    Domains(BTreeSet<Name>),
    /// Data that its service declares is at most this sensitive.
    Sensitivity(Sensitivity),
    /// None of these fields comes with it.
    WithoutFields(BTreeSet<Name>),
    /// At a call, a human approved exactly this request by this escalation.
    Approval(Name),
}

impl Atom {
    /// The atoms of a grant, in the order in which they are explained.
    pub(crate) fn of(grant: &Grant) -> Vec<Self> {
        let mut atoms = vec![
            Self::Service(grant.services.clone()),
            Self::Action(grant.actions.clone()),
        ];
        if grant.children == Children::Deny {
            atoms.push(Self::AgentOnly);
        }
        atoms.extend(
            grant
                .conditions
                .iter()
                .map(|(name, constraint)| Self::Argument(name.clone(), constraint.clone())),
        );
        if let Some(data) = &grant.data {
            atoms.push(Self::Domains(data.domains.clone()));
            atoms.push(Self::Sensitivity(data.sensitivity));
            if !data.fields_deny.is_empty() {
                atoms.push(Self::WithoutFields(data.fields_deny.clone()));
            }
        }
        atoms.extend(grant.approval.clone().map(Self::Approval));
        atoms
    }

    /// The fact it depends on. A grant may not depend on an asserted one.
    pub fn fact(&self) -> Fact {
        match self {
            Self::Service(_) => Fact::Audience,
            Self::Action(_) => Fact::Action,
            Self::AgentOnly => Fact::Caller,
            Self::Argument(name, _) if name.is_said() => Fact::Statement,
            Self::Argument(..) => Fact::Argument,
            Self::Domains(_) | Self::Sensitivity(_) | Self::WithoutFields(_) => Fact::ServiceData,
            Self::Approval(_) => Fact::Approvals,
        }
    }

    /// Why a call is refused when, of the nearest grant, this failed.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Service(_) | Self::Action(_) => Reason::ActionNotGranted,
            Self::AgentOnly => Reason::ChildNotAllowed,
            Self::Argument(..) => Reason::ArgumentOutOfRange,
            Self::Domains(_) => Reason::DataDomain,
            Self::Sensitivity(_) => Reason::SensitivityExceeded,
            Self::WithoutFields(_) => Reason::FieldDenied,
            Self::Approval(_) => Reason::NeedsApproval,
        }
    }

    /// Whether it holds.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Service(services) => services.contains(facts.audience),
            Self::Action(actions) => actions.contains(facts.action),
            Self::AgentOnly => facts.caller == Caller::Agent,
            Self::Argument(name, constraint) => {
                !facts.stage.is_call()
                    || facts
                        .argument(name.as_str())
                        .is_some_and(|value| satisfies(value, constraint))
            }
            Self::Domains(allowed) => facts.flow.data.is_none_or(|data| data.domains.is_subset(allowed)),
            Self::Sensitivity(most) => facts.flow.data.is_none_or(|data| data.sensitivity <= *most),
            Self::WithoutFields(denied) => facts.flow.data.is_none_or(|data| data.fields.is_disjoint(denied)),
            Self::Approval(escalation) => !facts.stage.is_call() || facts.approvals.contains(escalation),
        }
    }

    /// The value it was compared with.
    pub fn actual(&self, facts: &Facts<'_>) -> String {
        match self {
            Self::Service(_) => facts.audience.to_string(),
            Self::Action(_) => facts.action.to_string(),
            Self::AgentOnly => facts.caller.as_str().to_owned(),
            Self::Argument(name, _) => facts
                .argument(name.as_str())
                .map_or_else(|| "missing, or there twice".to_owned(), |value| value.to_string()),
            Self::Domains(_) => listed(facts.flow.data.iter().flat_map(|data| &data.domains)),
            Self::Sensitivity(_) => facts
                .flow
                .data
                .map_or_else(|| "not declared".to_owned(), |data| data.sensitivity.to_string()),
            Self::WithoutFields(_) => listed(facts.flow.data.iter().flat_map(|data| &data.fields)),
            Self::Approval(_) => format!("approved: {}", listed(facts.approvals)),
        }
    }

    /// What would make it hold.
    pub fn fix(&self) -> String {
        match self {
            Self::Service(_) | Self::Action(_) => {
                "grant the action at this service in a new version of the contract, if the job needs it"
                    .to_owned()
            }
            Self::AgentOnly => {
                "make the call from the agent process, or set \"children: allow\" in the grant".to_owned()
            }
            Self::Argument(name, _) => {
                format!(
                    "send {name:?} within the grant, or widen \"where\" in a new version of the contract",
                    name = name.as_str()
                )
            }
            Self::Domains(_) | Self::Sensitivity(_) => {
                "widen \"data\" in a new version of the contract, if the job needs it".to_owned()
            }
            Self::WithoutFields(_) => {
                "call an action that leaves these fields out, or shorten \"fields_deny\"".to_owned()
            }
            Self::Approval(escalation) => format!("have it approved: escalation {escalation}"),
        }
    }

    /// The same as a Cedar expression.
    pub(crate) fn expression(&self, reads: &mut Reads) -> Result<Expression, PstConstructionError> {
        Ok(match self {
            Self::Service(services) => {
                let services: Result<Vec<_>, _> = services
                    .iter()
                    .map(|service| uid("Service", service.as_str()).map(entity))
                    .collect();
                binary(BinaryOp::Contains, set(services?), resource())
            }
            // The action stands in the policy's scope.
            Self::Action(_) => boolean(true),
            Self::AgentOnly => not(reads.get(Attribute::Child)),
            Self::Argument(name, constraint) => {
                let attribute = Attribute::Argument(name.clone(), constraint.kind());
                let value = reads.get(attribute.clone());
                any([
                    not(reads.get(Attribute::Call)),
                    binary(BinaryOp::And, reads.has(attribute), compared(&value, constraint)),
                ])
            }
            Self::Domains(allowed) => {
                let value = reads.get(Attribute::DataDomains);
                let allowed = texts(allowed.iter().map(Name::as_str));
                where_declared(
                    reads,
                    Attribute::DataDomains,
                    binary(BinaryOp::ContainsAll, allowed, value),
                )
            }
            Self::Sensitivity(most) => {
                let value = reads.get(Attribute::DataSensitivity);
                let within = binary(BinaryOp::LessEq, value, long(rank_of(*most)));
                where_declared(reads, Attribute::DataSensitivity, within)
            }
            Self::WithoutFields(denied) => not(binary(
                BinaryOp::ContainsAny,
                reads.get(Attribute::DataFields),
                texts(denied.iter().map(Name::as_str)),
            )),
            Self::Approval(escalation) => any([
                not(reads.get(Attribute::Call)),
                binary(
                    BinaryOp::Contains,
                    reads.get(Attribute::Approvals),
                    text(escalation.as_str()),
                ),
            ]),
        })
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &BTreeSet<T>) -> fmt::Result {
            for (place, item) in items.iter().enumerate() {
                write!(f, "{}{item}", if place == 0 { "" } else { ", " })?;
            }
            Ok(())
        }
        match self {
            Self::Service(services) => {
                f.write_str("service ")?;
                list(f, services)
            }
            Self::Action(actions) => {
                f.write_str("action ")?;
                list(f, actions)
            }
            Self::AgentOnly => f.write_str("caller agent"),
            Self::Argument(name, constraint) => write!(f, "argument {name} {constraint}"),
            Self::Domains(domains) => {
                f.write_str("data of ")?;
                list(f, domains)
            }
            Self::Sensitivity(most) => write!(f, "data at most {most}"),
            Self::WithoutFields(fields) => {
                f.write_str("without the fields ")?;
                list(f, fields)
            }
            Self::Approval(escalation) => write!(f, "approved by {escalation}"),
        }
    }
}

fn listed<'a>(names: impl IntoIterator<Item = &'a Name>) -> String {
    let names: Vec<&str> = names.into_iter().map(Name::as_str).collect();
    if names.is_empty() {
        return "(none)".to_owned();
    }
    names.join(", ")
}

/// What a service declares is held to; what it does not declare is labelled as the grant says. The presence test comes
/// first: the validator learns from `has`, not from its negation.
fn where_declared(reads: &mut Reads, attribute: Attribute, within: Expression) -> Expression {
    any([
        all([reads.has(attribute.clone()), within]),
        not(reads.has(attribute)),
    ])
}

fn satisfies(value: ArgValue<'_>, constraint: &Constraint) -> bool {
    let each = |test: &dyn Fn(&ArgValue<'_>) -> bool| match value {
        ArgValue::List(items) => !items.is_empty() && items.iter().all(test),
        single => test(&single),
    };
    match constraint {
        Constraint::Texts(allowed) => {
            each(&|value| matches!(value, ArgValue::Str(text) if allowed.contains(*text)))
        }
        Constraint::Integers(allowed) => {
            each(&|value| matches!(value, ArgValue::Int(number) if allowed.contains(number)))
        }
        Constraint::Bools(allowed) => {
            each(&|value| matches!(value, ArgValue::Bool(flag) if allowed.contains(flag)))
        }
        Constraint::Range { min, max } => {
            matches!(value, ArgValue::Int(number)
                if min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max))
        }
    }
}

fn compared(value: &Expression, constraint: &Constraint) -> Expression {
    let within = |allowed: Expression| binary(BinaryOp::ContainsAll, allowed, value.clone());
    match constraint {
        Constraint::Texts(allowed) => within(texts(allowed)),
        Constraint::Integers(allowed) => within(set(allowed.iter().map(|number| long(*number)))),
        Constraint::Bools(allowed) => within(set(allowed.iter().map(|flag| boolean(*flag)))),
        Constraint::Range { min, max } => all([
            min.map(|min| binary(BinaryOp::GreaterEq, value.clone(), long(min))),
            max.map(|max| binary(BinaryOp::LessEq, value.clone(), long(max))),
        ]
        .into_iter()
        .flatten()),
    }
}
