//! A member's SVID as the certificate of its own TLS listener: the newest one at each handshake, without a restart.

use crate::link::Link;
use crate::member::MemberIdentity;
use arc_swap::ArcSwapOption;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// A link's SVID and key, as rustls wants them.
#[derive(Debug)]
pub struct OwnCertificate {
    link: Link,
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
    pub fn of(link: &Link) -> Self {
        Self {
            link: link.clone(),
            made: ArcSwapOption::empty(),
        }
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
        let (chain, key) = (identity.svid.clone(), self.link.tls_key());
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified = match CertifiedKey::from_der(chain, key, &provider) {
            Ok(certified) => Arc::new(certified),
            Err(error) => {
                tracing::error!(%error, "the member's own SVID cannot be shown");
                return None;
            }
        };
        self.made.store(Some(Arc::new(Made {
            of: identity,
            certified: certified.clone(),
        })));
        Some(certified)
    }
}
