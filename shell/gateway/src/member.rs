//! A gateway as a member: its World, health and secrets come from its server over `tabard.sync.v1`.

use crate::parts::{
    ApprovalError, Approvals, FeedHealth, Homes, NoHome, SecretError, Secrets, WaitingApproval,
};
use broker::approve::Ask;
use broker::home::Counted;
use broker::ledger::{LOOK_MAX, Look};
use broker::world::approval::State;
use futures_util::future::BoxFuture;
use identity::{ApprovalId, Digest, Revision, Secret, UnixTime, UpstreamId};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use store::Store;
use store::ledger::Ledger;
use sync::link::Own;
use sync::proto::sync_client::SyncClient;
use sync::proto::{
    AskApprovalRequest, ClaimHomeRequest, Refused, SpendApprovalRequest, UpstreamSecretRequest,
    ask_approval_reply, spend_approval_reply, upstream_secret_reply,
};
use sync::{Link, Replica};
use tokio::sync::{Mutex, watch};
use tonic::transport::Channel;

/// A secret and its version.
type Kept = (u64, Arc<Secret<String>>);

/// Upstream secrets, asked for once a version and kept in memory while it is current.
#[derive(Debug)]
pub struct ServerSecrets {
    link: Link,
    kept: Mutex<HashMap<UpstreamId, Kept>>,
}

impl ServerSecrets {
    /// Over a link that has joined as a gateway.
    pub fn new(link: Link) -> Self {
        Self {
            link,
            kept: Mutex::default(),
        }
    }

    async fn ask(&self, upstream: UpstreamId, version: u64) -> Result<Arc<Secret<String>>, SecretError> {
        let mut kept = self.kept.lock().await;
        if let Some((_, secret)) = kept.get(&upstream).filter(|(of, _)| *of == version) {
            return Ok(secret.clone());
        }
        let request = UpstreamSecretRequest {
            upstream_id: upstream.to_string(),
            version,
        };
        let mut client = self.link.client().await.map_err(|error| {
            tracing::warn!(%error, "the server cannot be asked for a secret");
            SecretError::Unavailable
        })?;
        let reply = client.upstream_secret(request).await.map_err(|status| {
            tracing::warn!(code = ?status.code(), %upstream, "the server gave no secret");
            if status.code() == tonic::Code::NotFound {
                SecretError::Unknown
            } else {
                SecretError::Unavailable
            }
        })?;
        match reply.into_inner().outcome {
            Some(upstream_secret_reply::Outcome::Secret(secret)) => {
                let secret = String::from_utf8(secret).map_err(|_| SecretError::Unknown)?;
                let secret = Arc::new(Secret::new(secret));
                kept.insert(upstream, (version, secret.clone()));
                Ok(secret)
            }
            Some(upstream_secret_reply::Outcome::Refused(_)) | None => Err(SecretError::Unknown),
        }
    }
}

impl Secrets for ServerSecrets {
    fn secret(
        &self,
        upstream: UpstreamId,
        version: u64,
    ) -> BoxFuture<'_, Result<Arc<Secret<String>>, SecretError>> {
        Box::pin(self.ask(upstream, version))
    }
}

/// What a gateway says of itself while it follows its server: the head of its journal, and what it counted.
#[derive(Debug)]
pub struct OwnWord {
    journal: Arc<Store>,
    ledger: Arc<OnceLock<Arc<Ledger>>>,
    clock: fn() -> UnixTime,
}

impl OwnWord {
    /// Of the gateway with this journal; `ledger` is filled once its counts are recovered, and until then it says nothing
    /// of them.
    pub const fn new(
        journal: Arc<Store>,
        ledger: Arc<OnceLock<Arc<Ledger>>>,
        clock: fn() -> UnixTime,
    ) -> Self {
        Self {
            journal,
            ledger,
            clock,
        }
    }
}

impl Own for OwnWord {
    fn checkpoint(&self) -> String {
        let checkpoint = self.journal.checkpoint();
        checkpoint
            .map(|it| String::from_utf8_lossy(&it).into_owned())
            .unwrap_or_default()
    }
    fn look(&self, look: &[u8]) -> Option<Vec<u8>> {
        let look: Look = serde_json::from_slice(look).ok()?;
        if look.trails.len() + look.windows.len() > LOOK_MAX {
            return None;
        }
        let looked = self.ledger.get()?.look(&look, (self.clock)());
        serde_json::to_vec(&looked).ok()
    }
}

/// Homes, asked for on a connection that is kept until it breaks.
#[derive(Debug)]
pub struct ServerHomes {
    link: Link,
    client: Mutex<Option<SyncClient<Channel>>>,
}

impl ServerHomes {
    /// Over a link that has joined as a gateway.
    pub fn new(link: Link) -> Self {
        Self {
            link,
            client: Mutex::default(),
        }
    }

    async fn client(&self) -> Result<SyncClient<Channel>, NoHome> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref() {
            return Ok(client.clone());
        }
        let client = self.link.client().await.map_err(|error| {
            tracing::warn!(%error, "the server cannot be asked for a home");
            NoHome
        })?;
        *kept = Some(client.clone());
        Ok(client)
    }

    async fn ask(&self, request: ClaimHomeRequest) -> Result<Revision, NoHome> {
        // Once more on a new connection: the old one may have shown an SVID that has expired since.
        for _ in 0..2 {
            match self.client().await?.claim_home(request.clone()).await {
                Ok(reply) => return Ok(Revision(reply.into_inner().revision)),
                Err(status) => {
                    tracing::warn!(%status, "the server gave no home");
                    self.client.lock().await.take();
                }
            }
        }
        Err(NoHome)
    }
}

impl Homes for ServerHomes {
    fn claim(&self, wanted: Counted) -> BoxFuture<'_, Result<Revision, NoHome>> {
        let request = ClaimHomeRequest {
            task_id: wanted.task.to_string(),
            instance_id: wanted.instance.to_string(),
            agent_ids: wanted.agents.iter().map(ToString::to_string).collect(),
        };
        Box::pin(self.ask(request))
    }
}

/// Humans are asked, and approvals used up, by the server.
#[derive(Debug)]
pub struct ServerApprovals {
    link: Link,
    /// One connection, made anew when it broke.
    client: Mutex<Option<SyncClient<Channel>>>,
}

impl ServerApprovals {
    /// Over a link that has joined as a gateway.
    pub fn new(link: Link) -> Self {
        Self {
            link,
            client: Mutex::default(),
        }
    }

    async fn client(&self) -> Result<SyncClient<Channel>, ApprovalError> {
        let mut kept = self.client.lock().await;
        if let Some(client) = &*kept {
            return Ok(client.clone());
        }
        let client = self.link.client().await.map_err(|error| {
            tracing::warn!(%error, "the server cannot be asked about an approval");
            ApprovalError::Unavailable
        })?;
        *kept = Some(client.clone());
        Ok(client)
    }

    /// A broken connection is not used again; whether the server did what it was asked is not known.
    async fn failed(&self, status: tonic::Status) -> ApprovalError {
        tracing::warn!(code = ?status.code(), why = status.message(), "the server gave no word on an approval");
        *self.client.lock().await = None;
        ApprovalError::Unavailable
    }

    async fn asked(&self, ask: Ask) -> Result<WaitingApproval, ApprovalError> {
        let ask = serde_json::to_vec(&ask).map_err(|_| ApprovalError::Unavailable)?;
        let mut client = self.client().await?;
        let reply = match client.ask_approval(AskApprovalRequest { ask }).await {
            Ok(reply) => reply.into_inner(),
            Err(status) => return Err(self.failed(status).await),
        };
        match reply.outcome {
            Some(ask_approval_reply::Outcome::Approval(waiting)) => Ok(WaitingApproval {
                id: waiting
                    .approval_id
                    .parse()
                    .map_err(|_| ApprovalError::Unavailable)?,
                state: State::of(&waiting.state).ok_or(ApprovalError::Unavailable)?,
                until: UnixTime::from_millis(waiting.until),
                page: waiting.page,
            }),
            Some(ask_approval_reply::Outcome::Refused(refused)) => Err(no(refused)),
            None => Err(ApprovalError::Unavailable),
        }
    }

    async fn spent(&self, id: ApprovalId, request: Digest) -> Result<(), ApprovalError> {
        let asked = SpendApprovalRequest {
            approval_id: id.to_string(),
            request: request.to_string(),
        };
        let mut client = self.client().await?;
        let reply = match client.spend_approval(asked).await {
            Ok(reply) => reply.into_inner(),
            Err(status) => return Err(self.failed(status).await),
        };
        match reply.outcome {
            Some(spend_approval_reply::Outcome::Spent(_)) => Ok(()),
            Some(spend_approval_reply::Outcome::Refused(refused)) => Err(no(refused)),
            None => Err(ApprovalError::Unavailable),
        }
    }
}

fn no(refused: Refused) -> ApprovalError {
    ApprovalError::Refused {
        code: refused.code,
        message: refused.message,
    }
}

impl Approvals for ServerApprovals {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<WaitingApproval, ApprovalError>> {
        Box::pin(self.asked(ask))
    }
    fn spend(&self, id: ApprovalId, request: Digest) -> BoxFuture<'_, Result<(), ApprovalError>> {
        Box::pin(self.spent(id, request))
    }
}

/// The replica's freshness in the gateway's words. Before the first word of the server the feed counts as lost.
pub fn feed_health(replica: &Replica) -> watch::Receiver<FeedHealth> {
    let mut heard = replica.heard_at();
    let long_ago = tokio::time::Instant::now()
        .checked_sub(std::time::Duration::from_millis(2 * crate::HEARTBEAT_MILLIS_MAX))
        .unwrap_or_else(tokio::time::Instant::now);
    let (health, told) = watch::channel(FeedHealth::Heard(long_ago));
    tokio::spawn(async move {
        loop {
            let last = *heard.borrow_and_update();
            if let Some(at) = last {
                health.send_replace(FeedHealth::Heard(at));
            }
            if heard.changed().await.is_err() || health.is_closed() {
                return;
            }
        }
    });
    told
}
