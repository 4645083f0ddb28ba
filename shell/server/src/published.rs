//! The public keys of the World, parsed once: what verifies, and the documents that tell others.
//!
//! Taken from the World and from nowhere else, so a key that was retired there is gone here at the next look. Made
//! anew only when the set of keys changes.

use crate::token::Remembered;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::World;
use broker::world::KeyClass;
use credential::{
    AccessTokenClaims, Algorithm, Jwk, Jwks, JwtSvidClaims, TokenClass, TrustBundle, TrustRoots,
    VerifyingKeys,
};
use identity::TrustDomain;
use std::sync::Arc;

/// How often others should look again, in seconds (`spiffe_refresh_hint`).
const REFRESH_HINT_SECS: u64 = 300;

/// Public keys in every form that a request needs.
#[derive(Debug)]
pub struct Published {
    kids: Vec<String>,
    /// Keys that verify our access tokens.
    pub access_token_keys: VerifyingKeys,
    /// Keys that verify our JWT-SVIDs.
    pub jwt_svid_keys: VerifyingKeys,
    /// Roots that verify X.509-SVIDs of the trust domain.
    pub x509_roots: Option<TrustRoots>,
    /// `/jwks.json`.
    pub jwks: Arc<str>,
    /// `/.well-known/spiffe-bundle`.
    pub bundle_json: Arc<str>,
    /// The trust bundle.
    pub bundle: TrustBundle,
    /// What was verified with exactly these keys; gone with them.
    pub(crate) subjects: Remembered<JwtSvidClaims>,
    /// Access tokens likewise, that services showed us.
    pub(crate) access_tokens: Remembered<AccessTokenClaims>,
}

impl Published {
    /// From the keys of a World. A key that cannot be read is left out and logged: it verifies nothing.
    pub fn of(world: &World, trust_domain: &TrustDomain) -> Self {
        let jwks_of = |class: KeyClass| -> Vec<Jwk> {
            let parsed = world
                .keys(class)
                .map(|key| (key, Jwk::parse(key.material.as_bytes())));
            parsed
                .filter_map(|(key, jwk)| {
                    jwk.inspect_err(
                        |error| tracing::error!(kid = key.kid, %error, "a published key is unreadable"),
                    )
                    .ok()
                })
                .collect()
        };
        let jwt_svid = jwks_of(KeyClass::JwtSvid);
        let authorities = world.keys(KeyClass::X509Authority);
        let bundle = TrustBundle {
            trust_domain: trust_domain.clone(),
            x509_authorities: authorities
                .filter_map(|key| STANDARD.decode(&key.material).ok())
                .collect(),
            jwt_authorities: jwt_svid.clone(),
            sequence: Some(world.revision().0),
            refresh_hint_secs: Some(REFRESH_HINT_SECS),
        };
        let access_token = Jwks {
            keys: jwks_of(KeyClass::AccessToken),
        };
        let access_token_keys = access_token.verifying_keys(TokenClass::AccessToken, &[Algorithm::Es256]);
        let all = Jwks {
            keys: access_token.keys.into_iter().chain(jwt_svid).collect(),
        };
        Self {
            kids: kids(world).map(str::to_owned).collect(),
            access_token_keys,
            jwt_svid_keys: bundle.jwt_keys(),
            x509_roots: bundle
                .x509_roots()
                .inspect_err(|error| tracing::error!(%error, "the trust bundle is unusable"))
                .ok(),
            jwks: all.to_json().into(),
            bundle_json: bundle.to_json().into(),
            bundle,
            subjects: Remembered::default(),
            access_tokens: Remembered::default(),
        }
    }

    /// Whether the World still has exactly these keys.
    pub fn is_current(&self, world: &World) -> bool {
        kids(world).eq(self.kids.iter().map(String::as_str))
    }
}

fn kids(world: &World) -> impl Iterator<Item = &str> {
    [KeyClass::AccessToken, KeyClass::JwtSvid, KeyClass::X509Authority]
        .into_iter()
        .flat_map(|class| world.keys(class).map(|key| key.kid.as_str()))
}
