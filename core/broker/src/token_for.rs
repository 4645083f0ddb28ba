//! From a recorded permit to what is signed. Nothing can be added on the way: the claims come out of the permit and
//! the place of its entry.

use crate::permit::{Grant, Permit, X509Grant};
use credential::{AccessTokenClaims, EntryPlace, JwtSvidTemplate};
use identity::{EntryRef, TrustDomain};

/// What a signer signs, by class.
#[derive(Debug)]
pub enum Unsigned {
    /// An access token.
    AccessToken(Box<AccessTokenClaims>),
    /// A JWT-SVID.
    JwtSvid(JwtSvidTemplate),
    /// An X.509-SVID; its serial is the grant's 8 bytes and then the entry's index.
    X509Svid {
        /// What was granted.
        grant: X509Grant,
        /// Low half of the serial.
        entry_index: u64,
    },
}

/// The name of a log in checkpoints and tokens: `<trust domain>/log/<number>`.
pub fn log_origin(trust_domain: &TrustDomain, entry: EntryRef) -> String {
    format!("{trust_domain}/log/{}", entry.log.0)
}

/// The credential of a permit that was recorded as `entry`.
pub fn token_for(permit: Permit, trust_domain: &TrustDomain, entry: EntryRef) -> Unsigned {
    match permit.into_grant() {
        Grant::AccessToken(mut claims) => {
            claims.entry = EntryPlace {
                origin: log_origin(trust_domain, entry),
                index: entry.index,
            };
            Unsigned::AccessToken(claims)
        }
        Grant::JwtSvid(grant) => Unsigned::JwtSvid(JwtSvidTemplate {
            token: Some(grant.jti()),
            spiffe_id: grant.spiffe_id,
            audiences: grant.audiences,
            issuer: grant.issuer,
            issued_at: grant.issued_at,
            expires_at: grant.expires_at,
        }),
        Grant::X509Svid(grant) => Unsigned::X509Svid {
            grant,
            entry_index: entry.index,
        },
    }
}
