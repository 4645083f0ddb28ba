//! Who calls: a member that the World knows, by the X.509-SVID of its connection.

use super::refused;
use crate::connection::Peer;
use crate::installation::Installation;
use broker::inventory::NotAdmitted;
use broker::overreach::Overreach;
use broker::world::{MemberRole, NodeRecord};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tonic::{Request, Status};

/// The member on the other end. The SVID says who, the World says whether it still is, its key has to be the one it
/// joined with.
pub(super) fn of<T>(installation: &Installation, request: &Request<T>) -> Result<Arc<NodeRecord>, Status> {
    let peer = request.extensions().get::<Arc<Peer>>();
    let nobody = || {
        if let Some(peer) = peer {
            installation
                .unidentified
                .count(peer.address.ip(), "MEMBER_UNKNOWN");
        }
        Status::unauthenticated("this method needs the X.509-SVID of a member: join first")
    };
    let peer = peer.ok_or_else(nobody)?;
    let svid = peer.svid(installation.clock.now()).ok_or_else(nobody)?;
    let world = installation.store.world();
    if world.was_member(svid.key()) {
        installation
            .unidentified
            .count(peer.address.ip(), "MEMBER_REMOVED");
        return Err(removed());
    }
    world
        .member_with(svid.key())
        .filter(|member| member.spiffe_id == *svid.spiffe_id())
        .cloned()
        .ok_or_else(nobody)
}

/// What a member hears whose membership was ended.
pub(super) fn removed() -> Status {
    Status::unauthenticated(NotAdmitted::Removed.to_string())
}

/// Where a request came from, for counting.
pub(super) fn address<T>(request: &Request<T>) -> IpAddr {
    let peer = request.extensions().get::<Arc<Peer>>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip())
}

/// The same, and it is a node agent.
pub(super) async fn node<T: Sync>(
    installation: &Installation,
    request: &Request<T>,
) -> Result<Arc<NodeRecord>, Status> {
    with_role(
        installation,
        of(installation, request)?,
        MemberRole::Node,
        method::<T>(),
    )
    .await
}

/// The same, and it is a gateway.
pub(super) async fn gateway<T: Sync>(
    installation: &Installation,
    request: &Request<T>,
) -> Result<Arc<NodeRecord>, Status> {
    with_role(
        installation,
        of(installation, request)?,
        MemberRole::Gateway,
        method::<T>(),
    )
    .await
}

/// What was asked for, by the name of its message.
fn method<T>() -> &'static str {
    std::any::type_name::<T>()
        .rsplit("::")
        .next()
        .unwrap_or_default()
        .trim_end_matches("Request")
}

async fn with_role(
    installation: &Installation,
    member: Arc<NodeRecord>,
    role: MemberRole,
    method: &str,
) -> Result<Arc<NodeRecord>, Status> {
    if member.role == role {
        return Ok(member);
    }
    let seen = format!("{method} by a member with the role {:?}", member.role);
    Err(refused::overreach(installation, &member, Overreach::Role, &seen).await)
}
