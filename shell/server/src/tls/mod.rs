//! TLS with the server's own authority: a short-lived server certificate that is replaced while connections go on,
//! and client certificates that are optional and, when sent, must be X.509-SVIDs of the trust domain.

mod client_svid;
mod own_certificate;

pub(crate) use client_svid::ClientSvidVerifier;
pub(crate) use own_certificate::OwnCertificate;

use rustls::ServerConfig;
use std::sync::Arc;

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
    clients: Arc<ClientSvidVerifier>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(own);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
