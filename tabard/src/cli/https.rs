//! The client of a server's public surface: HTTPS that trusts exactly the pinned authority of a context.

use super::admin::runtime;
use super::{Exit, Failure};
use crate::context::Context;
use aws_lc_rs::digest::{SHA256, digest};
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

/// Largest document in bytes: a tile has 8 KiB, a checkpoint less.
const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Longest wait for one document.
const ANSWER: Duration = Duration::from_secs(10);

/// The issuer of a context.
pub(super) struct Https {
    base: String,
    host: String,
    port: u16,
    tls: Arc<ClientConfig>,
    runtime: Runtime,
}

impl std::fmt::Debug for Https {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Https({})", self.base)
    }
}

impl Https {
    /// Trusts the context's certificate authority if its file has the pinned digest.
    pub(super) fn of(context: &Context) -> Result<Self, Failure> {
        Self::to(context, &context.issuer)
    }

    /// The same, to another address of that server.
    pub(super) fn to(context: &Context, url: &str) -> Result<Self, Failure> {
        let path = context.ca_file.display();
        let pin = |what: String, why: String| {
            Failure::new("CA_PIN", what)
                .because(why)
                .fix("Restart the server that wrote the context, or restore the file.")
        };
        let root = CertificateDer::from_pem_file(&context.ca_file).map_err(|error| {
            pin(
                format!("{path} cannot be read as a certificate"),
                error.to_string(),
            )
        })?;
        if digest(&SHA256, &root).as_ref() != context.ca_pin.as_bytes() {
            return Err(pin(
                format!("{path} is not the certificate authority that the context pins"),
                format!("its digest is not {}", context.ca_pin),
            ));
        }
        let failed =
            |error: &dyn std::fmt::Display| pin(format!("{path} cannot be trusted"), error.to_string());
        let mut roots = RootCertStore::empty();
        roots.add(root).map_err(|error| failed(&error))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self::over(url, Arc::new(tls))
    }

    /// The same by whatever is trusted there.
    pub(super) fn over(url: &str, tls: Arc<ClientConfig>) -> Result<Self, Failure> {
        let issuer = |why: &str| {
            Failure::new("ISSUER", format!("{url} is not a server's address"))
                .because(why)
                .fix("Correct it in contexts.toml, or with --url.")
        };
        let uri: Uri = url.parse().map_err(|_| issuer("it is not a URL"))?;
        if uri.scheme_str() != Some("https") {
            return Err(issuer("it does not begin with https://"));
        }
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            host: uri.host().ok_or_else(|| issuer("it names no host"))?.to_owned(),
            port: uri.port_u16().unwrap_or(443),
            tls,
            runtime: runtime()?,
        })
    }

    /// A document below the issuer's URL; `None` where there is none. Redirects are not followed.
    pub(super) fn get(&self, path: &str) -> Result<Option<Bytes>, Failure> {
        let fetched = self
            .runtime
            .block_on(async { tokio::time::timeout(ANSWER, self.fetch(path)).await });
        let (status, bytes) = match fetched {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => return Err(self.unreachable(&why)),
            Err(_) => return Err(self.unreachable("it did not answer within 10 seconds")),
        };
        match status {
            StatusCode::OK => Ok(Some(bytes)),
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(self.unreachable(&format!("it answered {other} for {path}"))),
        }
    }

    /// Host and port as the `Host` header carries them.
    pub(super) fn authority(&self) -> &str {
        self.base.strip_prefix("https://").unwrap_or(&self.base)
    }

    /// One JSON request with headers of one's own.
    pub(super) fn call(
        &self,
        method: http::Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Result<(StatusCode, serde_json::Value), Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.authority())
            .header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::new("REQUEST", error.to_string()))?;
        let answered = self.runtime.block_on(async {
            let exchange = async {
                let (head, body) = self.send(request).await?.into_parts();
                let body = Limited::new(body, DOCUMENT_BYTES_MAX).collect().await;
                let body = body.map_err(|error| error.to_string())?.to_bytes();
                Ok::<_, String>((head.status, body))
            };
            tokio::time::timeout(ANSWER, exchange).await
        });
        match answered {
            Ok(Ok((status, bytes))) => Ok((
                status,
                serde_json::from_slice(&bytes).unwrap_or(serde_json::Value::Null),
            )),
            Ok(Err(why)) => Err(self.unreachable(&why)),
            Err(_) => Err(self.unreachable("it did not answer within 10 seconds")),
        }
    }

    /// One request over a connection of its own.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let stream = TcpStream::connect((host, self.port))
            .await
            .map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(self.tls.clone())
            .connect(name, stream)
            .await
            .map_err(|error| error.to_string())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())
    }

    async fn fetch(&self, path: &str) -> Result<(StatusCode, Bytes), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let uri: Uri = format!("{}{path}", self.base)
            .parse()
            .map_err(|error| text(&error))?;
        let target = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::get(target)
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .body(Full::new(Bytes::new()))
            .map_err(|error| text(&error))?;
        let response = self.send(request).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, DOCUMENT_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| text(&error))?;
        Ok((head.status, body.to_bytes()))
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::new(
            "SERVER_UNREACHABLE",
            format!("{} does not answer as it should", self.base),
        )
        .because(why)
        .fix("Is the server running? `tabard status` says so.")
        .ending(Exit::Unreachable)
    }
}
