//! A client's P-256 key: proofs, certificate requests, TLS.

use crate::fault::{Fault, fault};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use credential::dpop::{ProofClaims, RequestTarget};
use credential::{Algorithm, Curve, PublicKey};
use identity::{Thumbprint, UnixTime};

pub(crate) struct ClientKey {
    pkcs8: Vec<u8>,
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl ClientKey {
    pub(crate) fn new() -> Result<Self, Fault> {
        Self::from_pkcs8(rcgen::KeyPair::generate()?.serialize_der())
    }
    pub(crate) fn from_pkcs8(pkcs8: Vec<u8>) -> Result<Self, Fault> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
            .map_err(|_| fault("not a P-256 key"))?;
        let public = PublicKey::ec_point(Curve::P256, pair.public_key().as_ref())?;
        Ok(Self { pkcs8, pair, public })
    }
    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
    pub(crate) const fn public(&self) -> &PublicKey {
        &self.public
    }
    pub(crate) fn thumbprint(&self) -> Thumbprint {
        self.public.thumbprint()
    }
    pub(crate) fn csr(&self) -> Result<Vec<u8>, Fault> {
        let key = rcgen::KeyPair::try_from(self.pkcs8.as_slice())?;
        let params = rcgen::CertificateParams::new(Vec::new())?;
        Ok(params.serialize_request(&key)?.der().to_vec())
    }
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Fault> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        Ok(signature.map_err(|_| fault("no signature"))?.as_ref().to_vec())
    }
    /// A DPoP proof (RFC 9449 section 4.2) for one POST to `target`.
    pub(crate) fn proof(
        &self,
        target: &RequestTarget,
        jti: &str,
        nonce: Option<&str>,
        at: UnixTime,
    ) -> Result<String, Fault> {
        self.proof_of("POST", target, jti, nonce, None, at)
    }
    /// A DPoP proof for one request, and for the access token that is shown with it (section 7).
    pub(crate) fn proof_of(
        &self,
        method: &str,
        target: &RequestTarget,
        jti: &str,
        nonce: Option<&str>,
        access_token: Option<&str>,
        at: UnixTime,
    ) -> Result<String, Fault> {
        let claims = ProofClaims {
            jti,
            method,
            target,
            issued_at: at,
            access_token,
            nonce,
            caller: None,
        };
        let unsigned = claims.unsigned(&ProofClaims::header(&self.public, Algorithm::Es256));
        let signature = self.sign(unsigned.message())?;
        Ok(unsigned.with_signature(&signature))
    }
}
