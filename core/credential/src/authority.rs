//! Building certificates: SVIDs, and the root and intermediates that sign them (SPIFFE X509-SVID sections 3 and 4).
//!
//! rcgen writes the DER. Everything it would choose by itself is set here: its default validity ends in the year
//! 4096, its default serial is a hash of the key. The private key is a [`SigningKey`] and stays in the shell.

use crate::der;
use crate::json;
use crate::key::SigningKey;
use crate::public_key::{Curve, PublicKey};
use crate::serial::Serial;
use crate::x509_svid::{self, X509Rejection};
use crate::{Algorithm, SignError};
use identity::{SpiffeId, TrustDomain, UnixTime};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType, SerialNumber, SignatureAlgorithm,
};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use std::time::Duration;

/// Longest life of an SVID in seconds; the default is an hour.
pub const SVID_LIFETIME_SECS_MAX: u64 = 24 * 3600;
/// Longest life of an authority in seconds: ten years and three leap days.
pub const AUTHORITY_LIFETIME_SECS_MAX: u64 = 3653 * 86_400;

/// Why no certificate was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// notAfter before notBefore, or after the year 9999.
    #[error("a certificate's validity begins before it ends, and ends before the year 10000")]
    Validity,
    /// Longer than any certificate of its kind.
    #[error("the certificate would live longer than the {limit_secs} s that its kind may")]
    TooLong {
        /// The limit in seconds.
        limit_secs: u64,
    },
    /// It would outlive the certificate that signs it.
    #[error("the certificate would outlive its authority; rotate the authority")]
    OutlivesAuthority,
    /// The SPIFFE ID is of another trust domain than the authority, or has no path.
    #[error("the SPIFFE ID is not of a workload in this authority's trust domain")]
    SpiffeId,
    /// The key to certify is of a kind that SVIDs of ours do not have.
    #[error("a certificate of ours has a P-256, P-384 or RSA key")]
    Key,
    /// The certificate given for an authority is none, or is for another key.
    #[error("the authority's certificate does not fit its key or its role: {0}")]
    Authority(#[from] X509Rejection),
    /// The certificate's key is not the signer's.
    #[error("the authority's certificate is for another key than the signer holds")]
    OtherKey,
    /// The private key could not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// DER could not be written.
    #[error("the certificate could not be encoded")]
    Encoding,
}

/// What goes into an X.509-SVID. Nothing else does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SvidTemplate {
    /// Whose.
    pub spiffe_id: SpiffeId,
    /// The key, proven by its holder.
    pub public_key: PublicKey,
    /// Valid from; a minute back from now, so that a slow clock accepts it.
    pub not_before: UnixTime,
    /// Valid until.
    pub not_after: UnixTime,
    /// The serial.
    pub serial: Serial,
}

/// What goes into an authority's certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorityTemplate {
    /// The domain; the certificate carries its SPIFFE ID, which has no path (SPIFFE-ID section 3.1).
    pub trust_domain: TrustDomain,
    /// For people who look at it.
    pub common_name: String,
    /// Authorities that may stand between this one and a leaf.
    pub path_len: u8,
    /// Valid from.
    pub not_before: UnixTime,
    /// Valid until.
    pub not_after: UnixTime,
    /// The serial.
    pub serial: Serial,
}

impl SvidTemplate {
    /// one URI name (critical, as the subject is empty), digitalSignature, both usages, cA = false.
    fn params(&self) -> Result<CertificateParams, IssueError> {
        let mut params = base(
            self.not_before,
            self.not_after,
            SVID_LIFETIME_SECS_MAX,
            self.serial,
        )?;
        params.subject_alt_names = vec![uri(&self.spiffe_id)?];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}

impl AuthorityTemplate {
    /// cA = true, keyCertSign and cRLSign, the domain's own SPIFFE ID.
    fn params(&self) -> Result<CertificateParams, IssueError> {
        let mut params = base(
            self.not_before,
            self.not_after,
            AUTHORITY_LIFETIME_SECS_MAX,
            self.serial,
        )?;
        params
            .distinguished_name
            .push(DnType::OrganizationName, self.trust_domain.as_str());
        params
            .distinguished_name
            .push(DnType::CommonName, self.common_name.as_str());
        params.subject_alt_names = vec![uri(&self.trust_domain.id())?];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(self.path_len));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params)
    }

    /// A root: signed by its own key.
    pub fn self_signed(&self, key: Arc<dyn SigningKey>) -> Result<Vec<u8>, IssueError> {
        let signer = Signer::new(key)?;
        let issued = self.params()?.self_signed(&signer);
        issued
            .map(|certificate| certificate.der().to_vec())
            .map_err(|error| signing_error(&error, &*signer.key))
    }
}

/// An authority that signs: its certificate, read once, and its key.
pub struct Authority {
    issuer: Issuer<'static, Signer>,
    certificate: Vec<u8>,
    trust_domain: TrustDomain,
    not_after: UnixTime,
}

impl Authority {
    /// From an authority's certificate and the key it is for.
    pub fn new(certificate: &[u8], key: Arc<dyn SigningKey>) -> Result<Self, IssueError> {
        let trust_domain = x509_svid::authority_domain(certificate)?;
        let signer = Signer::new(key)?;
        if x509_svid::public_key_of(certificate).as_ref() != Some(&signer.public_key) {
            return Err(IssueError::OtherKey);
        }
        let parsed = x509_svid::parse(certificate)?;
        let not_after = u64::try_from(parsed.validity().not_after.timestamp());
        let der = CertificateDer::from(certificate);
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&der, signer).map_err(|_| IssueError::Encoding)?,
            certificate: certificate.to_vec(),
            trust_domain,
            not_after: UnixTime::from_secs(not_after.map_err(|_| IssueError::Validity)?),
        })
    }
    /// Its certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }
    /// Whose authority.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }
    /// When its certificate expires.
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// Signs an SVID; the leaf in DER.
    pub fn issue_svid(&self, template: &SvidTemplate) -> Result<Vec<u8>, IssueError> {
        let id = &template.spiffe_id;
        if id.path().is_empty() || id.trust_domain() != self.trust_domain.as_str() {
            return Err(IssueError::SpiffeId);
        }
        self.sign(&template.params()?, &template.public_key, template.not_after)
    }

    /// Signs the SVID of a server that plain HTTPS clients reach too: host names and addresses besides the SPIFFE ID,
    /// which SPIFFE X509-SVID section 2 allows.
    pub fn issue_server_svid(
        &self,
        template: &SvidTemplate,
        hosts: &[String],
    ) -> Result<Vec<u8>, IssueError> {
        let id = &template.spiffe_id;
        if id.path().is_empty() || id.trust_domain() != self.trust_domain.as_str() {
            return Err(IssueError::SpiffeId);
        }
        let mut params = template.params()?;
        for host in hosts {
            params.subject_alt_names.push(match host.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(host.as_str().try_into().map_err(|_| IssueError::Encoding)?),
            });
        }
        self.sign(&params, &template.public_key, template.not_after)
    }

    /// Signs an intermediate's certificate; DER.
    pub fn issue_authority(
        &self,
        template: &AuthorityTemplate,
        public_key: &PublicKey,
    ) -> Result<Vec<u8>, IssueError> {
        if template.trust_domain != self.trust_domain {
            return Err(IssueError::SpiffeId);
        }
        let mut params = template.params()?;
        params.use_authority_key_identifier_extension = true;
        self.sign(&params, public_key, template.not_after)
    }

    fn sign(
        &self,
        params: &CertificateParams,
        public_key: &PublicKey,
        not_after: UnixTime,
    ) -> Result<Vec<u8>, IssueError> {
        if not_after > self.not_after {
            return Err(IssueError::OutlivesAuthority);
        }
        let subject = Subject {
            raw: public_key.raw(),
            algorithm: key_algorithm(public_key)?,
        };
        params
            .signed_by(&subject, &self.issuer)
            .map(|certificate| certificate.der().to_vec())
            .map_err(|error| signing_error(&error, &*self.issuer.key().key))
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("trust_domain", &self.trust_domain)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// Validity and serial, checked; everything else of rcgen's defaults cleared.
fn base(
    from: UnixTime,
    until: UnixTime,
    limit_secs: u64,
    serial: Serial,
) -> Result<CertificateParams, IssueError> {
    if from >= until || !json::is_date(until.secs()) {
        return Err(IssueError::Validity);
    }
    if until.millis_since(from) > limit_secs * 1000 {
        return Err(IssueError::TooLong { limit_secs });
    }
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = epoch + Duration::from_secs(from.secs());
    params.not_after = epoch + Duration::from_secs(until.secs());
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    params.distinguished_name = DistinguishedName::new();
    Ok(params)
}

fn uri(id: &SpiffeId) -> Result<SanType, IssueError> {
    let text = id.as_str().try_into().map_err(|_| IssueError::Encoding)?;
    Ok(SanType::URI(text))
}

fn signing_error(error: &rcgen::Error, key: &dyn SigningKey) -> IssueError {
    match error {
        rcgen::Error::RemoteKeyError => IssueError::Sign(SignError::Unavailable {
            kid: key.kid().to_owned(),
            why: "its holder did not sign".to_owned(),
        }),
        _ => IssueError::Encoding,
    }
}

fn key_algorithm(key: &PublicKey) -> Result<&'static SignatureAlgorithm, IssueError> {
    match key.curve() {
        Some(Curve::P256) => Ok(&rcgen::PKCS_ECDSA_P256_SHA256),
        Some(Curve::P384) => Ok(&rcgen::PKCS_ECDSA_P384_SHA384),
        None => Ok(&rcgen::PKCS_RSA_SHA256),
        Some(Curve::P521) => Err(IssueError::Key),
    }
}

/// The key that a certificate is for.
struct Subject {
    raw: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
}

impl rcgen::PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.raw
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

/// Our [`SigningKey`] in rcgen's form: it wants ECDSA signatures in DER.
struct Signer {
    key: Arc<dyn SigningKey>,
    public_key: PublicKey,
    raw: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
}

impl Signer {
    fn new(key: Arc<dyn SigningKey>) -> Result<Self, IssueError> {
        let algorithm = match key.algorithm() {
            Algorithm::Es256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::Es384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::Rs256 => &rcgen::PKCS_RSA_SHA256,
            _ => return Err(IssueError::Key),
        };
        let public_key = key.public_key().clone();
        if !key.algorithm().fits(&public_key) {
            return Err(IssueError::Key);
        }
        Ok(Self {
            raw: public_key.raw(),
            public_key,
            key,
            algorithm,
        })
    }
}

impl rcgen::PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        &self.raw
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.key.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)?;
        let Some(curve) = self.public_key.curve() else {
            return Ok(signature);
        };
        match signature.split_at_checked(curve.width_bytes()) {
            Some((r, s)) if s.len() == curve.width_bytes() => {
                Ok(der::sequence(&[&der::integer(r), &der::integer(s)]))
            }
            _ => Err(rcgen::Error::RemoteKeyError),
        }
    }
}

#[cfg(test)]
mod tests;
