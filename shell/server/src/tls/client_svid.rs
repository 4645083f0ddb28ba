//! Client certificates: none is fine; one that is there must be an X.509-SVID of our trust domain, now.
//!
//! The checks are those of [`credential::x509_svid::verify`]; rustls only verifies that the peer holds the key.

use crate::installation::Installation;
use credential::x509_svid::{self, PeerRole};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::fmt;
use std::sync::Arc;

/// Judges client certificates by the World's current authorities.
pub(crate) struct ClientSvidVerifier {
    installation: Arc<Installation>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientSvidVerifier {
    pub(crate) fn new(installation: Arc<Installation>) -> Self {
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        Self {
            installation,
            algorithms,
        }
    }
}

impl fmt::Debug for ClientSvidVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSvidVerifier")
    }
}

impl ClientCertVerifier for ClientSvidVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }
    fn client_auth_mandatory(&self) -> bool {
        false
    }
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(leaf)
            .chain(intermediates)
            .map(|der| CertificateDer::from(der.as_ref()))
            .collect();
        let (published, now) = (self.installation.published(), self.installation.clock.now());
        match x509_svid::verify(&chain, |_| published.x509_roots.as_ref(), PeerRole::Client, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(rejection) => {
                tracing::debug!(%rejection, "a client certificate was refused");
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
        }
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
