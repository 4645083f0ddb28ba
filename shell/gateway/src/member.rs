//! A gateway as a member: its World, health and secrets come from its server over `tabard.sync.v1`.

use crate::parts::{FeedHealth, Homes, NoHome, SecretError, Secrets};
use broker::home::Counted;
use futures_util::future::BoxFuture;
use identity::{Revision, Secret, UpstreamId};
use std::collections::HashMap;
use std::sync::Arc;
use sync::proto::sync_client::SyncClient;
use sync::proto::{ClaimHomeRequest, UpstreamSecretRequest, upstream_secret_reply};
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
