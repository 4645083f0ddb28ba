//! Issue: SVIDs for identified processes and for members. An SVID is thin: the stable identity and a key, no task,
//! no purpose, no chain.

use crate::draw::Draw;
use crate::permit::{Grant, JwtGrant, Permit, X509Grant, digest_of};
use crate::plan::{Outcome, Plan};
use crate::refusal::{Cause, Refusal};
use crate::task::who;
use crate::world::{Agent, Instance, NodeRecord, Target, World};
use audit::event::{Credential, CredentialClass, Decision, Ruling, Who};
use audit::{Event, EventKind};
use credential::{ProvenKey, PublicKey};
use identity::{Audience, InstanceId, OrgScope, SpiffeId, Thumbprint, UnixTime};
use policy::Reason;
use std::sync::Arc;

/// Lifetime of an X.509-SVID, in seconds. Clients renew at half of it.
pub const X509_SVID_SECS: u64 = 3600;
/// Lifetime of a JWT-SVID, in seconds.
pub const JWT_SVID_SECS: u64 = 300;
/// How far before now a certificate begins, in seconds: clocks of one cluster agree within a minute.
const BACKDATE_SECS: u64 = 60;

/// An instance that may have an SVID now: known, its agent live, nothing revoked since. Made only by [`entitled`].
#[derive(Debug)]
#[must_use = "an entitlement does nothing by itself"]
pub struct Entitled {
    agent: Arc<Agent>,
    instance: Arc<Instance>,
}

impl Entitled {
    /// The agent.
    pub const fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }
    /// The instance.
    pub const fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }
}

/// Judges whether an instance of one of `node`'s runs may have an SVID now.
pub fn entitled(
    world: &World,
    node: &NodeRecord,
    instance: InstanceId,
    now: UnixTime,
) -> Result<Entitled, Reason> {
    let scope = node.org.map_or(OrgScope::Every, OrgScope::Only);
    let instance = world
        .instance(scope, instance)
        .ok_or(Reason::AttestationRequired)?;
    if instance.node != node.id {
        return Err(Reason::AttestationRequired);
    }
    let agent = live_agent(world, instance, now)?;
    Ok(Entitled {
        agent,
        instance: instance.clone(),
    })
}

/// The agent of a live instance that nothing has stopped.
pub(crate) fn live_agent(world: &World, instance: &Instance, now: UnixTime) -> Result<Arc<Agent>, Reason> {
    let agent = world
        .agent(OrgScope::Only(instance.org), instance.agent)
        .ok_or(Reason::IdentityRevoked)?;
    if !agent.is_live(now) {
        return Err(Reason::KillSwitch);
    }
    let targets = [
        Target::Instance(instance.id),
        Target::Agent(agent.id),
        Target::Org(agent.org),
    ];
    // An instance opened before the revocation is dead with it: its evidence is of before.
    if world.revoked(&targets, instance.id.revision()).is_some() {
        return Err(Reason::IdentityRevoked);
    }
    Ok(agent.clone())
}

/// An X.509-SVID for an instance. `proven` is the key whose possession a CSR proved; it must be the instance's own.
pub fn x509_svid(
    world: &World,
    entitled: Entitled,
    proven: &ProvenKey,
    draw: &mut Draw<'_>,
) -> Outcome<Permit> {
    let Entitled { agent, instance } = entitled;
    if proven.thumbprint() != instance.key {
        return refuse(
            world,
            &agent,
            Some(&instance),
            Reason::ProofOfPossessionFailed,
            draw,
        );
    }
    let grant = X509Grant {
        spiffe_id: agent.spiffe_id.clone(),
        public_key: proven.public_key().clone(),
        serial: draw.number(),
        valid_from: draw.now().minus_secs(BACKDATE_SECS),
        expires_at: draw.now().plus_secs(X509_SVID_SECS).min(agent.expires_at),
        dns_names: Vec::new(),
    };
    let mut event = issued(world, draw);
    event.org = Some(agent.org);
    event.who = Some(instance_of(&agent, &instance));
    granted(
        world,
        event,
        CredentialClass::X509Svid,
        Some(instance.key),
        Grant::X509Svid(grant),
    )
}

/// An X.509-SVID for a node agent or gateway.
pub fn member_svid(
    world: &World,
    member: &NodeRecord,
    proven: &ProvenKey,
    draw: &mut Draw<'_>,
) -> Result<Plan<Permit>, Reason> {
    if proven.thumbprint() != member.key {
        return Err(Reason::ProofOfPossessionFailed);
    }
    let mut event = issued(world, draw);
    event.org = member.org;
    event.who = Some(Who {
        node: Some(member.id),
        spiffe_id: Some(member.spiffe_id.clone()),
        ..Who::default()
    });
    let grant = own(&member.spiffe_id, proven.public_key(), Vec::new(), draw);
    match granted(
        world,
        event,
        CredentialClass::X509Svid,
        Some(member.key),
        Grant::X509Svid(grant),
    ) {
        Outcome::Granted(plan) => Ok(plan),
        Outcome::Refused(_) => Err(Reason::PolicyError),
    }
}

/// The server's own certificate: its SPIFFE ID, and the names under which HTTP clients reach it.
pub fn server_svid(
    world: &World,
    spiffe_id: &SpiffeId,
    key: &PublicKey,
    dns_names: Vec<String>,
    draw: &mut Draw<'_>,
) -> Plan<Permit> {
    let mut event = issued(world, draw);
    event.who = Some(Who {
        spiffe_id: Some(spiffe_id.clone()),
        ..Who::default()
    });
    let grant = Grant::X509Svid(own(spiffe_id, key, dns_names, draw));
    event.credential = Some(record_of(
        &grant,
        CredentialClass::X509Svid,
        Some(key.thumbprint()),
    ));
    Plan::new(world.revision(), event, Permit::new(grant))
}

/// A JWT-SVID for an instance. A bearer: as a subject token it counts only from that instance.
pub fn jwt_svid(
    world: &World,
    entitled: Entitled,
    audiences: Vec<Audience>,
    draw: &mut Draw<'_>,
) -> Outcome<Permit> {
    let Entitled { agent, instance } = entitled;
    let Some(founding) = world.founding() else {
        return refuse(world, &agent, Some(&instance), Reason::StateUnavailable, draw);
    };
    let grant = JwtGrant {
        issuer: founding.issuer.clone(),
        spiffe_id: agent.spiffe_id.clone(),
        audiences,
        token: draw.id(),
        instance: instance.id,
        revision: world.revision(),
        issued_at: draw.now(),
        expires_at: draw.now().plus_secs(JWT_SVID_SECS).min(agent.expires_at),
    };
    let mut event = issued(world, draw);
    event.org = Some(agent.org);
    event.who = Some(instance_of(&agent, &instance));
    granted(
        world,
        event,
        CredentialClass::JwtSvid,
        None,
        Grant::JwtSvid(grant),
    )
}

fn issued(world: &World, draw: &mut Draw<'_>) -> Event {
    draw.event(EventKind::SvidIssued, world.revision())
}

/// What determines the SVID of a service.
pub(crate) fn service_grant(
    spiffe_id: &SpiffeId,
    key: &PublicKey,
    expires_at: UnixTime,
    draw: &mut Draw<'_>,
) -> X509Grant {
    let own = own(spiffe_id, key, Vec::new(), draw);
    // One of a day begins less early: no certificate of ours lives longer.
    let earliest = expires_at.minus_secs(crate::service::SVID_SECS_MAX);
    X509Grant {
        valid_from: own.valid_from.max(earliest),
        expires_at,
        ..own
    }
}

fn own(spiffe_id: &SpiffeId, key: &PublicKey, dns_names: Vec<String>, draw: &mut Draw<'_>) -> X509Grant {
    X509Grant {
        spiffe_id: spiffe_id.clone(),
        public_key: key.clone(),
        serial: draw.number(),
        valid_from: draw.now().minus_secs(BACKDATE_SECS),
        expires_at: draw.now().plus_secs(X509_SVID_SECS),
        dns_names,
    }
}

fn granted(
    world: &World,
    mut event: Event,
    class: CredentialClass,
    key: Option<Thumbprint>,
    grant: Grant,
) -> Outcome<Permit> {
    event.credential = Some(record_of(&grant, class, key));
    Outcome::Granted(Plan::new(world.revision(), event, Permit::new(grant)))
}

/// What the log says of a credential.
pub(crate) fn record_of(grant: &Grant, class: CredentialClass, key: Option<Thumbprint>) -> Credential {
    let mut record = Credential::new(class);
    record.digest = Some(digest_of(grant));
    record.thumbprint = key;
    match grant {
        Grant::AccessToken(claims) => {
            record.id = Some(claims.token.to_string());
            record.family = Some(claims.family);
            record.aud = vec![claims.audience.clone()];
            record.iat = Some(claims.issued_at);
            record.exp = Some(claims.expires_at);
        }
        Grant::X509Svid(grant) => {
            record.id = Some(format!("{:016x}", grant.serial));
            record.iat = Some(grant.valid_from);
            record.exp = Some(grant.expires_at);
        }
        Grant::JwtSvid(grant) => {
            record.id = Some(grant.jti());
            record.aud.clone_from(&grant.audiences);
            record.iat = Some(grant.issued_at);
            record.exp = Some(grant.expires_at);
        }
    }
    record
}

pub(crate) fn instance_of(agent: &Agent, instance: &Instance) -> Who {
    Who {
        instance: Some(instance.id),
        run: Some(instance.run),
        node: Some(instance.node),
        assurance: Some(instance.assurance.into()),
        evidence: Some(instance.evidence),
        ..who(agent)
    }
}

fn refuse(
    world: &World,
    agent: &Agent,
    instance: Option<&Instance>,
    reason: Reason,
    draw: &mut Draw<'_>,
) -> Outcome<Permit> {
    let mut event = draw.event(EventKind::SvidRefused, world.revision());
    event.org = Some(agent.org);
    event.who = Some(instance.map_or_else(|| who(agent), |instance| instance_of(agent, instance)));
    let refusal = Refusal::new(draw.id(), Cause::Subject(reason));
    let mut decision = Decision::new(refusal.decision(), Ruling::Deny);
    decision.reasons = refusal.codes();
    event.decision = Some(decision);
    Outcome::Refused(Plan::new(world.revision(), event, refusal))
}

/// Records that an instance may not have an SVID, and why.
pub fn not_entitled(
    world: &World,
    node: &NodeRecord,
    instance: InstanceId,
    reason: Reason,
    draw: &mut Draw<'_>,
) -> Plan<Refusal> {
    let known = world.instance(OrgScope::Every, instance);
    let mut event = draw.event(EventKind::SvidRefused, world.revision());
    event.org = known.map_or(node.org, |known| Some(known.org));
    event.who = Some(Who {
        agent: known.map(|known| known.agent),
        instance: Some(instance),
        node: Some(node.id),
        ..Who::default()
    });
    let refusal = Refusal::new(draw.id(), Cause::Subject(reason));
    let mut decision = Decision::new(refusal.decision(), Ruling::Deny);
    decision.reasons = refusal.codes();
    event.decision = Some(decision);
    Plan::new(world.revision(), event, refusal)
}
