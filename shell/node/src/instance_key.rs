//! The key of one instance: made by the node agent, handed to the bound process, and used for the run's own calls.
//!
//! It proves possession to the server and the gateway. It never leaves this process but to the workload it belongs to.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use credential::dpop::ProofClaims;
use credential::{Algorithm, Curve, HeaderSegment, PublicKey};
use identity::Thumbprint;

/// A P-256 key, in the two forms that its uses need.
#[derive(Debug)]
pub struct InstanceKey {
    certificate: rcgen::KeyPair,
    proof: EcdsaKeyPair,
    public: PublicKey,
    header: HeaderSegment,
    random: SystemRandom,
}

/// The crypto library made no key, or one it does not read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no key could be made for the run")]
pub struct NoKey;

impl InstanceKey {
    /// A new key.
    pub fn generate() -> Result<Self, NoKey> {
        let certificate = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|_| NoKey)?;
        let proof = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, certificate.serialized_der())
            .map_err(|_| NoKey)?;
        let public = PublicKey::ec_point(Curve::P256, certificate.public_key_raw()).map_err(|_| NoKey)?;
        let header = ProofClaims::header(&public, Algorithm::Es256);
        Ok(Self {
            certificate,
            proof,
            public,
            header,
            random: SystemRandom::new(),
        })
    }

    /// RFC 7638: what the instance is known by.
    pub fn thumbprint(&self) -> Thumbprint {
        self.public.thumbprint()
    }
    /// For certificate requests.
    pub(crate) const fn certificate_key(&self) -> &rcgen::KeyPair {
        &self.certificate
    }
    /// PKCS#8 DER, for the workload whose key it is.
    pub(crate) fn pkcs8(&self) -> Vec<u8> {
        self.certificate.serialize_der()
    }
    /// A proof of possession for one request (RFC 9449 section 4).
    pub fn prove(&self, claims: &ProofClaims<'_>) -> Result<String, NoKey> {
        let unsigned = claims.unsigned(&self.header);
        let signature = self
            .proof
            .sign(&self.random, unsigned.message())
            .map_err(|_| NoKey)?;
        Ok(unsigned.with_signature(signature.as_ref()))
    }
}
