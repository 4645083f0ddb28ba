//! Client certificates: one that is shown must be an X.509-SVID that is trusted here, now. Where none is required, none is
//! fine.
//!
//! The checks are those of [`credential::x509_svid::verify`]; rustls only verifies that the peer holds the key. What a
//! certificate is good for is decided later: a token may be bound to it (RFC 8705).

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::fmt;
use std::sync::Arc;

/// Why a chain is not trusted, for the operator's log.
pub type Distrust = String;

type Judge = dyn Fn(&[CertificateDer<'_>], identity::UnixTime) -> Result<(), Distrust> + Send + Sync;

/// Client certificates, judged by whoever has the authorities.
pub struct ClientSvids {
    required: bool,
    judge: Box<Judge>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientSvids {
    /// None is fine. `judge` is given the chain, leaf first, and the time.
    pub fn judged_by(
        judge: impl Fn(&[CertificateDer<'_>], identity::UnixTime) -> Result<(), Distrust> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::new(false, Box::new(judge))
    }

    /// The same where nobody comes in without one.
    pub fn required_and_judged_by(
        judge: impl Fn(&[CertificateDer<'_>], identity::UnixTime) -> Result<(), Distrust> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::new(true, Box::new(judge))
    }

    fn new(required: bool, judge: Box<Judge>) -> Arc<Self> {
        Arc::new(Self {
            required,
            judge,
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
        })
    }
}

impl fmt::Debug for ClientSvids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSvids")
    }
}

impl ClientCertVerifier for ClientSvids {
    fn offer_client_auth(&self) -> bool {
        true
    }
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(leaf).chain(intermediates).cloned().collect();
        match (self.judge)(&chain, identity::UnixTime::from_secs(now.as_secs())) {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(why) => {
                tracing::debug!(%why, "a client certificate was refused");
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
