//! Connections: accept, TLS, HTTP/1.1 or 2, each step with a limit of time, and all of them with a limit of number.
//!
//! A peer that sends slowly, or nothing, holds a place for seconds and costs no processor.

use crate::installation::Installation;
use axum::Router;
use credential::X509Svid;
use credential::x509_svid::{self, PeerRole};
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use identity::UnixTime;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// Longest TLS handshake: four flights over the slowest link that is still a link.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Longest wait for a complete request header, idle keep-alive time included.
const HEADER: Duration = Duration::from_secs(10);
/// How often an HTTP/2 connection is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);
const PING_ANSWER: Duration = Duration::from_secs(10);
/// Largest header block in bytes: two tokens of 8 KiB, and what clients add.
const HEADER_BYTES_MAX: u32 = 24 * 1024;
/// Streams of one HTTP/2 connection at once; one agent asks for a handful of tokens.
const STREAMS_MAX: u32 = 64;
/// How long connections may take to end their requests when the server stops.
const FAREWELL: Duration = Duration::from_secs(5);
/// Pause after accept failed: out of descriptors is over sooner when nobody spins.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who is on the other end of a connection. In every request's extensions.
#[derive(Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Whether it is a process inside a run, once somebody looked.
    pub(crate) inside: OnceLock<bool>,
    svid: Option<X509Svid>,
}

impl Peer {
    /// Its verified X.509-SVID, unless that has expired since the handshake.
    pub fn svid(&self, now: UnixTime) -> Option<&X509Svid> {
        self.svid.as_ref().filter(|svid| now < svid.not_after())
    }
}

/// Serves `routes` until `stop` says so, then waits for requests in flight.
pub(crate) async fn serve(
    installation: Arc<Installation>,
    listener: TcpListener,
    tls: TlsAcceptor,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(installation.config.connections_max));
    let all = installation.config.connections_max;
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (installation, tls, routes, stop) =
            (installation.clone(), tls.clone(), routes.clone(), stop.clone());
        tokio::spawn(async move {
            installation.metrics.connected();
            if let Err(reason) = converse(&installation, stream, address, tls, routes, stop).await {
                tracing::debug!(%address, reason, "a connection ended early");
            }
            installation.metrics.disconnected();
            drop(place);
        });
    }
    drop(listener);
    let everybody = u32::try_from(all).unwrap_or(u32::MAX);
    if tokio::time::timeout(FAREWELL, places.acquire_many(everybody))
        .await
        .is_err()
    {
        tracing::warn!("connections were still busy when the server stopped");
    }
}

async fn converse(
    installation: &Installation,
    stream: TcpStream,
    address: SocketAddr,
    tls: TlsAcceptor,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let local = stream.local_addr().map_err(|error| error.to_string())?;
    let stream = tokio::time::timeout(HANDSHAKE, tls.accept(stream))
        .await
        .map_err(|_| "the TLS handshake took too long".to_owned())?
        .map_err(|error| error.to_string())?;
    let peer = Arc::new(Peer {
        address,
        local,
        inside: OnceLock::new(),
        svid: svid_of(installation, stream.get_ref().1),
    });
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        routes.clone().oneshot(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_buf_size(HEADER_BYTES_MAX as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING_ANSWER)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(|error| error.to_string()),
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    tokio::time::timeout(FAREWELL, connection)
        .await
        .map_err(|_| "it did not end when the server stopped".to_owned())?
        .map_err(|error| error.to_string())
}

/// The client certificate as a value. The handshake verified it; here it is verified again because only the
/// verifier makes an [`X509Svid`].
fn svid_of(installation: &Installation, connection: &rustls::ServerConnection) -> Option<X509Svid> {
    let chain = connection.peer_certificates()?;
    let published = installation.published();
    x509_svid::verify(
        chain,
        |_| published.x509_roots.as_ref(),
        PeerRole::Client,
        installation.clock.now(),
    )
    .ok()
}
