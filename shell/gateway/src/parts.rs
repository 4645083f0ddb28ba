//! What a gateway is made of: everything it is given, and its limits.

use audit::event::CommitmentKey;
use broker::approve::Ask;
use broker::home::Counted;
use broker::world::approval::State;
use broker::{Change, World};
use credential::NonceKey;
use futures_util::future::BoxFuture;
use identity::{ApprovalId, Digest, LogId, OrgId, OrgScope, Revision, Secret, UnixTime, UpstreamId};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;
use tokio::time::Instant;

/// A gateway that has not heard from its server for this long, in milliseconds, closes all routes: a revocation may
/// be on its way.
pub const HEARTBEAT_MILLIS_MAX: u64 = 3_000;

/// The wall clock.
pub type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;
/// 32 fresh random bytes.
pub type Random = Arc<dyn Fn() -> [u8; 32] + Send + Sync>;
/// The key under which an org's personal names are committed in entries.
pub type NameKeys = Arc<dyn Fn(OrgId) -> Arc<CommitmentKey> + Send + Sync>;

/// Why a secret is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nobody stored one.
    #[error("no secret of that version is stored for the upstream")]
    Unknown,
    /// Whoever holds it does not answer.
    #[error("the secret store does not answer")]
    Unavailable,
}

/// Where upstream secrets come from. Kept in memory by the gateway for as long as the version is current.
pub trait Secrets: Send + Sync {
    /// The secret of one upstream, of one version.
    fn secret(
        &self,
        upstream: UpstreamId,
        version: u64,
    ) -> BoxFuture<'_, Result<Arc<Secret<String>>, SecretError>>;
}

/// What a call is counted on has no home, and none can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server does not say where the call is counted")]
pub struct NoHome;

/// Who says which gateway counts what.
pub trait Homes: Send + Sync {
    /// Asks to count the calls of `wanted`, as far as nobody does. Where that is the World says, at the revision given
    /// back or later.
    fn claim(&self, wanted: Counted) -> BoxFuture<'_, Result<Revision, NoHome>>;
}

/// Homes for a gateway whose World is this process's own: whatever has none gets this one.
#[derive(Debug)]
pub struct LocalHomes {
    /// The World that the gateway follows.
    pub worlds: watch::Sender<Arc<World>>,
    /// The number of the gateway's log.
    pub log: LogId,
}

impl Homes for LocalHomes {
    fn claim(&self, wanted: Counted) -> BoxFuture<'_, Result<Revision, NoHome>> {
        let mut settled = Err(NoHome);
        self.worlds.send_if_modified(|world| {
            let Some(task) = world.task(OrgScope::Every, wanted.task) else {
                return false;
            };
            let left = wanted.keys().filter_map(|of| world.home(OrgScope::Every, of));
            let homed = Change::Homed {
                org: task.org,
                log: self.log,
                since: left.map(|home| home.since).max().unwrap_or_default(),
                of: wanted.keys().collect(),
            };
            let next = world.apply(&[homed], world.revision().next());
            settled = Ok(next.revision());
            *world = Arc::new(next);
            true
        });
        Box::pin(std::future::ready(settled))
    }
}

/// An approval as whoever waits for it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingApproval {
    /// Which.
    pub id: ApprovalId,
    /// Where it stands.
    pub state: State,
    /// Until when humans may decide, or it is good.
    pub until: UnixTime,
    /// Where they decide.
    pub page: String,
}

/// Why humans were not asked, or an approval was not spent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// The server said no, by this code and sentence.
    #[error("{message} ({code})")]
    Refused {
        /// Stable code.
        code: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// It does not answer.
    #[error("the server does not answer")]
    Unavailable,
}

/// Whoever asks humans, and lets an approval be used once in all.
pub trait Approvals: Send + Sync {
    /// Asks humans about a request that was refused.
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<WaitingApproval, ApprovalError>>;
    /// Spends an approval on the request with this digest. Whatever comes back but `Ok`: the request stays here.
    fn spend(&self, id: ApprovalId, request: Digest) -> BoxFuture<'_, Result<(), ApprovalError>>;
}

/// Nobody to ask: what needs an approval is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NobodyToAsk;

impl Approvals for NobodyToAsk {
    fn ask(&self, _: Ask) -> BoxFuture<'_, Result<WaitingApproval, ApprovalError>> {
        Box::pin(std::future::ready(Err(ApprovalError::Unavailable)))
    }
    fn spend(&self, _: ApprovalId, _: Digest) -> BoxFuture<'_, Result<(), ApprovalError>> {
        Box::pin(std::future::ready(Err(ApprovalError::Unavailable)))
    }
}

/// When the gateway last heard from whoever keeps its World current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedHealth {
    /// The World is this process's own.
    Local,
    /// A heartbeat or Change came in at that instant.
    Heard(Instant),
}

impl FeedHealth {
    /// Whether the World may be behind.
    pub(crate) fn is_lost(self, now: Instant) -> bool {
        match self {
            Self::Local => false,
            Self::Heard(at) => {
                now.saturating_duration_since(at) > Duration::from_millis(HEARTBEAT_MILLIS_MAX)
            }
        }
    }
}

/// Names and limits.
#[derive(Debug)]
pub struct Settings {
    /// `iss` of the tokens that are accepted.
    pub issuer: String,
    /// Base URLs under which agents reach this gateway, such as `http://127.0.0.1:7070`: requests for any other host
    /// are forward-proxy requests or refused, and DPoP proofs name one of these.
    pub public_urls: Vec<String>,
    /// The number of the gateway's own log.
    pub log: LogId,
    /// Makes and checks DPoP nonces; proofs need none when it is `None`.
    pub nonces: Option<NonceKey>,
    /// Most requests in flight; more are refused with 503.
    pub in_flight_max: usize,
    /// Longest wait for a request's head, in milliseconds.
    pub head_timeout_ms: u64,
    /// Longest pause while a request's body comes in, in milliseconds.
    pub body_timeout_ms: u64,
    /// Longest wait for an upstream to be connected, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Longest wait for an upstream's response head, in milliseconds.
    pub upstream_timeout_ms: u64,
}

impl Settings {
    /// The usual limits.
    pub fn new(issuer: impl Into<String>, public_urls: Vec<String>, log: LogId) -> Self {
        Self {
            issuer: issuer.into(),
            public_urls,
            log,
            nonces: None,
            in_flight_max: 10_000,
            head_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            connect_timeout_ms: 5_000,
            upstream_timeout_ms: 60_000,
        }
    }
}

/// Everything a gateway is given.
pub struct GatewayParts {
    /// Names and limits.
    pub settings: Settings,
    /// The World, newest first; whoever sends keeps it current. When the sender is gone every route closes.
    pub worlds: watch::Receiver<Arc<World>>,
    /// When the World was last known to be current.
    pub feed: watch::Receiver<FeedHealth>,
    /// The gateway's own log: every decision is in it before its request leaves.
    pub journal: Arc<Store>,
    /// Upstream secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Whoever asks humans.
    pub approvals: Arc<dyn Approvals>,
    /// Where calls are counted.
    pub homes: Arc<dyn Homes>,
    /// Commitment keys.
    pub names: NameKeys,
    /// TLS towards upstreams: roots and, if any, a client certificate.
    pub upstream_tls: Arc<rustls::ClientConfig>,
    /// The wall clock.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
}

impl std::fmt::Debug for GatewayParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayParts")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
