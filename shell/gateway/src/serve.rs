//! Listeners: HTTP/1.1 in the clear on loopback, or over TLS with client certificates.

use crate::call::{Peer, call};
use crate::fields::{FIELDS_MAX, HEAD_BYTES_MAX};
use crate::gateway::{Gateway, Inner};
use crate::unidentified::write_down;
use credential::sha256;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use identity::Thumbprint;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How long calls in flight may take to end after shutdown began, in seconds.
const DRAIN_SECS: u64 = 5;
/// Longest TLS handshake, in seconds.
const HANDSHAKE_SECS: u64 = 10;

impl Gateway {
    /// Serves `listener` until `shutdown`; then takes no more connections and gives those that are open 5 s. With
    /// `tls`, clients may prove certificates there: tokens bound to one are accepted over it (RFC 8705).
    pub async fn serve(
        &self,
        listener: TcpListener,
        tls: Option<Arc<rustls::ServerConfig>>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let acceptor = tls.map(TlsAcceptor::from);
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let (stream, from) = match accepted {
                Ok((stream, from)) => (stream, from.ip()),
                Err(error) => {
                    // Out of descriptors, or a connection that died in the queue: neither ends the gateway.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let (inner, acceptor, stopped) = (self.inner.clone(), acceptor.clone(), stopped.clone());
            connections.spawn(async move {
                let Some(acceptor) = acceptor else {
                    let peer = Peer {
                        address: from,
                        certificate: None,
                    };
                    return connection(inner, stream, peer, stopped).await;
                };
                let handshake =
                    tokio::time::timeout(Duration::from_secs(HANDSHAKE_SECS), acceptor.accept(stream));
                let Ok(Ok(stream)) = handshake.await else {
                    inner.unidentified.count(from, "TLS_HANDSHAKE");
                    return;
                };
                let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let peer = Peer {
                    address: from,
                    certificate: certificate.map(|leaf| Thumbprint::from_bytes(sha256(leaf.as_ref()))),
                };
                connection(inner, stream, peer, stopped).await;
            });
        }
        drop(listener);
        stop.send_replace(true);
        let drain = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(DRAIN_SECS), drain)
            .await
            .is_err()
        {
            tracing::warn!("calls were still in flight 5 s after shutdown began; they are cut");
        }
        write_down(&self.inner).await;
        Ok(())
    }
}

async fn connection<S>(inner: Arc<Inner>, stream: S, peer: Peer, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let head_timeout = Duration::from_millis(inner.settings.head_timeout_ms);
    let service = service_fn(move |request| {
        let inner = inner.clone();
        async move { Ok::<_, Infallible>(call(inner, peer, request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(FIELDS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = told(&mut stopped) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Ready once shutdown began; an error means that the listener is gone, which is the same.
pub(crate) async fn told(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|stopped| *stopped).await);
}
