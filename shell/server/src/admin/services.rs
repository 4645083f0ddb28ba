//! `POST /v1/services/{name}/svid`: an X.509-SVID for a service that enforces decisions itself, for the key that its request
//! proves. The server never sees the key. The service renews it by itself from then on (`crate::services`).

use super::Plane;
use super::body::{Path, Strict};
use super::caller::Caller;
use super::refused::Refused;
use crate::services::{Issued, issue, proven};
use axum::Json;
use axum::extract::State;
use broker::service::{RENEWABLE_SECS, SVID_SECS, Wanted, svid};
use identity::Name;
use serde::Deserialize;
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requested {
    /// PKCS#10 in DER, base64.
    csr: String,
    ttl_secs: Option<u64>,
    /// 0 for an SVID that the service cannot renew.
    renewable_secs: Option<u64>,
}

pub(super) async fn first(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<Name>,
    Strict(wanted): Strict<Requested>,
) -> Result<Json<Issued>, Refused> {
    let installation = &plane.installation;
    let proven = proven(&wanted.csr)?;
    let org = caller.org(&installation.store.world())?;
    let issued = issue(installation, org, &proven, |world, draw| {
        let wanted = Wanted {
            org,
            name: &name,
            proven: &proven,
            ttl_secs: wanted.ttl_secs.unwrap_or(SVID_SECS),
            renewable_secs: wanted.renewable_secs.unwrap_or(RENEWABLE_SECS),
        };
        svid(world, &caller.who, &wanted, draw)
    })
    .await?;
    Ok(Json(issued))
}
