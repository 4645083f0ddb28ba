//! Services: whoever enforces decisions about its own resources, and asks us for them. A reverse proxy, an API gateway,
//! an application with checks of its own.
//!
//! A service is a name within an org, and its key is proven by an X.509-SVID `spiffe://<trust domain>/<org>/svc/<name>`
//! that an administrator has issued. What it may ask about is what upstreams say of it (`enforced_by`): nothing else
//! exists for it, and it is never an agent, whatever token it was handed.

use crate::admin::Administrator;
use crate::draw::Draw;
use crate::issue::{record_of, service_grant};
use crate::permit::{Grant, Permit};
use crate::plan::{Outcome, Plan};
use crate::refusal::Cause;
use crate::upstream::Upstream;
use crate::world::{Role, World};
use audit::EventKind;
use audit::event::{CredentialClass, Who};
use credential::ProvenKey;
use identity::{Name, OrgId, OrgScope, SpiffeId};
use std::sync::Arc;

/// Lifetime of a service's SVID unless the request says otherwise, in seconds.
pub const SVID_SECS: u64 = crate::issue::X509_SVID_SECS;
/// Longest lifetime in seconds: a proxy that is restarted once a day. There is no revocation by certificate: a service
/// that no upstream names any more may ask nothing, at once.
pub const SVID_SECS_MAX: u64 = 86_400;

/// A service that proved its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    org: OrgId,
    name: Name,
    spiffe_id: SpiffeId,
}

impl Service {
    /// The service that an X.509-SVID names; `None` for every other identity. The SVID is verified by the caller.
    pub fn of(world: &World, spiffe_id: &SpiffeId) -> Option<Self> {
        if world.founding()?.trust_domain.as_str() != spiffe_id.trust_domain() {
            return None;
        }
        let mut path = spiffe_id.path().strip_prefix('/')?.split('/');
        let (org, word, name) = (path.next()?, path.next()?, path.next()?);
        if word != "svc" || path.next().is_some() {
            return None;
        }
        Some(Self {
            org: world.org_named(OrgScope::Every, &org.parse().ok()?)?.id,
            name: name.parse().ok()?,
            spiffe_id: spiffe_id.clone(),
        })
    }
    /// Its org.
    pub const fn org(&self) -> OrgId {
        self.org
    }
    /// Its name within the org.
    pub const fn name(&self) -> &Name {
        &self.name
    }
    /// What part of the World there is for it.
    pub const fn scope(&self) -> OrgScope {
        OrgScope::Only(self.org)
    }
    /// Whether it may ask about `upstream`.
    pub fn enforces(&self, upstream: &Upstream) -> bool {
        upstream.org == self.org && upstream.enforced_by.contains(&self.name)
    }
    /// Every upstream that it may ask about.
    pub fn upstreams<'w>(&'w self, world: &'w World) -> impl Iterator<Item = &'w Arc<Upstream>> {
        world
            .upstreams(self.scope())
            .filter(|upstream| self.enforces(upstream))
    }
}

/// An X.509-SVID for a service of `org`, for the key that its CSR proved.
pub fn svid(world: &World, who: &Administrator, wanted: &Wanted<'_>, draw: &mut Draw<'_>) -> Outcome<Permit> {
    let role = Role::Operator;
    let Wanted { org, name, .. } = *wanted;
    if let Err(refused) = who.check(role, Some(org), world, draw) {
        return refused;
    }
    let invalid = |code, message| Cause::Invalid { code, message };
    let known = world
        .upstreams(OrgScope::Only(org))
        .any(|upstream| upstream.enforced_by.contains(name));
    if !known {
        let message = format!(
            "no upstream is enforced by the service {name}: write `enforced_by: [{name}]` into the manifests of those \
             that are, and apply them"
        );
        return who.refuse(invalid("SERVICE_UNKNOWN", message), role, world, draw);
    }
    if wanted.ttl_secs == 0 || wanted.ttl_secs > SVID_SECS_MAX {
        let message =
            format!("an SVID of a service lives 1 to {SVID_SECS_MAX} seconds: choose another lifetime");
        return who.refuse(invalid("SERVICE_TTL", message), role, world, draw);
    }
    let named = world.founding().zip(world.org(OrgScope::Only(org), org));
    let spiffe_id = named.map(|(founding, org)| {
        founding
            .trust_domain
            .id_of(&[org.name.as_str(), "svc", name.as_str()])
    });
    let Some(Ok(spiffe_id)) = spiffe_id else {
        let message = "its SPIFFE ID would be too long: choose a shorter name".to_owned();
        return who.refuse(invalid("SERVICE_NAME", message), role, world, draw);
    };
    let key = wanted.proven.thumbprint();
    let mut event = who.event(EventKind::SvidIssued, role, world, draw);
    event.org = Some(org);
    event.who = Some(Who {
        spiffe_id: Some(spiffe_id.clone()),
        ..Who::default()
    });
    let grant = Grant::X509Svid(service_grant(
        &spiffe_id,
        wanted.proven.public_key(),
        wanted.ttl_secs,
        draw,
    ));
    event.credential = Some(record_of(&grant, CredentialClass::X509Svid, Some(key)));
    Outcome::Granted(Plan::new(world.revision(), event, Permit::new(grant)))
}

/// An SVID as an administrator wants it issued.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Whose service.
    pub org: OrgId,
    /// Its name.
    pub name: &'a Name,
    /// The key that its CSR proved.
    pub proven: &'a ProvenKey,
    /// Its lifetime in seconds.
    pub ttl_secs: u64,
}
