//! Could: whether an agent could do something to a thing, for whoever lists what is possible (AuthZEN Authorization API
//! 1.0 section 8). Nothing is counted and nothing is recorded.
//!
//! What the question leaves open is taken as it suits the agent best *within one grant*: an argument that nobody named
//! gets a value that the grant allows. So a list holds what can be permitted, and each entry of it may still be refused
//! when it is asked about in earnest.

use super::{Supposed, foresee};
use crate::chain::LinkInForce;
use crate::upstream::{ArgumentKind, ArgumentValue, Described, Mapped, NotMapped, Place, Route, Upstream};
use crate::world::{Task, World};
use identity::{Name, UnixTime};
use policy::contract::{Constraint, Grant};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whether the agent of `link` could do what is described, at `upstream`, in `task` or in one that it may have.
pub fn could(
    world: &World,
    link: &LinkInForce,
    upstream: &Upstream,
    described: &Described<'_>,
    task: Option<&Arc<Task>>,
    now: UnixTime,
) -> bool {
    let Some(route) = described.route(upstream) else {
        return false;
    };
    let mapped = match described.map(route) {
        Ok(mapped) => mapped,
        // Whose it is was left open.
        Err(NotMapped::Tenant) => match described.map(&without_tenant(route)) {
            Ok(mapped) => mapped,
            Err(_) => return false,
        },
        Err(_) => return false,
    };
    granting(link, upstream, described.action).any(|grant| {
        let Some(arguments) = completed(&mapped, route, grant) else {
            return false;
        };
        let supposed = Supposed {
            resource: Some((mapped.resource_type.to_string(), mapped.resource_id.clone())),
            arguments: Some(arguments),
            task: task.cloned(),
            tenant: mapped.tenant.clone(),
            ..Supposed::any_call(described.action.clone(), upstream.audience.clone())
        };
        foresee(world, link, &supposed, now).is_allowed()
    })
}

/// The things of a kind that a contract or a route calls by name. There are others, which only their service knows.
pub fn named_things(link: &LinkInForce, upstream: &Upstream, route: &Route) -> BTreeSet<String> {
    let Some(id) = &route.resource_id else {
        // The path itself is the thing: known where it has no parameters.
        return if route.path.contains('{') {
            BTreeSet::new()
        } else {
            [route.path.clone()].into()
        };
    };
    let is_id = |place: &Place| matches!(place, Place::Path(name) if name == id);
    let argument = route.arguments.iter().find(|argument| is_id(&argument.from));
    let Some(argument) = argument else {
        return BTreeSet::new();
    };
    granting(link, upstream, &route.action)
        .filter_map(|grant| condition(grant, &argument.name))
        .flat_map(|condition| match condition {
            Constraint::Texts(texts) => texts.iter().cloned().collect::<Vec<_>>(),
            Constraint::Integers(numbers) => numbers.iter().map(ToString::to_string).collect(),
            Constraint::Bools(_) | Constraint::Range { .. } => Vec::new(),
        })
        .collect()
}

fn without_tenant(route: &Route) -> Route {
    Route {
        tenant: None,
        ..route.clone()
    }
}

fn granting<'a>(
    link: &'a LinkInForce,
    upstream: &'a Upstream,
    action: &'a Name,
) -> impl Iterator<Item = &'a Grant> {
    let grants = link.compiled.contract().terms().grants.iter();
    grants.filter(move |grant| grant.services.contains(&upstream.audience) && grant.actions.contains(action))
}

fn condition<'g>(grant: &'g Grant, argument: &Name) -> Option<&'g Constraint> {
    let found = grant
        .conditions
        .iter()
        .find(|(name, _)| name.as_str() == argument.as_str());
    found.map(|(_, condition)| condition)
}

/// The arguments of the call, those that nobody named as the grant allows them; `None` where it allows none.
fn completed(mapped: &Mapped, route: &Route, grant: &Grant) -> Option<Vec<(Name, ArgumentValue)>> {
    let mut arguments = mapped.arguments.clone();
    for argument in &route.arguments {
        if arguments.iter().any(|(name, _)| *name == argument.name) {
            continue;
        }
        if let Some(condition) = condition(grant, &argument.name) {
            arguments.push((argument.name.clone(), allowed_by(condition, argument.kind)?));
        }
    }
    Some(arguments)
}

fn allowed_by(condition: &Constraint, kind: ArgumentKind) -> Option<ArgumentValue> {
    match (condition, kind) {
        (Constraint::Texts(texts), ArgumentKind::Text) => texts.first().cloned().map(ArgumentValue::Text),
        (Constraint::Texts(texts), ArgumentKind::Texts) => texts
            .first()
            .cloned()
            .map(|text| ArgumentValue::Texts(vec![text])),
        (Constraint::Integers(numbers), ArgumentKind::Integer) => {
            numbers.first().copied().map(ArgumentValue::Integer)
        }
        (Constraint::Bools(values), ArgumentKind::Boolean) => {
            values.first().copied().map(ArgumentValue::Boolean)
        }
        (Constraint::Range { min, max }, ArgumentKind::Integer) => {
            Some(ArgumentValue::Integer(min.or(*max).unwrap_or_default()))
        }
        _ => None,
    }
}
