//! What happened: the closed list of event kinds.
//!
//! Named `noun.verb`, in the past tense. Kinds may be added; one is never given another meaning. A reader that
//! meets a kind newer than itself keeps it ([`EventKind::Unknown`]); no writer makes one.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// Whether entries of a kind carry what the Ledger took and saw: said beside each kind, so that none is forgotten.
macro_rules! counts {
    () => {
        false
    };
    (counts) => {
        true
    };
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $wire:literal $(, $counts:ident)?;)*) => {
        /// What an [`super::Event`] says happened.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize)]
        #[serde(from = "String")]
        pub enum EventKind {
            $($(#[$doc])* $name,)*
            /// A kind newer than this reader, kept as it was written.
            Unknown(Box<str>),
        }

        impl EventKind {
            /// Every kind that this version writes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $wire,)*
                    Self::Unknown(name) => name,
                }
            }

            /// Whether `detail.taken` and `detail.seen` of such an entry are counts and labels of the Ledger. In other
            /// kinds members of these names are words.
            pub const fn counts(&self) -> bool {
                match self {
                    $(Self::$name => counts!($($counts)?),)*
                    Self::Unknown(_) => false,
                }
            }
        }

        impl From<&str> for EventKind {
            fn from(name: &str) -> Self {
                match name {
                    $($wire => Self::$name,)*
                    unknown => Self::Unknown(unknown.into()),
                }
            }
        }
    };
}

kinds! {
    /// A person or rule looked at what only administrators may see.
    AdminAccessed = "admin.accessed";
    /// An administrative request was refused.
    AdminRefused = "admin.refused";
    /// A principal comes in by an account at an identity provider from now on.
    AccountLinked = "account.linked";
    /// A principal does no longer.
    AccountUnlinked = "account.unlinked";
    /// An agent's record changed: owner, launch spec, expiry.
    AgentChanged = "agent.changed";
    /// An agent was registered.
    AgentRegistered = "agent.registered";
    /// A suspended agent may act again.
    AgentResumed = "agent.resumed";
    /// An agent was retired for good.
    AgentRetired = "agent.retired";
    /// An agent may not act until it is resumed.
    AgentSuspended = "agent.suspended";
    /// A person approved or refused a request, took an approval back, or nobody decided in time.
    ApprovalDecided = "approval.decided";
    /// Nobody was asked, or an approval was not good for what was to be done with it.
    ApprovalRefused = "approval.refused";
    /// A request waits for a person.
    ApprovalRequested = "approval.requested";
    /// An approval was used: the one request that it is good for may pass now.
    ApprovalUsed = "approval.used";
    /// A federation assertion was issued.
    AssertionIssued = "assertion.issued";
    /// A wider contract version waits for somebody else's yes.
    ContractProposed = "contract.proposed";
    /// A contract version was published.
    ContractPublished = "contract.published";
    /// A contract no longer applies, or is no longer proposed.
    ContractWithdrawn = "contract.withdrawn";
    /// Credentials decided before this revision are refused in one dimension.
    CredentialRevoked = "credential.revoked";
    /// A question was answered without issuing anything (AuthZEN, ext_authz).
    DecisionMade = "decision.made", counts;
    /// The destinations that are a tenant's own were set.
    DirectorySet = "directory.set";
    /// The time of an exception is over, or somebody ended it.
    ExceptionEnded = "exception.ended";
    /// An agent may do one more thing than its contract says, for a while.
    ExceptionOpened = "exception.opened";
    /// A detector found something.
    FindingRaised = "finding.raised";
    /// Who is in a group of approvers was set.
    GroupSet = "group.set";
    /// The gateway refused a call.
    GatewayBlocked = "gateway.blocked", counts;
    /// The gateway permitted a call and is about to forward it.
    GatewayCall = "gateway.call", counts;
    /// How a permitted call ended.
    GatewayOutcome = "gateway.outcome";
    /// A user or rule granted an agent to act for the user.
    GrantAdded = "grant.added";
    /// Such a grant was taken back.
    GrantRemoved = "grant.removed";
    /// A gateway asked to count the calls of a task, a process or agents.
    HomeClaimed = "home.claimed";
    /// A process was known but not given an identity.
    IdentityRefused = "identity.refused";
    /// A one-time link by which a principal enrols a way in was created.
    InviteCreated = "invite.created";
    /// A join token was created.
    JoinTokenCreated = "join_token.created";
    /// A key was taken out of use.
    KeyRetired = "key.retired";
    /// A key was replaced.
    KeyRotated = "key.rotated";
    /// A launch spec was registered.
    LaunchSpecRegistered = "launch_spec.registered";
    /// A part of the log was exported.
    LogExported = "log.exported";
    /// The log is alive though nothing happened.
    LogHeartbeat = "log.heartbeat";
    /// The first entry of a log, or of a writer's epoch in it.
    LogOpened = "log.opened";
    /// Old entry bundles were deleted by retention; the tree is unchanged.
    LogPruned = "log.pruned";
    /// Full bundles were moved from the database to files.
    LogSealed = "log.sealed";
    /// A witness cosigned a checkpoint.
    LogWitnessed = "log.witnessed";
    /// A node proved itself and got its identity.
    NodeJoined = "node.joined";
    /// A node may no longer act.
    NodeRemoved = "node.removed";
    /// A node was refused.
    NodeRefused = "node.refused";
    /// An org's record changed.
    OrgChanged = "org.changed";
    /// An org was created.
    OrgCreated = "org.created";
    /// A principal comes in by a passkey from now on.
    PasskeyEnrolled = "passkey.enrolled";
    /// A principal does no longer.
    PasskeyRemoved = "passkey.removed";
    /// A person or service may administer.
    PrincipalAdded = "principal.added";
    /// A person or service may no longer administer.
    PrincipalRemoved = "principal.removed";
    /// Refusals of callers nobody could identify, counted per source and second.
    RefusalsCounted = "refusals.counted";
    /// A registration was added: selectors to a SPIFFE ID.
    RegistrationAdded = "registration.added";
    /// A registration was removed.
    RegistrationRemoved = "registration.removed";
    /// The installation was restored from a backup: the cluster epoch rose.
    RestoreDone = "restore.done";
    /// An agent's right to exist was confirmed or not.
    ReviewRecorded = "review.recorded";
    /// A run ended.
    RunClosed = "run.closed";
    /// A process was launched and bound to an agent.
    RunOpened = "run.opened";
    /// A launch was refused.
    RunRefused = "run.refused";
    /// A person's session ended before its time.
    SessionClosed = "session.closed";
    /// A person came in.
    SessionOpened = "session.opened";
    /// A person proved again to be there; the session goes on under a new secret.
    SessionVerified = "session.verified";
    /// A security event arrived (SSF, CAEP).
    SignalReceived = "signal.received";
    /// A security event was sent.
    SignalSent = "signal.sent";
    /// An SVID was issued.
    SvidIssued = "svid.issued";
    /// An SVID was refused to an identified caller.
    SvidRefused = "svid.refused";
    /// A task ended.
    TaskClosed = "task.closed";
    /// A human lowered what a task is taken to have read.
    TaskDeclassified = "task.declassified";
    /// A task was opened by somebody who may.
    TaskOpened = "task.opened";
    /// A task was refused.
    TaskRefused = "task.refused";
    /// An exchange was refused.
    TokenDenied = "token.denied";
    /// A token was issued in an exchange.
    TokenExchanged = "token.exchanged", counts;
    /// A source of trust was added: issuer, CA, federated trust domain.
    TrustAdded = "trust.added";
    /// A source of trust was removed.
    TrustRemoved = "trust.removed";
    /// An upstream definition was published.
    UpstreamPublished = "upstream.published";
    /// An upstream was removed.
    UpstreamRemoved = "upstream.removed";
    /// An issuer's token said something of a user that is worth a right, or was until then.
    UserClaimed = "user.claimed";
    /// The org's decision point was asked what a user may do: its answers, or why there are none.
    UserJudged = "user.judged";
    /// A user may do nothing through agents any more.
    UserRemoved = "user.removed";
    /// What a user may do through agents was set.
    UserSet = "user.set";
    /// An endpoint of others is told of approvals from now on.
    WebhookAdded = "webhook.added";
    /// A message to such an endpoint was given up.
    WebhookFailed = "webhook.failed";
    /// An endpoint is told nothing more.
    WebhookRemoved = "webhook.removed";
    /// An administrator had a message sent that says nothing.
    WebhookTested = "webhook.tested";
}

impl From<String> for EventKind {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}
impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}
impl From<EventKind> for String {
    fn from(kind: EventKind) -> Self {
        kind.as_str().to_owned()
    }
}
impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
