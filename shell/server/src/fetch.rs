//! Requests to whoever an operator named outside, an identity provider or a decision point: over TLS with the roots that
//! were named with it, bounded in time and size, no redirects followed, and to no address that nobody means (see
//! [`broker::upstream::checked`]). Plain http goes to loopback alone.

use crate::config::is_usable;
use crate::tls::RootsError;
use broker::upstream::{Forbidden, Host, checked};
use bytes::Bytes;
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What an answer may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Longest wait for the whole of it, from the name lookup on.
    pub(crate) time: Duration,
    /// Its largest body in bytes.
    pub(crate) bytes: usize,
}

/// Why there was no answer. For the operator's log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0} is no address to connect to: https, or http on loopback")]
    Address(String),
    #[error(transparent)]
    Roots(#[from] RootsError),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("{0}")]
    Connection(String),
    #[error("it did not answer within {0:?}")]
    Late(Duration),
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// Sends one request to `uri`.
pub(crate) async fn send(
    tls: Arc<ClientConfig>,
    uri: &str,
    request: http::request::Builder,
    body: String,
    limits: Limits,
) -> Result<Response<Bytes>, FetchError> {
    let address: Uri = uri
        .parse()
        .ok()
        .filter(|_| is_usable(uri.split('?').next().unwrap_or_default()))
        .ok_or_else(|| FetchError::Address(uri.to_owned()))?;
    tokio::time::timeout(limits.time, exchange(tls, &address, request, body, limits.bytes))
        .await
        .unwrap_or(Err(FetchError::Late(limits.time)))
}

async fn exchange(
    tls: Arc<ClientConfig>,
    uri: &Uri,
    request: http::request::Builder,
    body: String,
    bytes_max: usize,
) -> Result<Response<Bytes>, FetchError> {
    let failed = |error: &dyn std::fmt::Display| FetchError::Connection(error.to_string());
    let secure = uri.scheme_str() == Some("https");
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let host: Host = uri
        .host()
        .and_then(|host| host.to_ascii_lowercase().parse().ok())
        .ok_or_else(|| FetchError::Address(uri.to_string()))?;
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let target = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = request
        .uri(target)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| failed(&error))?;
    let name = match &host {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| failed(&error))?,
        Host::V4(v4) => ServerName::IpAddress(IpAddr::V4(*v4).into()),
        Host::V6(v6) => ServerName::IpAddress(IpAddr::V6(*v6).into()),
    };
    // What was checked is what is connected to: a name that says something else next changes nothing.
    let resolved = resolve(&host, port).await.map_err(|error| failed(&error))?;
    let addresses = checked(&host, resolved)?;
    let stream = TcpStream::connect(addresses.as_slice())
        .await
        .map_err(|error| failed(&error))?;
    let response = if secure {
        let stream = TlsConnector::from(tls)
            .connect(name, stream)
            .await
            .map_err(|error| failed(&error))?;
        over(stream, request).await?
    } else {
        over(stream, request).await?
    };
    let (head, body) = response.into_parts();
    let body = Limited::new(body, bytes_max).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            FetchError::TooLarge(bytes_max)
        } else {
            failed(&error)
        }
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

async fn resolve(host: &Host, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    Ok(match host {
        Host::V4(v4) => vec![SocketAddr::from((*v4, port))],
        Host::V6(v6) => vec![SocketAddr::from((*v6, port))],
        Host::Name(name) => tokio::net::lookup_host((name.as_str(), port)).await?.collect(),
    })
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
