//! Verification of X.509-SVIDs (SPIFFE X509-SVID section 5, RFC 5280 section 6).
//!
//! webpki builds and verifies the path; it knows nothing of SPIFFE, so the leaf and every authority in the path are
//! read again here. Revocation is not by CRL: the broker revokes by serial, instance and agent.

use crate::hash::sha256;
use crate::public_key::PublicKey;
use identity::{SpiffeId, Thumbprint, TrustDomain, UnixTime};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor};
use std::time::Duration;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// Most certificates in a chain: a leaf and four intermediates.
pub const CHAIN_CERTIFICATES_MAX: usize = 5;
/// Largest certificate in bytes: ours have under 1 KiB, an RSA-8192 one under 4.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// What signatures in certificates may be made with: no SHA-1, no Ed25519.
const SIGNATURES: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P256_SHA384,
    webpki::aws_lc_rs::ECDSA_P384_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
    webpki::aws_lc_rs::ECDSA_P521_SHA512,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Why a chain was not accepted as an X.509-SVID. Never shown verbatim to the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum X509Rejection {
    /// No certificate at all, or more than five.
    #[error("a chain has 1 to 5 certificates")]
    ChainLength,
    /// A certificate over 16 KiB.
    #[error("a certificate has at most 16384 bytes")]
    TooLarge,
    /// Not one certificate in DER and nothing after it.
    #[error("a certificate is not well-formed DER")]
    Malformed,
    /// not exactly one URI name.
    #[error("an SVID has exactly one URI name; this has {0}")]
    UriNames(usize),
    /// the URI name is no SPIFFE ID.
    #[error("the URI name is not a SPIFFE ID")]
    NotSpiffe,
    /// the SPIFFE ID has no path: it names an authority.
    #[error("the SPIFFE ID has no path, so it names a trust domain and no workload")]
    NoPath,
    /// cA is true.
    #[error("the leaf is an authority's certificate")]
    LeafIsAuthority,
    /// keyUsage missing or not critical, digitalSignature missing, or keyCertSign or cRLSign set.
    #[error("the leaf's key usage is not that of an SVID")]
    LeafKeyUsage,
    /// extended key usage present without both serverAuth and clientAuth.
    #[error("the leaf's extended key usage lacks server or client authentication")]
    LeafExtendedUsage,
    /// a signing certificate without cA or keyCertSign, with a path in its SPIFFE ID, or of another domain.
    #[error("an intermediate certificate may not sign SVIDs of this trust domain")]
    Authority,
    /// No bundle for the leaf's trust domain.
    #[error("the trust domain is not trusted here")]
    UnknownTrustDomain,
    /// No path to a root of the domain, a bad signature, or a constraint violated.
    #[error("no valid path to a root of the trust domain")]
    Path,
    /// Past its notAfter.
    #[error("a certificate of the chain has expired")]
    Expired,
    /// Before its notBefore.
    #[error("a certificate of the chain is not yet valid")]
    NotYetValid,
    /// The key is of a kind that we do not work with.
    #[error("the leaf's key is neither EC on P-256, P-384 or P-521, nor RSA")]
    Key,
}

/// The roots of one trust domain.
#[derive(Debug)]
pub struct TrustRoots {
    trust_domain: TrustDomain,
    anchors: Vec<TrustAnchor<'static>>,
}

impl TrustRoots {
    /// From certificates in DER. One that cannot be read makes the set unusable: a root that silently is not there
    /// would be found out by an outage.
    pub fn new<D: AsRef<[u8]>>(trust_domain: TrustDomain, certificates: &[D]) -> Result<Self, X509Rejection> {
        let anchors = certificates.iter().map(|der| {
            let der = CertificateDer::from(der.as_ref());
            webpki::anchor_from_trusted_cert(&der)
                .map(|anchor| anchor.to_owned())
                .map_err(|_| X509Rejection::Malformed)
        });
        Ok(Self {
            trust_domain,
            anchors: anchors.collect::<Result<_, _>>()?,
        })
    }
    /// Whose roots.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }
}

/// Which side of a TLS connection the peer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerRole {
    /// The peer called us.
    Client,
    /// We called the peer.
    Server,
}

/// A verified X.509-SVID.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct X509Svid {
    spiffe_id: SpiffeId,
    serial: Vec<u8>,
    certificate: Thumbprint,
    public_key: PublicKey,
    not_after: UnixTime,
}

impl X509Svid {
    /// Whose.
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }
    /// The serial number, big-endian without leading zeros. See [`crate::Serial`] for what ours say.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }
    /// `x5t#S256` of the leaf (RFC 8705 section 3.1): what certificate-bound tokens are bound to.
    pub const fn certificate(&self) -> Thumbprint {
        self.certificate
    }
    /// RFC 7638 thumbprint of the leaf's key: the same key has the same name in a DPoP proof.
    pub fn key(&self) -> Thumbprint {
        self.public_key.thumbprint()
    }
    /// The leaf's key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
    /// When the leaf expires.
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }
}

/// Verifies a chain, leaf first. `roots` gives the roots of a trust domain, `None` if it is not trusted; only those
/// of the leaf's own domain are ever used. No skew is granted: our leaves are backdated when they are issued.
pub fn verify<'r>(
    chain: &[CertificateDer<'_>],
    roots: impl FnOnce(&str) -> Option<&'r TrustRoots>,
    role: PeerRole,
    now: UnixTime,
) -> Result<X509Svid, X509Rejection> {
    let [leaf, intermediates @ ..] = chain else {
        return Err(X509Rejection::ChainLength);
    };
    if chain.len() > CHAIN_CERTIFICATES_MAX {
        return Err(X509Rejection::ChainLength);
    }
    if chain.iter().any(|der| der.len() > CERTIFICATE_BYTES_MAX) {
        return Err(X509Rejection::TooLarge);
    }
    let parsed = parse(leaf)?;
    let spiffe_id = leaf_id(&parsed)?;
    let roots = roots(spiffe_id.trust_domain())
        .filter(|roots| roots.trust_domain.as_str() == spiffe_id.trust_domain())
        .ok_or(X509Rejection::UnknownTrustDomain)?;

    let end_entity = webpki::EndEntityCert::try_from(leaf).map_err(|_| X509Rejection::Malformed)?;
    let path = end_entity
        .verify_for_usage(
            SIGNATURES,
            &roots.anchors,
            intermediates,
            rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(now.secs())),
            match role {
                PeerRole::Client => webpki::KeyUsage::client_auth(),
                PeerRole::Server => webpki::KeyUsage::server_auth(),
            },
            None,
            None,
        )
        .map_err(|error| match error {
            webpki::Error::CertExpired { .. } => X509Rejection::Expired,
            webpki::Error::CertNotValidYet { .. } => X509Rejection::NotYetValid,
            webpki::Error::CaUsedAsEndEntity => X509Rejection::LeafIsAuthority,
            _ => X509Rejection::Path,
        })?;
    for intermediate in path.intermediate_certificates() {
        check_authority(&parse(&intermediate.der())?, &roots.trust_domain)?;
    }
    let not_after = parsed.validity().not_after.timestamp();
    Ok(X509Svid {
        spiffe_id,
        serial: parsed.tbs_certificate.serial.to_bytes_be(),
        certificate: Thumbprint::from_bytes(sha256(leaf)),
        public_key: PublicKey::from_spki(parsed.public_key()).map_err(|_| X509Rejection::Key)?,
        not_after: UnixTime::from_secs(u64::try_from(not_after).map_err(|_| X509Rejection::Malformed)?),
    })
}

/// The key of a certificate that is trusted by other means; `None` if it cannot be read.
pub(crate) fn public_key_of(der: &[u8]) -> Option<PublicKey> {
    PublicKey::from_spki(parse(der).ok()?.public_key()).ok()
}

/// The trust domain that an authority's certificate names.
pub(crate) fn authority_domain(der: &[u8]) -> Result<TrustDomain, X509Rejection> {
    let certificate = parse(der)?;
    let [uri] = uri_names(&certificate)?[..] else {
        return Err(X509Rejection::Authority);
    };
    let id: SpiffeId = uri.parse().map_err(|_| X509Rejection::NotSpiffe)?;
    let domain = id.trust_domain().parse().map_err(|_| X509Rejection::NotSpiffe)?;
    check_authority(&certificate, &domain)?;
    Ok(domain)
}

pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, X509Rejection> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(X509Rejection::Malformed),
    }
}

/// what makes a leaf an SVID.
fn leaf_id(leaf: &X509Certificate<'_>) -> Result<SpiffeId, X509Rejection> {
    let uris = uri_names(leaf)?;
    let [uri] = uris[..] else {
        return Err(X509Rejection::UriNames(uris.len()));
    };
    let id: SpiffeId = uri.parse().map_err(|_| X509Rejection::NotSpiffe)?;
    if id.path().is_empty() {
        return Err(X509Rejection::NoPath);
    }
    let constraints = leaf.basic_constraints().map_err(|_| X509Rejection::Malformed)?;
    if constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err(X509Rejection::LeafIsAuthority);
    }
    let usage = leaf.key_usage().map_err(|_| X509Rejection::Malformed)?;
    let usage = usage
        .filter(|usage| usage.critical)
        .ok_or(X509Rejection::LeafKeyUsage)?
        .value;
    if !usage.digital_signature() || usage.key_cert_sign() || usage.crl_sign() {
        return Err(X509Rejection::LeafKeyUsage);
    }
    let extended = leaf.extended_key_usage().map_err(|_| X509Rejection::Malformed)?;
    if extended.is_some_and(|extended| !extended.value.server_auth || !extended.value.client_auth) {
        return Err(X509Rejection::LeafExtendedUsage);
    }
    Ok(id)
}

/// what an authority between leaf and root must be.
fn check_authority(certificate: &X509Certificate<'_>, domain: &TrustDomain) -> Result<(), X509Rejection> {
    let constraints = certificate
        .basic_constraints()
        .map_err(|_| X509Rejection::Malformed)?;
    let is_authority = constraints.is_some_and(|constraints| constraints.value.ca);
    let usage = certificate.key_usage().map_err(|_| X509Rejection::Malformed)?;
    let signs = usage.is_some_and(|usage| usage.value.key_cert_sign());
    let own = |uri: &&str| {
        uri.parse::<SpiffeId>()
            .is_ok_and(|id| id.path().is_empty() && id.trust_domain() == domain.as_str())
    };
    if is_authority && signs && uri_names(certificate)?.iter().all(own) {
        Ok(())
    } else {
        Err(X509Rejection::Authority)
    }
}

fn uri_names<'a>(certificate: &'a X509Certificate<'_>) -> Result<Vec<&'a str>, X509Rejection> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| X509Rejection::Malformed)?;
    let uris = names.iter().flat_map(|names| &names.value.general_names);
    Ok(uris
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect())
}

#[cfg(test)]
mod tests;
