//! Requests to an identity provider: over TLS with the roots that the configuration names, bounded in time and size,
//! no redirects followed. Plain http goes to loopback alone, which the configuration has judged.

use crate::config::is_usable;
use crate::tls::RootsError;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Largest answer in bytes: a discovery document has 5 KiB, a key set of a large provider 20 KiB.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Longest wait for an answer, from the connection on.
const ANSWER: Duration = Duration::from_secs(10);

/// Why a provider did not answer. For the operator's log.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0} is no address that a provider may have: https, or http on loopback")]
    Address(String),
    #[error(transparent)]
    Roots(#[from] RootsError),
    #[error("{0}")]
    Connection(String),
    #[error("it did not answer within 10 seconds")]
    Late,
}

/// Sends one request to `uri`.
pub(super) async fn send(
    tls: Arc<ClientConfig>,
    uri: &str,
    request: http::request::Builder,
    body: String,
) -> Result<(StatusCode, Bytes), FetchError> {
    let address: Uri = uri
        .parse()
        .ok()
        .filter(|_| is_usable(uri.split('?').next().unwrap_or_default()))
        .ok_or_else(|| FetchError::Address(uri.to_owned()))?;
    tokio::time::timeout(ANSWER, exchange(tls, &address, request, body))
        .await
        .unwrap_or(Err(FetchError::Late))
}

async fn exchange(
    tls: Arc<ClientConfig>,
    uri: &Uri,
    request: http::request::Builder,
    body: String,
) -> Result<(StatusCode, Bytes), FetchError> {
    let failed = |error: &dyn std::fmt::Display| FetchError::Connection(error.to_string());
    let secure = uri.scheme_str() == Some("https");
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let target = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = request
        .uri(target)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| failed(&error))?;
    let stream = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(|error| failed(&error))?;
    let response = if secure {
        let name = ServerName::try_from(host).map_err(|error| failed(&error))?;
        let stream = TlsConnector::from(tls)
            .connect(name, stream)
            .await
            .map_err(|error| failed(&error))?;
        over(stream, request).await?
    } else {
        over(stream, request).await?
    };
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| failed(&error))?;
    Ok((head.status, body.to_bytes()))
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<hyper::body::Incoming>, FetchError> {
    let failed = |error: hyper::Error| FetchError::Connection(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(failed)
}
