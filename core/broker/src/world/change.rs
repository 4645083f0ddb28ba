//! The only way to alter the World.
//!
//! Changes are data: they are written with the entry that explains them, signed by the writer, sent to nodes and
//! gateways, and applied by [`World::apply`](super::World::apply), which is pure and total. Fields may be added;
//! a Change of an unknown kind is refused when it is read, never skipped.

use super::approval::{Ended, Vote};
use super::{
    Account, Agent, AgentState, Approval, Claimed, Consent, ContractRecord, Directory, Exception, Group,
    Instance, Invite, JoinToken, Judged, LaunchSpec, NodeRecord, Org, Passkey, Principal, Proposal,
    PublicKey, Registration, Revocation, ServiceKey, Session, Task, TrustSource, User, Webhook,
};
use crate::ledger::TrailKey;
use crate::upstream::Upstream;
use identity::{
    AgentId, ApprovalId, Digest, ExceptionId, InstanceId, LogId, Name, NodeId, OrgId, OrgScope, Revision,
    SessionId, TaskId, TrustDomain, UnixTime, UpstreamId,
};
use serde::{Deserialize, Serialize};

/// One alteration. Ids inside a Change that makes the thing they name are unstamped until the commit gives the
/// revision (see [`identity::Id::at`]).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Change {
    /// The installation begins: its trust domain and issuer, once.
    Founded {
        /// Namespace of every SPIFFE ID of the installation.
        trust_domain: TrustDomain,
        /// `iss` of every credential.
        issuer: String,
        /// Raised by `restore`; credentials of an older epoch die.
        epoch: u64,
    },
    /// A new org.
    OrgCreated(Org),
    /// A person or script who may administer, with all their roles and ways in.
    PrincipalAdded(Principal),
    /// The opposite. Their sessions and invites end with them.
    PrincipalRemoved {
        /// Their name.
        name: Name,
    },
    /// A one-time link by which a principal enrols a way in (only its digest).
    InviteCreated(Invite),
    /// A principal comes in by an account at an identity provider from now on.
    AccountLinked {
        /// Who.
        principal: Name,
        /// Which account.
        account: Account,
        /// Digest of the invite that was spent on it.
        spent: Option<Digest>,
    },
    /// The opposite. Sessions that it opened end.
    AccountUnlinked {
        /// Who.
        principal: Name,
        /// Which account.
        account: Account,
    },
    /// A principal comes in by a passkey from now on.
    PasskeyEnrolled {
        /// Who.
        principal: Name,
        /// Which passkey.
        passkey: Passkey,
        /// Digest of the invite that was spent on it.
        spent: Option<Digest>,
    },
    /// The opposite. Sessions that it opened end.
    PasskeyRemoved {
        /// Who.
        principal: Name,
        /// Its credential id.
        credential: Vec<u8>,
    },
    /// A passkey was used: its counter never goes back.
    PasskeyUsed {
        /// Who.
        principal: Name,
        /// Its credential id.
        credential: Vec<u8>,
        /// The counter of the assertion.
        counter: u32,
    },
    /// A session began, or goes on under a new secret: the one of the same id before it is gone.
    SessionOpened(Session),
    /// A session ended.
    SessionClosed {
        /// Which.
        session: SessionId,
    },
    /// A new agent, with its contract already published.
    AgentRegistered(Agent),
    /// Owner, purpose, contract or expiry of an agent changed.
    AgentUpdated(Agent),
    /// Suspended, resumed or retired.
    AgentStateSet {
        /// Which agent.
        agent: AgentId,
        /// Its org.
        org: OrgId,
        /// The new state.
        state: AgentState,
    },
    /// How an agent may be launched.
    LaunchSpecSet(LaunchSpec),
    /// Selectors under which a process that we did not launch gets an agent's identity.
    RegistrationAdded(Registration),
    /// The opposite.
    RegistrationRemoved {
        /// Its name.
        name: Name,
        /// Its org.
        org: OrgId,
    },
    /// An immutable contract version.
    ContractPublished(ContractRecord),
    /// A wider contract version that waits for somebody else's yes. Nothing is in force by it.
    ContractProposed(Proposal),
    /// It does not wait any more.
    ProposalWithdrawn {
        /// The contract.
        hash: Digest,
        /// Its org.
        org: OrgId,
    },
    /// An agent may do one more thing, for a while.
    ExceptionOpened(Exception),
    /// It may not any more: its time is over, or somebody ended it.
    ExceptionEnded {
        /// Which exception.
        exception: ExceptionId,
        /// Of which agent.
        agent: AgentId,
        /// Its org.
        org: OrgId,
        /// When.
        at: UnixTime,
    },
    /// A service that agents call, with its mapping of requests to actions.
    UpstreamPublished(Upstream),
    /// An upstream's sealed secret has a new version: gateways fetch it anew.
    UpstreamSecretRotated {
        /// Which upstream.
        upstream: UpstreamId,
        /// Its org.
        org: OrgId,
        /// Dense, from 1.
        version: u64,
    },
    /// A unit of work began.
    TaskOpened(Task),
    /// It ended, or was forgotten after its last credential expired.
    TaskClosed {
        /// Which task.
        task: TaskId,
        /// Its org.
        org: OrgId,
    },
    /// A human lowered a task's labels.
    TaskDeclassified {
        /// Which task.
        task: TaskId,
        /// Its org.
        org: OrgId,
    },
    /// A request waits for humans.
    ApprovalRequested(Box<Approval>),
    /// A human said yes or no to it.
    ApprovalVoted {
        /// Which.
        approval: ApprovalId,
        /// Its org.
        org: OrgId,
        /// What they said.
        vote: Vote,
    },
    /// It was used, taken back, or nobody decided in time.
    ApprovalEnded {
        /// Which.
        approval: ApprovalId,
        /// Its org.
        org: OrgId,
        /// How.
        how: Ended,
        /// When.
        at: UnixTime,
    },
    /// Who is in a group of approvers, all of them.
    GroupSet(Group),
    /// An endpoint is told of approvals from now on.
    WebhookAdded(Webhook),
    /// The opposite.
    WebhookRemoved {
        /// Its org.
        org: OrgId,
        /// What people called it.
        name: Name,
    },
    /// The destinations that are a tenant's own, all of them.
    DirectorySet(Directory),
    /// A user and what they may do through agents, all of it.
    UserSet(User),
    /// The opposite.
    UserRemoved {
        /// The org.
        org: OrgId,
        /// Who authenticates them.
        issuer: String,
        /// Its name for them.
        subject: String,
    },
    /// What a user said about agents that act for them, all of it.
    ConsentSet(Consent),
    /// Whether agents need the own yes of an issuer's users.
    ConsentRequired {
        /// The org.
        org: OrgId,
        /// The issuer.
        issuer: String,
        /// Whether they do.
        asked: bool,
    },
    /// What an issuer's token says of a user, in words that the org gave a meaning.
    UserClaimed(Claimed),
    /// What the org's decision point says of a user, as far as it was asked.
    UserJudged(Judged),
    /// An issuer of users' tokens and its keys.
    TrustSourceSet(TrustSource),
    /// The opposite.
    TrustSourceRemoved {
        /// The org.
        org: OrgId,
        /// `iss`.
        issuer: String,
    },
    /// A service is known by this key from now on. One that renews leaves those before the last behind.
    ServiceKeySet(ServiceKey),
    /// A process was attested and bound to an agent.
    InstanceOpened(Instance),
    /// It ended.
    InstanceClosed {
        /// Which instance.
        instance: InstanceId,
        /// Its org.
        org: OrgId,
    },
    /// A gateway counts the calls of these from here on, as far as nobody does: who asks first has it.
    Homed {
        /// Their org.
        org: OrgId,
        /// The number of the gateway's own log.
        log: LogId,
        /// Task trees, instances and agents.
        of: Vec<TrailKey>,
        /// What was counted before then is not known at the gateway; 0 for the first time.
        since: UnixTime,
    },
    /// A gateway counts no calls of these any more.
    HomeLeft {
        /// Their org.
        org: OrgId,
        /// The number of the gateway's own log.
        log: LogId,
        /// Agents: tasks and processes end with their home.
        of: Vec<TrailKey>,
        /// From when on another gateway may.
        since: UnixTime,
    },
    /// Refuse everything of one kind and value that was decided before this Change.
    Revoked(Revocation),
    /// Revocations that no live credential can match any more.
    RevocationsForgotten {
        /// Those whose `forget_at` is at or before this instant.
        until: UnixTime,
    },
    /// A public key that verifiers may use.
    KeyPublished(PublicKey),
    /// It may not be used any more.
    KeyRetired {
        /// Its `kid`.
        kid: String,
    },
    /// A one-time bootstrap secret (only its digest).
    JoinTokenCreated(JoinToken),
    /// A node agent or gateway was admitted, spending a join token if `spent` is set.
    NodeJoined {
        /// The new member.
        node: NodeRecord,
        /// Digest of the join token that it spent.
        spent: Option<Digest>,
    },
    /// A member may no longer act: its key and its SVID are worth nothing any more.
    NodeRemoved {
        /// Which member.
        node: NodeId,
    },
}

impl Change {
    /// Whether a decision made on an older World may have to be made again because of this Change: it narrows.
    pub fn is_restrictive(&self) -> bool {
        match self {
            Self::AgentStateSet { state, .. } => *state != AgentState::Active,
            Self::ApprovalVoted { vote, .. } => !vote.yes,
            Self::ApprovalEnded { how, .. } => *how != Ended::Used,
            Self::AgentUpdated(_)
            | Self::GroupSet(_)
            | Self::LaunchSpecSet(_)
            | Self::RegistrationRemoved { .. }
            | Self::UpstreamPublished(_)
            | Self::TaskClosed { .. }
            | Self::InstanceClosed { .. }
            | Self::Revoked(_)
            | Self::DirectorySet(_)
            | Self::UserSet(_)
            | Self::UserRemoved { .. }
            | Self::ConsentSet(_)
            | Self::ConsentRequired { .. }
            | Self::TrustSourceSet(_)
            | Self::TrustSourceRemoved { .. }
            | Self::ExceptionEnded { .. }
            | Self::NodeRemoved { .. }
            | Self::PrincipalAdded(_)
            | Self::PrincipalRemoved { .. }
            | Self::AccountUnlinked { .. }
            | Self::PasskeyRemoved { .. }
            | Self::SessionClosed { .. }
            | Self::KeyRetired { .. } => true,
            Self::Founded { .. }
            | Self::ApprovalRequested(_)
            | Self::OrgCreated(_)
            | Self::InviteCreated(_)
            | Self::AccountLinked { .. }
            | Self::PasskeyEnrolled { .. }
            | Self::PasskeyUsed { .. }
            | Self::SessionOpened(_)
            | Self::AgentRegistered(_)
            | Self::RegistrationAdded(_)
            | Self::ContractPublished(_)
            | Self::ContractProposed(_)
            | Self::ProposalWithdrawn { .. }
            | Self::WebhookAdded(_)
            | Self::WebhookRemoved { .. }
            | Self::ExceptionOpened(_)
            | Self::UpstreamSecretRotated { .. }
            | Self::TaskOpened(_)
            | Self::TaskDeclassified { .. }
            | Self::ServiceKeySet(_)
            | Self::InstanceOpened(_)
            | Self::Homed { .. }
            | Self::HomeLeft { .. }
            | Self::UserClaimed(_)
            | Self::UserJudged(_)
            | Self::RevocationsForgotten { .. }
            | Self::KeyPublished(_)
            | Self::JoinTokenCreated(_)
            | Self::NodeJoined { .. } => false,
        }
    }

    /// The org whose followers need to see this Change; `None` for the installation's own matters.
    pub fn org(&self) -> Option<OrgId> {
        match self {
            Self::OrgCreated(org) => Some(org.id),
            Self::AgentRegistered(agent) | Self::AgentUpdated(agent) => Some(agent.org),
            Self::LaunchSpecSet(spec) => Some(spec.org),
            Self::RegistrationAdded(registration) => Some(registration.org),
            Self::ContractPublished(contract) => Some(contract.org),
            Self::ContractProposed(proposal) => Some(proposal.contract.org),
            Self::ExceptionOpened(exception) => Some(exception.org),
            Self::UpstreamPublished(upstream) => Some(upstream.org),
            Self::TaskOpened(task) => Some(task.org),
            Self::ApprovalRequested(approval) => Some(approval.org),
            Self::GroupSet(group) => Some(group.org),
            Self::WebhookAdded(webhook) => Some(webhook.org),
            Self::ServiceKeySet(key) => Some(key.org),
            Self::InstanceOpened(instance) => Some(instance.org),
            Self::AgentStateSet { org, .. }
            | Self::ApprovalVoted { org, .. }
            | Self::ApprovalEnded { org, .. }
            | Self::RegistrationRemoved { org, .. }
            | Self::ProposalWithdrawn { org, .. }
            | Self::WebhookRemoved { org, .. }
            | Self::ExceptionEnded { org, .. }
            | Self::UpstreamSecretRotated { org, .. }
            | Self::TaskClosed { org, .. }
            | Self::TaskDeclassified { org, .. }
            | Self::UserRemoved { org, .. }
            | Self::ConsentRequired { org, .. }
            | Self::TrustSourceRemoved { org, .. }
            | Self::Homed { org, .. }
            | Self::HomeLeft { org, .. }
            | Self::InstanceClosed { org, .. } => Some(*org),
            Self::DirectorySet(directory) => Some(directory.org),
            Self::UserSet(user) => Some(user.org),
            Self::ConsentSet(consent) => Some(consent.org),
            Self::UserClaimed(claimed) => Some(claimed.org),
            Self::UserJudged(judged) => Some(judged.org),
            Self::TrustSourceSet(source) => Some(source.org),
            Self::Revoked(revocation) => revocation.org,
            Self::Founded { .. }
            | Self::PrincipalAdded(_)
            | Self::PrincipalRemoved { .. }
            | Self::InviteCreated(_)
            | Self::AccountLinked { .. }
            | Self::AccountUnlinked { .. }
            | Self::PasskeyEnrolled { .. }
            | Self::PasskeyRemoved { .. }
            | Self::PasskeyUsed { .. }
            | Self::SessionOpened(_)
            | Self::SessionClosed { .. }
            | Self::RevocationsForgotten { .. }
            | Self::KeyPublished(_)
            | Self::KeyRetired { .. }
            | Self::JoinTokenCreated(_)
            | Self::NodeJoined { .. }
            | Self::NodeRemoved { .. } => None,
        }
    }

    /// Whether a follower that sees only `scope` gets this Change. Members and administrators are the server's own.
    pub fn is_for(&self, scope: OrgScope) -> bool {
        match self {
            Self::PrincipalAdded(_)
            | Self::GroupSet(_)
            | Self::WebhookAdded(_)
            | Self::WebhookRemoved { .. }
            | Self::PrincipalRemoved { .. }
            | Self::InviteCreated(_)
            | Self::AccountLinked { .. }
            | Self::AccountUnlinked { .. }
            | Self::PasskeyEnrolled { .. }
            | Self::PasskeyRemoved { .. }
            | Self::PasskeyUsed { .. }
            | Self::SessionOpened(_)
            | Self::SessionClosed { .. }
            | Self::ContractProposed(_)
            | Self::ProposalWithdrawn { .. }
            | Self::JoinTokenCreated(_)
            | Self::NodeJoined { .. }
            | Self::NodeRemoved { .. } => scope == OrgScope::Every,
            _ => self.org().is_none_or(|org| scope.holds(org)),
        }
    }

    /// Stamps the ids that this Change makes with the revision of its commit.
    #[must_use]
    pub fn at(mut self, revision: Revision) -> Self {
        match &mut self {
            Self::OrgCreated(org) => org.id = org.id.at(revision),
            Self::AgentRegistered(agent) => agent.id = agent.id.at(revision),
            // Set in the very commit that registers its agent.
            Self::LaunchSpecSet(spec) if spec.agent.revision() == Revision(0) => {
                spec.agent = spec.agent.at(revision);
            }
            Self::UpstreamPublished(upstream) if upstream.id.revision() == Revision(0) => {
                upstream.id = upstream.id.at(revision);
            }
            Self::TaskOpened(task) if task.id.revision() == Revision(0) => {
                task.id = task.id.at(revision);
            }
            Self::ApprovalRequested(approval) => approval.id = approval.id.at(revision),
            Self::InstanceOpened(instance) => {
                instance.id = instance.id.at(revision);
                instance.run = instance.run.at(revision);
            }
            Self::NodeJoined { node, .. } if node.id.revision() == Revision(0) => {
                node.id = node.id.at(revision);
            }
            Self::Founded { .. }
            | Self::PrincipalAdded(_)
            | Self::PrincipalRemoved { .. }
            | Self::InviteCreated(_)
            | Self::AccountLinked { .. }
            | Self::AccountUnlinked { .. }
            | Self::PasskeyEnrolled { .. }
            | Self::PasskeyRemoved { .. }
            | Self::PasskeyUsed { .. }
            | Self::SessionOpened(_)
            | Self::SessionClosed { .. }
            | Self::AgentUpdated(_)
            | Self::AgentStateSet { .. }
            | Self::LaunchSpecSet(_)
            | Self::RegistrationAdded(_)
            | Self::RegistrationRemoved { .. }
            | Self::ContractPublished(_)
            | Self::ContractProposed(_)
            | Self::ProposalWithdrawn { .. }
            | Self::ExceptionOpened(_)
            | Self::ExceptionEnded { .. }
            | Self::UpstreamPublished(_)
            | Self::UpstreamSecretRotated { .. }
            | Self::TaskOpened(_)
            | Self::TaskClosed { .. }
            | Self::TaskDeclassified { .. }
            | Self::ApprovalVoted { .. }
            | Self::ApprovalEnded { .. }
            | Self::GroupSet(_)
            | Self::WebhookAdded(_)
            | Self::WebhookRemoved { .. }
            | Self::DirectorySet(_)
            | Self::UserSet(_)
            | Self::UserRemoved { .. }
            | Self::ConsentSet(_)
            | Self::ConsentRequired { .. }
            | Self::UserClaimed(_)
            | Self::UserJudged(_)
            | Self::TrustSourceSet(_)
            | Self::TrustSourceRemoved { .. }
            | Self::ServiceKeySet(_)
            | Self::InstanceClosed { .. }
            | Self::Homed { .. }
            | Self::HomeLeft { .. }
            | Self::Revoked(_)
            | Self::RevocationsForgotten { .. }
            | Self::KeyPublished(_)
            | Self::KeyRetired { .. }
            | Self::JoinTokenCreated(_)
            | Self::NodeJoined { .. }
            | Self::NodeRemoved { .. } => {}
        }
        self
    }
}
