//! A client's P-256 key: signs proofs and forged tokens, and makes certificate requests.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credential::dpop::{ProofClaims, RequestTarget};
use credential::{Algorithm, Curve, PublicKey};
use identity::{Thumbprint, UnixTime};

pub(crate) struct TestKey {
    rcgen: rcgen::KeyPair,
    pair: EcdsaKeyPair,
    pub(crate) public: PublicKey,
}

impl TestKey {
    pub(crate) fn new() -> Self {
        let rcgen = rcgen::KeyPair::generate().unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rcgen.serialize_der()).unwrap();
        let public = PublicKey::ec_point(Curve::P256, pair.public_key().as_ref()).unwrap();
        Self { rcgen, pair, public }
    }
    pub(crate) fn thumbprint(&self) -> Thumbprint {
        self.public.thumbprint()
    }
    pub(crate) fn pkcs8(&self) -> Vec<u8> {
        self.rcgen.serialize_der()
    }
    pub(crate) fn rcgen(&self) -> &rcgen::KeyPair {
        &self.rcgen
    }
    pub(crate) fn csr(&self) -> Vec<u8> {
        let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.serialize_request(&self.rcgen).unwrap().der().to_vec()
    }
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair
            .sign(&SystemRandom::new(), message)
            .unwrap()
            .as_ref()
            .to_vec()
    }
    /// A JWS of any header and claims.
    pub(crate) fn jws(&self, header: &str, claims: &str) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
    /// A DPoP proof for a POST to `url`.
    pub(crate) fn proof(&self, url: &str, jti: &str, nonce: Option<&str>, at: UnixTime) -> String {
        self.proof_with("POST", url, jti, None, nonce, at)
    }
    /// A DPoP proof, with an access token.
    pub(crate) fn proof_with(
        &self,
        method: &str,
        url: &str,
        jti: &str,
        access_token: Option<&str>,
        nonce: Option<&str>,
        at: UnixTime,
    ) -> String {
        let target = RequestTarget::parse(url).unwrap();
        let claims = ProofClaims {
            jti,
            method,
            target: &target,
            issued_at: at,
            access_token,
            nonce,
            caller: None,
        };
        let unsigned = claims.unsigned(&ProofClaims::header(&self.public, Algorithm::Es256));
        let signature = self.sign(unsigned.message());
        unsigned.with_signature(&signature)
    }
}
