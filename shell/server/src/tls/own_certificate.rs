//! The server's own certificate: an X.509-SVID with the host names that HTTPS clients use, good for an hour, its key
//! new at each start and never on disk.
//!
//! The certificate is issued like any other: decided by the broker, recorded, then signed.

use crate::keys::{KeyError, LocalKey};
use arc_swap::ArcSwapOption;
use credential::{PublicKey, SigningKey as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use std::sync::Arc;

/// The key of this start, and the newest certificate for it.
#[derive(Debug)]
pub(crate) struct OwnCertificate {
    key: Arc<dyn SigningKey>,
    public_key: PublicKey,
    current: ArcSwapOption<CertifiedKey>,
}

impl OwnCertificate {
    /// A new key without a certificate yet: handshakes fail until [`Self::renew`].
    pub(crate) fn new() -> Result<Self, KeyError> {
        let (local, pkcs8) = LocalKey::generate()?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
        let key = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&der).map_err(|_| KeyError::Generation)?;
        Ok(Self {
            key,
            public_key: local.public_key().clone(),
            current: ArcSwapOption::empty(),
        })
    }
    /// The public half.
    pub(crate) const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
    /// Uses a new certificate from the next handshake on. `chain` is DER, leaf first.
    pub(crate) fn renew(&self, chain: Vec<Vec<u8>>) {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        self.current
            .store(Some(Arc::new(CertifiedKey::new(chain, self.key.clone()))));
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}
