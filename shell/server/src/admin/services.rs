//! `POST /v1/services/{name}/svid`: an X.509-SVID for a service that enforces decisions itself, for the key that its request
//! proves. The server never sees the key.

use super::Plane;
use super::body::{Path, Strict};
use super::caller::Caller;
use super::refused::Refused;
use crate::settle::settle;
use crate::signer::Credential;
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::permit::Grant;
use broker::service::{SVID_SECS, Wanted, svid};
use credential::csr;
use identity::Name;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requested {
    /// PKCS#10 in DER, base64.
    csr: String,
    ttl_secs: Option<u64>,
}

/// What was issued.
#[derive(Debug, Serialize)]
pub(super) struct Issued {
    spiffe_id: String,
    /// Leaf first; DER, base64.
    chain: Vec<String>,
    /// The authorities of the trust domain; DER, base64.
    authorities: Vec<String>,
    expires_at: String,
    entry: String,
}

pub(super) async fn issue(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<Name>,
    Strict(wanted): Strict<Requested>,
) -> Result<Json<Issued>, Refused> {
    let installation = &plane.installation;
    let request = STANDARD
        .decode(&wanted.csr)
        .map_err(|_| Refused::bad_request("The request is not base64.", "Send PKCS#10 in DER, as base64."))?;
    let proven = csr::verify(&request)
        .map_err(|error| Refused::bad_request(format!("{error}."), "Make a new key and a new request."))?;
    let org = caller.org(&installation.store.world())?;
    let recorded = settle(installation, Some(org), |world, draw| {
        let wanted = Wanted {
            org,
            name: &name,
            proven: &proven,
            ttl_secs: wanted.ttl_secs.unwrap_or(SVID_SECS),
        };
        svid(world, &caller.who, &wanted, draw)
    })
    .await?;
    let entry = recorded.entry().to_string();
    let spiffe_id = match recorded.get().grant() {
        Grant::X509Svid(grant) => grant.spiffe_id.to_string(),
        Grant::AccessToken(_) | Grant::JwtSvid(_) => String::new(),
    };
    let signed = installation
        .signer
        .sign(recorded)
        .map_err(|error| Refused::unavailable(&error.to_string()))?;
    let Credential::X509Svid { chain, expires_at } = signed else {
        return Err(Refused::unavailable(
            "the permit was for another class of credential",
        ));
    };
    let authorities = &installation.published().bundle.x509_authorities;
    Ok(Json(Issued {
        spiffe_id,
        chain: chain.iter().map(|der| STANDARD.encode(der)).collect(),
        authorities: authorities.iter().map(|der| STANDARD.encode(der)).collect(),
        expires_at: expires_at.rfc3339(),
        entry,
    }))
}
