//! Accepting callers: one connection, one process, a bounded number of each.

use super::authority::AuthorityStream;
use super::identities::Identities;
use super::proto::spiffe_workload_api_server::SpiffeWorkloadApiServer;
use super::service::Service;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use peer::{Listener, Peer, WitnessedStream};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;
use tonic::codegen::Service as _;

/// Connections at once. Each costs about 30 KiB; a host has a few hundred workloads.
pub const CONNECTIONS_MAX: usize = 1024;
/// Connections at once of one uid, so that one user can not lock the others out.
pub const CONNECTIONS_PER_UID_MAX: usize = 256;
/// Streams at once on one connection: a client needs one a method.
const STREAMS_PER_CONNECTION_MAX: u32 = 64;
/// Largest message we read: a token to validate. A JWT-SVID of 8 KiB fits several times.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Largest header list after transcoding: what the transcoder lets through, in the unit of HTTP/2.
const HEADER_LIST_BYTES_MAX: u32 = 64 << 10;
/// After an error of `accept` itself (no descriptors left), before the next try.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Who opened the connection a request came on.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) Peer);

/// Serves the Workload API on `listener` until `stop` is ready; then every connection is closed.
pub async fn serve<I: Identities>(listener: Listener, identities: Arc<I>, stop: impl Future<Output = ()>) {
    let api = SpiffeWorkloadApiServer::new(Service(identities)).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let seats = Seats::default();
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Err(error) => {
                tracing::warn!(%error, "the Workload API can not accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a caller of the Workload API is unknown"),
            Ok(Ok((peer, stream))) => match seats.take(peer.uid) {
                None => tracing::warn!(uid = peer.uid, "too many Workload API connections of this uid"),
                Some(seat) => {
                    connections.spawn(converse(api.clone(), peer, stream, seat));
                }
            },
        }
    }
}

/// Speaks HTTP/2 with one caller until it hangs up.
async fn converse<I: Identities>(
    api: SpiffeWorkloadApiServer<Service<I>>,
    peer: Peer,
    stream: WitnessedStream,
    seat: Seat,
) {
    let caller = Caller(peer);
    let served = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .serve_connection(
            TokioIo::new(AuthorityStream::new(stream)),
            service_fn(|mut request| {
                request.extensions_mut().insert(caller.clone());
                api.clone().call(request)
            }),
        )
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a Workload API connection broke");
    }
    drop(seat);
}

/// Who holds how many connections.
#[derive(Clone, Default)]
struct Seats(Arc<Mutex<HashMap<u32, usize>>>);

struct Seat {
    seats: Seats,
    uid: u32,
}

impl Seats {
    fn take(&self, uid: u32) -> Option<Seat> {
        let mut taken = self.0.lock().ok()?;
        let all: usize = taken.values().sum();
        let own = taken.entry(uid).or_default();
        if all >= CONNECTIONS_MAX || *own >= CONNECTIONS_PER_UID_MAX {
            return None;
        }
        *own += 1;
        Some(Seat {
            seats: self.clone(),
            uid,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Ok(mut taken) = self.seats.0.lock()
            && let Some(own) = taken.get_mut(&self.uid)
        {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_can_not_take_every_seat() {
        let seats = Seats::default();
        let mut held: Vec<_> = (0..CONNECTIONS_PER_UID_MAX)
            .map(|_| seats.take(1).unwrap())
            .collect();
        assert!(seats.take(1).is_none());
        assert!(seats.take(2).is_some());
        held.pop();
        assert!(seats.take(1).is_some());
    }
}
