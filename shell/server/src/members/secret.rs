//! Upstream secrets, for gateways that serve the upstream's org. They leave the server only here, over mutual TLS, and
//! are not written down on the other side.

use super::refused::overreach;
use crate::installation::Installation;
use broker::overreach::Overreach;
use broker::world::NodeRecord;
use identity::{OrgScope, UpstreamId};
use sync::proto;
use tonic::Status;

pub(super) async fn upstream(
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
    let Some(upstream) = world.upstream(scope, id) else {
        let seen = format!("the secret of {id}, version {}", request.version);
        return Err(overreach(installation, gateway, Overreach::Upstream, &seen).await);
    };
    // A gateway that is a moment behind asks for the version before: nothing is wrong with it.
    if upstream.secret_version != request.version {
        return Err(Status::not_found(Overreach::Upstream.sentence()));
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
