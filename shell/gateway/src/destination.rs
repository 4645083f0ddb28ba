//! One upstream, ready to be called: compiled routes, parsed origin, and a pool of connections of its own.

use crate::connect::Connector;
use crate::outgoing::OutgoingBody;
use broker::upstream::{Injection, Origin, Routes, Upstream};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::sync::Arc;
use std::time::Duration;

/// How long an idle connection to an upstream is kept.
const IDLE_SECS: u64 = 30;
/// Most idle connections to one upstream.
const IDLE_MAX: usize = 256;

/// Connections to one origin.
pub(crate) type Pool = Client<Connector, OutgoingBody>;

/// One upstream of the World.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) routes: Routes,
    pub(crate) pool: Pool,
    /// Where its tokens come from, and the path there.
    pub(crate) token_endpoint: Option<TokenEndpoint>,
}

/// A token endpoint and its own pool.
#[derive(Debug)]
pub(crate) struct TokenEndpoint {
    pub(crate) url: String,
    pub(crate) pool: Pool,
}

impl Destination {
    /// `None` if the World holds a definition that this version cannot call: then it is as if undeclared.
    pub(crate) fn of(
        upstream: &Arc<Upstream>,
        tls: &Arc<rustls::ClientConfig>,
        timeout: Duration,
    ) -> Option<Self> {
        let origin: Arc<Origin> = Arc::new(upstream.base_url.parse().ok()?);
        let routes = Routes::compile(&upstream.routes).ok()?;
        let token_endpoint = match &upstream.credential {
            Injection::ClientCredentials { token_url, .. } => {
                let (origin, _) = Origin::split(token_url).ok()?;
                Some(TokenEndpoint {
                    url: token_url.clone(),
                    pool: pool(Arc::new(origin), tls, timeout),
                })
            }
            Injection::None | Injection::ApiKey { .. } => None,
        };
        let pool = pool(origin.clone(), tls, timeout);
        Some(Self {
            upstream: upstream.clone(),
            origin,
            routes,
            pool,
            token_endpoint,
        })
    }
}

fn pool(origin: Arc<Origin>, tls: &Arc<rustls::ClientConfig>, timeout: Duration) -> Pool {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(IDLE_SECS))
        .pool_max_idle_per_host(IDLE_MAX)
        .build(Connector::new(origin, tls.clone(), timeout))
}
