//! The single conditions of a grant.
//!
//! A grant permits when all of its atoms hold. Each atom is written twice, as a Cedar expression that decides and as a
//! plain comparison that explains which one failed; a property test holds the two to the same answer, and `decide`
//! refuses with POLICY_ERROR should they ever differ.

use crate::attribute::Attribute;
use crate::contract::{Children, Constraint, Grant, Parameter};
use crate::expression::{
    Expression, Reads, all, any, binary, boolean, entity, long, not, resource, set, texts, uid,
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
        }
    }

    /// Why a call is refused when, of the nearest grant, this failed.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Service(_) | Self::Action(_) => Reason::ActionNotGranted,
            Self::AgentOnly => Reason::ChildNotAllowed,
            Self::Argument(..) => Reason::ArgumentOutOfRange,
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
        }
    }
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
