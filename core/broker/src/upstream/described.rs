//! An action as a service describes it: not a request with a method and a path, but what it is, in the words of the
//! routes. For services that enforce decisions themselves and ask for them (AuthZEN Authorization API 1.0 section 5).
//!
//! A service is believed what it says of a request to itself: it is the only one who sees it, and it is asked about
//! nothing that is not its own. A route declares which members are arguments; what else is said is not looked at.

use super::route::{Version, from_json, from_text, sink_in_force};
use super::{ArgumentKind, ArgumentValue, Mapped, NotMapped, Place, Route, Upstream};
use identity::Name;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Most members of what is described; a route declares a handful.
pub const MEMBERS_MAX: usize = 64;
/// Longest name of the thing that it is done to, in bytes.
const ID_BYTES_MAX: usize = 1024;

/// What a service says that somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// The action.
    pub action: &'a Name,
    /// What kind of thing it is done to.
    pub resource_type: &'a Name,
    /// Which one.
    pub resource_id: &'a str,
    /// What else is said, by name: of the action, and of the thing.
    pub said: [Option<&'a Map<String, Value>>; 2],
}

impl Described<'_> {
    /// The route of `upstream` that it is.
    pub fn route<'u>(&self, upstream: &'u Upstream) -> Option<&'u Route> {
        upstream
            .routes
            .iter()
            .find(|route| route.action == *self.action && route.resource_type == *self.resource_type)
    }

    /// What contracts know it as.
    pub fn map(&self, route: &Route) -> Result<Mapped, NotMapped> {
        if self.resource_id.is_empty() || self.resource_id.len() > ID_BYTES_MAX {
            return Err(NotMapped::Kind(route.resource_type.clone()));
        }
        let mut arguments = Vec::with_capacity(route.arguments.len());
        for argument in &route.arguments {
            let value = match &argument.from {
                // The thing itself: it was named already, and cannot be named otherwise.
                Place::Path(parameter) if Some(parameter) == route.resource_id.as_ref() => {
                    let named = from_text(self.resource_id, argument.kind);
                    Some(named.ok_or_else(|| NotMapped::Kind(argument.name.clone()))?)
                }
                place => self.value(&argument.name, place, argument.kind)?,
            };
            if let Some(value) = value {
                arguments.push((argument.name.clone(), value));
            }
        }
        Ok(Mapped {
            action: route.action.clone(),
            resource_type: route.resource_type.clone(),
            resource_id: self.resource_id.to_owned(),
            arguments,
            tenant: self.tenant(route)?,
            data: route.data.clone().map(Arc::new),
            sink: sink_in_force(route).map(Arc::new),
            // Nobody can be asked about what is only described: there are no bytes to approve.
            version: route
                .version
                .as_ref()
                .map_or(Version::Unversioned, |_| Version::Missing),
        })
    }

    /// The tenant, where the route says that a request names one.
    fn tenant(&self, route: &Route) -> Result<Option<Name>, NotMapped> {
        let Some(place) = &route.tenant else {
            return Ok(None);
        };
        let text = match place {
            Place::Path(parameter) if Some(parameter) == route.resource_id.as_ref() => {
                self.resource_id.to_owned()
            }
            _ => match self
                .single("tenant", Some(place))
                .map_err(|()| NotMapped::Tenant)?
            {
                Some(Value::String(text)) => text.clone(),
                _ => return Err(NotMapped::Tenant),
            },
        };
        text.parse().map(Some).map_err(|_| NotMapped::Tenant)
    }

    fn value(
        &self,
        name: &Name,
        place: &Place,
        kind: ArgumentKind,
    ) -> Result<Option<ArgumentValue>, NotMapped> {
        let value = self
            .single(name.as_str(), Some(place))
            .map_err(|()| NotMapped::Repeated(name.clone()))?;
        value
            .map(|value| from_json(value, kind).ok_or_else(|| NotMapped::Kind(name.clone())))
            .transpose()
    }

    /// What is said under one name, or under the one that it has in a request. Said twice, of the action and of the thing
    /// or by both names, it can be read in two ways.
    fn single(&self, name: &str, place: Option<&Place>) -> Result<Option<&Value>, ()> {
        let on_the_wire = place.and_then(|place| match place {
            Place::Path(other) | Place::Query(other) | Place::Header(other) => Some(other.as_str()),
            Place::Body(pointer) => pointer
                .strip_prefix('/')
                .filter(|rest| !rest.contains(['/', '~'])),
        });
        let names = std::iter::once(name).chain(on_the_wire.filter(|other| *other != name));
        let mut found =
            names.flat_map(|name| self.said.iter().flatten().filter_map(move |said| said.get(name)));
        let first = found.next();
        if found.next().is_some() {
            return Err(());
        }
        Ok(first)
    }
}

/// Whether two routes that a service would describe alike also mean the same; true where it would not.
pub(super) fn says_the_same(one: &Route, other: &Route) -> bool {
    let alike = one.action == other.action && one.resource_type == other.resource_type;
    let kinds = |route: &Route| -> Vec<(Name, ArgumentKind, bool)> {
        let is_id =
            |place: &Place| matches!(place, Place::Path(name) if Some(name) == route.resource_id.as_ref());
        route
            .arguments
            .iter()
            .map(|argument| (argument.name.clone(), argument.kind, is_id(&argument.from)))
            .collect()
    };
    !alike
        || kinds(one) == kinds(other)
            && one.tenant.is_some() == other.tenant.is_some()
            && one.data == other.data
            && sink_in_force(one) == sink_in_force(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Manifest;
    use identity::{OrgId, UpstreamId};
    use serde_json::json;

    const UPSTREAM: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: records}
base_url: http://127.0.0.1:9
credential: none
enforced_by: [edge]
routes:
  - method: PUT
    path: /t/{tenant}/records/{id}
    action: write
    resource: {type: record, id: id}
    arguments: [{name: id, path: id}, {name: amount, type: integer, body: /amount}]
    tenant: {path: tenant}
";

    fn upstream() -> Upstream {
        let manifest = Manifest::parse("u", UPSTREAM.as_bytes()).unwrap();
        manifest.upstream(UpstreamId::from_u128(1), OrgId::from_u128(1), 0)
    }

    fn mapped(action: &Value, thing: &Value) -> Result<Mapped, NotMapped> {
        let (write, record) = ("write".parse().unwrap(), "record".parse().unwrap());
        let described = Described {
            action: &write,
            resource_type: &record,
            resource_id: "record-1",
            said: [action.as_object(), thing.as_object()],
        };
        let upstream = upstream();
        described.map(described.route(&upstream).unwrap())
    }

    #[test]
    fn declared_members_are_arguments_and_the_rest_is_not_looked_at() {
        let it = mapped(
            &json!({"amount": 3, "role": "admin"}),
            &json!({"tenant": "acme-eu"}),
        )
        .unwrap();
        let names: Vec<&str> = it.arguments.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["id", "amount"]);
        assert_eq!(it.arguments[0].1, ArgumentValue::Text("record-1".into()));
        assert_eq!(it.arguments[1].1, ArgumentValue::Integer(3));
        assert_eq!(it.tenant.unwrap().as_str(), "acme-eu");
        // A route that says nothing and is no plain read is taken to change something.
        assert!(it.sink.unwrap().consequential);
    }

    #[test]
    fn what_can_be_read_in_two_ways_or_is_missing_is_refused() {
        let tenant = json!({"tenant": "acme-eu"});
        let twice = mapped(&json!({"amount": 1}), &json!({"tenant": "acme-eu", "amount": 2}));
        assert_eq!(twice, Err(NotMapped::Repeated("amount".parse().unwrap())));
        let text = mapped(&json!({"amount": "1"}), &tenant);
        assert_eq!(text, Err(NotMapped::Kind("amount".parse().unwrap())));
        for nobody in [json!({}), json!({"tenant": 1}), json!({"tenant": "Acme EU"})] {
            assert_eq!(mapped(&json!({}), &nobody), Err(NotMapped::Tenant), "{nobody}");
        }
        assert_eq!(
            mapped(&json!({"tenant": "acme-us"}), &tenant),
            Err(NotMapped::Tenant)
        );
    }

    #[test]
    fn an_action_that_two_routes_mean_differently_is_a_mistake_of_the_manifest() {
        let other = "  - {method: POST, path: /records, action: write, resource: {type: record}}\n";
        let text = format!("{UPSTREAM}{other}");
        let mistakes = Manifest::parse("u", text.as_bytes()).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(
            mistakes[0].what.contains("both write of record"),
            "{}",
            mistakes[0]
        );
        // Nobody who asks by action, no ambiguity.
        assert!(Manifest::parse("u", text.replace("enforced_by: [edge]", "").as_bytes()).is_ok());
    }
}
