//! A member's side of TLS: it accepts exactly one kind of peer, a server (or, for a node agent's calls, a gateway) of
//! its trust domain, by the rules for X.509-SVIDs and nothing looser. The host name plays no part: the SPIFFE ID does.

use crate::client_svid::ClientSvids;
use crate::link::Link;
use crate::own_certificate::OwnCertificate;
use credential::x509_svid::{self, PeerRole};
use credential::{TrustRoots, X509Svid};
use identity::{TrustDomain, UnixTime};
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, ServerConfig,
    SignatureScheme,
};
use std::sync::Arc;

/// Where the servers' own SPIFFE IDs live; the number of the server's log follows.
pub const SERVER_PATH: &str = "/_tabard/server/";
/// Where gateways' SPIFFE IDs live; the thumbprint of the member's key follows.
pub const GATEWAY_PATH: &str = "/_tabard/gateway/";

/// Why a TLS configuration cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// rustls refused it.
    #[error("TLS cannot be set up: {0}")]
    Config(#[from] Error),
    /// The authorities are none.
    #[error("the trusted authorities cannot be read: {0}")]
    Authorities(String),
}

/// A member's client configuration: trusts only the server of the authorities' trust domain. Without an SVID of its
/// own it can do no more than join.
pub fn client(
    trust_domain: &TrustDomain,
    authorities: &[CertificateDer<'static>],
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<ClientConfig, TlsError> {
    let builder = accepting(trust_domain, authorities, SERVER_PATH)?;
    let mut config = match own {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// A node agent's configuration towards gateways: trusts only a gateway of the trust domain. The agent's token says who
/// calls, so nothing is shown here.
pub fn to_gateway(
    trust_domain: &TrustDomain,
    authorities: &[CertificateDer<'static>],
) -> Result<ClientConfig, TlsError> {
    let mut config = accepting(trust_domain, authorities, GATEWAY_PATH)?.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A gateway's configuration towards node agents and agents: shows its own SVID, whichever is the newest, and lets them
/// show theirs, by the authorities that came with it.
pub fn of_gateway(link: &Link) -> Result<ServerConfig, TlsError> {
    let clients = {
        let link = link.clone();
        ClientSvids::judged_by(move |chain, now| {
            let own = link.identity().ok_or("this gateway has not joined")?;
            let roots = Roots::of(&own.trust_domain, &own.authorities).map_err(|error| error.to_string())?;
            let verified = roots.verify(chain, PeerRole::Client, now);
            verified.map(drop).map_err(|error| error.to_string())
        })
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(OwnCertificate::of(link)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// TLS 1.3 towards peers whose SPIFFE ID begins with `path`.
fn accepting(
    trust_domain: &TrustDomain,
    authorities: &[CertificateDer<'static>],
    path: &'static str,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let roots = Roots::of(trust_domain, authorities)?;
    Ok(
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PeerIsOurs { roots, path })),
    )
}

/// A member's own X.509-SVID as the server issued it, verified under the authorities that came with it.
pub fn own_svid(
    chain: &[CertificateDer<'_>],
    trust_domain: &TrustDomain,
    authorities: &[CertificateDer<'static>],
    now: UnixTime,
) -> Option<X509Svid> {
    Roots::of(trust_domain, authorities)
        .ok()?
        .verify(chain, PeerRole::Client, now)
        .ok()
}

/// The authorities of one trust domain.
#[derive(Debug)]
struct Roots {
    roots: TrustRoots,
}

impl Roots {
    fn of(trust_domain: &TrustDomain, authorities: &[CertificateDer<'static>]) -> Result<Self, TlsError> {
        let roots = TrustRoots::new(trust_domain.clone(), authorities)
            .map_err(|error| TlsError::Authorities(error.to_string()))?;
        Ok(Self { roots })
    }

    fn verify(&self, chain: &[CertificateDer<'_>], role: PeerRole, now: UnixTime) -> Result<X509Svid, Error> {
        x509_svid::verify(
            chain,
            |name| (name == self.roots.trust_domain().as_str()).then_some(&self.roots),
            role,
            now,
        )
        .map_err(|error| {
            tracing::debug!(%error, "a peer's certificate was refused");
            Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
        })
    }
}

fn whole<'a>(leaf: &CertificateDer<'a>, intermediates: &[CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
    std::iter::once(leaf).chain(intermediates).cloned().collect()
}

fn time(now: rustls::pki_types::UnixTime) -> UnixTime {
    UnixTime::from_secs(now.as_secs())
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    aws_lc_rs::default_provider().signature_verification_algorithms
}

#[derive(Debug)]
struct PeerIsOurs {
    roots: Roots,
    path: &'static str,
}

impl ServerCertVerifier for PeerIsOurs {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: rustls::pki_types::UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let svid = self
            .roots
            .verify(&whole(leaf, intermediates), PeerRole::Server, time(now))?;
        // A node agent or agent with a valid SVID is still not the server, nor a gateway.
        if !svid.spiffe_id().path().starts_with(self.path) {
            return Err(Error::InvalidCertificate(CertificateError::NotValidForName));
        }
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &algorithms())
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &algorithms())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}
