//! Who asks: a service, by the X.509-SVID of its connection. Nothing else is one: an agent's certificate or token says who
//! the agent is, not whose resources it guards.

use super::failed::Failed;
use crate::connection::Peer;
use crate::installation::Installation;
use axum::extract::FromRequestParts;
use broker::service::Service;
use http::request::Parts;
use std::sync::Arc;

/// A service, the policy enforcement point of its own resources.
#[derive(Debug)]
pub(crate) struct Pep(pub(crate) Service);

impl FromRequestParts<Arc<Installation>> for Pep {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, installation: &Arc<Installation>) -> Result<Self, Failed> {
        let peer = parts.extensions.get::<Arc<Peer>>();
        let svid = peer.and_then(|peer| peer.svid(installation.clock.now()));
        let service =
            svid.and_then(|svid| Service::of(&installation.store.world(), svid.spiffe_id(), svid.key()));
        service.map(Self).ok_or_else(|| {
            if let Some(peer) = peer {
                installation
                    .unidentified
                    .count(peer.address.ip(), Failed::NotAService.code());
            }
            Failed::NotAService
        })
    }
}
