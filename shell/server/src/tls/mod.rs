//! TLS with the server's own authority: a short-lived server certificate that is replaced while connections go on,
//! and client certificates that are optional and, when sent, must be X.509-SVIDs of the trust domain.

mod own_certificate;
mod roots;

pub(crate) use own_certificate::OwnCertificate;
pub(crate) use roots::{RootsError, client_roots, trusting};

use crate::installation::Installation;
use credential::x509_svid::{self, PeerRole};
use rustls::ServerConfig;
use std::sync::Arc;
use sync::ClientSvids;

/// Judges client certificates by the World's current authorities.
pub(crate) fn clients(installation: Arc<Installation>) -> Arc<ClientSvids> {
    ClientSvids::judged_by(move |chain, _| {
        let (published, now) = (installation.published(), installation.clock.now());
        x509_svid::verify(chain, |_| published.x509_roots.as_ref(), PeerRole::Client, now)
            .map(drop)
            .map_err(|rejection| rejection.to_string())
    })
}

/// TLS for people: nobody is asked for a client certificate, so no browser offers one.
pub(crate) fn for_people(own: Arc<OwnCertificate>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(own);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// TLS 1.3 and 1.2 with the library's defaults, which are those of Mozilla's intermediate profile and better.
pub(crate) fn config(
    own: Arc<OwnCertificate>,
    clients: Arc<ClientSvids>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(own);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
