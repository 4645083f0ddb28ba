//! The inventory: founding an installation, orgs, principals, agents, contracts, upstreams, registrations.
//!
//! An agent without owner, purpose, contract and expiry cannot be registered. Everything here is an administrator's
//! act, needs a role, and names its human in the entry. What gives something away (what runs as an agent, where a secret is
//! sent) takes a session that was verified lately besides; what takes away does not.

pub mod manifest;

use crate::admin::Administrator;
use crate::draw::Draw;
use crate::plan::{OnceKind, Outcome, Plan, Precondition};
use crate::refusal::Cause;
use crate::succession::{self, Scrutiny};
use crate::upstream::Upstream;
use crate::world::{
    Agent, AgentState, Change, JoinToken, LaunchSpec, MemberRole, NodeRecord, Org, Principal, PublicKey,
    Registration, Role, World,
};
use audit::event::Minted;
use audit::{Event, EventKind};
use aws_lc_rs::digest::{SHA256, digest};
use identity::{
    AgentId, Digest, Name, NodeId, OrgId, OrgScope, SpiffeId, Thumbprint, TrustDomain, UnixTime, UpstreamId,
};
use serde_json::Value;

/// An administrative act was recorded. What it made is found in the World at its revision.
#[derive(Debug)]
pub struct Done<T = ()> {
    made: T,
}

impl Done {
    /// Nothing that has an id.
    pub(crate) const fn nothing_made() -> Self {
        Self { made: () }
    }
}

impl<T> Done<T> {
    pub(crate) const fn of(made: T) -> Self {
        Self { made }
    }
}

impl<T: Copy> Done<T> {
    /// The id that it made, unstamped: apply [`identity::Id::at`] with the revision of its record.
    pub const fn made(&self) -> T {
        self.made
    }
}

/// The first Changes of an installation: its names, its first org, its first administrator, its public keys.
/// There is no administrator yet who could ask; the shell calls this once, on an empty World.
pub fn found(
    world: &World,
    founding: Founding,
    draw: &mut Draw<'_>,
) -> Result<Plan<Done<OrgId>>, AlreadyFounded> {
    if world.founding().is_some() {
        return Err(AlreadyFounded);
    }
    let org = draw.minted();
    let mut event = draw.event(EventKind::OrgCreated, world.revision());
    event.minted = Some(Minted::Org(org));
    event.org = Some(org);
    event.change_summary = vec![
        format!(
            "trust domain {} founded, issuer {}",
            founding.trust_domain, founding.issuer
        ),
        format!("org {} created", founding.org),
        format!(
            "principal {} is admin (assurance: {})",
            draw.name(founding.admin.name.as_str()),
            founding.admin.assurance
        ),
    ];
    let mut plan = Plan::new(world.revision(), event, Done { made: org })
        .expecting(Precondition::AtRevision(world.revision()))
        .changing(Change::Founded {
            trust_domain: founding.trust_domain,
            issuer: founding.issuer,
            epoch: founding.epoch,
        })
        .changing(Change::OrgCreated(Org {
            id: org,
            name: founding.org,
        }))
        .changing(Change::PrincipalAdded(founding.admin));
    for key in founding.keys {
        plan = plan.changing(Change::KeyPublished(key));
    }
    Ok(plan)
}

/// What an installation starts with.
#[derive(Debug)]
pub struct Founding {
    /// Namespace of its SPIFFE IDs.
    pub trust_domain: TrustDomain,
    /// `iss` of its credentials.
    pub issuer: String,
    /// 1, and one more after each restore.
    pub epoch: u64,
    /// Its first org.
    pub org: Name,
    /// Its first administrator.
    pub admin: Principal,
    /// Public halves of its keys.
    pub keys: Vec<PublicKey>,
}

/// Creates another org. Only an administrator of the whole installation can.
pub fn create_org(
    world: &World,
    who: &Administrator,
    name: Name,
    draw: &mut Draw<'_>,
) -> Outcome<Done<OrgId>> {
    let role = Role::Admin;
    if let Err(refused) = who.check_in_person(role, None, world, draw) {
        return refused;
    }
    if world.orgs(OrgScope::Every).any(|org| org.name == name) {
        let message = format!("an org named {name} exists: choose another name");
        return who.refuse(
            Cause::Invalid {
                code: "ORG_EXISTS",
                message,
            },
            role,
            world,
            draw,
        );
    }
    let org = draw.minted();
    let mut event = who.event(EventKind::OrgCreated, role, world, draw);
    event.minted = Some(Minted::Org(org));
    event.org = Some(org);
    event.change_summary = vec![format!("org {name} created")];
    Outcome::Granted(
        Plan::new(world.revision(), event, Done { made: org })
            .changing(Change::OrgCreated(Org { id: org, name })),
    )
}

/// The installation exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the installation was founded before")]
pub struct AlreadyFounded;

/// What the manifest of an agent says.
#[derive(Debug, Clone)]
pub struct AgentManifest {
    /// Unique within its org.
    pub name: Name,
    /// Who answers for it.
    pub owner: String,
    /// One sentence.
    pub purpose: String,
    /// Hash of a published contract.
    pub contract: Digest,
    /// When it stops being allowed to act.
    pub expires_at: UnixTime,
    /// How it may be launched, if we launch it.
    pub launch: Option<LaunchTerms>,
}

/// The launch section of a manifest. See [`LaunchSpec`].
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchTerms {
    /// See [`LaunchSpec::launchers`].
    pub launchers: Vec<u32>,
    /// See [`LaunchSpec::argv`].
    pub argv: crate::world::ArgvRule,
    /// See [`LaunchSpec::executable`].
    pub executable: Option<Digest>,
    /// See [`LaunchSpec::cwd`].
    pub cwd: Option<String>,
    /// See [`LaunchSpec::env_allow`].
    pub env_allow: Vec<String>,
    /// See [`LaunchSpec::env_set`].
    pub env_set: std::collections::BTreeMap<String, String>,
    /// See [`LaunchSpec::roots`].
    pub roots: Vec<crate::world::MeasuredRoot>,
    /// See [`LaunchSpec::isolate`].
    pub isolate: bool,
    /// See [`LaunchSpec::binds`].
    pub binds: Vec<crate::world::VisiblePath>,
}

impl LaunchTerms {
    /// Launches by one user of what `argv` says, with nothing else laid down.
    pub fn by(launcher: u32, argv: crate::world::ArgvRule) -> Self {
        Self {
            launchers: vec![launcher],
            argv,
            executable: None,
            cwd: None,
            env_allow: Vec::new(),
            env_set: std::collections::BTreeMap::new(),
            roots: Vec::new(),
            isolate: false,
            binds: Vec::new(),
        }
    }
}

/// Registers an agent, or updates the one of that name: owner, purpose, contract, expiry, launch spec. Another contract
/// than before takes what [`crate::succession`] asks for.
pub fn apply_agent(
    world: &World,
    who: &Administrator,
    org: OrgId,
    manifest: AgentManifest,
    scrutiny: Scrutiny<'_>,
    draw: &mut Draw<'_>,
) -> Outcome<Done<AgentId>> {
    let role = Role::Author;
    if let Err(refused) = who.check_in_person(role, Some(org), world, draw) {
        return refused;
    }
    let scope = OrgScope::Only(org);
    let spiffe_id = match agent_spiffe_id(world, org, &manifest.name) {
        Ok(id) => id,
        Err(message) => {
            return who.refuse(
                Cause::Invalid {
                    code: "AGENT_NAME",
                    message,
                },
                role,
                world,
                draw,
            );
        }
    };
    if manifest.owner.trim().is_empty() || manifest.purpose.trim().is_empty() {
        let message = "an agent needs an owner and a purpose: fill in `owner` and `purpose`".to_owned();
        return who.refuse(
            Cause::Invalid {
                code: "AGENT_OWNERLESS",
                message,
            },
            role,
            world,
            draw,
        );
    }
    if manifest.expires_at <= draw.now() {
        let message = "the agent would be expired already: set `expires` to a later date".to_owned();
        return who.refuse(
            Cause::Invalid {
                code: "AGENT_EXPIRED",
                message,
            },
            role,
            world,
            draw,
        );
    }
    let Some(contract) = world.contract(scope, &manifest.contract) else {
        let message = format!(
            "contract {} is not published: run `tabard contract apply FILE` first",
            manifest.contract
        );
        return who.refuse(
            Cause::Invalid {
                code: "AGENT_CONTRACT_UNKNOWN",
                message,
            },
            role,
            world,
            draw,
        );
    };
    let known = world.agent_named(scope, org, &manifest.name);
    let before = known
        .map(|agent| agent.contract)
        .filter(|old| *old != manifest.contract);
    let compared = before.map_or(Ok(Vec::new()), |old| {
        succession::takes_the_place(world, org, (&old, &manifest.contract), scrutiny)
    });
    let compared = match compared {
        Ok(compared) => compared,
        Err(cause) => return who.refuse(cause, role, world, draw),
    };
    let id = known.map_or_else(|| draw.minted(), |agent| agent.id);
    let agent = Agent {
        id,
        org,
        name: manifest.name.clone(),
        spiffe_id,
        owner: manifest.owner,
        purpose: manifest.purpose,
        contract: manifest.contract,
        state: known.map_or(AgentState::Active, |agent| agent.state),
        expires_at: manifest.expires_at,
    };
    let kind = if known.is_some() {
        EventKind::AgentChanged
    } else {
        EventKind::AgentRegistered
    };
    let mut event = who.event(kind, role, world, draw);
    event.org = Some(org);
    event.minted = known.is_none().then_some(Minted::Agent(id));
    event.who = Some(audit::event::Who {
        agent: Some(id),
        agent_name: Some(agent.name.clone()),
        spiffe_id: Some(agent.spiffe_id.clone()),
        ..audit::event::Who::default()
    });
    event.change_summary = vec![format!(
        "agent {} of {}: contract {} version {}, expires {}",
        agent.name,
        agent.owner,
        contract.name,
        contract.version,
        agent.expires_at.rfc3339()
    )];
    event.change_summary.extend(compared);
    let spec = manifest.launch.map(|terms| launch_spec(&agent, terms));
    if let Some(spec) = &spec {
        event.change_summary.push(if spec.is_pinned() {
            format!("launch spec of {}: pinned", agent.name)
        } else {
            format!("launch spec of {}: unpinned, level 1 at most", agent.name)
        });
    }
    let before = world.launch_spec(scope, id).filter(|_| spec.is_none());
    if before.is_some_and(|before| before.contract != agent.contract) {
        event.change_summary.push(format!(
            "launch spec of {}: of another contract version, so nothing is launched until it is applied with this one",
            agent.name
        ));
    }
    let mut plan = Plan::new(world.revision(), event, Done { made: id });
    plan = if known.is_some() {
        plan.expecting(Precondition::AtRevision(world.revision()))
            .changing(Change::AgentUpdated(agent))
    } else {
        plan.expecting(name_taken_once("agent", org, &agent.name))
            .changing(Change::AgentRegistered(agent))
    };
    if let Some(spec) = spec {
        plan = plan.changing(Change::LaunchSpecSet(spec));
    }
    Outcome::Granted(plan)
}

fn launch_spec(agent: &Agent, terms: LaunchTerms) -> LaunchSpec {
    let LaunchTerms {
        launchers,
        argv,
        executable,
        cwd,
        env_allow,
        env_set,
        roots,
        isolate,
        binds,
    } = terms;
    LaunchSpec {
        agent: agent.id,
        org: agent.org,
        contract: agent.contract,
        launchers,
        argv,
        executable,
        cwd,
        env_allow,
        env_set,
        roots,
        isolate,
        binds,
    }
}

/// `spiffe://<trust domain>/<org>/agent/<name>`.
pub fn agent_spiffe_id(world: &World, org: OrgId, name: &Name) -> Result<SpiffeId, String> {
    let name = Name::unreserved(name.as_str()).map_err(|error| error.to_string())?;
    let founding = world.founding().ok_or("the installation was not founded yet")?;
    let org = world
        .org(OrgScope::Only(org), org)
        .ok_or("the org does not exist")?;
    founding
        .trust_domain
        .id_of(&[org.name.as_str(), "agent", name.as_str()])
        .map_err(|error| error.to_string())
}

/// Suspends, resumes or retires an agent. Resuming brings no old credential back: they were revoked with it.
pub fn set_agent_state(
    world: &World,
    who: &Administrator,
    agent: &Agent,
    state: AgentState,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let role = Role::Operator;
    let checked = match state {
        // Stopping is for everybody at once; letting go on is not.
        AgentState::Active => who.check_in_person(role, Some(agent.org), world, draw),
        AgentState::Suspended | AgentState::Retired => who.check(role, Some(agent.org), world, draw),
    };
    if let Err(refused) = checked {
        return refused;
    }
    if agent.state == AgentState::Retired {
        let message = format!("{} was retired; register a new agent", agent.name);
        return who.refuse(
            Cause::Invalid {
                code: "AGENT_RETIRED",
                message,
            },
            role,
            world,
            draw,
        );
    }
    let kind = match state {
        AgentState::Active => EventKind::AgentResumed,
        AgentState::Suspended => EventKind::AgentSuspended,
        AgentState::Retired => EventKind::AgentRetired,
    };
    let mut event = who.event(kind, role, world, draw);
    event.org = Some(agent.org);
    event.who = Some(audit::event::Who {
        agent: Some(agent.id),
        agent_name: Some(agent.name.clone()),
        spiffe_id: Some(agent.spiffe_id.clone()),
        ..audit::event::Who::default()
    });
    event.change_summary = vec![format!("agent {} is now {state:?}", agent.name).to_lowercase()];
    Outcome::Granted(
        Plan::new(world.revision(), event, Done { made: () }).changing(Change::AgentStateSet {
            agent: agent.id,
            org: agent.org,
            state,
        }),
    )
}

/// Publishes an upstream, or a new version of the one of that name.
pub fn publish_upstream(
    world: &World,
    who: &Administrator,
    mut upstream: Upstream,
    draw: &mut Draw<'_>,
) -> Outcome<Done<UpstreamId>> {
    let role = Role::Author;
    if let Err(refused) = who.check_in_person(role, Some(upstream.org), world, draw) {
        return refused;
    }
    let scope = OrgScope::Only(upstream.org);
    let taken = world
        .upstreams(OrgScope::Every)
        .filter(|other| other.org != upstream.org || other.name != upstream.name)
        .find(|other| other.hosts.iter().any(|host| upstream.hosts.contains(host)));
    if let Some(other) = taken {
        let message = format!(
            "a host of {} belongs to the upstream {}: remove it from one",
            upstream.name, other.name
        );
        return who.refuse(
            Cause::Invalid {
                code: "UPSTREAM_HOST_TAKEN",
                message,
            },
            role,
            world,
            draw,
        );
    }
    let known = world.upstream_named(scope, upstream.org, &upstream.name);
    upstream.id = known.map_or_else(|| draw.minted(), |known| known.id);
    upstream.secret_version = known.map_or(0, |known| known.secret_version);
    let mut event = who.event(EventKind::UpstreamPublished, role, world, draw);
    event.org = Some(upstream.org);
    event.minted = known.is_none().then_some(Minted::Upstream(upstream.id));
    event
        .detail
        .insert("upstream".into(), Value::String(upstream.id.to_string()));
    event.change_summary = vec![format!(
        "upstream {} at {}, {} routes",
        upstream.name,
        upstream.base_url,
        upstream.routes.len()
    )];
    let made = upstream.id;
    Outcome::Granted(
        Plan::new(world.revision(), event, Done { made })
            .expecting(Precondition::AtRevision(world.revision()))
            .changing(Change::UpstreamPublished(upstream)),
    )
}

/// Announces a new version of an upstream's sealed secret. The secret itself was sealed before and is not here.
pub fn rotate_secret(
    world: &World,
    who: &Administrator,
    upstream: &Upstream,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let role = Role::Author;
    if let Err(refused) = who.check_in_person(role, Some(upstream.org), world, draw) {
        return refused;
    }
    let version = upstream.secret_version.saturating_add(1);
    let mut event = who.event(EventKind::KeyRotated, role, world, draw);
    event.org = Some(upstream.org);
    event
        .detail
        .insert("upstream".into(), Value::String(upstream.id.to_string()));
    event.change_summary = vec![format!(
        "secret of upstream {} is now version {version}",
        upstream.name
    )];
    Outcome::Granted(
        Plan::new(world.revision(), event, Done { made: () })
            .expecting(Precondition::AtRevision(world.revision()))
            .changing(Change::UpstreamSecretRotated {
                upstream: upstream.id,
                org: upstream.org,
                version,
            }),
    )
}

/// Adds a registration: selectors for a process that we do not launch.
pub fn add_registration(
    world: &World,
    who: &Administrator,
    registration: Registration,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let role = Role::Author;
    if let Err(refused) = who.check_in_person(role, Some(registration.org), world, draw) {
        return refused;
    }
    if world
        .agent(OrgScope::Only(registration.org), registration.agent)
        .is_none()
    {
        let message = "no such agent in this org".to_owned();
        return who.refuse(
            Cause::Invalid {
                code: "REGISTRATION_AGENT",
                message,
            },
            role,
            world,
            draw,
        );
    }
    let mut event = who.event(EventKind::RegistrationAdded, role, world, draw);
    event.org = Some(registration.org);
    event.change_summary = vec![format!(
        "registration {}: uid {} {}",
        registration.name, registration.uid, registration.executable
    )];
    Outcome::Granted(
        Plan::new(world.revision(), event, Done { made: () })
            .changing(Change::RegistrationAdded(registration)),
    )
}

/// Removes a registration; SVIDs that it gave are redacted at the next push.
pub fn remove_registration(
    world: &World,
    who: &Administrator,
    org: OrgId,
    name: &Name,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let role = Role::Author;
    if let Err(refused) = who.check(role, Some(org), world, draw) {
        return refused;
    }
    let mut event = who.event(EventKind::RegistrationRemoved, role, world, draw);
    event.org = Some(org);
    event.change_summary = vec![format!("registration {name} removed")];
    Outcome::Granted(Plan::new(world.revision(), event, Done { made: () }).changing(
        Change::RegistrationRemoved {
            name: name.clone(),
            org,
        },
    ))
}

/// Creates a one-time bootstrap secret for a node agent or gateway. Only its digest comes here.
pub fn create_join_token(
    world: &World,
    who: &Administrator,
    token: JoinToken,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let role = Role::Admin;
    if let Err(refused) = who.check_in_person(role, token.org, world, draw) {
        return refused;
    }
    let mut event = who.event(EventKind::JoinTokenCreated, role, world, draw);
    event.org = token.org;
    event.change_summary = vec![
        format!(
            "join token for a {:?}, until {}",
            token.role,
            token.expires_at.rfc3339()
        )
        .to_lowercase(),
    ];
    Outcome::Granted(
        Plan::new(world.revision(), event, Done { made: () }).changing(Change::JoinTokenCreated(token)),
    )
}

/// How a new member proved that it may join.
#[derive(Debug)]
pub enum Bootstrap {
    /// It showed the secret whose digest this is; it is spent with the commit, and only with it.
    JoinToken {
        /// The digest.
        digest: Digest,
        /// The word for what it is going to be; empty if it did not say.
        role: String,
    },
    /// It runs in the server's own process (`tabard dev`).
    SameProcess {
        /// What it does there.
        role: MemberRole,
        /// The member that it was before a restart: it keeps its id and log, and gets a new key.
        again: Option<NodeId>,
    },
}

/// Why a would-be member was turned away. It learns no more than that; its join token is not spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The secret buys nothing.
    #[error("the join token is unknown, spent or expired: create a new one with `tabard join-token create`")]
    Token,
    /// The key is that of a member that was removed.
    #[error("this member was removed: join with an empty data directory, so that it gets a new key")]
    Removed,
    /// The key is that of a member with another role or org.
    #[error(
        "the join token is for another role or org: create one with `tabard join-token create --role` and what this member is"
    )]
    OtherRole,
}

impl NotAdmitted {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Token => "JOIN_TOKEN",
            Self::Removed => "MEMBER_REMOVED",
            Self::OtherRole => "JOIN_TOKEN_ROLE",
        }
    }
}

/// Admits a node agent or gateway that proved `key`.
pub fn join(
    world: &World,
    bootstrap: &Bootstrap,
    key: Thumbprint,
    log: u16,
    draw: &mut Draw<'_>,
) -> Result<Plan<Done<NodeId>>, NotAdmitted> {
    let founding = world.founding().ok_or(NotAdmitted::Token)?;
    let (role, org, spent) = match bootstrap {
        Bootstrap::JoinToken { digest, role: wanted } => {
            let token = world
                .join_token(digest)
                .filter(|token| draw.now() < token.expires_at)
                .ok_or(NotAdmitted::Token)?;
            if !wanted.is_empty() && wanted != token.role.word() {
                return Err(NotAdmitted::OtherRole);
            }
            (token.role, token.org, Some((*digest, token.expires_at)))
        }
        Bootstrap::SameProcess { role, .. } => (*role, None, None),
    };
    let before = match bootstrap {
        Bootstrap::SameProcess { again, .. } => again.and_then(|id| world.node(id)),
        // A member that is known by its key is the same member again, with the same log.
        Bootstrap::JoinToken { .. } => world.member_with(key),
    };
    if world.was_member(key) {
        return Err(NotAdmitted::Removed);
    }
    if before.is_some_and(|before| before.role != role || before.org != org) {
        return Err(NotAdmitted::OtherRole);
    }
    let id: NodeId = before.map_or_else(|| draw.minted(), |before| before.id);
    let log = before.map_or(log, |before| before.log);
    let kind = role.word();
    let spiffe_id = founding
        .trust_domain
        .id_of(&["_tabard", kind, &key.to_string()])
        .map_err(|_| NotAdmitted::Token)?;
    let mut event = draw.event(EventKind::NodeJoined, world.revision());
    event.org = org;
    event.minted = before.is_none().then_some(Minted::Node(id));
    event.who = Some(audit::event::Who {
        node: Some(id),
        spiffe_id: Some(spiffe_id.clone()),
        ..audit::event::Who::default()
    });
    event.change_summary = vec![format!("{kind} {id} joined, log {log}")];
    let node = NodeRecord {
        id,
        role,
        org,
        spiffe_id,
        key,
        assurance: 1,
        log,
        removed: false,
    };
    let mut plan = Plan::new(world.revision(), event, Done { made: id }).changing(Change::NodeJoined {
        node,
        spent: spent.map(|(digest, _)| digest),
    });
    if let Some((digest, until)) = spent {
        plan = plan.expecting(Precondition::Unused {
            kind: OnceKind::JoinToken,
            key: *digest.as_bytes(),
            until,
        });
    }
    Ok(plan)
}

/// Forgets revocations and tasks that nothing alive can match any more.
pub fn forget(world: &World, until: UnixTime, draw: &mut Draw<'_>) -> Plan<Done> {
    let mut event: Event = draw.event(EventKind::LogHeartbeat, world.revision());
    event.change_summary = vec![format!(
        "revocations and tasks over before {} forgotten",
        until.rfc3339()
    )];
    Plan::new(world.revision(), event, Done { made: () }).changing(Change::RevocationsForgotten { until })
}

/// Says that the log is alive though nothing happened.
pub fn heartbeat(world: &World, draw: &mut Draw<'_>) -> Plan<Done> {
    let event = draw.event(EventKind::LogHeartbeat, world.revision());
    Plan::new(world.revision(), event, Done { made: () })
}

fn name_taken_once(what: &str, org: OrgId, name: &Name) -> Precondition {
    let text = format!("{what}\0{org}\0{name}");
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    Precondition::Unused {
        kind: OnceKind::Name,
        key,
        until: UnixTime::MAX,
    }
}

#[cfg(test)]
mod tests;
