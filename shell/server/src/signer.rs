//! Sign: the only function that reaches a private key for a credential, and it takes nothing but a recorded permit.
//!
//! One of the three files that are reviewed by hand: that nobody else calls a key is checked by a test over the
//! source tree (`tests/it/key_uses.rs`), that the claims are those of the permit can be read here.

use crate::keys::Keys;
use broker::permit::Permit;
use broker::token_for::{Unsigned, token_for};
use credential::{HeaderSegment, IssueError, Serial, SignError, SigningKey, SvidTemplate, TokenClass};
use identity::{TrustDomain, UnixTime};
use std::sync::Arc;
use store::Recorded;

/// Signs what was permitted and recorded.
pub struct Signer {
    keys: Arc<Keys>,
    trust_domain: TrustDomain,
    access_token: (Arc<dyn SigningKey>, HeaderSegment),
    jwt_svid: (Arc<dyn SigningKey>, HeaderSegment),
}

/// A credential that was issued.
pub enum Credential {
    /// An access token.
    AccessToken {
        /// The compact JWS.
        token: String,
        /// Its last second.
        expires_at: UnixTime,
    },
    /// A JWT-SVID.
    JwtSvid {
        /// The compact JWS.
        token: String,
        /// Its last second.
        expires_at: UnixTime,
    },
    /// An X.509-SVID.
    X509Svid {
        /// Leaf first, then the intermediate that signed it; DER.
        chain: Vec<Vec<u8>>,
        /// notAfter.
        expires_at: UnixTime,
    },
}

impl std::fmt::Debug for Credential {
    /// The class, never the credential.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AccessToken { .. } => "AccessToken(…)",
            Self::JwtSvid { .. } => "JwtSvid(…)",
            Self::X509Svid { .. } => "X509Svid(…)",
        })
    }
}

/// Why a recorded permit yielded no credential. The record stands: it says what was allowed, not what was handed out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] SignError),
    /// The certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] IssueError),
}

impl Signer {
    /// Over the keys of one server.
    pub fn new(keys: Arc<Keys>, trust_domain: TrustDomain) -> Self {
        let with_header = |key: Arc<dyn SigningKey>, class| {
            let header = HeaderSegment::new(key.algorithm(), key.kid(), class);
            (key, header)
        };
        Self {
            access_token: with_header(keys.access_token(), TokenClass::AccessToken),
            jwt_svid: with_header(keys.jwt_svid(), TokenClass::JwtSvid),
            keys,
            trust_domain,
        }
    }

    /// The credential of a recorded permit.
    pub fn sign(&self, recorded: Recorded<Permit>) -> Result<Credential, NotSigned> {
        let (permit, entry, _) = recorded.into_parts();
        let expires_at = permit.expires_at();
        match token_for(permit, &self.trust_domain, entry) {
            Unsigned::AccessToken(claims) => {
                let (key, header) = &self.access_token;
                let unsigned = claims.unsigned(header);
                let signature = key.sign(unsigned.message())?;
                Ok(Credential::AccessToken {
                    token: unsigned.with_signature(&signature),
                    expires_at,
                })
            }
            Unsigned::JwtSvid(template) => {
                let (key, header) = &self.jwt_svid;
                let unsigned = template.unsigned(header);
                let signature = key.sign(unsigned.message())?;
                Ok(Credential::JwtSvid {
                    token: unsigned.with_signature(&signature),
                    expires_at,
                })
            }
            Unsigned::X509Svid { grant, entry_index } => {
                let intermediate = self.keys.authority().intermediate();
                let template = SvidTemplate {
                    spiffe_id: grant.spiffe_id,
                    public_key: grant.public_key,
                    not_before: grant.valid_from,
                    not_after: grant.expires_at,
                    serial: Serial::new(grant.serial.to_be_bytes(), entry_index),
                };
                let leaf = intermediate.issue_server_svid(&template, &grant.dns_names)?;
                Ok(Credential::X509Svid {
                    chain: vec![leaf, intermediate.certificate().to_vec()],
                    expires_at,
                })
            }
        }
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.trust_domain)
    }
}
