//! First contact: which server is it? The join token says the digest of its root certificate. The certificate itself is
//! fetched over a connection that proves nothing and on which nothing secret is said; what does not have the digest is
//! thrown away. Only then, over TLS that trusts that root alone, is the join token shown.

use crate::cli::{Exit, Failure};
use credential::{TrustBundle, sha256};
use http::Request;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use server::admin::JoinString;
use std::sync::Arc;
use std::time::Duration;
use sync::Pinned;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where every server publishes its authorities (SPIFFE Trust Domain and Bundle section 4).
const BUNDLE: &str = "/.well-known/spiffe-bundle";
/// Largest bundle in bytes: some keys and certificates of 1 KiB each.
const BUNDLE_BYTES_MAX: usize = 256 * 1024;
/// Longest wait for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server's root, which has the digest that the join token pins. `server` is `host:port`.
pub(super) async fn pinned(join: &JoinString, server: &str) -> Result<Pinned, Failure> {
    let fetched = tokio::time::timeout(PATIENCE, fetch(server)).await;
    let unreachable = |why: String| {
        Failure::new(
            "SERVER_UNREACHABLE",
            format!("{server} does not answer as a server should"),
        )
        .because(why)
        .fix("Is the server running, and reachable from here? The join token is not spent.")
        .ending(Exit::Unreachable)
    };
    let bytes = match fetched {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(why)) => return Err(unreachable(why)),
        Err(_) => return Err(unreachable("it did not answer within 10 seconds".to_owned())),
    };
    let bundle = TrustBundle::parse(join.trust_domain.clone(), &bytes)
        .map_err(|error| unreachable(format!("its trust bundle cannot be read: {error}")))?;
    let root = bundle
        .x509_authorities
        .iter()
        .find(|certificate| sha256(certificate) == *join.pin.as_bytes());
    let root = root.ok_or_else(|| {
        Failure::new("SERVER_PIN", format!("{server} is not the server that the join token is for"))
            .because(format!("it has no root certificate with the digest {}", join.pin))
            .fix(
                "Somebody else may answer at that address, or the installation was founded anew: create a join token \
                 there. Nothing secret was sent, and the join token is not spent.",
            )
    })?;
    Ok(Pinned {
        trust_domain: join.trust_domain.clone(),
        authorities: vec![CertificateDer::from(root.clone())],
    })
}

/// The bundle, from whoever answers.
async fn fetch(server: &str) -> Result<Bytes, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| text(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let stream = TcpStream::connect(server).await.map_err(|error| text(&error))?;
    let address = stream.peer_addr().map_err(|error| text(&error))?;
    let stream = TlsConnector::from(Arc::new(tls))
        .connect(ServerName::IpAddress(address.ip().into()), stream)
        .await
        .map_err(|error| text(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| text(&error))?;
    let driver = tokio::spawn(connection);
    let request = Request::get(BUNDLE)
        .header(http::header::HOST, server)
        .body(Empty::<Bytes>::new())
        .map_err(|error| text(&error))?;
    let response = sender.send_request(request).await.map_err(|error| text(&error))?;
    if !response.status().is_success() {
        return Err(format!("it answered {} for {BUNDLE}", response.status()));
    }
    let body = Limited::new(response.into_body(), BUNDLE_BYTES_MAX)
        .collect()
        .await;
    driver.abort();
    Ok(body.map_err(|error| text(&error))?.to_bytes())
}

/// Believes every certificate: what comes over this connection is public, and judged by its digest.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
