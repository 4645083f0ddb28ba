//! Certificate requests (RFC 2986): read for the key and the proof that the sender holds it. Names, extensions and
//! everything else that a request asks for are ignored; what goes into a certificate is decided by the registration.

use crate::hash::sha256;
use crate::public_key::{Curve, PublicKey};
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use identity::Thumbprint;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

/// Largest request in bytes: one for RSA-8192 has under 3 KiB.
pub const CSR_BYTES_MAX: usize = 8 * 1024;

const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
const RSA_SHA256: &str = "1.2.840.113549.1.1.11";
const RSA_SHA384: &str = "1.2.840.113549.1.1.12";
const RSA_SHA512: &str = "1.2.840.113549.1.1.13";

/// Why a request proves no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Over 8 KiB.
    #[error("a certificate request has at most 8192 bytes")]
    TooLarge,
    /// Not one request in DER and nothing after it.
    #[error("the certificate request is not well-formed DER")]
    Malformed,
    /// Not P-256, P-384 or RSA from 2048 bits.
    #[error("a certificate request has a P-256, P-384 or RSA key (2048 to 8192 bits)")]
    Key,
    /// Signed with something that does not fit the key, or with SHA-1.
    #[error("the certificate request is signed with an algorithm that does not fit its key")]
    Algorithm,
    /// The sender does not hold the key.
    #[error("the certificate request is not signed by its own key")]
    BadSignature,
}

/// A key whose holder has proven it by signing a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProvenKey {
    public_key: PublicKey,
    request: [u8; 32],
}

impl ProvenKey {
    /// The key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
    /// Its RFC 7638 thumbprint.
    pub fn thumbprint(&self) -> Thumbprint {
        self.public_key.thumbprint()
    }
    /// SHA-256 of the request, for the record.
    pub const fn request_digest(&self) -> &[u8; 32] {
        &self.request
    }
}

/// Verifies that the sender of `der` holds the key in it.
pub fn verify(der: &[u8]) -> Result<ProvenKey, CsrError> {
    if der.len() > CSR_BYTES_MAX {
        return Err(CsrError::TooLarge);
    }
    let Ok(([], request)) = X509CertificationRequest::from_der(der) else {
        return Err(CsrError::Malformed);
    };
    let signed = &request.certification_request_info;
    let public_key = PublicKey::from_spki(&signed.subject_pki).map_err(|_| CsrError::Key)?;
    let oid = request.signature_algorithm.algorithm.to_id_string();
    let algorithm: &'static dyn VerificationAlgorithm = match (public_key.curve(), oid.as_str()) {
        (Some(Curve::P521), _) => return Err(CsrError::Key),
        (Some(Curve::P256), ECDSA_SHA256) => &signature::ECDSA_P256_SHA256_ASN1,
        (Some(Curve::P256), ECDSA_SHA384) => &signature::ECDSA_P256_SHA384_ASN1,
        (Some(Curve::P384), ECDSA_SHA256) => &signature::ECDSA_P384_SHA256_ASN1,
        (Some(Curve::P384), ECDSA_SHA384) => &signature::ECDSA_P384_SHA384_ASN1,
        (None, RSA_SHA256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (None, RSA_SHA384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (None, RSA_SHA512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        _ => return Err(CsrError::Algorithm),
    };
    UnparsedPublicKey::new(algorithm, public_key.raw())
        .verify(signed.raw, &request.signature_value.data)
        .map_err(|_| CsrError::BadSignature)?;
    Ok(ProvenKey {
        public_key,
        request: sha256(der),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    fn request(algorithm: &'static SignatureAlgorithm) -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
        (params.serialize_request(&key).unwrap().der().to_vec(), key)
    }

    #[test]
    fn a_request_proves_its_key_and_nothing_else() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_RSA_SHA256,
        ] {
            let (der, key) = request(algorithm);
            let proven = verify(&der).unwrap();
            assert_eq!(
                proven.public_key().spki_der(),
                rcgen::PublicKeyData::subject_public_key_info(&key)
            );
            assert_eq!(proven.request_digest(), &sha256(&der));
        }
    }

    #[test]
    fn ed25519_and_p521_keys_are_refused() {
        for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P521_SHA512] {
            assert_eq!(verify(&request(algorithm).0), Err(CsrError::Key));
        }
    }

    #[test]
    fn somebody_elses_key_cannot_be_requested() {
        let (mut der, key) = request(&rcgen::PKCS_ECDSA_P256_SHA256);
        let (_, other) = request(&rcgen::PKCS_ECDSA_P256_SHA256);
        let place = der
            .windows(65)
            .position(|window| window == key.public_key_raw())
            .unwrap();
        der[place..place + 65].copy_from_slice(other.public_key_raw());
        assert_eq!(verify(&der), Err(CsrError::BadSignature));
    }

    #[test]
    fn malformed_requests_are_refused() {
        let (der, _) = request(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(verify(&[&der[..], &[0]].concat()), Err(CsrError::Malformed));
        assert_eq!(verify(&der[..der.len() - 1]), Err(CsrError::Malformed));
        assert_eq!(verify(&[]), Err(CsrError::Malformed));
        assert_eq!(verify(&[0x30; CSR_BYTES_MAX + 1]), Err(CsrError::TooLarge));
    }
}
