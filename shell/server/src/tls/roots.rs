//! Whom we trust where we are the client: identity providers, decision points and webhooks.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why there is nobody to trust.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootsError {
    /// The file holds no certificates.
    #[error("the certificate authorities in {} cannot be read", .0.display())]
    Authorities(PathBuf),
    /// A text holds no certificates.
    #[error("the certificate authorities cannot be read")]
    NoPem,
    /// The library.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// TLS under the authorities in the file `ca`, or under the system's.
pub(crate) fn client_roots(ca: Option<&Path>) -> Result<Arc<ClientConfig>, RootsError> {
    let Some(path) = ca else { return trusting(None) };
    let unreadable = || RootsError::Authorities(path.to_owned());
    let pem = std::fs::read(path).map_err(|_| unreadable())?;
    trusting(Some(&pem)).map_err(|error| match error {
        RootsError::NoPem => unreadable(),
        error => error,
    })
}

/// TLS under the authorities in a PEM text, or under the system's.
pub(crate) fn trusting(pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, RootsError> {
    let mut roots = RootCertStore::empty();
    match pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| RootsError::NoPem)?;
                roots.add(certificate).map_err(|_| RootsError::NoPem)?;
            }
            if roots.is_empty() {
                return Err(RootsError::NoPem);
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
