//! An SVID of a service, from its request to the certificates: the same whether an operator or the service itself asks.

use super::RENEW_PATH;
use crate::admin::refused::Refused;
use crate::installation::Installation;
use crate::settle::settle;
use crate::signer::Credential;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::{Draw, Outcome, Permit, World};
use credential::{ProvenKey, csr};
use identity::{OrgId, OrgScope};
use serde::Serialize;
use std::time::Duration;

/// How long the answer waits for connected gateways to know the key: a proxy asks them with it at once. Whoever has not
/// heard of it by then refuses until it has.
const SPREAD: Duration = Duration::from_secs(1);

/// The key that a request proves: PKCS#10 in DER, base64.
pub(crate) fn proven(csr: &str) -> Result<ProvenKey, Refused> {
    let request = STANDARD
        .decode(csr)
        .map_err(|_| Refused::bad_request("The request is not base64.", "Send PKCS#10 in DER, as base64."))?;
    csr::verify(&request)
        .map_err(|error| Refused::bad_request(format!("{error}."), "Make a new key and a new request."))
}

/// What was issued.
#[derive(Debug, Serialize)]
pub(crate) struct Issued {
    spiffe_id: String,
    /// Leaf first; DER, base64.
    chain: Vec<String>,
    /// The authorities of the trust domain; DER, base64.
    authorities: Vec<String>,
    expires_at: String,
    /// From when on the service cannot renew by itself.
    renewable_until: String,
    /// Where it does until then.
    renew_url: String,
    entry: String,
}

/// Decides, records, signs.
pub(crate) async fn issue(
    installation: &Installation,
    org: OrgId,
    proven: &ProvenKey,
    decide: impl Fn(&World, &mut Draw<'_>) -> Outcome<Permit>,
) -> Result<Issued, Refused> {
    let recorded = settle(installation, Some(org), decide).await?;
    let (revision, entry) = (recorded.revision(), recorded.entry().to_string());
    let key = proven.thumbprint();
    let world = installation.store.world();
    let known = world.service_key(OrgScope::Only(org), key);
    let known = known.ok_or_else(|| Refused::unavailable("the service was revoked meanwhile"))?;
    let signed = installation
        .signer
        .sign(recorded)
        .map_err(|error| Refused::unavailable(&error.to_string()))?;
    let Credential::X509Svid { chain, expires_at } = signed else {
        return Err(Refused::unavailable(
            "the permit was for another class of credential",
        ));
    };
    drop(installation.followers.reached(revision, SPREAD).await);
    let base64 = |all: &[Vec<u8>]| all.iter().map(|der| STANDARD.encode(der)).collect();
    Ok(Issued {
        spiffe_id: known.spiffe_id.to_string(),
        chain: base64(&chain),
        authorities: base64(&installation.published().bundle.x509_authorities),
        expires_at: expires_at.rfc3339(),
        renewable_until: known.renewable_until.rfc3339(),
        renew_url: installation.config.issuer.endpoint(RENEW_PATH),
        entry,
    })
}
