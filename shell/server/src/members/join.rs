//! Join and renew: a join token, or membership itself, buys an SVID for the key that a CSR proves.

use crate::installation::Installation;
use crate::signer::Credential;
use broker::inventory::{self, Bootstrap};
use broker::issue;
use broker::world::NodeRecord;
use credential::csr;
use identity::Digest;
use std::sync::Arc;
use sync::proto;
use tonic::Status;

/// Spends a join token. It is a precondition of the commit that admits the member, so a failure spends nothing.
pub(super) async fn join(
    installation: &Installation,
    request: &proto::JoinRequest,
) -> Result<proto::JoinReply, Status> {
    let digest = Digest::from_bytes(credential::sha256(request.join_token.as_bytes()));
    admit(installation, &Bootstrap::JoinToken(digest), &request.csr).await
}

/// Admits whoever proved a bootstrap and a key.
pub(crate) async fn admit(
    installation: &Installation,
    bootstrap: &Bootstrap,
    csr: &[u8],
) -> Result<proto::JoinReply, Status> {
    let proven = csr::verify(csr).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let world = installation.store.world();
    let log = world
        .nodes()
        .map(|member| member.log)
        .chain([installation.log.0])
        .max()
        .unwrap_or(0);
    let log = log
        .checked_add(1)
        .ok_or_else(|| Status::resource_exhausted("65535 members have joined"))?;
    let source = installation
        .draw_source(None, installation.clock.now())
        .map_err(unavailable)?;
    let plan = match inventory::join(&world, bootstrap, proven.thumbprint(), log, &mut source.draw()) {
        Ok(plan) => plan,
        Err(error) => {
            installation
                .unidentified
                .count(std::net::IpAddr::from([0, 0, 0, 0]), "JOIN_TOKEN");
            let refused = proto::Refused {
                code: "JOIN_TOKEN".into(),
                message: error.to_string(),
                decision_id: String::new(),
            };
            return Ok(reply(proto::join_reply::Outcome::Refused(refused)));
        }
    };
    let recorded = installation.store.commit(plan).await.map_err(unavailable)?;
    let made = recorded.get().made();
    let world = installation.store.world();
    let member = world
        .node(made)
        .or_else(|| world.node(made.at(recorded.revision())));
    let member = member
        .ok_or_else(|| Status::internal("the new member is not in the World"))?
        .clone();
    issue(installation, &member, csr).await
}

/// A fresh SVID for a member's own key.
pub(super) async fn renew(
    installation: &Installation,
    member: &Arc<NodeRecord>,
    request: &proto::RenewRequest,
) -> Result<proto::JoinReply, Status> {
    issue(installation, member, &request.csr).await
}

async fn issue(
    installation: &Installation,
    member: &NodeRecord,
    csr: &[u8],
) -> Result<proto::JoinReply, Status> {
    let proven = csr::verify(csr).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let world = installation.store.world();
    let source = installation
        .draw_source(member.org, installation.clock.now())
        .map_err(unavailable)?;
    let plan = issue::member_svid(&world, member, &proven, &mut source.draw())
        .map_err(|_| Status::permission_denied("the request is for another key than the member's own"))?;
    let recorded = installation.store.commit(plan).await.map_err(unavailable)?;
    let Credential::X509Svid { chain, .. } = installation.signer.sign(recorded).map_err(unavailable)? else {
        return Err(Status::internal("the permit was for another class of credential"));
    };
    let membership = proto::Membership {
        node_id: member.id.to_string(),
        spiffe_id: member.spiffe_id.to_string(),
        svid: chain,
        authorities: installation.published().bundle.x509_authorities.clone(),
        log: u32::from(member.log),
        trust_domain: installation.config.trust_domain.to_string(),
        issuer: installation.config.issuer.as_str().to_owned(),
    };
    Ok(reply(proto::join_reply::Outcome::Membership(membership)))
}

fn reply(outcome: proto::join_reply::Outcome) -> proto::JoinReply {
    proto::JoinReply {
        outcome: Some(outcome),
    }
}

pub(super) fn unavailable(error: impl std::fmt::Display) -> Status {
    tracing::error!(%error, "a member could not be served");
    Status::unavailable("the server cannot record or sign at the moment")
}
