//! Who may connect: whoever holds the key of an X.509-SVID of our trust domain. Which service it is, and whether it may ask,
//! is looked at on every check.

use crate::gateway::Inner;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::world::KeyClass;
use credential::x509_svid::{self, PeerRole};
use credential::{TrustRoots, X509Svid};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::server::ResolvesServerCert;
use rustls::{Error, ServerConfig};
use std::sync::Arc;
use sync::ClientSvids;

/// TLS 1.3 with HTTP/2, showing `own` and asking for an SVID.
pub(super) fn config(inner: Arc<Inner>, own: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let services = ClientSvids::required_and_judged_by(move |chain, _| {
        svid(&inner, chain)
            .map(drop)
            .ok_or("it is none of ours".to_owned())
    });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(services)
        .with_cert_resolver(own);
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// The SVID of whoever connected, by the authorities that the World knows now.
pub(super) fn svid(inner: &Inner, chain: &[CertificateDer<'_>]) -> Option<X509Svid> {
    let world = inner.view.load().world.clone();
    let trust_domain = world.founding()?.trust_domain.clone();
    let authorities: Vec<CertificateDer<'static>> = world
        .keys(KeyClass::X509Authority)
        .filter_map(|key| STANDARD.decode(&key.material).ok())
        .map(CertificateDer::from)
        .collect();
    let roots = TrustRoots::new(trust_domain.clone(), &authorities).ok()?;
    let ours = |name: &str| (name == trust_domain.as_str()).then_some(&roots);
    x509_svid::verify(chain, ours, PeerRole::Client, (inner.clock)())
        .inspect_err(|error| tracing::debug!(%error, "a service's certificate was refused"))
        .ok()
}
