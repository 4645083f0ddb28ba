//! A gateway of this process on its own: a journal and a World that somebody here makes, no server and no feed.

use crate::fault::Fault;
use crate::log_key::LogKey;
use crate::part::exchange_load::now;
use audit::event::CommitmentKey;
use broker::World;
use gateway::{FeedHealth, Gateway, GatewayParts, NobodyToAsk, Secrets, Settings};
use identity::{LogId, Secret};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use store::Store;
use tokio::sync::watch;

/// The log of its journal.
pub(crate) const LOG: LogId = LogId(7);

/// A gateway, and what it judges by. Without `worlds` it closes its routes.
pub(crate) struct Standalone {
    pub(crate) gateway: Gateway,
    pub(crate) worlds: watch::Sender<Arc<World>>,
    pub(crate) feed: watch::Sender<FeedHealth>,
}

impl Standalone {
    /// With a new journal in `journal`, for tokens of `issuer`, called at `public_url`.
    pub(crate) fn new(
        journal: &Path,
        issuer: &str,
        public_url: String,
        world: Arc<World>,
        secrets: Arc<dyn Secrets>,
    ) -> Result<Self, Fault> {
        let settings = store::Settings::new(journal, LOG, Arc::new(LogKey::new()?));
        let journal = Arc::new(Store::open(&settings)?);
        let (worlds, world_of) = watch::channel(world);
        let (feed, feed_of) = watch::channel(FeedHealth::Local);
        let names = Arc::new(CommitmentKey::new(Secret::new([9; 32])));
        let gateway = Gateway::new(GatewayParts {
            settings: Settings::new(issuer, vec![public_url], LOG),
            worlds: world_of,
            feed: feed_of,
            journal,
            secrets,
            approvals: Arc::new(NobodyToAsk),
            homes: Arc::new(gateway::LocalHomes {
                worlds: worlds.clone(),
                log: LOG,
            }),
            names: Arc::new(move |_| names.clone()),
            upstream_tls: to_upstreams()?,
            clock: Arc::new(now),
            random: Arc::new(random),
        })?;
        Ok(Self {
            gateway,
            worlds,
            feed,
        })
    }
}

/// 32 fresh bytes. Without a random source there is no id that is safe to use: the process ends.
fn random() -> [u8; 32] {
    let mut seed = [0; 32];
    if aws_lc_rs::rand::fill(&mut seed).is_err() {
        std::process::abort();
    }
    seed
}

/// No upstream here speaks TLS.
fn to_upstreams() -> Result<Arc<ClientConfig>, Fault> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(Arc::new(config))
}
