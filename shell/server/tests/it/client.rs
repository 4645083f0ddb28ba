//! A plain HTTPS client that trusts the installation's root, one connection a request.

use crate::test_key::TestKey;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use server::Config;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    roots: Arc<RootCertStore>,
    identity: Option<(Vec<Vec<u8>>, Vec<u8>)>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
    /// `error` of an OAuth error, with its status.
    pub(crate) fn error(&self) -> (u16, String) {
        (
            self.status.as_u16(),
            self.json()["error"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

impl Client {
    pub(crate) fn of(config: &Config) -> Self {
        let pem = std::fs::read_to_string(config.data_dir.join("root.pem")).unwrap();
        let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, der).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(der)).unwrap();
        Self {
            address: config.listen,
            roots: Arc::new(roots),
            identity: None,
        }
    }
    /// The same to another port, by the name localhost.
    pub(crate) fn on_port(&self, port: u16) -> Self {
        let mut other = self.clone();
        other.address.set_port(port);
        other
    }
    /// The same with a client certificate.
    pub(crate) fn with_svid(&self, chain: Vec<Vec<u8>>, key: &TestKey) -> Self {
        Self {
            identity: Some((chain, key.pkcs8())),
            ..self.clone()
        }
    }

    pub(crate) async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = chain.iter().cloned().map(CertificateDer::from).collect();
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone()));
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let stream = self.connect().await.map_err(|error| error.to_string())?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let driver = tokio::spawn(connection);
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| error.to_string())?
            .to_bytes()
            .to_vec();
        driver.abort();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    /// The same over HTTP/2, as gRPC wants it; trailers join the headers.
    pub(crate) async fn send_h2(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let stream = self.connect().await.map_err(|error| error.to_string())?;
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await;
        let (head, mut body) = response.map_err(|error| error.to_string())?.into_parts();
        let (mut headers, mut bytes) = (head.headers, Vec::new());
        // A stream that goes on has said enough within a second.
        let enough = tokio::time::Instant::now() + std::time::Duration::from_secs(1);
        while !headers.contains_key("grpc-status") {
            let frame = tokio::time::timeout_at(enough, body.frame()).await;
            let Ok(Some(Ok(frame))) = frame else { break };
            match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => headers.extend(frame.into_trailers().unwrap_or_default()),
            }
        }
        driver.abort();
        Ok(Answer {
            status: head.status,
            headers,
            body: bytes,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).header("host", self.address.to_string());
        self.send(request.body(Full::default()).unwrap()).await.unwrap()
    }

    /// A form to the token endpoint, with DPoP headers.
    pub(crate) async fn post(&self, form: &str, proofs: &[String]) -> Answer {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/oauth/token")
            .header("host", self.address.to_string())
            .header("content-type", "application/x-www-form-urlencoded");
        for proof in proofs {
            request = request.header("dpop", proof);
        }
        self.send(request.body(Full::from(form.to_owned())).unwrap())
            .await
            .unwrap()
    }
}
