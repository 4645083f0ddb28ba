//! Connections of the admin socket: who is at the other end, then HTTP/1.1.

use super::Plane;
use axum::Router;
use broker::admin::PeerEvidence;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use peer::{Listener, Peer, SUPERVISOR_NAME, WitnessedStream, ancestors};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;

/// Connections at once: people and their scripts.
const CONNECTIONS_MAX: usize = 64;
/// Longest wait for a complete request header.
const HEADER: Duration = Duration::from_secs(10);
/// Pause after accept failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long requests in flight may take when the server stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves until `stop` says so.
pub(super) async fn serve(
    plane: Arc<Plane>,
    listener: &Listener,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (peer, stream) = match accepted {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a caller of the admin socket is not known to the kernel any more");
                plane
                    .installation
                    .unidentified
                    .count(super::caller::HERE, "ADMIN_PEER_UNKNOWN");
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept on the admin socket");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (routes, stop) = (routes.clone(), stop.clone());
        tokio::spawn(async move {
            converse(&peer, stream, routes, stop).await;
            drop(place);
        });
    }
    let everybody = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    if tokio::time::timeout(FAREWELL, places.acquire_many(everybody))
        .await
        .is_err()
    {
        tracing::warn!("administrators were still connected when the server stopped");
    }
}

async fn converse(peer: &Peer, stream: WitnessedStream, routes: Router, mut stop: watch::Receiver<bool>) {
    let evidence = evidence(peer);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(evidence);
        routes.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stop.wait_for(|stop| *stop) => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        match tokio::time::timeout(FAREWELL, connection).await {
            Ok(ended) => ended,
            Err(_) => return,
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an admin connection ended early");
    }
}

/// What the kernel says. Whoever stands below a supervisor is inside a run; a walk that fails may be.
fn evidence(peer: &Peer) -> PeerEvidence {
    let inside_a_run = match ancestors(&peer.process) {
        Ok(line) => line.iter().any(|ancestor| ancestor.name == SUPERVISOR_NAME),
        Err(error) => {
            tracing::debug!(%error, "the ancestors of an admin caller could not be told");
            true
        }
    };
    PeerEvidence {
        uid: peer.uid,
        inside_a_run,
    }
}
