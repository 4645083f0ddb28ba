//! A member's connection to its server: one HTTP/2 channel over mutual TLS, made anew with the SVID of now.

use crate::lag::Lag;
use crate::member::{Member, MemberError, MemberIdentity};
use crate::proto::sync_client::SyncClient;
use crate::proto::{Head, JoinRequest, Look, Looked, Refused, RenewRequest, join_reply};
use crate::replica::{Replica, STALE_AFTER, TakeError};
use crate::tls::{self, TlsError};
use arc_swap::ArcSwapOption;
use broker::world::MemberRole;
use hyper_util::rt::TokioIo;
use identity::{TrustDomain, UnixTime};
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// Longest message, in bytes: a snapshot of 100k agents takes about 72 MB.
pub const MESSAGE_BYTES_MAX: usize = 256 << 20;
/// How long a connection attempt and a unary call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before following anew, the first time and at most. A server that comes back is heard within the longest one.
const RETRY_AFTER: Duration = Duration::from_millis(100);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(2);
/// A member renews its SVID when this share of an hour is left.
const RENEW_BEFORE_SECS: u64 = 1800;

/// Why a call to the server came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The server said no.
    #[error("{} ({})", .0.message, .0.code)]
    Refused(Refused),
    /// The server does not know this member (any more).
    #[error("the server does not take this member: {0}")]
    NotAMember(String),
    /// The server could not be asked.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// It answered nothing that makes sense.
    #[error("the server's answer is not well formed: {0}")]
    Malformed(&'static str),
    /// A key or certificate of ours.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The copy of the World cannot be continued.
    #[error(transparent)]
    Take(#[from] TakeError),
}

impl From<tonic::Status> for LinkError {
    fn from(status: tonic::Status) -> Self {
        if status.code() == tonic::Code::Unauthenticated {
            return Self::NotAMember(status.message().to_owned());
        }
        Self::Unreachable(status.message().to_owned())
    }
}

/// A member's way to its server.
#[derive(Debug, Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

/// What a member trusts before it has joined; it comes with the join token.
#[derive(Debug, Clone)]
pub struct Pinned {
    /// The trust domain that it means to join.
    pub trust_domain: TrustDomain,
    /// Its X.509 authorities, DER.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// Why a link does not follow its server any more. Anything else is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The server's history contradicts what was heard before.
    #[error(transparent)]
    RolledBack(TakeError),
    /// The server ended the membership.
    #[error("the server does not take this member any more: {0}")]
    NotAMember(String),
}

/// Told of each membership that the server gave, so that it outlives the process.
pub type Keep = Box<dyn Fn(&crate::proto::Membership) + Send + Sync>;

/// What a member says of itself while it follows.
pub trait Own: Send + Sync {
    /// The newest checkpoint of its own log; empty where it keeps none.
    fn checkpoint(&self) -> String;
    /// What it counted and saw, where it is asked about that: JSON of a `broker::ledger::Look`, and of a `Looked`. `None`
    /// where it counts nothing, or does not understand what it is asked.
    fn look(&self, look: &[u8]) -> Option<Vec<u8>>;
}

/// A member that counts nothing.
impl<F: Fn() -> String + Send + Sync> Own for F {
    fn checkpoint(&self) -> String {
        self()
    }
    fn look(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

struct Inner {
    /// `host:port`, looked up at each connection: the server's name may move.
    server: String,
    member: Member,
    pinned: Pinned,
    identity: ArcSwapOption<MemberIdentity>,
    keep: Keep,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({})", self.server)
    }
}

impl Link {
    /// A link that has not joined yet, with a key that lives as long as the process. `server` is `host:port`.
    pub fn new(server: impl std::fmt::Display, pinned: Pinned) -> Result<Self, LinkError> {
        Ok(Self::of(server, pinned, Member::new()?, Box::new(|_| {})))
    }
    /// A link for a key of before; `keep` is told of every membership.
    pub fn of(server: impl std::fmt::Display, pinned: Pinned, member: Member, keep: Keep) -> Self {
        let inner = Inner {
            server: server.to_string(),
            member,
            pinned,
            identity: ArcSwapOption::empty(),
            keep,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The request for a first SVID, for a member in the server's own process.
    pub fn csr(&self) -> Result<Vec<u8>, LinkError> {
        Ok(self.inner.member.csr()?)
    }
    /// Takes a membership that was given without the wire.
    pub fn admit(&self, membership: &crate::proto::Membership) -> Result<(), LinkError> {
        self.inner
            .identity
            .store(Some(MemberIdentity::from_proto(membership, wall_clock())?));
        Ok(())
    }
    /// Spends a join token, which has to be for `role`. A failed attempt spends nothing.
    pub async fn join(&self, join_token: &str, role: MemberRole) -> Result<Arc<MemberIdentity>, LinkError> {
        let request = JoinRequest {
            join_token: join_token.to_owned(),
            csr: self.csr()?,
            role: role.word().to_owned(),
        };
        let reply = self.client().await?.join(request).await?.into_inner();
        self.settle(reply.outcome)
    }
    /// Gets a fresh SVID for the same key. One that has expired is not shown: then the key alone proves who asks.
    pub async fn renew(&self) -> Result<Arc<MemberIdentity>, LinkError> {
        let reply = self
            .client()
            .await?
            .renew(RenewRequest { csr: self.csr()? })
            .await?
            .into_inner();
        self.settle(reply.outcome)
    }
    fn settle(&self, outcome: Option<join_reply::Outcome>) -> Result<Arc<MemberIdentity>, LinkError> {
        match outcome {
            Some(join_reply::Outcome::Membership(membership)) => {
                let identity = MemberIdentity::from_proto(&membership, wall_clock())?;
                (self.inner.keep)(&membership);
                self.inner.identity.store(Some(identity.clone()));
                Ok(identity)
            }
            Some(join_reply::Outcome::Refused(refused)) => Err(LinkError::Refused(refused)),
            None => Err(LinkError::Malformed("an empty reply")),
        }
    }

    /// Who the member is; `None` before it joined.
    pub fn identity(&self) -> Option<Arc<MemberIdentity>> {
        self.inner.identity.load_full()
    }
    /// The member's own key, for its TLS listeners.
    pub fn tls_key(&self) -> rustls::pki_types::PrivateKeyDer<'static> {
        self.inner.member.tls_key()
    }

    /// A client on a fresh connection. Keep it: it multiplexes.
    pub async fn client(&self) -> Result<SyncClient<Channel>, LinkError> {
        let identity = self.identity();
        let alive = identity.as_ref().filter(|it| wall_clock() < it.expires_at);
        let config = match alive {
            Some(identity) => tls::client(
                &identity.trust_domain,
                &identity.authorities,
                Some((identity.svid.clone(), self.inner.member.tls_key())),
            )?,
            None => tls::client(
                &self.inner.pinned.trust_domain,
                &self.inner.pinned.authorities,
                None,
            )?,
        };
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let server = self.inner.server.clone();
        let dial = tower::service_fn(move |_: Uri| {
            let (connector, server) = (connector.clone(), server.clone());
            async move {
                let stream = TcpStream::connect(&server).await?;
                stream.set_nodelay(true)?;
                let name = rustls::pki_types::ServerName::IpAddress(stream.peer_addr()?.ip().into());
                connector.connect(name, stream).await.map(TokioIo::new)
            }
        });
        let channel = Endpoint::from_static("http://tabard.sync")
            .connect_timeout(CALL_TIMEOUT)
            .http2_keep_alive_interval(Duration::from_secs(1))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true)
            .connect_with_connector(dial)
            .await
            .map_err(|error| LinkError::Unreachable(sources(&error)))?;
        Ok(SyncClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX))
    }

    /// Keeps `replica` current, and the member's SVID fresh, until dropped; `own` is what the member says of itself. Returns
    /// only when trying again is of no use.
    pub async fn follow(&self, replica: Replica, own: impl Own) -> Ended {
        let mut pause = RETRY_AFTER;
        loop {
            let heard = *replica.heard_at().borrow();
            match self.follow_once(&replica, &own).await {
                Err(LinkError::Take(rolled_back @ TakeError::RolledBack { .. })) => {
                    tracing::error!(error = %rolled_back, "stopped following");
                    return Ended::RolledBack(rolled_back);
                }
                Err(LinkError::NotAMember(why)) => {
                    tracing::error!(why, "stopped following");
                    return Ended::NotAMember(why);
                }
                Err(LinkError::Refused(refused)) => {
                    tracing::error!(why = refused.message, "stopped following");
                    return Ended::NotAMember(refused.message);
                }
                Err(error) => tracing::warn!(%error, "the feed broke off; following anew"),
                Ok(()) => tracing::debug!("the server ended the feed; following anew"),
            }
            // Whoever was heard in between may be back at once; whoever was not is asked less and less often.
            if *replica.heard_at().borrow() != heard {
                pause = RETRY_AFTER;
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(RETRY_AFTER_MAX);
        }
    }

    async fn follow_once(&self, replica: &Replica, own: &impl Own) -> Result<(), LinkError> {
        if self.is_due_for_renewal() {
            self.renew().await?;
        }
        let mut client = self.client().await?;
        let (heads, sent) = mpsc::channel(4);
        let say = async |replica: &Replica, looked: Vec<Looked>| {
            let head = Head {
                have_revision: replica.world().revision().0,
                checkpoint: own.checkpoint(),
                looked,
            };
            heads
                .send(head)
                .await
                .map_err(|_| LinkError::Unreachable("the feed ended".into()))
        };
        say(replica, Vec::new()).await?;
        let mut frames = client.follow(ReceiverStream::new(sent)).await?.into_inner();
        let mut said = replica.world().revision();
        let (begun, mut lag) = (Instant::now(), Lag::default());
        loop {
            let Some(frame) = frames.message().await? else {
                return Ok(());
            };
            let beat = if let Some(crate::proto::frame::Body::Heartbeat(beat)) = &frame.body {
                if lag.of(beat.at, begun.elapsed()) > STALE_AFTER {
                    return Err(LinkError::Unreachable(
                        "its words are seconds old: this process was stopped, or the network held them back"
                            .into(),
                    ));
                }
                true
            } else {
                false
            };
            if let Some(crate::proto::frame::Body::Look(Look { id, look })) = &frame.body {
                if let Some(looked) = own.look(look) {
                    say(replica, vec![Looked { id: *id, looked }]).await?;
                }
                continue;
            }
            replica.take(frame)?; // a gap heals by following anew
            let have = replica.world().revision();
            if beat || have != said {
                say(replica, Vec::new()).await?;
                said = have;
            }
            if beat && self.is_due_for_renewal() {
                self.renew().await?;
                return Ok(()); // the next connection shows the new SVID
            }
        }
    }

    fn is_due_for_renewal(&self) -> bool {
        self.identity()
            .is_some_and(|identity| identity.expires_at < wall_clock().plus_secs(RENEW_BEFORE_SECS))
    }
}

fn wall_clock() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::from_secs(since.as_secs())
}

/// An error with what caused it, in one line.
fn sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
