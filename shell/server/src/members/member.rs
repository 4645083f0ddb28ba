//! Who calls: a member that the World knows, by the X.509-SVID of its connection.

use crate::connection::Peer;
use crate::installation::Installation;
use broker::inventory::NotAdmitted;
use broker::world::{MemberRole, NodeRecord};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tonic::{Request, Status};

/// The member on the other end. The SVID says who, the World says whether it still is, its key has to be the one it
/// joined with.
pub(super) fn of<T>(installation: &Installation, request: &Request<T>) -> Result<Arc<NodeRecord>, Status> {
    let nobody = || Status::unauthenticated("this method needs the X.509-SVID of a member: join first");
    let peer = request.extensions().get::<Arc<Peer>>().ok_or_else(nobody)?;
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
pub(super) fn node<T>(installation: &Installation, request: &Request<T>) -> Result<Arc<NodeRecord>, Status> {
    with_role(installation, request, MemberRole::Node)
}

/// The same, and it is a gateway.
pub(super) fn gateway<T>(
    installation: &Installation,
    request: &Request<T>,
) -> Result<Arc<NodeRecord>, Status> {
    with_role(installation, request, MemberRole::Gateway)
}

fn with_role<T>(
    installation: &Installation,
    request: &Request<T>,
    role: MemberRole,
) -> Result<Arc<NodeRecord>, Status> {
    let member = of(installation, request)?;
    if member.role == role {
        Ok(member)
    } else {
        Err(Status::permission_denied(
            "this method is for members with another role",
        ))
    }
}
