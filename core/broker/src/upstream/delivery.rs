//! Delivery: what an agent hands to a person or a channel is a sink like any other.
//!
//! Agents answer through their own front ends, which Tabard does not see. A front end that cares asks first:
//! `POST /v1/deliver` at the gateway with `{"to": "…"}`, and shows the answer only if that is permitted. The contract
//! has to grant the action `deliver` at the service [`AUDIENCE`], and whoever receives has to be one who may see
//! everything that the task has read. Nothing is forwarded; the decision is recorded as a call's is.

use super::{Argument, ArgumentKind, ArgumentValue, Injection, Mapped, Place, Route, Upstream};
use identity::{Audience, Name, OrgId, UpstreamId};
use policy::contract::Sensitivity;
use policy::{Readers, Sink};
use std::sync::Arc;

/// What contracts and credentials call it (`aud`).
pub const AUDIENCE: &str = "urn:tabard:deliver";
/// The first segment of its URL; no upstream can have this name.
pub const NAME: &str = "v1";
/// The argument that names the receiver.
const TO: &str = "to";

/// Its definition: one route. `None` only if our own constants did not parse.
pub fn definition() -> Option<Upstream> {
    let name = |text: &str| text.parse::<Name>().ok();
    Some(Upstream {
        id: UpstreamId::from_u128(0),
        org: OrgId::from_u128(0),
        name: name(NAME)?,
        audience: AUDIENCE.parse::<Audience>().ok()?,
        hosts: Vec::new(),
        base_url: "https://deliver.invalid".to_owned(),
        credential: Injection::None,
        routes: vec![Route {
            version: None,
            method: "POST".to_owned(),
            path: "/deliver".to_owned(),
            action: name("deliver")?,
            resource_type: name("receiver")?,
            resource_id: None,
            arguments: vec![Argument {
                name: name(TO)?,
                from: Place::Body("/to".to_owned()),
                kind: ArgumentKind::Text,
            }],
            tenant: None,
            data: None,
            sink: Some(Sink {
                clearance: Sensitivity::Secret,
                readers: Readers::Only(std::collections::BTreeSet::new()),
                egress: false,
                consequential: false,
                destinations: vec![name(TO)?],
            }),
        }],
        // Whoever receives gets what the task is about: its own tenant's.
        tenant_header: Some("tabard-tenant".to_owned()),
        enforced_by: std::collections::BTreeSet::new(),
        secret_version: 0,
    })
}

/// The request with its receiver as the one who will see it; `None` where it names none.
pub fn addressed(mut mapped: Mapped) -> Option<Mapped> {
    let to = mapped.arguments.iter().find_map(|(name, value)| match value {
        ArgumentValue::Text(text) if name.as_str() == TO && !text.is_empty() => Some(text.clone()),
        _ => None,
    })?;
    let mut sink = Sink::clone(mapped.sink.as_ref()?);
    sink.readers = Readers::Only([to.clone()].into());
    mapped.sink = Some(Arc::new(sink));
    mapped.resource_id = to;
    Some(mapped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Routes;

    struct NoHeaders;
    impl crate::upstream::CallHeaders for NoHeaders {
        fn single(&self, _: &str) -> Result<Option<&str>, crate::upstream::Repeated> {
            Ok(None)
        }
    }

    #[test]
    fn its_route_compiles_and_the_receiver_is_who_sees_it() {
        let upstream = definition().unwrap();
        let routes = Routes::compile(&upstream.routes).unwrap();
        let mapped = |body: &str| {
            let found = routes.find("POST", b"/deliver", None).unwrap();
            addressed(found.map(&NoHeaders, body.as_bytes()).unwrap())
        };
        let to_ann = mapped(r#"{"to": "ann"}"#).unwrap();
        assert_eq!(to_ann.resource_id, "ann");
        assert_eq!(
            to_ann.sink.unwrap().readers,
            Readers::Only(["ann".to_owned()].into())
        );
        assert!(mapped(r#"{"to": ""}"#).is_none() && mapped("{}").is_none());
    }
}
