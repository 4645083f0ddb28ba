//! A member's SVID as the certificate of its own TLS listener: the newest one at each handshake, without a restart.

use crate::link::Link;
use crate::member::{MemberError, MemberIdentity};
use arc_swap::ArcSwapOption;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use std::sync::Arc;

/// A link's SVID and key, as rustls wants them.
#[derive(Debug)]
pub struct OwnCertificate {
    link: Link,
    key: Arc<dyn SigningKey>,
    made: ArcSwapOption<Made>,
}

/// A certificate, and the identity that it was made of.
#[derive(Debug)]
struct Made {
    of: Arc<MemberIdentity>,
    certified: Arc<CertifiedKey>,
}

impl OwnCertificate {
    /// Of a link; before it has joined, handshakes fail.
    pub fn of(link: &Link) -> Result<Self, MemberError> {
        let key = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&link.tls_key())
            .map_err(|error| MemberError::Membership(error.to_string()))?;
        Ok(Self {
            link: link.clone(),
            key,
            made: ArcSwapOption::empty(),
        })
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let identity = self.link.identity()?;
        if let Some(made) = self
            .made
            .load_full()
            .filter(|made| Arc::ptr_eq(&made.of, &identity))
        {
            return Some(made.certified.clone());
        }
        let certified = Arc::new(CertifiedKey::new(identity.svid.clone(), self.key.clone()));
        self.made.store(Some(Arc::new(Made {
            of: identity,
            certified: certified.clone(),
        })));
        Some(certified)
    }
}
