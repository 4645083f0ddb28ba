//! The listener for proxies: HTTP/2 over mutual TLS, nothing else.

use super::auth_v3::authorization_server::AuthorizationServer;
use super::check::Checks;
use super::tls;
use crate::gateway::{Gateway, Inner};
use crate::serve::told;
use broker::upstream::BODY_BYTES_MAX;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use identity::UnixTime;
use rustls::server::ResolvesServerCert;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// Longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long checks in flight may take to end after shutdown began.
const DRAIN: Duration = Duration::from_secs(5);
/// How often a connection is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);
const PING_ANSWER: Duration = Duration::from_secs(10);
/// Largest message: a body that a decision looks into, and 64 KiB of what comes with it.
const MESSAGE_BYTES_MAX: usize = BODY_BYTES_MAX + 64 * 1024;
/// Connections at once: each worker thread of a proxy has one.
const CONNECTIONS_MAX: usize = 1024;
/// Checks of one connection at once.
const STREAMS_MAX: u32 = 256;
/// Longest life of a connection: its SVID's, and a day at most.
const CONNECTION_SECS_MAX: u64 = 86_400;

impl Gateway {
    /// Answers checks on `listener` until `shutdown`; shows `own`, asks for the X.509-SVID of a service.
    pub async fn serve_ext_authz(
        &self,
        listener: TcpListener,
        own: Arc<dyn ResolvesServerCert>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let config = tls::config(self.inner.clone(), own).map_err(io::Error::other)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let Ok(place) = places.clone().acquire_owned().await else {
                break;
            };
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let (stream, from) = match accepted {
                Ok((stream, from)) => (stream, from.ip()),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            let (inner, acceptor, stopped) = (self.inner.clone(), acceptor.clone(), stopped.clone());
            connections.spawn(async move {
                let _place = place;
                if !converse(&inner, &acceptor, stream, from, stopped).await {
                    inner.unidentified.count(from, "TLS_HANDSHAKE");
                }
            });
        }
        drop(listener);
        stop.send_replace(true);
        let drain = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drain).await.is_err() {
            tracing::warn!("checks were still in flight 5 s after shutdown began; they are cut");
        }
        Ok(())
    }
}

/// One connection; whether it got past the handshake.
async fn converse(
    inner: &Arc<Inner>,
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    from: IpAddr,
    mut stopped: watch::Receiver<bool>,
) -> bool {
    if stream.set_nodelay(true).is_err() {
        return false;
    }
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        return false;
    };
    // The handshake verified it; here it is verified again because only the verifier makes a value of it.
    let chain = stream.get_ref().1.peer_certificates();
    let Some(svid) = chain.and_then(|chain| tls::svid(inner, chain)) else {
        return false;
    };
    let checks = Checks {
        inner: inner.clone(),
        caller: svid.spiffe_id().clone(),
        key: svid.key(),
        not_after: svid.not_after(),
        from,
    };
    let service = AuthorizationServer::new(checks).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING_ANSWER)
        .max_concurrent_streams(STREAMS_MAX);
    let serving = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(serving);
    // With its SVID ends what the connection proves: the next one shows the renewed one.
    let until = ends(svid.not_after(), (inner.clock)());
    let over = async {
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = told(&mut stopped) => {}
        }
    };
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = over => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
    true
}

fn ends(not_after: UnixTime, now: UnixTime) -> Instant {
    let left = not_after.millis_since(now).min(CONNECTION_SECS_MAX * 1000);
    Instant::now() + Duration::from_millis(left)
}
