//! One HTTP/1.1 connection that is kept, in the clear or over TLS.

use crate::fault::{Fault, fault};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub(crate) async fn open(to: SocketAddr, tls: Option<Arc<ClientConfig>>) -> Result<Self, Fault> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = tls else {
            let (sender, driver) = handshake(TokioIo::new(stream)).await?;
            drop(tokio::spawn(driver));
            return Ok(Self(sender));
        };
        let name = ServerName::IpAddress(to.ip().into());
        let stream = TlsConnector::from(tls).connect(name, stream).await?;
        let (sender, driver) = handshake(TokioIo::new(stream)).await?;
        drop(tokio::spawn(driver));
        Ok(Self(sender))
    }

    /// Sends one request; anything but 200 is a fault that shows the answer.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<(HeaderMap, Bytes), Fault> {
        let (status, headers, body) = self.answer(request).await?;
        if status != StatusCode::OK {
            let text = String::from_utf8_lossy(&body).into_owned();
            return Err(fault(format!("{status}: {text}")));
        }
        Ok((headers, body))
    }

    /// Sends one request, and gives the answer whatever it is.
    pub(crate) async fn answer(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Fault> {
        self.0.ready().await?;
        let (head, body) = self.0.send_request(request).await?.into_parts();
        Ok((head.status, head.headers, body.collect().await?.to_bytes()))
    }
}

/// What a client trusts and shows; base64 of DER, so that it can be handed to another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    root: String,
    /// Leaf first.
    chain: Vec<String>,
    /// PKCS#8.
    key: String,
}

impl Identity {
    pub(crate) fn new(root: &[u8], chain: &[impl AsRef<[u8]>], key: &[u8]) -> Self {
        Self {
            root: STANDARD.encode(root),
            chain: chain.iter().map(|der| STANDARD.encode(der)).collect(),
            key: STANDARD.encode(key),
        }
    }

    /// The same towards another server.
    pub(crate) fn trusting(self, root: &[u8]) -> Self {
        Self {
            root: STANDARD.encode(root),
            ..self
        }
    }

    /// Its own certificate, base64 of DER.
    pub(crate) fn leaf(&self) -> Result<&str, Fault> {
        let leaf = self.chain.first().map(String::as_str);
        leaf.ok_or_else(|| fault("an identity without a certificate"))
    }

    pub(crate) fn tls(&self) -> Result<Arc<ClientConfig>, Fault> {
        let chain: Result<Vec<Vec<u8>>, _> = self.chain.iter().map(|der| STANDARD.decode(der)).collect();
        tls(
            STANDARD.decode(&self.root)?,
            Some((chain?, STANDARD.decode(&self.key)?)),
        )
    }
}

/// TLS that trusts `root` and shows `identity` (certificates and PKCS#8 key, DER).
pub(crate) fn tls(
    root: Vec<u8>,
    identity: Option<(Vec<Vec<u8>>, Vec<u8>)>,
) -> Result<Arc<ClientConfig>, Fault> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = chain.into_iter().map(CertificateDer::from).collect();
            builder.with_client_auth_cert(chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)))?
        }
    };
    Ok(Arc::new(config))
}
