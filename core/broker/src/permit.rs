//! Permits: what may be signed, or sent upstream, once it is recorded.
//!
//! A `Permit` owns everything that determines its credential; its entry holds their digest. It is not `Clone`, has no
//! public constructor, and the signer takes nothing but a recorded one.

use credential::{AccessTokenClaims, PublicKey};
use identity::{Audience, Digest, FamilyId, InstanceId, Revision, SpiffeId, TokenId, UnixTime};

/// May be signed once recorded.
#[must_use = "record it, then sign it"]
#[derive(Debug)]
pub struct Permit {
    grant: Grant,
}

/// What a permit is for.
#[derive(Debug)]
pub enum Grant {
    /// An access token (RFC 9068). Its place in the log is filled in when it is recorded.
    AccessToken(Box<AccessTokenClaims>),
    /// An X.509-SVID.
    X509Svid(X509Grant),
    /// JWT-SVIDs, one for each audience list asked for.
    JwtSvid(JwtGrant),
}

/// What determines an X.509-SVID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X509Grant {
    /// The one URI SAN.
    pub spiffe_id: SpiffeId,
    /// The key whose owner proved possession.
    pub public_key: PublicKey,
    /// First 8 bytes of the serial; the entry's index is the rest.
    pub serial: u64,
    /// notBefore.
    pub valid_from: UnixTime,
    /// notAfter.
    pub expires_at: UnixTime,
    /// Extra DNS names, for the server's own certificate only.
    pub dns_names: Vec<String>,
}

/// What determines a JWT-SVID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtGrant {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub spiffe_id: SpiffeId,
    /// `aud`, in the order asked for.
    pub audiences: Vec<Audience>,
    /// Part of `jti`.
    pub token: TokenId,
    /// Part of `jti`: the instance it was issued to; it counts as a subject token only from there.
    pub instance: InstanceId,
    /// Part of `jti`: the revision it was decided on.
    pub revision: Revision,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
}

impl JwtGrant {
    /// `jti`: token, instance and revision, so that a verifier of ours needs no table of JWT-SVIDs.
    pub fn jti(&self) -> String {
        format!("{}.{}.{}", self.token, self.instance, self.revision)
    }
}

/// What the `jti` of one of our JWT-SVIDs says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JwtSvidId {
    /// The token.
    pub token: TokenId,
    /// Whom it was issued to.
    pub instance: InstanceId,
    /// What World it was decided on.
    pub revision: Revision,
}

impl JwtSvidId {
    /// Reads a `jti` that [`JwtGrant::jti`] wrote; `None` for any other.
    pub fn parse(jti: &str) -> Option<Self> {
        let mut parts = jti.split('.');
        let (token, instance, revision) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            token: token.parse().ok()?,
            instance: instance.parse().ok()?,
            revision: Revision(revision.parse().ok()?),
        })
    }
}

impl Permit {
    pub(crate) const fn new(grant: Grant) -> Self {
        Self { grant }
    }
    /// What it is for.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }
    /// Takes out what it is for.
    pub(crate) fn into_grant(self) -> Grant {
        self.grant
    }
    /// When the credential ends.
    pub fn expires_at(&self) -> UnixTime {
        match &self.grant {
            Grant::AccessToken(claims) => claims.expires_at,
            Grant::X509Svid(grant) => grant.expires_at,
            Grant::JwtSvid(grant) => grant.expires_at,
        }
    }
}

/// Digest of everything that determines a credential: what its entry holds. Of an access token it is that of the claims
/// themselves, so whoever has the token can tell which entry is its own; of an SVID, of the debug form of the grant,
/// which names every field. The entry's own place is part of neither.
pub(crate) fn digest_of(grant: &Grant) -> Digest {
    match grant {
        Grant::AccessToken(claims) => claims.digest(),
        Grant::X509Svid(_) | Grant::JwtSvid(_) => {
            Digest::from_bytes(credential::sha256(format!("{grant:?}").as_bytes()))
        }
    }
}

/// A family for a first exchange.
pub(crate) fn family_of(token: TokenId) -> FamilyId {
    FamilyId::from_u128(token.as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::LogId;

    #[test]
    fn the_jti_of_a_jwt_svid_says_whom_it_was_issued_to() {
        let now = UnixTime::from_secs(1_000_000);
        let id = JwtSvidId {
            token: TokenId::random(now, LogId(0), 1),
            instance: InstanceId::mint(now, LogId(0), 2).at(Revision(9)),
            revision: Revision(12),
        };
        let jti = format!("{}.{}.{}", id.token, id.instance, id.revision);
        assert_eq!(JwtSvidId::parse(&jti), Some(id));
        assert_eq!(JwtSvidId::parse(&format!("{jti}.x")), None);
        assert_eq!(JwtSvidId::parse("urn:uuid:1"), None);
    }
}
