//! Services: whoever enforces decisions about its own resources, and asks us for them. A reverse proxy, an API gateway,
//! an application with checks of its own.
//!
//! A service is a name within an org, and its key is proven by an X.509-SVID `spiffe://<trust domain>/<org>/svc/<name>`
//! that an administrator has issued, or that the service renewed itself until an end that the administrator set. What it
//! may ask about is what upstreams say of it (`enforced_by`): nothing else exists for it, and it is never an agent, whatever
//! token it was handed.
//!
//! The World knows each key ([`ServiceKey`]). A certificate that verifies and whose key is not there counts for nothing:
//! that is how a service is revoked.

use crate::admin::Administrator;
use crate::draw::Draw;
use crate::issue::{record_of, service_grant};
use crate::permit::{Grant, Permit};
use crate::plan::{Outcome, Plan};
use crate::refusal::{Cause, Refusal};
use crate::upstream::Upstream;
use crate::world::{Change, Role, ServiceKey, World};
use audit::event::{CredentialClass, Decision, Ruling, Who};
use audit::{Event, EventKind};
use credential::ProvenKey;
use identity::{Name, OrgId, OrgScope, SpiffeId, Thumbprint, UnixTime};
use serde_json::Value;
use std::sync::Arc;

/// Lifetime of a service's SVID unless the request says otherwise, in seconds.
pub const SVID_SECS: u64 = crate::issue::X509_SVID_SECS;
/// Longest lifetime in seconds: a proxy that is restarted once a day.
pub const SVID_SECS_MAX: u64 = 86_400;
/// How long a service may renew by itself unless the administrator says otherwise, in seconds: a month.
pub const RENEWABLE_SECS: u64 = 30 * 86_400;
/// Longest that anybody may let it, in seconds: once a year a person says that the service is still theirs.
pub const RENEWABLE_SECS_MAX: u64 = 366 * 86_400;

/// A service that proved its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    org: OrgId,
    name: Name,
    spiffe_id: SpiffeId,
    key: Thumbprint,
}

impl Service {
    /// The service whose X.509-SVID that is; `None` for every other identity, and for a key that is not, or no longer, one
    /// of that service. The SVID is verified by the caller.
    pub fn of(world: &World, spiffe_id: &SpiffeId, key: Thumbprint) -> Option<Self> {
        let known = world.service_key(OrgScope::Every, key)?;
        (known.spiffe_id == *spiffe_id).then(|| Self {
            org: known.org,
            name: known.service.clone(),
            spiffe_id: known.spiffe_id.clone(),
            key,
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

/// Whether any upstream of the org says that this service enforces.
fn is_named(world: &World, org: OrgId, name: &Name) -> bool {
    world
        .upstreams(OrgScope::Only(org))
        .any(|upstream| upstream.enforced_by.contains(name))
}

/// What the SVIDs of an org's service name; `None` where that would be too long.
pub fn spiffe_id_of(world: &World, org: OrgId, name: &Name) -> Option<SpiffeId> {
    let (founding, org) = world.founding().zip(world.org(OrgScope::Only(org), org))?;
    let path = [org.name.as_str(), "svc", name.as_str()];
    founding.trust_domain.id_of(&path).ok()
}

/// Whose service that is; `None` for every other identity.
pub(crate) fn service_org(world: &World, spiffe_id: &SpiffeId) -> Option<OrgId> {
    let mut path = spiffe_id.path().strip_prefix('/')?.split('/');
    let org = path.next()?.parse().ok()?;
    let org = world.org_named(OrgScope::Every, &org)?.id;
    let name = path.nth(1)?.parse().ok()?;
    (spiffe_id_of(world, org, &name).as_ref() == Some(spiffe_id)).then_some(org)
}

/// Whether a key belongs to somebody else: another service, or another line of this one (`own` tells), a node agent or a
/// gateway.
fn is_taken(world: &World, key: Thumbprint, own: impl Fn(&ServiceKey) -> bool) -> bool {
    let of_a_service = world.service_key(OrgScope::Every, key).is_some_and(|it| !own(it));
    of_a_service || world.member_with(key).is_some() || world.was_member(key)
}

/// Why a key cannot be had.
const TAKEN: (&str, &str) = (
    "SERVICE_KEY_TAKEN",
    "the request is for a key that is known as somebody else's: make a new key and a new request",
);

/// An X.509-SVID for a service of `org`, for the key that its CSR proved.
pub fn svid(world: &World, who: &Administrator, wanted: &Wanted<'_>, draw: &mut Draw<'_>) -> Outcome<Permit> {
    let role = Role::Operator;
    let Wanted { org, name, .. } = *wanted;
    // It gives an identity away.
    if let Err(refused) = who.check_in_person(role, Some(org), world, draw) {
        return refused;
    }
    let invalid = |code, message| Cause::Invalid { code, message };
    if !is_named(world, org, name) {
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
    if wanted.renewable_secs > RENEWABLE_SECS_MAX {
        let message = format!(
            "a service renews by itself for {RENEWABLE_SECS_MAX} seconds at most: choose an earlier end"
        );
        return who.refuse(invalid("SERVICE_RENEWABLE", message), role, world, draw);
    }
    let Some(spiffe_id) = spiffe_id_of(world, org, name) else {
        let message = "its SPIFFE ID would be too long: choose a shorter name".to_owned();
        return who.refuse(invalid("SERVICE_NAME", message), role, world, draw);
    };
    let key = wanted.proven.thumbprint();
    if is_taken(world, key, |it| it.spiffe_id == spiffe_id) {
        let (code, message) = TAKEN;
        return who.refuse(invalid(code, message.to_owned()), role, world, draw);
    }
    let event = who.event(EventKind::SvidIssued, role, world, draw);
    // For a key that is known already it goes on.
    let known = world.service_key(OrgScope::Only(org), key);
    let held = ServiceKey {
        key,
        org,
        service: name.clone(),
        spiffe_id,
        svid_secs: wanted.ttl_secs,
        svid_ends_at: draw.now().plus_secs(wanted.ttl_secs),
        renewable_until: draw.now().plus_secs(wanted.renewable_secs),
        line: known.map_or(key, |known| known.line),
        turn: known.map_or(0, |known| known.turn.saturating_add(1)),
    };
    let summary = format!(
        "service {name} has a new SVID, and renews it by itself until {}",
        held.renewable_until.rfc3339()
    );
    Outcome::Granted(issued(world, event, held, wanted.proven, draw).saying(summary))
}

/// The next X.509-SVID of a service, for the key that its CSR proved: for no other name, no longer than an administrator let
/// SVIDs of it live, and none that ends after what they set for all of them.
pub fn renew(world: &World, service: &Service, proven: &ProvenKey, draw: &mut Draw<'_>) -> Outcome<Permit> {
    let now = draw.now();
    let held = world
        .service_key(service.scope(), service.key)
        .filter(|held| held.spiffe_id == service.spiffe_id && now < held.svid_ends_at);
    // It was there when its connection was looked at: revoked since.
    let Some(held) = held.cloned() else {
        let message = "its key counts no more: ask an operator for a new SVID";
        return refuse(world, service, "SERVICE_REVOKED", message.to_owned(), draw);
    };
    if !is_named(world, service.org, &service.name) {
        let message = format!(
            "no upstream is enforced by the service {} any more: ask an operator to name it in a manifest",
            service.name
        );
        return refuse(world, service, "SERVICE_REMOVED", message, draw);
    }
    if !world.renews(&held) {
        let message = "the key that was issued for it has renewed since: a copy of it is of no use, and if nobody \
                       copied it, an operator writes a new SVID";
        return refuse(world, service, "SERVICE_KEY_SPENT", message.to_owned(), draw);
    }
    let ends_at = now.plus_secs(held.svid_secs).min(held.renewable_until);
    if ends_at <= held.svid_ends_at {
        let message = format!(
            "it could be renewed until {}, and its SVID ends at {}: ask an operator for a new one",
            held.renewable_until.rfc3339(),
            held.svid_ends_at.rfc3339()
        );
        return refuse(world, service, "SERVICE_NOT_RENEWABLE", message, draw);
    }
    let key = proven.thumbprint();
    // Its own key again, or the very step whose answer was lost.
    let own = |it: &ServiceKey| {
        it.line == held.line && (it.key == held.key || it.turn == held.turn.saturating_add(1))
    };
    if is_taken(world, key, own) {
        let (code, message) = TAKEN;
        return refuse(world, service, code, message.to_owned(), draw);
    }
    let mut event = draw.event(EventKind::SvidIssued, world.revision());
    let renews = Value::String(held.key.to_string());
    event.detail.insert("renews".to_owned(), renews);
    let summary = format!("service {} renewed its SVID", service.name);
    let next = ServiceKey {
        key,
        svid_ends_at: ends_at,
        turn: held.turn.saturating_add(1),
        ..ServiceKey::clone(&held)
    };
    Outcome::Granted(issued(world, event, next, proven, draw).saying(summary))
}

/// The plan that makes a key count, and its SVID.
fn issued(
    world: &World,
    mut event: Event,
    held: ServiceKey,
    proven: &ProvenKey,
    draw: &mut Draw<'_>,
) -> Plan<Permit> {
    event.org = Some(held.org);
    event.who = Some(known_as(&held.spiffe_id));
    let until = |at: UnixTime| Value::String(at.rfc3339());
    event
        .detail
        .insert("renewable_until".to_owned(), until(held.renewable_until));
    let grant = service_grant(&held.spiffe_id, proven.public_key(), held.svid_ends_at, draw);
    let grant = Grant::X509Svid(grant);
    event.credential = Some(record_of(&grant, CredentialClass::X509Svid, Some(held.key)));
    Plan::new(world.revision(), event, Permit::new(grant)).changing(Change::ServiceKeySet(held))
}

fn known_as(spiffe_id: &SpiffeId) -> Who {
    Who {
        spiffe_id: Some(spiffe_id.clone()),
        ..Who::default()
    }
}

/// A refusal to a service, as a plan.
fn refuse(
    world: &World,
    service: &Service,
    code: &'static str,
    message: String,
    draw: &mut Draw<'_>,
) -> Outcome<Permit> {
    let mut event = draw.event(EventKind::SvidRefused, world.revision());
    event.org = Some(service.org);
    event.who = Some(known_as(&service.spiffe_id));
    let mut decision = Decision::new(draw.id(), Ruling::Deny);
    decision.reasons = vec![code.to_owned()];
    decision.nearest = Some(message.clone());
    let refusal = Refusal::new(decision.id, Cause::Invalid { code, message });
    event.decision = Some(decision);
    Outcome::Refused(Plan::new(world.revision(), event, refusal))
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
    /// For how long the service may renew it by itself, in seconds; 0 for not at all.
    pub renewable_secs: u64,
}
