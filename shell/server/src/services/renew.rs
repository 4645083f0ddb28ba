//! `POST /services/v1/svid`: the next X.509-SVID of the service whose connection this is.
//!
//! The connection proves the key of an SVID that has not ended, the request proves the key of the next one. Name, org,
//! lifetime and end are no part of the request: they are those of the key that asks.

use super::{Issued, issue, proven};
use crate::admin::body::Strict;
use crate::admin::refused::Refused;
use crate::decisions::{Failed, Pep};
use crate::installation::Installation;
use axum::Json;
use axum::extract::State;
use broker::service;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Next {
    /// PKCS#10 in DER, base64.
    csr: String,
}

pub(super) async fn answer(
    State(installation): State<Arc<Installation>>,
    caller: Result<Pep, Failed>,
    Strict(next): Strict<Next>,
) -> Result<([(header::HeaderName, HeaderValue); 1], Json<Issued>), Refused> {
    let Pep(service) = caller.map_err(|_| nobody())?;
    let proven = proven(&next.csr)?;
    let issued = issue(&installation, service.org(), &proven, |world, draw| {
        service::renew(world, &service, &proven, draw)
    })
    .await?;
    let fresh = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(([fresh], Json(issued)))
}

/// Not the connection of a service that is one now. Counted by whoever looked.
fn nobody() -> Refused {
    Refused::new(
        StatusCode::UNAUTHORIZED,
        "SERVICE_UNKNOWN",
        "Only a service renews its SVID, by the SVID that it has.",
        "The connection shows no X.509-SVID of a service, or one that has ended, was revoked, or was renewed since.",
        "Ask an operator for a new one: tabard service svid NAME --out DIR",
    )
}
