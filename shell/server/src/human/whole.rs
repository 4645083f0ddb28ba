//! A request is read whole before anybody judges it. Whoever is refused gets to read why: a server that answers and closes
//! while the other side still sends is heard by nobody, and breaks the next request on the same connection.
//!
//! Nothing is kept that the endpoints would not read anyway, and nobody may take longer than a form takes to be sent.

use crate::admin::body::{BODY_BYTES_MAX, too_large};
use crate::admin::refused::Refused;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use std::time::Duration;

/// Longest time for a whole body.
const BODY: Duration = Duration::from_secs(10);

/// Reads the body, then goes on. What is too long or too slow is not read to its end, and says so.
pub(super) async fn read(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let refused = match tokio::time::timeout(BODY, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => return next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => too_large(),
        Err(_) => Refused::new(
            StatusCode::REQUEST_TIMEOUT,
            "BODY_TOO_SLOW",
            "The request did not arrive within 10 seconds.",
            "A connection that only waits keeps others out.",
            "Try again.",
        ),
    };
    let mut response = refused.into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}
