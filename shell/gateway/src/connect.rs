//! Connections to one upstream: resolved here, checked, and made to the checked address.
//!
//! Each upstream has a pool of its own, so a connection never carries the requests of two. The name is resolved once
//! a connection; what was checked is what is connected to, so an answer that changes in between changes nothing.

use broker::upstream::{Forbidden, Host, Origin, checked};
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{IpAddr as TlsIp, ServerName};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why a connection was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The guard said no.
    #[error("{0}")]
    Forbidden(#[from] Forbidden),
    /// Too slow.
    #[error("the upstream did not accept a connection in time")]
    TimedOut,
    /// The network or TLS.
    #[error("the upstream cannot be connected to")]
    Io(#[from] io::Error),
    /// A TLS name that cannot be one.
    #[error("the upstream's host cannot be verified by TLS")]
    Name,
}

/// Connects to one origin, whatever URI it is asked for.
#[derive(Clone)]
pub(crate) struct Connector {
    origin: Arc<Origin>,
    tls: TlsConnector,
    timeout: Duration,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(origin: Arc<Origin>, tls: Arc<rustls::ClientConfig>, timeout: Duration) -> Self {
        Self {
            origin,
            tls: TlsConnector::from(tls),
            timeout,
        }
    }

    async fn connect(self) -> Result<Stream, ConnectError> {
        let limit = self.timeout;
        tokio::time::timeout(limit, self.connect_unbounded())
            .await
            .map_err(|_| ConnectError::TimedOut)?
    }

    async fn connect_unbounded(self) -> Result<Stream, ConnectError> {
        let Origin { host, port, tls } = &*self.origin;
        let addresses = checked(host, resolve(host, *port).await?)?;
        let stream = first(&addresses).await?;
        stream.set_nodelay(true)?;
        if !*tls {
            return Ok(Stream::Plain(TokioIo::new(stream)));
        }
        let name = match host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| ConnectError::Name)?,
            Host::V4(v4) => ServerName::IpAddress(TlsIp::from(IpAddr::V4(*v4))),
            Host::V6(v6) => ServerName::IpAddress(TlsIp::from(IpAddr::V6(*v6))),
        };
        let stream = self.tls.connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(TokioIo::new(stream))))
    }
}

async fn resolve(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(match host {
        Host::V4(v4) => vec![SocketAddr::from((*v4, port))],
        Host::V6(v6) => vec![SocketAddr::from((*v6, port))],
        Host::Name(name) => tokio::net::lookup_host((name.as_str(), port)).await?.collect(),
    })
}

async fn first(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// A connection to an upstream.
pub(crate) enum Stream {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, bufs),
        }
    }
}
