//! Obligations (AuthZEN Obligations Profile, working draft of 2026-07): what a decision rests on that only the service can
//! see to.
//!
//! There is one. Some upstreams confine a request to a tenant by a header (`tenant_header`); our gateway sets it. A service
//! that says it carries out `custom` obligations is told to do the same, and the decision is made on the tenant that the
//! header names. For all others whose data it is stays unknown, and a refusal tells them what they would have to carry out
//! (`required_obligations`).

use super::question::Context;
use broker::upstream::Upstream;
use identity::Name;
use serde_json::{Value, json};

/// The one kind that we attach.
pub(super) const CUSTOM: &str = "custom";
/// The kinds that we may attach.
pub(super) const SUPPORTED: [&str; 1] = [CUSTOM];

/// Whether the service can be told to confine a request.
pub(super) fn can_confine(context: &Context) -> bool {
    context
        .obligations
        .iter()
        .any(|kind| SUPPORTED.contains(&kind.as_str()))
}

/// What a permitted request has to be confined to.
pub(super) fn confine(upstream: &Upstream, tenant: &Name) -> Option<Value> {
    let header = upstream.tenant_header.as_ref()?;
    Some(json!({
        "id": "tenant",
        "type": CUSTOM,
        "properties": {
            "vendor": "tabard",
            "action": "set_header",
            "header": header,
            "value": tenant,
        },
    }))
}
