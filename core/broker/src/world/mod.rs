//! The World: everything that changes at human or task pace, as one immutable value.
//!
//! A request loads it once and looks at nothing else: no lock, no I/O, no database. Every accessor takes an
//! [`OrgScope`]; what lies outside it does not exist for the caller. [`Change`] is the only way to a new version.

mod agent;
mod apply;
pub mod approval;
mod change;
mod claimed;
mod consent;
mod contract;
pub mod directory;
mod exception;
mod home;
mod judged;
mod key;
mod member;
mod org;
mod proposal;
mod revocation;
mod service_key;
mod session;
mod task;
mod trust;
mod user;
mod webhook;

pub use agent::{Agent, AgentState, ArgvRule, Instance, LaunchSpec, MeasuredRoot, Registration, VisiblePath};
pub use approval::{Approval, Group};
pub use change::Change;
pub use claimed::Claimed;
pub use consent::{Consent, Given, Said};
pub use contract::ContractRecord;
pub use directory::Directory;
pub use exception::Exception;
pub use home::Home;
pub use judged::{Answer, Judged, Question};
pub use key::{KeyClass, PublicKey};
pub use member::{JoinToken, MemberRole, NodeRecord};
pub use org::{Org, Principal, Role};
pub use proposal::{Person, Proposal};
pub use revocation::{Revocation, Target};
pub use service_key::ServiceKey;
pub use session::{Account, Invite, Passkey, Session, Surface, WayIn};
pub use task::{Opener, OpenerKind, Task};
pub use trust::{ClaimRights, DecisionPoint, TrustSource};
pub use user::{User, UserRight};
pub use webhook::Webhook;

use crate::ledger::TrailKey;
use crate::upstream::Upstream;
use identity::{
    AgentId, ApprovalId, Digest, ExceptionId, IdHasher, InstanceId, LogId, Name, NodeId, OrgId, OrgScope,
    Revision, SpiffeId, TaskId, Thumbprint, TrustDomain, UnixTime, UpstreamId,
};
use imbl::shared_ptr::DefaultSharedPtr;
use serde::{Deserialize, Serialize};
use std::ops::Bound;
use std::sync::Arc;

/// How long after its end a task is remembered: no credential lives longer than an hour, and the story of a task
/// is asked for soon after it ended or from the log.
pub const TASK_MEMORY_SECS: u64 = 2 * 3600;

/// Most tasks from one to its root: as many agents as a chain has parties.
pub const TASK_DEPTH_MAX: usize = identity::CHAIN_DEPTH_MAX;

type IdMap<K, V> = imbl::GenericHashMap<K, V, IdHasher, DefaultSharedPtr>;
type Ordered<K, V> = imbl::OrdMap<K, V>;

/// One version of the World. Cloning is cheap (shared structure).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct World {
    revision: Revision,
    founded: Option<Founding>,
    orgs: IdMap<OrgId, Arc<Org>>,
    org_names: Ordered<Name, OrgId>,
    principals: Ordered<Name, Arc<Principal>>,
    principal_uids: Ordered<u32, Name>,
    principal_accounts: Ordered<Account, Name>,
    principal_passkeys: Ordered<Vec<u8>, Name>,
    invites: Ordered<Digest, Arc<Invite>>,
    sessions: Ordered<Digest, Arc<Session>>,
    agents: IdMap<AgentId, Arc<Agent>>,
    agent_names: Ordered<(OrgId, Name), AgentId>,
    agent_spiffe_ids: Ordered<SpiffeId, AgentId>,
    launch_specs: IdMap<AgentId, Arc<LaunchSpec>>,
    registrations: Ordered<(OrgId, Name), Arc<Registration>>,
    // By org too: the same text in two orgs is two contracts, or one org could take the other's away.
    contracts: Ordered<(Digest, OrgId), Arc<ContractRecord>>,
    #[serde(default)]
    proposals: Ordered<(Digest, OrgId), Arc<Proposal>>,
    #[serde(default)]
    exceptions: Ordered<(AgentId, ExceptionId), Arc<Exception>>,
    upstreams: IdMap<UpstreamId, Arc<Upstream>>,
    upstream_names: Ordered<(OrgId, Name), UpstreamId>,
    tasks: IdMap<TaskId, Arc<Task>>,
    #[serde(default)]
    directories: Ordered<(OrgId, Name), Arc<Directory>>,
    #[serde(default)]
    users: Ordered<(OrgId, String, String), Arc<User>>,
    #[serde(default)]
    trust_sources: Ordered<(OrgId, String), Arc<TrustSource>>,
    consents: Ordered<(OrgId, String, String), Arc<Consent>>,
    // Issuers whose users are asked themselves.
    consent_asked: Ordered<(OrgId, String), ()>,
    claimed: Ordered<(OrgId, String, String), Arc<Claimed>>,
    judged: Ordered<(OrgId, String, String), Arc<Judged>>,
    instances: IdMap<InstanceId, Arc<Instance>>,
    #[serde(default)]
    running: Ordered<(AgentId, TaskId, InstanceId), ()>,
    homes: IdMap<TrailKey, Home>,
    revocations: Ordered<Target, Revoked>,
    keys: Ordered<String, Arc<PublicKey>>,
    join_tokens: Ordered<Digest, Arc<JoinToken>>,
    nodes: IdMap<NodeId, Arc<NodeRecord>>,
    approvals: IdMap<ApprovalId, Arc<Approval>>,
    // The newest of each exact request of a task.
    requests: Ordered<(TaskId, Digest), ApprovalId>,
    groups: Ordered<(OrgId, Name), Arc<Group>>,
    webhooks: Ordered<(OrgId, Name), Arc<Webhook>>,
    service_keys: Ordered<Thumbprint, Arc<ServiceKey>>,
}

/// What an installation is from its first Change on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Founding {
    /// Namespace of every SPIFFE ID.
    pub trust_domain: TrustDomain,
    /// `iss` of every credential.
    pub issuer: String,
    /// Raised by `restore`.
    pub epoch: u64,
}

/// A revocation in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revoked {
    /// Credentials decided before this revision are refused.
    pub before: Revision,
    /// The org it belongs to; `None` for the installation.
    pub org: Option<OrgId>,
    /// When it can be forgotten.
    pub forget_at: UnixTime,
}

impl World {
    /// This version's number.
    pub const fn revision(&self) -> Revision {
        self.revision
    }
    /// The installation's trust domain, issuer and epoch; `None` before it was founded.
    pub const fn founding(&self) -> Option<&Founding> {
        self.founded.as_ref()
    }

    /// An org by id.
    pub fn org(&self, scope: OrgScope, id: OrgId) -> Option<&Arc<Org>> {
        scope.holds(id).then(|| self.orgs.get(&id)).flatten()
    }
    /// An org by name.
    pub fn org_named(&self, scope: OrgScope, name: &Name) -> Option<&Arc<Org>> {
        self.org_names.get(name).and_then(|id| self.org(scope, *id))
    }
    /// Every org in reach.
    pub fn orgs(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Org>> {
        self.orgs.values().filter(move |org| scope.holds(org.id))
    }

    /// A principal by name.
    pub fn principal(&self, name: &Name) -> Option<&Arc<Principal>> {
        self.principals.get(name)
    }
    /// The principal that a uid of this host maps to.
    pub fn principal_with_uid(&self, uid: u32) -> Option<&Arc<Principal>> {
        self.principal_uids
            .get(&uid)
            .and_then(|name| self.principal(name))
    }
    /// The principal that comes in by that account.
    pub fn principal_with_account(&self, account: &Account) -> Option<&Arc<Principal>> {
        self.principal_accounts
            .get(account)
            .and_then(|name| self.principal(name))
    }
    /// The principal that comes in by the passkey of that credential id.
    pub fn principal_with_passkey(&self, credential: &[u8]) -> Option<&Arc<Principal>> {
        self.principal_passkeys
            .get(credential)
            .and_then(|name| self.principal(name))
    }
    /// An unspent invite by the digest of its secret.
    pub fn invite(&self, digest: &Digest) -> Option<&Arc<Invite>> {
        self.invites.get(digest)
    }
    /// Every unspent invite in reach.
    pub fn invites(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Invite>> {
        self.invites.values().filter(move |it| reaches(scope, it.org))
    }
    /// A session by the digest of its secret. Whether it is still good is for [`crate::session`] to say.
    pub fn session(&self, digest: &Digest) -> Option<&Arc<Session>> {
        self.sessions.get(digest)
    }
    /// Every session in reach: those of the scope's org, and all for [`OrgScope::Every`].
    pub fn sessions(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.values().filter(move |it| reaches(scope, it.org))
    }
    /// Every principal in reach: those of the scope's org, and all for [`OrgScope::Every`].
    pub fn principals(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Principal>> {
        self.principals.values().filter(move |p| reaches(scope, p.org))
    }

    /// An agent by id.
    pub fn agent(&self, scope: OrgScope, id: AgentId) -> Option<&Arc<Agent>> {
        self.agents.get(&id).filter(|agent| scope.holds(agent.org))
    }
    /// An agent by its name within an org.
    pub fn agent_named(&self, scope: OrgScope, org: OrgId, name: &Name) -> Option<&Arc<Agent>> {
        let key = (org, name.clone());
        self.agent_names.get(&key).and_then(|id| self.agent(scope, *id))
    }
    /// An agent by its SPIFFE ID.
    pub fn agent_of(&self, scope: OrgScope, spiffe_id: &SpiffeId) -> Option<&Arc<Agent>> {
        self.agent_spiffe_ids
            .get(spiffe_id)
            .and_then(|id| self.agent(scope, *id))
    }
    /// The agents of an org in the order of their names, from the one after `after` on.
    pub fn agents_after(&self, org: OrgId, after: Option<&Name>) -> impl Iterator<Item = &Arc<Agent>> {
        // The least name that there can be.
        let least = || "0".parse::<Name>().ok();
        let from = match after {
            Some(name) => Bound::Excluded((org, name.clone())),
            None => least().map_or(Bound::Unbounded, |least| Bound::Included((org, least))),
        };
        self.agent_names
            .range((from, Bound::Unbounded))
            .take_while(move |((of, _), _)| *of == org)
            .filter_map(|(_, id)| self.agents.get(id))
    }
    /// Every agent in reach, in no particular order.
    pub fn agents(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.values().filter(move |agent| scope.holds(agent.org))
    }

    /// The destinations that are a tenant's own.
    pub fn directory(&self, scope: OrgScope, org: OrgId, tenant: &Name) -> Option<&Arc<Directory>> {
        let key = (org, tenant.clone());
        scope.holds(org).then(|| self.directories.get(&key)).flatten()
    }
    /// Every directory in reach.
    pub fn directories(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Directory>> {
        self.directories
            .values()
            .filter(move |directory| scope.holds(directory.org))
    }
    /// A user by issuer and subject.
    pub fn user(&self, scope: OrgScope, org: OrgId, issuer: &str, subject: &str) -> Option<&Arc<User>> {
        let key = (org, issuer.to_owned(), subject.to_owned());
        scope.holds(org).then(|| self.users.get(&key)).flatten()
    }
    /// Every user in reach.
    pub fn users(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<User>> {
        self.users.values().filter(move |user| scope.holds(user.org))
    }
    /// What a user said about agents that act for them, and whether the org asks them.
    pub fn said(&self, scope: OrgScope, org: OrgId, issuer: &str, subject: &str) -> Said {
        if !scope.holds(org) {
            return Said {
                consent: None,
                asked: true,
            };
        }
        let key = (org, issuer.to_owned(), subject.to_owned());
        Said {
            consent: self.consents.get(&key).cloned(),
            asked: self.consent_asked.contains_key(&(org, issuer.to_owned())),
        }
    }
    /// What an issuer's newest token said of a user.
    pub fn claimed(&self, scope: OrgScope, org: OrgId, issuer: &str, subject: &str) -> Option<&Arc<Claimed>> {
        let key = (org, issuer.to_owned(), subject.to_owned());
        scope.holds(org).then(|| self.claimed.get(&key)).flatten()
    }
    /// What the org's decision point said of a user.
    pub fn judged(&self, scope: OrgScope, org: OrgId, issuer: &str, subject: &str) -> Option<&Arc<Judged>> {
        let key = (org, issuer.to_owned(), subject.to_owned());
        scope.holds(org).then(|| self.judged.get(&key)).flatten()
    }
    /// Whether anything that a token or a decision point said of users can be forgotten.
    pub fn has_claims_over(&self, until: UnixTime) -> bool {
        self.claimed.values().any(|claimed| claimed.forget_at <= until)
            || self.judged.values().any(|judged| judged.is_over(until))
    }
    /// The issuer of users' tokens that the org trusts under this name.
    pub fn trust_source(&self, scope: OrgScope, org: OrgId, issuer: &str) -> Option<&Arc<TrustSource>> {
        let key = (org, issuer.to_owned());
        scope.holds(org).then(|| self.trust_sources.get(&key)).flatten()
    }
    /// Every trusted issuer in reach.
    pub fn trust_sources(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<TrustSource>> {
        self.trust_sources
            .values()
            .filter(move |source| scope.holds(source.org))
    }

    /// How an agent may be launched.
    pub fn launch_spec(&self, scope: OrgScope, agent: AgentId) -> Option<&Arc<LaunchSpec>> {
        self.launch_specs.get(&agent).filter(|spec| scope.holds(spec.org))
    }
    /// Every registration in reach, by org and name.
    pub fn registrations(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Registration>> {
        self.registrations
            .values()
            .filter(move |registration| scope.holds(registration.org))
    }

    /// A contract version by hash.
    pub fn contract(&self, scope: OrgScope, hash: &Digest) -> Option<&Arc<ContractRecord>> {
        match scope {
            OrgScope::Only(org) => self.contracts.get(&(*hash, org)),
            // The same text, whoever published it.
            OrgScope::Every => self
                .contracts
                .range((*hash, OrgId::from_u128(0))..)
                .next()
                .map(|(_, contract)| contract)
                .filter(|contract| contract.hash == *hash),
        }
    }
    /// Every contract version in reach.
    pub fn contracts(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<ContractRecord>> {
        self.contracts
            .values()
            .filter(move |contract| scope.holds(contract.org))
    }

    /// A contract that waits for somebody else's yes, by hash; also one whose time is over.
    pub fn proposal(&self, scope: OrgScope, org: OrgId, hash: &Digest) -> Option<&Arc<Proposal>> {
        scope
            .holds(org)
            .then(|| self.proposals.get(&(*hash, org)))
            .flatten()
    }
    /// Every proposal in reach.
    pub fn proposals(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Proposal>> {
        self.proposals
            .values()
            .filter(move |proposal| scope.holds(proposal.contract.org))
    }

    /// The exceptions of an agent; also those whose time is over.
    pub fn exceptions_of(&self, scope: OrgScope, agent: AgentId) -> impl Iterator<Item = &Arc<Exception>> {
        let first = (agent, ExceptionId::from_u128(0));
        self.exceptions
            .range(first..)
            .take_while(move |((of, _), _)| *of == agent)
            .map(|(_, exception)| exception)
            .filter(move |exception| scope.holds(exception.org))
    }
    /// Every exception in reach.
    pub fn exceptions(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Exception>> {
        self.exceptions
            .values()
            .filter(move |exception| scope.holds(exception.org))
    }

    /// An upstream by id.
    pub fn upstream(&self, scope: OrgScope, id: UpstreamId) -> Option<&Arc<Upstream>> {
        self.upstreams
            .get(&id)
            .filter(|upstream| scope.holds(upstream.org))
    }
    /// An upstream by its name within an org.
    pub fn upstream_named(&self, scope: OrgScope, org: OrgId, name: &Name) -> Option<&Arc<Upstream>> {
        let key = (org, name.clone());
        self.upstream_names
            .get(&key)
            .and_then(|id| self.upstream(scope, *id))
    }
    /// Every upstream in reach.
    pub fn upstreams(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Upstream>> {
        self.upstreams
            .values()
            .filter(move |upstream| scope.holds(upstream.org))
    }

    /// A task by id, open or still remembered.
    pub fn task(&self, scope: OrgScope, id: TaskId) -> Option<&Arc<Task>> {
        self.tasks.get(&id).filter(|task| scope.holds(task.org))
    }
    /// The task and those that it is a part of, up to the root; `None` where that line cannot be followed.
    pub fn task_line(&self, scope: OrgScope, id: TaskId) -> Option<Vec<&Arc<Task>>> {
        let mut line = vec![self.task(scope, id)?];
        while let Some(parent) = line.last().and_then(|task| task.parent) {
            if line.len() >= TASK_DEPTH_MAX {
                return None;
            }
            line.push(self.task(scope, parent)?);
        }
        Some(line)
    }
    /// Whether credentials may be issued for a task at `now`: it is open, and so is every task that it is a part of.
    pub fn is_task_open(&self, scope: OrgScope, id: TaskId, now: UnixTime) -> bool {
        self.task_line(scope, id)
            .is_some_and(|line| line.iter().all(|task| task.is_open(now)))
    }
    /// Every task in reach.
    pub fn tasks(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks.values().filter(move |task| scope.holds(task.org))
    }

    /// An approval by id, over or not.
    pub fn approval(&self, scope: OrgScope, id: ApprovalId) -> Option<&Arc<Approval>> {
        self.approvals
            .get(&id)
            .filter(|approval| scope.holds(approval.org))
    }
    /// The newest approval that was asked for exactly this request of a task.
    pub fn approval_of(&self, scope: OrgScope, task: TaskId, request: &Digest) -> Option<&Arc<Approval>> {
        let id = self.requests.get(&(task, *request))?;
        self.approval(scope, *id)
    }
    /// Whether anything was ever asked for in this task.
    pub fn asked_in(&self, task: TaskId) -> bool {
        let first = (task, Digest::from_bytes([0; 32]));
        let next = self.requests.range(first..).next();
        next.is_some_and(|((of, _), _)| *of == task)
    }
    /// Every approval in reach, in no particular order.
    pub fn approvals(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Approval>> {
        self.approvals
            .values()
            .filter(move |approval| scope.holds(approval.org))
    }
    /// A group of approvers.
    pub fn group(&self, scope: OrgScope, org: OrgId, name: &Name) -> Option<&Arc<Group>> {
        let key = (org, name.clone());
        scope.holds(org).then(|| self.groups.get(&key)).flatten()
    }
    /// Every group in reach.
    pub fn groups(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values().filter(move |group| scope.holds(group.org))
    }
    /// An endpoint that is told of approvals.
    pub fn webhook_named(&self, scope: OrgScope, org: OrgId, name: &Name) -> Option<&Arc<Webhook>> {
        let key = (org, name.clone());
        scope.holds(org).then(|| self.webhooks.get(&key)).flatten()
    }
    /// Every such endpoint in reach.
    pub fn webhooks(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Webhook>> {
        self.webhooks
            .values()
            .filter(move |webhook| scope.holds(webhook.org))
    }

    /// What is known of a key of a service.
    pub fn service_key(&self, scope: OrgScope, key: Thumbprint) -> Option<&Arc<ServiceKey>> {
        self.service_keys.get(&key).filter(|known| scope.holds(known.org))
    }
    /// Whether a service may renew by that key: it is the newest of its line, or asked for it. What came before has served.
    pub fn renews(&self, key: &ServiceKey) -> bool {
        let line = self.service_keys.values().filter(|known| known.line == key.line);
        let newest = line.map(|known| known.turn).max();
        newest.is_some_and(|newest| newest <= key.turn.saturating_add(1))
    }
    /// Every key of a service in reach.
    pub fn service_keys(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<ServiceKey>> {
        self.service_keys
            .values()
            .filter(move |known| scope.holds(known.org))
    }
    /// Whether any key of a service can be forgotten: its SVIDs are over.
    pub fn has_service_keys_over(&self, until: UnixTime) -> bool {
        self.service_keys
            .values()
            .any(|known| known.svid_ends_at <= until)
    }

    /// A live instance.
    pub fn instance(&self, scope: OrgScope, id: InstanceId) -> Option<&Arc<Instance>> {
        self.instances
            .get(&id)
            .filter(|instance| scope.holds(instance.org))
    }
    /// The live instances of an agent, in one task or in any.
    pub fn instances_of(
        &self,
        scope: OrgScope,
        agent: AgentId,
        task: Option<TaskId>,
    ) -> impl Iterator<Item = &Arc<Instance>> {
        let (first, last) = (TaskId::from_u128(0), TaskId::from_u128(u128::MAX));
        let from = (agent, task.unwrap_or(first), InstanceId::from_u128(0));
        let to = (agent, task.unwrap_or(last), InstanceId::from_u128(u128::MAX));
        self.running
            .range(from..=to)
            .filter_map(move |((_, _, instance), ())| self.instance(scope, *instance))
    }
    /// Every live instance in reach.
    pub fn instances(&self, scope: OrgScope) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances
            .values()
            .filter(move |instance| scope.holds(instance.org))
    }

    /// Where calls of that task tree, instance or agent are counted; `None` as long as there was none.
    pub fn home(&self, scope: OrgScope, of: TrailKey) -> Option<Home> {
        self.homes.get(&of).copied().filter(|home| scope.holds(home.org))
    }
    /// Everything that is at home at the gateway with that log.
    pub fn at_home(&self, log: LogId) -> impl Iterator<Item = (TrailKey, &Home)> {
        let there = move |home: &Home| home.log == Some(log);
        let all = self.homes.iter().map(|(of, home)| (*of, home));
        all.filter(move |(_, home)| there(home))
    }

    /// The revocation that hits any of `targets` for something decided at `rev`, with the target it names.
    pub fn revoked<'t>(&self, targets: &'t [Target], rev: Revision) -> Option<(&'t Target, Revoked)> {
        targets.iter().find_map(|target| {
            let hit = self.revocations.get(target)?;
            (rev < hit.before).then_some((target, *hit))
        })
    }
    /// Every revocation in force and in reach.
    pub fn revocations(&self, scope: OrgScope) -> impl Iterator<Item = (&Target, &Revoked)> {
        self.revocations
            .iter()
            .filter(move |(_, r)| r.org.is_none_or(|org| scope.holds(org)))
    }

    /// A published key by its `kid`.
    pub fn key(&self, kid: &str) -> Option<&Arc<PublicKey>> {
        self.keys.get(kid)
    }
    /// Every published key of one class.
    pub fn keys(&self, class: KeyClass) -> impl Iterator<Item = &Arc<PublicKey>> {
        self.keys.values().filter(move |key| key.class == class)
    }

    /// An unspent join token by the digest of its secret.
    pub fn join_token(&self, digest: &Digest) -> Option<&Arc<JoinToken>> {
        self.join_tokens.get(digest)
    }
    /// An admitted node agent or gateway; none that was removed.
    pub fn node(&self, id: NodeId) -> Option<&Arc<NodeRecord>> {
        self.nodes.get(&id).filter(|member| !member.removed)
    }
    /// Every admitted member that was not removed.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<NodeRecord>> {
        self.nodes.values().filter(|member| !member.removed)
    }
    /// The admitted member whose key that is. One whose membership was ended is found by [`Self::was_member`] alone.
    pub fn member_with(&self, key: Thumbprint) -> Option<&Arc<NodeRecord>> {
        self.nodes().find(|member| member.key == key)
    }
    /// Whether that is the key of a member that was removed.
    pub fn was_member(&self, key: Thumbprint) -> bool {
        self.nodes
            .values()
            .any(|member| member.removed && member.key == key)
    }
    /// The highest number of a member's log that was ever given.
    pub fn last_log(&self) -> u16 {
        self.nodes.values().map(|member| member.log).max().unwrap_or(0)
    }
}

/// Whether something of `org`, or of the installation, is in reach.
fn reaches(scope: OrgScope, org: Option<OrgId>) -> bool {
    org.map_or(scope == OrgScope::Every, |org| scope.holds(org))
}
