//! `GET /v1/entries/tail`: new entries as they become durable, one JSON object a line.

use super::Plane;
use super::caller::{Caller, READERS_OF_THE_RECORD};
use super::entries::{Recorded, sees};
use super::refused::Refused;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header;
use identity::OrgScope;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

/// How often the logs are looked at: below what a person notices.
const EVERY: Duration = Duration::from_millis(150);
/// Lines under way to one reader; a slower one is waited for.
const BACKLOG: usize = 64;

pub(super) async fn follow(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<impl IntoResponse, Refused> {
    caller.looks_as(&plane, READERS_OF_THE_RECORD).await?;
    let (lines, out) = mpsc::channel::<Vec<u8>>(BACKLOG);
    let scope = caller.scope();
    tokio::spawn(pump(plane, scope, lines));
    let body = Body::from_stream(ReceiverStream::new(out).map(Ok::<_, Infallible>));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body))
}

/// Sends what is new until the reader leaves or the server stops.
async fn pump(plane: Arc<Plane>, scope: OrgScope, lines: mpsc::Sender<Vec<u8>>) {
    let mut next: Vec<u64> = plane.stores().map(|store| store.log().size()).collect();
    let mut stop = plane.stop.clone();
    loop {
        let reader = plane.clone();
        let mut at = next;
        let read = tokio::task::spawn_blocking(move || {
            let mut fresh = Vec::new();
            for (store, next) in reader.stores().zip(&mut at) {
                // A log that cannot be read now is asked again from the same place.
                let entries = store.log().entries(*next..u64::MAX).unwrap_or_default();
                *next += entries.len() as u64;
                fresh.extend(entries.into_iter().filter_map(Recorded::of));
            }
            (fresh, at)
        });
        let Ok((mut fresh, at)) = read.await else { return };
        next = at;
        fresh.sort_by_key(|it| it.parsed.event.at);
        for it in fresh.iter().filter(|it| sees(scope, it)) {
            let Ok(mut line) = serde_json::to_vec(it) else {
                continue;
            };
            line.push(b'\n');
            if lines.send(line).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = lines.closed() => return,
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
