//! A member's own identity: the key it joined with and the SVID it renews.

use crate::proto::Membership;
use crate::tls;
use identity::{LogId, NodeId, SpiffeId, TrustDomain, UnixTime};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

/// What a member is, as its server said, with the SVID of now.
#[derive(Debug)]
pub struct MemberIdentity {
    /// Its id.
    pub id: NodeId,
    /// Its SPIFFE ID.
    pub spiffe_id: SpiffeId,
    /// Number of its own log.
    pub log: LogId,
    /// The installation's trust domain.
    pub trust_domain: TrustDomain,
    /// The installation's issuer.
    pub issuer: String,
    /// Its X.509-SVID, leaf first.
    pub svid: Vec<CertificateDer<'static>>,
    /// The authorities that it trusts.
    pub authorities: Vec<CertificateDer<'static>>,
    /// When the SVID ends.
    pub expires_at: UnixTime,
}

/// A member's key and its requests for SVIDs. Where the key is kept between two starts is its owner's matter.
pub struct Member {
    key: KeyPair,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Member(…)")
    }
}

/// Why a member has no identity.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// Making a key or a request failed.
    #[error("no key could be made: {0}")]
    Key(#[from] rcgen::Error),
    /// The server's answer makes no sense.
    #[error("the server's membership is not well formed: {0}")]
    Membership(String),
}

impl Member {
    /// A new key.
    pub fn new() -> Result<Self, MemberError> {
        Ok(Self {
            key: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
        })
    }

    /// A key from before, in unencrypted PKCS#8.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, MemberError> {
        let der = PrivatePkcs8KeyDer::from(pkcs8);
        Ok(Self {
            key: KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)?,
        })
    }

    /// PKCS#10 request, DER: proves possession of the key; names nothing, since the server decides the name.
    pub fn csr(&self) -> Result<Vec<u8>, MemberError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        Ok(params.serialize_request(&self.key)?.der().to_vec())
    }

    /// The private key, for TLS.
    pub fn tls_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }
}

impl MemberIdentity {
    /// Reads what a server answered.
    pub fn from_proto(membership: &Membership, now: UnixTime) -> Result<Arc<Self>, MemberError> {
        let wrong = |what: &str| MemberError::Membership(what.to_owned());
        let certificates =
            |list: &[Vec<u8>]| list.iter().cloned().map(CertificateDer::from).collect::<Vec<_>>();
        let svid = certificates(&membership.svid);
        let authorities = certificates(&membership.authorities);
        let trust_domain: TrustDomain = membership
            .trust_domain
            .parse()
            .map_err(|_| wrong("trust_domain"))?;
        let own = tls::own_svid(&svid, &trust_domain, &authorities, now)
            .ok_or_else(|| wrong("the SVID is not valid under the authorities that came with it"))?;
        Ok(Arc::new(Self {
            id: membership.node_id.parse().map_err(|_| wrong("node_id"))?,
            spiffe_id: membership.spiffe_id.parse().map_err(|_| wrong("spiffe_id"))?,
            log: LogId(u16::try_from(membership.log).map_err(|_| wrong("log"))?),
            trust_domain,
            issuer: membership.issuer.clone(),
            expires_at: own.not_after(),
            svid,
            authorities,
        }))
    }
}
