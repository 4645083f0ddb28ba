//! The subject token: a JWT-SVID of this trust domain, for this issuer.

use super::errors::NotIssued;
use crate::config::Issuer;
use crate::published::Published;
use credential::{JwtSvidClaims, Verified, jwt_svid};
use identity::UnixTime;
use std::sync::Arc;

/// Verifies `token`, or finds that it was verified before and has not expired since.
pub(super) fn verified(
    token: &str,
    published: &Published,
    issuer: &Issuer,
    now: UnixTime,
) -> Result<Arc<Verified<JwtSvidClaims>>, NotIssued> {
    let ours = published.bundle.trust_domain.as_str();
    let keys = |domain: &str| (domain == ours).then_some(&published.jwt_svid_keys);
    published
        .subjects
        .verified(token, now, |token| {
            jwt_svid::verify(token, keys, issuer.as_str(), now)
        })
        .map_err(NotIssued::Subject)
}
