//! Keys and authorities for the tests of this crate. Private keys exist here only because tests need both halves.

use crate::{
    Algorithm, Authority, AuthorityTemplate, Curve, HeaderSegment, PublicKey, Serial, SignError, SigningKey,
    TokenClass, VerifyingKey, VerifyingKeys,
};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::UnixTime;
use std::sync::Arc;

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

pub(crate) struct EcKey {
    pub(crate) public: PublicKey,
    kid: String,
    pair: EcdsaKeyPair,
    algorithm: Algorithm,
    random: SystemRandom,
}

impl EcKey {
    pub(crate) fn new() -> Self {
        Self::on(Curve::P256)
    }
    #[expect(clippy::disallowed_methods, reason = "tests make keys")]
    pub(crate) fn on(curve: Curve) -> Self {
        let (signing, algorithm): (&'static EcdsaSigningAlgorithm, _) = match curve {
            Curve::P256 => (&signature::ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::Es256),
            Curve::P384 => (&signature::ECDSA_P384_SHA384_FIXED_SIGNING, Algorithm::Es384),
            Curve::P521 => (&signature::ECDSA_P521_SHA512_FIXED_SIGNING, Algorithm::Es512),
        };
        let pair = EcdsaKeyPair::generate(signing).unwrap();
        let public = PublicKey::ec_point(curve, pair.public_key().as_ref()).unwrap();
        Self {
            kid: public.thumbprint().to_string(),
            public,
            pair,
            algorithm,
            random: SystemRandom::new(),
        }
    }
    pub(crate) fn verifying(&self, class: TokenClass) -> VerifyingKeys {
        let key = VerifyingKey::new(&self.public, Some(&self.kid), self.algorithm, class).unwrap();
        VerifyingKeys::new(vec![key])
    }
    pub(crate) fn header(&self, class: TokenClass) -> HeaderSegment {
        HeaderSegment::new(self.algorithm, &self.kid, class)
    }
    /// A token of any header and claims.
    pub(crate) fn token(&self, header: &str, claims: &str) -> String {
        let encode = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let signature = self.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(&signature))
    }
}

impl SigningKey for EcKey {
    fn kid(&self) -> &str {
        &self.kid
    }
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.pair.sign(&self.random, message).unwrap();
        Ok(signature.as_ref().to_vec())
    }
    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

pub(crate) struct RsaKey {
    pub(crate) public: PublicKey,
    pair: RsaKeyPair,
    random: SystemRandom,
}

impl RsaKey {
    #[expect(clippy::disallowed_methods, reason = "tests make keys")]
    pub(crate) fn new() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let key = pair.public_key();
        let public = PublicKey::rsa(
            key.modulus().big_endian_without_leading_zero(),
            key.exponent().big_endian_without_leading_zero(),
        );
        Self {
            public: public.unwrap(),
            pair,
            random: SystemRandom::new(),
        }
    }
    /// A signature in the form of RS256.
    pub(crate) fn sign_pkcs1(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &signature::RSA_PKCS1_SHA256,
                &self.random,
                message,
                &mut signature,
            )
            .unwrap();
        signature
    }
    /// A token of any header and claims, signed with one of the six algorithms of RSA keys.
    pub(crate) fn token(&self, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let encoding: &'static dyn RsaEncoding = match algorithm {
            Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
            Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
            Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
            Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
            Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
            _ => &signature::RSA_PSS_SHA512,
        };
        let encode = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(encoding, &self.random, signed.as_bytes(), &mut signature)
            .unwrap();
        format!("{signed}.{}", encode(&signature))
    }
}

/// A self-signed authority of a domain, valid for a year around [`NOW`].
pub(crate) fn authority(domain: &str) -> Authority {
    authority_with(domain, Arc::new(EcKey::new()))
}

pub(crate) fn authority_with(domain: &str, key: Arc<dyn SigningKey>) -> Authority {
    let root = authority_template(domain).self_signed(key.clone()).unwrap();
    Authority::new(&root, key).unwrap()
}

pub(crate) fn authority_template(domain: &str) -> AuthorityTemplate {
    AuthorityTemplate {
        trust_domain: domain.parse().unwrap(),
        common_name: "test root".to_owned(),
        path_len: 1,
        not_before: NOW.minus_secs(180 * 86_400),
        not_after: NOW.plus_secs(180 * 86_400),
        serial: Serial::new([1; 8], 0),
    }
}
