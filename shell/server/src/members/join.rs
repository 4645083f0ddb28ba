//! Join and renew: a join token, or membership itself, buys an SVID for the key that a CSR proves.

use crate::installation::Installation;
use crate::signer::Credential;
use broker::inventory::{self, Bootstrap, NotAdmitted};
use broker::issue;
use broker::world::NodeRecord;
use credential::csr;
use identity::Digest;
use std::net::IpAddr;
use sync::proto;
use tonic::Status;

/// Spends a join token. It is a precondition of the commit that admits the member, so a failure spends nothing.
pub(super) async fn join(
    installation: &Installation,
    request: &proto::JoinRequest,
    from: IpAddr,
) -> Result<proto::JoinReply, Status> {
    let digest = Digest::from_bytes(credential::sha256(request.join_token.as_bytes()));
    let bootstrap = Bootstrap::JoinToken {
        digest,
        role: request.role.clone(),
    };
    admit(installation, &bootstrap, &request.csr, from).await
}

/// Admits whoever proved a bootstrap and a key.
pub(crate) async fn admit(
    installation: &Installation,
    bootstrap: &Bootstrap,
    csr: &[u8],
    source_address: IpAddr,
) -> Result<proto::JoinReply, Status> {
    let proven = csr::verify(csr).map_err(|error| Status::invalid_argument(error.to_string()))?;
    // One at a time: two members that join at once must not get the same log.
    let _turn = installation.joining.lock().await;
    let world = installation.store.world();
    let log = world
        .last_log()
        .max(installation.log.0)
        .checked_add(1)
        .ok_or_else(|| Status::resource_exhausted("65535 members have joined"))?;
    let source = installation
        .draw_source(None, installation.clock.now())
        .map_err(unavailable)?;
    let plan = match inventory::join(&world, bootstrap, proven.thumbprint(), log, &mut source.draw()) {
        Ok(plan) => plan,
        Err(error) => {
            installation.unidentified.count(source_address, error.code());
            return Ok(refused(error.code(), error.to_string()));
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

/// A fresh SVID for a member's own key. The key is the proof, whether the connection shows an SVID or not: a member
/// that was away for longer than its SVID lives is still one, until an administrator removes it. A request that was
/// recorded and sent again buys a certificate for a key that its sender does not have.
pub(super) async fn renew(
    installation: &Installation,
    request: &proto::RenewRequest,
    from: IpAddr,
) -> Result<proto::JoinReply, Status> {
    let proven = csr::verify(&request.csr).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let world = installation.store.world();
    if let Some(member) = world.member_with(proven.thumbprint()) {
        return issue(installation, member, &request.csr).await;
    }
    let (code, message) = if world.was_member(proven.thumbprint()) {
        let removed = NotAdmitted::Removed;
        (removed.code(), removed.to_string())
    } else {
        let unknown = "the server knows no member with this key: join with a new join token";
        ("MEMBER_UNKNOWN", unknown.to_owned())
    };
    installation.unidentified.count(from, code);
    Ok(refused(code, message))
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

fn refused(code: &str, message: String) -> proto::JoinReply {
    reply(proto::join_reply::Outcome::Refused(proto::Refused {
        code: code.to_owned(),
        message,
        decision_id: String::new(),
    }))
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
