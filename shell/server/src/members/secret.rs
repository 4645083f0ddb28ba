//! Upstream secrets, for gateways that serve the upstream's org. They leave the server only here, over mutual TLS, and
//! are not written down on the other side.

use crate::installation::Installation;
use broker::world::NodeRecord;
use identity::{OrgScope, UpstreamId};
use sync::proto;
use tonic::Status;

pub(super) fn upstream(
    installation: &Installation,
    gateway: &NodeRecord,
    request: &proto::UpstreamSecretRequest,
) -> Result<proto::UpstreamSecretReply, Status> {
    let id: UpstreamId = request
        .upstream_id
        .parse()
        .map_err(|_| Status::invalid_argument("upstream_id"))?;
    let scope = gateway.org.map_or(OrgScope::Every, OrgScope::Only);
    let world = installation.store.world();
    let none = || Status::not_found("no such upstream or version for this gateway");
    let upstream = world.upstream(scope, id).ok_or_else(none)?;
    if upstream.secret_version != request.version {
        return Err(none());
    }
    let secret = installation.secrets.get(id, request.version).map_err(|error| {
        tracing::error!(%error, upstream = %id, "a sealed secret cannot be opened");
        Status::unavailable("the secret cannot be opened")
    })?;
    let outcome = proto::upstream_secret_reply::Outcome::Secret(secret.expose().clone());
    Ok(proto::UpstreamSecretReply {
        outcome: Some(outcome),
    })
}
